//! Runs the programs around the SDKs: an echo server until it is dropped, a driver to its end. Reads what they say on standard
//! output; what they say on standard error goes to a file. Knows no SDK.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::Failure;

/// How long a server may take to say where it is. The Java virtual machine is the slowest, on a busy machine.
const START: Duration = Duration::from_secs(60);
/// One driver's run. Each of its operations has its own limit; this one is against a driver that hangs between them.
const RUN: Duration = Duration::from_secs(240);

/// How one operation went, as a driver tells it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Outcome {
    /// The operation.
    pub(crate) op: String,
    /// Whether it succeeded; `None` where the SDK has no such thing.
    pub(crate) ok: Option<bool>,
    /// The reason, or what there is to say.
    pub(crate) detail: String,
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where its card is.
    pub(crate) url: String,
    // Killed when it is dropped.
    _child: Child,
    // An open pipe, so that what it still says does not end it.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts an echo server and waits until it says where it is.
    pub(crate) async fn start(command: &[String], log: &Path) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Place {
            url: String,
        }
        let (child, mut said) = start(command, log)?;
        let line = timeout(START, said.next_line())
            .await
            .map_err(|_| format!("{} said nothing within {START:?}", command.join(" ")))??;
        let Some(line) = line else {
            return Err(format!("{} ended; see {}", command.join(" "), log.display()).into());
        };
        let Place { url } = serde_json::from_str(&line)?;
        Ok(Self {
            url,
            _child: child,
            _said: said,
        })
    }
}

/// Runs a driver to its end.
pub(crate) async fn drive(command: &[String], log: &Path) -> Result<Vec<Outcome>, Failure> {
    let (mut child, mut said) = start(command, log)?;
    let mut outcomes = Vec::new();
    let all = async {
        while let Some(line) = said.next_line().await? {
            outcomes.push(serde_json::from_str(&line)?);
        }
        Ok::<_, Failure>(())
    };
    match timeout(RUN, all).await {
        Ok(read) => read?,
        Err(_) => child.start_kill()?,
    }
    child.wait().await?;
    Ok(outcomes)
}

fn start(
    command: &[String],
    log: &Path,
) -> Result<(Child, Lines<BufReader<ChildStdout>>), Failure> {
    let Some((program, args)) = command.split_first() else {
        return Err("an empty command".into());
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::options().create(true).append(true).open(log)?)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start {program}: {error}; run tests/interop/setup.sh"))?;
    let Some(stdout) = child.stdout.take() else {
        return Err("the child has no standard output".into());
    };
    Ok((child, BufReader::new(stdout).lines()))
}

//! The words between supervisor and init, over one socket pair: length (u32, little-endian) and JSON. Here because both ends are
//! this crate. It must not grow: init acts on what it is told, so fewer words are safer.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::policy::TcpRule;
use crate::report::InsideReport;

/// The longest frame: an environment and arguments of Linux's own default size (2 MiB, execve(2)) fit, as JSON.
const MAX_FRAME: usize = 4 << 20;

/// Supervisor to init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToInit {
    /// The first frame.
    Config(Box<InitConfig>),
    /// The report is as the policy demands: start the agent.
    Go,
    /// Send this signal to the agent's process group.
    Signal(i32),
}

/// Init to supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// Second frame; init now waits for [`ToInit::Go`].
    Report(Box<InsideReport>),
    /// A step failed; init ends.
    Failed {
        /// What init was doing.
        step: Step,
        /// What the system said.
        detail: String,
    },
    /// The agent's program runs.
    Started,
}

/// How the agent ended: init's last word. Not on the control socket but on init's stdout, which the keeper reads: two readers on
/// one socket would take each other's frames when an agent ends at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Exit code, if it ended by itself.
    pub(crate) code: Option<i32>,
    /// Signal number, if a signal ended it.
    pub(crate) signal: Option<i32>,
}

/// What init was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Closing descriptors, signals, resource limits.
    Prepare,
    /// Applying landlock.
    Landlock,
    /// Listening for the bridge.
    Bridge,
    /// Measuring what is in force.
    Measure,
    /// Starting the agent.
    Agent,
}

/// All that init needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InitConfig {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    /// Descriptor numbers of the agent's stdin, stdout and stderr.
    pub(crate) stdio: [i32; 3],
    /// Stdio is a terminal of its own: make it the agent's controlling terminal.
    pub(crate) terminal: bool,
    pub(crate) gateway_port: Option<u16>,
    pub(crate) max_open_files: u64,
    pub(crate) tcp: TcpRule,
}

fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "command and environment are longer than 4 MiB",
        ));
    }
    frame[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    Ok(frame)
}

fn checked_length(header: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(header) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
    }
    Ok(length)
}

/// Writes one frame, blocking.
pub(crate) fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// Reads one frame, blocking; `UnexpectedEof` when the other end is gone.
pub(crate) fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut header = [0; 4];
    from.read_exact(&mut header)?;
    let mut body = vec![0; checked_length(header)?];
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// Writes one frame.
pub(crate) async fn send_async(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    to.write_all(&encode(message)?).await
}

/// Reads one frame.
pub(crate) async fn receive_async<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let mut header = [0; 4];
    from.read_exact(&mut header).await?;
    let mut body = vec![0; checked_length(header)?];
    from.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

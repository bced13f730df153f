//! Starts a sandbox and holds it: [`Sandbox::start`] returns only when the agent's program runs and every required layer was
//! seen to hold. It must leave nothing behind when it fails or is dropped: the guard kills, the keeper thread waits and cleans.

mod keeper;
mod running;
mod stdio;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use self::keeper::{Order, Spawned};
pub use self::running::{Exit, Killer, Running};
pub use self::stdio::{StdioSpec, Stream};
use crate::bwrap::Bwrap;
use crate::cgroup::Places;
use crate::error::SandboxError;
use crate::policy::SandboxPolicy;
use crate::protocol::{FromInit, InitConfig, Step, ToInit, receive_async, send_async};
use crate::report::{InsideReport, SandboxReport};

/// A start takes milliseconds. Only a machine in deep trouble needs longer than this, and then it is better to say so.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The means to start sandboxes on this machine: bubblewrap, found and asked for its options once.
#[derive(Debug, Clone)]
pub struct Sandbox {
    machine: Arc<Machine>,
}

/// What is found out once and is the same for every sandbox.
#[derive(Debug)]
struct Machine {
    bwrap: Bwrap,
    /// The compiled system call filter.
    filter: Vec<u8>,
    /// Where control groups may be made. Read once also because a supervisor may move itself there.
    places: Places,
    /// This process's own namespaces.
    namespaces: BTreeMap<String, u64>,
}

impl Sandbox {
    /// Uses the given bubblewrap, or the one in `PATH`. Runs `bwrap --help`, about a millisecond, and removes control groups that
    /// a killed supervisor has left.
    ///
    /// # Errors
    /// bubblewrap is missing, does not run or is too old; this processor has no filter; /proc is not readable.
    pub fn locate(bwrap: Option<PathBuf>) -> Result<Self, SandboxError> {
        let unreadable = |source| SandboxError::Prepare {
            step: "reading /proc/self",
            source,
        };
        let machine = Machine {
            bwrap: Bwrap::locate(bwrap.as_deref())?,
            filter: crate::seccomp::program()?,
            places: Places::find().map_err(unreadable)?,
            namespaces: crate::init::own_namespaces().map_err(unreadable)?,
        };
        crate::cgroup::remove_all_abandoned(&machine.places);
        Ok(Self {
            machine: Arc::new(machine),
        })
    }

    /// The bubblewrap program that is used.
    pub fn bwrap(&self) -> &Bwrap {
        &self.machine.bwrap
    }

    /// Starts the policy's command and returns when it runs.
    ///
    /// Must be called within a tokio runtime with I/O enabled. When the future is dropped, or fails, everything that was started
    /// is killed and removed.
    ///
    /// # Errors
    /// One variant per step; nothing is left running.
    pub async fn start(
        &self,
        policy: SandboxPolicy,
        stdio: StdioSpec,
    ) -> Result<Running, SandboxError> {
        match tokio::time::timeout(START_LIMIT, self.start_unlimited(policy, stdio)).await {
            Ok(result) => result,
            Err(_) => Err(SandboxError::StartTimeout { limit: START_LIMIT }),
        }
    }

    async fn start_unlimited(
        &self,
        policy: SandboxPolicy,
        stdio: StdioSpec,
    ) -> Result<Running, SandboxError> {
        let program = policy.argv.first().cloned().unwrap_or_default();
        let config = InitConfig {
            argv: policy.argv.clone(),
            env: policy.env.clone(),
            cwd: policy.cwd.clone(),
            stdio: [0; 3],
            terminal: stdio.terminal,
            gateway_port: policy.gateway.as_ref().map(|gateway| gateway.port),
            max_open_files: policy.limits.max_open_files,
            tcp: policy.tcp.clone(),
        };
        let (answer, spawned) = oneshot::channel();
        keeper::begin(Order {
            machine: Arc::clone(&self.machine),
            policy: policy.clone(),
            stdio,
            answer,
        })?;
        let Spawned {
            control,
            guard,
            init,
            exit,
            ours,
            outside,
        } = spawned.await.map_err(|_| keeper::gone())??;
        let (signals, mut control) = split(control)?;

        let handshake = async {
            send_async(&mut control, &ToInit::Config(Box::new(config))).await?;
            receive_async::<FromInit>(&mut control).await
        };
        let inside = match handshake.await {
            Ok(message) => report(message, &program),
            Err(error) => Err(SandboxError::Control(error)),
        };
        let inside = match inside {
            Ok(inside) => inside,
            Err(error) => return Err(guard.fail(exit, error).await),
        };
        let Ok(init) = init.await else {
            return Err(guard.fail(exit, keeper::gone()).await);
        };
        let report = SandboxReport {
            inside,
            limits: init.limits,
        };
        let mismatches = report.mismatches(&policy, &outside);
        if !mismatches.is_empty() {
            return Err(guard
                .fail(exit, SandboxError::NotEnforced { mismatches })
                .await);
        }
        let started = async {
            send_async(&mut control, &ToInit::Go).await?;
            control.flush().await?;
            receive_async::<FromInit>(&mut control).await
        };
        match started.await {
            Ok(FromInit::Started) => {}
            Ok(other) => return Err(guard.fail(exit, unexpected(other, &program)).await),
            Err(error) => return Err(guard.fail(exit, SandboxError::Control(error)).await),
        }
        ours.into_running(init.pid, report, guard, exit, signals)
    }
}

/// One descriptor for the runtime during the start, one for sending signals afterwards.
fn split(
    control: std::os::unix::net::UnixStream,
) -> Result<(std::os::unix::net::UnixStream, UnixStream), SandboxError> {
    let prepare = |step| move |source| SandboxError::Prepare { step, source };
    let signals = control.try_clone().map_err(prepare("the control socket"))?;
    control
        .set_nonblocking(true)
        .map_err(prepare("the control socket"))?;
    Ok((
        signals,
        UnixStream::from_std(control).map_err(prepare("the control socket"))?,
    ))
}

fn report(message: FromInit, program: &str) -> Result<InsideReport, SandboxError> {
    match message {
        FromInit::Report(inside) => Ok(*inside),
        other => Err(unexpected(other, program)),
    }
}

/// Turns what init said instead of what was due into an error.
fn unexpected(message: FromInit, program: &str) -> SandboxError {
    let step = match message {
        FromInit::Failed {
            step: Step::Agent,
            detail,
        } => {
            return SandboxError::Agent {
                program: program.to_owned(),
                detail,
            };
        }
        FromInit::Failed {
            step: Step::Prepare,
            detail,
        } => ("descriptors, signals and limits", detail),
        FromInit::Failed {
            step: Step::Landlock,
            detail,
        } => ("landlock", detail),
        FromInit::Failed {
            step: Step::Bridge,
            detail,
        } => ("the bridge to the gateway", detail),
        FromInit::Failed {
            step: Step::Measure,
            detail,
        } => ("measuring what is in force", detail),
        FromInit::Report(_) | FromInit::Started => {
            ("the start", "init spoke out of turn".to_owned())
        }
    };
    SandboxError::Inside {
        step: step.0,
        detail: step.1,
    }
}

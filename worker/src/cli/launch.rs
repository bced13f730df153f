//! `worker launch CARD -- CMD…`: any command in the sandbox of an agent ID card, with this terminal or these streams, its exit
//! code passed on and the card's time to live enforced. No A2A: whoever wants that runs `worker serve`.
//!
//! The command gets what the card's agent would get: workspace, home, limits, the gateway. A launch and a server of the same
//! agent exclude each other, since both own the state folder.

mod record;
mod streams;
mod terminal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::{Clock, SystemClock};
use clap::Args;
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::lifecycle::Lifecycle;
use tokio::time::Instant;
use tracing::warn;
use worker_sandbox::{ReadOnlyBind, Running, Sandbox};

use super::serve::bad_card;
use crate::app;
use crate::card::{AgentIdCard, CheckOptions, check};
use crate::driver::probe::sandbox_failure;
use crate::driver::process::{Launch as Program, Launcher};
use crate::state::{StateDir, StateDirError};

pub(super) use record::Record;
use streams::{Signal, Signals, Streams};

/// What timeout(1) answers when the time is over.
const TIME_OVER: u8 = 124;

/// Between the request to end and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long the gateway may take to end once nobody uses it.
const END: Duration = Duration::from_secs(1);

/// Arguments of `worker launch`.
#[derive(Debug, Args)]
pub(super) struct Launch {
    /// The agent ID card, JSON or TOML
    #[arg(value_name = "CARD")]
    card: PathBuf,
    /// A file or folder of the host that the command needs; it appears read-only at the same place. May be repeated
    #[arg(long = "bind", value_name = "PATH")]
    binds: Vec<PathBuf>,
    /// Where the worker keeps its files; default ~/.local/state/flotilla/workers/<agent_id>
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The folder that the card's workspace must be in
    #[arg(long, value_name = "DIR", env = "FLOTILLA_WORKSPACE_ROOT")]
    workspace_root: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Launch {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let card = AgentIdCard::read(&self.card).map_err(|problems| bad_card(&problems))?;
        let options = CheckOptions {
            workspace_root: self.workspace_root.clone(),
            needs_model: false,
        };
        check(&card, &options).map_err(|problems| bad_card(&problems))?;
        let key = card
            .api_key_file
            .as_deref()
            .map(app::read_key)
            .transpose()?;
        let sandbox = Sandbox::locate(None).map_err(|error| sandbox_failure(&error))?;
        let state = StateDir::of(&card.agent_id, self.state_dir.as_deref())
            .map_err(StateDirError::into_failure)?;
        let lock = state.lock().map_err(StateDirError::into_failure)?;
        app::make_workspace(&card.workspace)?;

        let mut program = Program::of_card(&card);
        program.argv = self.command;
        program
            .read_only
            .extend(self.binds.into_iter().map(|path| ReadOnlyBind {
                source: path.clone(),
                target: path,
                reason: "named on the command line".to_owned(),
            }));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
        let exit = runtime.block_on(async {
            let lifecycle = Lifecycle::new();
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let tracker = lifecycle.tasks().tracker();
            let stop = lifecycle.hard().clone();
            app::start_gateway(&card, key, &state, &clock, tracker, stop)?;
            let home = state.folder("home").map_err(StateDirError::into_failure)?;
            let launcher = Launcher::new(
                sandbox,
                &card,
                home,
                &app::gateway_socket(&state),
                tracker.clone(),
            );
            let record = Record::write(state.path(), &program.argv)?;
            let result = in_sandbox(&launcher, program, &card).await;
            record.remove(state.path());
            lifecycle.hard().cancel();
            // The gateway takes its socket away; nothing is lost if it does not get to it.
            let _late = tokio::time::timeout(END, lifecycle.tasks().wait()).await;
            result
        });
        // The thread that reads the terminal waits for a key that nobody will press.
        runtime.shutdown_background();
        drop(lock);
        exit
    }
}

/// Starts the command, carries its streams and signals, and waits for its end.
async fn in_sandbox(
    launcher: &Launcher,
    program: Program,
    card: &AgentIdCard,
) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::from_error(Exit::Io, &error);
    let mut signals = Signals::install().map_err(failed)?;
    let (mut streams, spec) = Streams::of_this_process().map_err(failed)?;
    let started = launcher.start_with(program, spec).await;
    let mut running = started.map_err(|error| sandbox_failure(&error))?;
    for (layer, state) in running.report.limits.states() {
        if !state.enforced() {
            warn!(layer = layer.name(), detail = %state, "a limit of the card is not enforced; `worker doctor` says what to do");
        }
    }
    let (exit, over) = carry(&mut streams, &mut running, &mut signals, card.ttl_seconds).await?;
    // The terminal is itself again before anything is said.
    drop(streams);
    if over {
        let text = format!(
            "stopped after ttl_seconds = {}, as the agent ID card says",
            card.ttl_seconds
        );
        return Err(Failure::new(Exit::Passed(TIME_OVER), text));
    }
    let code = Exit::Passed(u8::try_from(exit.shell_code()).unwrap_or(u8::MAX));
    if exit.out_of_memory && !exit.success() {
        let text = format!(
            "a process was killed at the memory limit of {} MiB",
            card.resource_limits.memory_mb
        );
        return Err(Failure::new(code, text)
            .with_hint("raise resource_limits.memory_mb in the agent ID card"));
    }
    Ok(code)
}

/// Carries streams and signals until the command has ended. The second value: it was ended because its time was over.
async fn carry(
    streams: &mut Streams,
    running: &mut Running,
    signals: &mut Signals,
    ttl_seconds: u64,
) -> Result<(worker_sandbox::Exit, bool), Failure> {
    let killer = running.killer();
    let ended = killer.wait();
    let (input, output) = streams
        .carry(running)
        .map_err(|error| Failure::from_error(Exit::Io, &error))?;
    let work = async { tokio::join!(output, ended).1 };
    let mut timers = Timers::of(ttl_seconds);
    tokio::pin!(input, work);
    let mut input_open = true;
    loop {
        tokio::select! {
            exit = &mut work => return Ok((exit, timers.over)),
            () = &mut input, if input_open => input_open = false,
            signal = signals.next() => timers.on_signal(signal, running),
            () = until(timers.ask) => timers.time_over(running),
            () = until(timers.kill) => {
                killer.kill().await.map_err(|error| sandbox_failure(&error))?;
                timers.kill = None;
            }
        }
    }
}

/// When the command is asked to end, and when it is made to; `None` = not at all.
struct Timers {
    ask: Option<Instant>,
    kill: Option<Instant>,
    /// It was asked because its time was over.
    over: bool,
}

impl Timers {
    fn of(ttl_seconds: u64) -> Self {
        let limit = (ttl_seconds > 0).then(|| Duration::from_secs(ttl_seconds));
        // A time limit beyond the clock's range is none.
        let ask = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self {
            ask,
            kill: None,
            over: false,
        }
    }

    fn time_over(&mut self, running: &Running) {
        self.ask = None;
        self.over = true;
        self.kill.get_or_insert_with(|| Instant::now() + GRACE);
        // It may just have ended.
        let _ended = running.signal(Signal::Terminate.number());
    }

    /// Passes the signal on. Whoever terminates us wants us gone soon; an interrupt is the command's own business.
    fn on_signal(&mut self, signal: Signal, running: &Running) {
        let _ended = running.signal(signal.number());
        if signal.ends() {
            self.kill.get_or_insert_with(|| Instant::now() + GRACE);
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

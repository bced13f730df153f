//! PID 1 of the sandbox: `worker sandbox-init`, run by bubblewrap. It gets its orders over an inherited socket, adds what only the
//! inside can add (landlock, resource limits, the bridge to the gateway), measures and reports what is in force, waits for the
//! supervisor's word, and then starts the agent, forwards signals and reaps. One thread, one poll loop, no allocation per byte.
//! It must not trust the agent: the agent can connect to the bridge and signal PID 1, nothing else.

mod bridge;
mod measure;

pub(crate) use self::measure::namespaces as own_namespaces;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions, kill_process_group, setrlimit,
};

use self::bridge::Bridge;
use crate::protocol::{Ended, FromInit, InitConfig, Step, ToInit, receive, send};
use crate::sys;

/// What the agent's processes may be asked to do from outside, and what a signal to PID 1 becomes.
const FORWARDED: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
/// Exit code when init itself failed; the reason went over the control socket.
const FAILED: u8 = 125;

/// A step and what went wrong in it.
struct Failure(Step, String);

/// Adds the step to an error.
trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T, E: std::fmt::Display> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure(step, error.to_string()))
    }
}

/// Runs as PID 1 and returns the agent's exit code (128 + signal number when a signal ended it, 125 when init failed).
///
/// `arguments` are what bubblewrap appends to [`crate::InitProgram::args`]: the numbers of the control socket and of the agent's
/// stdin, stdout and stderr.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let numbers: Option<Vec<RawFd>> = arguments
        .into_iter()
        .map(|argument| argument.to_str().and_then(|number| number.parse().ok()))
        .collect();
    let Some(Ok([control, stdio @ ..])) = numbers.map(<[RawFd; 4]>::try_from) else {
        return ExitCode::from(FAILED);
    };
    let Ok(control) = close_all_but(control, stdio) else {
        return ExitCode::from(FAILED);
    };
    match run(&control, stdio) {
        Ok(code) => code,
        Err(Failure(step, detail)) => {
            // If the supervisor is gone there is nobody to tell, and the sandbox ends with us anyway.
            let _nobody = send(&control, &FromInit::Failed { step, detail });
            ExitCode::from(FAILED)
        }
    }
}

/// Closes everything that bubblewrap left open besides our four descriptors, before anything else is opened.
fn close_all_but(control: RawFd, stdio: [RawFd; 3]) -> io::Result<UnixStream> {
    let mut keep = vec![control];
    keep.extend(stdio);
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        sys::close_inherited(first, fd - 1)?;
        first = fd + 1;
    }
    sys::close_inherited(first, RawFd::MAX)?;
    sys::close_extra_on_exec()?;
    Ok(UnixStream::from(sys::adopt(control)?))
}

fn run(control: &UnixStream, stdio: [RawFd; 3]) -> Result<ExitCode, Failure> {
    let ToInit::Config(config) = receive(control).at(Step::Prepare)? else {
        return Err(Failure(
            Step::Prepare,
            "the first message is not the configuration".to_owned(),
        ));
    };
    let mut signals = FORWARDED.to_vec();
    signals.push(libc::SIGCHLD);
    let signals = sys::signal_descriptor(&signals).at(Step::Prepare)?;
    limit(Resource::Core, 0).at(Step::Prepare)?;
    limit(Resource::Nofile, config.max_open_files).at(Step::Prepare)?;
    let bridge = match config.gateway_port {
        None => None,
        Some(port) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).at(Step::Bridge)?;
            Some(Bridge::new(listener, config.max_open_files).at(Step::Bridge)?)
        }
    };
    let landlock = crate::landlock::apply(&config.tcp).at(Step::Landlock)?;

    let mut known = vec![control.as_raw_fd(), signals.as_raw_fd()];
    known.extend(stdio);
    known.extend(bridge.as_ref().map(Bridge::descriptor));
    let report = measure::report(landlock, &known).at(Step::Measure)?;
    // Not dumpable: the agent has our user id, but cannot trace us or open our /proc files (prctl(2), PR_SET_DUMPABLE).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::Prepare)?;
    send(control, &FromInit::Report(Box::new(report))).at(Step::Measure)?;
    match receive(control).at(Step::Agent)? {
        ToInit::Go => {}
        ToInit::Config(_) | ToInit::Signal(_) => {
            return Err(Failure(
                Step::Agent,
                "the start was not confirmed".to_owned(),
            ));
        }
    }

    let agent = start(&config, stdio)?;
    send(control, &FromInit::Started).at(Step::Agent)?;
    let end = Loop {
        control,
        signals,
        bridge,
        agent,
    }
    .run()
    .at(Step::Agent)?;
    // If the supervisor is gone, so are we: bubblewrap dies with it and we with bubblewrap.
    let mut out = io::stdout().lock();
    let _nobody = send(&mut out, &end).and_then(|()| out.flush());
    Ok(ExitCode::from(exit_code(&end)))
}

/// Sets soft and hard limit, never above the hard limit that is in force.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let hard = rustix::process::getrlimit(resource)
        .maximum
        .unwrap_or(u64::MAX)
        .min(value);
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(hard),
            maximum: Some(hard),
        },
    )?)
}

fn start(config: &InitConfig, stdio: [RawFd; 3]) -> Result<Pid, Failure> {
    let (program, arguments) = config
        .argv
        .split_first()
        .ok_or_else(|| Failure(Step::Agent, "there is no command".to_owned()))?;
    if !config.cwd.is_dir() {
        return Err(Failure(
            Step::Agent,
            format!(
                "the working directory {} does not exist inside",
                config.cwd.display()
            ),
        ));
    }
    let [stdin, stdout, stderr] = stdio;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&config.env)
        .current_dir(&config.cwd);
    command
        .stdin(descriptor(stdin)?)
        .stdout(descriptor(stdout)?)
        .stderr(descriptor(stderr)?);
    sys::as_agent(&mut command, config.terminal);
    if !config.terminal {
        // A group of its own, so that a signal to the agent reaches its tools as well.
        command.process_group(0);
    }
    let child = command.spawn().at(Step::Agent)?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Failure(Step::Agent, "impossible pid".to_owned()))
}

fn descriptor(number: RawFd) -> Result<Stdio, Failure> {
    Ok(Stdio::from(sys::adopt(number).at(Step::Agent)?))
}

/// The shell's convention: 128 + signal number.
fn exit_code(end: &Ended) -> u8 {
    let code = end.code.unwrap_or_else(|| 128 + end.signal.unwrap_or(0));
    u8::try_from(code).unwrap_or(FAILED)
}

struct Loop<'a> {
    control: &'a UnixStream,
    signals: OwnedFd,
    bridge: Option<Bridge>,
    agent: Pid,
}

impl Loop<'_> {
    /// Until the agent ends. When init returns, the kernel kills all that is left in the PID namespace (pid_namespaces(7)).
    fn run(mut self) -> io::Result<Ended> {
        loop {
            let (signalled, told, ready) = {
                let mut fds = vec![
                    PollFd::new(&self.signals, PollFlags::IN),
                    PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN),
                ];
                if let Some(bridge) = &self.bridge {
                    bridge.interests(&mut fds);
                }
                match poll(&mut fds, None) {
                    Err(rustix::io::Errno::INTR) => continue,
                    other => other?,
                };
                let ready: Vec<PollFlags> = fds[2..].iter().map(PollFd::revents).collect();
                (
                    !fds[0].revents().is_empty(),
                    !fds[1].revents().is_empty(),
                    ready,
                )
            };
            if let Some(bridge) = &mut self.bridge {
                bridge.serve(&ready);
            }
            if told {
                self.obey()?;
            }
            if signalled && let Some(end) = self.signalled() {
                return Ok(end);
            }
        }
    }

    /// One message of the supervisor. Its end of file means that it is gone: then the agent has no business to go on.
    fn obey(&self) -> io::Result<()> {
        match receive(self.control)? {
            ToInit::Signal(number) => self.forward(number),
            ToInit::Config(_) | ToInit::Go => {}
        }
        Ok(())
    }

    fn forward(&self, number: i32) {
        let allowed = FORWARDED.contains(&number)
            || [libc::SIGKILL, libc::SIGWINCH, libc::SIGUSR1, libc::SIGUSR2].contains(&number);
        if allowed && let Some(signal) = Signal::from_named_raw(number) {
            // The agent may just have ended; then its end is reported by the next SIGCHLD.
            let _ended = kill_process_group(self.agent, signal);
        }
    }

    /// Reads pending signals: forwards those that ask to end, reaps on SIGCHLD.
    fn signalled(&self) -> Option<Ended> {
        let mut record = [0; sys::SIGNAL_RECORD];
        while let Ok(length) = rustix::io::read(&self.signals, &mut record) {
            match sys::signal_number(&record[..length]) {
                Some(libc::SIGCHLD) => {}
                Some(number) => self.forward(number),
                None => break,
            }
        }
        self.reap()
    }

    /// Reaps every dead child, orphans included; the agent's own status ends the loop.
    fn reap(&self) -> Option<Ended> {
        let mut end = None;
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == self.agent {
                end = Some(Ended {
                    code: status.exit_status(),
                    signal: status.terminating_signal(),
                });
            }
        }
        end
    }
}

/// Reads what a descriptor has now, for tests and diagnostics of short messages.
pub(crate) fn drain(mut from: impl Read, limit: usize) -> String {
    let mut text = vec![0; limit];
    let mut length = 0;
    while length < limit {
        match from.read(&mut text[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&text[..length]).trim().to_owned()
}

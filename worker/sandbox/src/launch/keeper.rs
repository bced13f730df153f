//! One thread per sandbox: it makes ready, forks bubblewrap, waits for the end and cleans up. A thread of its own since the kernel
//! sends "parent died" when the *thread* that forked ends (prctl(2), PR_SET_PDEATHSIG): forked from a runtime's thread, a sandbox
//! would die with that thread's idle time-out. It must not end before the sandbox is gone and its control group is removed.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::{oneshot, watch};

use super::Machine;
use super::running::{Exit, KILL_LIMIT};
use super::stdio::{Ours, StdioSpec};
use crate::bwrap::{Descriptors, arguments};
use crate::cgroup::{Group, LimitsReport};
use crate::error::SandboxError;
use crate::policy::{Layer, SandboxPolicy};
use crate::protocol::{self, receive};
use crate::report::{Mismatch, Outside};
use crate::sys;

/// The thread needs little: its deepest call is a process start.
const STACK: usize = 256 << 10;
/// bubblewrap's complaint is one line.
const MAX_COMPLAINT: usize = 4096;

/// What the keeper is to do.
pub(super) struct Order {
    pub(super) machine: Arc<Machine>,
    pub(super) policy: SandboxPolicy,
    pub(super) stdio: StdioSpec,
    pub(super) answer: oneshot::Sender<Result<Spawned, SandboxError>>,
}

/// bubblewrap runs.
pub(super) struct Spawned {
    /// Our end of the control socket.
    pub(super) control: UnixStream,
    pub(super) guard: DropGuard,
    /// Comes when init's process is known.
    pub(super) init: oneshot::Receiver<InitProcess>,
    /// Becomes `Some` when all is gone.
    pub(super) exit: watch::Receiver<Option<Ended>>,
    pub(super) ours: Ours,
    pub(super) outside: Outside,
}

/// Init, seen from outside.
pub(super) struct InitProcess {
    pub(super) pid: Pid,
    pub(super) limits: LimitsReport,
}

/// The end of a sandbox.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    /// What bubblewrap or init complained about on stderr; empty as a rule.
    pub(super) complaint: String,
}

/// Kills the sandbox when dropped: a start that is given up and a forgotten [`super::Running`] leave nothing behind.
#[derive(Debug)]
pub(super) struct DropGuard(pub(super) Guard);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Handles on the processes to kill.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    targets: Arc<Mutex<Targets>>,
}

#[derive(Debug, Default)]
struct Targets {
    killed: bool,
    processes: Vec<OwnedFd>,
}

impl Guard {
    fn new() -> Self {
        Self {
            targets: Arc::new(Mutex::new(Targets::default())),
        }
    }

    /// Adds a process; if the order to kill came first, it is killed at once.
    fn add(&self, process: OwnedFd) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if targets.killed {
            let _ended = pidfd_send_signal(&process, Signal::KILL);
        }
        targets.processes.push(process);
    }

    /// SIGKILL to init, with which the kernel kills its whole PID namespace, and to bubblewrap. Does not wait.
    pub(super) fn kill(&self) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.killed = true;
        for process in targets.processes.iter().rev() {
            // Already ended is as good as killed.
            let _ended = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

impl DropGuard {
    /// Kills, waits until nothing is left, and picks the better reason: what bubblewrap said is the cause of a lost connection.
    pub(super) async fn fail(
        self,
        exit: watch::Receiver<Option<Ended>>,
        error: SandboxError,
    ) -> SandboxError {
        let lost = matches!(error, SandboxError::Control(_));
        if !lost {
            self.0.kill();
        }
        let ended = match tokio::time::timeout(KILL_LIMIT, ended(exit)).await {
            Ok(ended) => ended,
            Err(_) => return SandboxError::KillTimeout { limit: KILL_LIMIT },
        };
        if lost && !ended.complaint.is_empty() {
            complaint(ended.complaint)
        } else {
            error
        }
    }
}

/// Waits for the end.
pub(super) async fn ended(mut exit: watch::Receiver<Option<Ended>>) -> Ended {
    match exit.wait_for(Option::is_some).await {
        Ok(ended) => ended.clone(),
        // The keeper's thread died without a word.
        Err(_) => None,
    }
    .unwrap_or(Ended {
        exit: Exit {
            code: None,
            signal: Some(libc::SIGKILL),
            out_of_memory: false,
        },
        complaint: String::new(),
    })
}

/// Recognises a kernel that refuses user namespaces among bubblewrap's complaints.
fn complaint(detail: String) -> SandboxError {
    let refused = [
        "No permissions to create",
        "setting up uid map",
        "Creating new namespace failed",
        "user namespace",
        "loopback: Failed RTM_NEWADDR",
    ];
    if refused.iter().any(|text| detail.contains(text)) {
        SandboxError::NamespacesRefused { detail }
    } else {
        SandboxError::Setup { detail }
    }
}

/// The keeper ended without an answer.
pub(super) fn gone() -> SandboxError {
    SandboxError::Control(io::Error::other(
        "the thread that keeps the sandbox ended early",
    ))
}

/// Starts the thread.
pub(super) fn begin(order: Order) -> Result<(), SandboxError> {
    let thread = std::thread::Builder::new()
        .name("sandbox".to_owned())
        .stack_size(STACK);
    thread
        .spawn(move || keep(order))
        .map(drop)
        .map_err(|source| SandboxError::Prepare {
            step: "the keeper thread",
            source,
        })
}

/// The life of one sandbox, from outside.
fn keep(order: Order) {
    let Order {
        machine,
        policy,
        stdio,
        answer,
    } = order;
    let mut group = Group::create_in(&machine.places, &policy.name, &policy.limits);
    let started = match refuse_without_limits(&policy, &group)
        .and_then(|()| spawn(&machine, &policy, stdio, &mut group))
    {
        Ok(started) => started,
        Err(error) => {
            group.remove();
            // If the caller has given up, there is nothing to undo: nothing runs.
            let _given_up = answer.send(Err(error));
            return;
        }
    };
    let Started {
        mut child,
        status,
        complaints,
        last_word,
        control,
        ours,
        outside,
        guard,
    } = started;
    let (init_known, init) = oneshot::channel();
    let (end, exit) = watch::channel(None);
    let spawned = Spawned {
        control,
        guard: DropGuard(guard.clone()),
        init,
        exit,
        ours,
        outside,
    };
    // If the caller has given up, dropping the answer kills.
    let _given_up = answer.send(Ok(spawned));

    let mut status = BufReader::new(File::from(status));
    let process = find_init(&mut status, &child);
    if let Some((pid, process)) = &process {
        group.confirm(*pid);
        if let Ok(process) = process.try_clone() {
            guard.add(process);
        }
        // The caller may have given up; the guard has been told then.
        let _given_up = init_known.send(InitProcess {
            pid: *pid,
            limits: group.report(),
        });
    } else {
        drop(init_known);
    }
    let outcome = child.wait();
    if let Some((_, process)) = &process {
        // bubblewrap may have been killed before init: all is gone only when init is.
        let _waited = poll(&mut [PollFd::new(process, PollFlags::IN)], None);
    }
    let killed_for_memory = group.out_of_memory_kills() > 0;
    group.remove();
    let exit = exit_of(File::from(last_word), outcome.ok(), killed_for_memory);
    let complaint = crate::init::drain(File::from(complaints), MAX_COMPLAINT);
    if !complaint.is_empty() {
        tracing::debug!(%complaint, "bubblewrap said");
    }
    end.send_replace(Some(Ended { exit, complaint }));
}

/// A control group limit that is required and cannot be had ends the start before anything runs.
fn refuse_without_limits(policy: &SandboxPolicy, group: &Group) -> Result<(), SandboxError> {
    let mismatches: Vec<Mismatch> = [Layer::MemoryLimit, Layer::ProcessLimit, Layer::CpuWeight]
        .into_iter()
        .filter(|layer| policy.required.contains(layer))
        .filter_map(|layer| {
            group.missing(layer).map(|found| Mismatch {
                layer,
                found,
                remedy: crate::doctor::DELEGATION_REMEDY.to_owned(),
            })
        })
        .collect();
    if mismatches.is_empty() {
        Ok(())
    } else {
        Err(SandboxError::NotEnforced { mismatches })
    }
}

struct Started {
    child: Child,
    status: OwnedFd,
    complaints: OwnedFd,
    last_word: OwnedFd,
    control: UnixStream,
    ours: Ours,
    outside: Outside,
    guard: Guard,
}

fn spawn(
    machine: &Machine,
    policy: &SandboxPolicy,
    stdio: StdioSpec,
    group: &mut Group,
) -> Result<Started, SandboxError> {
    let prepare = |step| move |source: io::Error| SandboxError::Prepare { step, source };
    let checked = policy.check()?;
    let outside = Outside {
        namespaces: machine.namespaces.clone(),
        workspace: checked.workspace_identity,
    };
    let (stdio, ours) = stdio.open().map_err(prepare("the agent's streams"))?;
    let (control, theirs) = UnixStream::pair().map_err(prepare("the control socket"))?;
    let pipe = || {
        pipe_with(PipeFlags::CLOEXEC)
            .map_err(io::Error::from)
            .map_err(prepare("a pipe"))
    };
    let (status, status_end) = pipe()?;
    let (complaints, complaints_end) = pipe()?;
    let (last_word, last_word_end) = pipe()?;
    let descriptors = Descriptors {
        control: OwnedFd::from(theirs),
        stdio,
        status: status_end,
    };
    let line = arguments(
        &machine.bwrap,
        policy,
        checked,
        &machine.filter,
        descriptors,
    )
    .map_err(prepare("memory files"))?;

    let mut command = Command::new(machine.bwrap.path());
    command.args(&line.list).env_clear().current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::from(last_word_end))
        .stderr(Stdio::from(complaints_end));
    sys::before_exec(
        &mut command,
        line.keep.iter().map(AsRawFd::as_raw_fd).collect(),
        group.entries(),
    );
    let mut child = command.spawn().map_err(SandboxError::Spawn)?;
    // Our copies of the child's descriptors end here, so that ends of file arrive.
    drop(line);
    drop(command);
    let guard = Guard::new();
    match process_of(child.id()) {
        Ok((_, process)) => guard.add(process),
        Err(source) => {
            let _ended = child.kill();
            let _reaped = child.wait();
            return Err(SandboxError::Prepare {
                step: "a handle on bubblewrap",
                source,
            });
        }
    }
    Ok(Started {
        child,
        status,
        complaints,
        last_word,
        control,
        ours,
        outside,
        guard,
    })
}

fn process_of(number: u32) -> io::Result<(Pid, OwnedFd)> {
    let pid = i32::try_from(number)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("impossible pid"))?;
    Ok((pid, pidfd_open(pid, PidfdFlags::empty())?))
}

/// Reads init's pid from bubblewrap's first status line (`{ "child-pid": N … }`) and opens a handle on it. Pids are reused: only
/// a process whose parent is our bubblewrap is init.
fn find_init(status: &mut impl BufRead, child: &Child) -> Option<(Pid, OwnedFd)> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(rename = "child-pid")]
        child: u32,
    }
    let mut line = String::new();
    status.read_line(&mut line).ok()?;
    let number = serde_json::from_str::<Line>(&line).ok()?.child;
    let (pid, process) = process_of(number).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name in parentheses may hold anything: the state and the parent's pid come after the last ")".
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    (parent == child.id().to_string()).then_some((pid, process))
}

/// How it ended: init's own last word if there is one, else bubblewrap's status.
fn exit_of(last_word: File, status: Option<ExitStatus>, out_of_memory: bool) -> Exit {
    if let Ok(protocol::Ended { code, signal }) = receive(last_word) {
        return Exit {
            code,
            signal,
            out_of_memory,
        };
    }
    let by_signal = status.and_then(|status| status.signal());
    // 128 + 9 from bubblewrap: init was killed, and all with it.
    let init_killed = status.and_then(|status| status.code()) == Some(128 + libc::SIGKILL);
    let signal = if init_killed || status.is_none() {
        Some(libc::SIGKILL)
    } else {
        by_signal
    };
    Exit {
        code: status
            .and_then(|status| status.code())
            .filter(|_| signal.is_none()),
        signal,
        out_of_memory,
    }
}

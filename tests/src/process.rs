//! Runs the programs under test: to their end, or in the background until the test ends.
//!
//! Every child gets its own process group, an environment built from nothing, and files for its output; what is still running
//! when its owner is dropped is killed and awaited. Must not know what the programs do.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use daemon::process::ProcessIdentity;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};

/// Where programs are looked for: the system's own folders, as on a user's machine.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of an output a failing test shows.
const TAIL: usize = 4000;

/// A command with an environment of `PATH`, `HOME` and `LANG` only, in its own process group.
#[must_use]
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .current_dir(home)
        .stdin(Stdio::null())
        .process_group(0);
    command
}

/// The command with its state folder on a disk of `kilobytes`, in a mount namespace of its own. Others see what is on it
/// below `/proc/PID/root`.
#[must_use]
pub fn on_a_small_disk(wanted: &Command, disk: &Path, kilobytes: u32) -> Command {
    let mut small = command(Path::new("/usr/bin/unshare"), disk);
    if !geteuid().is_root() {
        small.arg("--map-root-user");
    }
    let script =
        format!("mount -t tmpfs -o size={kilobytes}k,mode=700 tmpfs \"$0\" && exec \"$@\"");
    small
        .args(["--mount", "/bin/sh", "-c", &script])
        .arg(disk)
        .arg(wanted.get_program())
        .args(wanted.get_args());
    small
}

/// Sets `name value` among arguments, in place of an earlier value.
pub(crate) fn set_argument(arguments: &mut Vec<String>, name: &str, value: &str) {
    if let Some(at) = arguments.iter().position(|argument| argument == name) {
        arguments.drain(at..at + 2);
    }
    arguments.extend([name.to_owned(), value.to_owned()]);
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; 128 + signal when a signal ended it, as shells count.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Checks the exit code.
    ///
    /// # Panics
    /// When it is another; the message has the output.
    #[must_use]
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "stdout:\n{}\nstderr:\n{}",
            tail(&self.stdout),
            tail(&self.stderr)
        );
        self
    }

    /// Checks that standard error says every one of `parts`.
    ///
    /// # Panics
    /// When one is missing.
    #[must_use]
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "stderr does not say {part:?}:\n{}",
                tail(&self.stderr)
            );
        }
        self
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or runs longer than `deadline`; then it is killed with its group.
pub async fn run(mut command: Command, deadline: Duration) -> Finished {
    let task = tokio::task::spawn_blocking(move || {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = child.id();
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).map(|_| bytes)
        });
        let watch = Watch::start(pid, deadline);
        let output = child.wait_with_output().expect("a child can be awaited");
        let in_time = watch.end();
        let stderr = reader
            .join()
            .expect("the reader ends with the pipe")
            .unwrap_or_default();
        let finished = Finished {
            code: code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        };
        assert!(
            in_time,
            "{command:?} ran longer than {deadline:?}: {finished:?}"
        );
        finished
    });
    task.await.expect("the program ran")
}

/// Kills a group when its time is over, unless it ends before.
struct Watch {
    done: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watch {
    fn start(pid: u32, deadline: Duration) -> Self {
        let (done, ended) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let in_time = ended.recv_timeout(deadline).is_ok();
            if !in_time {
                kill_group(pid, Signal::KILL);
            }
            in_time
        });
        Self { done, thread }
    }

    fn end(self) -> bool {
        // The watcher is gone when the time was over; its answer says so.
        let _ = self.done.send(());
        self.thread.join().expect("the watcher does not panic")
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .expect("a program ends by itself or by a signal")
}

fn kill_group(pid: u32, signal: Signal) {
    let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // The group may be gone already, which is what is wanted.
        let _ = kill_process_group(group, signal);
    }
}

/// A program in the background.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Running {
    /// Starts `command`; both its outputs go to one file in `folder`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command, name: &str, folder: &Path) -> Self {
        let output = folder.join(format!("{name}.log"));
        let open = || {
            let mut options = File::options();
            options
                .create(true)
                .append(true)
                .open(&output)
                .expect("the temporary folder is writable")
        };
        let child = command
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            child,
            name: name.to_owned(),
            output,
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process with its start time.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::of(self.pid())
            .unwrap_or_else(|| panic!("{} has ended:\n{}", self.name, self.log()))
    }

    /// The exit code if it has ended.
    ///
    /// # Panics
    /// When the system cannot say.
    pub fn ended(&mut self) -> Option<i32> {
        self.child
            .try_wait()
            .expect("a child can be awaited")
            .map(code)
    }

    /// Everything it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// `kill -9` of this one process, not of what it started; returns when it is gone.
    pub fn kill_hard(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A polite signal; returns the exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn terminate(&mut self, deadline: Duration) -> i32 {
        let _ = self.identity().signal(Signal::TERM);
        let start = Instant::now();
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            assert!(
                start.elapsed() < deadline,
                "{} ignores SIGTERM for {deadline:?}:\n{}",
                self.name,
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill_group(self.pid(), Signal::KILL);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, tail(&self.log()));
        }
    }
}

/// The end of a long text.
#[must_use]
pub fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

//! The tasks that are being worked on or wait for it, so that a cancel and a second message find them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Messages that may wait for one task's turn.
const MAX_INBOX: usize = 16;

/// One task being worked on.
#[derive(Debug)]
pub(super) struct Run {
    task: String,
    /// Cancelled to stop the work.
    pub(super) cancel: CancellationToken,
    /// Cancelled when the work has ended and nothing of it runs any more.
    pub(super) done: CancellationToken,
    inbox: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    messages: VecDeque<String>,
    closed: bool,
}

impl Run {
    /// A further message for the task that came while it was being worked on. None: the run takes no more.
    pub(super) fn next_message(&self) -> Option<String> {
        let mut inbox = self.inbox();
        let message = inbox.messages.pop_front();
        inbox.closed = message.is_none();
        message
    }

    fn inbox(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a message went.
#[derive(Debug)]
pub(super) enum Enlisted {
    /// Its task was idle: the caller does the work.
    New(Arc<Run>),
    /// Its task is being worked on: the worker of that run takes it up.
    Joined(Arc<Run>),
    /// Its task's run takes no more messages and is about to end: try again then.
    Ending(Arc<Run>),
    /// Its task has too many messages waiting.
    Full,
}

/// All runs by task id.
#[derive(Debug, Default)]
pub(super) struct Runs {
    running: Mutex<HashMap<String, Arc<Run>>>,
}

/// Takes a run off the list when the work ends, however it ends.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    runs: &'a Runs,
    run: &'a Run,
}

impl Runs {
    pub(super) fn len(&self) -> usize {
        self.running().len()
    }

    pub(super) fn find(&self, task: &str) -> Option<Arc<Run>> {
        self.running().get(task).cloned()
    }

    /// Makes a run of a message, or gives the message to the run of its task.
    pub(super) fn enlist(&self, task: &str, text: &str) -> Enlisted {
        let mut running = self.running();
        if let Some(run) = running.get(task) {
            let mut inbox = run.inbox();
            if inbox.closed {
                return Enlisted::Ending(Arc::clone(run));
            }
            if inbox.messages.len() >= MAX_INBOX {
                return Enlisted::Full;
            }
            inbox.messages.push_back(text.to_owned());
            return Enlisted::Joined(Arc::clone(run));
        }
        let run = Arc::new(Run {
            task: task.to_owned(),
            cancel: CancellationToken::new(),
            done: CancellationToken::new(),
            inbox: Mutex::default(),
        });
        running.insert(task.to_owned(), Arc::clone(&run));
        Enlisted::New(run)
    }

    pub(super) fn leave_when_dropped<'a>(&'a self, run: &'a Run) -> Leave<'a> {
        Leave { runs: self, run }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Run>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.runs.running().remove(&self.run.task);
        self.run.done.cancel();
    }
}

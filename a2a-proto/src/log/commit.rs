//! From queued appends to stored, published events: takes what is queued for the tasks at the desk, decides about each
//! append, stores everything in one transaction, publishes, answers. Conditions are checked here, against the state
//! that everything before has led to, so there is no other place where two appends could race. Decisions are made
//! before the commit and published after it, so undoing a failed commit means forgetting them.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::cell::{Append, Events, Load, TaskCell};
use super::desk::Role;
use super::shared::{Shared, lock};
use super::storage::{Batch, CommitError, MAX_SEQ, Pace, Patience, Prepared, TaskBatch, TaskKey};
use super::{LogError, Snapshot};
use crate::types::TaskState;

/// An ended task with no more events than this is read back by applying them, in well under a millisecond; for a longer
/// one the final aggregate is kept, so that reading it costs what its size costs and not what its history does.
const REPLAYED: u64 = 256;

/// A commit with so many events is large enough: with more, everybody would wait longer for little gain.
const TOGETHER: usize = 256;

/// A thread that has other work commits for others no longer than this; then the log's thread goes on.
const HERE: Duration = Duration::from_millis(1);

type Reply = oneshot::Sender<Result<u64, LogError>>;

/// One task within the commit being built.
struct Entry {
    cell: Arc<TaskCell>,
    /// The position of its events in the batch.
    index: usize,
    /// Who waits, for which of the events, and the answer if they are stored.
    replies: Vec<(Reply, Range<usize>, Result<u64, LogError>)>,
    /// What was taken from the queue.
    load: Load,
    ended: bool,
}

/// Commits on the calling thread until nobody waits for anything.
pub(super) fn here(shared: &Shared, mut role: Role<'_>) {
    let mut committer = lock(&shared.committer);
    let begin = Instant::now();
    loop {
        let pace = committer.step(shared, &role, Patience::Short);
        let stop = pace == Pace::Slow || begin.elapsed() > HERE;
        if !role.next(
            pace,
            committer.has_rest(),
            committer.has_leftover(shared),
            stop,
        ) {
            break;
        }
    }
    drop(committer);
    shared.registry.trim();
}

/// What the log's thread does: it runs until the log is closed and everything queued is committed.
pub(super) fn run(shared: &Shared) {
    while let Some(mut role) = shared.desk.wait(shared.options.linger) {
        let work = AssertUnwindSafe(|| {
            let mut committer = lock(&shared.committer);
            if shared.desk.is_broken() {
                *committer = Committer::default();
                drop(role.take());
                shared.registry.abandon();
            }
            loop {
                let pace = committer.step(shared, &role, Patience::Long);
                if !role.next(
                    pace,
                    committer.has_rest(),
                    committer.has_leftover(shared),
                    false,
                ) {
                    break;
                }
            }
        });
        // The role closes the log if this panics; the next round tells everybody.
        if std::panic::catch_unwind(work).is_err() {
            tracing::error!("the task log has panicked and is closed");
        }
        shared.registry.trim();
    }
}

/// What is kept between two commits.
#[derive(Default)]
pub(super) struct Committer {
    /// Taken from the desk, not from their queues yet.
    cells: Vec<Arc<TaskCell>>,
    /// Decided about, but the store was busy.
    staged: Option<(Batch, Vec<Entry>)>,
    /// Final aggregates of long tasks that ended in the commit before; they ride with the next one, or go when it is
    /// quiet.
    finals: Vec<(TaskKey, Snapshot)>,
    /// Emptied queues, for the next round.
    spare: Vec<Vec<Append>>,
    /// The last commit found no space; that is said once.
    full: bool,
    /// The last commit failed.
    failed: bool,
}

impl Committer {
    fn has_rest(&self) -> bool {
        self.staged.is_some() || !self.cells.is_empty()
    }

    /// Whether there is something to store when it is quiet. What the store puts off is not tried again and again when it
    /// fails: the next commit that is made brings it back.
    fn has_leftover(&self, shared: &Shared) -> bool {
        !self.finals.is_empty() || !self.failed && shared.storage.has_more()
    }

    /// Makes one commit.
    fn step(&mut self, shared: &Shared, role: &Role<'_>, patience: Patience) -> Pace {
        let (batch, entries) = match self.staged.take() {
            Some(staged) => staged,
            None => {
                if self.cells.is_empty() {
                    self.cells = role.take();
                    // Taken from the end, and who came first is first.
                    self.cells.reverse();
                }
                self.stage_some()
            }
        };
        let begin = Instant::now();
        let pace = self.store(shared, batch, entries, patience);
        if begin.elapsed() > shared.options.slow {
            Pace::Slow
        } else {
            pace
        }
    }

    /// Decides about what is queued for as many tasks as go into one commit.
    fn stage_some(&mut self) -> (Batch, Vec<Entry>) {
        let mut batch = Batch {
            tasks: Vec::with_capacity(self.cells.len()),
            finals: std::mem::take(&mut self.finals),
        };
        let mut entries = Vec::with_capacity(self.cells.len());
        let mut events = 0;
        while events < TOGETHER
            && let Some(cell) = self.cells.pop()
        {
            let entry = self.stage(cell, &mut batch);
            events += entry.load.events;
            entries.push(entry);
        }
        (batch, entries)
    }

    /// Stores one batch, then publishes it and answers.
    fn store(
        &mut self,
        shared: &Shared,
        mut batch: Batch,
        mut entries: Vec<Entry>,
        patience: Patience,
    ) -> Pace {
        let mut pace = Pace::Quick;
        loop {
            let nothing = batch.tasks.iter().all(TaskBatch::is_empty) && batch.finals.is_empty();
            let quiet = batch.tasks.is_empty() && patience == Patience::Long;
            if nothing && !(quiet && shared.storage.has_more()) {
                break;
            }
            match shared.storage.commit(&batch, patience) {
                Ok(now) => {
                    self.failed = false;
                    if std::mem::take(&mut self.full) {
                        tracing::info!("there is space for the task log again");
                    }
                    pace = now;
                    break;
                }
                Err(CommitError::Busy) => {
                    self.staged = Some((batch, entries));
                    return Pace::Slow;
                }
                Err(CommitError::Duplicate(index)) => {
                    // That one task is refused, the others are innocent: once more without it.
                    if let Some(task) = batch.tasks.get_mut(index) {
                        task.clear();
                    }
                    for entry in entries.iter_mut().filter(|entry| entry.index == index) {
                        entry.fail(&LogError::Duplicate);
                    }
                }
                Err(CommitError::Failed(error)) => {
                    self.failed = true;
                    let full = matches!(error, LogError::Full { .. });
                    if !std::mem::replace(&mut self.full, full) || !full {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "cannot store events"
                        );
                    }
                    // Space can come back, and events that nobody waits for can wait for it. Losing a final
                    // aggregate loses nothing but speed: the events are there.
                    let keep = full && !shared.desk.is_closed();
                    for entry in &mut entries {
                        let events = batch
                            .tasks
                            .get_mut(entry.index)
                            .map(|task| &mut task.events);
                        let events = events.map(std::mem::take).unwrap_or_default();
                        entry.fail(&error);
                        entry.lose(events, keep, &error);
                    }
                    batch.tasks.iter_mut().for_each(TaskBatch::clear);
                    break;
                }
            }
        }
        for entry in entries {
            let Some(task) = batch.tasks.get_mut(entry.index) else {
                continue;
            };
            if !task.events.is_empty() {
                entry.cell.publish(std::mem::take(&mut task.events));
                let ended = entry.ended.then(|| entry.cell.snapshot());
                if let Some(ended) = ended.filter(|ended| ended.seq > REPLAYED) {
                    self.finals.push((entry.cell.meta.key, ended));
                }
            }
            entry.cell.free(entry.load);
            for (reply, _, result) in entry.replies {
                // Whoever does not wait any more does not need the answer.
                let _ = reply.send(result);
            }
        }
        pace
    }

    /// Decides about everything that is queued for one task.
    fn stage(&mut self, cell: Arc<TaskCell>, batch: &mut Batch) -> Entry {
        let mut appends = cell.take(self.spare.pop().unwrap_or_default());
        let committed = cell.committed();
        let (mut seq, mut state) = (committed.seq, committed.state);
        let mut task = TaskBatch {
            meta: Arc::clone(&cell.meta),
            create: false,
            first_seq: seq + 1,
            events: Vec::with_capacity(appends.len()),
            status: None,
            push: Vec::new(),
        };
        let mut replies = Vec::new();
        let mut load = Load::default();
        for append in appends.drain(..) {
            let result = if append.create && seq == 0 {
                task.create = true;
                Ok(())
            } else {
                check(append.expect, seq, state, append.events.as_slice())
            };
            load = load.plus(append.load());
            let begin = task.events.len();
            let result = result.map(|()| {
                if let Some(write) = append.push {
                    write.stage(&mut task.push, seq);
                }
                let mut take = |prepared: Prepared| {
                    seq += 1;
                    if let Some(status) = prepared.change.status() {
                        state = status.0;
                        task.status = Some(status);
                    }
                    task.events.push(prepared);
                };
                match append.events {
                    Events::One(prepared) => take(prepared),
                    Events::Many(events) => events.into_iter().for_each(take),
                }
                seq
            });
            match append.reply {
                Some(reply) => replies.push((reply, begin..task.events.len(), result)),
                // Its sender went on; the terminal state that refused it is what the next append will be told.
                None => {
                    if let Err(error) = result {
                        tracing::debug!(task = %cell.meta.id, %error, "an event came too late");
                    }
                }
            }
        }
        self.spare.push(appends);
        let ended = state.is_terminal();
        batch.tasks.push(task);
        Entry {
            cell,
            index: batch.tasks.len() - 1,
            replies,
            load,
            ended,
        }
    }
}

impl Entry {
    /// Turns every success that was not stored after all into `error`.
    fn fail(&mut self, error: &LogError) {
        for (_, _, result) in &mut self.replies {
            if result.is_ok() {
                *result = Err(error.clone());
            }
        }
        if self.cell.committed().seq == 0 {
            self.cell.shared.registry.remove(&self.cell.meta.id);
        }
    }

    /// Those of the `events` that nobody waits for are put back, to be tried again when there is space, or their loss is
    /// told to whoever appends next.
    fn lose(&mut self, events: Vec<Prepared>, keep: bool, error: &LogError) {
        let mut watched = self
            .replies
            .iter()
            .map(|(_, range, _)| range.clone())
            .peekable();
        let unwatched: Vec<Prepared> = (0..)
            .zip(events)
            .filter(|(index, _)| {
                while watched.next_if(|range| range.end <= *index).is_some() {}
                !watched.peek().is_some_and(|range| range.contains(index))
            })
            .map(|(_, event)| event)
            .collect();
        if unwatched.is_empty() {
            return;
        }
        if !keep {
            self.cell.lose(error.clone());
            return;
        }
        // They use their room on.
        self.load = self.load.less(Load::of(&unwatched));
        let first = self.cell.put_back(unwatched, error.clone());
        if first {
            self.cell.shared.desk.hold(Arc::clone(&self.cell));
        }
    }
}

/// Whether events may follow a task in `state` after event `seq`, and each other.
fn check(
    expect: super::Expect,
    seq: u64,
    state: TaskState,
    events: &[Prepared],
) -> Result<(), LogError> {
    // An append without events only waits for those before it.
    let Some((_, but_last)) = events.split_last() else {
        return Ok(());
    };
    expect.check(seq, state)?;
    if but_last.iter().any(|prepared| prepared.change.ends()) {
        return Err(LogError::Refused {
            reason: "events follow a terminal one",
        });
    }
    if seq + events.len() as u64 > MAX_SEQ {
        return Err(LogError::Refused {
            reason: "the task has as many events as a task can have",
        });
    }
    Ok(())
}

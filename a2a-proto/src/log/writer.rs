//! The one thread that commits. It takes what is queued for every task, decides by compare-and-set which appends
//! hold, stores them all in one transaction, and only then publishes and answers. States and numbers that are not
//! committed exist in this file alone, so undoing a failed commit means forgetting them.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::cell::{Append, Events, TaskCell};
use super::shared::Shared;
use super::storage::{Batch, CommitError, MAX_SEQ, Prepared, TaskBatch, TaskKey};
use super::{LogError, Snapshot};
use crate::types::TaskState;

/// An ended task with no more events than this is read back by applying them, in well under a millisecond; for a longer
/// one the final aggregate is kept, so that reading it costs what its size costs and not what its history does.
const REPLAYED: u64 = 256;

/// A commit with so many events is large enough: with more, everybody would wait longer for little gain.
const TOGETHER: usize = 256;

type Reply = oneshot::Sender<Result<u64, LogError>>;

/// One task within the commit being built.
struct Entry {
    cell: Arc<TaskCell>,
    /// The position of its events in the batch.
    index: usize,
    replies: Vec<(Reply, Result<u64, LogError>)>,
    /// Something was stored for which nobody waits.
    unwatched: bool,
    ended: bool,
}

/// Runs until the log is closed and everything queued is committed.
pub(super) fn run(shared: &Shared) {
    let mut writer = Writer {
        shared,
        finals: Vec::new(),
        spare: Vec::new(),
    };
    while let Some(dirty) = shared.next_work(!writer.finals.is_empty()) {
        writer.commit(dirty);
        shared.registry.trim();
    }
    writer.commit(Vec::new());
}

struct Writer<'a> {
    shared: &'a Shared,
    /// Final aggregates of long tasks that ended in the commit before; they ride with the next one, or go when it is
    /// quiet.
    finals: Vec<(TaskKey, Snapshot)>,
    /// Emptied queues, for the next round.
    spare: Vec<Vec<Append>>,
}

impl Writer<'_> {
    /// Commits what is queued for these tasks, and the finals.
    fn commit(&mut self, dirty: Vec<Arc<TaskCell>>) {
        let mut cells = dirty.into_iter();
        loop {
            let mut batch = Batch {
                tasks: Vec::with_capacity(cells.len()),
                finals: std::mem::take(&mut self.finals),
            };
            let mut entries = Vec::with_capacity(cells.len());
            let mut events = 0;
            for cell in cells.by_ref() {
                let entry = self.stage(cell, &mut batch);
                events += batch.tasks.last().map_or(0, |task| task.events.len());
                entries.push(entry);
                if events >= TOGETHER {
                    break;
                }
            }
            self.store(batch, entries);
            if cells.len() == 0 {
                return;
            }
        }
    }

    /// Stores one batch, then publishes it and answers.
    fn store(&mut self, mut batch: Batch, mut entries: Vec<Entry>) {
        loop {
            if batch.tasks.iter().all(TaskBatch::is_empty) && batch.finals.is_empty() {
                break;
            }
            match self.shared.storage.commit(&batch) {
                Ok(()) => break,
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
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "cannot store events"
                    );
                    entries.iter_mut().for_each(|entry| entry.fail(&error));
                    // Losing a final aggregate loses nothing but speed: the events are there.
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
            for (reply, result) in entry.replies {
                // Whoever does not wait any more does not need the answer.
                let _ = reply.send(result);
            }
        }
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
        let mut unwatched = false;
        for append in appends.drain(..) {
            let result = if append.create && seq == 0 {
                task.create = true;
                Ok(())
            } else {
                check(append.expect, seq, state, append.events.as_slice())
            };
            let result = result.map(|()| {
                unwatched |= append.reply.is_none() && append.events.len() > 0;
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
                Some(reply) => replies.push((reply, result)),
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
            unwatched,
            ended,
        }
    }
}

impl Entry {
    /// Turns every success that was not stored after all into `error`.
    fn fail(&mut self, error: &LogError) {
        for (_, result) in &mut self.replies {
            if result.is_ok() {
                *result = Err(error.clone());
            }
        }
        if self.unwatched {
            self.cell.lose(error.clone());
        }
        if self.cell.committed().seq == 0 {
            self.cell.shared.registry.remove(&self.cell.meta.id);
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
    if !expect.holds(state) {
        return Err(LogError::Conflict { actual: state });
    }
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

//! A worker of the simulation: it does its script, numbers what it reports in a log that outlives it, and hears messages.
//! It knows nothing of the captain; what happens to it is the world's doing.

use crate::event::JobEvent;
use crate::ids::{Attempt, SubtaskId};
use crate::job::WorkerTask;
use crate::machine::tests::artifact;
use crate::outcome::Outcome;

use super::Chance;

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) subtask: SubtaskId,
    pub(super) attempt: Attempt,
    /// Its process runs.
    pub(super) alive: bool,
    /// The captain can reach it.
    pub(super) reachable: bool,
    /// What it reported; the first has number 1.
    pub(super) log: Vec<JobEvent>,
    /// It has its prompt.
    pub(super) prompted: bool,
    /// It waits for an answer.
    waiting: bool,
    /// It said its last word.
    pub(super) done: bool,
    /// Messages that it has, by number.
    pub(super) told: Vec<u32>,
}

impl Worker {
    pub(super) fn new(subtask: SubtaskId, attempt: Attempt) -> Self {
        Self {
            subtask,
            attempt,
            alive: true,
            reachable: true,
            log: Vec::new(),
            prompted: false,
            waiting: false,
            done: false,
            told: Vec::new(),
        }
    }

    /// Whether it could still change anything.
    pub(super) fn could_deliver(&self) -> bool {
        self.alive && !self.done
    }

    pub(super) fn take_prompt(&mut self) {
        if self.alive && !self.prompted {
            self.prompted = true;
            let (subtask, attempt) = (self.subtask.clone(), self.attempt);
            let task = WorkerTask {
                task: "t".to_owned(),
                context: "c".to_owned(),
            };
            self.log.push(JobEvent::WorkerAccepted {
                subtask,
                attempt,
                task,
            });
        }
    }

    /// Hears a message. Each is heard once, because it carries its number.
    pub(super) fn hear(&mut self, number: u32) {
        if !self.told.contains(&number) {
            self.told.push(number);
            if self.waiting && !self.done {
                self.waiting = false;
                let (subtask, attempt) = (self.subtask.clone(), self.attempt);
                self.log.push(JobEvent::InputResolved { subtask, attempt });
            }
        }
    }

    /// Does the next thing.
    pub(super) fn work(&mut self, chance: &mut Chance, fair: bool) {
        if !self.alive || !self.prompted || self.done {
            return;
        }
        let (subtask, attempt) = (self.subtask.clone(), self.attempt);
        let number = self.log.len();
        if self.waiting {
            // Its question times out closed at last.
            if fair || chance.one_in(20) {
                self.end(Outcome::Failed {
                    message: "nobody answered".to_owned(),
                });
            }
            return;
        }
        match chance.below(if fair { 4 } else { 12 }) {
            0 => {
                let outcome = match chance.below(if fair { 2 } else { 8 }) {
                    0 if !fair => Outcome::Failed {
                        message: "no".to_owned(),
                    },
                    1 if !fair => Outcome::ModelFailed {
                        message: "503".to_owned(),
                    },
                    2 if !fair => Outcome::Refused {
                        message: "no".to_owned(),
                    },
                    _ => Outcome::Completed,
                };
                self.end(outcome);
            }
            1 if !fair => {
                self.waiting = true;
                self.log.push(JobEvent::InputRequired {
                    subtask,
                    attempt,
                    question: format!("which {number}?"),
                });
            }
            2 => self.log.push(JobEvent::ArtifactMade {
                subtask,
                attempt,
                artifact: artifact("a", number as u64),
            }),
            _ => self.log.push(JobEvent::AgentText {
                subtask,
                attempt,
                text: format!("word {number}"),
            }),
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.done = true;
        self.log.push(JobEvent::AttemptEnded {
            subtask: self.subtask.clone(),
            attempt: self.attempt,
            outcome,
        });
    }
}

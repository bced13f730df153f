//! Random plans and random orders of events, with repeats, late reports, losses and cancels at any moment, against the
//! facts that must always hold.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::Outside;
use super::tests::{ROOM, artifact, commit, job_id, spec_of};
use crate::effect::Effect;
use crate::event::JobEvent;
use crate::ids::{Attempt, SubtaskId};
use crate::job::{Job, JobState, SubtaskState, WorkerTask};
use crate::outcome::{Conflict, FailReason, JobResult, Outcome, StopReason};
use crate::plan::{PlanSpec, SubtaskLimits, SubtaskSpec};
use crate::schedule;

#[derive(Debug, Clone, Copy)]
enum Action {
    /// One of the outstanding effects is answered in one of the possible ways.
    Answer(usize, u8),
    /// An event that was stored before is reported again.
    Repeat(usize),
    /// The attempt before the present one reports.
    Late(usize, u8),
    /// Time passes, in seconds.
    Wait(u16),
    /// Somebody says something, to a subtask or to all.
    Say(usize, bool),
    /// Somebody cancels.
    Cancel,
    /// The room left over all jobs changes.
    Slots(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (any::<usize>(), any::<u8>()).prop_map(|(which, how)| Action::Answer(which, how)),
        2 => any::<usize>().prop_map(Action::Repeat),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(which, how)| Action::Late(which, how)),
        2 => (0_u16..100).prop_map(Action::Wait),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, one)| Action::Say(which, one)),
        1 => (0_u8..8).prop_map(|n| if n == 0 { Action::Cancel } else { Action::Slots(usize::from(n)) }),
        1 => Just(Action::Slots(0)),
    ]
}

/// Edges go from earlier to later subtasks only, by the bits of `edges`.
fn plan() -> impl Strategy<Value = PlanSpec> {
    vec(
        (
            any::<u8>(),
            prop::option::of(1_u64..50),
            prop::option::of(1_u32..4),
        ),
        1..7,
    )
    .prop_map(|subtasks| {
        let one =
            |(i, (edges, time_seconds, attempts)): (usize, (u8, Option<u64>, Option<u32>))| {
                SubtaskSpec {
                    id: format!("s{i}"),
                    prompt: "work".to_owned(),
                    depends_on: (0..i)
                        .filter(|j| edges >> j & 1 == 1)
                        .map(|j| format!("s{j}"))
                        .collect(),
                    limits: SubtaskLimits {
                        time_seconds,
                        attempts,
                        ..SubtaskLimits::default()
                    },
                    ..SubtaskSpec::default()
                }
            };
        PlanSpec {
            subtasks: subtasks.into_iter().enumerate().map(one).collect(),
        }
    })
}

struct World {
    job: Job,
    log: Vec<(Timestamp, JobEvent)>,
    now: Timestamp,
    slots: usize,
    outstanding: Vec<Effect>,
}

impl World {
    fn new(plan: PlanSpec, max_parallel: u32, time_seconds: Option<u64>) -> Self {
        let mut spec = spec_of(plan);
        spec.limits.max_parallel = Some(max_parallel);
        spec.limits.time_seconds = time_seconds;
        let now = Timestamp::UNIX_EPOCH;
        let first = JobEvent::JobSubmitted { spec };
        let (job, outstanding) = Job::create(job_id(), now, &first).unwrap();
        Self {
            job,
            log: vec![(now, first)],
            now,
            slots: 3,
            outstanding,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Answer(which, how) => self.answer(which, how),
            Action::Repeat(which) => {
                let event = self.log[which % self.log.len()].1.clone();
                self.report(&event);
            }
            Action::Late(which, how) => {
                let ids: Vec<SubtaskId> =
                    self.job.subtasks().map(|(id, _, _)| id.clone()).collect();
                let Some(subtask) = ids.get(which % ids.len().max(1)).cloned() else {
                    return;
                };
                let Some(last) = self.job.subtask(&subtask).and_then(|one| one.current()) else {
                    return;
                };
                if let Some(before) = last.attempt.0.checked_sub(1) {
                    let event = ended(&subtask, Attempt(before), how);
                    assert!(
                        self.job.clone().apply(self.now, &event).is_err(),
                        "{event:?}"
                    );
                }
            }
            Action::Wait(seconds) => {
                self.now = crate::job::after(self.now, u64::from(seconds));
                self.settle();
            }
            Action::Say(which, one) => {
                let ids: Vec<SubtaskId> =
                    self.job.subtasks().map(|(id, _, _)| id.clone()).collect();
                let message = u32::try_from(self.job.messages().len()).unwrap() + 1;
                self.report(&JobEvent::MessageReceived {
                    message,
                    from: "ann".to_owned(),
                    text: "do it so".to_owned(),
                    id: None,
                    subtask: ids.get(which % ids.len().max(1)).filter(|_| one).cloned(),
                });
            }
            Action::Cancel => {
                self.report(&JobEvent::JobCancelRequested {
                    reason: StopReason::User {
                        by: "ann".to_owned(),
                    },
                });
            }
            Action::Slots(slots) => {
                self.slots = slots;
                self.settle();
            }
        }
        self.check();
    }

    fn answer(&mut self, which: usize, how: u8) {
        if self.outstanding.is_empty() {
            return;
        }
        let which = which % self.outstanding.len();
        let effect = self.outstanding[which].clone();
        let (event, over) = answer_to(&effect, how, &self.job);
        if over {
            self.outstanding.remove(which);
        }
        if let Some(event) = event {
            self.report(&event);
        }
    }

    fn report(&mut self, event: &JobEvent) {
        let before = self.job.clone();
        match self.job.apply(self.now, event) {
            Ok(effects) => {
                assert!(
                    !before.state().is_terminal(),
                    "{event:?} moved a job that had ended"
                );
                self.outstanding.extend(effects);
                self.log.push((self.now, event.clone()));
            }
            Err(_) => assert_eq!(
                self.job, before,
                "{event:?} was refused and still changed the job"
            ),
        }
        self.settle();
    }

    fn settle(&mut self) {
        let mut steps = 0;
        let outside = Outside {
            slots: self.slots,
            ..ROOM
        };
        while let Some(event) = self.job.decide(self.now, outside) {
            if let JobEvent::SubtaskStarted { subtask, .. } = &event {
                let plan = self.job.plan().unwrap();
                for dependency in plan.dependencies(subtask) {
                    let state = &self.job.subtask(dependency).unwrap().state;
                    assert!(
                        matches!(state, SubtaskState::Done { .. }),
                        "{subtask} started before {dependency}"
                    );
                }
            }
            let effects = self.job.apply(self.now, &event).unwrap();
            self.outstanding.extend(effects);
            self.log.push((self.now, event));
            steps += 1;
            assert!(steps < 100, "decisions never end");
        }
    }

    fn check(&self) {
        let job = &self.job;
        assert!(schedule::active(job) <= job.max_parallel());
        let pending = job.pending_effects();
        for effect in &pending {
            assert!(
                self.outstanding.contains(effect),
                "a restart would owe {effect:?}, which nobody owes now"
            );
        }
        let waits_for_room = self.slots == 0 && *job.state() == JobState::Running;
        let goes_on =
            job.state().is_terminal() || !pending.is_empty() || job.wakeup(self.now).is_some();
        assert!(goes_on || waits_for_room, "stuck in {:?}", job.state());
        if job.state().is_terminal() {
            assert!(
                job.subtasks().all(|(_, _, one)| one.state.is_terminal()),
                "ended with work left"
            );
        }
    }

    /// Everybody answers at last, well or not.
    fn finish(&mut self, how: u8) {
        self.act(Action::Slots(2));
        for _ in 0..2000 {
            if self.job.state().is_terminal() {
                return;
            }
            if self.outstanding.is_empty() {
                self.act(Action::Wait(60));
            } else {
                self.act(Action::Answer(self.outstanding.len() - 1, how));
            }
        }
        panic!("the job never ends: {:?}", self.job);
    }
}

/// An answer to an effect, and whether it is the last one.
fn answer_to(effect: &Effect, how: u8, job: &Job) -> (Option<JobEvent>, bool) {
    let event = match effect {
        Effect::MakePlan => {
            let crate::job::PlanSource::Given { plan } = &job.spec().plan else {
                unreachable!()
            };
            if how.is_multiple_of(16) {
                JobEvent::PlanRejected {
                    problems: vec!["no".to_owned()],
                }
            } else {
                JobEvent::JobPlanned {
                    revision: 1,
                    plan: plan.clone(),
                }
            }
        }
        Effect::Prepare {
            subtask, attempt, ..
        } if how.is_multiple_of(16) => ended(subtask, *attempt, 6),
        Effect::Prepare {
            subtask, attempt, ..
        } => JobEvent::SubtaskPrepared {
            subtask: subtask.clone(),
            attempt: *attempt,
            base: commit(0),
            workspace: "w".to_owned(),
        },
        Effect::Launch { subtask, attempt } if how.is_multiple_of(4) => {
            ended(subtask, *attempt, how / 4 % 2 + 4)
        }
        Effect::Launch { subtask, attempt } => JobEvent::WorkerLaunched {
            subtask: subtask.clone(),
            attempt: *attempt,
            worker: crate::WorkerId::of(job.id(), subtask, *attempt),
            endpoint: "http://w".to_owned(),
        },
        Effect::Send { subtask, attempt } => return from_worker(subtask, *attempt, how),
        Effect::Tell {
            subtask,
            attempt,
            message,
            ..
        } => JobEvent::MessageDelivered {
            subtask: subtask.clone(),
            attempt: *attempt,
            message: *message,
            problem: how.is_multiple_of(4).then(|| "refused".to_owned()),
        },
        Effect::Merge { subtask, attempt } if how.is_multiple_of(16) => ended(subtask, *attempt, 6),
        Effect::Merge { subtask, attempt } => JobEvent::SubtaskMerged {
            subtask: subtask.clone(),
            attempt: *attempt,
            commit: commit(how),
            files: vec!["f".to_owned()],
        },
        Effect::CancelAttempt { subtask, attempt } => JobEvent::WorkerStopped {
            subtask: subtask.clone(),
            attempt: *attempt,
            unconfirmed: None,
        },
        Effect::Fence { subtask, attempt } if how % 12 == 7 => {
            let message = "the platform does not answer".to_owned();
            let (subtask, attempt) = (subtask.clone(), *attempt);
            let event = JobEvent::WorkerNotFenced {
                subtask,
                attempt,
                message,
            };
            return (Some(event), false);
        }
        Effect::Fence { subtask, attempt } => JobEvent::WorkerFenced {
            subtask: subtask.clone(),
            attempt: *attempt,
        },
        Effect::StopWorker { .. } => return (None, true),
        Effect::Finish { .. } if how.is_multiple_of(4) => {
            let reason = FailReason::Workspace {
                message: "full".to_owned(),
            };
            JobEvent::JobFailed {
                message: reason.to_string(),
                reason,
            }
        }
        Effect::Finish { leaves } => {
            assert!(!leaves.is_empty());
            let result = JobResult {
                commit: commit(how),
                branch: "result".to_owned(),
                files: Vec::new(),
            };
            JobEvent::JobCompleted { result }
        }
    };
    (Some(event), true)
}

fn from_worker(subtask: &SubtaskId, attempt: Attempt, how: u8) -> (Option<JobEvent>, bool) {
    let (subtask_, subtask) = (subtask, subtask.clone());
    let event = match how % 12 {
        0 | 1 => return (Some(ended(subtask_, attempt, how / 12)), true),
        2 => JobEvent::WorkerAccepted {
            subtask,
            attempt,
            task: WorkerTask {
                task: "t".to_owned(),
                context: "c".to_owned(),
            },
        },
        3 => JobEvent::WorkerUnreachable {
            subtask,
            attempt,
            message: "refused".to_owned(),
        },
        4 => JobEvent::WorkerReachable { subtask, attempt },
        5 => JobEvent::InputRequired {
            subtask,
            attempt,
            question: "which?".to_owned(),
        },
        6 => JobEvent::InputResolved { subtask, attempt },
        7 => JobEvent::ArtifactMade {
            subtask,
            attempt,
            artifact: artifact("a", 3),
        },
        9 => JobEvent::WorkerGone {
            subtask,
            attempt,
            message: "killed".to_owned(),
        },
        8 => JobEvent::AgentText {
            subtask,
            attempt,
            text: "hm".to_owned(),
        },
        _ => JobEvent::WorkerReady { subtask, attempt },
    };
    (Some(event), false)
}

fn ended(subtask: &SubtaskId, attempt: Attempt, how: u8) -> JobEvent {
    let message = "why".to_owned();
    let outcome = match how % 8 {
        0 | 1 => Outcome::Completed,
        2 => Outcome::ModelFailed { message },
        3 => Outcome::Lost { message },
        4 => Outcome::LaunchFailed { message },
        5 => Outcome::Refused { message },
        6 => Outcome::Conflict {
            conflict: Conflict {
                files: vec!["f".to_owned()],
                subtasks: vec![subtask.clone()],
            },
        },
        _ => Outcome::Cancelled,
    };
    JobEvent::AttemptEnded {
        subtask: subtask.clone(),
        attempt,
        outcome,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_job_keeps_the_rules_and_ends(
        plan in plan(),
        max_parallel in 1_u32..4,
        time_seconds in prop::option::of(1_u64..300),
        actions in vec(action(), 0..80),
        last in any::<u8>(),
    ) {
        let mut world = World::new(plan, max_parallel, time_seconds);
        for action in actions {
            world.act(action);
        }
        // A multiple of twelve ends a worker's stream; anything else would let it go on for ever.
        world.finish(last / 12 * 12);

        let replayed = Job::replay(job_id(), world.log.iter().map(|(at, event)| (*at, event))).unwrap();
        prop_assert_eq!(&replayed, &world.job);
        let without_output = world.log.iter().filter(|(_, event)| !event.is_output());
        let replayed = Job::replay(job_id(), without_output.map(|(at, event)| (*at, event))).unwrap();
        prop_assert_eq!(&replayed, &world.job);
    }

    #[test]
    fn a_cancelled_job_ends_as_cancelled_once_its_workers_have_stopped(
        plan in plan(),
        actions in vec(action(), 0..40),
    ) {
        let mut world = World::new(plan, 3, None);
        for action in actions {
            world.act(action);
        }
        if !world.job.state().is_terminal() {
            world.act(Action::Cancel);
            while let Some(effect) = world.outstanding.pop() {
                if let Effect::CancelAttempt { subtask, attempt } = effect {
                    world.report(&JobEvent::WorkerStopped { subtask, attempt, unconfirmed: None });
                }
            }
            prop_assert_eq!(world.job.state(), &JobState::Cancelled);
        }
    }
}

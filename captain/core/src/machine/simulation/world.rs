//! The simulated world: the captain with its job, log and effects, the platform with its workers, the lines between
//! them, and the clock. One step is one thing that happens somewhere, drawn by chance.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Chance;
use super::worker::Worker;
use crate::effect::Effect;
use crate::event::JobEvent;
use crate::heard::Heard;
use crate::ids::{Attempt, SubtaskId, WorkerId};
use crate::job::{Job, PlanSource, SubtaskState, after};
use crate::machine::Outside;
use crate::machine::tests::{commit, job_id, spec_of};
use crate::outcome::{Conflict, FailReason, JobResult, Outcome, StopReason};
use crate::plan::{PlanSpec, SubtaskLimits, SubtaskSpec};
use crate::retry::Retries;

type Place = (SubtaskId, Attempt);

/// A line from a worker to the captain: how far it has been read.
#[derive(Debug)]
struct Line {
    read: u64,
    /// The captain was told that it is out of reach, or that its worker is gone.
    told: bool,
}

#[derive(Debug)]
pub(super) struct World {
    chance: Chance,
    aloud: bool,
    fair: bool,
    now: Timestamp,
    slots: usize,

    /// What is stored. All else of the captain's is gone when it is killed.
    log: Vec<(Timestamp, JobEvent, Option<u64>)>,
    job: Job,
    heard: Heard,
    owed: Vec<Effect>,
    lines: BTreeMap<Place, Line>,

    workers: BTreeMap<Place, Worker>,
}

impl World {
    pub(super) fn new(seed: u64, aloud: bool) -> Self {
        let mut chance = Chance(seed);
        let first = JobEvent::JobSubmitted {
            spec: spec(&mut chance),
        };
        let now = Timestamp::from_second(1_000_000).unwrap();
        let (job, owed) = Job::create(job_id(), now, &first).unwrap();
        Self {
            chance,
            aloud,
            fair: false,
            now,
            slots: 3,
            log: vec![(now, first, None)],
            job,
            heard: Heard::default(),
            owed,
            lines: BTreeMap::new(),
            workers: BTreeMap::new(),
        }
    }

    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    pub(super) fn log(&self) -> &[(Timestamp, JobEvent, Option<u64>)] {
        &self.log
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values()
    }

    pub(super) fn worker(&self, subtask: &SubtaskId, attempt: Attempt) -> Option<&Worker> {
        self.workers.get(&(subtask.clone(), attempt))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn outside(&self, dice: u64) -> Outside {
        Outside {
            slots: self.slots,
            dice,
            probe: self
                .job
                .paused()
                .is_some_and(|pause| pause.until <= self.now),
        }
    }

    /// Whether the captain is at it: the effect waits, or its line stands.
    pub(super) fn owes(&self, effect: &Effect) -> bool {
        let line = matches!(effect, Effect::Send { subtask, attempt }
            if self.lines.contains_key(&(subtask.clone(), *attempt)));
        line || self.owed.contains(effect)
    }

    pub(super) fn is_over(&self) -> bool {
        let idle = self.owed.is_empty() && !self.workers.values().any(|worker| worker.alive);
        self.job.state().is_terminal() && idle
    }

    /// From now on nothing fails any more.
    pub(super) fn turn_fair(&mut self) {
        self.fair = true;
        self.slots = 3;
        for worker in self.workers.values_mut() {
            worker.reachable = true;
        }
        self.say(|| "the world turns fair".to_owned());
        self.settle();
    }

    pub(super) fn step(&mut self) {
        match self.chance.below(if self.fair { 14 } else { 24 }) {
            0..=4 => self.act(),
            5..=7 => self.work(),
            8..=12 => self.listen(),
            13 => self.pass_time(),
            14 => self.harm_worker(),
            15 => self.repeat(),
            16 => self.kill_captain(),
            17 => self.say_something(),
            18 => self.slots = self.chance.below(4),
            19 if self.chance.one_in(12) => self.cancel(),
            20 if self.chance.one_in(6) => self.pause_provider(),
            21 => self.revive_worker(),
            22 => self.look_at_platform(),
            _ => self.jump(),
        }
        self.settle();
    }

    // The captain.

    /// Applies and stores, as the engine does. What is refused changes nothing.
    fn report(&mut self, event: JobEvent, cursor: Option<u64>) -> bool {
        if let (Some((subtask, attempt)), Some(cursor)) = (event.attempt(), cursor)
            && self.heard.knows(subtask, attempt, cursor)
        {
            self.say(|| format!("  known: {} {cursor}", event.name()));
            return false;
        }
        let before = self.job.clone();
        match self.job.apply(self.now, &event) {
            Ok(effects) => {
                assert!(
                    !before.state().is_terminal(),
                    "{event:?} moved a job that had ended"
                );
                self.say(|| format!("  {event:?} {cursor:?} => {effects:?}"));
                self.heard.note(&event, cursor);
                self.log.push((self.now, event, cursor));
                self.owed.extend(effects);
                true
            }
            Err(refused) => {
                assert_eq!(
                    self.job, before,
                    "{event:?} was refused and still changed the job"
                );
                self.say(|| format!("  refused: {refused}"));
                false
            }
        }
    }

    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 200, "decisions never end");
            let dice = self.chance.next();
            let Some(event) = self.job.decide(self.now, self.outside(dice)) else {
                return;
            };
            if let JobEvent::SubtaskStarted { subtask, .. } = &event {
                let plan = self.job.plan().unwrap();
                for dependency in plan.dependencies(subtask) {
                    let state = &self.job.subtask(dependency).unwrap().state;
                    assert!(
                        matches!(state, SubtaskState::Done { .. }),
                        "{subtask} started before {dependency}"
                    );
                }
                let left = self
                    .workers
                    .values()
                    .find(|worker| worker.subtask == *subtask && worker.could_deliver());
                assert!(
                    left.is_none(),
                    "{subtask} is tried again while {left:?} is at work"
                );
            }
            let name = event.name();
            assert!(
                self.report(event, None),
                "the core refused its own decision {name}"
            );
        }
    }

    /// Runs one of the effects that are owed, well or not.
    fn act(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        let effect = self.owed.remove(self.chance.below(self.owed.len()));
        let luck = if self.fair { 1 } else { self.chance.below(8) };
        self.say(|| format!("act {effect:?} with luck {luck}"));
        match effect {
            Effect::MakePlan => {
                let PlanSource::Given { plan } = &self.job.spec().plan else {
                    unreachable!()
                };
                let plan = plan.clone();
                self.report(JobEvent::JobPlanned { revision: 1, plan }, None);
            }
            Effect::Prepare {
                subtask, attempt, ..
            } => {
                let event = match luck {
                    0 if self.chance.one_in(6) => {
                        let conflict = Conflict {
                            files: vec!["f".to_owned()],
                            subtasks: vec![subtask.clone()],
                        };
                        ended(&subtask, attempt, Outcome::Conflict { conflict })
                    }
                    _ => JobEvent::SubtaskPrepared {
                        subtask,
                        attempt,
                        base: commit(0),
                        workspace: "w".to_owned(),
                    },
                };
                self.report(event, None);
            }
            Effect::Launch { subtask, attempt } => self.launch(subtask, attempt, luck),
            Effect::Send { subtask, attempt } => {
                let cursor = self.heard.cursor(&subtask, attempt).unwrap_or(0);
                // The captain may have recorded before that the worker was out of reach.
                let told = self.job.subtask(&subtask).and_then(|one| one.current());
                let told =
                    told.is_some_and(|record| record.contact != crate::job::Contact::Reachable);
                self.lines
                    .insert((subtask, attempt), Line { read: cursor, told });
            }
            Effect::Tell {
                subtask,
                attempt,
                message,
                ..
            } => {
                let place = (subtask.clone(), attempt);
                let worker = self
                    .workers
                    .get_mut(&place)
                    .filter(|worker| worker.alive && worker.reachable);
                let problem = match worker {
                    Some(worker) => {
                        worker.hear(message);
                        None
                    }
                    None => Some("not reached".to_owned()),
                };
                let event = JobEvent::MessageDelivered {
                    subtask,
                    attempt,
                    message,
                    problem,
                };
                self.report(event, None);
            }
            Effect::Merge { subtask, attempt } => {
                let event = JobEvent::SubtaskMerged {
                    subtask,
                    attempt,
                    commit: commit(3),
                    files: vec!["f".to_owned()],
                };
                self.report(event, None);
            }
            Effect::CancelAttempt { subtask, attempt } => {
                self.end_worker(&subtask, attempt);
                let event = JobEvent::WorkerStopped {
                    subtask,
                    attempt,
                    unconfirmed: None,
                };
                self.report(event, None);
            }
            Effect::Fence { subtask, attempt } if luck == 0 => {
                self.lines.remove(&(subtask.clone(), attempt));
                self.owed.push(Effect::Fence {
                    subtask: subtask.clone(),
                    attempt,
                });
                let message = "the platform does not answer".to_owned();
                let event = JobEvent::WorkerNotFenced {
                    subtask,
                    attempt,
                    message,
                };
                self.report(event, None);
            }
            Effect::Fence { subtask, attempt } => {
                self.end_worker(&subtask, attempt);
                self.report(JobEvent::WorkerFenced { subtask, attempt }, None);
            }
            Effect::StopWorker {
                subtask, attempt, ..
            } => self.end_worker(&subtask, attempt),
            Effect::Finish { leaves } => {
                assert!(!leaves.is_empty());
                let result = JobResult {
                    commit: commit(9),
                    branch: "result".to_owned(),
                    files: Vec::new(),
                };
                let event = match luck {
                    0 => JobEvent::JobFailed {
                        reason: FailReason::Workspace {
                            message: "full".to_owned(),
                        },
                        message: "full".to_owned(),
                    },
                    _ => JobEvent::JobCompleted { result },
                };
                self.report(event, None);
            }
        }
    }

    /// A start that fails may leave a worker behind all the same.
    fn launch(&mut self, subtask: SubtaskId, attempt: Attempt, luck: usize) {
        let place = (subtask.clone(), attempt);
        if luck != 0 {
            let worker = self.workers.entry(place);
            worker
                .or_insert_with(|| Worker::new(subtask.clone(), attempt))
                .alive = true;
        }
        let event = match luck {
            0 | 2 => {
                let message = "no room".to_owned();
                ended(&subtask, attempt, Outcome::LaunchFailed { message })
            }
            _ => JobEvent::WorkerLaunched {
                worker: WorkerId::of(self.job.id(), &subtask, attempt),
                subtask,
                attempt,
                endpoint: "http://w".to_owned(),
            },
        };
        self.report(event, None);
    }

    /// Whether the captain still listens to this attempt.
    fn listens_to(&self, subtask: &SubtaskId, attempt: Attempt) -> bool {
        self.job.subtask(subtask).is_some_and(|one| {
            super::super::is_with_worker(&one.state)
                && one
                    .current()
                    .is_some_and(|record| record.attempt == attempt)
        })
    }

    /// Stopping a worker ends whatever is still done for its attempt first.
    fn end_worker(&mut self, subtask: &SubtaskId, attempt: Attempt) {
        let place = (subtask.clone(), attempt);
        self.lines.remove(&place);
        if let Some(worker) = self.workers.get_mut(&place) {
            worker.alive = false;
        }
        self.owed.retain(|effect| {
            !matches!(effect, Effect::Launch { subtask: of, attempt: at } | Effect::Send { subtask: of, attempt: at }
                | Effect::Tell { subtask: of, attempt: at, .. } if of == subtask && *at == attempt)
        });
    }

    /// Reads the next report of one worker.
    fn listen(&mut self) {
        let Some(place) = self.some_line() else {
            return;
        };
        let (Some(line), Some(worker)) = (self.lines.get_mut(&place), self.workers.get_mut(&place))
        else {
            return;
        };
        let (subtask, attempt) = place.clone();
        if !worker.alive || !worker.reachable {
            if !std::mem::replace(&mut line.told, true) {
                let message = "refused".to_owned();
                self.report(
                    JobEvent::WorkerUnreachable {
                        subtask,
                        attempt,
                        message,
                    },
                    None,
                );
            }
            return;
        }
        worker.take_prompt();
        let back = std::mem::take(&mut line.told);
        let next = line.read;
        let said = worker.log.get(usize::try_from(next).unwrap()).cloned();
        if said.is_some() {
            line.read += 1;
        }
        if back {
            let (subtask, attempt) = place;
            self.report(JobEvent::WorkerReachable { subtask, attempt }, None);
        } else if next == 0 {
            let (subtask, attempt) = place;
            self.report(JobEvent::WorkerReady { subtask, attempt }, None);
        }
        if let Some(event) = said {
            self.report(event, Some(next + 1));
        }
    }

    /// The platform tells what it sees of a worker that is followed, and the captain stops what nobody needs.
    fn look_at_platform(&mut self) {
        let seen: Vec<(Place, bool)> = self
            .workers
            .iter()
            .map(|(place, worker)| (place.clone(), worker.alive))
            .collect();
        for ((subtask, attempt), alive) in seen {
            let listened_to = self.listens_to(&subtask, attempt);
            let place = (subtask.clone(), attempt);
            if !alive && listened_to && self.lines.contains_key(&place) {
                if let Some(line) = self.lines.get_mut(&place) {
                    line.told = true;
                }
                let message = "killed".to_owned();
                let event = JobEvent::WorkerGone {
                    subtask,
                    attempt,
                    message,
                };
                self.report(event, None);
            } else if alive && !self.needs(&subtask, attempt) {
                self.say(|| format!("stray {subtask}/{attempt}"));
                self.end_worker(&subtask, attempt);
            }
        }
    }

    /// Whether an attempt may have a worker.
    fn needs(&self, subtask: &SubtaskId, attempt: Attempt) -> bool {
        self.job.subtask(subtask).is_some_and(|one| {
            one.state.is_active()
                && one.state != SubtaskState::Merging
                && one
                    .current()
                    .is_some_and(|record| record.attempt == attempt)
        })
    }

    /// The captain is killed and started again: all that is not stored is gone.
    fn kill_captain(&mut self) {
        self.say(|| "the captain is killed".to_owned());
        let events = self.log.iter().map(|(at, event, _)| (*at, event));
        let job = Job::replay(self.job.id().clone(), events).unwrap();
        assert_eq!(job, self.job, "replay leads elsewhere");
        let mut heard = Heard::default();
        for (_, event, cursor) in &self.log {
            heard.note(event, *cursor);
        }
        assert_eq!(heard, self.heard);
        self.lines.clear();
        self.owed = self.job.pending_effects();
        if self.chance.one_in(2) {
            self.pass_time();
        }
        if !self.job.state().is_terminal() {
            self.report(JobEvent::JobResumed, None);
        }
        self.look_at_platform();
    }

    // The world around it.

    fn some_line(&mut self) -> Option<Place> {
        let which = self.chance.below(self.lines.len());
        self.lines.keys().nth(which).cloned()
    }

    fn some_worker(&mut self) -> Option<&mut Worker> {
        let which = self.chance.below(self.workers.len());
        self.workers.values_mut().nth(which)
    }

    fn work(&mut self) {
        let fair = self.fair;
        let which = self.chance.below(self.workers.len());
        if let Some(worker) = self.workers.values_mut().nth(which) {
            worker.work(&mut self.chance, fair);
        }
    }

    fn harm_worker(&mut self) {
        let kill = self.chance.one_in(3);
        if let Some(worker) = self.some_worker() {
            match kill {
                true => worker.alive = false,
                false => worker.reachable = !worker.reachable,
            }
        }
    }

    /// The platform starts a dead worker again, with the log that it left, unless it was told to stop it: then the
    /// attempt is over, or has a worker of its own again.
    fn revive_worker(&mut self) {
        let places: Vec<Place> = self.workers.keys().cloned().collect();
        let Some((subtask, attempt)) = places.get(self.chance.below(places.len())).cloned() else {
            return;
        };
        let fenced = self.log.iter().any(|(_, event, _)| {
            matches!(
                event,
                JobEvent::WorkerFenced { .. } | JobEvent::WorkerStopped { .. }
            ) && event.attempt() == Some((&subtask, attempt))
        });
        if !fenced
            && self.needs(&subtask, attempt)
            && let Some(worker) = self.workers.get_mut(&(subtask, attempt))
        {
            worker.alive = true;
        }
    }

    /// A line is cut, and taken up again too early: the worker repeats itself.
    fn repeat(&mut self) {
        let back = self.chance.below(4) as u64;
        if let Some(place) = self.some_line()
            && let Some(line) = self.lines.get_mut(&place)
        {
            line.read = line.read.saturating_sub(back);
        }
        // Late words of an attempt before, by way of a captain that was slow.
        let which = self.chance.below(self.log.len());
        let (_, event, cursor) = self.log[which].clone();
        if event
            .attempt()
            .is_some_and(|(subtask, attempt)| !self.listens_to(subtask, attempt))
        {
            let moved = self.report(event.clone(), cursor);
            let answer = matches!(
                event,
                JobEvent::SubtaskPrepared { .. }
                    | JobEvent::WorkerLaunched { .. }
                    | JobEvent::SubtaskMerged { .. }
            );
            assert!(!moved || answer, "{event:?} counted twice");
        }
    }

    fn say_something(&mut self) {
        let ids: Vec<SubtaskId> = self.job.subtasks().map(|(id, _, _)| id.clone()).collect();
        let one = self.chance.one_in(2);
        let subtask = ids
            .get(self.chance.below(ids.len()))
            .filter(|_| one)
            .cloned();
        let event = JobEvent::MessageReceived {
            message: u32::try_from(self.job.messages().len()).unwrap() + 1,
            from: "ann".to_owned(),
            text: "do it so".to_owned(),
            id: None,
            subtask,
        };
        self.report(event, None);
    }

    fn cancel(&mut self) {
        let by = "ann".to_owned();
        let reason = StopReason::User { by };
        self.report(JobEvent::JobCancelRequested { reason }, None);
    }

    fn pause_provider(&mut self) {
        let provider = "p".to_owned();
        let event = match self.job.paused() {
            Some(_) => JobEvent::ProviderResumed { provider },
            None => JobEvent::ProviderPaused {
                provider,
                until: after(self.now, 30),
                message: "503".to_owned(),
            },
        };
        self.report(event, None);
    }

    /// The clock goes on; in a fair world as far as anybody waits.
    fn pass_time(&mut self) {
        let seconds = self.chance.below(90) as u64;
        self.now = after(self.now, seconds);
        if self.fair {
            if self.job.paused().is_some() {
                let provider = "p".to_owned();
                self.report(JobEvent::ProviderResumed { provider }, None);
            }
            self.look_at_platform();
            self.now = self.job.wakeup(self.now).unwrap_or(self.now).max(self.now);
        }
    }

    /// The clock is set, forwards or backwards.
    fn jump(&mut self) {
        if self.fair || !self.chance.one_in(8) {
            return;
        }
        let seconds = i64::try_from(self.chance.below(7200)).unwrap() - 3600;
        let moved = self
            .now
            .checked_add(jiff::SignedDuration::from_secs(seconds));
        self.now = moved.unwrap();
        self.say(|| format!("the clock jumps by {seconds} s"));
    }

    fn say(&self, line: impl FnOnce() -> String) {
        if self.aloud {
            eprintln!("{} {}", self.now, line());
        }
    }
}

fn ended(subtask: &SubtaskId, attempt: Attempt, outcome: Outcome) -> JobEvent {
    JobEvent::AttemptEnded {
        subtask: subtask.clone(),
        attempt,
        outcome,
    }
}

/// A plan of one to six subtasks, with edges from earlier to later ones only.
fn spec(chance: &mut Chance) -> crate::JobSpec {
    let count = 1 + chance.below(6);
    let mut subtasks = Vec::new();
    for number in 0..count {
        let depends_on = (0..number)
            .filter(|_| chance.one_in(3))
            .map(|before| format!("s{before}"))
            .collect();
        subtasks.push(SubtaskSpec {
            id: format!("s{number}"),
            prompt: "work".to_owned(),
            depends_on,
            limits: SubtaskLimits {
                time_seconds: chance.one_in(4).then(|| 60 + chance.below(600) as u64),
                retries: Retries {
                    agent: chance.one_in(3).then_some(1),
                    ..Retries::default()
                },
                ..SubtaskLimits::default()
            },
            ..SubtaskSpec::default()
        });
    }
    let mut spec = spec_of(PlanSpec { subtasks });
    spec.limits.max_parallel = Some(1 + u32::try_from(chance.below(4)).unwrap());
    spec.limits.time_seconds = chance.one_in(6).then(|| 600 + chance.below(6000) as u64);
    spec.limits.unreachable_seconds = chance.one_in(2).then(|| 60 + chance.below(300) as u64);
    spec
}

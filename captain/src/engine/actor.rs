//! The one loop that owns all jobs: it takes what people ask and what the driver's tasks report, makes events of it,
//! and applies them. `commit.rs` ends each turn: it stores them in one batch, and only then shows and acts.
//!
//! It waits for nothing but its inputs and the store. While the store fails it takes no reports, so that everything
//! that waits stays where it is, within its bounds, until there is room again.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use captain_core::event::EVENT_VERSION;
use captain_core::heard::Heard;
use captain_core::machine::Outside;
use captain_core::{
    Attempt, Envelope, Job, JobEvent, JobId, JobSpec, JobState, StopReason, SubtaskId,
    SubtaskState, schedule,
};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info};

use super::cluster::Keeper;
use super::commit::{Answer, Batch};
use super::driver::Driver;
use super::feed::{Feed, lock};
use super::handle::{Handle, Reply, Snapshot};
use super::ports::Observation;
use super::provider::Provider;
use super::recover::Recovered;
use super::{EngineError, Options, Ports, watch};
use crate::store::Entry;

/// Commands that may wait; each has a caller that waits for its answer.
const COMMANDS: usize = 64;
/// Reports that may wait; a full queue holds the workers' streams back.
const INPUTS: usize = 1024;
/// Reports that are stored in one batch, at most.
const BATCH: usize = 512;
/// The longest sleep of the loop; a clock that is set back cannot make it longer.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// What people ask.
#[derive(Debug)]
pub(super) enum Command {
    Submit {
        /// The job's name, where whoever submits it has named it already.
        id: Option<JobId>,
        spec: Box<JobSpec>,
        answer: oneshot::Sender<Result<JobId, EngineError>>,
    },
    Cancel {
        job: JobId,
        by: String,
        answer: oneshot::Sender<Result<(), EngineError>>,
    },
    Approve {
        job: JobId,
        by: String,
        answer: oneshot::Sender<Result<(), EngineError>>,
    },
    Reply {
        job: JobId,
        reply: Reply,
        answer: oneshot::Sender<Result<(), EngineError>>,
    },
    /// Whether the loop turns.
    Ping { answer: oneshot::Sender<()> },
    /// None means: not at hand, read it back.
    Get {
        job: JobId,
        answer: oneshot::Sender<Option<Snapshot>>,
    },
}

/// What tasks report.
#[derive(Debug)]
pub(super) enum Input {
    /// Something happened to a job: what belongs together is recorded together. `cursor` is the worker's own number of
    /// it.
    Events {
        job: JobId,
        cursor: Option<u64>,
        events: Vec<JobEvent>,
    },
    /// All workers that the backend has.
    Listed(Vec<Observation>),
    /// A job has become this captain's.
    Owned(Box<Recovered>),
    /// No job is this captain's any more.
    Lost { done: oneshot::Sender<()> },
}

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) job: Job,
    pub(super) seq: u64,
    pub(super) heard: Heard,
    pub(super) feed: Arc<Feed>,
}

/// The loop's state.
pub(super) struct Actor {
    pub(super) options: Arc<Options>,
    pub(super) ports: Ports,
    pub(super) handle: Handle,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) driver: Driver,
    pub(super) jobs: BTreeMap<JobId, Live>,
    pub(super) provider: Provider,
    pub(super) batch: Batch,
    /// Whether something changed that decisions depend on.
    pub(super) changed: bool,
    /// When to look at the jobs again though nothing happens.
    pub(super) wake: Option<Timestamp>,
    /// Begins when the loop does.
    keeper: Option<Keeper>,
}

impl Actor {
    pub(super) fn new(
        options: Options,
        ports: Ports,
        recovered: Vec<Recovered>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> (Self, Handle) {
        let options = Arc::new(options);
        let (asking, commands) = mpsc::channel(COMMANDS);
        let (reporting, inputs) = mpsc::channel(INPUTS);
        let handle = Handle {
            commands: asking,
            feeds: Arc::default(),
            store: Arc::clone(&ports.store),
            options: Arc::clone(&options),
            trouble: Arc::default(),
            stop: stop.clone(),
            stopped: CancellationToken::new(),
        };
        let keeper = Keeper::new(
            Arc::clone(&ports.store),
            handle.commands.clone(),
            reporting.clone(),
        );
        let driver = Driver::new(
            ports.clone(),
            Arc::clone(&options),
            tracker,
            stop,
            reporting,
        );
        let provider = Provider::new(&options, recovered.iter().map(|known| &known.job));
        let mut actor = Self {
            provider,
            options,
            ports,
            handle: handle.clone(),
            commands,
            inputs,
            driver,
            jobs: BTreeMap::new(),
            batch: Batch::default(),
            changed: true,
            wake: None,
            keeper: Some(keeper),
        };
        for recovered in recovered {
            actor.own(recovered);
        }
        (actor, handle)
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(mut self) -> Result<(), EngineError> {
        let stop = self.handle.stop.clone();
        // Whoever waits for the stop must not wait for ever, however this ends.
        let _stopped = self.handle.stopped.clone().drop_guard();
        if !self.jobs.is_empty() {
            info!(jobs = self.jobs.len(), "going on with unfinished jobs");
        }
        // Nobody is late because of the time for which nobody listened.
        let at_work = self.jobs.iter().filter(|(_, live)| {
            *live.job.state() == JobState::Running && schedule::active(&live.job) > 0
        });
        let at_work: Vec<JobId> = at_work.map(|(id, _)| id.clone()).collect();
        for id in at_work {
            self.record(&id, None, JobEvent::JobResumed)?;
        }
        // What is owed runs first, so that the first look at the backend finds every worker followed that should be.
        self.settle();
        self.commit().await?;
        watch::spawn(&self.driver);
        if let Some(keeper) = self.keeper.take() {
            let stop = stop.clone();
            self.driver.tracker.spawn(async move {
                stop.run_until_cancelled(keeper.run()).await;
            });
        }
        let mut inputs = Vec::with_capacity(BATCH);
        loop {
            let wake = self.until_wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(command) = self.commands.recv() => self.command(command),
                _ = self.inputs.recv_many(&mut inputs, BATCH) => {
                    for input in inputs.drain(..) {
                        self.input(input).await;
                    }
                }
                () = wake => self.changed = true,
            }
            if mem::take(&mut self.changed) {
                self.settle();
            }
            self.commit().await?;
        }
    }

    fn until_wake(&self) -> impl Future<Output = ()> + use<> {
        let wait = self.wake.map(|at| {
            let left = at.duration_since(self.ports.clock.now());
            // A moment more, because the clock may count in larger steps than the timer.
            Duration::try_from(left)
                .unwrap_or_default()
                .saturating_add(Duration::from_millis(1))
                .min(MAX_SLEEP)
        });
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Submit { id, spec, answer } => match self.submit(id, *spec) {
                Ok(job) => self.batch.answers.push(Answer::Submitted(job, answer)),
                Err(error) => drop(answer.send(Err(error))),
            },
            Command::Cancel { job, by, answer } => {
                if self
                    .jobs
                    .get(&job)
                    .is_some_and(|live| matches!(live.job.state(), JobState::Cancelling { .. }))
                {
                    // Asked before: the answer is the same.
                    self.batch.answers.push(Answer::Done(job, answer));
                    return;
                }
                let event = JobEvent::JobCancelRequested {
                    reason: StopReason::User { by },
                };
                self.change(&job, event, "to cancel it", answer);
            }
            Command::Approve { job, by, answer } => {
                self.change(
                    &job,
                    JobEvent::JobStarted {
                        approved_by: Some(by),
                    },
                    "to approve its plan",
                    answer,
                );
            }
            Command::Reply { job, reply, answer } => self.reply(&job, reply, answer),
            Command::Ping { answer } => drop(answer.send(())),
            Command::Get { job, answer } => {
                let found = self.jobs.get(&job).map(|live| Snapshot {
                    job: Arc::new(live.job.clone()),
                    seq: live.seq,
                });
                drop(answer.send(found));
            }
        }
    }

    fn submit(&mut self, id: Option<JobId>, spec: JobSpec) -> Result<JobId, EngineError> {
        if let Some(id) = id.as_ref()
            && self.jobs.contains_key(id)
        {
            // Submitted before: the answer is the same.
            return Ok(id.clone());
        }
        let max = self.options.max_jobs;
        if self.jobs.len() >= max {
            return Err(EngineError::TooManyJobs { max });
        }
        let id = match id {
            Some(id) => id,
            None => JobId::parse(self.ports.ids.next())
                .map_err(|error| EngineError::BadJob(error.to_string()))?,
        };
        let (now, event) = (self.ports.clock.now(), JobEvent::JobSubmitted { spec });
        let (job, effects) =
            Job::create(id.clone(), now, &event).map_err(|source| EngineError::Refused {
                job: id.clone(),
                source,
            })?;
        let envelope = Envelope {
            v: EVENT_VERSION,
            seq: 1,
            at: now,
            job: id.clone(),
            cursor: None,
            event,
        };
        let entry = Entry::encode(&envelope)?;
        self.adopt(job, 1, Heard::default());
        self.batch.entries.insert(id.clone(), vec![Arc::new(entry)]);
        self.batch
            .effects
            .extend(effects.into_iter().map(|effect| (id.clone(), effect)));
        Ok(id)
    }

    /// Records what a person asked for, if the job allows it.
    fn change(
        &mut self,
        job: &JobId,
        event: JobEvent,
        action: &'static str,
        answer: oneshot::Sender<Result<(), EngineError>>,
    ) {
        let refused = match self.jobs.get(job).map(|live| live.job.state().name()) {
            // Either unknown or ended: the handle finds out which.
            None => EngineError::NotFound(job.clone()),
            Some(state) => match self.record(job, None, event) {
                Ok(()) => return self.batch.answers.push(Answer::Done(job.clone(), answer)),
                Err(refused) => {
                    debug!(%job, error = %refused, "refused");
                    EngineError::WrongState {
                        job: job.clone(),
                        state: state.to_owned(),
                        action,
                    }
                }
            },
        };
        drop(answer.send(Err(refused)));
    }

    async fn input(&mut self, input: Input) {
        match input {
            Input::Events {
                job,
                cursor,
                events,
            } => self.take(&job, cursor, events),
            Input::Listed(workers) => self.release_strays(workers).await,
            Input::Owned(recovered) => self.own(*recovered),
            Input::Lost { done } => {
                self.lose_all();
                // Whoever waits for it may have ended.
                let _ = done.send(());
            }
        }
    }

    /// Records what was reported. What was reported before, or by somebody who has no say any more, is dropped.
    fn take(&mut self, job: &JobId, cursor: Option<u64>, events: Vec<JobEvent>) {
        let of = events.first().and_then(JobEvent::attempt);
        let known = self.jobs.get(job).zip(of).zip(cursor);
        if let Some(((live, (subtask, attempt)), cursor)) = known
            && live.heard.knows(subtask, attempt, cursor)
        {
            debug!(%job, cursor, "report dropped: it is recorded already");
            return;
        }
        for event in events {
            let name = event.name();
            match self.record(job, cursor, event) {
                Ok(()) => {}
                Err(refused) => debug!(%job, event = name, reason = %refused, "event dropped"),
            }
        }
    }

    /// Applies an event and puts it into the batch. On an error nothing has changed.
    pub(super) fn record(
        &mut self,
        id: &JobId,
        cursor: Option<u64>,
        event: JobEvent,
    ) -> Result<(), EngineError> {
        let live = self
            .jobs
            .get_mut(id)
            .ok_or_else(|| EngineError::NotFound(id.clone()))?;
        let (seq, at) = (live.seq + 1, self.ports.clock.now());
        let envelope = Envelope {
            v: EVENT_VERSION,
            seq,
            at,
            job: id.clone(),
            cursor,
            event,
        };
        let entry = Entry::encode(&envelope)?;
        let effects =
            live.job
                .apply(at, &envelope.event)
                .map_err(|source| EngineError::Refused {
                    job: id.clone(),
                    source,
                })?;
        live.seq = seq;
        live.heard.note(&envelope.event, cursor);
        self.provider.note(at, &envelope.event);
        self.changed |= !envelope.event.is_output();
        match self.batch.entries.get_mut(id) {
            Some(entries) => entries.push(Arc::new(entry)),
            None => {
                self.batch.entries.insert(id.clone(), vec![Arc::new(entry)]);
            }
        }
        self.batch
            .effects
            .extend(effects.into_iter().map(|effect| (id.clone(), effect)));
        Ok(())
    }

    /// Records all that follows by itself, the oldest job first.
    fn settle(&mut self) {
        self.settle_provider();
        let mut active: usize = self
            .jobs
            .values()
            .map(|live| schedule::active(&live.job))
            .sum();
        let ids: Vec<JobId> = self.jobs.keys().cloned().collect();
        for id in ids {
            while let Some(live) = self.jobs.get(&id) {
                let now = self.ports.clock.now();
                let outside = Outside {
                    slots: self.options.max_workers.saturating_sub(active),
                    dice: self.ports.dice.roll(),
                    probe: self.provider.lets_probe(now),
                };
                let before = schedule::active(&live.job);
                let Some(event) = live.job.decide(now, outside) else {
                    break;
                };
                let name = event.name();
                if let Err(refused) = self.record(&id, None, event) {
                    error!(job = %id, event = name, reason = %refused, "the core refused its own decision");
                    break;
                }
                let after = self
                    .jobs
                    .get(&id)
                    .map_or(0, |live| schedule::active(&live.job));
                active = (active + after).saturating_sub(before);
            }
        }
        self.changed = false;
        let now = self.ports.clock.now();
        let jobs = self.jobs.values();
        let wakes = jobs.filter_map(|live| live.job.wakeup(now));
        self.wake = wakes.chain(self.provider.until(now)).min();
    }

    pub(super) fn adopt(&mut self, job: Job, seq: u64, heard: Heard) {
        let feed = Feed::new(seq, self.handle.stopped.child_token());
        let id = job.id().clone();
        lock(&self.handle.feeds).insert(id.clone(), Arc::clone(&feed));
        self.jobs.insert(
            id,
            Live {
                job,
                seq,
                heard,
                feed,
            },
        );
        self.changed = true;
    }
}

impl Live {
    pub(super) fn cursor(&self, subtask: &SubtaskId, attempt: Attempt) -> Option<u64> {
        self.heard.cursor(subtask, attempt)
    }

    /// Whether an attempt is the one under way and its worker has not said its last word.
    pub(super) fn needs(&self, subtask: &SubtaskId, attempt: Attempt) -> bool {
        self.job.subtask(subtask).is_some_and(|one| {
            one.state.is_active()
                && one.state != SubtaskState::Merging
                && one
                    .current()
                    .is_some_and(|record| record.attempt == attempt)
        })
    }
}

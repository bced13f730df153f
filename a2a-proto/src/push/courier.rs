//! One courier delivers the events of one task to one receiver, one after the other, each until it has arrived or was
//! tried often enough. It reads from the log at its own speed (memory while it keeps up, the store while it does not),
//! so it holds no queue; what it delivered is stored, so that the next process goes on from there.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::post::{Posted, Receiver};
use crate::clock::Clock;
use crate::dialect::{v01, v03};
use crate::generation::Told;
use crate::log::{DeadLetter, LogError, LogTask, LoggedEvent, PushState, Snapshot, Subscription};
use crate::types::Task;
use crate::version::ProtocolVersion;

/// How long to wait after a failure of the log. A full disk is emptied by people.
const LOG_RETRY: Duration = Duration::from_secs(2);

/// How long a courier may go on delivering what is there when the server stops.
const LAST_ROUND: Duration = Duration::from_secs(3);

pub(super) struct Courier {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) task: LogTask,
    pub(super) id: Arc<str>,
    pub(super) protocol: ProtocolVersion,
    pub(super) receiver: Receiver,
    /// The last event that was delivered.
    pub(super) delivered: u64,
    /// The server stops.
    pub(super) shutdown: CancellationToken,
    /// Events tell the generation of their task.
    pub(super) generations: bool,
    /// The last event failed at first: its successors wait in the line for slow receivers.
    pub(super) slow: bool,
}

/// Why a courier stops before the end.
enum Stop {
    /// The log is closed, or the server stops.
    Over,
    /// An event could not be delivered.
    Dead(DeadLetter),
}

impl Courier {
    /// Works until everything is delivered, an event cannot be, or `stop` fires.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let last_round = {
            let shutdown = self.shutdown.clone();
            async move {
                shutdown.cancelled().await;
                tokio::time::sleep(LAST_ROUND).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = last_round => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let end = match self.deliver_all().await {
            Ok(()) => PushState::Done,
            Err(Stop::Over) => return,
            Err(Stop::Dead(letter)) => {
                tracing::warn!(
                    task = self.task.id(),
                    config = self.id.as_ref(),
                    host = self.receiver.host(),
                    event = letter.seq,
                    tries = letter.tries,
                    reason = letter.reason.as_str(),
                    "a push notification was given up: no more are sent until the configuration is replaced"
                );
                PushState::Suspended(letter)
            }
        };
        while let Err(error) = self.task.end_push(&self.id, end.clone()).await {
            if matches!(error, LogError::Closed) {
                return;
            }
            log_failed(&error);
            tokio::time::sleep(LOG_RETRY).await;
        }
    }

    async fn deliver_all(&mut self) -> Result<(), Stop> {
        // A position beyond the end cannot be: it is stored after the event that it names.
        let mut events = match self.task.subscribe(self.delivered) {
            Ok(events) => events,
            Err(error) => {
                log_failed(&error);
                return Err(Stop::Over);
            }
        };
        loop {
            let batch = self.next(&mut events).await?;
            let Some(last) = batch.last().map(|event| event.seq) else {
                return Ok(());
            };
            if self.protocol == ProtocolVersion::V1_0 {
                for LoggedEvent { seq, json } in batch {
                    let body = match Told::new(&json, seq, self.generations).pieces() {
                        [_, []] => json,
                        pieces => pieces.concat().into(),
                    };
                    self.deliver(seq, body).await?;
                }
            } else if last > self.delivered {
                // The body is the whole task, so the newest one tells everything up to now.
                let Snapshot { task, seq } = self.task.snapshot();
                let body = self.whole(&task).map_err(|error| {
                    self.dead(seq, 0, format!("the task cannot be written: {error}"))
                })?;
                self.deliver(seq, body.into()).await?;
            }
        }
    }

    /// The task as receivers of older versions get it.
    fn whole(&self, task: &Task) -> serde_json::Result<Vec<u8>> {
        let called = self
            .task
            .alias()
            .map_or(task.id.as_str(), |alias| &alias.id);
        match self.protocol {
            ProtocolVersion::V1_0 => serde_json::to_vec(task),
            ProtocolVersion::V0_3 => serde_json::to_vec(&v03::Task::from(task.clone())),
            ProtocolVersion::V0_1 | ProtocolVersion::Simple => {
                serde_json::to_vec(&v01::task(task, called))
            }
        }
    }

    /// The next events, at least one; none when the task has ended and all were answered.
    async fn next(&self, events: &mut Subscription) -> Result<Vec<LoggedEvent>, Stop> {
        loop {
            let next = tokio::select! {
                biased;
                next = events.next() => next,
                // What is there already was delivered.
                () = self.shutdown.cancelled() => return Err(Stop::Over),
            };
            match next {
                Ok(batch) => return Ok(batch),
                Err(LogError::Closed) => return Err(Stop::Over),
                Err(error) => {
                    log_failed(&error);
                    tokio::time::sleep(LOG_RETRY).await;
                }
            }
        }
    }

    /// Delivers one event, trying again as often as the options say.
    async fn deliver(&mut self, seq: u64, body: Bytes) -> Result<(), Stop> {
        let options = &self.shared.options;
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(options.first_wait)
            .with_max_delay(options.longest_wait)
            .without_max_times()
            .with_jitter()
            .build();
        let tries = options.tries.get();
        for number in 1..=tries {
            let posted = {
                // Receivers that do not answer wait among themselves.
                let line = if self.slow {
                    &self.shared.slow
                } else {
                    &self.shared.quick
                };
                let Ok(_permit) = line.acquire().await else {
                    return Err(Stop::Over);
                };
                match self.shared.client() {
                    Ok(client) => {
                        let post = self.receiver.post(client, body.clone(), options.timeout);
                        post.await
                    }
                    Err(error) => Posted::Failed {
                        why: error.to_string(),
                        retry_after: None,
                    },
                }
            };
            let (why, retry_after) = match posted {
                Posted::Delivered => {
                    self.slow = false;
                    self.delivered = seq;
                    return match self.task.delivered_push(&self.id, seq).await {
                        Ok(()) => Ok(()),
                        Err(_) => Err(Stop::Over),
                    };
                }
                Posted::Failed { why, retry_after } => (why, retry_after),
            };
            self.slow = true;
            tracing::debug!(
                task = self.task.id(),
                config = self.id.as_ref(),
                host = self.receiver.host(),
                event = seq,
                try_ = number,
                reason = why.as_str(),
                "a push notification was not taken"
            );
            if number == tries {
                return Err(self.dead(seq, number, why));
            }
            let wait = waits.next().unwrap_or(options.longest_wait);
            let wait = wait
                .max(retry_after.unwrap_or_default())
                .min(options.longest_wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // The next process tries again.
                () = self.shutdown.cancelled() => return Err(Stop::Over),
            }
        }
        Err(Stop::Over)
    }

    fn dead(&self, seq: u64, tries: u32, reason: String) -> Stop {
        Stop::Dead(DeadLetter {
            seq,
            tries,
            at: self.clock.now(),
            reason,
        })
    }
}

fn log_failed(error: &LogError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "a push notification waits for the task log"
    );
}

//! News from the database: it says at once which logs have grown, that there are orders, that there are answers. A
//! notification is only a hint to look. One that is lost, with its connection or before it was listened to, costs the
//! time to the next look and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use captain_core::JobId;
use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};

use super::connect::Pool;
use super::lease::BEAT;
use super::rows;
use crate::store::StoreError;

/// The channel's name.
pub(super) const CHANNEL: &str = "flotilla";

/// How often the logs that are followed are looked at though nothing was heard.
const LOOK: Duration = Duration::from_secs(2);

const ENDS: &str = "SELECT id, last_seq FROM jobs WHERE id = ANY($1)";

/// What is heard, and who waits for it.
pub(super) struct News {
    pool: Arc<Pool>,
    followed: Mutex<HashMap<JobId, watch::Sender<u64>>>,
    /// Something may be there to do.
    work: Notify,
    /// An order may have been answered.
    answered: Notify,
}

impl News {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            followed: Mutex::default(),
            work: Notify::new(),
            answered: Notify::new(),
        }
    }

    /// Listens until the captain stops.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            if let Err(error) = self.listen().await {
                tracing::debug!(
                    error = daemon::cli::chain(&error),
                    "nothing is heard of the database"
                );
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    async fn listen(&self) -> Result<(), StoreError> {
        let (_client, mut heard) = self.pool.listen(CHANNEL).await?;
        loop {
            self.look().await?;
            let next_look = tokio::time::sleep(LOOK);
            tokio::pin!(next_look);
            loop {
                tokio::select! {
                    () = &mut next_look => break,
                    news = heard.next() => match news {
                        Some(news) => self.hear(&news),
                        None => return Ok(()),
                    },
                }
            }
        }
    }

    fn hear(&self, news: &str) {
        let mut words = news.split(' ');
        match words.next() {
            Some("e") => {
                let followed = self.followed();
                for word in words {
                    let Some((job, seq)) = word.split_once(':') else {
                        continue;
                    };
                    if let (Ok(job), Ok(seq)) = (JobId::parse(job), seq.parse())
                        && let Some(end) = followed.get(&job)
                    {
                        raise(end, seq);
                    }
                }
            }
            Some("o") => self.work.notify_one(),
            Some("a") => self.answered.notify_waiters(),
            // A newer captain may say more.
            _ => {}
        }
    }

    /// Looks where the logs end that somebody follows, and forgets those that nobody does.
    async fn look(&self) -> Result<(), StoreError> {
        let ids: Vec<String> = {
            let mut followed = self.followed();
            followed.retain(|_, end| end.receiver_count() > 0);
            followed.keys().map(ToString::to_string).collect()
        };
        if ids.is_empty() {
            return Ok(());
        }
        let connection = self.pool.reader().await?;
        let found = connection.query(ENDS, &[&ids]).await?;
        let mut ends = HashMap::with_capacity(found.len());
        for row in found {
            ends.insert(row.get::<_, String>(0), rows::unsigned(row.get(1)));
        }
        let mut followed = self.followed();
        for id in ids {
            let Ok(job) = JobId::parse(id.as_str()) else {
                continue;
            };
            match (ends.get(&id), followed.get(&job)) {
                (Some(seq), Some(end)) => raise(end, *seq),
                // It is gone, which whoever follows it learns by this.
                _ => drop(followed.remove(&job)),
            }
        }
        Ok(())
    }

    pub(super) fn follow(&self, job: &JobId, end: u64) -> watch::Receiver<u64> {
        let mut followed = self.followed();
        let known = followed
            .entry(job.clone())
            .or_insert_with(|| watch::Sender::new(end));
        raise(known, end);
        known.subscribe()
    }

    pub(super) async fn wait(&self) {
        // The time passing is as good as hearing something.
        let _ = tokio::time::timeout(BEAT, self.work.notified()).await;
    }

    /// Comes back when an order may have been answered.
    pub(super) fn answered(&self) -> tokio::sync::futures::Notified<'_> {
        self.answered.notified()
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<u64>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log never gets shorter, however late the news of it.
fn raise(end: &watch::Sender<u64>, seq: u64) {
    end.send_if_modified(|end| {
        let more = seq > *end;
        if more {
            *end = seq;
        }
        more
    });
}

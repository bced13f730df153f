//! This captain's lease, the beats that keep it, and what becomes of the jobs of those whose lease has ended.
//!
//! No clock of the database or of another machine is compared. A lease is a row that its captain counts up; whoever has
//! not seen it counted up for a while, by the watch of its own machine, takes the row away, and with it goes the right
//! to append. The captain itself stops a little sooner: its fence falls when its last beat that was answered is nearly
//! that long ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use captain_core::JobId;

use super::connect::Pool;
use super::{PgOptions, rows};
use crate::store::fence::Tick;
use crate::store::{Fence, StoreError};

/// How often a lease is counted up, and how often others look.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// How long a captain may act after a beat. Three beats may fail meanwhile.
const HOLD: Duration = Duration::from_millis(4500);
/// How long others see a lease stand still before they end it: longer than it holds, whatever an answer takes.
const LEASE: Duration = Duration::from_secs(5);
/// How much longer captains of other machines wait: those of the same machine can go on with its workers, they cannot.
const FROM_AFAR: Duration = Duration::from_millis(1500);
/// Whoever has not looked for so long knows nothing about how long a lease has stood still.
const BLIND: Duration = Duration::from_secs(3);

/// A captain that starts again ends the lease of its last life: it knows that nobody uses it.
const TAKE: &str = "WITH last AS (DELETE FROM captains WHERE name = $1) \
    INSERT INTO captains (name, host) VALUES ($1, $2) RETURNING epoch";

const COUNT: &str = "UPDATE captains SET beat = beat + 1 WHERE epoch = $1";

const OTHERS: &str = "SELECT epoch, host, beat FROM captains WHERE epoch <> $1";

/// Only if it still stands where it was seen.
const FENCE: &str = "DELETE FROM captains WHERE epoch = $1 AND beat = $2";

/// A job that its owner is writing to at this moment is left for the next time.
const CLAIM: &str = "UPDATE jobs SET epoch = $1 WHERE key IN ( \
        SELECT j.key FROM jobs j WHERE NOT j.terminal \
        AND NOT EXISTS (SELECT FROM captains c WHERE c.epoch = j.epoch) \
        ORDER BY j.id FOR UPDATE SKIP LOCKED \
    ) AND EXISTS (SELECT FROM captains WHERE epoch = $1) RETURNING id";

/// One lease.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    /// Its number.
    pub(super) epoch: i64,
    /// Whether it surely holds.
    pub(super) fence: Fence,
}

/// This captain's leases, one after the other, and what it knows of the others'.
pub(super) struct Leases {
    pool: Arc<Pool>,
    name: String,
    host: String,
    present: Mutex<Lease>,
    /// Held while a lease is taken or jobs are claimed.
    seen: tokio::sync::Mutex<Seen>,
    /// Set by a test that wants a captain whose lease stands still, as when it is stopped.
    #[cfg(test)]
    pub(super) frozen: std::sync::atomic::AtomicBool,
}

/// What was seen of the other captains.
struct Seen {
    last_look: Tick,
    /// For each epoch, its count and when it was first seen there.
    beats: HashMap<i64, (i64, Tick)>,
}

impl Leases {
    /// Takes the first lease.
    pub(super) async fn begin(options: &PgOptions, pool: Arc<Pool>) -> Result<Self, StoreError> {
        let (name, host) = (options.name.clone(), options.host.clone());
        let lease = take(&pool, &name, &host).await?;
        Ok(Self {
            pool,
            name,
            host,
            present: Mutex::new(lease),
            seen: tokio::sync::Mutex::new(Seen {
                last_look: Tick::now(),
                beats: HashMap::new(),
            }),
            #[cfg(test)]
            frozen: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// The present lease, be its fence up or down.
    pub(super) fn present(&self) -> Lease {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.clone()
    }

    /// The present lease if its fence is up; else a new one.
    pub(super) async fn hold(&self) -> Result<Lease, StoreError> {
        let _one_at_a_time = self.seen.lock().await;
        let present = self.present();
        if present.fence.holds() {
            return Ok(present);
        }
        let lease = take(&self.pool, &self.name, &self.host).await?;
        tracing::warn!(
            ended = present.epoch,
            epoch = lease.epoch,
            "the lease had ended, a new one begins"
        );
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = lease.clone();
        Ok(lease)
    }

    /// Counts the present lease up until the captain stops.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(BEAT).await;
            #[cfg(test)]
            if self.frozen.load(std::sync::atomic::Ordering::Relaxed) {
                continue;
            }
            let lease = self.present();
            if lease.fence.holds()
                && let Err(error) = self.beat(&lease).await
            {
                tracing::warn!(
                    error = daemon::cli::chain(&error),
                    "the lease could not be counted up"
                );
            }
        }
    }

    async fn beat(&self, lease: &Lease) -> Result<(), StoreError> {
        let since = Tick::now();
        let connection = self.pool.keeper().await?;
        if connection.execute(COUNT, &[&lease.epoch]).await? == 0 {
            tracing::warn!(
                epoch = lease.epoch,
                "another captain has ended this one's lease"
            );
            lease.fence.fall();
        } else {
            lease.fence.extend(since, HOLD);
        }
        Ok(())
    }

    /// Ends the leases that stand still, and takes the jobs that nobody has.
    pub(super) async fn claim(&self) -> Result<Vec<JobId>, StoreError> {
        let mut seen = self.seen.lock().await;
        let lease = self.present();
        let connection = self.pool.keeper().await?;
        let others = connection.query(OTHERS, &[&lease.epoch]).await?;
        if seen.last_look.elapsed() > BLIND {
            seen.beats.clear();
        }
        seen.last_look = Tick::now();
        let mut beats = HashMap::with_capacity(others.len());
        for row in others {
            let (epoch, host, beat): (i64, String, i64) = (row.get(0), row.get(1), row.get(2));
            let since = match seen.beats.get(&epoch) {
                Some((last, since)) if *last == beat => *since,
                _ => Tick::now(),
            };
            beats.insert(epoch, (beat, since));
            let patience = match host == self.host {
                true => LEASE,
                false => LEASE + FROM_AFAR,
            };
            if since.elapsed() > patience && connection.execute(FENCE, &[&epoch, &beat]).await? > 0
            {
                tracing::warn!(epoch, host, "a captain is dead, its lease has ended");
            }
        }
        seen.beats = beats;
        let claimed = connection.query(CLAIM, &[&lease.epoch]).await?;
        claimed.iter().map(|row| rows::job(row.get(0))).collect()
    }
}

async fn take(pool: &Pool, name: &str, host: &str) -> Result<Lease, StoreError> {
    let since = Tick::now();
    let connection = pool.keeper().await?;
    let made = connection.query(TAKE, &[&name, &host]).await?;
    let Some(row) = made.first() else {
        return Err(StoreError::Write("no lease was given".into()));
    };
    Ok(Lease {
        epoch: row.get(0),
        fence: Fence::for_lease(since, HOLD),
    })
}

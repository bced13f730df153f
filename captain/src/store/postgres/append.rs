//! The writer: whatever waits is committed in one transaction, in two trips to the server. Each statement appends to one
//! log and compares, in the same breath, where the log ends and whose lease the job is under; a statement that appends
//! nothing undoes the transaction, and then every batch is tried by itself.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::{Either, ready};
use futures_util::poll;
use tokio::sync::mpsc;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::connect::{Connection, Pool};
use super::lease::{Lease, Leases};
use super::news::CHANNEL;
use super::{QUEUE, Waiting, rows};
use crate::store::{Append, StoreError};

const NEW: &str = "WITH job AS ( \
        INSERT INTO jobs (id, owner, goal, state, terminal, created, updated, last_seq, epoch) \
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $10 \
        WHERE $9::bigint = 0 AND EXISTS (SELECT FROM captains WHERE epoch = $10) \
        ON CONFLICT (id) DO NOTHING RETURNING key \
    ) INSERT INTO events (job, seq, class, name, json) \
    SELECT job.key, e.* FROM job, unnest($11::bigint[], $12::smallint[], $13::text[], $14::bytea[]) AS e";

/// The comparison with the expected end and the lease is what lets only the owner write a log.
const MORE: &str = "WITH job AS ( \
        UPDATE jobs SET owner = $2, goal = $3, state = $4, terminal = $5, created = $6, updated = $7, last_seq = $8 \
        WHERE id = $1 AND last_seq = $9 AND epoch = $10 AND EXISTS (SELECT FROM captains WHERE epoch = $10) \
        RETURNING key \
    ) INSERT INTO events (job, seq, class, name, json) \
    SELECT job.key, e.* FROM job, unnest($11::bigint[], $12::smallint[], $13::text[], $14::bytea[]) AS e";

const NOTIFY: &str = "SELECT pg_notify($1, $2)";

/// Where a log ends, what its last entry is, and whether it can be appended to under a lease.
const END: &str = "SELECT j.last_seq, e.json, \
        j.epoch = $2 AND EXISTS (SELECT FROM captains WHERE epoch = $2) \
    FROM jobs j LEFT JOIN events e ON e.job = j.key AND e.seq = j.last_seq WHERE j.id = $1";

const LEASE: &str = "SELECT FROM captains WHERE epoch = $1";

/// Logs named in one notification: the server takes 8000 bytes.
const NAMED: usize = 100;

/// Appends what comes until nobody can send any more.
pub(super) async fn run(pool: Arc<Pool>, leases: Arc<Leases>, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, QUEUE).await > 0 {
        let (batches, answers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let mut results = Vec::with_capacity(batches.len());
        match together(&pool, &leases, &batches).await {
            Ok(true) => results.resize_with(batches.len(), || Ok(())),
            // Which batch was at fault is not known; each is tried by itself.
            _ if batches.len() > 1 => {
                for batch in &batches {
                    results.push(alone(&pool, &leases, batch).await);
                }
            }
            Ok(false) => results.push(at_fault(&pool, &leases, &batches[0]).await),
            Err(error) => results.push(Err(error)),
        }
        for (result, answer) in results.into_iter().zip(answers) {
            // Whoever asked may be gone; the entries are there all the same.
            let _ = answer.send(result);
        }
    }
}

async fn alone(pool: &Pool, leases: &Leases, batch: &Vec<Append>) -> Result<(), StoreError> {
    if together(pool, leases, std::slice::from_ref(batch)).await? {
        return Ok(());
    }
    at_fault(pool, leases, batch).await
}

/// One transaction for all batches. False if one of them does not fit; nothing was changed then.
async fn together(
    pool: &Pool,
    leases: &Leases,
    batches: &[Vec<Append>],
) -> Result<bool, StoreError> {
    let lease = leases.present();
    if !lease.fence.holds() {
        return Ok(false);
    }
    let connection = pool.writer().await?;
    let transaction = async {
        // Prepared before, so that everything after goes out in one piece and in order.
        let new = connection.prepared(NEW).await?;
        let more = connection.prepared(MORE).await?;
        let notify = connection.prepared(NOTIFY).await?;
        connection.client().batch_execute("BEGIN").await?;
        let mut fits = true;
        let mut sent = Vec::new();
        for part in batches.iter().flatten() {
            let statement = match part.expected {
                0 => &new,
                _ => &more,
            };
            let mut work = Box::pin(append(&connection, statement, &lease, part));
            // The first look at it sends it.
            let work = match poll!(&mut work) {
                std::task::Poll::Ready(done) => Either::Left(ready(done)),
                std::task::Poll::Pending => Either::Right(work),
            };
            sent.push((part.entries.len(), work));
        }
        for (entries, work) in sent {
            fits &= usize::try_from(work.await?).is_ok_and(|appended| appended == entries);
        }
        if !fits {
            connection.client().batch_execute("ROLLBACK").await?;
            return Ok(false);
        }
        for news in news(batches) {
            connection
                .client()
                .query(&notify, &[&CHANNEL, &news])
                .await?;
        }
        connection.client().batch_execute("COMMIT").await?;
        Ok(true)
    };
    let done = connection.bounded(transaction).await;
    if done.is_err() {
        // It may have been broken off anywhere; out of a transaction this is a warning of the server's and no more.
        let undo = connection.client().batch_execute("ROLLBACK");
        let _ = connection.bounded(undo).await;
    }
    done
}

async fn append(
    connection: &Connection,
    statement: &Statement,
    lease: &Lease,
    part: &Append,
) -> Result<u64, tokio_postgres::Error> {
    let head = &part.head;
    let entries = &part.entries;
    let seqs: Vec<i64> = entries
        .iter()
        .map(|entry| rows::signed(entry.seq))
        .collect();
    let classes: Vec<i16> = entries
        .iter()
        .map(|entry| rows::class_number(entry.class))
        .collect();
    let names: Vec<&str> = entries.iter().map(|entry| &*entry.name).collect();
    let jsons: Vec<&[u8]> = entries.iter().map(|entry| &entry.json[..]).collect();
    let values: [&(dyn ToSql + Sync); 14] = [
        &head.job.as_str(),
        &head.owner,
        &head.goal,
        &head.state,
        &head.terminal,
        &rows::nanoseconds(head.created),
        &rows::nanoseconds(head.updated),
        &rows::signed(head.last_seq),
        &rows::signed(part.expected),
        &lease.epoch,
        &seqs,
        &classes,
        &names,
        &jsons,
    ];
    connection.client().execute(statement, &values).await
}

/// Which logs end where now, for those who follow them through another captain.
fn news(batches: &[Vec<Append>]) -> Vec<String> {
    let parts: Vec<&Append> = batches.iter().flatten().collect();
    parts
        .chunks(NAMED)
        .map(|parts| {
            parts.iter().fold(String::from("e"), |mut text, part| {
                // Writing to a string does not fail.
                let _ = write!(text, " {}:{}", part.head.job, part.head.last_seq);
                text
            })
        })
        .collect()
}

/// Why a batch does not fit; fine if it is there already, because only its answer was lost.
async fn at_fault(pool: &Pool, leases: &Leases, batch: &[Append]) -> Result<(), StoreError> {
    let lease = leases.present();
    let Some(first) = batch.first() else {
        return Ok(());
    };
    if !lease.fence.holds() {
        let job = first.head.job.clone();
        return Err(StoreError::Fenced { job });
    }
    let connection = pool.writer().await?;
    let mut there = true;
    let mut fault = None;
    for part in batch {
        let job = part.head.job.clone();
        let found = connection
            .query(END, &[&job.as_str(), &lease.epoch])
            .await?;
        let (end, last, ours) = match found.first() {
            Some(row) => (rows::unsigned(row.get(0)), row.get(1), row.get(2)),
            None => {
                let held = connection.query(LEASE, &[&lease.epoch]).await?;
                (0, None::<Vec<u8>>, !held.is_empty())
            }
        };
        let same = part.entries.last().map(|entry| &entry.json[..]) == last.as_deref();
        there &= ours && end == part.head.last_seq && same;
        if !ours && (part.expected > 0 || end == 0) {
            fault.get_or_insert(StoreError::Fenced { job });
        } else if end != part.expected {
            let expected = part.expected;
            fault.get_or_insert(StoreError::Conflict { job, expected });
        }
    }
    match fault {
        _ if there => Ok(()),
        Some(fault) => Err(fault),
        // It fitted by the time it was looked at: asking again is safe.
        None => Err(StoreError::Unreachable {
            place: pool.place().to_owned(),
            source: "the database undid a transaction".into(),
        }),
    }
}

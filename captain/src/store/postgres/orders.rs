//! Orders: what people ask of a captain that is not the job's owner is written into the database, where the owner of the
//! moment finds it, also one that takes the job over meanwhile. An order that was carried out and not answered, because
//! its captain died in between, comes again; so orders must be such that a second time changes nothing.

use std::time::Duration;

use captain_core::JobId;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::connect::Pool;
use super::news::News;
use super::rows;
use crate::store::{Handed, StoreError};

/// How long an answer is waited for: longer than it takes until the jobs of a dead captain have a new owner.
const ANSWER: Duration = Duration::from_secs(20);
/// How often an answer is looked for though none was heard of.
const LOOK: Duration = Duration::from_millis(500);
/// How long the last owner of a job that has ended may take for its answer.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Orders that are taken at a time.
const PAGE: i64 = 64;

const HAND_OVER: &str = "WITH made AS ( \
        INSERT INTO orders (job, body) SELECT key, $2 FROM jobs WHERE id = $1 RETURNING id \
    ) SELECT id, pg_notify('flotilla', 'o')::text FROM made";

const LOOK_AT: &str =
    "SELECT o.answer, j.terminal FROM orders o JOIN jobs j ON j.key = o.job WHERE o.id = $1";

const OPEN: &str = "SELECT o.id, j.id, o.body FROM orders o JOIN jobs j ON j.key = o.job \
    WHERE o.answer IS NULL AND j.epoch = $1 ORDER BY o.id LIMIT $2";

const FORGET: &str = "DELETE FROM orders WHERE id = $1";

const SAY: &str = "WITH said AS (UPDATE orders SET answer = $2 WHERE id = $1 RETURNING id) \
    SELECT pg_notify('flotilla', 'a')::text FROM said";

pub(super) async fn hand_over(
    pool: &Pool,
    news: &News,
    job: &JobId,
    order: Value,
) -> Result<Option<Value>, StoreError> {
    let made = pool
        .reader()
        .await?
        .query(HAND_OVER, &[&job.as_str(), &order.to_string()])
        .await?;
    let Some(id) = made.first().map(|row| row.get::<_, i64>(0)) else {
        return Ok(None);
    };
    let mut deadline = Instant::now() + ANSWER;
    let mut ended = false;
    let answer = loop {
        let heard = news.answered();
        let found = pool.reader().await?.query(LOOK_AT, &[&id]).await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        if let Some(answer) = row.get::<_, Option<String>>(0) {
            break Some(decode("answer", &answer)?);
        }
        if row.get::<_, bool>(1) && !ended {
            ended = true;
            deadline = deadline.min(Instant::now() + LAST_WORD);
        }
        if Instant::now() >= deadline {
            break None;
        }
        let _ = timeout(LOOK, heard).await;
    };
    pool.reader().await?.execute(FORGET, &[&id]).await?;
    Ok(answer)
}

pub(super) async fn open(pool: &Pool, epoch: i64) -> Result<Vec<Handed>, StoreError> {
    let connection = pool.reader().await?;
    let found = connection.query(OPEN, &[&epoch, &PAGE]).await?;
    found
        .iter()
        .map(|row| {
            Ok(Handed {
                id: row.get(0),
                job: rows::job(row.get(1))?,
                order: decode("order", row.get(2))?,
            })
        })
        .collect()
}

pub(super) async fn answer(pool: &Pool, order: i64, answer: Value) -> Result<(), StoreError> {
    let connection = pool.reader().await?;
    connection
        .query(SAY, &[&order, &answer.to_string()])
        .await?;
    Ok(())
}

fn decode(what: &'static str, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt {
        what,
        value: text.to_owned(),
    })
}

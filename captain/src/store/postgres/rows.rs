//! What the database's rows are in the store's words, and back.

use std::borrow::Cow;

use bytes::Bytes;
use captain_core::JobId;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::{Class, Entry, Head, StoreError};

pub(super) fn entry(row: &Row) -> Result<Entry, StoreError> {
    let class = match row.get::<_, i16>(1) {
        0 => Class::Output,
        1 => Class::State,
        _ => Class::Terminal,
    };
    Ok(Entry {
        seq: unsigned(row.get(0)),
        class,
        name: Cow::Owned(row.get(2)),
        json: Bytes::from(row.get::<_, Vec<u8>>(3)),
    })
}

pub(super) fn class_number(class: Class) -> i16 {
    match class {
        Class::Output => 0,
        Class::State => 1,
        Class::Terminal => 2,
    }
}

pub(super) fn head(row: &Row) -> Result<Head, StoreError> {
    Ok(Head {
        job: job(row.get(0))?,
        owner: row.get(1),
        goal: row.get(2),
        state: row.get(3),
        terminal: row.get(4),
        created: time("time of creation", row.get(5))?,
        updated: time("time of change", row.get(6))?,
        last_seq: unsigned(row.get(7)),
    })
}

pub(super) fn job(id: &str) -> Result<JobId, StoreError> {
    JobId::parse(id).map_err(|_| StoreError::Corrupt {
        what: "job id",
        value: id.to_owned(),
    })
}

fn time(what: &'static str, nanoseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).map_err(|_| StoreError::Corrupt {
        what,
        value: nanoseconds.to_string(),
    })
}

/// Since 1970; what is further away than 292 years is as far as that.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    let nanoseconds = time.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// The database's integers are signed; logs never come near the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

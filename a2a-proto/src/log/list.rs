//! Filters, pages and cursors of a task list (A2A §3.1.4). The order is newest status first, equal times by id, so
//! that a cursor (time, id) neither skips nor repeats. Reading and writing of the store is not here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::Snapshot;
use crate::types::TaskState;

/// Which tasks to list.
#[derive(Debug, Clone)]
pub struct ListFilter {
    /// Whose; `None` lists every owner's and is for the server itself.
    pub owner: Option<Arc<str>>,
    /// In this context only.
    pub context_id: Option<String>,
    /// In this state only.
    pub state: Option<TaskState>,
    /// Only tasks that have not ended.
    pub unfinished: bool,
    /// Only tasks whose status was written at this time or later.
    pub status_after: Option<Timestamp>,
    /// Begin after this line.
    pub after: Option<PageToken>,
    /// At most so many lines.
    pub limit: usize,
    /// Whether the artifacts are wanted; without them a list is much cheaper.
    pub artifacts: bool,
}

impl ListFilter {
    /// Every task of `owner`, one page of 50, without artifacts.
    pub fn of(owner: Option<Arc<str>>) -> Self {
        Self {
            owner,
            context_id: None,
            state: None,
            unfinished: false,
            status_after: None,
            after: None,
            limit: 50,
            artifacts: false,
        }
    }

    /// The first whole millisecond, since statuses have no finer times, that [`ListFilter::status_after`] lets through.
    pub(super) fn after_millis(&self) -> Option<i64> {
        self.status_after.map(|at| {
            let millis = at.as_nanosecond().div_euclid(1_000_000);
            let finer = at.as_nanosecond().rem_euclid(1_000_000) > 0;
            i64::try_from(millis)
                .unwrap_or(i64::MAX)
                .saturating_add(finer.into())
        })
    }
}

/// One page.
#[derive(Debug, Clone)]
pub struct ListPage {
    /// The tasks, newest status first.
    pub tasks: Vec<Snapshot>,
    /// Where the next page begins, `None` on the last one.
    pub next: Option<PageToken>,
    /// How many tasks match without paging.
    pub total: u64,
}

/// A place in the list: the time of a status in milliseconds since 1970, and the task's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) millis: i64,
    pub(super) id: String,
}

/// A place in a list, opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(pub(super) Position);

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}.{}", self.0.millis, self.0.id)))
    }
}

/// A page token that this log did not make.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not a page token of this server")]
pub struct BadPageToken;

impl FromStr for PageToken {
    type Err = BadPageToken;

    fn from_str(text: &str) -> Result<Self, BadPageToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadPageToken)?;
        let text = String::from_utf8(bytes).map_err(|_| BadPageToken)?;
        let (millis, id) = text.split_once('.').ok_or(BadPageToken)?;
        let millis = millis.parse().map_err(|_| BadPageToken)?;
        if id.is_empty() {
            return Err(BadPageToken);
        }
        Ok(Self(Position {
            millis,
            id: id.to_owned(),
        }))
    }
}

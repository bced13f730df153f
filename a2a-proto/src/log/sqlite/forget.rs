//! Retention: tasks that ended long ago are taken out of the database, a few in each transaction, so that nothing else waits
//! long for the writer. A task that somebody holds is left for the next time.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{SqliteLog, failure};
use crate::log::LogError;
use crate::log::shared::lock;

/// Tasks that go in one transaction at most.
const TOGETHER: usize = 64;

/// The oldest ended tasks, by the time of their last status.
const OLD: &str = "SELECT key, id FROM tasks WHERE state IN (3, 4, 5, 7) AND status_millis < ?1 ORDER BY status_millis LIMIT ?2";

impl SqliteLog {
    /// Forgets the tasks that ended before `before` with all that belongs to them: the oldest, at most `limit` and 64.
    /// Answers how many; none when nothing is left that can go at present.
    ///
    /// # Errors
    /// What writing the store says.
    pub async fn forget_ended(&self, before: Timestamp, limit: usize) -> Result<usize, LogError> {
        let (storage, registry) = (self.storage(), self.0.shared());
        let work = move || {
            let mut writer = lock(&storage.writer);
            let mut gone = Vec::new();
            let (connection, place) = (writer.connection(), &storage.place);
            let failed = |error| failure("forget tasks of", place, error);
            let limit = i64::try_from(limit.min(TOGETHER)).unwrap_or(i64::MAX);
            let old: Vec<(i64, String)> = connection
                .prepare_cached(OLD)
                .and_then(|mut statement| {
                    let rows = statement
                        .query_map(params![before.as_millisecond(), limit], |row| {
                            Ok((row.get(0)?, row.get(1)?))
                        })?;
                    rows.collect()
                })
                .map_err(failed)?;
            for (key, id) in old {
                // Nobody can find it from here on; whoever holds it keeps it.
                if registry.registry.let_go(&id) {
                    gone.push(key);
                }
            }
            if !gone.is_empty() {
                forget(connection, &gone).map_err(failed)?;
            }
            Ok(gone.len())
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or(Err(LogError::Closed))
    }
}

fn forget(connection: &mut Connection, keys: &[i64]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for key in keys {
        // The numbers of a task's rows are its key and 32 bits more.
        let (first, last) = (key << 32, (key << 32) | i64::from(u32::MAX));
        transaction
            .prepare_cached("DELETE FROM events WHERE id BETWEEN ?1 AND ?2")?
            .execute([first, last])?;
        transaction
            .prepare_cached("DELETE FROM push_configs WHERE task = ?1")?
            .execute([key])?;
        transaction
            .prepare_cached("DELETE FROM tasks WHERE key = ?1")?
            .execute([key])?;
    }
    transaction.commit()
}

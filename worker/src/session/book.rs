//! Which of the agent's own sessions belongs to which A2A context, kept over restarts of agent and worker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

/// Contexts that are remembered; the ones first used are forgotten first.
const MAX_ENTRIES: usize = 1000;

/// The book and its file.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    content: Content,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Grows with each new entry, to know the oldest.
    last: u64,
    sessions: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    number: u64,
    agent_session: String,
}

impl Book {
    /// Reads the book; an absent or damaged one is empty: then sessions begin anew, which loses the agent's memory and no work.
    pub(super) fn open(path: &Path) -> Self {
        let content = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                warn!(%error, path = %path.display(), "the list of sessions is damaged, agents begin new sessions");
                Content::default()
            }),
            Err(_) => Content::default(),
        };
        Self {
            path: path.to_owned(),
            content,
        }
    }

    pub(super) fn find(&self, context: &str) -> Option<String> {
        self.content
            .sessions
            .get(context)
            .map(|entry| entry.agent_session.clone())
    }

    pub(super) fn enter(&mut self, context: &str, agent_session: &str) {
        if self.find(context).as_deref() == Some(agent_session) {
            return;
        }
        let content = &mut self.content;
        content.last += 1;
        let entry = Entry {
            number: content.last,
            agent_session: agent_session.to_owned(),
        };
        content.sessions.insert(context.to_owned(), entry);
        if content.sessions.len() > MAX_ENTRIES
            && let Some(oldest) = content
                .sessions
                .iter()
                .min_by_key(|(_, entry)| entry.number)
                .map(|(context, _)| context.clone())
        {
            content.sessions.remove(&oldest);
        }
        let written = serde_json::to_vec(content)
            .map_err(|error| error.to_string())
            .and_then(|text| {
                daemon::state::write_private(&self.path, &text)
                    .map_err(|error| daemon::cli::chain(&error))
            });
        if let Err(error) = written {
            warn!(
                error,
                "the list of sessions cannot be written: a restart will begin new sessions"
            );
        }
    }
}

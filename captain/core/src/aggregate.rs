//! The job's artifacts: pieces as they arrive from attempts become one list. Contents are kept outside; this keeps the
//! books. What a later attempt makes replaces everything that earlier attempts at the same subtask made.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, SubtaskId};

/// A piece of an artifact, as a worker announced it (A2A §3.3: `append`, `lastChunk`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactChunk {
    /// The artifact's id, unique within the attempt.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Where its content is, relative to the attempt's folder in the job's files.
    pub path: String,
    /// Its media type (RFC 6838).
    pub media_type: String,
    /// The size of this piece, in bytes.
    pub size: u64,
    /// Whether it continues what came before; else it replaces it.
    #[serde(default)]
    pub append: bool,
    /// Whether nothing more comes.
    #[serde(default)]
    pub last: bool,
}

/// An artifact of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Artifact {
    /// The subtask that made it.
    pub subtask: SubtaskId,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Its id, unique within the attempt.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Where its content is, relative to the attempt's folder in the job's files.
    pub path: String,
    /// Its media type (RFC 6838).
    pub media_type: String,
    /// Its size so far, in bytes.
    pub size: u64,
    /// Whether all of it is there.
    pub complete: bool,
}

/// All artifacts of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// The subtask's latest attempt that made something, and what it made, by artifact id.
    by_subtask: BTreeMap<SubtaskId, (Attempt, BTreeMap<String, Artifact>)>,
}

impl Artifacts {
    /// Takes one piece. The caller has made sure that the attempt is the one under way.
    pub(crate) fn add(&mut self, subtask: &SubtaskId, attempt: Attempt, chunk: &ArtifactChunk) {
        let (holder, made) = self
            .by_subtask
            .entry(subtask.clone())
            .or_insert_with(|| (attempt, BTreeMap::new()));
        if *holder != attempt {
            *holder = attempt;
            made.clear();
        }
        if chunk.append
            && let Some(known) = made.get_mut(&chunk.id)
        {
            known.size = known.size.saturating_add(chunk.size);
            known.complete = chunk.last;
            return;
        }
        let artifact = Artifact {
            subtask: subtask.clone(),
            attempt,
            id: chunk.id.clone(),
            name: chunk.name.clone(),
            path: chunk.path.clone(),
            media_type: chunk.media_type.clone(),
            size: chunk.size,
            complete: chunk.last,
        };
        made.insert(chunk.id.clone(), artifact);
    }

    /// The artifacts of one subtask, by id.
    pub fn of(&self, subtask: &SubtaskId) -> impl Iterator<Item = &Artifact> {
        self.by_subtask
            .get(subtask)
            .into_iter()
            .flat_map(|(_, made)| made.values())
    }

    /// All artifacts, by subtask and id.
    pub fn iter(&self) -> impl Iterator<Item = &Artifact> {
        self.by_subtask.values().flat_map(|(_, made)| made.values())
    }
}

//! What is in the frames of the v0.1 form: the task's id and one object of v0.1.

use serde::Serialize;

use crate::dialect::v01::{Artifact, Message, TaskStatus};
use crate::types::Metadata;

#[derive(Serialize)]
pub(super) struct StatusData<'a> {
    pub(super) id: &'a str,
    pub(super) status: TaskStatus,
    pub(super) r#final: bool,
}

#[derive(Serialize)]
pub(super) struct MessageData<'a> {
    pub(super) id: &'a str,
    pub(super) message: Message,
    /// Of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a Metadata>,
}

#[derive(Serialize)]
pub(super) struct ArtifactData<'a> {
    pub(super) id: &'a str,
    pub(super) artifact: Artifact,
}

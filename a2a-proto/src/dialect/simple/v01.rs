//! What is in the frames of the v0.1 form: the task's id and one object of v0.1.

use serde::Serialize;

use super::objects::{SimpleArtifact, SimpleMessage, SimpleStatus};
use crate::types::Metadata;

#[derive(Serialize)]
pub(super) struct StatusData<'a> {
    pub(super) id: &'a str,
    pub(super) status: SimpleStatus,
    pub(super) r#final: bool,
}

#[derive(Serialize)]
pub(super) struct MessageData<'a> {
    pub(super) id: &'a str,
    pub(super) message: SimpleMessage,
    /// Of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a Metadata>,
}

#[derive(Serialize)]
pub(super) struct ArtifactData<'a> {
    pub(super) id: &'a str,
    pub(super) artifact: SimpleArtifact,
}

//! [`Artifact`]: something that a task made (A2A §4.1.7). Results belong here, not in messages.

use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{Metadata, Part};

message! {
    /// Something that a task made.
    pub struct Artifact {
        /// Unique within the task.
        pub artifact_id: String = "artifactId" [required],
        /// A name for people, such as a file name.
        pub name: String = "name",
        /// A description for people.
        pub description: String = "description",
        /// The content, at least one part.
        pub parts: Vec<Part> = "parts" [required],
        /// Free-form data; extensions put theirs under their URI.
        pub metadata: Option<Metadata> = "metadata",
        /// URIs of the extensions that contributed to the artifact.
        pub extensions: Vec<String> = "extensions",
    }
}
no_rules!(Artifact);

impl Artifact {
    /// An artifact without a name.
    pub fn new(artifact_id: impl Into<String>, parts: Vec<Part>) -> Self {
        Self {
            artifact_id: artifact_id.into(),
            parts,
            ..Self::default()
        }
    }

    /// The same artifact with a name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

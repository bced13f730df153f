//! The job's git repository. Every subtask starts from the merge of its dependencies' results and leaves a branch; the
//! job ends with the branch `result`, from which files, a patch, an archive and a bundle are taken.
//!
//! Workers never see this repository: they get a small repository of their own as their workspace, and what they made
//! comes back as a git bundle, which is taken for what it is, the words of a stranger (see `workspace/import.rs`). No command of
//! ours ever runs inside a folder that an agent could write.
//!
//! ```text
//! <jobs>/<job>/repo.git                      branches base, subtask/<id>/<attempt>, result; only the captain writes it
//! <jobs>/<job>/work/<subtask>-<attempt>/     the workspace of one attempt; its agent may do anything there
//! <jobs>/<job>/tmp/                          merges and imports that are under way
//! ```

mod error;
mod git;
mod import;
mod merge;
mod outputs;
mod port;
mod prepare;
mod repository;
#[cfg(test)]
mod tests;

pub use error::{BundleError, MergeError, WorkspaceError};
pub use git::{Git, GitStream};
pub use import::ImportLimits;
pub use merge::Input;
pub use outputs::{Archive, Change, ChangeKind, FileContent};
pub use port::Workspaces;
pub use prepare::Prepared;
pub use repository::{JobRepository, Source};

//! What only the file system can tell about a card: the workspace and the key file.
//!
//! Called before any port is bound. Reads metadata and the key's permissions, changes nothing.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::{AgentIdCard, CardProblems, Problem};

/// What the command line adds to a card's own words.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// The folder that every workspace must be in. `None`: anywhere.
    pub workspace_root: Option<PathBuf>,
    /// True when the driver calls a model, so that the card must say which.
    pub needs_model: bool,
}

/// Checks a card that [`AgentIdCard::read`] accepted against the file system.
///
/// # Errors
/// Every problem found.
pub fn check(card: &AgentIdCard, options: &CheckOptions) -> Result<(), CardProblems> {
    let mut problems = Vec::new();
    check_workspace(
        &card.workspace,
        options.workspace_root.as_deref(),
        &mut problems,
    );
    if let Some(file) = &card.api_key_file {
        check_key_file(file, &mut problems);
    }
    if options.needs_model && card.model().is_none() {
        problems.push(Problem::new(
            "model",
            "is missing",
            "name a model that the provider serves",
        ));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(CardProblems {
            file: None,
            problems,
        })
    }
}

/// The workspace must be a folder of ours, reached without symbolic links, inside the root, and not a part of the system.
fn check_workspace(workspace: &Path, root: Option<&Path>, problems: &mut Vec<Problem>) {
    let mut report =
        |what: String, remedy: &str| problems.push(Problem::new("workspace", what, remedy));
    if let Some(link) = first_symlink(workspace) {
        report(
            format!("{} is a symbolic link", link.display()),
            "write the real path of the folder",
        );
        return;
    }
    if let Some(root) = root {
        // The root itself may be named through a link: the operator chose it, the card's author did not.
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        if !workspace.starts_with(&root) || workspace == root {
            report(
                format!("{} is not inside {}", workspace.display(), root.display()),
                "choose a folder below --workspace-root",
            );
        }
    }
    let system = [
        "/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin",
        "/sys", "/usr", "/var", "/home", "/tmp",
    ];
    if system.iter().any(|folder| workspace == Path::new(folder)) {
        report(
            format!("{} is a system folder", workspace.display()),
            "choose a folder of its own for the agent",
        );
    }
    match std::fs::symlink_metadata(workspace) {
        Ok(metadata) if !metadata.is_dir() => {
            report(
                format!("{} is not a folder", workspace.display()),
                "choose a folder",
            );
        }
        Ok(metadata) if metadata.uid() != rustix::process::geteuid().as_raw() => {
            report(
                format!("{} belongs to user {}", workspace.display(), metadata.uid()),
                "change its owner to the user that runs the worker",
            );
        }
        Ok(_) => {}
        // A missing folder is made when all else is well, as the original launcher did.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => report(
            format!("{} cannot be used: {error}", workspace.display()),
            "choose a folder that this user may enter",
        ),
    }
}

/// The first part of `path` that is a symbolic link.
fn first_symlink(path: &Path) -> Option<PathBuf> {
    let mut walked = PathBuf::new();
    for part in path.components() {
        walked.push(part);
        if matches!(part, Component::Normal(_)) && walked.is_symlink() {
            return Some(walked);
        }
    }
    None
}

fn check_key_file(file: &Path, problems: &mut Vec<Problem>) {
    let mut report =
        |what: String, remedy: String| problems.push(Problem::new("api_key_file", what, remedy));
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) => {
            report(
                format!("{} cannot be read: {error}", file.display()),
                "put the provider's key into that file, or correct the path".to_owned(),
            );
            return;
        }
    };
    if !metadata.is_file() {
        report(
            format!("{} is not a regular file", file.display()),
            "put the provider's key into a file".to_owned(),
        );
    } else if metadata.permissions().mode() & 0o007 != 0 {
        report(
            format!(
                "{} can be read by everybody (mode {:04o})",
                file.display(),
                metadata.permissions().mode() & 0o7777
            ),
            format!("run: chmod 600 {}", file.display()),
        );
    } else if metadata.len() == 0 || metadata.len() > 16 * 1024 {
        report(
            format!("{} is empty or longer than 16 KiB", file.display()),
            "put the provider's key into it".to_owned(),
        );
    } else if let Err(error) = std::fs::File::open(file) {
        report(
            format!("{} cannot be read: {error}", file.display()),
            format!("run: chown $USER {}", file.display()),
        );
    }
}

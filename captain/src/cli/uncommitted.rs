//! What a job does not take along: it starts from a commit, so whatever lies in the work tree beside it stays behind. Here
//! it is only noticed, so that nobody wonders later; the repository is not touched, and a failure is not worth a word.

use std::path::Path;

use super::text::{clean, count};
use crate::workspace::Git;

/// Names that are told; more are only counted.
const NAMED: usize = 5;

/// A note about what the work tree of `repo` holds beside its commits; none if there is nothing, or no work tree.
pub(crate) async fn note(repo: &Path) -> Option<String> {
    let git = Git::new(std::env::var_os("PATH").unwrap_or_default());
    let call = git.inside(repo).args([
        "--no-optional-locks",
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=normal",
        "--ignore-submodules=all",
        "--no-renames",
    ]);
    let answer = call.run().await.ok()?;
    tell(&answer.stdout)
}

/// The note for what `git status --porcelain=v1 -z --no-renames` printed (git-status(1)).
fn tell(status: &[u8]) -> Option<String> {
    let (mut changed, mut new) = (Vec::new(), Vec::new());
    for line in status.split(|&byte| byte == 0) {
        let Some((kind, path)) = line.split_at_checked(3) else {
            continue;
        };
        let path = clean(&String::from_utf8_lossy(path));
        match kind {
            b"?? " => new.push(path),
            b"!! " => {}
            _ => changed.push(path),
        }
    }
    let list = |what: &str, names: &[String]| {
        if names.is_empty() {
            return None;
        }
        let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
        let more = if names.len() > NAMED { ", …" } else { "" };
        Some(format!(
            "{} ({}{more})",
            count(names.len(), what),
            named.join(", ")
        ))
    };
    let parts = [list("uncommitted change", &changed), list("new file", &new)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return None;
    }
    Some(format!(
        "warning: the job starts from the last commit and does not take along {}; commit what it should see",
        parts.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_stays_behind_is_named() {
        assert_eq!(tell(b""), None);
        assert_eq!(tell(b"!! target/\0"), None);
        assert_eq!(
            tell(b" M src/a.rs\0A  b.rs\0?? notes\0").unwrap(),
            "warning: the job starts from the last commit and does not take along 2 uncommitted changes (src/a.rs, b.rs) \
             and 1 new file (notes); commit what it should see"
        );
        let many: String = (0..7).map(|i| format!("?? f{i}\0")).collect();
        assert!(
            tell(many.as_bytes())
                .unwrap()
                .contains("7 new files (f0, f1, f2, f3, f4, …)")
        );
    }
}

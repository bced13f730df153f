//! The check of a job's `repo`: it is a path on the captain's machine that comes from a client, so it is resolved and
//! measured against the allowed roots before anything opens it. What is done with the repository is `workspace`'s.

use std::path::{Path, PathBuf};

use super::error::ApiError;

/// The field of the request that is checked here.
const FIELD: &str = "repo";

/// Resolves `repo` and checks that it is a git repository inside one of `roots` (any place, when `roots` is empty).
///
/// # Errors
/// [`ApiError::Invalid`] at the field `repo`. A path outside the roots reads the same whether it exists or not.
pub(super) fn check(repo: &str, roots: &[PathBuf]) -> Result<PathBuf, ApiError> {
    let path = Path::new(repo);
    if !path.is_absolute() {
        return Err(ApiError::invalid(
            FIELD,
            format!("{repo:?} must be an absolute path on the captain's machine"),
        ));
    }
    let outside = || {
        let allowed: Vec<String> = roots
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        ApiError::invalid(
            FIELD,
            format!("{repo} is not inside {}", allowed.join(" or ")),
        )
    };
    let resolved = match path.canonicalize() {
        Ok(resolved) => resolved,
        Err(_) if !roots.is_empty() => return Err(outside()),
        Err(error) => {
            return Err(ApiError::invalid(
                FIELD,
                format!("{repo} cannot be opened: {error}"),
            ));
        }
    };
    if !roots.is_empty() && !roots.iter().any(|root| resolved.starts_with(root)) {
        return Err(outside());
    }
    if !is_repository(&resolved) {
        return Err(ApiError::invalid(
            FIELD,
            format!("{repo} is not a git repository; `git init` makes one"),
        ));
    }
    Ok(resolved)
}

/// A work tree has `.git` (a folder, or a file in a linked work tree); a bare repository has the parts themselves.
fn is_repository(path: &Path) -> bool {
    path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(repo: &Path, roots: &[PathBuf]) -> String {
        check(repo.to_str().unwrap(), roots)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn only_repositories_inside_the_roots_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let inside = base.join("in/repo");
        let outside = base.join("out");
        let plain = base.join("in/plain");
        std::fs::create_dir_all(inside.join(".git")).unwrap();
        std::fs::create_dir_all(outside.join(".git")).unwrap();
        std::fs::create_dir_all(&plain).unwrap();
        std::os::unix::fs::symlink(&outside, base.join("in/link")).unwrap();
        let roots = [base.join("in")];

        assert_eq!(check(inside.to_str().unwrap(), &roots).unwrap(), inside);
        assert_eq!(check(outside.to_str().unwrap(), &[]).unwrap(), outside);
        assert!(message(&plain, &roots).contains("not a git repository"));
        for bad in ["out", "in/link", "in/../out", "nowhere"] {
            let text = message(&base.join(bad), &roots);
            assert!(text.contains("is not inside"), "{text}");
        }
        assert!(message(Path::new("in/repo"), &[]).contains("absolute"));
    }
}

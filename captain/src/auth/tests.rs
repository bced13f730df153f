//! The user's token and the workers' tokens: made once, kept private, and of use to one worker only. Real key files in a
//! temporary folder, no server.

use std::os::unix::fs::PermissionsExt as _;

use a2a_proto::auth::JwtVerifier;
use a2a_proto::clock::{SystemClock, UuidV7};
use pretty_assertions::assert_eq;

use super::*;

fn tokens(dir: &Path) -> WorkerTokens {
    WorkerTokens::load(dir, Arc::new(SystemClock), Arc::new(UuidV7)).unwrap()
}

#[test]
fn user_token_is_made_once_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let first = user_token(dir.path()).unwrap();
    let second = user_token(dir.path()).unwrap();
    assert_eq!(first.expose_secret(), second.expose_secret());
    assert!(first.expose_secret().len() >= 43);
    let mode = std::fs::metadata(dir.path().join(TOKEN_FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn weak_or_open_tokens_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(TOKEN_FILE);
    write_private(&path, b"hunter2").unwrap();
    assert!(matches!(
        user_token(dir.path()),
        Err(IdentityError::WeakToken { .. })
    ));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        user_token(dir.path()),
        Err(IdentityError::File(_))
    ));
}

#[test]
fn worker_takes_only_its_own_tokens_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let jwks = tokens(dir.path()).jwks();
    let after = tokens(dir.path());
    assert_eq!(after.jwks(), jwks);
    let verifier = JwtVerifier::new(&jwks, "worker:api-1", Arc::new(SystemClock));
    let good = after.source("api-1", "captain").token().unwrap();
    assert_eq!(
        verifier.verify(good.expose_secret()).unwrap().sub,
        "captain"
    );
    let other = after.mint("api-2", "captain").unwrap();
    assert!(verifier.verify(other.expose_secret()).is_err());
    let stranger = tempfile::tempdir().unwrap();
    let forged = tokens(stranger.path()).mint("api-1", "captain").unwrap();
    assert!(verifier.verify(forged.expose_secret()).is_err());
}

#[test]
fn damaged_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write_private(&dir.path().join(KEY_FILE), b"not a key").unwrap();
    let error =
        WorkerTokens::load(dir.path(), Arc::new(SystemClock), Arc::new(UuidV7)).unwrap_err();
    assert!(error.to_string().contains(KEY_FILE), "{error}");
}

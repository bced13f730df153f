//! The layers of the configuration and what is refused before anything starts. No test touches the environment of the process.

use clap::Parser;
use pretty_assertions::assert_eq;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: ConfigArgs,
}

fn args(flags: &[&str]) -> ConfigArgs {
    let mut all = vec!["captain"];
    all.extend(flags);
    Cli::try_parse_from(all).unwrap().args
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("captain.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn error_of(flags: &[&str]) -> String {
    daemon::cli::chain(&Config::load(&args(flags)).unwrap_err())
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let (_dir, path) =
        file("listen = \"127.0.0.1:9000\"\n[limits]\nparallel = 7\nmax_workers = 3\n");
    let config = Config::load(&args(&["--config", &path, "--max-workers", "5"])).unwrap();
    assert_eq!(config.listen.port(), 9000);
    assert_eq!(config.limits.parallel.get(), 7);
    assert_eq!(config.limits.max_workers.get(), 5);
    assert_eq!(config.limits.max_body_bytes.get(), 8 * 1024 * 1024);
}

#[test]
fn unknown_setting_is_refused_by_name() {
    let (_dir, path) = file("[limits]\nparalel = 7\n");
    let error = error_of(&["--config", &path]);
    assert!(
        error.contains("captain.toml") && error.contains("paralel"),
        "{error}"
    );
}

#[test]
fn missing_file_is_named() {
    let error = error_of(&["--config", "/nowhere/captain.toml"]);
    assert!(error.contains("/nowhere/captain.toml"), "{error}");
}

#[test]
fn public_address_without_authentication_is_refused() {
    let error = error_of(&["--listen", "0.0.0.0:8000", "--no-auth"]);
    assert!(error.contains("without authentication"), "{error}");
    assert!(Config::load(&args(&["--listen", "0.0.0.0:8000"])).is_ok());
}

#[test]
fn zero_limits_are_refused() {
    let (_dir, path) = file("[limits]\nmax_workers = 0\n");
    let error = error_of(&["--config", &path]);
    assert!(
        error.contains("max_workers") || error.contains("nonzero"),
        "{error}"
    );
}

#[test]
fn wrong_values_name_their_setting() {
    for (flags, expected) in [
        (["--api-provider", "acme"], "agent.api_provider"),
        (["--agent-bin", "opencode"], "agent.agent_bin"),
        (["--agent-bin", "/nowhere/opencode"], "agent.agent_bin"),
        (["--api-key-file", "/nowhere/key"], "agent.api_key_file"),
        (["--repo-root", "/nowhere"], "repo_roots"),
        (["--base-url", "ftp://example.org"], "agent.base_url"),
    ] {
        let error = error_of(&flags);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn key_of_the_environment_chooses_the_provider_and_is_not_printed() {
    let mut given = args(&[]);
    given.anthropic_api_key = None;
    given.openai_api_key = Some(SecretString::from("sk-very-secret"));
    let config = Config::load(&given).unwrap();
    assert_eq!(config.agent.api_provider.as_deref(), Some("openai"));
    assert!(config.provider_key.is_some());
    assert!(!format!("{config:?} {given:?}").contains("sk-very-secret"));
}

#[test]
fn key_of_another_provider_is_left_alone() {
    let mut given = args(&["--api-provider", "anthropic"]);
    given.anthropic_api_key = None;
    given.openai_api_key = Some(SecretString::from("sk-very-secret"));
    let config = Config::load(&given).unwrap();
    assert!(config.provider_key.is_none());
}

#[test]
fn receivers_of_push_notifications_are_read_from_file_and_flags() {
    let (_dir, path) = file("push_allow = [\"loopback\", \"10.1.0.0/16\"]\n");
    let config = Config::load(&args(&["--config", &path])).unwrap();
    let entries = |config: &Config| {
        config
            .push_allow
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(entries(&config), ["loopback", "10.1.0.0/16"]);
    let flags = [
        "--config",
        &path,
        "--push-allow",
        "hooks.example.com,*.corp.example",
    ];
    let config = Config::load(&args(&flags)).unwrap();
    assert_eq!(entries(&config), ["hooks.example.com", "*.corp.example"]);
    let (_dir, path) = file("push_allow = [\"http://example.com\"]\n");
    let error = error_of(&["--config", &path]);
    assert!(
        error.contains("push_allow") && error.contains("no receiver"),
        "{error}"
    );
}

#[test]
fn ages_are_days_and_hours() {
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(parse_age("30d"), Ok(day * 30));
    assert_eq!(parse_age("1w 2d"), Ok(day * 9));
    assert_eq!(parse_age("90m"), Ok(Duration::from_secs(5400)));
    for wrong in ["", "30", "soon", "1mo", "-3d"] {
        assert!(parse_age(wrong).is_err(), "{wrong}");
    }
    let (_dir, path) = file("[retention]\njobs = \"30d\"\n");
    let config = Config::load(&args(&["--config", &path])).unwrap();
    assert_eq!(config.retention.jobs, Some(day * 30));
    let (_dir, path) = file("[retention]\njobs = \"often\"\n");
    assert!(error_of(&["--config", &path]).contains("is not a time"));
}

#[cfg(feature = "postgres")]
#[test]
fn the_password_of_a_database_is_only_ever_in_a_private_file() {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    let typed = error_of(&["--store", "postgres://u:s3cret@db.example/d"]);
    assert!(
        typed.contains("store.url") && typed.contains("--store-password-file"),
        "{typed}"
    );
    assert!(!typed.contains("s3cret"), "{typed}");
    let (_dir, path) = file("only for tests\n");
    let with_file = [
        "--store",
        "postgres://u@db.example/d",
        "--store-password-file",
        &path,
    ];
    let open_to_all = error_of(&with_file);
    assert!(open_to_all.contains("chmod 600"), "{open_to_all}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = Config::load(&args(&with_file)).unwrap();
    assert_eq!(
        config.store.password.as_ref().unwrap().expose_secret(),
        "only for tests"
    );
    assert!(!format!("{config:?}").contains("only for tests"));
    for (flags, says) in [
        (vec!["--store", "mysql://u@h/d"], "must be like postgres://"),
        (vec!["--store", "postgres:///d"], "no host"),
        (vec!["--shared-dir", "/srv"], "names none"),
        (
            vec!["--store", "postgres://u@h/d", "--store-ca", "/nowhere"],
            "no file /nowhere",
        ),
    ] {
        let error = error_of(&flags);
        assert!(error.contains(says), "{flags:?}: {error}");
    }
}

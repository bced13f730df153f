//! Agent ID cards: the original examples are accepted, and every mistake in a bad one is reported at once with its field and
//! what to do.

use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;

use super::*;

fn read(text: &str) -> Result<AgentIdCard, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.json");
    std::fs::write(&file, text).unwrap();
    AgentIdCard::read(&file)
        .map_err(|found| found.problems.iter().map(ToString::to_string).collect())
}

/// The first example of the original design, word by word.
const FULL: &str = r#"{
  "agent_id": "agent-alpha-001",
  "workspace": "/mnt/agents/alpha-001",
  "api_provider": "anthropic",
  "api_key_file": "/run/secrets/agents/alpha-001/api-key",
  "proxy": "http://10.100.1.1:3128",
  "resource_limits": {
    "memory_mb": 4096,
    "cpu_shares": 1024,
    "max_processes": 50
  },
  "allowed_hosts": ["api.anthropic.com", "api.openai.com"],
  "ttl_seconds": 3600
}"#;

const SHORT: &str = r#"{"agent_id":"dev-agent","workspace":"/mnt/agents/dev"}"#;

#[test]
fn original_examples_are_accepted() {
    let card = read(FULL).unwrap();
    assert_eq!(card.agent_id, "agent-alpha-001");
    assert_eq!(card.resource_limits.max_processes, 50);
    assert_eq!(card.resource_limits.max_open_files, 1024);
    assert_eq!(card.ttl_seconds, 3600);
    let card = read(SHORT).unwrap();
    assert_eq!(card.api_provider, Provider::Anthropic);
    assert_eq!(card.resource_limits, ResourceLimits::default());
    assert_eq!(card.resource_limits.max_processes, 512);
}

#[test]
fn toml_cards_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.toml");
    let text = "agent_id = \"dev-agent\"\nworkspace = \"/mnt/agents/dev\"\n[resource_limits]\nmemory_mb = 512\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(
        AgentIdCard::read(&file).unwrap().resource_limits.memory_mb,
        512
    );
}

#[test]
fn every_problem_is_reported_at_once_with_field_and_remedy() {
    let problems = read(
        r#"{
            "agent_id": "Alpha 1", "workspace": "work", "api_provider": "azure",
            "resource_limits": { "memory_mb": -5, "cpu_shares": 1.5, "max_proceses": 3 },
            "allowed_hosts": ["*", "ok.example.org", "https://x.org"],
            "ttl_seconds": "1h", "environment": { "LD_PRELOAD": "/x.so", "2x": "y", "FINE": "z" },
            "a2a_port": 70000, "base_url": "ftp://x", "colour": "red"
        }"#,
    )
    .unwrap_err();
    let fields: Vec<&str> = problems
        .iter()
        .map(|problem| problem.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "api_provider",
            "resource_limits.memory_mb",
            "resource_limits.cpu_shares",
            "resource_limits.max_proceses",
            "ttl_seconds",
            "a2a_port",
            "colour",
            "agent_id",
            "workspace",
            "base_url",
            "allowed_hosts[0]",
            "allowed_hosts[2]",
            "environment.2x",
            "environment.LD_PRELOAD",
        ]
    );
    assert_eq!(
        problems[1],
        "resource_limits.memory_mb: -5 is out of range; write a whole number from 64 to 16777216"
    );
    assert!(
        problems.iter().all(|problem| problem.contains("; ")),
        "{problems:#?}"
    );
}

#[test]
fn missing_fields_and_bad_syntax_are_named() {
    for (text, expected) in [
        ("{}", "agent_id: is missing; add it, such as \"alpha-001\""),
        ("[]", "the file is not an object"),
        ("{\"agent_id\": ", "the file is not valid JSON: EOF"),
        (
            r#"{"agent_id":"a","workspace":"/w","api_provider":"custom"}"#,
            "base_url: is missing; api_provider \"custom\" needs it",
        ),
        (
            r#"{"agent_id":"a","workspace":"/w/../etc"}"#,
            "workspace: /w/../etc contains \"..\"",
        ),
        (
            r#"{"agent_id":"a","workspace":"/w","agent":{"command":["claude"]}}"#,
            "agent.command: \"claude\" is not an absolute path",
        ),
        (
            r#"{"agent_id":"a","workspace":"/w","proxy":"http://me:pw@x:1"}"#,
            "proxy: ",
        ),
    ] {
        let problems = read(text).unwrap_err();
        assert!(problems[0].starts_with(expected), "{text}: {problems:#?}");
    }
    let error = AgentIdCard::read(Path::new("/nonexistent/card.json"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "the agent ID card /nonexistent/card.json has a problem\n  the file cannot be read: "
        ),
        "{error}"
    );
}

#[test]
fn workspace_must_be_inside_the_root_and_reached_without_links() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let inside = base.join("root/w");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::create_dir(base.join("other")).unwrap();
    std::os::unix::fs::symlink(&inside, base.join("root/link")).unwrap();
    std::fs::write(base.join("root/file"), "").unwrap();
    let options = CheckOptions {
        workspace_root: Some(base.join("root")),
        needs_model: false,
    };
    let problem = |workspace: PathBuf| {
        let card = AgentIdCard {
            workspace,
            ..read(SHORT).unwrap()
        };
        check(&card, &options).err().map(|found| found.to_string())
    };
    assert_eq!(problem(inside), None);
    assert_eq!(problem(base.join("root/not-yet-there")), None);
    assert!(
        problem(base.join("root/link"))
            .unwrap()
            .contains("is a symbolic link; write the real path")
    );
    assert!(
        problem(base.join("root/link/deeper"))
            .unwrap()
            .contains("is a symbolic link")
    );
    assert!(
        problem(base.join("other"))
            .unwrap()
            .contains("is not inside")
    );
    assert!(
        problem(base.join("root/file"))
            .unwrap()
            .contains("is not a folder")
    );
    assert!(
        problem(PathBuf::from("/etc"))
            .unwrap()
            .contains("is a system folder")
    );
}

#[test]
fn key_file_must_be_there_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().canonicalize().unwrap();
    let key = workspace.join("key");
    let problem = || {
        let card = AgentIdCard {
            api_key_file: Some(key.clone()),
            workspace: workspace.clone(),
            ..read(SHORT).unwrap()
        };
        check(&card, &CheckOptions::default())
            .err()
            .map(|found| found.to_string())
    };
    assert!(problem().unwrap().contains("cannot be read: No such file"));
    std::fs::write(&key, "secret").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(problem().unwrap().contains("mode 0644"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(problem(), None);
    std::fs::write(&key, "").unwrap();
    assert!(problem().unwrap().contains("is empty"));
}

#[test]
fn a_model_is_asked_for_only_where_there_is_no_default() {
    let workspace = tempfile::tempdir().unwrap();
    let base = AgentIdCard {
        workspace: workspace.path().canonicalize().unwrap(),
        ..read(SHORT).unwrap()
    };
    let options = CheckOptions {
        workspace_root: None,
        needs_model: true,
    };
    assert!(check(&base, &options).is_ok());
    let ollama = AgentIdCard {
        api_provider: Provider::Ollama,
        ..base
    };
    assert!(
        check(&ollama, &options)
            .unwrap_err()
            .to_string()
            .contains("model: is missing")
    );
}

#[test]
fn committed_schema_is_fresh() {
    let committed = include_str!("../../agent-id-card.schema.json");
    assert!(
        AgentIdCard::json_schema() == committed,
        "run: worker schema > worker/agent-id-card.schema.json"
    );
}

#[test]
fn schema_accepts_the_examples_and_refuses_what_the_reader_refuses() {
    let schema = serde_json::from_str(&AgentIdCard::json_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let is_valid = |text: &str| validator.is_valid(&serde_json::from_str(text).unwrap());
    assert!(is_valid(FULL));
    let shipped = include_str!("../../../examples/agent-id-card.json");
    assert!(is_valid(shipped) && read(shipped).is_ok());
    assert!(is_valid(SHORT));
    for refused in [
        "{}",
        r#"{"agent_id":"A","workspace":"/w"}"#,
        r#"{"agent_id":"a","workspace":"w"}"#,
        r#"{"agent_id":"a","workspace":"/w","colour":"red"}"#,
        r#"{"agent_id":"a","workspace":"/w","resource_limits":{"memory_mb":-1}}"#,
    ] {
        assert!(!is_valid(refused), "{refused}");
        assert!(read(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_written_card_reads_back_equal() {
    let card = read(FULL).unwrap();
    assert_eq!(read(&serde_json::to_string(&card).unwrap()).unwrap(), card);
}

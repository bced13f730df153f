//! Keys, signatures and verdicts as a user sees them: files, texts, exit codes.

use clap::Parser as _;

use super::*;
use crate::cli::args::Command;

/// Runs `captain card …` in a folder.
async fn captain(folder: &Path, line: &str) -> Result<Exit, Failure> {
    let words = line.split(' ').map(|word| match word.strip_prefix('@') {
        Some(file) => folder.join(file).display().to_string(),
        None => word.to_owned(),
    });
    let cli = Cli::try_parse_from(
        ["captain", "card", "-q"]
            .map(str::to_owned)
            .into_iter()
            .chain(words),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    match &cli.command {
        Command::Card(command) => run(&cli, command).await,
        other => panic!("{other:?}"),
    }
}

fn code(result: Result<Exit, Failure>) -> (u8, String) {
    match result {
        Ok(exit) => (exit.code(), String::new()),
        Err(failure) => {
            let mut text = Vec::new();
            failure.write_to(&mut text).unwrap();
            (failure.exit().code(), String::from_utf8(text).unwrap())
        }
    }
}

fn card(folder: &Path) {
    let card = json!({
        "name": "w", "description": "d", "version": "1", "capabilities": {}, "skills": [],
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"], "x-note": "kept",
        "supportedInterfaces": [{"url": "http://h/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
    });
    std::fs::write(folder.join("card.json"), card.to_string()).unwrap();
}

#[tokio::test]
async fn a_card_is_signed_and_verified_with_either_kind_of_key() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    card(folder);
    let run = async |line: &str| code(captain(folder, line).await);
    for alg in ["eddsa", "es256"] {
        let made = format!("key --alg {alg} --key @{alg}.pem --jwks @{alg}.json --days 1");
        assert_eq!(run(&made).await, (0, String::new()));
        let (again, text) = run(&made).await;
        assert!(again == 64 && text.contains("never overwritten"), "{text}");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(folder.join(format!("{alg}.pem")))
                .unwrap()
                .permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let signed = format!("sign @card.json --key @{alg}.pem -o @{alg}-card.json");
        assert_eq!(run(&signed).await.0, 0);
        let verdict = format!("verify @{alg}-card.json --keys @{alg}.json");
        assert_eq!(run(&verdict).await, (0, String::new()));
    }
    let (other, text) = run("verify @eddsa-card.json --keys @es256.json").await;
    assert!(
        other == 1 && text.contains("not among the trusted keys"),
        "{text}"
    );
    let (unsigned, text) = run("verify @card.json --keys @es256.json").await;
    assert_eq!(
        (unsigned, text.as_str()),
        (1, "error: the card is not signed\n")
    );
    // Both keys, under ids of their own, in place of what was there.
    let both = "sign @eddsa-card.json --replace --key @eddsa.pem --key @es256.pem --kid a --kid b -o @both.json";
    assert_eq!(run(both).await.0, 0);
    let both: Value =
        serde_json::from_slice(&std::fs::read(folder.join("both.json")).unwrap()).unwrap();
    assert_eq!(both["x-note"], "kept");
    assert_eq!(
        both["signatures"].as_array().unwrap().len(),
        6,
        "three forms, two keys"
    );
    assert_eq!(
        run("verify @both.json --keys @es256.json").await.0,
        1,
        "the ids are others"
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    card(folder);
    let run = async |line: &str| code(captain(folder, line).await);
    run("key --key @k.pem --jwks @k.json").await;
    run("sign @card.json --key @k.pem -o @s.json").await;
    let text = std::fs::read_to_string(folder.join("s.json")).unwrap();
    std::fs::write(
        folder.join("tampered.json"),
        text.replace("http://h/", "http://evil/"),
    )
    .unwrap();
    std::fs::write(
        folder.join("twice.json"),
        text.replacen('{', "{\"name\": \"w\",", 1),
    )
    .unwrap();
    std::fs::write(folder.join("incomplete.json"), "{\"name\": \"w\"}").unwrap();
    std::fs::write(folder.join("open.pem"), "x").unwrap();
    for (line, exit, expect) in [
        (
            "verify @tampered.json --keys @k.json",
            1,
            "changed after it was signed",
        ),
        ("verify @twice.json --keys @k.json", 64, "there twice"),
        ("verify @none.json --keys @k.json", 64, "none.json"),
        ("verify @s.json --keys @s.json", 64, "not a JWK set"),
        (
            "verify http://127.0.0.1:9/ --keys @k.json",
            69,
            "cannot fetch http://127.0.0.1:9/.well-known/agent-card.json",
        ),
        (
            "sign @incomplete.json --key @k.pem",
            64,
            "supportedInterfaces",
        ),
        ("sign @twice.json --key @k.pem", 64, "there twice"),
        ("sign @card.json --key @k.json", 64, "k.json"),
        ("sign @card.json --key @open.pem", 64, "open.pem"),
        (
            "sign @card.json --key @k.pem --kid a --kid b",
            2,
            "one for each key",
        ),
    ] {
        let (code, text) = run(line).await;
        assert_eq!(code, exit, "{line}: {text}");
        assert!(text.contains(expect), "{line}: {text}");
    }
}

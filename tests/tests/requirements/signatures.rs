//! Signed cards: CARD-SIGN (A2A §8.4), through the command line that people use. What must be signed is written down here
//! by hand, and checked with another library than the product's own code.

use std::{fs, path::Path};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::{
    process::{Finished, command, run},
    programs,
    wait::SOON,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A card with members at their defaults, some of them required, in no particular order.
fn card() -> Value {
    json!({
        "version": "1.0.0",
        "name": "Example Agent",
        "description": "",
        "skills": [],
        "capabilities": {"streaming": false, "pushNotifications": false, "extensions": []},
        "supportedInterfaces": [{
            "url": "https://agent.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "",
        }],
        "defaultInputModes": [],
        "defaultOutputModes": ["text/plain"],
        "securityRequirements": [],
    })
}

/// Its canonical form, by the rules of A2A §8.4.1 and RFC 8785.
const CANONICAL: &str = "{\"capabilities\":{\"pushNotifications\":false,\"streaming\":false},\"defaultInputModes\":[],\
    \"defaultOutputModes\":[\"text/plain\"],\"description\":\"\",\"name\":\"Example Agent\",\"skills\":[],\
    \"supportedInterfaces\":[{\"protocolBinding\":\"JSONRPC\",\"protocolVersion\":\"1.0\",\
    \"url\":\"https://agent.example/a2a\"}],\"version\":\"1.0.0\"}";

/// A folder with keys and cards.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, card: &Value) {
        fs::write(self.path(name), card.to_string()).unwrap();
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    async fn captain(&self, args: &[&str]) -> Finished {
        let mut command = command(&programs::captain(), self.0.path());
        command.arg("card").args(args);
        run(command, SOON).await
    }

    /// Makes a key, and its set beside it.
    async fn key(&self, name: &str) {
        let (key, set) = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.json")),
        );
        let made = self
            .captain(&["key", "--key", &key, "--jwks", &set, "--kid", name])
            .await;
        let _ = made.exits(0);
    }

    /// Signs a card.
    async fn sign(&self, card: &str, keys: &[&str], out: &str) -> Value {
        let (card, out_path) = (self.path(card), self.path(out));
        let paths: Vec<String> = keys
            .iter()
            .map(|key| self.path(&format!("{key}.pem")))
            .collect();
        let mut args = vec!["sign", &card, "-o", &out_path];
        for (path, name) in paths.iter().zip(keys) {
            args.extend(["--key", path, "--kid", name]);
        }
        let _ = self.captain(&args).await.exits(0);
        self.read(out)
    }

    /// The exit code of a verification.
    async fn verify(&self, card: &str, keys: &str) -> i32 {
        let (card, keys) = (self.path(card), self.path(keys));
        self.captain(&["verify", &card, "--keys", &keys]).await.code
    }
}

fn header(signature: &Value) -> Value {
    let bytes = URL_SAFE_NO_PAD
        .decode(signature["protected"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Whether a signature is one over `payload`, by the key of a set.
fn good(signature: &Value, set: &Value, payload: &str) -> bool {
    let protected = signature["protected"].as_str().unwrap();
    let message = format!("{protected}.{}", URL_SAFE_NO_PAD.encode(payload));
    let key = URL_SAFE_NO_PAD
        .decode(set["keys"][0]["x"].as_str().unwrap())
        .unwrap();
    let bytes = URL_SAFE_NO_PAD
        .decode(signature["signature"].as_str().unwrap())
        .unwrap();
    UnparsedPublicKey::new(&ED25519, key)
        .verify(message.as_bytes(), &bytes)
        .is_ok()
}

fn signatures(card: &Value) -> &[Value] {
    card["signatures"].as_array().unwrap()
}

/// A signature is a detached JWS over the canonical card.
#[tokio::test(flavor = "multi_thread")]
async fn card_sign_001_http() {
    let desk = Desk::new();
    desk.key("one").await;
    desk.write("card.json", &card());
    let signed = desk.sign("card.json", &["one"], "signed.json").await;
    let set = desk.read("one.json");
    assert!(
        signatures(&signed)
            .iter()
            .any(|it| good(it, &set, CANONICAL)),
        "{signed:#}"
    );
    for signature in signatures(&signed) {
        let names: Vec<_> = signature.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["protected", "signature"],
            "the payload is not repeated"
        );
        assert!(
            !good(signature, &set, &CANONICAL.replace("1.0.0", "1.0.1")),
            "of this card only"
        );
    }
    let mut plain = signed;
    plain.as_object_mut().unwrap().remove("signatures");
    assert_eq!(plain, card(), "the card itself is as it was");
}

/// Spaces, order, members at their default and other signatures do not count; everything else does.
#[tokio::test(flavor = "multi_thread")]
async fn card_sign_002_http() {
    let desk = Desk::new();
    desk.key("one").await;
    let set = desk.read("one.json");
    let mut other = card();
    other["iconUrl"] = json!(null);
    other["securitySchemes"] = json!({});
    other["capabilities"]
        .as_object_mut()
        .unwrap()
        .remove("extensions");
    other["signatures"] = json!([{"protected": "e30", "signature": "AA"}]);
    fs::write(
        desk.path("other.json"),
        serde_json::to_string_pretty(&other).unwrap(),
    )
    .unwrap();
    let signed = desk.sign("other.json", &["one"], "signed.json").await;
    assert!(
        signatures(&signed)
            .iter()
            .any(|it| good(it, &set, CANONICAL)),
        "{signed:#}"
    );
    let good = desk.sign("other.json", &["one"], "good.json").await;
    for (pointer, value) in [
        ("/name", json!("Another Agent")),
        ("/description", json!(" ")),
        ("/capabilities/streaming", json!(true)),
        (
            "/supportedInterfaces/0/url",
            json!("https://evil.example/a2a"),
        ),
        ("/defaultOutputModes/0", json!("text/html")),
    ] {
        let mut tampered = good.clone();
        *tampered.pointer_mut(pointer).unwrap() = value;
        desk.write("tampered.json", &tampered);
        assert_eq!(
            desk.verify("tampered.json", "one.json").await,
            1,
            "{pointer}"
        );
    }
}

/// The protected header says how it was signed, and with which key.
#[tokio::test(flavor = "multi_thread")]
async fn card_sign_003_http() {
    let desk = Desk::new();
    desk.write("card.json", &card());
    for key in ["one", "two"] {
        desk.key(key).await;
        let signed = desk.sign("card.json", &[key], "signed.json").await;
        for signature in signatures(&signed) {
            let header = header(signature);
            assert_eq!(
                (&header["alg"], &header["typ"], &header["kid"]),
                (&json!("EdDSA"), &json!("JOSE"), &json!(key))
            );
        }
        let set = desk.read(&format!("{key}.json"));
        assert_eq!(set["keys"][0]["kid"], key);
        assert_eq!(
            set["keys"][0].get("d"),
            None,
            "the private half is not in the set"
        );
    }
}

/// A card is taken when one of its signatures is good: by a key that is trusted, over this card.
#[tokio::test(flavor = "multi_thread")]
async fn card_sign_004_http() {
    let desk = Desk::new();
    for key in ["old", "new", "stranger"] {
        desk.key(key).await;
    }
    desk.write("card.json", &card());
    assert_eq!(
        desk.verify("card.json", "old.json").await,
        1,
        "a card without a signature"
    );
    desk.sign("card.json", &["old"], "signed.json").await;
    assert_eq!(desk.verify("signed.json", "old.json").await, 0);
    assert_eq!(desk.verify("signed.json", "stranger.json").await, 1);
    desk.sign("card.json", &["old", "new"], "both.json").await;
    for keys in ["old.json", "new.json"] {
        assert_eq!(
            desk.verify("both.json", keys).await,
            0,
            "keys are changed without a gap"
        );
    }
    // Somebody who has the key's name but not the key.
    let impostor = Path::new(&desk.path("impostor.json")).to_owned();
    let mut set = desk.read("stranger.json");
    set["keys"][0]["kid"] = json!("old");
    fs::write(impostor, set.to_string()).unwrap();
    assert_eq!(desk.verify("signed.json", "impostor.json").await, 1);
}

//! What counts in a card, and everything that must not pass for a signature.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::auth::{Jwk, Jwks};

const ALL: &[Form] = &[Form::Standard, Form::Verbatim, Form::Reduced];
const STRICT: &[Form] = &[Form::Standard, Form::Verbatim];

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A card with all that makes a difference: members of an older version, empty members, explicit defaults.
fn card() -> Value {
    json!({
        "name": "tester", "description": "", "version": "1.0.0",
        "supportedInterfaces": [{"url": "http://h/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {"streaming": true, "pushNotifications": false, "extensions": []},
        "defaultInputModes": ["text/plain"], "defaultOutputModes": [],
        "skills": [{"id": "s", "name": "S", "description": "d", "tags": [], "examples": []}],
        "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
        "securityRequirements": [{"schemes": {"bearer": {"list": []}}}],
        "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC",
    })
}

fn key() -> CardKey {
    CardKey::generate(CardAlgorithm::EdDsa).unwrap()
}

fn signed(keys: Vec<CardKey>, forms: &[Form]) -> Value {
    let mut card = card();
    let signer = CardSigner::new(keys).with_forms(forms.iter().copied());
    signer.sign_document(&mut card).unwrap();
    card
}

fn check(card: &Value, keys: &Jwks, forms: &[Form]) -> Result<VerifiedCard, CardProblem> {
    verify(
        card.to_string().as_bytes(),
        &CardKeys::new(keys.clone()),
        forms,
        now(),
    )
}

fn only_problem(result: Result<VerifiedCard, CardProblem>) -> SignatureProblem {
    match result {
        Err(CardProblem::NoneGood { problems }) if problems.len() == 1 => problems[0].clone(),
        other => panic!("{other:?}"),
    }
}

/// A signature with a header of the test's choice.
fn with_header(key: &CardKey, header: &str) -> Value {
    let mut card = card();
    let protected = URL_SAFE_NO_PAD.encode(header);
    let payload = payload(&card, Form::Standard).unwrap();
    let signature = key
        .sign(&sign::signing_input(&protected, &payload))
        .unwrap();
    card["signatures"] = json!([{"protected": protected, "signature": signature}]);
    card
}

#[test]
fn the_worked_example_of_the_specification_has_its_canonical_form() {
    let card = json!({
        "name": "Example Agent", "description": "",
        "capabilities": {"streaming": false, "pushNotifications": false, "extensions": []}, "skills": [],
    });
    let expect = r#"{"capabilities":{"pushNotifications":false,"streaming":false},"description":"","name":"Example Agent","skills":[]}"#;
    assert_eq!(payload(&card, Form::Standard).unwrap(), expect.as_bytes());
}

#[test]
fn required_members_stay_set_ones_stay_and_defaults_go() {
    let text = |form| String::from_utf8(payload(&card(), form).unwrap()).unwrap();
    assert_eq!(
        text(Form::Standard),
        r#"{"capabilities":{"pushNotifications":false,"streaming":true},"defaultInputModes":["text/plain"],"defaultOutputModes":[],"description":"","name":"tester","securityRequirements":[{"schemes":{"bearer":{}}}],"securitySchemes":{"bearer":{"httpAuthSecurityScheme":{"scheme":"Bearer"}}},"skills":[{"description":"d","id":"s","name":"S","tags":[]}],"supportedInterfaces":[{"protocolBinding":"JSONRPC","protocolVersion":"1.0","url":"http://h/"}],"version":"1.0.0"}"#
    );
    assert!(text(Form::Verbatim).contains(r#""preferredTransport":"JSONRPC""#));
    assert!(text(Form::Verbatim).contains(r#""examples":[]"#));
    let reduced = text(Form::Reduced);
    for gone in [
        "description\":\"\"",
        "[]",
        "{}",
        "securityRequirements",
        "preferredTransport",
    ] {
        assert!(!reduced.contains(gone), "{gone} in {reduced}");
    }
}

#[test]
fn spelling_order_and_unset_members_make_no_difference() {
    let mut other = card();
    other["supported_interfaces"] = other["supportedInterfaces"].take();
    other.as_object_mut().unwrap().remove("supportedInterfaces");
    other["iconUrl"] = Value::Null;
    other["provider"] = Value::Null;
    other["signatures"] = json!([{"protected": "x", "signature": "y"}]);
    assert_eq!(
        payload(&other, Form::Standard),
        payload(&card(), Form::Standard)
    );
    // What an extension's parameters hold is data: nothing of it is a default.
    let mut with = card();
    with["capabilities"]["extensions"] = json!([{"uri": "urn:x", "required": false, "params": {"b": "", "a": [1.0, 1e21, 0.1, {}]}}]);
    let text = String::from_utf8(payload(&with, Form::Standard).unwrap()).unwrap();
    assert!(
        text.contains(r#"[{"params":{"a":[1,1e+21,0.1,{}],"b":""},"uri":"urn:x"}]"#),
        "{text}"
    );
}

#[test]
fn each_kind_of_key_signs_and_survives_being_kept() {
    for algorithm in [CardAlgorithm::EdDsa, CardAlgorithm::Es256] {
        let key = CardKey::generate(algorithm).unwrap();
        let pem = secrecy::ExposeSecret::expose_secret(&key.to_pem()).to_owned();
        let kept = CardKey::from_pem(&pem).unwrap();
        assert_eq!((kept.kid(), kept.algorithm()), (key.kid(), algorithm));
        let jwks = key.jwks();
        let card = signed(vec![kept], ALL);
        assert_eq!(card["signatures"].as_array().unwrap().len(), 3);
        for form in ALL {
            let verified = check(&card, &jwks, &[*form]).unwrap();
            assert_eq!(
                (verified.alg.as_str(), verified.form, verified.kid.as_str()),
                (algorithm.name(), *form, key.kid())
            );
        }
        // Somebody else's implementation agrees.
        let (protected, signature) = (
            &card["signatures"][0]["protected"],
            &card["signatures"][0]["signature"],
        );
        let message = sign::signing_input(
            protected.as_str().unwrap(),
            &payload(&card, Form::Standard).unwrap(),
        );
        let (public, alg) = match algorithm {
            CardAlgorithm::EdDsa => (
                jsonwebtoken::DecodingKey::from_ed_components(&jwks.keys[0].x),
                jsonwebtoken::Algorithm::EdDSA,
            ),
            CardAlgorithm::Es256 => (
                jsonwebtoken::DecodingKey::from_ec_components(&jwks.keys[0].x, &jwks.keys[0].y),
                jsonwebtoken::Algorithm::ES256,
            ),
        };
        let signature = signature.as_str().unwrap();
        assert!(jsonwebtoken::crypto::verify(signature, &message, &public.unwrap(), alg).unwrap());
        let header = URL_SAFE_NO_PAD.decode(protected.as_str().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(
            header,
            json!({"alg": algorithm.name(), "kid": key.kid(), "typ": "JOSE"})
        );
    }
    assert!(matches!(CardKey::from_pem("x"), Err(CardKeyError::NotPem)));
}

#[test]
fn a_card_that_is_only_an_object_of_1_0_needs_two_signatures_at_most() {
    let key = key();
    let jwks = key.jwks();
    let signer = CardSigner::new(vec![key]);
    let mut card: crate::types::AgentCard = serde_json::from_value(card()).unwrap();
    card.security_requirements.clear();
    card.description = "d".into();
    card.default_output_modes.push("text/plain".into());
    card.skills[0].tags.push("t".into());
    signer.sign_card(&mut card).unwrap();
    assert_eq!(card.signatures.len(), 1, "all forms are the same");
    let bytes = serde_json::to_vec(&card).unwrap();
    verify(&bytes, &CardKeys::new(jwks), STRICT, now()).unwrap();
}

#[test]
fn every_change_of_a_card_is_noticed() {
    let key = key();
    let jwks = key.jwks();
    let card = signed(vec![key], STRICT);
    check(&card, &jwks, STRICT).unwrap();
    let changes: [(&str, Value); 9] = [
        ("/name", json!("other")),
        ("/description", json!("x")),
        ("/supportedInterfaces/0/url", json!("http://evil/")),
        ("/capabilities/streaming", json!(false)),
        ("/capabilities/pushNotifications", json!(null)),
        ("/defaultOutputModes", json!(["x"])),
        ("/securityRequirements", json!([])),
        ("/securitySchemes", json!({})),
        ("/skills/0/id", json!("t")),
    ];
    for (place, value) in changes {
        let mut changed = card.clone();
        *changed.pointer_mut(place).unwrap() = value;
        assert!(
            matches!(
                check(&changed, &jwks, STRICT),
                Err(CardProblem::NoneGood { .. })
            ),
            "{place}"
        );
    }
    let mut more = card.clone();
    more["provider"] = json!({"url": "u", "organization": "o"});
    check(&more, &jwks, STRICT).unwrap_err();
    // A member that 1.0 does not know is not used, so the standard form is right not to cover it.
    let mut unknown = card;
    unknown["x-note"] = json!(1);
    assert_eq!(check(&unknown, &jwks, STRICT).unwrap().form, Form::Standard);
    check(&unknown, &jwks, &[Form::Verbatim]).unwrap_err();
}

#[test]
fn the_reduced_form_is_taken_only_when_asked_for() {
    let key = key();
    let jwks = key.jwks();
    let card = signed(vec![key], &[Form::Reduced]);
    assert!(matches!(
        only_problem(check(&card, &jwks, STRICT)),
        SignatureProblem::Mismatch { .. }
    ));
    check(&card, &jwks, ALL).unwrap();
}

#[test]
fn keys_are_changed_with_two_signatures() {
    let (old, new) = (key(), CardKey::generate(CardAlgorithm::Es256).unwrap());
    let (old_keys, new_keys) = (old.jwks(), new.jwks());
    let card = signed(vec![old, new], &[Form::Standard]);
    assert_eq!(check(&card, &old_keys, STRICT).unwrap().index, 0);
    assert_eq!(check(&card, &new_keys, STRICT).unwrap().index, 1);
    check(&card, &key().jwks(), STRICT).unwrap_err();
    // The old key is taken back; the new one still counts.
    let mut both = old_keys;
    both.keys[0].revoked = Some(json!({"revoked_at": 1}));
    both.keys.extend(new_keys.keys);
    assert_eq!(check(&card, &both, STRICT).unwrap().index, 1);
}

#[test]
fn keys_that_do_not_count() {
    let key = key();
    let good = key.jwks();
    let kid = key.kid().to_owned();
    let card = signed(vec![key], &[Form::Standard]);
    let second = now().as_second();
    let with = |change: &dyn Fn(&mut Jwk)| {
        let mut keys = good.clone();
        change(&mut keys.keys[0]);
        check(&card, &keys, STRICT)
    };
    with(&|key| (key.nbf, key.exp) = (Some(second), Some(second + 1))).unwrap();
    let kid = || kid.clone();
    let eddsa = || "EdDSA".to_owned();
    type Case<'a> = (&'a dyn Fn(&mut Jwk), SignatureProblem);
    let cases: [Case<'_>; 8] = [
        (
            &|key| key.exp = Some(second),
            SignatureProblem::Expired { kid: kid() },
        ),
        (
            &|key| key.nbf = Some(second + 1),
            SignatureProblem::NotYetValid { kid: kid() },
        ),
        (
            &|key| key.revoked = Some(json!(true)),
            SignatureProblem::Revoked { kid: kid() },
        ),
        (
            &|key| key.kid = "other".into(),
            SignatureProblem::UnknownKey { kid: kid() },
        ),
        (
            &|key| key.alg = "ES256".into(),
            SignatureProblem::WrongKind {
                kid: kid(),
                alg: eddsa(),
            },
        ),
        (
            &|key| key.usage = "enc".into(),
            SignatureProblem::WrongKind {
                kid: kid(),
                alg: eddsa(),
            },
        ),
        (
            &|key| key.x = "!".into(),
            SignatureProblem::BadKey { kid: kid() },
        ),
        (
            &|key| key.x = "AAAA".into(),
            SignatureProblem::Mismatch { kid: kid() },
        ),
    ];
    for (change, expect) in cases {
        assert_eq!(only_problem(with(change)), expect);
    }
    // A key without an id is nobody's, even for a signature without one.
    let anonymous = with_header(
        &CardKey::generate(CardAlgorithm::EdDsa).unwrap(),
        r#"{"alg":"EdDSA"}"#,
    );
    let mut keys = good.clone();
    keys.keys[0].kid.clear();
    assert!(matches!(
        only_problem(check(&anonymous, &keys, STRICT)),
        SignatureProblem::Malformed { .. }
    ));
}

#[test]
fn algorithms_cannot_be_confused() {
    let key = key();
    let keys = key.jwks();
    let kid = key.kid();
    for alg in ["none", "None", "HS256", "RS512", "ES256K", "", "eddsa"] {
        let card = with_header(&key, &format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#));
        let problem = only_problem(check(&card, &keys, STRICT));
        assert!(
            matches!(problem, SignatureProblem::Algorithm { .. }),
            "{alg}: {problem}"
        );
    }
    // The public key as the secret of an HMAC, or an Ed25519 key for another algorithm.
    for alg in ["ES256", "RS256"] {
        let card = with_header(&key, &format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#));
        let problem = only_problem(check(&card, &keys, STRICT));
        assert!(
            matches!(problem, SignatureProblem::WrongKind { .. }),
            "{alg}: {problem}"
        );
    }
    let fully = with_header(&key, &format!(r#"{{"alg":"Ed25519","kid":"{kid}"}}"#));
    check(&fully, &keys, STRICT).unwrap();
    // An empty signature is not a good one.
    let mut card = with_header(&key, &format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#));
    card["signatures"][0]["signature"] = json!("");
    assert!(matches!(
        only_problem(check(&card, &keys, STRICT)),
        SignatureProblem::Mismatch { .. }
    ));
}

#[test]
fn headers_are_read_strictly() {
    let key = key();
    let keys = key.jwks();
    let kid = key.kid();
    for header in [
        String::new(),
        "[]".into(),
        "{".into(),
        r#"{"alg":"EdDSA"}"#.into(),
        format!(r#"{{"kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"other","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","crit":["b64"],"b64":false}}"#),
        format!(r#"{{"alg":["EdDSA"],"kid":"{kid}"}}"#),
        format!(
            r#"{{"alg":"EdDSA","kid":"{kid}","x":"{}"}}"#,
            "x".repeat(8192)
        ),
    ] {
        let problem = only_problem(check(&with_header(&key, &header), &keys, STRICT));
        assert!(
            matches!(problem, SignatureProblem::Malformed { .. }),
            "{header:.60}: {problem}"
        );
    }
    let mut card = with_header(&key, &format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#));
    card["signatures"][0]["header"] = json!({"note": "x"});
    check(&card, &keys, STRICT).unwrap();
    for header in [json!({"kid": "x"}), json!({"crit": []}), json!("x")] {
        card["signatures"][0]["header"] = header;
        only_problem(check(&card, &keys, STRICT));
    }
}

#[test]
fn documents_are_read_strictly() {
    let key = key();
    let keys = CardKeys::new(key.jwks());
    let card = signed(vec![key], STRICT).to_string();
    verify(card.as_bytes(), &keys, STRICT, now()).unwrap();
    for twice in [
        card.replacen('{', r#"{"name":"evil","#, 1),
        card.replacen(
            r#""streaming":true"#,
            r#""streaming":true,"streaming":true"#,
            1,
        ),
        "[]".into(),
        "{".into(),
        r#"{"signatures":{}}"#.into(),
        r#"{"name":5,"signatures":[{}]}"#.into(),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
    ] {
        let problem = verify(twice.as_bytes(), &keys, STRICT, now()).unwrap_err();
        assert!(
            matches!(problem, CardProblem::Malformed { .. }),
            "{twice:.60}: {problem}"
        );
    }
    for unsigned in ["{}", r#"{"signatures":null}"#, r#"{"signatures":[]}"#] {
        let problem = verify(unsigned.as_bytes(), &keys, STRICT, now());
        assert_eq!(problem, Err(CardProblem::Unsigned));
    }
    let mut many: Value = serde_json::from_str(&card).unwrap();
    many["signatures"] = vec![json!({}); 33].into();
    let problem = verify(many.to_string().as_bytes(), &keys, STRICT, now());
    assert_eq!(problem, Err(CardProblem::TooMany { count: 33 }));
}

#[test]
fn rsa_signatures_of_others_are_verified() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let keys: Jwks = serde_json::from_value(json!({"keys": [{
        "kty": "RSA", "kid": "r", "use": "sig",
        "n": encode(public.modulus().big_endian_without_leading_zero()),
        "e": encode(public.exponent().big_endian_without_leading_zero()),
    }]}))
    .unwrap();
    let mut card = card();
    let protected = encode(br#"{"alg":"RS256","kid":"r","typ":"JOSE"}"#);
    let message = sign::signing_input(&protected, &payload(&card, Form::Standard).unwrap());
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        &message,
        &mut signature,
    )
    .unwrap();
    card["signatures"] = json!([{"protected": protected, "signature": encode(&signature)}]);
    assert_eq!(check(&card, &keys, STRICT).unwrap().alg, "RS256");
    card["name"] = json!("other");
    assert!(matches!(
        only_problem(check(&card, &keys, STRICT)),
        SignatureProblem::Mismatch { .. }
    ));
}

#[test]
fn key_sets_by_address_count_only_for_signatures_that_name_them() {
    let key = key();
    let jwks = key.jwks();
    let url = "https://keys.example/jwks.json";
    let mut card = card();
    let signer = CardSigner::new(vec![key])
        .with_jku(url)
        .with_forms([Form::Standard]);
    signer.sign_document(&mut card).unwrap();
    let bytes = card.to_string();
    assert_eq!(named_key_sets(bytes.as_bytes()), [url]);
    let check = |keys: &CardKeys| verify(bytes.as_bytes(), keys, STRICT, now());
    let mut keys = CardKeys::default();
    assert!(keys.is_empty());
    keys.add("https://other.example/", jwks.clone());
    assert!(matches!(
        only_problem(check(&keys)),
        SignatureProblem::UnknownKey { .. }
    ));
    keys.add(url, jwks.clone());
    check(&keys).unwrap();
    // A key of one's own needs no address.
    check(&CardKeys::new(jwks)).unwrap();
}

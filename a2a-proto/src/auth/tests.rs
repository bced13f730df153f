//! A token is good for one audience, one key set and one span of time; everything else is refused, each for its reason.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use secrecy::ExposeSecret as _;

use super::*;
use crate::clock::ManualClock;

const NOW: i64 = 1_800_000_000;

fn claims() -> Claims {
    Claims {
        iss: "captain:c".into(),
        sub: "user".into(),
        aud: "worker:w".into(),
        exp: NOW + 900,
        iat: NOW,
        nbf: NOW,
        jti: "j".into(),
        scope: String::new(),
    }
}

fn verifier(jwks: &Jwks) -> (JwtVerifier, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(NOW).unwrap()));
    (JwtVerifier::new(jwks, "worker:w", clock.clone()), clock)
}

#[test]
fn a_good_token_gives_its_claims() {
    let signer = Signer::generate().unwrap();
    let (verifier, _) = verifier(&signer.jwks());
    let token = signer.sign(&claims()).unwrap();
    assert_eq!(verifier.verify(token.expose_secret()), Ok(claims()));
}

#[test]
fn a_key_survives_being_kept() {
    let signer = Signer::generate().unwrap();
    let pem = signer.to_pem();
    assert!(pem.expose_secret().lines().all(|line| line.len() <= 64));
    let kept = Signer::from_pem(pem.expose_secret()).unwrap();
    assert_eq!(kept.kid(), signer.kid());
    assert_eq!(kept.to_pem().expose_secret(), pem.expose_secret());
    let (verifier, _) = verifier(&signer.jwks());
    assert!(
        verifier
            .verify(kept.sign(&claims()).unwrap().expose_secret())
            .is_ok()
    );
}

#[test]
fn a_key_of_openssl_is_taken_and_has_the_thumbprint_of_rfc_8037() {
    // RFC 8037 appendix A.1 and A.3; the PEM is `openssl pkey` of the same seed.
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let signer = Signer::from_pem(pem).unwrap();
    assert_eq!(
        signer.jwks().keys[0].x,
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    );
    assert_eq!(signer.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(signer.to_pem().expose_secret(), pem);
}

#[test]
fn what_is_no_ed25519_key_is_refused() {
    assert!(matches!(
        Signer::from_pem("nonsense"),
        Err(SignerError::NotPem)
    ));
    assert!(matches!(
        Signer::from_pem("-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----"),
        Err(SignerError::NotPem)
    ));
    assert!(matches!(
        Signer::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        Err(SignerError::NotEd25519)
    ));
}

#[test]
fn debug_shows_no_secret() {
    let signer = Signer::generate().unwrap();
    let shown = format!("{signer:?}");
    assert_eq!(shown, format!("Signer {{ kid: \"{}\", .. }}", signer.kid()));
}

#[test]
fn each_wrong_claim_is_refused_for_its_reason() {
    let signer = Signer::generate().unwrap();
    let (verifier, _) = verifier(&signer.jwks());
    let refusal = |claims: Claims| {
        verifier
            .verify(signer.sign(&claims).unwrap().expose_secret())
            .unwrap_err()
    };
    assert_eq!(
        refusal(Claims {
            aud: "worker:x".into(),
            ..claims()
        }),
        TokenRejected::WrongAudience {
            aud: "worker:x".into()
        }
    );
    assert_eq!(
        refusal(Claims {
            exp: NOW - 31,
            ..claims()
        }),
        TokenRejected::Expired { seconds_ago: 31 }
    );
    assert_eq!(
        refusal(Claims {
            nbf: NOW + 31,
            ..claims()
        }),
        TokenRejected::NotYetValid { in_seconds: 31 }
    );
    assert_eq!(
        refusal(Claims {
            iat: NOW + 31,
            ..claims()
        }),
        TokenRejected::NotYetValid { in_seconds: 31 }
    );
    assert_eq!(
        refusal(Claims {
            sub: String::new(),
            ..claims()
        }),
        TokenRejected::NoSubject
    );
}

#[test]
fn the_leeway_is_thirty_seconds_on_both_sides() {
    let signer = Signer::generate().unwrap();
    let (verifier, clock) = verifier(&signer.jwks());
    let early = signer
        .sign(&Claims {
            nbf: NOW + 30,
            iat: NOW + 30,
            ..claims()
        })
        .unwrap();
    assert!(verifier.verify(early.expose_secret()).is_ok());
    let token = signer.sign(&claims()).unwrap();
    clock.advance(930_000);
    assert!(verifier.verify(token.expose_secret()).is_ok());
    clock.advance(1_000);
    assert_eq!(
        verifier.verify(token.expose_secret()),
        Err(TokenRejected::Expired { seconds_ago: 31 })
    );
}

#[test]
fn another_key_is_unknown_and_a_forged_one_does_not_fit() {
    let (signer, other) = (Signer::generate().unwrap(), Signer::generate().unwrap());
    let (verifier, _) = verifier(&signer.jwks());
    let token = other.sign(&claims()).unwrap();
    assert_eq!(
        verifier.verify(token.expose_secret()),
        Err(TokenRejected::UnknownKey)
    );

    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let (_, rest) = token.expose_secret().split_once('.').unwrap();
    let header = part(format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, signer.kid()));
    assert_eq!(
        verifier.verify(&format!("{header}.{rest}")),
        Err(TokenRejected::BadSignature)
    );
}

#[test]
fn the_algorithm_is_pinned() {
    let signer = Signer::generate().unwrap();
    let (verifier, _) = verifier(&signer.jwks());
    let kid = signer.kid();
    let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap());
    for (alg, refusal) in [
        ("none", TokenRejected::Malformed),
        ("HS256", TokenRejected::WrongAlgorithm),
    ] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#));
        assert_eq!(
            verifier.verify(&format!("{header}.{body}.")),
            Err(refusal),
            "{alg}"
        );
    }
}

#[test]
fn what_is_no_token_is_malformed() {
    let (verifier, _) = verifier(&Jwks::default());
    for text in ["", "a", "a.b.c", &"x".repeat(9_000)] {
        assert_eq!(verifier.verify(text), Err(TokenRejected::Malformed));
    }
}

#[test]
fn keys_of_other_kinds_are_passed_over() {
    let signer = Signer::generate().unwrap();
    let mut json = serde_json::to_value(signer.jwks()).unwrap();
    let rsa = serde_json::json!({"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"});
    json["keys"].as_array_mut().unwrap().insert(0, rsa);
    let (verifier, _) = verifier(&serde_json::from_value(json).unwrap());
    assert!(
        verifier
            .verify(signer.sign(&claims()).unwrap().expose_secret())
            .is_ok()
    );
}

#[cfg(feature = "server")]
#[test]
fn a_request_gets_the_subject_of_its_token_as_caller() {
    use http::HeaderMap;
    use http::header::{AUTHORIZATION, HeaderValue};

    use crate::server::{AuthError, Authenticator as _, Caller};

    let signer = Signer::generate().unwrap();
    let (verifier, clock) = verifier(&signer.jwks());
    let token = signer.sign(&claims()).unwrap();
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    assert_eq!(verifier.authenticate(&headers), Ok(Caller::new("user")));
    assert_eq!(
        verifier.authenticate(&HeaderMap::new()),
        Err(AuthError::Missing)
    );
    clock.advance(3_600_000);
    let error = verifier.authenticate(&headers).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bearer token is not valid here",
        "the caller is not told why"
    );
    assert!(
        matches!(error, AuthError::Rejected { internal } if internal.contains("ended 2700 s ago"))
    );
}

//! Request bodies that are wrong: each is answered with the place of the mistake, and unknown fields are never passed over.

use pretty_assertions::assert_eq;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    #[serde(rename = "limits")]
    _limits: Inner,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    #[serde(rename = "parallel")]
    _parallel: u32,
}

fn problems(body: &str) -> Vec<Problem> {
    match parse::<Outer>(body.as_bytes()).unwrap_err() {
        ApiError::Invalid { problems, .. } => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_types_are_answered_with_their_place() {
    let problems = problems(r#"{"limits":{"parallel":"two"}}"#);
    assert_eq!(problems[0].field, "limits.parallel");
    assert!(problems[0].problem.contains("invalid type"), "{problems:?}");
}

#[test]
fn unknown_fields_are_refused_by_name() {
    let problems = problems(r#"{"limits":{"parallel":2},"goale":"x"}"#);
    assert!(problems[0].problem.contains("goale"), "{problems:?}");
}

#[test]
fn broken_json_is_not_a_type_error() {
    for body in ["", "{", "{} {}", "[1,"] {
        let error = parse::<serde_json::Value>(body.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ApiError::MalformedJson { .. }),
            "{body}: {error:?}"
        );
    }
}

#[test]
fn only_json_content_types_are_taken() {
    let check = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(value));
        is_json(&headers)
    };
    assert!(check("application/json; charset=utf-8"));
    assert!(check("application/a2a+json"));
    assert!(!is_json(&HeaderMap::new()));
    assert!(!check("text/plain"));
    assert!(!check("application/x-www-form-urlencoded"));
}

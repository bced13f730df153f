//! Tests of the JSON rules and of every object.

use pretty_assertions::assert_eq;

use super::*;
use crate::error::A2aError;

fn refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
    match from_slice::<T>(json.as_bytes()).unwrap_err() {
        A2aError::InvalidParams { violations } => {
            violations.iter().map(ToString::to_string).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_names_the_field() {
    let json = r#"{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":5}]}}"#;
    assert_eq!(
        refused::<SendMessageRequest>(json),
        "message.parts[0].text: expected a string, found integer"
    );
}

//! The JSON rules, one table each.

use std::borrow::Cow;

use bytes::Bytes;
use pretty_assertions::assert_eq;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::A2aError;
use crate::types::*;

fn refused<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
    match from_slice::<T>(json.as_bytes()).unwrap_err() {
        A2aError::InvalidParams { violations } => {
            violations.iter().map(ToString::to_string).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn read<T: DeserializeOwned>(json: &str) -> T {
    from_slice(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn an_error_names_the_field_and_says_what_was_expected() {
    for (json, error) in [
        (
            r#"{"message":{"parts":[{"text":5}]}}"#,
            "message.parts[0].text: expected a string, found integer",
        ),
        (
            r#"{"message":{"parts":[{"text":"a"},7]}}"#,
            "message.parts[1]: expected an object, found integer",
        ),
        (
            r#"{"message":{"parts":{}}}"#,
            "message.parts: expected an array, found map",
        ),
        (
            r#"{"message":{"message_id":true}}"#,
            "message.messageId: expected a string, found boolean",
        ),
        (
            r#"{"message":{"metadata":[]}}"#,
            "message.metadata: expected an object, found sequence",
        ),
        (
            r#"{"message":{"extensions":[null]}}"#,
            "message.extensions[0]: expected a string, found null",
        ),
        (
            r#"{"configuration":{"returnImmediately":"true"}}"#,
            "configuration.returnImmediately: expected a boolean, found string",
        ),
        (
            r#"{"configuration":{"historyLength":"x"}}"#,
            "configuration.historyLength: expected a 32-bit integer, found string",
        ),
        (r#"[]"#, "expected an object, found sequence"),
        (r#""x""#, "expected an object, found string"),
    ] {
        assert_eq!(refused::<SendMessageRequest>(json), error, "{json}");
    }
    assert_eq!(
        refused::<AgentCard>(
            r#"{"securitySchemes":{"my key":{"apiKeySecurityScheme":{"name":1}}}}"#
        ),
        "securitySchemes.my key.apiKeySecurityScheme.name: expected a string, found integer"
    );
}

#[test]
fn a_secret_in_a_wrong_place_is_not_repeated() {
    let error = refused::<GetTaskRequest>(r#"{"historyLength":"hunter2, expected"}"#);
    assert_eq!(
        error,
        "historyLength: expected a 32-bit integer, found string"
    );
}

#[test]
fn broken_json_is_told_from_wrong_json() {
    for broken in [r#"{"id":"#, r#"{"id":5"#, "{'id':1}", "", r#"{"id":"a"} x"#] {
        assert_eq!(
            from_slice::<Task>(broken.as_bytes()).unwrap_err().code(),
            -32700,
            "{broken}"
        );
    }
}

#[test]
fn exactly_one_member_of_a_oneof_is_set() {
    for json in [
        r#"{}"#,
        r#"{"text":null}"#,
        r#"{"text":"a","url":"b"}"#,
        r#"{"data":null,"raw":""}"#,
        r#"{"filename":"f"}"#,
    ] {
        assert_eq!(
            refused::<Part>(json),
            "exactly one of text, raw, url, data must be set",
            "{json}"
        );
    }
    assert_eq!(
        refused::<StreamResponse>(r#"{"task":{},"message":{}}"#),
        "exactly one of task, message, statusUpdate, artifactUpdate must be set"
    );
    assert_eq!(
        refused::<StreamResponse>(r#"{"status_update":{"status":{"state":"WORKING"}}}"#)
            .split(':')
            .next(),
        Some("statusUpdate.status.state")
    );
    assert_eq!(
        read::<StreamResponse>(r#"{"task":{"id":"t"},"message":null}"#).task_id(),
        "t"
    );
}

#[test]
fn a_null_is_data_but_no_text() {
    assert_eq!(
        read::<Part>(r#"{"data":null}"#),
        Part::data(serde_json::Value::Null)
    );
    assert_eq!(
        read::<Part>(r#"{"data":null,"text":null}"#),
        Part::data(serde_json::Value::Null)
    );
    assert_eq!(
        serde_json::to_string(&Part::data(serde_json::Value::Null)).unwrap(),
        r#"{"data":null}"#
    );
    assert_eq!(read::<Part>(r#"{"text":""}"#), Part::text(""));
    assert_eq!(
        serde_json::to_string(&Part::text("")).unwrap(),
        r#"{"text":""}"#
    );
}

#[test]
fn enums_come_by_name_or_number() {
    for json in [r#""TASK_STATE_WORKING""#, "2"] {
        assert_eq!(read::<TaskState>(json), TaskState::Working);
    }
    for wrong in [r#""working""#, r#""""#, "9", "-1", "2.5", "true", r#""2""#] {
        refused::<TaskState>(wrong);
    }
    assert!(
        refused::<Role>(r#""user""#)
            .contains("expected one of ROLE_UNSPECIFIED, ROLE_USER, ROLE_AGENT")
    );
    assert_eq!(
        read::<TaskStatus>(r#"{"state":null}"#).state,
        TaskState::Unspecified
    );
    for state in TaskState::ALL {
        assert_eq!(TaskState::from_number(*state as i32), Some(*state));
        assert_eq!(TaskState::from_name(state.as_str()), Some(*state));
    }
}

#[test]
fn integers_come_as_numbers_or_text() {
    let length = |json: &str| {
        read::<GetTaskRequest>(&format!(r#"{{"historyLength":{json}}}"#)).history_length
    };
    for (json, value) in [
        ("0", 0),
        ("3", 3),
        ("-1", -1),
        ("1.0", 1),
        ("1e2", 100),
        (r#""7""#, 7),
        (r#""-7""#, -7),
        ("2147483647", i32::MAX),
    ] {
        assert_eq!(length(json), Some(value), "{json}");
    }
    assert_eq!(length("null"), None);
    for wrong in [
        "1.5",
        "2147483648",
        "-2147483649",
        "1e10",
        r#""""#,
        r#"" 1""#,
        r#""+1""#,
        r#""NaN""#,
        r#""inf""#,
        "[]",
    ] {
        refused::<GetTaskRequest>(&format!(r#"{{"historyLength":{wrong}}}"#));
    }
}

#[test]
fn bytes_come_in_both_alphabets_with_or_without_padding() {
    let bytes = Bytes::from_static(&[0xfb, 0xff, 0x01, 0x02]);
    for text in ["+/8BAg==", "+/8BAg", "-_8BAg==", "-_8BAg"] {
        assert_eq!(
            read::<Part>(&format!(r#"{{"raw":"{text}"}}"#)),
            Part::raw(bytes.clone()),
            "{text}"
        );
    }
    assert_eq!(
        serde_json::to_string(&Part::raw(bytes)).unwrap(),
        r#"{"raw":"+/8BAg=="}"#
    );
    for wrong in ["+_8BAg", "a", "a=b=", "ä", "AA A"] {
        assert_eq!(
            refused::<Part>(&format!(r#"{{"raw":"{wrong}"}}"#)),
            "raw: expected base64 text, found string",
            "{wrong}"
        );
    }
}

#[test]
fn timestamps_come_with_any_offset_and_leave_as_milliseconds_of_utc() {
    let timestamp = |text: &str| read::<TaskStatus>(&format!(r#"{{"timestamp":"{text}"}}"#));
    for (text, out) in [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"),
        ("2026-01-02T03:04:05.678901234Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T04:04:05.678+01:00", "2026-01-02T03:04:05.678Z"),
        ("2026-01-01T22:34:05-04:30", "2026-01-02T03:04:05.000Z"),
    ] {
        assert_eq!(
            serde_json::to_value(timestamp(text)).unwrap(),
            json!({"timestamp": out}),
            "{text}"
        );
    }
    for wrong in [
        "",
        "yesterday",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-13-02T03:04:05Z",
        "1767323045",
    ] {
        let error = refused::<TaskStatus>(&format!(r#"{{"timestamp":"{wrong}"}}"#));
        assert!(
            error.starts_with("timestamp: expected an RFC 3339 timestamp"),
            "{error}"
        );
    }
    refused::<TaskStatus>(r#"{"timestamp":1767323045}"#);
}

#[test]
fn what_is_required_in_lists_and_cards_is_written_even_when_empty() {
    assert_eq!(
        serde_json::to_string(&ListTasksResponse::default()).unwrap(),
        r#"{"tasks":[],"nextPageToken":"","pageSize":0,"totalSize":0}"#
    );
    assert_eq!(
        serde_json::to_string(&AgentCard::default()).unwrap(),
        r#"{"name":"","description":"","supportedInterfaces":[],"version":"","capabilities":{},"defaultInputModes":[],"defaultOutputModes":[],"skills":[]}"#
    );
    assert_eq!(serde_json::to_string(&Task::default()).unwrap(), "{}");
    assert_eq!(serde_json::to_string(&Message::default()).unwrap(), "{}");
}

#[test]
fn the_last_of_two_equal_fields_wins() {
    assert_eq!(read::<GetTaskRequest>(r#"{"id":"a","id":"b"}"#).id, "b");
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    let deep = format!(
        r#"{{"data":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    from_slice::<Part>(deep.as_bytes()).unwrap_err();
}

#[test]
fn a_query_is_read_by_the_types_of_the_fields() {
    let pairs = |text: &'static str| {
        text.split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (Cow::from(name), Cow::from(value)))
    };
    let request: ListTasksRequest = from_query(pairs(
        "contextId=true&status=TASK_STATE_WORKING&pageSize=10&page_token=5&includeArtifacts=true&statusTimestampAfter=2026-01-02T03:04:05Z&unknown=x",
    ))
    .unwrap();
    assert_eq!(
        request,
        ListTasksRequest {
            context_id: "true".into(),
            status: TaskState::Working,
            page_size: Some(10),
            page_token: "5".into(),
            include_artifacts: Some(true),
            status_timestamp_after: Some("2026-01-02T03:04:05Z".parse().unwrap()),
            ..ListTasksRequest::default()
        }
    );
    for (query, error) in [
        (
            "includeArtifacts=1",
            "invalid parameters: includeArtifacts: expected true or false",
        ),
        (
            "pageSize=x",
            "invalid parameters: pageSize: expected a 32-bit integer, found string",
        ),
        (
            "pageSize=",
            "invalid parameters: pageSize: expected a 32-bit integer, found string",
        ),
    ] {
        assert_eq!(
            from_query::<ListTasksRequest, _>(pairs(query))
                .unwrap_err()
                .to_string(),
            error
        );
    }
    assert!(from_query::<ListTasksRequest, _>(pairs("status=working")).is_err());
}

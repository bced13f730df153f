//! Which body gets which code, and that ids and results pass through untouched.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::types::GetTaskRequest;

fn rejected(body: &str) -> (i64, String) {
    let rejected = Request::parse(body.as_bytes()).unwrap_err();
    (rejected.error.code(), rejected.id.as_json().to_owned())
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    for body in [
        "",
        "{",
        "nonsense",
        r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":}}"#,
        "{}x",
    ] {
        assert_eq!(rejected(body), (-32700, "null".to_owned()), "{body}");
    }
    assert_eq!(
        Request::parse(b"\xff\xfe").unwrap_err().error.code(),
        -32700
    );
}

#[test]
fn json_that_is_no_request_is_an_invalid_request_and_keeps_its_id() {
    for (body, id) in [
        ("[]", "null"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"GetTask"}]"#, "null"),
        ("5", "null"),
        ("null", "null"),
        ("{}", "null"),
        (r#"{"jsonrpc":"2.0","method":"GetTask"}"#, "null"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"GetTask"}"#, "null"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"GetTask"}"#, "null"),
        (r#"{"jsonrpc":"2.0","id":true,"method":"GetTask"}"#, "null"),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"GetTask"}"#,
            "null",
        ),
        (r#"{"jsonrpc":"1.0","id":7,"method":"GetTask"}"#, "7"),
        (r#"{"jsonrpc":2.0,"id":7,"method":"GetTask"}"#, "7"),
        (r#"{"id":"a","method":"GetTask"}"#, "\"a\""),
        (r#"{"jsonrpc":"2.0","id":"a"}"#, "\"a\""),
        (r#"{"jsonrpc":"2.0","id":"a","method":""}"#, "\"a\""),
        (r#"{"jsonrpc":"2.0","id":"a","method":5}"#, "\"a\""),
        // The members in order, without their names.
        (r#"["2.0",1,"GetTask",{"id":"t"}]"#, "null"),
    ] {
        assert_eq!(rejected(body), (-32600, id.to_owned()), "{body}");
    }
    // Beyond a double: nobody could read the answer.
    let id = "1".repeat(309);
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"GetTask"}}"#);
    assert_eq!(rejected(&body), (-32600, "null".to_owned()));
}

#[test]
fn params_of_the_wrong_shape_are_invalid_params() {
    for params in [
        "[]",
        "5",
        r#""x""#,
        r#"{"id":5}"#,
        r#"{"id":"t","historyLength":"x"}"#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{params}}}"#);
        let request = Request::parse(body.as_bytes()).unwrap();
        assert_eq!(
            request.params::<GetTaskRequest>().unwrap_err().code(),
            -32602,
            "{params}"
        );
    }
}

#[test]
fn absent_and_null_params_are_an_empty_object() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"GetTask"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":null}"#,
    ] {
        let request = Request::parse(body.as_bytes()).unwrap();
        assert_eq!(
            request.params::<GetTaskRequest>().unwrap(),
            GetTaskRequest::default()
        );
    }
}

#[test]
fn an_id_goes_back_exactly_as_it_came() {
    for id in [
        "1",
        "-7",
        "123456789012345678901234567890",
        r#""a""#,
        r#""\u00e4\n""#,
        r#""""#,
        "null",
    ] {
        let body =
            format!(r#" {{ "jsonrpc":"2.0", "id":{id}, "method":"GetTask", "extra":[1] }} "#);
        let request = Request::parse(body.as_bytes()).unwrap();
        assert_eq!(
            response(&request.id, b"{}"),
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
        );
    }
}

#[test]
fn an_escaped_method_is_read() {
    let request = Request::parse(br#"{"jsonrpc":"2.0","id":1,"method":"Get\u0054ask"}"#).unwrap();
    assert_eq!(request.method, "GetTask");
}

#[test]
fn an_error_response_is_read_back_as_the_same_error() {
    let error = A2aError::TaskNotFound {
        task_id: "t-1".into(),
    };
    let body = error_response(&Id::null(), &error);
    let shape: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        shape,
        json!({"jsonrpc":"2.0","id":null,"error":{"code":-32001,
            "message":"task t-1 does not exist or is not accessible",
            "data":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_FOUND",
                "domain":"a2a-protocol.org","metadata":{"taskId":"t-1"}}]}})
    );
    assert_eq!(read_response::<Value>(&body).unwrap_err(), error);
}

#[test]
fn a_request_of_ours_is_read_by_us() {
    let params = GetTaskRequest {
        id: "t".into(),
        history_length: Some(0),
        ..GetTaskRequest::default()
    };
    let body = request(3, "GetTask", &params).unwrap();
    let request = Request::parse(&body).unwrap();
    assert_eq!((request.id.as_json(), &*request.method), ("3", "GetTask"));
    assert_eq!(request.params::<GetTaskRequest>().unwrap(), params);
}

#[test]
fn a_result_of_another_shape_is_an_invalid_agent_response() {
    let error =
        read_response::<types::Task>(br#"{"jsonrpc":"2.0","id":1,"result":{"id":5}}"#).unwrap_err();
    assert_eq!(error.code(), -32006);
    assert_eq!(
        read_response::<Value>(b"<html>").unwrap_err().code(),
        -32006
    );
}

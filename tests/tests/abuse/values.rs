//! Members that contradict each other, names that nobody knows, numbers at the edge of what a double can say.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::victim::{Victim, each};

async fn rpc(victim: &Victim, body: String) -> Value {
    let request = victim.api().request(Method::POST, "/");
    let request = request
        .header("content-type", "application/json")
        .body(body);
    e2e::http::json(e2e::http::answer(request).await, StatusCode::OK).await
}

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

fn send(part: &str) -> String {
    let message = format!(r#"{{"messageId":"m","role":"ROLE_USER","parts":[{part}]}}"#);
    call("SendMessage", &format!(r#"{{"message":{message}}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_and_neither_of_a_choice_and_unknown_names_are_refused() {
    each(async |victim: Victim| {
        for part in [
            "{}",
            r#"{"text":"a","data":{}}"#,
            r#"{"text":"a","url":"https://example.com"}"#,
            r#"{"raw":"AA==","url":"https://example.com"}"#,
            r#"{"text":"a","raw":"AA==","url":"x","data":1}"#,
            r#"{"text":null}"#,
            r#"{"raw":"not base64!"}"#,
            r#"{"text":7}"#,
            "null",
            "[]",
        ] {
            let answer = rpc(&victim, send(part)).await;
            assert_eq!(answer["error"]["code"], -32602, "{part}: {answer}");
        }
        for params in [
            r#"{"message":{"messageId":"m","role":"ROLE_KING","parts":[{"text":"a"}]}}"#,
            r#"{"message":{"messageId":"m","role":9,"parts":[{"text":"a"}]}}"#,
            r#"{"message":{"messageId":"m","role":"ROLE_UNSPECIFIED","parts":[{"text":"a"}]}}"#,
            r#"{"message":{"messageId":"","role":"ROLE_USER","parts":[{"text":"a"}]}}"#,
            r#"{"message":{"messageId":"m","role":"ROLE_USER","parts":[]}}"#,
        ] {
            let answer = rpc(&victim, call("SendMessage", params)).await;
            assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        }
        for status in [r#""TASK_STATE_NEW""#, "99", "-1", "{}", "1.5"] {
            let answer = rpc(
                &victim,
                call("ListTasks", &format!(r#"{{"status":{status}}}"#)),
            )
            .await;
            assert_eq!(answer["error"]["code"], -32602, "{status}: {answer}");
        }
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_beyond_their_type_are_refused() {
    each(async |victim: Victim| {
        for number in [
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551616",
            "2147483648",
            "-2147483649",
            "1e400",
            "-1e400",
            "1.5",
            "\"1e2x\"",
            "true",
            "[]",
        ] {
            for (method, params) in [
                ("ListTasks", format!(r#"{{"pageSize":{number}}}"#)),
                (
                    "GetTask",
                    format!(r#"{{"id":"x","historyLength":{number}}}"#),
                ),
            ] {
                let answer = rpc(&victim, call(method, &params)).await;
                let code = answer["error"]["code"].as_i64();
                assert!(matches!(code, Some(-32602 | -32700)), "{params}: {answer}");
            }
        }
        // An id of a call comes back as it was, whatever a double makes of it; one that is none is refused.
        for (id, back) in [
            ("9007199254740993", json!(9_007_199_254_740_993_u64)),
            ("-9007199254740993", json!(-9_007_199_254_740_993_i64)),
            ("\"\\r\\nx-evil: 1\"", json!("\r\nx-evil: 1")),
        ] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"GetTask","params":{{"id":"none"}}}}"#
            );
            let answer = rpc(&victim, body).await;
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&back, &json!(-32001)),
                "{answer}"
            );
        }
        for id in ["{}", "[1]", "true", "1e400"] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"GetTask","params":{{"id":"none"}}}}"#
            );
            let answer = rpc(&victim, body).await;
            let code = answer["error"]["code"].as_i64();
            assert!(matches!(code, Some(-32600 | -32700)), "{id}: {answer}");
        }
        victim
    })
    .await;
}

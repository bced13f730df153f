//! Values and headers that are meant to do harm, and bodies that never come.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_beyond_every_type_are_refused_and_data_keeps_its_own() {
    let server = Running::start().await;
    for number in [
        "9007199254740993",
        "-2147483649",
        "1e400",
        "1.5",
        "true",
        "[]",
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"ListTasks","params":{{"pageSize":{number}}}}}"#
        );
        let reply = server
            .send(
                "POST",
                "/",
                &[("content-type", "application/json")],
                body.as_bytes(),
            )
            .await;
        let code = reply.json()["error"]["code"].as_i64();
        assert!(
            matches!(code, Some(-32602 | -32700)),
            "{number}: {:?}",
            reply.json()
        );
    }
    for binding in BOTH {
        for status in [json!("TASK_STATE_NEW"), json!(99), json!(-1)] {
            let refused = server
                .call(binding, "ListTasks", json!({"status": status}))
                .await;
            assert_eq!(refused.unwrap_err().fields, ["status"], "{status}");
        }
        // What is between 2^53 and 2^64 is data here, and stays what it is.
        let mut params = message("hello");
        params["message"]["parts"] =
            json!([{"text": "hello"}, {"data": {"n": 9_007_199_254_740_993_u64, "m": -1}}]);
        let sent = server.call(binding, "SendMessage", params).await.unwrap();
        let data = &sent["task"]["history"][0]["parts"][1]["data"];
        assert_eq!(*data, json!({"n": 9_007_199_254_740_993_u64, "m": -1}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_client_says_becomes_a_header_of_an_answer() {
    let server = Running::start().await;
    let evil = "a\r\nx-evil: 1\r\n\r\n<html>";
    let encoded = "a%0D%0Ax-evil:%201%0D%0A%0D%0A%3Chtml%3E";
    for path in [
        format!("/tasks/{encoded}"),
        format!("/{encoded}/tasks"),
        format!("/tasks?pageToken={encoded}"),
        format!("/{encoded}"),
        format!("/tasks?A2A-Version={encoded}"),
    ] {
        let reply = server.get(&path).await;
        assert!(
            (400..500).contains(&reply.status),
            "{path}: {}",
            reply.status
        );
        assert_eq!(reply.header("x-evil"), None, "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    for field in ["messageId", "contextId"] {
        let mut params = message("hello");
        params["message"][field] = json!(evil);
        let reply = server.post("/message:send", &params).await;
        assert_eq!(
            (reply.status, reply.header("x-evil")),
            (200, None),
            "it is only data"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_does_not_come_is_not_waited_for_for_ever() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let server = Running::memory().await;
    let mut socket = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let head = "POST /message:send HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("did not arrive within 60 s"), "{answer}");
    let waited = began.elapsed().as_secs();
    assert!((60..70).contains(&waited), "{waited} s");
}

//! Agents of older versions: their cards, what they are asked, streams without numbers; and calls that are tried again.

use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::calls::JSON;
use super::*;
use crate::types::{Message, Part, StreamResponse, TaskState};

/// A card as a server of 0.3 has it.
fn old_card(url: &Url, transport: &str) -> Value {
    json!({"protocolVersion": "0.3.0", "name": "old", "description": "", "version": "1", "url": url.as_str(),
        "preferredTransport": transport, "capabilities": {"streaming": true}, "skills": [],
        "defaultInputModes": [], "defaultOutputModes": []})
}

fn old_client(server: &RawServer, transport: &str) -> Client {
    let card = old_card(&server.url, transport).to_string();
    Client::from_card(crate::card::read(card.as_bytes()).unwrap(), options()).unwrap()
}

fn message() -> SendMessageRequest {
    SendMessageRequest {
        message: Message::user("m", vec![Part::text("go")]),
        ..SendMessageRequest::default()
    }
}

fn rpc(result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string()
}

fn task(state: &str, second: u32, chunks: &[&str]) -> Value {
    let parts: Vec<_> = chunks
        .iter()
        .map(|text| json!({"kind": "text", "text": text}))
        .collect();
    let mut task = json!({"kind": "task", "id": "t", "contextId": "c",
        "status": {"state": state, "timestamp": format!("2026-01-01T00:00:{second:02}Z")}});
    if !parts.is_empty() {
        task["artifacts"] = json!([{"artifactId": "a", "parts": parts}]);
    }
    task
}

fn status(state: &str, second: u32) -> Value {
    let mut update = task(state, second, &[]);
    json!({"kind": "status-update", "taskId": "t", "contextId": "c", "status": update["status"].take(),
        "final": state != "working"})
}

fn chunk(text: &str, append: bool) -> Value {
    json!({"kind": "artifact-update", "taskId": "t", "contextId": "c", "append": append,
        "artifact": {"artifactId": "a", "parts": [{"kind": "text", "text": text}]}})
}

fn frames(results: &[Value]) -> String {
    results
        .iter()
        .map(|result| format!("data: {}\n\n", rpc(result)))
        .collect()
}

/// What a stream tells of its task.
async fn follow(mut stream: EventStream) -> (Task, usize, Option<ClientError>) {
    let (mut task, mut events) = (Task::default(), 0);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => task.apply(&event.event),
            Err(error) => return (task, events, Some(error)),
        }
        events += 1;
    }
    (task, events, None)
}

fn texts(task: &Task) -> Vec<&str> {
    let artifacts = task.artifacts.iter();
    artifacts
        .flat_map(|it| &it.parts)
        .filter_map(Part::as_text)
        .collect()
}

#[tokio::test]
async fn cards_of_every_version_lead_to_a_client_also_at_the_old_path() {
    let none = || http_answer("404 Not Found", "", "");
    let here = Url::parse("http://127.0.0.1:1/").unwrap();
    let mut of_0_1 = old_card(&here, "JSONRPC");
    for name in ["protocolVersion", "preferredTransport"] {
        of_0_1.as_object_mut().unwrap().remove(name);
    }
    let mut of_0_2 = of_0_1.clone();
    of_0_1["authentication"] = json!({"schemes": ["Bearer"]});
    of_0_2["securitySchemes"] = json!({});
    for (path, card, version) in [
        (
            "agent-card.json",
            old_card(&here, "HTTP+JSON"),
            "0.3 HTTP+JSON",
        ),
        ("agent.json", of_0_1, "0.1 JSONRPC"),
        ("agent.json", of_0_2, "0.3 JSONRPC"),
    ] {
        let found = http_answer("200 OK", JSON, &card.to_string());
        let script = match path {
            "agent.json" => vec![none(), found],
            _ => vec![found],
        };
        let server = RawServer::play(script);
        let client = Client::discover(&server.url, options()).await.unwrap();
        let interface = &client.card().supported_interfaces[0];
        assert_eq!(
            format!(
                "{} {}",
                interface.protocol_version, interface.protocol_binding
            ),
            version
        );
        if path == "agent.json" {
            assert!(
                server
                    .asked()
                    .starts_with("GET /.well-known/agent-card.json ")
            );
        }
        assert!(
            server
                .asked()
                .starts_with(&format!("GET /.well-known/{path} "))
        );
    }
    let server = RawServer::play(vec![none(), none()]);
    let error = Client::discover(&server.url, options()).await.unwrap_err();
    assert!(
        matches!(error.agent_error(), Some(A2aError::MethodNotFound { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn requests_of_0_3_have_its_names_and_headers() {
    let server = RawServer::play(vec![
        http_answer("200 OK", JSON, &rpc(&task("completed", 1, &["x"]))),
        http_answer("200 OK", JSON, &rpc(&task("working", 1, &[]))),
    ]);
    let mut extended = options();
    extended.extensions = vec!["urn:x".to_owned()];
    let card = old_card(&server.url, "JSONRPC").to_string();
    let client = Client::from_card(crate::card::read(card.as_bytes()).unwrap(), extended).unwrap();
    let answer = client.send(&message()).await.unwrap();
    assert!(matches!(answer, SendMessageResponse::Task(task) if texts(&task) == ["x"]));
    let asked = server.asked();
    assert!(asked.contains("a2a-version: 0.3\r\n"), "{asked}");
    assert!(asked.contains("x-a2a-extensions: urn:x\r\n"), "{asked}");
    assert!(asked.contains(r#""method":"message/send""#), "{asked}");
    assert!(
        asked.contains(r#""parts":[{"kind":"text","text":"go"}]"#),
        "{asked}"
    );
    assert!(asked.contains(r#""blocking":true"#), "{asked}");
    assert_eq!(
        client.get("t", Some(2)).await.unwrap().status.state,
        TaskState::Working
    );
    assert!(
        server
            .asked()
            .ends_with(r#""method":"tasks/get","params":{"id":"t","historyLength":2}}"#)
    );
}

#[tokio::test]
async fn rest_of_0_3_is_spoken_below_v1_and_subscribes_by_get_and_then_by_post() {
    let done = json!({"statusUpdate": {"taskId": "t", "contextId": "c", "final": true,
        "status": {"state": "TASK_STATE_COMPLETED"}}});
    let server = RawServer::play(vec![
        http_answer(
            "200 OK",
            JSON,
            &json!({"message": {"messageId": "r", "role": "ROLE_AGENT",
            "content": [{"text": "hi"}]}})
            .to_string(),
        ),
        http_answer("405 Method Not Allowed", "", ""),
        sse(&format!(
            "data: {}\n\n",
            json!({"task": {"id": "t", "status": {"state": "TASK_STATE_WORKING"}}})
        )),
        sse(&format!("data: {done}\n\n")),
        http_answer(
            "404 Not Found",
            JSON,
            r#"{"message": "gone", "type": "TaskNotFoundError"}"#,
        ),
        http_answer("422 Unprocessable Content", JSON, r#"{"message": "bad"}"#),
    ]);
    let client = old_client(&server, "HTTP+JSON");
    let answer = client.send(&message()).await.unwrap();
    assert!(matches!(answer, SendMessageResponse::Message(it) if it.text() == "hi"));
    assert!(server.asked().starts_with("POST /v1/message:send "));
    let mut stream = client.subscribe("t", None);
    assert!(stream.next().await.unwrap().is_ok());
    assert!(server.asked().starts_with("GET /v1/tasks/t:subscribe "));
    assert!(server.asked().starts_with("POST /v1/tasks/t:subscribe "));
    drop(stream);
    let (task, ..) = follow(client.stream(message())).await;
    assert_eq!(task.status.state, TaskState::Completed);
    assert!(server.asked().starts_with("POST /v1/message:stream "));
    for code in [-32001, -32602] {
        let error = client.get("t", None).await.unwrap_err();
        assert_eq!(error.agent_error().map(A2aError::code), Some(code));
    }
}

#[tokio::test]
async fn an_agent_that_answers_rest_in_the_other_objects_is_understood() {
    let server = RawServer::play(vec![
        http_answer("200 OK", JSON, &task("completed", 1, &["x"]).to_string()),
        sse(&format!("data: {}\n\n", status("completed", 1))),
    ]);
    let client = old_client(&server, "HTTP+JSON");
    let answer = client.send(&message()).await.unwrap();
    assert!(matches!(answer, SendMessageResponse::Task(task) if texts(&task) == ["x"]));
    let (task, ..) = follow(client.stream(message())).await;
    assert_eq!(task.status.state, TaskState::Completed);
}

#[tokio::test]
async fn a_cut_stream_without_numbers_goes_on_with_the_task_and_tells_nothing_twice() {
    // The second connection begins with what the task shows already, then with what is new.
    let server = RawServer::play(vec![
        sse(&frames(&[task("working", 1, &[]), chunk("1", false)])),
        sse(&frames(&[
            chunk("2", true),
            status("working", 2),
            chunk("3", true),
            status("completed", 3),
        ])),
        http_answer("200 OK", JSON, &rpc(&task("working", 2, &["1", "2"]))),
    ]);
    let (task, _, error) = follow(old_client(&server, "JSONRPC").stream(message())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(texts(&task), ["1", "2", "3"]);
    assert_eq!(task.status.state, TaskState::Completed);
    assert!(server.asked().contains("message/stream"));
    assert!(server.asked().contains("tasks/resubscribe"));
    assert!(server.asked().contains("tasks/get"));
}

#[tokio::test]
async fn a_cut_stream_of_a_task_that_ended_meanwhile_ends_with_the_task() {
    let refused =
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "no queue"}});
    let server = RawServer::play(vec![
        sse(&frames(&[task("working", 1, &[])])),
        http_answer("200 OK", JSON, &refused.to_string()),
        http_answer("200 OK", JSON, &rpc(&task("completed", 2, &["1"]))),
    ]);
    let (task, events, error) = follow(old_client(&server, "JSONRPC").stream(message())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        (task.status.state, texts(&task), events),
        (TaskState::Completed, vec!["1"], 2)
    );
}

#[tokio::test]
async fn an_agent_that_always_hangs_up_is_given_up() {
    let mut script = vec![sse(&frames(&[task("working", 1, &[])]))];
    for _ in 0..4 {
        script.push(sse(&frames(&[status("working", 1)])));
        script.push(http_answer("200 OK", JSON, &rpc(&task("working", 1, &[]))));
    }
    let server = RawServer::play(script);
    let (_, _, error) = follow(old_client(&server, "JSONRPC").stream(message())).await;
    assert!(matches!(error, Some(ClientError::Lost { .. })), "{error:?}");
}

#[tokio::test]
async fn the_stream_of_a_task_that_waits_is_over() {
    let server = RawServer::play(vec![sse(&format!(
        "id: 1\ndata: {}\n\nid: 2\ndata: {}\n\n",
        rpc(&task("submitted", 1, &[])),
        rpc(&status("input-required", 2)),
    ))]);
    let (task, events, error) = follow(old_client(&server, "JSONRPC").stream(message())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((task.status.state, events), (TaskState::InputRequired, 2));
}

#[tokio::test]
async fn in_0_1_the_client_makes_the_id_and_goes_on_by_it() {
    let event = |result: Value| format!("event: message\ndata: {}\n\n", rpc(&result));
    let server = RawServer::play(vec![
        http_answer("200 OK", JSON, &rpc(&json!({"id": "mine", "status": {"state": "completed"}}))),
        sse(&[
            event(json!({"id": "mine", "status": {"state": "working"}, "final": false})),
            event(json!({"id": "mine", "artifact": {"index": 0, "parts": [{"type": "text", "text": "x"}]}})),
            event(json!({"id": "mine", "status": {"state": "completed"}, "final": true})),
        ].concat()),
        http_answer("200 OK", JSON, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32009,"message":"ended"}}"#),
    ]);
    let mut card = old_card(&server.url, "JSONRPC");
    card["protocolVersion"] = json!("0.1");
    let card = crate::card::read(card.to_string().as_bytes()).unwrap();
    let client = Client::from_card(card, options()).unwrap();
    client.send(&message()).await.unwrap();
    let asked = server.asked();
    assert!(
        asked.contains(r#""method":"tasks/send","params":{"id":""#),
        "{asked}"
    );
    assert!(
        asked.contains(r#""parts":[{"type":"text","text":"go"}]"#),
        "{asked}"
    );
    let mut request = message();
    request.message.task_id = "mine".to_owned();
    request.message.context_id = "s".to_owned();
    let mut events: Vec<_> = client.stream(request.clone()).collect().await;
    let last = events.pop().unwrap().unwrap();
    let StreamResponse::StatusUpdate(last) = last.event else {
        panic!("a status")
    };
    assert_eq!(
        (last.task_id.as_str(), last.context_id.as_str()),
        ("mine", "s")
    );
    let asked = server.asked();
    assert!(
        asked.contains(r#""method":"tasks/sendSubscribe","params":{"id":"mine","sessionId":"s""#),
        "{asked}"
    );
    let error = client.send(&request).await.unwrap_err();
    assert!(
        matches!(
            error.agent_error(),
            Some(A2aError::UnsupportedOperation { .. })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn calls_that_change_nothing_are_tried_again_and_others_are_not() {
    let broken = || http_answer("500 Internal Server Error", JSON, "{}");
    let mut patient = options();
    patient.retry = RetryOptions {
        max_retries: 2,
        min_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
    };
    let found = r#"{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}"#;
    let server = RawServer::play(vec![
        broken(),
        Act::Refuse,
        http_answer("200 OK", JSON, found),
        broken(),
        broken(),
        broken(),
        broken(),
        http_answer("404 Not Found", JSON, "{}"),
    ]);
    let client = Client::from_card(card(&server.url, "HTTP+JSON"), patient).unwrap();
    assert_eq!(client.get("t", None).await.unwrap().id, "t");
    // Tried three times, and then given up.
    let error = client.get("t", None).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    // A message is sent once.
    assert!(client.send(&message()).await.is_err());
    // What will not change is not tried again.
    assert!(client.list(&ListTasksRequest::default()).await.is_err());
    let asked: Vec<_> = (0..8).map(|_| server.asked()[..4].to_owned()).collect();
    assert_eq!(
        asked,
        [
            "GET ", "GET ", "GET ", "GET ", "GET ", "GET ", "POST", "GET "
        ]
    );
}

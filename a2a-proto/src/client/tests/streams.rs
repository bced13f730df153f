//! Streams that are cut, repeated, holed, silenced, refused.

use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;

use super::*;
use crate::types::{Message, Part, StreamResponse, TaskState};

/// A frame of the JSON-RPC binding: event `seq` is the artifact chunk `seq`.
fn chunk(seq: u64) -> String {
    result(
        seq,
        &format!(
            r#"{{"artifactUpdate":{{"taskId":"t","contextId":"c","artifact":{{"artifactId":"a","parts":[{{"text":"{seq}"}}]}},"append":true}}}}"#
        ),
    )
}

fn state(seq: u64, state: TaskState) -> String {
    result(
        seq,
        &format!(
            r#"{{"statusUpdate":{{"taskId":"t","contextId":"c","status":{{"state":"{state}"}}}}}}"#
        ),
    )
}

fn snapshot(seq: u64) -> String {
    result(
        seq,
        r#"{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}"#,
    )
}

fn result(seq: u64, result: &str) -> String {
    format!("id: {seq}\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}\n\n")
}

fn done(seq: u64) -> String {
    state(seq, TaskState::Completed)
}

async fn seqs(mut stream: EventStream) -> (Vec<u64>, Option<ClientError>) {
    let mut seqs = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => seqs.push(event.seq.unwrap()),
            Err(error) => return (seqs, Some(error)),
        }
    }
    (seqs, None)
}

fn message() -> SendMessageRequest {
    SendMessageRequest {
        message: Message::user("m", vec![Part::text("go")]),
        ..SendMessageRequest::default()
    }
}

#[tokio::test]
async fn a_cut_in_every_byte_of_a_stream_loses_and_repeats_nothing() {
    let frames = [snapshot(1), chunk(2), chunk(3), done(4)].concat();
    for cut in (0..frames.len()).step_by(7) {
        let rest = |after: u64| -> String { (after + 1..4).map(chunk).chain([done(4)]).collect() };
        // What a client has seen of the first connection decides where the second begins.
        let complete = frames[..cut].matches("\n\n").count() as u64;
        if complete == 0 {
            continue;
        }
        for first in [sse(&frames[..cut]), broken_sse(&frames[..cut])] {
            let server = RawServer::play(vec![first, sse(&rest(complete))]);
            let (seqs, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
            assert!(error.is_none(), "{error:?}");
            assert_eq!(seqs, [1, 2, 3, 4], "cut at byte {cut}");
            assert!(
                server
                    .asked()
                    .contains("\"method\":\"SendStreamingMessage\"")
            );
            let resumed = server.asked();
            assert!(
                resumed.contains(&format!("last-event-id: {complete}\r\n")),
                "{resumed}"
            );
            assert!(
                resumed.contains("\"method\":\"SubscribeToTask\",\"params\":{\"id\":\"t\"}"),
                "{resumed}"
            );
        }
    }
}

#[tokio::test]
async fn events_that_come_twice_are_dropped() {
    let server = RawServer::play(vec![
        sse(&[snapshot(1), chunk(2), chunk(2), chunk(1), chunk(3)].concat()),
        sse(&[chunk(2), chunk(3), done(4)].concat()),
    ]);
    let (seqs, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seqs, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_gap_is_asked_for_again() {
    let server = RawServer::play(vec![
        sse(&[snapshot(1), chunk(2), chunk(4), done(5)].concat()),
        sse(&[chunk(3), chunk(4), done(5)].concat()),
    ]);
    let (seqs, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    server.asked();
    assert!(server.asked().contains("last-event-id: 2\r\n"));
}

#[tokio::test]
async fn an_agent_whose_numbers_have_holes_is_followed_all_the_same() {
    let server = RawServer::play(vec![
        sse(&[snapshot(10), chunk(20)].concat()),
        sse(&[chunk(20), chunk(30), done(40)].concat()),
    ]);
    let (seqs, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seqs, [10, 20, 30, 40]);
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_resumed() {
    let server = RawServer::play(vec![
        Act::Hang(sse_bytes(&[snapshot(1), chunk(2)].concat())),
        sse(&done(3)),
    ]);
    let (seqs, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test]
async fn a_stream_that_cannot_be_resumed_says_where_it_stopped() {
    let server = RawServer::play(vec![
        sse(&[snapshot(1), chunk(2)].concat()),
        Act::Refuse,
        Act::Refuse,
        Act::Refuse,
    ]);
    let (seqs, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    assert_eq!(seqs, [1, 2]);
    assert!(
        matches!(error, Some(ClientError::Lost { after: Some(2), ref task_id, .. }) if task_id == "t"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refused_resume_is_an_error_at_once() {
    let refusal = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"gone"}}"#;
    let server = RawServer::play(vec![
        sse(&snapshot(1)),
        http_answer("200 OK", "content-type: application/json\r\n", refusal),
    ]);
    let (_, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    let error = error.unwrap();
    assert!(
        matches!(error, ClientError::Lost { after: Some(1), .. }),
        "{error:?}"
    );
    assert!(matches!(
        error.agent_error(),
        Some(A2aError::TaskNotFound { .. })
    ));
}

#[tokio::test]
async fn a_task_that_ended_meanwhile_is_fetched_from_an_agent_without_replay() {
    let refusal =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"the task has ended"}}"#;
    let task =
        r#"{"jsonrpc":"2.0","id":1,"result":{"id":"t","status":{"state":"TASK_STATE_FAILED"}}}"#;
    let json = "content-type: application/json\r\n";
    let server = RawServer::play(vec![
        sse(&snapshot(1)),
        http_answer("200 OK", json, refusal),
        http_answer("200 OK", json, task),
    ]);
    let events: Vec<_> = client(&server, "JSONRPC")
        .stream(message())
        .map(Result::unwrap)
        .collect()
        .await;
    assert_eq!(events.len(), 2);
    assert!(
        matches!(&events[1].event, StreamResponse::Task(task) if task.status.state == TaskState::Failed)
    );
}

#[tokio::test]
async fn an_error_inside_a_stream_is_passed_on() {
    let frame =
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32004,\"message\":\"no\"}}\n\n";
    let server = RawServer::play(vec![sse(frame)]);
    let (_, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    assert!(
        matches!(
            error,
            Some(ClientError::Agent(A2aError::UnsupportedOperation { .. }))
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_message_is_never_sent_twice() {
    let server = RawServer::play(vec![sse("")]);
    let (_, error) = seqs(client(&server, "JSONRPC").stream(message())).await;
    assert!(matches!(error, Some(ClientError::Cut)), "{error:?}");
}

#[tokio::test]
async fn a_direct_answer_is_the_only_event() {
    let answer = r#"{"message":{"messageId":"a","role":"ROLE_AGENT","parts":[{"text":"hi"}]}}"#;
    let server = RawServer::play(vec![sse(&format!(
        "data: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{answer}}}\n\n"
    ))]);
    let events: Vec<_> = client(&server, "JSONRPC")
        .stream(message())
        .map(Result::unwrap)
        .collect()
        .await;
    assert!(
        matches!(&events[..], [StreamEvent { seq: None, event: StreamResponse::Message(message) }] if message.text() == "hi")
    );
}

#[tokio::test]
async fn the_stream_of_a_waiting_task_may_end() {
    let waits = state(1, TaskState::InputRequired).replace("id: 1\n", "");
    let server = RawServer::play(vec![sse(&waits)]);
    let events: Vec<_> = client(&server, "JSONRPC").stream(message()).collect().await;
    assert!(matches!(&events[..], [Ok(_)]), "{events:?}");
}

#[tokio::test]
async fn a_subscribe_begins_after_the_event_that_it_names_and_survives_a_late_server() {
    let server = RawServer::play(vec![Act::Refuse, sse(&[chunk(8), done(9)].concat())]);
    let (seqs, error) = seqs(client(&server, "JSONRPC").subscribe("t", Some(7))).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seqs, [8, 9]);
    assert!(server.asked().contains("last-event-id: 7\r\n"));
}

#[tokio::test]
async fn a_subscribe_to_nothing_is_the_agents_error() {
    let body = r#"{"error":{"code":404,"status":"NOT_FOUND","message":"no","details":[
        {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_FOUND","domain":"a2a-protocol.org","metadata":{"taskId":"t"}}]}}"#;
    let server = RawServer::play(vec![http_answer("404 Not Found", "", body)]);
    let (_, error) = seqs(client(&server, "HTTP+JSON").subscribe("t", None)).await;
    assert_eq!(
        error.unwrap().agent_error(),
        Some(&A2aError::TaskNotFound {
            task_id: "t".into()
        })
    );
}

#[tokio::test]
async fn http_subscribe_falls_back_from_post_to_get() {
    let frame = r#"data: {"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"}}}"#;
    let server = RawServer::play(vec![
        http_answer("405 Method Not Allowed", "", ""),
        sse(&format!("id: 1\n{frame}\n\n")),
    ]);
    let (seqs, error) = seqs(client(&server, "HTTP+JSON").subscribe("a:b/c", None)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seqs, [1]);
    assert!(
        server
            .asked()
            .starts_with("POST /tasks/a%3Ab%2Fc:subscribe HTTP/1.1\r\n")
    );
    assert!(
        server
            .asked()
            .starts_with("GET /tasks/a%3Ab%2Fc:subscribe HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn an_event_above_the_limit_is_refused() {
    let server = RawServer::play(vec![sse(&[snapshot(1), "data: x".repeat(1000)].concat())]);
    let mut options = options();
    options.max_answer_bytes = 500;
    let client = Client::from_card(card(&server.url, "JSONRPC"), options).unwrap();
    let (seqs, error) = seqs(client.stream(message())).await;
    assert_eq!(seqs, [1]);
    assert!(
        matches!(error, Some(ClientError::Lost { source, .. }) if matches!(*source, ClientError::TooLarge { limit: 500 }))
    );
}

#[tokio::test]
async fn an_agent_that_does_not_stream_is_not_asked_to() {
    let server = RawServer::play(vec![]);
    let mut card = card(&server.url, "JSONRPC");
    card.capabilities.streaming = None;
    let (_, error) = seqs(
        Client::from_card(card, options())
            .unwrap()
            .stream(message()),
    )
    .await;
    assert_eq!(error.unwrap().agent_error().unwrap().code(), -32004);
}

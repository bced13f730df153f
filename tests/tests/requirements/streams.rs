//! Streams: CORE-STREAM, STREAM-ORDER (A2A §3.1.2, §3.5.2).

use serde_json::{Value, json};

use crate::{
    errors::Kind,
    kit::{check_event, ended, follow_up, kind, params, state},
    world::{At, Profile},
};

requirement!(core_stream_001, core_stream_001_jsonrpc: JsonRpc, core_stream_001_rest: Rest, core_stream_001_grpc: Grpc);

/// A streaming send opens a stream; where the card says that there are none, it is refused.
async fn core_stream_001(at: At) {
    let peer = at.peer().await;
    let first = peer
        .streaming("tck-stream-001-1")
        .await
        .next()
        .await
        .unwrap();
    assert_eq!(kind(&first), "task");
    peer.refuses("SendStreamingMessage", json!({}), Kind::InvalidParams)
        .await;
    let minimal = at.profile(Profile::Minimal).await;
    let refused = minimal.refuses(
        "SendStreamingMessage",
        params("tck-stream-001-1", "hello"),
        Kind::Unsupported,
    );
    refused.await;
    assert_eq!(
        minimal.ok("ListTasks", json!({})).await["totalSize"],
        0,
        "nothing was begun"
    );
}

requirement!(core_stream_002, core_stream_002_jsonrpc: JsonRpc, core_stream_002_rest: Rest, core_stream_002_grpc: Grpc);

/// A direct message is the one event of its stream.
async fn core_stream_002(at: At) {
    let peer = at.peer().await;
    let events = peer.streaming("tck-message-response-1").await.rest().await;
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(kind(&events[0]), "message");
    check_event(&events[0]);
    let task = peer.streaming("tck-stream-002-1").await.rest().await;
    assert!(
        task.iter().all(|event| kind(event) != "message"),
        "no message in a task's stream: {task:#?}"
    );
}

requirement!(core_stream_003, core_stream_003_jsonrpc: JsonRpc, core_stream_003_rest: Rest, core_stream_003_grpc: Grpc);

/// A task's stream begins with the task and closes at its end. It stays open while the task asks.
async fn core_stream_003(at: At) {
    let peer = at.peer().await;
    for (id, last) in [
        ("tck-stream-003-1", "TASK_STATE_COMPLETED"),
        ("tck-stream-artifact-file-1", "TASK_STATE_COMPLETED"),
        ("tck-reject-task-1", "TASK_STATE_REJECTED"),
        ("m-1", "TASK_STATE_COMPLETED"),
    ] {
        let events = peer.streaming(id).await.rest().await;
        events.iter().for_each(check_event);
        assert_eq!(kind(&events[0]), "task", "{events:#?}");
        assert_eq!(
            events.iter().filter(|event| kind(event) == "task").count(),
            1,
            "{events:#?}"
        );
        let end = events.iter().position(ended).unwrap();
        assert_eq!(
            (end, state(&events[end])),
            (events.len() - 1, last),
            "{events:#?}"
        );
    }
    let mut open = peer.streaming("tck-input-required-1").await;
    let asks = open
        .until(|event| state(event) == "TASK_STATE_INPUT_REQUIRED")
        .await;
    let task = &asks[0]["task"];
    peer.ok("SendMessage", follow_up(task, "m-2", "go on"))
        .await;
    let rest = open.rest().await;
    assert_eq!(
        rest.last().map(state),
        Some("TASK_STATE_COMPLETED"),
        "{rest:#?}"
    );
}

requirement!(stream_order_001, stream_order_001_jsonrpc: JsonRpc, stream_order_001_rest: Rest, stream_order_001_grpc: Grpc);

/// Events come in the order in which they were made.
async fn stream_order_001(at: At) {
    let peer = at.peer().await;
    let events = peer
        .streaming("tck-stream-artifact-chunked-1")
        .await
        .rest()
        .await;
    let seen: Vec<String> = events.iter().map(describe).collect();
    let expect = [
        "task SUBMITTED",
        "status WORKING",
        "artifact chunk-1  append=false last=false",
        "artifact chunk-2 append=true last=true",
        "status COMPLETED",
    ];
    assert_eq!(seen, expect);
    let artifacts = events
        .iter()
        .filter(|event| kind(event) == "artifactUpdate");
    let ids: Vec<_> = artifacts
        .map(|event| event["artifactUpdate"]["artifact"]["artifactId"].clone())
        .collect();
    assert_eq!(ids[0], ids[1], "chunks of one artifact");
    let ordered = peer
        .streaming("tck-stream-ordering-001-1")
        .await
        .rest()
        .await;
    let kinds: Vec<_> = ordered.iter().map(kind).collect();
    assert_eq!(
        kinds,
        ["task", "statusUpdate", "artifactUpdate", "statusUpdate"],
        "{ordered:#?}"
    );
}

fn describe(event: &Value) -> String {
    let short = |event: &Value| state(event).trim_start_matches("TASK_STATE_").to_owned();
    match kind(event) {
        "task" => format!("task {}", short(event)),
        "statusUpdate" => format!("status {}", short(event)),
        "artifactUpdate" => {
            let update = &event["artifactUpdate"];
            let flag = |name: &str| update[name].as_bool().unwrap_or_default();
            let text = update["artifact"]["parts"][0]["text"]
                .as_str()
                .unwrap_or_default();
            format!(
                "artifact {text} append={} last={}",
                flag("append"),
                flag("lastChunk")
            )
        }
        other => other.to_owned(),
    }
}

requirement!(stream_order_002, stream_order_002_jsonrpc: JsonRpc, stream_order_002_rest: Rest, stream_order_002_grpc: Grpc);

/// Every stream of a task gets every event, also of a message that came on another way.
async fn stream_order_002(at: At) {
    let peer = at.peer().await;
    let mut first = peer.streaming("tck-input-required-1").await;
    let asked = first
        .until(|event| state(event) == "TASK_STATE_INPUT_REQUIRED")
        .await;
    let task = &asked[0]["task"];
    let mut second = peer.subscribed(task).await;
    second.next().await.unwrap();
    peer.ok(
        "SendMessage",
        follow_up(task, "tck-stream-artifact-text-1", "go on"),
    )
    .await;
    let (first, second) = (first.rest().await, second.rest().await);
    assert_eq!(first, second);
    let kinds: Vec<_> = first.iter().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "statusUpdate",
            "statusUpdate",
            "artifactUpdate",
            "statusUpdate"
        ],
        "{first:#?}"
    );
}

requirement!(stream_order_003, stream_order_003_jsonrpc: JsonRpc, stream_order_003_rest: Rest, stream_order_003_grpc: Grpc);

/// Streams of one task get the same events in the same order, to the byte.
async fn stream_order_003(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = peer.subscribed(&task).await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    peer.ok(
        "SendMessage",
        follow_up(&task, "tck-stream-artifact-chunked-1", "go on"),
    )
    .await;
    let mut written = Vec::new();
    for mut stream in streams {
        let mut all = Vec::new();
        while let Some((_, text)) = stream.next_raw().await {
            all.push(text);
        }
        written.push(all);
    }
    assert_eq!(written[0].len(), 5, "{written:#?}");
    for other in &written[1..] {
        assert_eq!(*other, written[0]);
    }
}

requirement!(stream_order_004, stream_order_004_jsonrpc: JsonRpc, stream_order_004_rest: Rest, stream_order_004_grpc: Grpc);

/// Closing a stream closes no other, and does not end the task.
async fn stream_order_004(at: At) {
    let peer = at.peer().await;
    let mut left = peer.streaming("tck-input-required-1").await;
    let asked = left
        .until(|event| state(event) == "TASK_STATE_INPUT_REQUIRED")
        .await;
    let task = &asked[0]["task"];
    let mut kept = peer.subscribed(task).await;
    kept.next().await.unwrap();
    drop(left);
    let mut third = peer.subscribed(task).await;
    third.next().await.unwrap();
    drop(third);
    assert_eq!(state(&peer.get(task).await), "TASK_STATE_INPUT_REQUIRED");
    peer.ok("SendMessage", follow_up(task, "m-2", "go on"))
        .await;
    let rest = kept.rest().await;
    assert_eq!(
        rest.last().map(state),
        Some("TASK_STATE_COMPLETED"),
        "{rest:#?}"
    );
}

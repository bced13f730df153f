//! CORE-STREAM, STREAM-ORDER, STREAM-SUB: streams over both bindings, resuming them, and what ends them.

use std::time::Duration;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_stream_001_and_003_begins_with_the_task_and_ends_with_its_end() {
    let server = Running::start().await;
    for binding in BOTH {
        let stream = server
            .stream(binding, "SendStreamingMessage", message("chunks 3"), &[])
            .await;
        assert_eq!(stream.header("content-type"), Some("text/event-stream"));
        assert_eq!(stream.header("cache-control"), Some("no-cache"));
        let frames = stream.all().await;
        let ids: Vec<_> = frames.iter().map(|frame| frame.id.unwrap()).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
        assert!(frames.iter().all(|frame| frame.event.is_none()));
        let events: Vec<_> = frames.iter().map(http::Frame::event_json).collect();
        assert!(
            events
                .iter()
                .all(|event| event.as_object().unwrap().len() == 1)
        );
        let task = &events[0]["task"];
        assert_eq!(state(task), "TASK_STATE_SUBMITTED");
        assert_eq!(
            events[1]["statusUpdate"]["status"]["state"],
            "TASK_STATE_WORKING"
        );
        for (n, event) in events[2..5].iter().enumerate() {
            let update = &event["artifactUpdate"];
            assert_eq!(
                update["artifact"]["parts"][0]["text"],
                format!("chunk-{n} ")
            );
            assert_eq!(
                (&update["taskId"], &update["contextId"]),
                (&task["id"], &task["contextId"])
            );
            assert_eq!(update.get("append").is_some(), n > 0);
            assert_eq!(update.get("lastChunk").is_some(), n == 2);
        }
        assert_eq!(
            events[5]["statusUpdate"]["status"]["state"],
            "TASK_STATE_COMPLETED"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_stream_002_message_only_is_exactly_one_message() {
    let server = Running::start().await;
    for binding in BOTH {
        let events = server
            .stream(binding, "SendStreamingMessage", message("reply"), &[])
            .await
            .events()
            .await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["message"]["parts"][0]["text"], "hello");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_order_001_to_004_all_subscribers_see_the_same_and_closing_one_changes_nothing() {
    let server = Running::start().await;
    for binding in BOTH {
        let task = server.begin("wait").await;
        let subscribe =
            || server.stream(binding, "SubscribeToTask", json!({"id": task["id"]}), &[]);
        let mut streams = futures_util::future::join_all((0..4).map(|_| subscribe())).await;
        let mut leaving = streams.pop().unwrap();
        leaving.next().await.unwrap();
        drop(leaving);
        // All are attached before anything happens.
        let mut firsts = Vec::new();
        for stream in &mut streams {
            firsts.push(stream.next().await.unwrap());
        }
        assert!(
            firsts
                .iter()
                .all(|frame| frame.event_json()["task"]["id"] == task["id"])
        );
        server.agent.go.add_permits(1);
        let transcripts =
            futures_util::future::join_all(streams.into_iter().map(Stream::all)).await;
        assert!(transcripts[0].len() >= 2);
        assert!(transcripts.iter().all(|transcript| transcript.ends_with(&transcripts[0][transcripts[0].len() - 2..])));
        let end = server
            .call(binding, "GetTask", json!({"id": task["id"]}))
            .await
            .unwrap();
        assert_eq!(state(&end), "TASK_STATE_COMPLETED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_sub_001_to_004_task_first_then_live_ended_and_unknown_refused() {
    let server = Running::start().await;
    for binding in BOTH {
        let task = server
            .call(binding, "SendMessage", message("ask"))
            .await
            .unwrap()["task"]
            .clone();
        let mut stream = server
            .stream(binding, "SubscribeToTask", json!({"id": task["id"]}), &[])
            .await;
        let first = stream.next().await.unwrap();
        assert_eq!(first.event_json()["task"], task);
        assert_eq!(first.id, Some(2));
        // Interrupted, it stays open.
        server
            .call(binding, "SendMessage", follow_up(&task, "hello"))
            .await
            .unwrap();
        let frames = stream.all().await;
        assert_eq!(frames[0].id, Some(3));
        assert_eq!(
            frames[0].event_json()["statusUpdate"]["status"]["message"]["parts"][0]["text"],
            "hello"
        );
        assert_eq!(
            frames.last().unwrap().event_json()["statusUpdate"]["status"]["state"],
            "TASK_STATE_COMPLETED"
        );
        let ended = server
            .call(binding, "SubscribeToTask", json!({"id": task["id"]}))
            .await
            .unwrap_err();
        assert_eq!(ended.reason, "UNSUPPORTED_OPERATION");
        let missing = server
            .call(binding, "SubscribeToTask", json!({"id": "nope"}))
            .await
            .unwrap_err();
        assert_eq!(missing.reason, "TASK_NOT_FOUND");
    }
    // The text of the protocol says POST, the proto GET.
    let task = server.begin("ask").await;
    let path = format!("/tasks/{}:subscribe", task["id"].as_str().unwrap());
    for method in ["GET", "POST"] {
        let mut stream = Stream::open(server.address, method, &path, &[], b"").await;
        assert!(stream.next().await.unwrap().json()["task"].is_object());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resume_replays_strictly_after_the_last_event_without_gap_or_repeat() {
    let server = Running::start().await;
    for binding in BOTH {
        let whole = server
            .stream(binding, "SendStreamingMessage", message("chunks 20"), &[])
            .await
            .all()
            .await;
        let id = whole[0].event_json()["task"]["id"].clone();
        for after in [0, 1, 7, 22] {
            let header = after.to_string();
            let stream = server
                .stream(
                    binding,
                    "SubscribeToTask",
                    json!({"id": id}),
                    &[("last-event-id", &header)],
                )
                .await;
            assert_eq!(stream.all().await, whole[after..]);
        }
        // A resume that cannot be served is an error, never an empty stream.
        for (after, reason) in [
            ("24", "INVALID"),
            ("x", "INVALID"),
            ("-1", "INVALID"),
            ("23", "UNSUPPORTED_OPERATION"),
        ] {
            let stream = server
                .stream(
                    binding,
                    "SubscribeToTask",
                    json!({"id": id}),
                    &[("last-event-id", after)],
                )
                .await;
            assert_eq!(stream.header("content-type"), Some("application/json"));
            let status = stream.status;
            let body = stream.into_reply().await.json();
            let failure = match binding {
                Binding::Rpc => Failure::rpc(&body["error"]),
                Binding::Rest => Failure::rest(status, &body["error"]),
            };
            assert_eq!(failure.reason, reason, "{after}");
        }
        // A message is never sent twice by a client that reconnects.
        let again = server
            .stream(
                binding,
                "SendStreamingMessage",
                message("chunks 20"),
                &[("last-event-id", "3")],
            )
            .await;
        assert!(
            again.into_reply().await.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("subscribe")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follow_up_stream_begins_with_the_task_as_it_stands() {
    let server = Running::start().await;
    for binding in BOTH {
        let task = server
            .call(binding, "SendMessage", message("ask"))
            .await
            .unwrap()["task"]
            .clone();
        let events = server
            .stream(
                binding,
                "SendStreamingMessage",
                follow_up(&task, "hello"),
                &[],
            )
            .await
            .events()
            .await;
        assert_eq!(events[0]["task"]["id"], task["id"]);
        assert_eq!(
            events.last().unwrap()["statusUpdate"]["status"]["state"],
            "TASK_STATE_COMPLETED"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_broken_by_keep_alives() {
    let server = Running::with(|options, _| options.keep_alive = Duration::from_millis(20)).await;
    let task = server.begin("wait").await;
    let mut stream = server
        .stream(
            Binding::Rest,
            "SubscribeToTask",
            json!({"id": task["id"]}),
            &[],
        )
        .await;
    stream.next().await.unwrap();
    stream.comment().await;
    server.agent.go.add_permits(1);
    assert_eq!(
        stream.events().await.last().unwrap()["statusUpdate"]["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_bounded_and_a_place_is_free_again_after_the_end() {
    let server = Running::with(|options, _| options.max_streams = 1).await;
    let task = server.begin("wait").await;
    let mut stream = server
        .stream(
            Binding::Rest,
            "SubscribeToTask",
            json!({"id": task["id"]}),
            &[],
        )
        .await;
    stream.next().await.unwrap();
    let refused = server
        .stream(
            Binding::Rest,
            "SubscribeToTask",
            json!({"id": task["id"]}),
            &[],
        )
        .await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("5"))
    );
    let refused = server
        .stream(Binding::Rpc, "SendStreamingMessage", message("hello"), &[])
        .await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        server
            .call(Binding::Rpc, "ListTasks", json!({}))
            .await
            .unwrap()["totalSize"],
        1,
        "nothing was begun"
    );
    server.agent.go.add_permits(1);
    stream.all().await;
    let whole = async {
        loop {
            let stream = server
                .stream(Binding::Rest, "SendStreamingMessage", message("hello"), &[])
                .await;
            if stream.status == 200 {
                return stream.all().await.len();
            }
        }
    };
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(20), whole)
            .await
            .unwrap(),
        4
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_streams_and_waits_and_leaves_the_task_to_the_next_server() {
    let server = Running::start().await;
    let task = server.begin("leave").await;
    let mut stream = server
        .stream(
            Binding::Rpc,
            "SubscribeToTask",
            json!({"id": task["id"]}),
            &[],
        )
        .await;
    // The snapshot may be older than the turn.
    while !stream.next().await.unwrap().data.contains("WORKING") {}
    assert_eq!(server.get("/readyz").await.status, 200);
    server.shutdown.cancel();
    stream.all().await;
    let stopping = server.get("/readyz").await;
    assert_eq!(
        (stopping.status, stopping.json()),
        (503, json!({"status": "stopping"}))
    );
    assert_eq!(server.get("/healthz").await.status, 200);
    let refused = server.post("/message:send", &message("hello")).await;
    assert_eq!(refused.status, 429);
    let left = server
        .call(Binding::Rpc, "GetTask", json!({"id": task["id"]}))
        .await
        .unwrap();
    assert_eq!(state(&left), "TASK_STATE_WORKING");
}

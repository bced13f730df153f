//! CORE-CANCEL: one end, and an answer for everybody who asked for it.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_cancel_001_to_003_cancel_ended_unknown() {
    let server = Running::start().await;
    for binding in BOTH {
        let task = server.begin("wait").await;
        let canceled = server
            .call(binding, "CancelTask", json!({"id": task["id"]}))
            .await
            .unwrap();
        assert_eq!(state(&canceled), "TASK_STATE_CANCELED");
        let again = server
            .call(binding, "CancelTask", json!({"id": task["id"]}))
            .await
            .unwrap_err();
        assert_eq!(again.reason, "TASK_NOT_CANCELABLE");
        let missing = server
            .call(binding, "CancelTask", json!({"id": "nope"}))
            .await
            .unwrap_err();
        assert_eq!(missing.reason, "TASK_NOT_FOUND");
        let asked = server
            .call(binding, "SendMessage", message("ask"))
            .await
            .unwrap()["task"]
            .clone();
        let canceled = server
            .call(binding, "CancelTask", json!({"id": asked["id"]}))
            .await
            .unwrap();
        assert_eq!(state(&canceled), "TASK_STATE_CANCELED");
    }
    assert_eq!(server.agent.cancels.load(Ordering::SeqCst), 4);
    // An empty body is an empty request, and so is `null`.
    for body in ["", "null"] {
        let task = server.begin("wait").await;
        let path = format!("/tasks/{}:cancel", task["id"].as_str().unwrap());
        let headers = [("content-type", "application/json")];
        let answer = server.send("POST", &path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{body:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_and_complete_race_to_one_end_and_every_cancel_is_answered() {
    let server = Running::start().await;
    for _ in 0..20 {
        let task = server.begin("race").await;
        let cancels =
            (0..3).map(|_| server.call(Binding::Rpc, "CancelTask", json!({"id": task["id"]})));
        let answers = futures_util::future::join_all(cancels).await;
        let end = server
            .call(Binding::Rpc, "GetTask", json!({"id": task["id"]}))
            .await
            .unwrap();
        for answer in answers {
            match answer {
                Ok(canceled) => assert_eq!(
                    (state(&canceled), state(&end)),
                    ("TASK_STATE_CANCELED", "TASK_STATE_CANCELED")
                ),
                Err(refused) => assert_eq!(refused.reason, "TASK_NOT_CANCELABLE"),
            }
        }
        let stream = server.stream(
            Binding::Rpc,
            "SubscribeToTask",
            json!({"id": task["id"]}),
            &[("last-event-id", "0")],
        );
        let events = stream.await.events().await;
        let ends = events.iter().filter(|event| {
            matches!(
                event["statusUpdate"]["status"]["state"].as_str(),
                Some("TASK_STATE_CANCELED" | "TASK_STATE_COMPLETED")
            )
        });
        assert_eq!(ends.count(), 1, "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_that_fails_says_so_and_the_task_goes_on() {
    let server = Running::with(|_, agent| agent.stubborn = true).await;
    let task = server.begin("ask").await;
    let refused = server
        .call(Binding::Rpc, "CancelTask", json!({"id": task["id"]}))
        .await
        .unwrap_err();
    assert!(refused.message.contains("it will not die"), "{refused:?}");
    let after = server
        .call(Binding::Rpc, "GetTask", json!({"id": task["id"]}))
        .await
        .unwrap();
    assert_eq!(state(&after), "TASK_STATE_INPUT_REQUIRED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_goes_on_when_its_client_leaves() {
    let server = Running::start().await;
    let task = server.begin("wait").await;
    let id = task["id"].as_str().unwrap();
    let mut watch = server
        .stream(Binding::Rpc, "SubscribeToTask", json!({"id": id}), &[])
        .await;
    watch.next().await.unwrap();
    let path = format!("/tasks/{id}:cancel");
    let gone = Stream::open(server.address, "POST", &path, &[], b"");
    drop(tokio::time::timeout(std::time::Duration::from_micros(300), gone).await);
    // Whether the request arrived or not, a second one finds the task canceled or cancels it.
    let _ = server
        .call(Binding::Rest, "CancelTask", json!({"id": id}))
        .await;
    let events = watch.events().await;
    assert_eq!(
        events.last().unwrap()["statusUpdate"]["status"]["state"],
        "TASK_STATE_CANCELED"
    );
}

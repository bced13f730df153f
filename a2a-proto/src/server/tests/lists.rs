//! CORE-LIST in depth: cursors over equal times, filters that meet, and history wherever a task is shown.

use super::*;
use crate::clock::ManualClock;

/// A server whose clock stands until the test moves it.
async fn at_noon() -> (Running, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new("2026-01-02T12:00:00Z".parse().unwrap()));
    let hands = Arc::clone(&clock);
    let server = Running::with(move |options, _| options.clock = clock).await;
    (server, hands)
}

fn ids(page: &Value) -> Vec<String> {
    let tasks = page["tasks"].as_array().unwrap().iter();
    tasks
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect()
}

/// All pages of a list.
async fn all(server: &Running, binding: Binding, mut params: Value) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let page = server
            .call(binding, "ListTasks", params.clone())
            .await
            .unwrap();
        assert!(page["tasks"].as_array().unwrap().len() <= 7);
        seen.extend(ids(&page));
        let Some(token) = page["nextPageToken"].as_str().filter(|it| !it.is_empty()) else {
            return seen;
        };
        params["pageToken"] = json!(token);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_list_002_equal_times_neither_skip_nor_repeat() {
    let (server, _) = at_noon().await;
    let mut made = Vec::new();
    for _ in 0..30 {
        made.push(server.begin("ask").await["id"].as_str().unwrap().to_owned());
    }
    made.sort_unstable_by(|a, b| b.cmp(a));
    for binding in BOTH {
        let seen = all(&server, binding, json!({"pageSize": 7})).await;
        assert_eq!(seen, made, "every task once, in one order");
        // Exactly full pages have no empty one after them.
        let page = server.call(binding, "ListTasks", json!({"pageSize": 30}));
        assert_eq!(page.await.unwrap()["nextPageToken"], "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_list_003_newest_status_first_and_a_new_status_moves_a_task() {
    let (server, clock) = at_noon().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(server.begin("auth").await);
        clock.advance(1_000);
    }
    for binding in BOTH {
        let oldest = made.remove(0);
        server
            .call(Binding::Rpc, "SendMessage", follow_up(&oldest, "auth"))
            .await
            .unwrap();
        clock.advance(1_000);
        made.push(oldest);
        let list = server.call(binding, "ListTasks", json!({})).await.unwrap();
        let newest_first: Vec<_> = made.iter().rev().map(|task| &task["id"]).collect();
        assert_eq!(json!(ids(&list)), json!(newest_first));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_filters_meet_and_the_total_counts_what_matches() {
    let (server, clock) = at_noon().await;
    for second in 0..6 {
        let mut params = message(if second % 2 == 0 { "ask" } else { "hello" });
        params["message"]["contextId"] = json!(if second < 3 { "one" } else { "two" });
        server
            .call(Binding::Rpc, "SendMessage", params)
            .await
            .unwrap();
        clock.advance(1_000);
    }
    for binding in BOTH {
        let total = async |params: Value| {
            let page = server
                .call(binding, "ListTasks", params.clone())
                .await
                .unwrap();
            (page["totalSize"].as_i64().unwrap(), ids(&page).len())
        };
        for (params, expect) in [
            (json!({}), 6),
            (json!({"status": "TASK_STATE_UNSPECIFIED"}), 6),
            (json!({"status": "TASK_STATE_COMPLETED"}), 3),
            (json!({"contextId": "one"}), 3),
            (
                json!({"contextId": "one", "status": "TASK_STATE_INPUT_REQUIRED"}),
                2,
            ),
            (json!({"statusTimestampAfter": "2026-01-02T12:00:05Z"}), 1),
            (
                json!({"statusTimestampAfter": "2026-01-02T12:00:05.000001Z"}),
                0,
            ),
            (
                json!({"statusTimestampAfter": "2026-01-02T13:00:03+01:00"}),
                3,
            ),
            (
                json!({"statusTimestampAfter": "2026-01-02T12:00:01Z", "contextId": "one",
                       "status": "TASK_STATE_COMPLETED"}),
                1,
            ),
            (json!({"statusTimestampAfter": "2026-01-02T12:00:06Z"}), 0),
        ] {
            assert_eq!(
                total(params.clone()).await,
                (expect, expect as usize),
                "{params}"
            );
        }
        // The total is of all pages, whatever the page.
        let first = server
            .call(
                binding,
                "ListTasks",
                json!({"pageSize": 2, "contextId": "two"}),
            )
            .await
            .unwrap();
        let rest = server
            .call(
                binding,
                "ListTasks",
                json!({"pageSize": 2, "contextId": "two", "pageToken": first["nextPageToken"]}),
            )
            .await
            .unwrap();
        assert_eq!(
            (&first["totalSize"], &rest["totalSize"]),
            (&json!(3), &json!(3))
        );
        assert_eq!((ids(&first).len(), ids(&rest).len()), (2, 1));
        assert_eq!(rest["nextPageToken"], "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_no_server_made_are_refused() {
    use base64::Engine as _;
    let server = Running::start().await;
    let encode = |text: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let odd = [
        "x".to_owned(),
        "====".to_owned(),
        encode(b"12"),
        encode(b"x.id"),
        encode(b"1."),
        encode(b"99999999999999999999.id"),
        encode(b"1.\xff"),
        "A".repeat(100_000),
    ];
    for binding in BOTH {
        // The longest does not fit into a request line.
        for token in odd
            .iter()
            .filter(|it| binding == Binding::Rpc || it.len() < 1000)
        {
            let refused = server
                .call(binding, "ListTasks", json!({"pageToken": token}))
                .await
                .unwrap_err();
            assert_eq!(refused.fields, ["pageToken"], "{token:.20}");
        }
        // A position is no secret and names nobody's task: one that matches nothing ends the list.
        let last = encode(b"-99.zzz");
        let page = server
            .call(binding, "ListTasks", json!({"pageToken": last}))
            .await
            .unwrap();
        assert_eq!(page["tasks"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_hist_wherever_a_task_is_shown_history_has_the_length_asked_for() {
    let server = Running::start().await;
    for binding in BOTH {
        let task = server
            .call(binding, "SendMessage", message("ask"))
            .await
            .unwrap()["task"]
            .clone();
        let lengths = async |history: Value| {
            let mut configured = follow_up(&task, "ask");
            configured["configuration"] = json!({"historyLength": history});
            let sent = server
                .call(binding, "SendMessage", configured.clone())
                .await;
            let mut list = json!({"contextId": task["contextId"]});
            if !history.is_null() {
                list["historyLength"] = history.clone();
            }
            let listed = server.call(binding, "ListTasks", list).await;
            let mut fresh = message("hello");
            fresh["configuration"] = configured["configuration"].clone();
            let stream = server.stream(binding, "SendStreamingMessage", fresh, &[]);
            let streamed = stream.await.events().await;
            let length = |task: &Value| task["history"].as_array().map(Vec::len);
            (
                length(&sent.unwrap()["task"]),
                length(&listed.unwrap()["tasks"][0]),
                length(&streamed[0]["task"]),
                streamed.len(),
            )
        };
        assert_eq!(lengths(json!(0)).await, (None, None, None, 4));
        assert_eq!(lengths(json!(1)).await, (Some(1), Some(1), Some(1), 4));
        let (sent, listed, streamed, _) = lengths(json!(null)).await;
        assert!(sent > Some(4) && listed == sent, "all of it");
        assert_eq!(streamed, Some(1));
        for operation in ["SendMessage", "SendStreamingMessage"] {
            let mut params = message("hello");
            params["configuration"] = json!({"historyLength": -1});
            let refused = server.call(binding, operation, params).await.unwrap_err();
            assert_eq!(refused.fields, ["configuration.historyLength"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_gets_what_the_client_hints_at() {
    let server = Running::start().await;
    for binding in BOTH {
        let mut params = message("who");
        params["configuration"] = json!({"acceptedOutputModes": ["text/plain", "image/*"]});
        params["metadata"] = json!({"key": [1, null]});
        // Tasks that are referred to need not exist here: they are for the agent to make sense of.
        params["message"]["referenceTaskIds"] = json!(["t-1", "t-2"]);
        let task = server.call(binding, "SendMessage", params).await.unwrap()["task"].clone();
        let seen = &task["artifacts"][0]["parts"][0]["data"];
        assert_eq!(
            seen["acceptedOutputModes"],
            json!(["text/plain", "image/*"])
        );
        assert_eq!(seen["referenceTaskIds"], json!(["t-1", "t-2"]));
        assert_eq!(seen["metadata"], json!({"key": [1, null]}));
        assert_eq!(seen["followUp"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_media_type_is_taken_where_the_card_says_so() {
    let send = async |server: &Running, media_type: &str| {
        let mut params = message("hello");
        params["message"]["parts"] =
            json!([{"raw": "AAAA", "mediaType": media_type}, {"text": "x"}]);
        server.call(Binding::Rest, "SendMessage", params).await
    };
    let all = Running::with(|_, agent| {
        agent.change_card(|card| card.default_input_modes = vec!["*/*".into()]);
    })
    .await;
    send(&all, "application/x-anything").await.unwrap();
    let by_skill = Running::with(|_, agent| {
        agent.change_card(|card| card.skills[0].input_modes = vec!["image/png".into()]);
    })
    .await;
    send(&by_skill, "image/png").await.unwrap();
    let refused = send(&by_skill, "image/gif").await.unwrap_err();
    assert_eq!(refused.reason, "CONTENT_TYPE_NOT_SUPPORTED");
    assert!(refused.message.contains("image/gif"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_cost_more_than_their_bytes_are_refused() {
    let server = Running::start().await;
    for binding in BOTH {
        let mut params = message("hello");
        params["message"]["parts"] = vec![json!({"text": "x"}); 10_001].into();
        let refused = server.call(binding, "SendMessage", params).await;
        assert_eq!(refused.unwrap_err().fields, ["message.parts"]);
        for field in ["messageId", "contextId", "taskId"] {
            let mut params = message("hello");
            params["message"][field] = json!("x".repeat(1025));
            let refused = server.call(binding, "SendMessage", params).await;
            assert_eq!(refused.unwrap_err().fields, [format!("message.{field}")]);
        }
    }
    // The error for an id that nobody has does not send it all back.
    let long = json!({"id": "ü".repeat(100_000)});
    let refused = server
        .call(Binding::Rpc, "GetTask", long)
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "TASK_NOT_FOUND");
    assert!(refused.message.len() < 300);
}

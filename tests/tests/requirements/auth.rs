//! Who may do what, and signing in during a task: AUTH (A2A §7, §13.1).

use std::fs;

use a2a_proto::{
    auth::{Claims, Signer},
    clock::{Clock as _, SystemClock},
};
use e2e::http::answer;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    errors::Kind,
    json_rpc::METHODS,
    kit::{check_message, ended, follow_up, kind, message, params, state, task_of},
    wire::{Peer, envelope},
    world::{At, Binding, Profile, Program},
};

/// A worker that asks for tokens, and what signs them.
struct Guarded {
    peer: Peer,
    signer: Signer,
    _at: At,
}

impl Guarded {
    async fn start(binding: Binding) -> Self {
        let at = At::of(Program::Worker, binding);
        let signer = Signer::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.json");
        fs::write(&keys, serde_json::to_vec(&signer.jwks()).unwrap()).unwrap();
        let server = at
            .serve(Profile::ExtendedCard, &["--trust", keys.to_str().unwrap()])
            .await;
        let peer = Peer::new(&server.url, binding);
        Self {
            peer,
            signer,
            _at: at,
        }
    }

    fn token(&self, name: &str, aud: &str, seconds: i64) -> String {
        sign(&self.signer, name, aud, seconds)
    }

    fn caller(&self, name: &str) -> Peer {
        self.peer
            .with_token(&self.token(name, "worker:conformance", 600))
    }
}

/// A token that says who calls whom, and is over after some seconds.
fn sign(signer: &Signer, name: &str, aud: &str, seconds: i64) -> String {
    let now = SystemClock.now().as_second();
    let claims = Claims {
        iss: "test".to_owned(),
        sub: name.to_owned(),
        aud: aud.to_owned(),
        exp: now + seconds,
        iat: now - 7200,
        nbf: now - 7200,
        jti: name.to_owned(),
        scope: String::new(),
    };
    signer.sign(&claims).unwrap().expose_secret().to_owned()
}

/// Every operation, as somebody would try it on a task.
fn operations(task: &Value) -> Vec<(&'static str, Value)> {
    METHODS
        .into_iter()
        .map(|method| {
            let params = match method {
                "SendMessage" | "SendStreamingMessage" => follow_up(task, "m-2", "hello"),
                "CreateTaskPushNotificationConfig" => {
                    json!({"taskId": task["id"], "url": "https://example.com/hook"})
                }
                "ListTasks" | "GetExtendedAgentCard" => json!({}),
                "GetTask" | "CancelTask" | "SubscribeToTask" => json!({"id": task["id"]}),
                _ => json!({"taskId": task["id"], "id": "c"}),
            };
            (method, params)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_server_001_jsonrpc() {
    every_call_is_checked(Binding::JsonRpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_server_001_rest() {
    every_call_is_checked(Binding::Rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_server_001_grpc() {
    every_call_is_checked(Binding::Grpc).await;
}

/// Every operation is refused without good credentials; the card is not.
async fn every_call_is_checked(binding: Binding) {
    let guarded = Guarded::start(binding).await;
    let alice = guarded.caller("alice");
    let task = alice.task("tck-input-required-1").await;
    let other = Signer::generate().unwrap();
    for token in [
        None,
        Some("nonsense".to_owned()),
        Some(guarded.token("alice", "worker:conformance", -3600)),
        Some(guarded.token("alice", "worker:other", 600)),
        Some(sign(&other, "alice", "worker:conformance", 600)),
    ] {
        let peer = match &token {
            None => guarded.peer.clone(),
            Some(token) => guarded.peer.with_token(token),
        };
        for (operation, params) in operations(&task) {
            assert!(
                peer.unauthenticated(operation, &params).await,
                "{operation} with {token:?}"
            );
        }
    }
    assert_eq!(alice.get(&task).await, task, "nothing happened to the task");
    let card = answer(
        guarded
            .peer
            .raw(Method::GET, "/.well-known/agent-card.json"),
    )
    .await;
    let card: Value = card.json().await.unwrap();
    assert!(
        card["securitySchemes"]["bearer"].is_object(),
        "it says what is needed: {card}"
    );
    assert!(
        card["securityRequirements"][0]["schemes"]["bearer"].is_object(),
        "{card}"
    );
    let extended = alice.ok("GetExtendedAgentCard", json!({})).await;
    assert!(
        extended["skills"].as_array().unwrap().len() > card["skills"].as_array().unwrap().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_server_002_jsonrpc() {
    a_refusal_says_how(Binding::JsonRpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_server_002_rest() {
    a_refusal_says_how(Binding::Rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_server_002_grpc() {
    a_refusal_says_how(Binding::Grpc).await;
}

/// A refusal says how to do better, and not what was wrong with a token.
async fn a_refusal_says_how(binding: Binding) {
    let guarded = Guarded::start(binding).await;
    let expired = guarded.token("alice", "worker:conformance", -3600);
    for (peer, challenge) in [
        (guarded.peer.clone(), "Bearer"),
        (
            guarded.peer.with("Authorization", "Basic YTpi"),
            "Bearer error=\"invalid_request\"",
        ),
        (
            guarded.peer.with_token(&expired),
            "Bearer error=\"invalid_token\"",
        ),
    ] {
        let text = if binding == Binding::Grpc {
            // Metadata has no challenge; the text says it all.
            let fault = peer.call("ListTasks", json!({})).await.unwrap_err();
            assert_eq!(fault.status.as_deref(), Some("UNAUTHENTICATED"));
            fault.message
        } else {
            let answer = peer.send("ListTasks", &json!({})).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(answer.headers()["www-authenticate"], challenge);
            answer.text().await.unwrap()
        };
        assert!(
            !text.contains("expired") && text.to_lowercase().contains("bearer"),
            "{text}"
        );
    }
}

/// A message whose text asks for a sign-in.
fn sign_in() -> Value {
    params("m-1", "tck-auth-required")
}

requirement!(auth_intask_001, auth_intask_001_jsonrpc: JsonRpc, auth_intask_001_rest: Rest, auth_intask_001_grpc: Grpc);

/// Who needs a sign-in says so with a task, and not with a direct message.
async fn auth_intask_001(at: At) {
    let peer = at.peer().await;
    let task = task_of(peer.ok("SendMessage", sign_in()).await);
    assert!(task["id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(peer.get(&task).await, task);
}

requirement!(auth_intask_002, auth_intask_002_jsonrpc: JsonRpc, auth_intask_002_rest: Rest, auth_intask_002_grpc: Grpc);

/// The state of that task is AUTH_REQUIRED, which is no end.
async fn auth_intask_002(at: At) {
    let peer = at.peer().await;
    let task = task_of(peer.ok("SendMessage", sign_in()).await);
    assert_eq!(state(&task), "TASK_STATE_AUTH_REQUIRED");
    let list = peer
        .ok("ListTasks", json!({"status": "TASK_STATE_AUTH_REQUIRED"}))
        .await;
    assert_eq!(list["tasks"][0]["id"], task["id"]);
}

requirement!(auth_intask_003, auth_intask_003_jsonrpc: JsonRpc, auth_intask_003_rest: Rest, auth_intask_003_grpc: Grpc);

/// The status says in words what is needed.
async fn auth_intask_003(at: At) {
    let peer = at.peer().await;
    let task = task_of(peer.ok("SendMessage", sign_in()).await);
    let said = &task["status"]["message"];
    check_message(said);
    assert_eq!(said["role"], "ROLE_AGENT");
    let text = said["parts"][0]["text"].as_str().unwrap();
    assert!(text.contains("Sign in"), "{text}");
}

requirement!(auth_intask_004, auth_intask_004_jsonrpc: JsonRpc, auth_intask_004_rest: Rest, auth_intask_004_grpc: Grpc);

/// Credentials come on another way: the task tells where, and no message needs to hold one.
async fn auth_intask_004(at: At) {
    let peer = at.peer().await;
    let task = task_of(peer.ok("SendMessage", sign_in()).await);
    let text = task["status"]["message"]["parts"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains("https://"), "{text}");
    let done = task_of(
        peer.ok("SendMessage", follow_up(&task, "m-2", "I have signed in"))
            .await,
    );
    assert_eq!(state(&done), "TASK_STATE_COMPLETED");
}

requirement!(auth_intask_005, auth_intask_005_jsonrpc: JsonRpc, auth_intask_005_rest: Rest, auth_intask_005_grpc: Grpc);

/// Streams stay open while the task waits for the sign-in.
async fn auth_intask_005(at: At) {
    let peer = at.peer().await;
    let mut stream = peer
        .stream("SendStreamingMessage", sign_in())
        .await
        .unwrap();
    let asked = stream
        .until(|event| state(event) == "TASK_STATE_AUTH_REQUIRED")
        .await;
    let task = &asked[0]["task"];
    let mut second = peer.subscribed(task).await;
    assert_eq!(kind(&second.next().await.unwrap()), "task");
    peer.ok("SendMessage", follow_up(task, "m-2", "signed in"))
        .await;
    for rest in [stream.rest().await, second.rest().await] {
        assert!(rest.last().is_some_and(ended), "{rest:#?}");
    }
}

requirement!(auth_intask_006, auth_intask_006_jsonrpc: JsonRpc, auth_intask_006_rest: Rest, auth_intask_006_grpc: Grpc);

/// Messages to a task that waits for a sign-in are taken; a sign-in that was asked for does not cover a later task.
async fn auth_intask_006(at: At) {
    let peer = at.peer().await;
    let task = task_of(peer.ok("SendMessage", sign_in()).await);
    let again = task_of(
        peer.ok(
            "SendMessage",
            follow_up(&task, "tck-input-required-1", "which account?"),
        )
        .await,
    );
    assert_eq!(
        (&again["id"], state(&again)),
        (&task["id"], "TASK_STATE_INPUT_REQUIRED")
    );
    peer.ok("SendMessage", follow_up(&task, "m-3", "signed in"))
        .await;
    let mut next = message("m-4", "tck-auth-required");
    next["contextId"] = task["contextId"].clone();
    let next = task_of(peer.ok("SendMessage", json!({"message": next})).await);
    assert_eq!(
        state(&next),
        "TASK_STATE_AUTH_REQUIRED",
        "it is asked for again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_001_jsonrpc() {
    lists_are_the_callers_own(Binding::JsonRpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_001_rest() {
    lists_are_the_callers_own(Binding::Rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_001_grpc() {
    lists_are_the_callers_own(Binding::Grpc).await;
}

/// A list has the caller's tasks only, also when the filter names another's context.
async fn lists_are_the_callers_own(binding: Binding) {
    let guarded = Guarded::start(binding).await;
    let (alice, bob) = (guarded.caller("alice"), guarded.caller("bob"));
    let task = alice.task("tck-complete-task-1").await;
    let own = bob.task("tck-complete-task-1").await;
    let list = bob.ok("ListTasks", json!({})).await;
    assert_eq!(
        (&list["totalSize"], &list["tasks"][0]["id"]),
        (&json!(1), &own["id"])
    );
    let list = bob
        .ok("ListTasks", json!({"contextId": task["contextId"]}))
        .await;
    assert_eq!(
        (&list["totalSize"], &list["tasks"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(
        alice.ok("ListTasks", json!({})).await["tasks"][0]["id"],
        task["id"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_002_jsonrpc() {
    others_tasks_are_not_there(Binding::JsonRpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_002_rest() {
    others_tasks_are_not_there(Binding::Rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_002_grpc() {
    others_tasks_are_not_there(Binding::Grpc).await;
}

/// Somebody else's task is not found by any operation, exactly as one that does not exist.
async fn others_tasks_are_not_there(binding: Binding) {
    let guarded = Guarded::start(binding).await;
    let (alice, bob) = (guarded.caller("alice"), guarded.caller("bob"));
    let task = alice.task("tck-input-required-1").await;
    let nothing = json!({"id": "no-such-task"});
    let absent = operations(&nothing);
    for ((operation, params), (_, absent)) in operations(&task).into_iter().zip(absent) {
        if matches!(operation, "ListTasks" | "GetExtendedAgentCard") {
            continue;
        }
        let of_alice = bob.refuses(operation, params, Kind::TaskNotFound).await;
        let of_nobody = bob.refuses(operation, absent, Kind::TaskNotFound).await;
        let text = |fault: &crate::wire::Fault, id: &Value| {
            fault.body.to_string().replace(id.as_str().unwrap(), "ID")
        };
        assert_eq!(
            text(&of_alice, &task["id"]),
            text(&of_nobody, &nothing["id"]),
            "{operation}"
        );
    }
    assert_eq!(alice.get(&task).await, task, "nothing happened to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_003_jsonrpc() {
    the_owner_stays_the_owner(Binding::JsonRpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_003_rest() {
    the_owner_stays_the_owner(Binding::Rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_scope_003_grpc() {
    the_owner_stays_the_owner(Binding::Grpc).await;
}

/// Who a task belongs to goes by the token, whatever the message says: another caller who names the same context gets a
/// task of their own in it and sees nothing of the first.
async fn the_owner_stays_the_owner(binding: Binding) {
    let guarded = Guarded::start(binding).await;
    let (alice, bob) = (guarded.caller("alice"), guarded.caller("bob"));
    let task = alice.task("tck-input-required-1").await;
    let mut same = message("tck-complete-task-1", "hello");
    same["contextId"] = task["contextId"].clone();
    same["metadata"] = json!({"owner": "alice"});
    same["referenceTaskIds"] = json!([task["id"]]);
    let own = task_of(bob.ok("SendMessage", json!({"message": same})).await);
    assert_ne!(own["id"], task["id"]);
    assert_eq!(own["history"].as_array().map(Vec::len), Some(1), "{own}");
    alice
        .refuses("GetTask", json!({"id": own["id"]}), Kind::TaskNotFound)
        .await;
    let list = alice
        .ok("ListTasks", json!({"contextId": task["contextId"]}))
        .await;
    assert_eq!(list["totalSize"], 1, "{list}");
    // A second token of the same caller is the same caller.
    assert_eq!(guarded.caller("alice").get(&task).await, task);
    let call = envelope("GetTask", &json!({"id": task["id"]}));
    assert_eq!(
        answer(alice.raw(Method::POST, "/").json(&call))
            .await
            .status(),
        StatusCode::OK
    );
}

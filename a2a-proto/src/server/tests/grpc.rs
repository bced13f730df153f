//! The gRPC binding as a client sees it that trusts nobody: frames and headers are written and read by hand, over HTTP/2
//! with prior knowledge.

mod generation;
mod raw;
mod streams;

use a2a_pb_types::well_known::{Kind, Struct};
use a2a_pb_types::{rpc, v0_3, v1_0};
use prost::Message as _;
use tonic::Code;

use self::raw::{Answer, Raw, frame};
use super::*;

const V1_0: &str = "/lf.a2a.v1.A2AService";
const V0_3: &str = "/a2a.v1.A2AService";

fn part(text: &str) -> v1_0::Part {
    v1_0::Part {
        content: Some(v1_0::part::Content::Text(text.to_owned())),
        ..Default::default()
    }
}

fn send(text: &str) -> v1_0::SendMessageRequest {
    v1_0::SendMessageRequest {
        message: Some(v1_0::Message {
            message_id: "m".to_owned(),
            role: v1_0::Role::User as i32,
            parts: vec![part(text)],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn send_0_3(text: &str) -> v0_3::SendMessageRequest {
    let content = v0_3::Part {
        part: Some(v0_3::part::Part::Text(text.to_owned())),
        ..Default::default()
    };
    v0_3::SendMessageRequest {
        request: Some(v0_3::Message {
            message_id: "m".to_owned(),
            role: v0_3::Role::User as i32,
            content: vec![content],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn sent_task(answer: &Answer) -> v1_0::Task {
    match answer.one::<v1_0::SendMessageResponse>().payload {
        Some(v1_0::send_message_response::Payload::Task(task)) => task,
        other => panic!("a task: {other:?}"),
    }
}

async fn begin(client: &Raw, text: &str) -> v1_0::Task {
    let mut request = send(text);
    request.configuration = Some(v1_0::SendMessageConfiguration {
        return_immediately: true,
        ..Default::default()
    });
    sent_task(&client.call(&format!("{V1_0}/SendMessage"), &request).await)
}

/// The reason in the details of a status, with the fields that are wrong.
fn reason(answer: &Answer) -> (String, Vec<String>) {
    let status = rpc::Status::decode(answer.status.details()).unwrap();
    assert_eq!(status.message, answer.status.message());
    let (mut reason, mut fields) = (String::new(), Vec::new());
    for detail in status.details {
        match detail.type_url.as_str() {
            "type.googleapis.com/google.rpc.ErrorInfo" => {
                let info = rpc::ErrorInfo::decode(detail.value.as_slice()).unwrap();
                assert_eq!(info.domain, "a2a-protocol.org");
                reason = info.reason;
            }
            "type.googleapis.com/google.rpc.BadRequest" => {
                let bad = rpc::BadRequest::decode(detail.value.as_slice()).unwrap();
                let violations = bad.field_violations.into_iter();
                fields.extend(violations.map(|violation| violation.field));
            }
            other => panic!("{other}"),
        }
    }
    (reason, fields)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_svc_001_every_method_of_1_0_is_served() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let call = async |method: &str, bytes: Vec<u8>| {
        let path = format!("{V1_0}/{method}");
        client.send(&path, &[], frame(&bytes)).await
    };
    let answer = call("SendMessage", send("hello").encode_to_vec()).await;
    assert_eq!(answer.headers["content-type"], "application/grpc");
    let task = sent_task(&answer);
    assert_eq!(
        task.status.as_ref().unwrap().state,
        v1_0::TaskState::Completed as i32
    );
    assert_eq!(task.artifacts.len(), 1);
    let get = |length| v1_0::GetTaskRequest {
        id: task.id.clone(),
        history_length: length,
        ..Default::default()
    };
    let answer = call("GetTask", get(None).encode_to_vec()).await;
    assert_eq!(answer.one::<v1_0::Task>(), task);
    let answer = call("GetTask", get(Some(0)).encode_to_vec()).await;
    assert_eq!(answer.one::<v1_0::Task>().history, []);
    let page = call("ListTasks", Vec::new()).await;
    let page = page.one::<v1_0::ListTasksResponse>();
    assert_eq!(
        (page.total_size, page.page_size, page.tasks.len()),
        (1, 50, 1)
    );
    assert_eq!(page.tasks[0].artifacts, []);
    let ended = v1_0::CancelTaskRequest {
        id: task.id.clone(),
        ..Default::default()
    };
    let refused = call("CancelTask", ended.encode_to_vec()).await;
    assert_eq!(refused.status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused).0, "TASK_NOT_CANCELABLE");
    let waiting = begin(&client, "wait").await;
    let cancel = v1_0::CancelTaskRequest {
        id: waiting.id,
        ..Default::default()
    };
    let canceled = call("CancelTask", cancel.encode_to_vec()).await;
    let state = canceled.one::<v1_0::Task>().status.unwrap().state;
    assert_eq!(state, v1_0::TaskState::Canceled as i32);
    let refused = call("GetExtendedAgentCard", Vec::new()).await;
    assert_eq!(reason(&refused).0, "UNSUPPORTED_OPERATION");
    // A direct reply.
    let answer = call("SendMessage", send("reply").encode_to_vec()).await;
    let answer = answer.one::<v1_0::SendMessageResponse>();
    assert!(matches!(
        answer.payload,
        Some(v1_0::send_message_response::Payload::Message(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_err_001_to_003_errors_have_code_message_and_details() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let missing = v1_0::GetTaskRequest {
        id: "nothing".to_owned(),
        ..Default::default()
    };
    let answer = client.call(&format!("{V1_0}/GetTask"), &missing).await;
    assert_eq!(answer.http, 200);
    assert_eq!(answer.status.code(), Code::NotFound);
    assert_eq!(
        answer.status.message(),
        "task nothing does not exist or is not accessible"
    );
    assert_eq!(reason(&answer).0, "TASK_NOT_FOUND");

    let empty = v1_0::SendMessageRequest::default();
    let answer = client.call(&format!("{V1_0}/SendMessage"), &empty).await;
    assert_eq!(answer.status.code(), Code::InvalidArgument);
    assert_eq!(reason(&answer).1, ["message"]);
    let mut request = send("x");
    let message = request.message.as_mut().unwrap();
    message.context_id = "c".to_owned();
    message.message_id.clear();
    message.role = 0;
    message.parts.clear();
    for method in ["SendMessage", "SendStreamingMessage"] {
        let answer = client.call(&format!("{V1_0}/{method}"), &request).await;
        assert_eq!(answer.status.code(), Code::InvalidArgument);
        assert_eq!(
            reason(&answer).1,
            ["message.messageId", "message.role", "message.parts"]
        );
    }
    let mut request = send("x");
    request.message.as_mut().unwrap().parts = vec![v1_0::Part::default()];
    let answer = client.call(&format!("{V1_0}/SendMessage"), &request).await;
    assert_eq!(reason(&answer).1, ["message.parts[0]"]);
    // However long what the caller sent, the answer fits.
    let long = v1_0::GetTaskRequest {
        id: "ü".repeat(100_000),
        ..Default::default()
    };
    let answer = client.call(&format!("{V1_0}/GetTask"), &long).await;
    assert_eq!(answer.status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_meta_001_version_and_extensions_are_read_from_metadata() {
    let server = Running::with(|_, agent| agent.require_extension("urn:x")).await;
    let client = Raw::connect(server.address).await;
    let call = async |service: &str, headers: &[(&'static str, &str)]| {
        let path = format!("{service}/SendMessage");
        let bytes = match service {
            V0_3 => send_0_3("who").encode_to_vec(),
            _ => send("who").encode_to_vec(),
        };
        client.send(&path, headers, frame(&bytes)).await
    };
    let with = ("a2a-extensions", "urn:x, urn:unknown");
    for (service, version, good) in [
        (V1_0, "1.0", true),
        (V1_0, "1.0.1", true),
        (V1_0, "0.3", false),
        (V1_0, "99.0", false),
        (V0_3, "0.3", true),
        (V0_3, "1.0", false),
        (V0_3, "99.0", false),
    ] {
        let answer = call(service, &[with, ("a2a-version", version)]).await;
        if good {
            assert_eq!(answer.status.code(), Code::Ok, "{service} {version}");
            assert_eq!(answer.headers["a2a-extensions"], "urn:x");
        } else {
            assert_eq!(answer.status.code(), Code::FailedPrecondition);
            assert_eq!(reason(&answer).0, "VERSION_NOT_SUPPORTED");
        }
    }
    assert_eq!(call(V1_0, &[with]).await.status.code(), Code::Ok);
    let answer = call(V1_0, &[]).await;
    assert_eq!(reason(&answer).0, "EXTENSION_SUPPORT_REQUIRED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_without_a_token_are_refused_before_anything_is_read() {
    let server = Running::with(|options, _| shared_token(options)).await;
    let client = Raw::connect(server.address).await;
    let path = format!("{V1_0}/SendMessage");
    let bytes = frame(&send("hello").encode_to_vec());
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Basic x")],
    ] {
        for body in [bytes.clone(), b"rubbish".to_vec()] {
            let answer = client.send(&path, headers, body).await;
            assert_eq!(answer.status.code(), Code::Unauthenticated);
        }
    }
    let token = [("authorization", "Bearer s3cret")];
    let answer = client.send(&path, &token, bytes).await;
    assert_eq!(answer.status.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_lie_get_a_clear_status_and_the_connection_goes_on() {
    let server = Running::with(|options, _| options.max_body_bytes = 100_000).await;
    let client = Raw::connect(server.address).await;
    let path = format!("{V1_0}/SendMessage");
    let good = frame(&send("hello").encode_to_vec());
    let with = |index: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[index] = byte;
        bytes
    };
    let invalid = Code::InvalidArgument;
    let exhausted = Code::ResourceExhausted;
    for (what, body, code) in [
        ("nothing", Vec::new(), invalid),
        ("half a head", vec![0, 0, 0], invalid),
        (
            "less than it says",
            good[..good.len() - 1].to_vec(),
            invalid,
        ),
        ("more than it says", [&good[..], b"x"].concat(), invalid),
        ("two messages", good.repeat(2), invalid),
        ("far more than the limit, says it", with(1, 0xff), exhausted),
        ("compressed, says it", with(0, 1), Code::Internal),
        ("a flag that is none", with(0, 9), invalid),
        ("no message", frame(&[0xff; 40]), invalid),
        (
            "a length inside that lies",
            frame(&[0x12, 0xff, 0xff, 0x7f]),
            invalid,
        ),
        ("no UTF-8", frame(&[0x0a, 1, 0xff]), invalid),
        (
            "larger than the limit",
            frame(&send(&"x".repeat(100_000)).encode_to_vec()),
            exhausted,
        ),
        (
            "as large as the limit",
            frame(&send(&"x".repeat(99_000)).encode_to_vec()),
            Code::Ok,
        ),
    ] {
        let answer = client.send(&path, &[], body).await;
        assert_eq!(answer.status.code(), code, "{what}: {:?}", answer.status);
    }
    let limit = client.send(&path, &[], with(1, 1)).await;
    assert_eq!(
        limit.status.message(),
        "the body is larger than the limit of 100000 bytes"
    );
    let gzip = [("grpc-encoding", "gzip")];
    let answer = client.send(&path, &gzip, good.clone()).await;
    assert_eq!(answer.status.code(), Code::Unimplemented);
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity");
    // Deeper than the decoder goes: refused, not a stack that runs over.
    let mut deep = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![0x32];
        prost::encode_length_delimiter(deep.len(), &mut outer).unwrap();
        outer.extend_from_slice(&deep);
        deep = outer;
        if deep.len() > 90_000 {
            break;
        }
    }
    let mut request = vec![0x22];
    prost::encode_length_delimiter(deep.len(), &mut request).unwrap();
    request.extend_from_slice(&deep);
    let answer = client.send(&path, &[], frame(&request)).await;
    assert_ne!(answer.status.code(), Code::Ok);
    let answer = client.send(&path, &[], good).await;
    assert_eq!(answer.status.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_call_is_refused() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let good = frame(&send("hello").encode_to_vec());
    for path in [
        "/lf.a2a.v1.A2AService/Nothing",
        "/lf.a2a.v1.A2AService/",
        "/lf.a2a.v1.A2AService/SendMessage/more",
        "/a2a.v1.A2AService/ListTasks",
        "/a2a.v1.A2AService/SubscribeToTask",
        "/other.Service/SendMessage",
        "/",
        "/message:send",
    ] {
        let answer = client.send(path, &[], good.clone()).await;
        assert_eq!(answer.status.code(), Code::Unimplemented, "{path}");
        assert_eq!(answer.http, 200);
    }
    let path = format!("{V1_0}/SendMessage");
    for media_type in [
        "application/grpc-web",
        "application/grpc+json",
        "application/grpcx",
    ] {
        let headers = [("content-type", media_type)];
        let answer = client.send(&path, &headers, good.clone()).await;
        assert_eq!(
            (answer.http, answer.status.code()),
            (415, Code::Unimplemented)
        );
    }
    let proto = [("content-type", "application/grpc+proto;charset=utf-8")];
    let answer = client.send(&path, &proto, good.clone()).await;
    assert_eq!(answer.status.code(), Code::Ok);
    let answer = client.request("GET", &path, &[], Vec::new()).await;
    assert_eq!(
        (answer.http, answer.status.code()),
        (405, Code::Unimplemented)
    );
    let old = [("content-type", "application/grpc")];
    let answer = server.send("POST", &path, &old, &good).await;
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (505, Some("12"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_end_the_waiting_and_not_the_task() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let soon = [("grpc-timeout", "100m")];
    let bytes = frame(&send("wait").encode_to_vec());
    for method in ["SendMessage", "SendStreamingMessage"] {
        let path = format!("{V1_0}/{method}");
        let answer = client.send(&path, &soon, bytes.clone()).await;
        assert_eq!(answer.status.code(), Code::DeadlineExceeded, "{method}");
    }
    let page = client
        .call(
            &format!("{V1_0}/ListTasks"),
            &v1_0::ListTasksRequest::default(),
        )
        .await
        .one::<v1_0::ListTasksResponse>();
    assert_eq!(page.total_size, 2);
    for task in page.tasks {
        let state = task.status.unwrap().state;
        assert!(state <= v1_0::TaskState::Working as i32, "{state}");
    }
    let path = format!("{V1_0}/GetTask");
    let answer = client.send(&path, &[("grpc-timeout", "1x")], bytes).await;
    assert_eq!(answer.status.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_above_the_limit_say_so() {
    let server = Running::with(|options, _| options.max_body_bytes = 2000).await;
    let client = Raw::connect(server.address).await;
    let send = send("chunks 3000");
    for method in ["SendMessage", "SendStreamingMessage"] {
        let answer = client.call(&format!("{V1_0}/{method}"), &send).await;
        if method == "SendMessage" {
            assert_eq!(answer.status.code(), Code::ResourceExhausted);
            let message = answer.status.message();
            assert!(message.contains("the limit is 16000"), "{message}");
        } else {
            assert_eq!(answer.status.code(), Code::Ok, "each event is small");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_of_0_3_speaks_its_own_names_and_ends_when_the_task_waits() {
    use v0_3::stream_response::Payload;
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let path = format!("{V0_3}/SendStreamingMessage");
    let answer = client.call(&path, &send_0_3("ask")).await;
    assert_eq!(answer.status.code(), Code::Ok);
    let events = answer.all::<v0_3::StreamResponse>();
    let (Some(Payload::Task(task)), Some(Payload::StatusUpdate(last))) =
        (&events[0].payload, &events.last().unwrap().payload)
    else {
        panic!("{events:?}")
    };
    assert!(last.r#final);
    assert_eq!(
        last.status.as_ref().unwrap().state,
        v0_3::TaskState::InputRequired as i32
    );
    let name = format!("tasks/{}", task.id);
    let cancel = v0_3::CancelTaskRequest { name: name.clone() };
    let canceled = client.call(&format!("{V0_3}/CancelTask"), &cancel).await;
    let state = canceled.one::<v0_3::Task>().status.unwrap().state;
    assert_eq!(state, v0_3::TaskState::Cancelled as i32);
    let get = v0_3::GetTaskRequest {
        name: name.clone(),
        history_length: 1,
    };
    let task = client.call(&format!("{V0_3}/GetTask"), &get).await;
    assert_eq!(task.one::<v0_3::Task>().history.len(), 1);
    let bad = v0_3::GetTaskRequest {
        name: task_id_without_a_name(),
        ..Default::default()
    };
    let answer = client.call(&format!("{V0_3}/GetTask"), &bad).await;
    assert_eq!(reason(&answer).1, ["name"]);
    let subscribe = v0_3::TaskSubscriptionRequest { name };
    let path = format!("{V0_3}/TaskSubscription");
    let answer = client.call(&path, &subscribe).await;
    assert_eq!(reason(&answer).0, "UNSUPPORTED_OPERATION");
    let card = client
        .call(
            &format!("{V0_3}/GetAgentCard"),
            &v0_3::GetAgentCardRequest {},
        )
        .await
        .one::<v0_3::AgentCard>();
    assert_eq!(
        (card.name.as_str(), card.protocol_version.as_str()),
        ("tester", "0.3.0")
    );
    let sent = client
        .call(&format!("{V0_3}/SendMessage"), &send_0_3("hello"))
        .await
        .one::<v0_3::SendMessageResponse>();
    let Some(v0_3::send_message_response::Payload::Task(task)) = sent.payload else {
        panic!("a task")
    };
    assert_eq!(task.artifacts.len(), 1);
}

fn task_id_without_a_name() -> String {
    "0198".to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_binding_is_served_over_http_2_too() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let json = [("content-type", "application/json")];
    let body = rpc("SendMessage", &message("hello")).to_string();
    let answer = client.request("POST", "/", &json, body.into_bytes()).await;
    assert_eq!(answer.http, 200);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(body["result"]["task"].is_object(), "{body}");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
}

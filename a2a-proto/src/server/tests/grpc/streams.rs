//! Streams over gRPC: numbers on demand, resuming after one of them, and what a server that stops says.

use super::*;

/// Strips the numbers of events.
fn numbers(answer: &Answer) -> Vec<Option<u64>> {
    use v1_0::stream_response::Payload;
    let number = |metadata: Option<Struct>| {
        let value = metadata?.fields.remove(crate::sequence::URI)?;
        match value.kind {
            Some(Kind::NumberValue(number)) => Some(number as u64),
            _ => None,
        }
    };
    let messages = answer.all::<v1_0::StreamResponse>();
    let metadata = messages.into_iter().map(|message| match message.payload {
        Some(Payload::Task(task)) => task.metadata,
        Some(Payload::StatusUpdate(update)) => update.metadata,
        Some(Payload::ArtifactUpdate(update)) => update.metadata,
        _ => None,
    });
    metadata.map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_numbered_on_demand_and_resume_strictly_after_a_number() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let stream = format!("{V1_0}/SendStreamingMessage");
    let bytes = frame(&send("chunks 5").encode_to_vec());
    let plain = client.send(&stream, &[], bytes.clone()).await;
    assert_eq!(plain.status.code(), Code::Ok);
    assert_eq!(numbers(&plain), vec![None; 8]);

    let numbered = [("a2a-extensions", crate::sequence::URI)];
    let answer = client.send(&stream, &numbered, bytes.clone()).await;
    assert_eq!(answer.headers["a2a-extensions"], crate::sequence::URI);
    assert_eq!(
        numbers(&answer),
        (1..=8).map(Some).collect::<Vec<_>>(),
        "task, working, five chunks, completed"
    );
    let Some(v1_0::stream_response::Payload::Task(task)) =
        answer.all::<v1_0::StreamResponse>().remove(0).payload
    else {
        panic!("a task first")
    };
    let subscribe = frame(
        &v1_0::SubscribeToTaskRequest {
            id: task.id.clone(),
            ..Default::default()
        }
        .encode_to_vec(),
    );
    let path = format!("{V1_0}/SubscribeToTask");
    for after in 0..8 {
        let after_text = after.to_string();
        let headers = [numbered[0], ("last-event-id", after_text.as_str())];
        let resumed = client.send(&path, &headers, subscribe.clone()).await;
        let expected: Vec<_> = (after + 1..=8).map(Some).collect();
        assert_eq!(numbers(&resumed), expected);
    }
    for (after, code) in [
        ("8", Code::FailedPrecondition),
        ("9", Code::InvalidArgument),
        ("x", Code::InvalidArgument),
    ] {
        let answer = client
            .send(&path, &[("last-event-id", after)], subscribe.clone())
            .await;
        assert_eq!(answer.status.code(), code, "{after}");
    }
    let again = [("last-event-id", "1")];
    let answer = client.send(&stream, &again, bytes).await;
    assert_eq!(answer.status.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_streams_as_unavailable() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let task = begin(&client, "leave").await;
    let subscribe = v1_0::SubscribeToTaskRequest {
        id: task.id,
        ..Default::default()
    };
    let path = format!("{V1_0}/SubscribeToTask");
    let mut stream = client
        .open(&path, &[], frame(&subscribe.encode_to_vec()))
        .await;
    let first: v1_0::StreamResponse = stream.next().await.unwrap();
    assert!(matches!(
        first.payload,
        Some(v1_0::stream_response::Payload::Task(_))
    ));
    server.shutdown.cancel();
    while stream.next::<v1_0::StreamResponse>().await.is_some() {}
    assert_eq!(stream.status().code(), Code::Unavailable);
}

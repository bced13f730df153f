//! Event streams: complete, in order, resumable, bounded.

use std::sync::Arc;

use a2a_proto::sse::Decoder;
use pretty_assertions::assert_eq;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::world::{DEADLINE, World, json as body, world, world_with};

/// One frame: its number, its name, its data.
type Frame = (u64, String, Value);

/// Reads frames until the stream ends, or until there are `enough`.
async fn read(mut response: Response, enough: usize) -> Vec<Frame> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    timeout(DEADLINE, async {
        while let Some(piece) = response.chunk().await.expect("the stream ends in order") {
            decoder.feed(&piece);
            while let Some(event) = decoder.next_event().unwrap() {
                let id = event.id.as_deref().unwrap().parse().unwrap();
                let data: Value = serde_json::from_slice(&event.data).unwrap();
                assert_eq!(data["seq"], json!(id), "the number is the event's own");
                let name = data["event"]["type"].as_str().unwrap().to_owned();
                frames.push((id, name, data));
                if frames.len() == enough {
                    return;
                }
            }
        }
    })
    .await
    .expect("the stream goes on");
    frames
}

async fn events(world: &World, job: &str, after: Option<u64>) -> Response {
    let request = world.request(Method::GET, &format!("/jobs/{job}/events"));
    let request = match after {
        Some(after) => request.header("Last-Event-ID", after),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn stream_tells_everything_and_ends_with_the_job() {
    let world = world().await;
    let job = world.submit("say hello").await;
    let frames = read(events(&world, &job, None).await, usize::MAX).await;
    let ids: Vec<u64> = frames.iter().map(|frame| frame.0).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(frames[0].1, "job.submitted");
    assert_eq!(frames.last().unwrap().1, "job.completed");
    // The same again from the log, and every rest of it.
    for after in 0..ids.len() {
        let rest = read(events(&world, &job, Some(after as u64)).await, usize::MAX).await;
        assert_eq!(rest, frames[after..]);
    }
    let query = world.request(Method::GET, &format!("/jobs/{job}/events?after=3"));
    assert_eq!(
        read(query.send().await.unwrap(), usize::MAX).await,
        frames[3..]
    );
}

#[tokio::test]
async fn submitted_job_streams_where_the_client_asks_for_it() {
    let world = world().await;
    let request = world
        .request(Method::POST, "/jobs")
        .header("accept", "text/event-stream");
    let response = request.json(&json!({"goal": "x"})).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let frames = read(response, usize::MAX).await;
    assert_eq!(frames.last().unwrap().1, "job.completed");
    assert_eq!(
        location,
        format!("/jobs/{}", frames[0].2["job"].as_str().unwrap())
    );
}

#[tokio::test]
async fn stream_that_cannot_be_resumed_is_an_error() {
    let world = world().await;
    let job = world.submit("x").await;
    let last = world.reaches(&job, "completed").await;
    let frames = read(events(&world, &job, None).await, usize::MAX).await;
    let end = frames.last().unwrap().0;
    let (status, answer) = body(events(&world, &job, Some(end + 1)).await).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (416, &json!("resume_beyond_end")),
        "{last}"
    );
    // All was seen: no empty stream, which a browser would open again and again.
    assert_eq!(events(&world, &job, Some(end)).await.status(), 204);
    let path = format!("/jobs/{job}/events");
    let odd = world
        .request(Method::GET, &path)
        .header("Last-Event-ID", "odd")
        .send()
        .await
        .unwrap();
    assert_eq!(odd.status(), 400);
}

#[tokio::test]
async fn number_of_open_streams_is_bounded() {
    let world = world_with(|state| state.streams = Arc::new(Semaphore::new(1))).await;
    let job = world.submit("hang").await;
    let first = events(&world, &job, None).await;
    assert_eq!(first.status(), 200);
    let second = events(&world, &job, None).await;
    assert!(second.headers().contains_key("retry-after"));
    let (status, answer) = body(second).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("busy")));
    drop(first);
    timeout(DEADLINE, async {
        while events(&world, &job, None).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a closed stream makes room");
}

#[tokio::test]
async fn streams_end_when_the_captain_stops() {
    let world = world().await;
    let job = world.submit("hang").await;
    let mut response = events(&world, &job, None).await;
    assert!(response.chunk().await.unwrap().is_some());
    world.stop.cancel();
    timeout(DEADLINE, async {
        // Whether it ends in order or is cut off, it ends.
        while let Ok(Some(_)) = response.chunk().await {}
    })
    .await
    .expect("the stream ends");
}

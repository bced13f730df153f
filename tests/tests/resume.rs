//! Every stream can be resumed: a cut one and its continuation together are the whole transcript, event for event.

use e2e::{
    CaptainBuilder, Model, WorkerBuilder, http,
    sse::{Frame, Frames},
    wait::{JOB, SOON},
    worker,
};
use reqwest::{Method, StatusCode};

#[tokio::test(flavor = "multi_thread")]
async fn cut_job_stream_and_its_continuation_are_the_whole_transcript() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("print slowly").await;

    // One reader that is cut every few events, beside the one that is not.
    let mut pieces: Vec<Frame> = Vec::new();
    loop {
        let mut stream = captain.events(&id, pieces.last().and_then(|f| f.id)).await;
        let mut got = 0;
        let ended = loop {
            match stream.next(JOB).await {
                None => break true,
                Some(frame) => pieces.push(frame),
            }
            got += 1;
            if got == 3 {
                break false;
            }
        };
        if ended && captain.job(&id).await["terminal"] == true {
            break;
        }
    }
    let whole = captain.events(&id, None).await.rest(SOON).await;
    assert!(whole.len() > 10, "{}", whole.len());
    assert_eq!(pieces, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_task_stream_is_resumed_at_the_worker() {
    let model = Model::start().await;
    let server = WorkerBuilder::opencode(&model).start().await;
    let mut first = server.send("cut", "print slowly").await;
    let mut pieces = Vec::new();
    // One stored event may become several frames, of which the last carries the number.
    while pieces.len() < 3 || pieces.last().is_some_and(|f: &Frame| f.id.is_none()) {
        pieces.push(first.next(JOB).await.unwrap());
    }
    drop(first);
    let seen = pieces.last().and_then(|f| f.id).unwrap();
    let resume = |after: u64| {
        let request = server
            .api()
            .request(Method::GET, "/tasks/cut")
            .header("Accept", "text/event-stream");
        http::answer(request.header("Last-Event-ID", after))
    };
    let rest = Frames::new(resume(seen).await).rest(JOB).await;
    assert!(
        rest.iter().filter_map(|f| f.id).all(|id| id > seen),
        "strictly after"
    );
    pieces.extend(rest);
    assert_eq!(worker::status(&pieces), "completed");
    assert!(worker::said(&pieces).contains("Six ticks."));

    // A stream that was resumed says once more where the task stands; everything else comes once.
    let told = |frames: &[Frame]| {
        let told = frames.iter().filter(|f| f.event != "task.status");
        told.map(|f| f.data.clone()).collect::<Vec<_>>()
    };
    let again = Frames::new(resume(0).await).rest(SOON).await;
    assert_eq!(told(&again), told(&pieces), "the same again from the log");
    assert!(
        resume(1_000_000).await.status().is_client_error(),
        "what never was cannot be resumed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_survives_a_restart() {
    let model = Model::start().await;
    let mut captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("just say pong").await;
    captain.ends(&id, "completed", JOB).await;
    let before = captain.events(&id, None).await.rest(SOON).await;
    assert_eq!(captain.process.terminate(SOON).await, 0);
    captain.restart().await;
    assert_eq!(captain.events(&id, None).await.rest(SOON).await, before);
    let last = before.last().and_then(|f| f.id).unwrap();
    let resume = |after: u64| {
        let request = captain
            .api()
            .request(Method::GET, &format!("/jobs/{id}/events"));
        let request = request.header("Accept", "text/event-stream");
        http::answer(request.header("Last-Event-ID", after))
    };
    assert_eq!(
        resume(last).await.status(),
        StatusCode::NO_CONTENT,
        "there is nothing more, and never will be"
    );
    assert!(
        resume(last + 1).await.status().is_client_error(),
        "what never was cannot be resumed"
    );
}

//! The captain over A2A, with workers that are only played: jobs that come as messages, words to them, their ends, and
//! captains that start again.

use std::sync::Arc;

use a2a_proto::activity::{Activity, StepState};
use a2a_proto::client::{
    Client, ClientError, ClientOptions, HttpOptions, StaticToken, http_client,
};
use a2a_proto::error::A2aError;
use a2a_proto::log::{NewTask, TaskLog as _};
use a2a_proto::server::Caller;
use a2a_proto::types::{
    ListTasksRequest, Message, Metadata, Part, SendMessageRequest, SendMessageResponse,
    StreamResponse, Task, TaskState, TaskStatus,
};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::data::{JOB_URI, Place};
use crate::api::tests::world::{DEADLINE, Ground, TOKEN, World, world, world_on};

async fn client(world: &World) -> Client {
    let token = Arc::new(StaticToken::new(SecretString::from(TOKEN)));
    let options =
        ClientOptions::new(http_client(&HttpOptions::default()).unwrap()).with_token(token);
    Client::discover(&world.url.parse().unwrap(), options)
        .await
        .unwrap()
}

fn request(id: &str, parts: Vec<Part>) -> SendMessageRequest {
    SendMessageRequest {
        message: Message::user(id, parts),
        ..SendMessageRequest::default()
    }
}

fn to(task: &str, id: &str, parts: Vec<Part>) -> SendMessageRequest {
    let mut request = request(id, parts);
    task.clone_into(&mut request.message.task_id);
    request
}

fn settings(mut request: SendMessageRequest, data: Value) -> SendMessageRequest {
    request.message.metadata = Some(Metadata::from_iter([(JOB_URI.to_owned(), data)]));
    request
}

/// Sends and waits for the task's end, or until it waits for us.
async fn send(client: &Client, request: &SendMessageRequest) -> Task {
    let sent = tokio::time::timeout(DEADLINE, client.send(request)).await;
    match sent.expect("an answer in time").unwrap() {
        SendMessageResponse::Task(task) => task,
        SendMessageResponse::Message(message) => panic!("no task: {message:?}"),
    }
}

/// All events of a task, by its own log.
async fn events(ground: &Ground, id: &str) -> Vec<StreamResponse> {
    let task = ground.log.open("user", id).await.unwrap();
    let events = task.read(0, usize::MAX).await.unwrap();
    events.iter().map(|event| event.event().unwrap()).collect()
}

fn job_data(event: &StreamResponse) -> Option<&Value> {
    let metadata = match event {
        StreamResponse::StatusUpdate(update) => &update.metadata,
        StreamResponse::ArtifactUpdate(update) => &update.metadata,
        StreamResponse::Task(_) | StreamResponse::Message(_) => return None,
    };
    metadata.as_ref()?.get(JOB_URI)
}

/// The places that the events were made from; they must go up, or something was told twice.
fn places(events: &[StreamResponse]) -> Vec<Place> {
    let places: Vec<Place> = events
        .iter()
        .filter_map(job_data)
        .map(|data| serde_json::from_value(data.clone()).unwrap())
        .collect();
    assert!(
        places.is_sorted_by(|a, b| a < b),
        "something was told twice: {places:?}"
    );
    places
}

/// The names of the job's events that were told.
fn kinds(events: &[StreamResponse]) -> Vec<String> {
    let data = events.iter().filter_map(job_data);
    data.map(|data| data["type"].as_str().unwrap().to_owned())
        .collect()
}

fn says(task: &Task) -> String {
    task.status
        .message
        .as_ref()
        .map(Message::text)
        .unwrap_or_default()
}

async fn refused(client: &Client, request: &SendMessageRequest) -> A2aError {
    match client.send(request).await.unwrap_err() {
        ClientError::Agent(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_message_becomes_a_job_of_the_same_id() {
    let world = world().await;
    let client = client(&world).await;
    let mut stream = client.stream(request("m-1", vec![Part::text("say hello")]));
    let mut task = Task::default();
    while let Some(event) = stream.next().await {
        task.apply(&event.unwrap().event);
    }
    assert_eq!(task.status.state, TaskState::Completed);
    assert_eq!(says(&task), "the job is done: nothing changed");
    let (status, job) = world.get(&format!("/jobs/{}", task.id)).await;
    assert_eq!((status, &job["state"]), (200, &json!("completed")));
    assert_eq!(job["goal"], "say hello");
    let data = &task.metadata.as_ref().unwrap()[JOB_URI];
    assert_eq!(data["job"], task.id);
    assert_eq!(data["url"], format!("{}/jobs/{}", world.url, task.id));
    let names: Vec<&str> = task
        .artifacts
        .iter()
        .map(|artifact| artifact.artifact_id.as_str())
        .collect();
    assert_eq!(names, ["summary", "archive"]);
    // Progress is no conversation.
    let history: Vec<String> = task.history.iter().map(Message::text).collect();
    assert_eq!(history.len(), 2, "{history:?}");

    let events = events(&world.ground, &task.id).await;
    places(&events);
    let kinds = kinds(&events);
    assert_eq!(kinds.first().unwrap(), "job.submitted");
    for kind in [
        "job.planned",
        "subtask.merged",
        "agent.text",
        "job.completed",
    ] {
        assert!(kinds.iter().any(|it| it == kind), "{kind} in {kinds:?}");
    }
    let activities: Vec<Activity> = events
        .iter()
        .filter_map(|event| match event {
            StreamResponse::StatusUpdate(update) => Activity::from_event(update).unwrap(),
            _ => None,
        })
        .collect();
    assert!(
        activities.iter().any(
            |activity| matches!(activity, Activity::Text { delta, .. } if delta == "say hello")
        )
    );
    let done = activities.iter().any(|activity| {
        matches!(activity, Activity::Step(step) if step.state == StepState::Completed && step.done == 1 && step.total == 1)
    });
    assert!(done, "{activities:?}");
}

#[tokio::test]
async fn a_job_that_came_over_rest_is_a_task_too() {
    let world = world().await;
    let id = world.submit("say hello").await;
    let client = client(&world).await;
    let mut stream = client.subscribe(&*id, Some(0));
    let mut task = Task::default();
    while let Some(event) = stream.next().await {
        task.apply(&event.unwrap().event);
    }
    assert_eq!(task.status.state, TaskState::Completed);
    assert_eq!(task.history[0].text(), "say hello");
    let list = client.list(&ListTasksRequest::default()).await.unwrap();
    assert_eq!(list.total_size, 1);
}

#[tokio::test]
async fn what_cannot_be_a_job_is_refused_before_it_is_stored() {
    let world = world().await;
    let client = client(&world).await;
    let plan = json!({"subtasks": [
        {"id": "a", "prompt": "x", "depends_on": ["b"]},
        {"id": "b", "prompt": "x", "depends_on": ["a"]},
    ]});
    for (bad, expected) in [
        (
            request("m", vec![Part::text(" ")]),
            "say what is to be done",
        ),
        (
            request("m", vec![Part::data(json!({"goal": "g", "plan": plan}))]),
            "plan: ",
        ),
        (
            settings(
                request("m", vec![Part::text("g")]),
                json!({"repo": "no/where"}),
            ),
            "repo: \"no/where\" must be an absolute path",
        ),
        (
            settings(request("m", vec![Part::text("g")]), json!({"base": "main"})),
            "base: needs a repo",
        ),
        (
            settings(request("m", vec![Part::text("g")]), json!({"planner": "x"})),
            "there is no planner \"x\"",
        ),
    ] {
        let error = refused(&client, &bad).await;
        assert!(matches!(error, A2aError::InvalidParams { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(expected), "{text:?} is not {expected:?}");
    }
    let list = client.list(&ListTasksRequest::default()).await.unwrap();
    assert_eq!(list.total_size, 0);

    let unknown = to(
        "0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01",
        "m",
        vec![Part::text("x")],
    );
    let error = refused(&client, &unknown).await;
    assert!(matches!(error, A2aError::TaskNotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_limit_that_the_captain_does_not_grant_is_a_rejection() {
    let world = world().await;
    let client = client(&world).await;
    let asked = settings(
        request("m", vec![Part::text("g")]),
        json!({"limits": {"max_parallel": 5000}}),
    );
    let task = send(&client, &asked).await;
    assert_eq!(task.status.state, TaskState::Rejected);
    assert!(
        says(&task).contains("max_parallel = 5000 must be from 1 to"),
        "{}",
        says(&task)
    );
}

#[tokio::test]
async fn a_question_waits_for_its_answer() {
    let world = world().await;
    let client = client(&world).await;
    let task = send(&client, &request("m-1", vec![Part::text("ask")])).await;
    assert_eq!(task.status.state, TaskState::InputRequired);
    assert!(
        says(&task).ends_with(" asks: which colour?"),
        "{}",
        says(&task)
    );

    let nobody = settings(
        to(&task.id, "m-2", vec![Part::text("x")]),
        json!({"subtask": "no"}),
    );
    let error = refused(&client, &nobody).await.to_string();
    assert!(error.contains("the job has no subtask no"), "{error}");

    let task = send(&client, &to(&task.id, "m-3", vec![Part::text("blue")])).await;
    assert_eq!(task.status.state, TaskState::Completed);
    let said: Vec<String> = task.history.iter().map(Message::text).collect();
    assert!(said.contains(&"blue".to_owned()), "{said:?}");
    let (_, job) = world.get(&format!("/jobs/{}", task.id)).await;
    assert_eq!(job["state"], "completed");
    places(&events(&world.ground, &task.id).await);

    let late = refused(&client, &to(&task.id, "m-4", vec![Part::text("x")])).await;
    assert!(
        matches!(late, A2aError::UnsupportedOperation { .. }),
        "{late:?}"
    );
}

#[tokio::test]
async fn an_answer_can_come_over_rest() {
    let world = world().await;
    let client = client(&world).await;
    let task = send(&client, &request("m-1", vec![Part::text("ask")])).await;
    let path = format!("/jobs/{}/reply", task.id);
    let (status, _) = world
        .post(&path, &json!({"text": "blue", "subtask": "no"}))
        .await;
    assert_eq!(status, 409);
    let (status, job) = world.post(&path, &json!({"text": "blue"})).await;
    assert_eq!((status, &job["id"]), (200, &json!(task.id)));
    world.reaches(&task.id, "completed").await;
    let mut rest = client.subscribe(&*task.id, Some(1));
    let mut task = task;
    while let Some(event) = rest.next().await {
        task.apply(&event.unwrap().event);
    }
    let said: Vec<String> = task.history.iter().map(Message::text).collect();
    assert!(said.contains(&"blue".to_owned()), "{said:?}");
}

#[tokio::test]
async fn a_plan_that_waits_is_approved_by_a_message() {
    let world = world().await;
    let client = client(&world).await;
    let asked = settings(
        request("m-1", vec![Part::text("say hello")]),
        json!({"approval": "manual"}),
    );
    let task = send(&client, &asked).await;
    assert_eq!(task.status.state, TaskState::InputRequired);
    assert!(
        says(&task).contains("answer \"approve\""),
        "{}",
        says(&task)
    );
    let task = send(&client, &to(&task.id, "m-2", vec![Part::text("approve")])).await;
    assert_eq!(task.status.state, TaskState::Completed);
}

#[tokio::test]
async fn a_cancelled_task_is_a_cancelled_job() {
    let world = world().await;
    let client = client(&world).await;
    let id = world.submit("hang").await;
    let task = client.cancel(&id).await.unwrap();
    assert_eq!(task.status.state, TaskState::Canceled);
    let (_, job) = world.get(&format!("/jobs/{id}")).await;
    assert_eq!(job["state"], "cancelled");
    let events = events(&world.ground, &id).await;
    places(&events);
    assert_eq!(kinds(&events).last().unwrap(), "job.cancelled");
    assert!(client.cancel(&id).await.is_err(), "it has ended");
}

#[tokio::test]
async fn a_job_that_is_cancelled_over_rest_is_a_cancelled_task() {
    let world = world().await;
    let client = client(&world).await;
    let mut stream = client.stream(request("m-1", vec![Part::text("hang")]));
    let first = stream.next().await.unwrap().unwrap();
    let id = first.event.task_id().to_owned();
    let (status, _) = world.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(status, 200);
    let mut last = None;
    while let Some(event) = stream.next().await {
        last = event.unwrap().event.state().or(last);
    }
    assert_eq!(last, Some(TaskState::Canceled));
}

#[tokio::test]
async fn a_captain_that_starts_again_tells_nothing_twice() {
    let world = world().await;
    let before = client(&world).await;
    let task = send(&before, &request("m-1", vec![Part::text("ask")])).await;
    let seen = world
        .ground
        .log
        .open("user", &task.id)
        .await
        .unwrap()
        .snapshot()
        .seq;
    let told = events(&world.ground, &task.id).await;

    let world = world.restart().await;
    let client = client(&world).await;
    let mut rest = client.subscribe(&*task.id, Some(seen));
    let answered = send(&client, &to(&task.id, "m-2", vec![Part::text("blue")])).await;
    assert_eq!(answered.status.state, TaskState::Completed);
    let mut followed = told;
    while let Some(event) = rest.next().await {
        followed.push(event.unwrap().event);
    }
    let whole = events(&world.ground, &task.id).await;
    assert_eq!(followed, whole, "a resumed stream is the rest");
    let (_, job) = world.get(&format!("/jobs/{}", task.id)).await;
    assert_eq!(job["subtasks"][0]["attempt"], 1);
    let last = places(&whole).last().unwrap().seq;
    let snapshot = world
        .engine
        .get(&job["id"].as_str().unwrap().parse().unwrap())
        .await;
    assert_eq!(snapshot.unwrap().seq, last, "told to its end");
}

#[tokio::test]
async fn a_message_that_was_stored_and_not_taken_is_taken_at_the_next_start() {
    let world = world().await;
    let ground = Arc::clone(&world.ground);
    let stored = |number: u8, part: Part| {
        let id = format!("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e{number:02x}");
        let mut message = Message::user("m-1", vec![part]);
        message.task_id.clone_from(&id);
        "c".clone_into(&mut message.context_id);
        NewTask {
            owner: Caller::new("user").owner(),
            alias: None,
            push: None,
            task: Task {
                id,
                context_id: "c".to_owned(),
                status: TaskStatus::new(TaskState::Submitted, Timestamp::UNIX_EPOCH),
                history: vec![message],
                ..Task::default()
            },
        }
    };
    let good = ground
        .log
        .create(stored(1, Part::text("say hello")))
        .await
        .unwrap();
    let bad = json!({"goal": "g", "repo": "/no/where"});
    let bad = ground.log.create(stored(2, Part::data(bad))).await.unwrap();
    drop(world);
    let _world = world_on(ground, |_| {}).await;
    for (task, expected) in [(good, TaskState::Completed), (bad, TaskState::Rejected)] {
        let mut watch = task.watch();
        let ended = watch.wait_for(|now| now.state.is_terminal());
        let ended = tokio::time::timeout(DEADLINE, ended).await.expect("an end");
        assert_eq!(ended.unwrap().state, expected, "{:?}", task.snapshot().task);
    }
}

#[tokio::test]
async fn the_card_says_how_to_ask() {
    let world = world().await;
    let client = client(&world).await;
    let card = client.card();
    assert_eq!(card.name, "captain");
    assert!(
        card.capabilities
            .extensions
            .iter()
            .any(|it| it.uri == JOB_URI)
    );
    assert_eq!(card.skills.len(), 1);
    for example in &card.skills[0].examples {
        let part = match serde_json::from_str::<Value>(example) {
            Ok(data) => Part::data(data),
            Err(_) => Part::text(example),
        };
        let asked = super::request::job(&Message::user("m", vec![part])).unwrap();
        assert!(asked.goal.is_some(), "{example}");
    }
}

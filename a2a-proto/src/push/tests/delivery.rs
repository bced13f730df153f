//! What arrives, and how.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_once_in_order_as_the_log_has_it() {
    let (office, hook) = (Office::quick(), Webhook::good().await);
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    office.register(&task, "c", &hook.url()).await;
    set(&task, TaskState::Working).await;
    for n in 0..300 {
        say(&task, &format!("{n} ")).await;
    }
    set(&task, TaskState::Completed).await;
    assert_eq!(ended(&task, "c").await, PushState::Done);
    let got = hook.got();
    assert_eq!(bodies(&got), logged(&task, 1).await);
    for got in &got {
        assert_eq!(
            (&got.method, got.path.as_str()),
            (&http::Method::POST, "/hook?key=url-secret")
        );
        assert_eq!(got.header("content-type"), Some("application/a2a+json"));
        assert_eq!(
            got.header("authorization"),
            Some("Bearer credentials-secret")
        );
        assert_eq!(got.header("x-a2a-notification-token"), Some("token-secret"));
        assert_eq!(got.header("a2a-notification-token"), Some("token-secret"));
    }
    let stored = task.push_config("c").await.unwrap().unwrap();
    assert_eq!(stored.delivered, task.snapshot().seq);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_configuration_gets_every_event_and_a_deleted_one_nothing_more() {
    let office = Office::quick();
    let (first, second) = (Webhook::good().await, Webhook::good().await);
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    office.register(&task, "a", &first.url()).await;
    office.register(&task, "b", &second.url()).await;
    set(&task, TaskState::Working).await;
    first.until_taken(1).await;
    second.until_taken(1).await;
    let delete = async { Ok::<_, PushError>(task.delete_push(&"a".into()).await?) };
    let deleted = office
        .couriers
        .change(&task, &"a".into(), false, delete)
        .await;
    deleted.unwrap();
    set(&task, TaskState::Completed).await;
    second.until_taken(2).await;
    assert_eq!(ended(&task, "b").await, PushState::Done);
    assert_eq!(first.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_of_older_versions_get_the_whole_task() {
    let office = Office::quick();
    let log = MemoryLog::new().unwrap();
    for (protocol, state) in [
        (ProtocolVersion::V0_3, "/status/state"),
        (ProtocolVersion::V0_1, "/status/state"),
    ] {
        let hook = Webhook::good().await;
        let task = log.create(new_task(protocol.as_str())).await.unwrap();
        office.register_in(&task, "c", &hook.url(), protocol).await;
        set(&task, TaskState::Working).await;
        hook.until_taken(1).await;
        say(&task, "the result").await;
        set(&task, TaskState::Completed).await;
        assert_eq!(ended(&task, "c").await, PushState::Done);
        let got = hook.got();
        let last = got.last().unwrap();
        assert_eq!(last.header("content-type"), Some("application/json"));
        let body = last.json();
        assert_eq!(body["id"], protocol.as_str());
        assert_eq!(body.pointer(state).unwrap(), "completed", "{body}");
        assert_eq!(body["artifacts"][0]["parts"][0]["text"], "the result");
        if protocol == ProtocolVersion::V0_3 {
            assert_eq!(body["kind"], "task");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_configuration_goes_on_at_its_new_address() {
    let office = Office::quick();
    let (old, new) = (Webhook::good().await, Webhook::good().await);
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    office.register(&task, "c", &old.url()).await;
    set(&task, TaskState::Working).await;
    until_delivered(&task, "c", 2).await;
    office.register(&task, "c", &new.url()).await;
    set(&task, TaskState::Completed).await;
    assert_eq!(ended(&task, "c").await, PushState::Done);
    let all = [bodies(&old.got()), bodies(&new.taken())].concat();
    assert_eq!(all, logged(&task, 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_task_can_be_registered_and_sends_nothing() {
    let (office, hook) = (Office::quick(), Webhook::good().await);
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    set(&task, TaskState::Completed).await;
    office.register(&task, "c", &hook.url()).await;
    assert_eq!(ended(&task, "c").await, PushState::Done);
    assert_eq!(hook.got().len(), 0);
}

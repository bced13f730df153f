//! Receivers that fail, and what that costs.

use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_failed_is_tried_again_before_the_next() {
    let answers = [500, 503, 200, 429, 200].map(Answer::Status);
    let hook = Webhook::start(&answers, Answer::Status(202)).await;
    let office = Office::quick();
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    office.register(&task, "c", &hook.url()).await;
    for state in [
        TaskState::Working,
        TaskState::InputRequired,
        TaskState::Completed,
    ] {
        set(&task, state).await;
    }
    assert_eq!(ended(&task, "c").await, PushState::Done);
    let [one, two, three] = logged(&task, 1).await.try_into().unwrap();
    assert_eq!(
        bodies(&hook.got()),
        [&one, &one, &one, &two, &two, &three].map(Clone::clone)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_receiver_is_given_its_time_and_tried_again() {
    let hook = Webhook::start(&[Answer::Silence], Answer::Status(204)).await;
    let office = Office::quick();
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    office.register(&task, "c", &hook.url()).await;
    let began = Instant::now();
    set(&task, TaskState::Completed).await;
    assert_eq!(ended(&task, "c").await, PushState::Done);
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_eq!(hook.got().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirect_is_not_followed() {
    let elsewhere = Webhook::good().await;
    let hook = Webhook::start(&[], Answer::Redirect(elsewhere.url())).await;
    let office = Office::quick();
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    office.register(&task, "c", &hook.url()).await;
    set(&task, TaskState::Completed).await;
    let letter = dead(&task, "c").await;
    assert_eq!(
        letter.reason,
        "the receiver answered 307: redirects are not followed"
    );
    assert_eq!((hook.got().len(), elsewhere.got().len()), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_cannot_be_delivered_suspends_its_configuration_until_it_is_replaced() {
    let hook = Webhook::start(&[Answer::Status(200)], Answer::Status(500)).await;
    let office = Office::quick();
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    office.register(&task, "c", &hook.url()).await;
    set(&task, TaskState::Working).await;
    hook.until_taken(1).await;
    say(&task, "one").await;
    say(&task, "two").await;
    let letter = dead(&task, "c").await;
    assert_eq!(
        (letter.seq, letter.tries, letter.reason.as_str()),
        (3, 3, "the receiver answered 500")
    );
    set(&task, TaskState::Completed).await;
    assert_eq!(hook.got().len(), 4, "nothing more is sent");
    // Mended, it gets everything from the event that failed on.
    hook.answer(Answer::Status(200));
    office.register(&task, "c", &hook.url()).await;
    assert_eq!(ended(&task, "c").await, PushState::Done);
    assert_eq!(bodies(&hook.taken()), logged(&task, 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listening_is_a_failure_like_any_other_and_names_no_address() {
    let office = Office::quick();
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/url-secret", closed.local_addr().unwrap());
    drop(closed);
    office.register(&task, "c", &url).await;
    set(&task, TaskState::Completed).await;
    let letter = dead(&task, "c").await;
    assert_eq!(letter.tries, 3);
    assert!(letter.reason.starts_with("cannot connect"), "{letter:?}");
    assert!(!letter.reason.contains("secret"), "{letter:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_receivers_cost_the_others_nothing() {
    let office = Office::open(PushOptions {
        timeout: Duration::from_secs(2),
        tries: NonZeroU32::new(100).unwrap(),
        configs_per_task: 1000,
        ..options(Keyring::in_memory())
    });
    let silent = Webhook::start(&[], Answer::Silence).await;
    let good = Webhook::good().await;
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    for n in 0..QUICK_POSTS {
        office
            .register(&task, &format!("dead-{n}"), &silent.url())
            .await;
    }
    office.register(&task, "good", &good.url()).await;
    set(&task, TaskState::Working).await;
    // Each of them may have kept a place once; from then on they wait among themselves.
    good.until_taken(1).await;
    let again = |got: &[Got]| got.len() > QUICK_POSTS;
    silent.until("they are tried again", again).await;
    let began = Instant::now();
    for n in 0..200 {
        say(&task, &n.to_string()).await;
    }
    good.until_taken(201).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(bodies(&good.got()), logged(&task, 1).await);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_only_so_many_configurations() {
    let office = Office::open(PushOptions {
        configs_per_task: 2,
        open_configs: 3,
        ..options(Keyring::in_memory())
    });
    let hook = Webhook::good().await;
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    let other = log.create(new_task("other")).await.unwrap();
    office.register(&task, "a", &hook.url()).await;
    office.register(&task, "b", &hook.url()).await;
    let refused = async |task: &LogTask, id: &str| {
        let nothing = async { Ok::<_, PushError>(()) };
        let id = id.into();
        let refused = office.couriers.change(task, &id, true, nothing);
        refused.await.unwrap_err()
    };
    assert!(matches!(
        refused(&task, "c").await,
        PushError::TooMany { limit: 2 }
    ));
    // The same again is not one more.
    office.register(&task, "b", &hook.url()).await;
    office.register(&other, "a", &hook.url()).await;
    assert!(matches!(
        refused(&other, "b").await,
        PushError::Busy { limit: 3 }
    ));
}

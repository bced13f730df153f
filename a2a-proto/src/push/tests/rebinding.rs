//! A name that leads to a public address when it is looked at and into the operator's network afterwards.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Mutex;

use super::*;

/// Answers the next of its answers, and the last one for ever.
struct Changing {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: watch::Sender<usize>,
}

use tokio::sync::watch;

impl Resolver for Changing {
    fn resolve(
        &self,
        _host: &str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + '_>> {
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        self.asked.send_modify(|asked| *asked += 1);
        Box::pin(async move { Ok(answer) })
    }
}

/// An office for which 127.0.0.2 is a public address and every other one of this machine is not.
fn office(answers: &[&[&str]]) -> (Office, Arc<Changing>) {
    let addresses = |answer: &&[&str]| answer.iter().map(|it| it.parse().unwrap()).collect();
    let resolver = Arc::new(Changing {
        answers: Mutex::new(answers.iter().map(addresses).collect()),
        asked: watch::Sender::new(0),
    });
    let office = Office::open(PushOptions {
        // The name may be called without TLS; where it leads is judged all the same.
        allow: AllowList::new(["127.0.0.2".parse().unwrap()]),
        resolver: Arc::clone(&resolver) as Arc<dyn Resolver>,
        ..options(Keyring::in_memory())
    });
    (office, resolver)
}

/// Puts a configuration with a plain address into the log, as if the operator's list had allowed the name once.
async fn plant(office: &Office, task: &LogTask, url: &str) {
    let config = TaskPushNotificationConfig {
        task_id: task.id().to_owned(),
        ..config("c", url)
    };
    let row = office.couriers.seal(&config, ProtocolVersion::V1_0).await;
    task.put_push(row.unwrap()).await.unwrap();
    office.couriers.start(task, &"c".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_that_turns_private_is_not_connected_to() {
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    let (office, resolver) = office(&[&["127.0.0.2"], &["127.0.0.1"]]);
    // The public one speaks no TLS, so the first try ends in the handshake; the second one must not begin.
    let public = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = public.local_addr().unwrap().port();
    let inside = SocketAddr::from(([127, 0, 0, 1], port));
    let inside = tokio::net::TcpListener::bind(inside).await.unwrap();
    plant(&office, &task, &format!("https://hooks.example:{port}/")).await;
    set(&task, TaskState::Completed).await;
    let (connection, from) = tokio::time::timeout(DEADLINE, public.accept())
        .await
        .expect("the first try goes to the address that was judged")
        .unwrap();
    assert!(from.ip().is_loopback());
    drop(connection);
    let letter = dead(&task, "c").await;
    assert_eq!(
        letter.reason,
        "the host leads to 127.0.0.1, which is not public: refused"
    );
    assert_eq!(*resolver.asked.borrow(), 3, "once for each connection");
    let nobody = tokio::time::timeout(Duration::from_millis(50), inside.accept()).await;
    assert!(nobody.is_err(), "nobody came inside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_judged_address_of_a_name_is_connected_to() {
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    let (office, _) = office(&[&["10.0.0.1", "127.0.0.1", "127.0.0.2"]]);
    let public = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = public.local_addr().unwrap().port();
    let inside = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    plant(&office, &task, &format!("https://hooks.example:{port}/")).await;
    set(&task, TaskState::Completed).await;
    for _ in 0..3 {
        let accepted = tokio::time::timeout(DEADLINE, public.accept()).await;
        drop(accepted.expect("every try goes to the public one"));
    }
    dead(&task, "c").await;
    let nobody = tokio::time::timeout(Duration::from_millis(50), inside.accept()).await;
    assert!(nobody.is_err(), "nobody came inside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn address_that_is_no_longer_listed_is_not_posted_to() {
    let log = MemoryLog::new().unwrap();
    let task = log.create(new_task("t")).await.unwrap();
    let hook = Webhook::good().await;
    let (office, resolver) = office(&[&["127.0.0.2"]]);
    plant(&office, &task, &hook.url()).await;
    let letter = dead(&task, "c").await;
    assert!(letter.reason.contains("not public"), "{letter:?}");
    assert_eq!((letter.tries, hook.got().len()), (0, 0));
    assert_eq!(*resolver.asked.borrow(), 0);
}

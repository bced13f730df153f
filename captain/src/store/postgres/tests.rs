//! What only several captains on one database can show: who may append, who takes over, what reaches whom, and what a
//! server that crashes costs. They share a server, since starting one takes longer than each of them.

use std::time::Duration;

use serde_json::json;
use test_postgres::{PASSWORD, Server, hand_to_server};
use tokio::time::{Instant, timeout};

use super::test_support::{Captain, Captains, Database};
use super::{PgOptions, PgStore};
use crate::store::contract::{job, part};
use crate::store::{Cluster as _, Store as _, StoreError, Which};

/// The longest wait for anything: a captain that died is found out within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Claims until there is something.
async fn claims(captain: &Captain) -> Vec<captain_core::JobId> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let claimed = captain.store.claim().await.unwrap();
        if !claimed.is_empty() {
            return claimed;
        }
        assert!(
            Instant::now() < deadline,
            "nothing to claim in {PATIENCE:?}"
        );
        captain.store.wait().await;
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is told of results as they come"
)]
fn fenced(result: Result<(), StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Fenced { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_dead_captains_jobs_move_and_it_cannot_append_any_more() {
    let captains = Captains::start().await;
    let database = captains.database("leases");
    let one = database.captain("one").await;
    let two = database.captain("two").await;
    one.store
        .append(vec![part(job(1), 0, 3), part(job(2), 0, 1)])
        .await
        .unwrap();
    let mut ended = part(job(3), 0, 1);
    ended.head.terminal = true;
    one.store.append(vec![ended]).await.unwrap();
    // It lives, so nobody else may write its jobs or take them.
    fenced(two.store.append(vec![part(job(1), 3, 4)]).await);
    assert!(two.store.claim().await.unwrap().is_empty());
    let taken = two.store.append(vec![part(job(1), 0, 1)]).await;
    assert!(
        matches!(taken, Err(StoreError::Conflict { .. })),
        "{taken:?}"
    );
    // It stops counting, as a stopped or a dead process does.
    let begun = Instant::now();
    one.freeze();
    assert_eq!(claims(&two).await, [job(1), job(2)]);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    // It wakes: its own watch says that its lease has ended, and so would the database.
    assert!(!one.store.fence().holds());
    fenced(one.store.append(vec![part(job(1), 3, 4)]).await);
    let lease = one.store.lease().await.unwrap();
    assert!(lease > two.store.lease().await.unwrap());
    assert!(one.store.fence().holds());
    fenced(one.store.append(vec![part(job(1), 3, 4)]).await);
    assert_eq!(one.store.head(&job(1)).await.unwrap().unwrap().last_seq, 3);
    two.store.append(vec![part(job(1), 3, 4)]).await.unwrap();
    // New jobs it may have.
    one.store.append(vec![part(job(4), 0, 1)]).await.unwrap();
}

#[tokio::test]
async fn an_append_under_an_ended_lease_is_refused_by_the_database_alone() {
    let captains = Captains::start().await;
    let database = captains.database("fence");
    let one = database.captain("one").await;
    one.store.append(vec![part(job(1), 0, 3)]).await.unwrap();
    // Its own fence is up, as that of a captain whose watch stands still.
    captains
        .server
        .sql("fence", "DELETE FROM flotilla.captains");
    assert!(one.store.fence().holds());
    fenced(one.store.append(vec![part(job(1), 3, 4)]).await);
    fenced(one.store.append(vec![part(job(2), 0, 1)]).await);
    assert_eq!(one.store.head(&job(1)).await.unwrap().unwrap().last_seq, 3);
    assert_eq!(one.store.head(&job(2)).await.unwrap(), None);
    // The next beat finds it out.
    let deadline = Instant::now() + PATIENCE;
    while one.store.fence().holds() {
        assert!(Instant::now() < deadline);
        one.store.wait().await;
    }
}

#[tokio::test]
async fn a_captain_that_starts_again_has_its_jobs_at_once() {
    let captains = Captains::start().await;
    let database = captains.database("again");
    let one = database.captain("one").await;
    one.store.append(vec![part(job(1), 0, 3)]).await.unwrap();
    drop(one);
    let again = database.captain("one").await;
    assert_eq!(again.store.claim().await.unwrap(), [job(1)]);
    again.store.append(vec![part(job(1), 3, 4)]).await.unwrap();
}

#[tokio::test]
async fn logs_are_followed_through_any_captain() {
    let captains = Captains::start().await;
    let database = captains.database("news");
    let (one, two) = (database.captain("one").await, database.captain("two").await);
    one.store.append(vec![part(job(1), 0, 3)]).await.unwrap();
    let mut end = two.store.follow(&job(1), 3);
    let mut gone = two.store.follow(&job(9), 0);
    one.store.append(vec![part(job(1), 3, 5)]).await.unwrap();
    timeout(PATIENCE, end.wait_for(|end| *end == 5))
        .await
        .unwrap()
        .unwrap();
    let read = two.store.read(&job(1), 3, 10, Which::All).await.unwrap();
    assert_eq!(
        read.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        [4, 5]
    );
    // What is not there is closed and not waited for.
    assert!(timeout(PATIENCE, gone.changed()).await.unwrap().is_err());
    // Without its ears it looks.
    let kill =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    captains.server.sql("news", kill);
    one.store.append(vec![part(job(1), 5, 6)]).await.unwrap();
    timeout(PATIENCE, end.wait_for(|end| *end == 6))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_order_reaches_the_owner_of_the_moment() {
    let captains = Captains::start().await;
    let database = captains.database("orders");
    let (one, two) = (database.captain("one").await, database.captain("two").await);
    one.store.append(vec![part(job(1), 0, 3)]).await.unwrap();
    let store = std::sync::Arc::clone(&two.store);
    let asked = job(1);
    let asking = store.hand_over(&asked, json!({"cancel": true}));
    let serving = async {
        let order = loop {
            // One dies before it takes the order; it is still there for whoever comes after.
            match one.store.orders().await.unwrap().pop() {
                Some(order) => break order,
                None => one.store.wait().await,
            }
        };
        drop(one);
        let third = database.captain("three").await;
        assert!(third.store.orders().await.unwrap().is_empty());
        assert_eq!(claims(&third).await, [job(1)]);
        let again = third.store.orders().await.unwrap();
        assert_eq!(again, [order]);
        third
            .store
            .answer(again[0].id, json!({"done": true}))
            .await
            .unwrap();
        assert!(third.store.orders().await.unwrap().is_empty());
        third
    };
    let (answer, _third) = tokio::join!(asking, serving);
    assert_eq!(answer.unwrap(), Some(json!({"done": true})));
    let nobody = two.store.hand_over(&job(9), json!({})).await.unwrap();
    assert_eq!(nobody, None);
}

#[tokio::test]
async fn a_server_that_crashes_costs_time_and_no_event() {
    let mut captains = Captains::start().await;
    let database = captains.database("crash");
    let one = database.captain("one").await;
    one.store.append(vec![part(job(1), 0, 3)]).await.unwrap();
    captains.server.crash();
    let down = one
        .store
        .append(vec![part(job(1), 3, 4)])
        .await
        .unwrap_err();
    assert!(matches!(down, StoreError::Unreachable { .. }), "{down:?}");
    assert!(one.store.head(&job(1)).await.is_err());
    captains.server.restart().await;
    // It was away for less than the lease: the same captain goes on.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match one.store.append(vec![part(job(1), 3, 4)]).await {
            Ok(()) => break,
            Err(StoreError::Unreachable { .. }) if Instant::now() < deadline => {
                one.store.wait().await;
            }
            Err(StoreError::Fenced { .. }) => {
                // A slow machine: the lease had ended, and is taken again.
                one.store.lease().await.unwrap();
                assert_eq!(one.store.claim().await.unwrap(), [job(1)]);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    // An append whose answer was lost is found to be done.
    one.store.append(vec![part(job(1), 3, 4)]).await.unwrap();
    let all = one.store.read(&job(1), 0, 10, Which::All).await.unwrap();
    assert_eq!(all.len(), 4);
}

#[tokio::test]
async fn batches_that_wait_together_fail_alone() {
    let captains = Captains::start().await;
    let database = captains.database("together");
    let one = database.captain("one").await;
    let batches = (1..=20).map(|n| one.store.append(vec![part(job(n), u64::from(n % 2), 3)]));
    let results = futures_util::future::join_all(batches).await;
    for (n, result) in (1..=20).zip(results) {
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}");
    }
    // Two that follow each other fit together.
    let (first, second) = tokio::join!(
        one.store.append(vec![part(job(2), 3, 4)]),
        one.store.append(vec![part(job(2), 4, 5)]),
    );
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn a_newer_database_and_another_identity_are_refused() {
    let captains = Captains::start().await;
    let database = captains.database("newer");
    let one = database.captain("one").await;
    assert_eq!(one.store.same_identity("a").await.unwrap(), Ok(()));
    assert_eq!(one.store.same_identity("a").await.unwrap(), Ok(()));
    assert_eq!(
        one.store.same_identity("b").await.unwrap(),
        Err("a".to_owned())
    );
    drop(one);
    captains
        .server
        .sql("newer", "UPDATE flotilla.version SET number = 99");
    let error = PgStore::open(database.options("one")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has format 99, this program knows up to 1"),
        "{error}"
    );
    let absent = PgStore::open(PgOptions {
        url: captains.server.url("nowhere"),
        ..database.options("one")
    });
    let error = daemon::cli::chain(&absent.await.unwrap_err());
    assert!(
        error.contains("nowhere") && error.contains("does not exist"),
        "{error}"
    );
}

/// A server that speaks TLS with a certificate for `localhost`, which the folder's `ca.pem` verifies.
async fn secure_server() -> (Server, u16) {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("ca.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut server = Server::start().await;
    for (from, name) in [(&key, "key.pem"), (&certificate, "ca.pem")] {
        let to = server.folder().join(name);
        std::fs::copy(from, &to).unwrap();
        hand_to_server(&server, &to);
    }
    let folder = server.folder().display().to_string();
    let port = server.listen();
    for setting in [
        "ssl = on".to_owned(),
        format!("ssl_key_file = '{folder}/key.pem'"),
        format!("ssl_cert_file = '{folder}/ca.pem'"),
    ] {
        server.set(&setting);
    }
    server.crash();
    server.restart().await;
    (server, port)
}

#[tokio::test]
async fn tls_and_password_are_asked_for_and_verified() {
    let (server, port) = secure_server().await;
    let database = Database::at(format!(
        "postgres://captain@localhost:{port}/postgres?sslmode=require"
    ));
    let ca_file = Some(server.folder().join("ca.pem"));
    let with = |password: Option<&str>, ca_file| PgOptions {
        password: password.map(Into::into),
        ca_file,
        ..database.options("one")
    };
    let refused = |error: StoreError| daemon::cli::chain(&error);
    let store = PgStore::open(with(Some(PASSWORD), ca_file.clone()))
        .await
        .unwrap();
    let ssl = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) \
        WHERE application_name = 'flotilla captain' AND NOT s.ssl";
    assert_eq!(
        server.sql("postgres", ssl),
        "0",
        "a connection is not encrypted"
    );
    drop(store);
    let wrong = refused(
        PgStore::open(with(Some("wrong"), ca_file.clone()))
            .await
            .unwrap_err(),
    );
    assert!(wrong.contains("password authentication failed"), "{wrong}");
    let none = refused(PgStore::open(with(None, ca_file)).await.unwrap_err());
    assert!(none.contains("password"), "{none}");
    // Who cannot be verified is not talked to.
    let unverified = refused(PgStore::open(with(Some(PASSWORD), None)).await.unwrap_err());
    assert!(unverified.contains("certificate"), "{unverified}");
}

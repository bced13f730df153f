//! Several captains on one PostgreSQL database: real processes that are killed, stopped and woken. Whatever happens to one, a
//! job has one owner, its log one history, and any captain tells it.

use std::time::{Duration, Instant};

use e2e::{
    Captain, CaptainBuilder, http, run,
    sse::Frame,
    wait::{JOB, SOON, until, until_true},
};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use test_postgres::Server;

/// Within this a job has a new owner.
const MOVED: Duration = Duration::from_secs(10);

struct Two {
    // Dropped in this order: the first one's folder holds what both share.
    two: Captain,
    one: Captain,
    server: Server,
}

impl Two {
    async fn start() -> Self {
        let server = Server::start().await;
        let url = server.database("jobs");
        let builder = CaptainBuilder::scripted();
        let shared = builder.folder().join("shared").display().to_string();
        let with =
            |builder: CaptainBuilder| builder.arg("--store", &url).arg("--shared-dir", &shared);
        let one = with(builder).start().await;
        let two = with(CaptainBuilder::scripted()).start().await;
        Self { two, one, server }
    }

    /// The lease of the job's owner.
    fn owner(&self, job: &str) -> String {
        let sql = format!("SELECT epoch FROM flotilla.jobs WHERE id = '{job}'");
        self.server.sql("jobs", &sql)
    }

    /// Waits until the job has another owner than `before`, and says how long that took.
    async fn moves(&self, job: &str, before: &str, since: Instant) -> Duration {
        until_true("the job to have another owner", MOVED, || {
            self.owner(job) != before
        })
        .await;
        since.elapsed()
    }
}

/// Waits until the job's log has a text.
async fn said(captain: &Captain, job: &str, text: &str) -> Vec<Frame> {
    let mut frames = captain.events(job, None).await;
    let mut seen = Vec::new();
    while let Some(frame) = frames.next(JOB).await {
        let found = spoken(&frame.data).contains(text);
        seen.push(frame);
        if found {
            return seen;
        }
    }
    unreachable!("{text:?} was never said in {seen:?}");
}

/// The whole log of a job that has ended, as the captain tells it.
async fn told(captain: &Captain, job: &str) -> Vec<(u64, Value)> {
    let frames = captain.events(job, None).await.rest(SOON).await;
    let told: Vec<_> = frames
        .into_iter()
        .filter_map(|frame| Some((frame.id?, frame.data)))
        .collect();
    let numbers: Vec<u64> = told.iter().map(|(number, _)| *number).collect();
    let all: Vec<u64> = (1..=told.len() as u64).collect();
    assert_eq!(numbers, all, "one history without a gap");
    told
}

/// How often the agent said a word.
fn count(told: &[(u64, Value)], word: &str) -> usize {
    let all: String = told.iter().map(|(_, data)| spoken(data)).collect();
    all.matches(word).count()
}

/// What an agent says in an event; nothing for others.
fn spoken(data: &Value) -> &str {
    match data["event"]["type"].as_str() {
        Some("agent.text") => data["event"]["text"].as_str().unwrap_or_default(),
        _ => "",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_owners_job_goes_on_elsewhere_with_the_same_worker() {
    let mut both = Two::start().await;
    let job = both
        .one
        .submit_prompt("say first-word\nsleep 12000\nsay last-word")
        .await;
    // Followed through the other captain from the start to the end, whoever owns it.
    let mut stream = both.two.events(&job, None).await;
    said(&both.two, &job, "first-word").await;
    let workers = both.one.workers();
    assert_eq!(workers.len(), 1);
    let before = both.owner(&job);

    let killed = Instant::now();
    both.one.kill_hard();
    let took = both.moves(&job, &before, killed).await;
    eprintln!("moved after {took:?}");
    let ended = both.two.ends(&job, "completed", JOB).await;
    assert_eq!(ended["subtasks"][0]["attempt"], 1, "nothing ran twice");

    let log = told(&both.two, &job).await;
    assert_eq!(
        (count(&log, "first-word"), count(&log, "last-word")),
        (1, 1)
    );
    let mut streamed = Vec::new();
    while let Some(frame) = stream.next(SOON).await {
        streamed.extend(frame.id.map(|id| (id, frame.data)));
    }
    assert_eq!(streamed, log, "the stream missed or repeated something");

    // The first one comes back and tells the same.
    both.one.restart().await;
    assert_eq!(told(&both.one, &job).await, log);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_owner_that_wakes_neither_appends_nor_acts() {
    let both = Two::start().await;
    let job = both
        .one
        .submit_prompt("say first-word\nsleep 9000\nsay last-word")
        .await;
    said(&both.one, &job, "first-word").await;
    let before = both.owner(&job);
    let owner = both.one.process.identity();

    let stopped = Instant::now();
    assert!(owner.signal(Signal::STOP).unwrap());
    let took = both.moves(&job, &before, stopped).await;
    eprintln!("moved after {took:?}");
    assert!(owner.signal(Signal::CONT).unwrap());
    // It wakes while the other one is at work on what it thought was its own.
    let ended = both.two.ends(&job, "completed", JOB).await;
    assert_eq!(ended["subtasks"][0]["attempt"], 1, "nothing ran twice");
    let log = told(&both.two, &job).await;
    assert_eq!(
        (count(&log, "first-word"), count(&log, "last-word")),
        (1, 1)
    );

    // It is well again under a new lease: it tells the same and takes new jobs.
    until(
        "the captain that woke to be ready",
        SOON,
        || async { both.one.api().get_raw("/readyz").await.status() },
        |status| *status == StatusCode::OK,
    )
    .await;
    assert_eq!(told(&both.one, &job).await, log);
    let next = both.one.submit_prompt("say again").await;
    both.one.ends(&next, "completed", JOB).await;
    assert_eq!(told(&both.two, &next).await, told(&both.one, &next).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_to_one_captain_reaches_the_jobs_owner() {
    let both = Two::start().await;
    let asks = both
        .one
        .submit_prompt("say one\ninput which one?\nsay done")
        .await;
    let asking = |job: &Value| job["subtasks"][0]["state"] == "waiting" || job["blocked"] == true;
    both.two
        .until(&asks, "the question", |job| {
            asking(job) || job.to_string().contains("which one?")
        })
        .await;
    let reply = json!({"text": "say the-second"});
    let answer = both
        .two
        .api()
        .post_raw(&format!("/jobs/{asks}/reply"), &reply)
        .await;
    assert!(answer.status().is_success(), "{}", answer.status());
    both.two.ends(&asks, "completed", JOB).await;
    let log = told(&both.two, &asks).await;
    assert!(count(&log, "the-second") > 0);
    // The same answer as at home once it has ended.
    let late = both
        .two
        .api()
        .post_raw(&format!("/jobs/{asks}/reply"), &reply)
        .await;
    assert_eq!(late.status(), StatusCode::CONFLICT);

    let hangs = both.one.submit_prompt("say one\nhang").await;
    said(&both.two, &hangs, "one").await;
    let cancel = both
        .two
        .api()
        .post_raw(&format!("/jobs/{hangs}/cancel"), &json!({}))
        .await;
    assert!(cancel.status().is_success(), "{}", cancel.status());
    both.one.ends(&hangs, "cancelled", SOON).await;
    assert!(both.one.workers().is_empty(), "a worker is left");

    // Over A2A too, whichever captain took it.
    let task = both.two.api().get(&format!("/tasks/{asks}")).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{task:#}");
    let tasks = both.two.api().get("/tasks").await;
    let ids: Vec<_> = tasks["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["id"].clone())
        .collect();
    assert!(
        ids.contains(&json!(asks)) && ids.contains(&json!(hangs)),
        "{ids:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_goes_away_is_waited_for() {
    let mut both = Two::start().await;
    let job = both
        .one
        .submit_prompt("say first-word\nsleep 15000\nsay last-word")
        .await;
    said(&both.one, &job, "first-word").await;
    both.server.crash();
    for captain in [&both.one, &both.two] {
        let ready = |body: &Value| body["status"] == "not ready";
        let ask = || async {
            captain
                .api()
                .request(Method::GET, "/readyz")
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap()
        };
        let body = until("the captain to say what is missing", SOON, ask, ready).await;
        assert_eq!(body["missing"][0]["part"], "database", "{body}");
        let submit = json!({"goal": "- [ ] x"});
        let refused = captain.api().post_raw("/jobs", &submit).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    // Longer than a lease: both begin new ones.
    tokio::time::sleep(Duration::from_secs(7)).await;
    both.server.restart().await;
    let ended = both.two.ends(&job, "completed", JOB).await;
    assert_eq!(ended["subtasks"][0]["attempt"], 1, "nothing ran twice");
    let log = told(&both.one, &job).await;
    assert_eq!(log, told(&both.two, &job).await);
    assert_eq!(
        (count(&log, "first-word"), count(&log, "last-word")),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn captains_with_different_identities_do_not_share_a_database() {
    let server = Server::start().await;
    let url = server.database("jobs");
    let first = CaptainBuilder::scripted()
        .arg("--store", &url)
        .start()
        .await;
    let _ = CaptainBuilder::scripted()
        .arg("--store", &url)
        .fails()
        .await
        .exits(64)
        .says(&["another key", "--shared-dir"]);
    drop(first);
    let nowhere = CaptainBuilder::scripted().arg("--store", "postgres://captain@127.0.0.1:1/jobs");
    let _ = nowhere
        .fails()
        .await
        .exits(69)
        .says(&["does not answer", "127.0.0.1:1"]);
    let typed =
        CaptainBuilder::scripted().arg("--store", "postgres://captain:s3cret@127.0.0.1/jobs");
    let refused = typed
        .fails()
        .await
        .exits(64)
        .says(&["--store-password-file"]);
    assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_the_shared_database_too() {
    let server = Server::start().await;
    let url = server.database("jobs");
    let captain = CaptainBuilder::scripted()
        .arg("--store", &url)
        .start()
        .await;
    let doctor = captain.cli(&["doctor", "--json", "--driver", "scripted", "--store", &url]);
    let found = run(doctor, SOON).await;
    let report: Value = serde_json::from_str(&found.stdout).expect("the report is JSON");
    let row = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "database")
        .unwrap();
    assert_eq!(row["status"], "ok", "{report:#}");
    assert!(
        row["found"]
            .as_str()
            .unwrap()
            .contains("format 1, 1 leases"),
        "{row}"
    );
    let answer = captain
        .api()
        .post_raw("/prune", &json!({"older_than_seconds": 0}))
        .await;
    let forgotten = http::json(answer, StatusCode::OK).await;
    assert_eq!(forgotten["jobs"], 0);
}

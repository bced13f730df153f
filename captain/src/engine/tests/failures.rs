//! Captains that end, workers that die, disks that are full.

use std::collections::BTreeSet;
use std::sync::Arc;

use captain_core::{JobEvent, JobId, Outcome, WorkerId};
use futures_util::StreamExt;

use super::super::EngineError;
use super::super::ports::BackendError;
use super::super::test_support::{Step, World, job, line, names};
use super::{DONE, labels};
use crate::store::{Filter, SqliteStore, StoreError};

#[tokio::test(start_paused = true)]
async fn a_restarted_captain_attaches_to_its_workers() {
    let world = World::new();
    world.script("a", &[Step::Say("one"), Step::Hold, Step::Say("two"), DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a b:a").await;
    captain.until(&id, "agent.text", "a").await;
    let open = captain.handle.subscribe(&id, 0).await.unwrap();
    captain.stop().await;
    // Whoever was listening is told that this is not the end.
    let last = open.collect::<Vec<_>>().await.pop().unwrap();
    assert!(matches!(last, Err(EngineError::Stopped)));
    assert_eq!(world.workers().len(), 1);

    let captain = world.captain().await;
    world.release("a");
    let events = captain.events(&id).await;
    let of_a: Vec<String> = events
        .iter()
        .filter(|event| event.attempt().is_some())
        .map(line)
        .collect();
    assert_eq!(
        of_a[..9],
        [
            "subtask.prepared a/1",
            "worker.launched a/1",
            "worker.ready a/1",
            "worker.accepted a/1",
            "agent.text a/1 \"one\"",
            "agent.text a/1 \"two\"",
            "attempt.ended a/1 (completed)",
            "subtask.merged a/1",
            "subtask.prepared b/1",
        ]
    );
    assert_eq!(names(&events).last(), Some(&"job.completed"));
    let worker = labels(&id, "a", 1).worker();
    assert_eq!(world.calls("launch")[0], worker.to_string());
    assert_eq!(world.calls("launch").len(), 2);
    assert_eq!(
        world.calls("follow")[..2],
        [format!("{worker} after 0"), format!("{worker} after 1")]
    );
    assert_eq!(world.calls("prompt").len(), 2);
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_worker_is_replaced() {
    let world = World::new();
    world.script("a/1", &[Step::Say("one"), Step::Hold, DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.until(&id, "agent.text", "a").await;
    world.kill(&labels(&id, "a", 1).worker());
    let lines: Vec<String> = captain.events(&id).await.iter().map(line).collect();
    assert!(
        lines.contains(&"attempt.ended a/1 (the worker is gone: killed by signal 9)".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"attempt.ended a/2 (completed)".to_owned()),
        "{lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "job.completed");
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_is_stopped_before_another_attempt_begins() {
    let world = World::new();
    world.script("a/1", &[Step::Say("one"), Step::Vanish]);
    world.set_unstoppable(true);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.until(&id, "worker.not_fenced", "a").await;
    assert_eq!(world.calls("launch").len(), 1, "nothing else begins");
    world.set_unstoppable(false);
    let lines: Vec<String> = captain.events(&id).await.iter().map(line).collect();
    let place = |wanted: &str| lines.iter().position(|line| line == wanted);
    assert!(
        place("worker.not_fenced a/1") < place("worker.fenced a/1"),
        "{lines:?}"
    );
    assert!(
        place("worker.fenced a/1") < place("subtask.started a/2"),
        "{lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "job.completed");
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_left_alone_until_a_probe_works() {
    let world = World::new();
    let failed = || {
        let message = "503".to_owned();
        Step::End(Outcome::ModelFailed { message })
    };
    for subtask in ["a/1", "b/1", "c/1", "a/2"] {
        world.script(subtask, &[failed()]);
    }
    let captain = world.captain().await;
    let id = captain.submit("a b c d:a").await;
    let lines: Vec<String> = captain.events(&id).await.iter().map(line).collect();
    let began =
        |line: &&String| line.starts_with("subtask.started") || line.starts_with("provider");
    let began: Vec<&String> = lines.iter().filter(began).collect();
    // Three failures pause it; the first probe fails and pauses it again; the second works and lets all others go.
    assert_eq!(
        began,
        [
            "subtask.started a/1",
            "subtask.started b/1",
            "subtask.started c/1",
            "provider.paused",
            "subtask.started a/2",
            "provider.paused",
            "subtask.started a/3",
            "provider.resumed",
            "subtask.started b/2",
            "subtask.started c/2",
            "subtask.started d/1",
        ]
    );
    assert_eq!(lines.last().unwrap(), "job.completed");
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_provider_outlives_the_captain() {
    let world = World::new();
    let failed = Step::End(Outcome::ModelFailed {
        message: "503".to_owned(),
    });
    for subtask in ["a/1", "b/1", "c/1"] {
        world.script(subtask, std::slice::from_ref(&failed));
    }
    let captain = world.captain().await;
    let id = captain.submit("a b c").await;
    captain.until(&id, "provider.paused", "").await;
    captain.stop().await;
    let captain = world.captain().await;
    let names = names(&captain.events(&id).await).join(" ");
    assert_eq!(names.matches("provider.paused").count(), 1, "{names}");
    assert_eq!(names.matches("provider.resumed").count(), 1, "{names}");
    assert!(names.ends_with("job.completed"), "{names}");
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ended_while_nobody_looked_is_replaced() {
    let world = World::new();
    world.script("a/1", &[Step::Say("one"), Step::Hold, DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.until(&id, "agent.text", "a").await;
    captain.stop().await;
    world.kill(&labels(&id, "a", 1).worker());
    let captain = world.captain().await;
    let lines: Vec<String> = captain.events(&id).await.iter().map(line).collect();
    assert!(
        lines.contains(&"worker.unreachable a/1".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(
            &"attempt.ended a/1 (the worker is gone: it is not there any more)".to_owned()
        ),
        "{lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "job.completed");
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workers_that_nobody_needs_are_stopped_and_those_of_others_are_not() {
    let world = World::new();
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.events(&id).await;
    captain.stop().await;
    let left = labels(&id, "a", 1);
    let foreign = labels(
        &JobId::parse("ffffffff-0000-7000-8000-000000000000").unwrap(),
        "a",
        1,
    );
    let by_hand = WorkerId::parse("by-hand").unwrap();
    world.add_worker(left.worker(), Some(left.clone()));
    world.add_worker(foreign.worker(), Some(foreign.clone()));
    world.add_worker(by_hand.clone(), None);
    let captain = world.captain().await;
    // A whole job later the first listing has certainly been looked at.
    let next = captain.submit("z").await;
    captain.events(&next).await;
    captain.stop().await;
    let rest: BTreeSet<WorkerId> = world.workers().into_iter().collect();
    assert_eq!(rest, BTreeSet::from([foreign.worker(), by_hand]));
}

#[tokio::test(start_paused = true)]
async fn launches_are_tried_again_unless_they_are_refused() {
    let world = World::new();
    world.refuse(
        "a",
        BackendError::Failed {
            message: "no memory".to_owned(),
            source: None,
        },
    );
    world.refuse(
        "b",
        BackendError::Refused {
            message: "no bubblewrap: install it".to_owned(),
            source: None,
        },
    );
    let captain = world.captain().await;
    let id = captain.submit("a b").await;
    let lines: Vec<String> = captain.events(&id).await.iter().map(line).collect();
    assert!(
        lines.contains(&"attempt.ended a/1 (the worker did not start: no memory)".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"subtask.merged a/2".to_owned()),
        "{lines:?}"
    );
    assert_eq!(
        lines.last().unwrap(),
        "job.failed (subtask b failed: the worker was refused: no bubblewrap: install it)"
    );
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_last_word_is_a_lost_worker() {
    let world = World::new();
    world.script("a", &[Step::Say("one"), Step::Vanish]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    let lines: Vec<String> = captain.events(&id).await.iter().map(line).collect();
    let lost = "the worker is gone: its stream ended without a last word";
    assert!(
        lines.contains(&format!("attempt.ended a/1 ({lost})")),
        "{lines:?}"
    );
    assert_eq!(
        lines.last().unwrap(),
        &format!("job.failed (subtask a failed: {lost})")
    );
    captain.stop().await;
    assert_eq!(world.workers(), []);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_new_jobs_and_holds_up_old_ones() {
    let world = World::new();
    world.script("a", &[Step::Hold, Step::Say("late"), DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.until(&id, "worker.accepted", "a").await;
    world.store.fill(3);
    let error = captain.handle.submit(job("b")).await.unwrap_err();
    let EngineError::Store(source) = &error else {
        panic!("{error}")
    };
    assert!(matches!(**source, StoreError::Full(_)));
    world.release("a");
    world.store.fill(2);
    let events = captain.events(&id).await;
    assert_eq!(names(&events).last(), Some(&"job.completed"));
    // The job that was not taken has left nothing.
    assert_eq!(
        captain.handle.list(&Filter::default()).await.unwrap().len(),
        1
    );
    captain.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_go_through_a_file_and_a_restart() {
    const MANY: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("captain.db");
    let world = World::with_store(Arc::new(SqliteStore::open(&path).unwrap()));
    world.script(
        "a",
        &[Step::Chatter(MANY), Step::Hold, Step::Say("end"), DONE],
    );
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    let mut live = captain.handle.subscribe(&id, 0).await.unwrap();
    for n in 1..=MANY {
        assert_eq!(live.next().await.unwrap().unwrap().seq, n);
    }
    captain.stop().await;
    let captain = world.captain().await;
    world.release("a");
    let events = captain.events(&id).await;
    let texts = names(&events)
        .into_iter()
        .filter(|name| *name == "agent.text")
        .count() as u64;
    assert_eq!(texts, MANY + 1);
    assert_eq!(names(&events).last(), Some(&"job.completed"));
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_goes_on_after_a_restart() {
    let world = World::new();
    world.script("a", &[Step::Say("one"), Step::Hold, DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.until(&id, "agent.text", "a").await;
    world.set_unstoppable(true);
    captain.handle.cancel(&id, "ann").await.unwrap();
    captain.stop().await;
    assert_eq!(world.workers().len(), 1);
    world.set_unstoppable(false);
    let captain = world.captain().await;
    let events = captain.events(&id).await;
    assert_eq!(
        names(&events)[9..],
        [
            "job.cancel_requested",
            "worker.stopped",
            "subtask.cancelled",
            "job.cancelled"
        ]
    );
    captain.stop().await;
    assert_eq!(world.workers(), []);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_and_says_what_it_does_not_know() {
    let world = World::new();
    world.script("a", &[Step::Say("one"), Step::Hold, DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.until(&id, "agent.text", "a").await;
    world.set_unstoppable(true);
    captain.handle.cancel(&id, "ann").await.unwrap();
    let events = captain.events(&id).await;
    assert_eq!(names(&events).last(), Some(&"job.cancelled"));
    let unconfirmed = events.iter().find_map(|event| match event {
        JobEvent::WorkerStopped { unconfirmed, .. } => unconfirmed.clone(),
        _ => None,
    });
    assert_eq!(unconfirmed.as_deref(), Some("the process does not end"));
    captain.stop().await;
}

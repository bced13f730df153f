//! The engine in a small world: whole jobs, and those who ask for them and follow them.

mod failures;
mod talk;

use std::sync::Arc;

use captain_core::job::{Approval, PlanSource};
use captain_core::{Attempt, JobId, JobState, Outcome, SubtaskId};
use futures_util::StreamExt;

use super::EngineError;
use super::ports::Labels;
use super::test_support::{Step, World, conflict, job, line, names, spec};
use crate::store::Filter;

const DONE: Step = Step::End(Outcome::Completed);

fn labels(job: &JobId, subtask: &str, attempt: u32) -> Labels {
    Labels {
        job: job.clone(),
        subtask: SubtaskId::parse(subtask).unwrap(),
        attempt: Attempt(attempt),
    }
}

#[tokio::test(start_paused = true)]
async fn a_diamond_runs_from_end_to_end() {
    let world = World::new();
    world.script(
        "a",
        &[
            Step::Say("hello"),
            Step::Tool("ls"),
            Step::Artifact("a.txt"),
            DONE,
        ],
    );
    let captain = world.captain().await;
    let id = captain.submit("a b:a c:a d:b,c").await;
    let events = captain.events(&id).await;
    let of_a: Vec<String> = events
        .iter()
        .map(line)
        .take_while(|line| !line.contains("b/1"))
        .collect();
    assert_eq!(
        of_a,
        [
            "job.submitted",
            "job.planned",
            "job.started",
            "subtask.started a/1",
            "subtask.prepared a/1",
            "worker.launched a/1",
            "worker.ready a/1",
            "worker.accepted a/1",
            "agent.text a/1 \"hello\"",
            "tool.finished a/1",
            "artifact.made a/1",
            "attempt.ended a/1 (completed)",
            "subtask.merged a/1",
        ]
    );
    assert_eq!(names(&events).last(), Some(&"job.completed"));
    assert_eq!(
        world.calls("prepare"),
        [
            "a/1 from []",
            "b/1 from [a]",
            "c/1 from [a]",
            "d/1 from [b c]"
        ]
    );
    assert_eq!(world.calls("finish"), ["[d]"]);
    // The job has left the engine: what is told now is read back.
    let snapshot = captain.handle.get(&id).await.unwrap();
    assert_eq!(snapshot.seq, events.len() as u64);
    let view = snapshot.job.view();
    assert_eq!(
        (view.state, view.subtasks.len(), view.artifacts.len()),
        ("completed", 4, 1)
    );
    assert!(view.subtasks.iter().all(|subtask| subtask.state == "done"));
    let heads = captain.handle.list(&Filter::default()).await.unwrap();
    assert_eq!(
        heads
            .iter()
            .map(|head| head.state.as_str())
            .collect::<Vec<_>>(),
        ["completed"]
    );
    captain.stop().await;
    assert_eq!(world.workers(), []);
}

#[tokio::test(start_paused = true)]
async fn a_failing_subtask_fails_the_job_and_lets_the_others_end() {
    let world = World::new();
    world.script(
        "a",
        &[Step::End(Outcome::Failed {
            message: "no idea".to_owned(),
        })],
    );
    let captain = world.captain().await;
    let id = captain.submit("a b:a c").await;
    let events = captain.events(&id).await;
    assert_eq!(
        events.last().map(line).unwrap(),
        "job.failed (subtask a failed: the agent failed: no idea; not started because of that: b)"
    );
    assert_eq!(world.calls("import"), ["c/1"]);
    captain.stop().await;
    assert_eq!(world.workers(), []);
}

#[tokio::test(start_paused = true)]
async fn conflicts_name_files_and_subtasks() {
    let world = World::new();
    world.conflict("c", conflict(&["src/lib.rs"], &["a", "b"]));
    let captain = world.captain().await;
    let id = captain.submit("a b c:a,b").await;
    let events = captain.events(&id).await;
    assert!(names(&events).contains(&"merge.conflict"));
    let last = events.last().map(line).unwrap();
    assert_eq!(
        last,
        "job.failed (subtask c failed: the results of a, b conflict in src/lib.rs)"
    );

    world.conflict("result", conflict(&["x", "y"], &["a", "b"]));
    let id = captain.submit("a b").await;
    let events = captain.events(&id).await;
    let lines: Vec<String> = events.iter().rev().take(2).map(line).collect();
    assert_eq!(
        lines,
        [
            "job.failed (the results of a, b conflict in x, y)",
            "merge.conflict"
        ]
    );
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_stops_the_workers_before_it_says_so() {
    let world = World::new();
    world.script("a", &[Step::Say("working"), Step::Hold, DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a b:a").await;
    captain.until(&id, "agent.text", "a").await;
    assert_eq!(world.workers().len(), 1);
    captain.handle.cancel(&id, "ann").await.unwrap();
    captain.until(&id, "worker.stopped", "a").await;
    assert_eq!(world.workers(), []);
    let events = captain.events(&id).await;
    assert_eq!(
        names(&events)[9..],
        [
            "job.cancel_requested",
            "subtask.cancelled",
            "worker.stopped",
            "subtask.cancelled",
            "job.cancelled"
        ]
    );
    assert_eq!(world.calls("cancel").len(), 1);
    assert_eq!(captain.state(&id).await, JobState::Cancelled);
    // Again is too late, and of no job is told apart.
    let error = captain.handle.cancel(&id, "ann").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("job {id} is cancelled: to cancel it is not possible")
    );
    let nobody = JobId::parse("00000000-0000-7000-8000-999999999999").unwrap();
    assert!(matches!(
        captain.handle.cancel(&nobody, "ann").await,
        Err(EngineError::NotFound(_))
    ));
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_misses_nothing() {
    let world = World::new();
    world.script("a", &[Step::Chatter(5_000), DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    let mut slow = captain.handle.subscribe(&id, 0).await.unwrap();
    let first = slow.next().await.unwrap().unwrap();
    let events = captain.events(&id).await;
    assert!(events.len() > 5_000);
    let rest: Vec<u64> = slow.map(|entry| entry.unwrap().seq).collect().await;
    assert_eq!(
        rest,
        (first.seq + 1..=events.len() as u64).collect::<Vec<_>>()
    );
    // Resuming goes on strictly after the place, also at the very end and never beyond.
    let end = events.len() as u64;
    let tail: Vec<u64> = captain
        .handle
        .subscribe(&id, end - 2)
        .await
        .unwrap()
        .map(|entry| entry.unwrap().seq)
        .collect()
        .await;
    assert_eq!(tail, [end - 1, end]);
    assert_eq!(
        captain
            .handle
            .subscribe(&id, end)
            .await
            .unwrap()
            .count()
            .await,
        0
    );
    let beyond = captain.handle.subscribe(&id, end + 1).await.err().unwrap();
    assert!(matches!(beyond, EngineError::BeyondEnd { last, .. } if last == end));
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn followers_share_what_is_serialized_once() {
    let world = World::new();
    world.script("a", &[Step::Hold, DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    captain.until(&id, "worker.accepted", "a").await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(captain.handle.subscribe(&id, 0).await.unwrap());
    }
    let mut firsts = Vec::new();
    for stream in &mut streams {
        firsts.push(stream.next().await.unwrap().unwrap());
    }
    assert!(
        firsts
            .windows(2)
            .all(|pair| Arc::ptr_eq(&pair[0], &pair[1]))
    );
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn never_more_workers_than_allowed_over_all_jobs() {
    let world = World::new();
    for subtask in ["a", "b", "c"] {
        world.script(subtask, &[Step::Hold, DONE]);
    }
    let captain = world.captain_with(|options| options.max_workers = 2).await;
    let (one, two) = (captain.submit("a b").await, captain.submit("c").await);
    captain.until(&one, "worker.accepted", "b").await;
    assert_eq!(world.workers().len(), 2);
    assert_eq!(captain.state(&two).await, JobState::Running);
    world.release("a");
    captain.until(&two, "worker.accepted", "c").await;
    assert_eq!(world.workers().len(), 2);
    world.release("b");
    world.release("c");
    assert_eq!(
        names(&captain.events(&one).await).last(),
        Some(&"job.completed")
    );
    assert_eq!(
        names(&captain.events(&two).await).last(),
        Some(&"job.completed")
    );
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn planners_make_plans_and_bad_ones_fail_the_job() {
    let world = World::new();
    world.plan("outline", spec("a b:a"));
    world.plan("mad", spec("a:b b:a"));
    let captain = world.captain().await;
    let by = |name: &str| {
        let mut spec = job("a");
        spec.plan = PlanSource::Planner {
            name: name.to_owned(),
        };
        spec
    };
    for (name, last) in [
        ("outline", "job.completed"),
        (
            "mad",
            "job.failed (there is no valid plan: subtasks wait for each other: a -> b -> a)",
        ),
        (
            "nobody",
            "job.failed (there is no valid plan: there is no planner \"nobody\"; there are: mad, outline)",
        ),
    ] {
        let id = captain.handle.submit(by(name)).await.unwrap();
        assert_eq!(captain.events(&id).await.last().map(line).unwrap(), last);
    }
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_can_wait_for_a_person() {
    let world = World::new();
    let captain = world.captain().await;
    let mut spec = job("a");
    spec.approval = Approval::Manual;
    let id = captain.handle.submit(spec).await.unwrap();
    captain.until(&id, "job.planned", "").await;
    assert_eq!(captain.state(&id).await, JobState::AwaitingApproval);
    captain.handle.approve(&id, "ann").await.unwrap();
    assert_eq!(
        names(&captain.events(&id).await).last(),
        Some(&"job.completed")
    );
    let error = captain.handle.approve(&id, "ann").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("job {id} is completed: to approve its plan is not possible")
    );
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn jobs_that_cannot_be_are_refused() {
    let world = World::new();
    world.script("a", &[Step::Hold, DONE]);
    let captain = world.captain_with(|options| options.max_jobs = 1).await;
    let mut spec = job("a");
    spec.goal = "  ".to_owned();
    let error = captain.handle.submit(spec).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the job cannot be taken: it has no goal: say what is to be reached"
    );
    let mut spec = job("a");
    spec.limits.max_parallel = Some(0);
    let error = captain.handle.submit(spec).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the job cannot be taken: its limit max_parallel = 0 must be from 1 to 16"
    );
    let error = captain.handle.submit(job("a:a b:z")).await.unwrap_err();
    let EngineError::BadPlan(errors) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        errors.lines(),
        [
            "subtask \"a\" depends on itself",
            "subtask \"b\" depends on \"z\", which is not in the plan"
        ]
    );
    captain.submit("a").await;
    let error = captain.handle.submit(job("a")).await.unwrap_err();
    assert!(matches!(error, EngineError::TooManyJobs { max: 1 }));
    captain.stop().await;
}

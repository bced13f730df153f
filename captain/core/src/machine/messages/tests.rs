//! Who gets a message, when a question counts as answered, and when a job waits for a person.

use jiff::Timestamp;
use pretty_assertions::assert_eq;

use super::super::tests::{ROOM, commit, job_id, spec_of};
use crate::effect::Effect;
use crate::event::JobEvent;
use crate::ids::{Attempt, SubtaskId};
use crate::job::{Job, WorkerTask};
use crate::plan::tests::spec;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn id(name: &str) -> SubtaskId {
    SubtaskId::parse(name).unwrap()
}

/// A running job of that plan.
fn running(plan: &str, max_parallel: u32) -> Job {
    let mut spec = spec_of(spec(plan));
    spec.limits.max_parallel = Some(max_parallel);
    let crate::job::PlanSource::Given { plan } = spec.plan.clone() else {
        unreachable!()
    };
    let (mut job, _) = Job::create(job_id(), NOW, &JobEvent::JobSubmitted { spec }).unwrap();
    tell(&mut job, &JobEvent::JobPlanned { revision: 1, plan });
    job
}

fn tell(job: &mut Job, event: &JobEvent) -> Vec<Effect> {
    let mut effects = job.apply(NOW, event).unwrap();
    while let Some(next) = job.decide(NOW, ROOM) {
        effects.extend(job.apply(NOW, &next).unwrap());
    }
    effects
}

/// Brings the present attempt at a subtask to its worker, up to the moment when it has the prompt.
fn give_prompt(job: &mut Job, name: &str) -> Vec<Effect> {
    let subtask = id(name);
    let attempt = job.subtask(&subtask).unwrap().current().unwrap().attempt;
    for event in [
        JobEvent::SubtaskPrepared {
            subtask: subtask.clone(),
            attempt,
            base: commit(0),
            workspace: "w".to_owned(),
        },
        JobEvent::WorkerLaunched {
            subtask: subtask.clone(),
            attempt,
            worker: crate::WorkerId::of(job.id(), &subtask, attempt),
            endpoint: "http://w".to_owned(),
        },
        JobEvent::WorkerReady {
            subtask: subtask.clone(),
            attempt,
        },
    ] {
        tell(job, &event);
    }
    let task = WorkerTask {
        task: "t".to_owned(),
        context: "c".to_owned(),
    };
    tell(
        job,
        &JobEvent::WorkerAccepted {
            subtask,
            attempt,
            task,
        },
    )
}

fn say(job: &mut Job, text: &str, to: Option<&str>) -> Vec<String> {
    let message = u32::try_from(job.messages().len()).unwrap() + 1;
    let event = JobEvent::MessageReceived {
        message,
        from: "ann".to_owned(),
        text: text.to_owned(),
        id: None,
        subtask: to.map(id),
    };
    tells(&tell(job, &event))
}

fn ask(job: &mut Job, name: &str) {
    tell(
        job,
        &JobEvent::InputRequired {
            subtask: id(name),
            attempt: Attempt(1),
            question: format!("{name}?"),
        },
    );
}

fn delivered(job: &mut Job, name: &str, message: u32, problem: Option<&str>) -> Vec<String> {
    let event = JobEvent::MessageDelivered {
        subtask: id(name),
        attempt: Attempt(1),
        message,
        problem: problem.map(str::to_owned),
    };
    tells(&tell(job, &event))
}

fn tells(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Tell {
                subtask,
                message,
                text,
                ..
            } => Some(format!("{subtask} {message} {text}")),
            _ => None,
        })
        .collect()
}

fn questions(job: &Job) -> Vec<String> {
    let open = job.open_questions();
    open.iter().map(|(_, text)| (*text).to_owned()).collect()
}

#[test]
fn a_message_goes_to_everybody_who_has_a_prompt_and_to_the_others_with_theirs() {
    let mut job = running("a b c:a", 4);
    give_prompt(&mut job, "a");
    assert_eq!(say(&mut job, "hurry", None), ["a 1 hurry"]);
    assert_eq!(say(&mut job, "please", None), [""; 0], "one at a time");
    assert_eq!(delivered(&mut job, "a", 1, None), ["a 2 please"]);
    assert_eq!(delivered(&mut job, "a", 2, None), [""; 0]);

    // The worker of `b` began before the messages: it is told as soon as it has its prompt, in their order.
    assert_eq!(tells(&give_prompt(&mut job, "b")), ["b 1 hurry"]);
    assert_eq!(delivered(&mut job, "b", 1, Some("busy")), ["b 2 please"]);
    assert_eq!(say(&mut job, "only you", Some("c")), [""; 0]);

    let heard = |name: &str, count| job.heard_by(&id(name), count).count();
    assert_eq!((heard("c", 3), heard("a", 3), heard("a", 1)), (3, 2, 1));
}

#[test]
fn a_restart_owes_the_same_messages() {
    let mut job = running("a", 4);
    give_prompt(&mut job, "a");
    say(&mut job, "one", None);
    say(&mut job, "two", None);
    assert_eq!(tells(&job.pending_effects()), ["a 1 one"]);
    delivered(&mut job, "a", 1, None);
    assert_eq!(tells(&job.pending_effects()), ["a 2 two"]);
}

#[test]
fn a_question_is_open_until_somebody_answers() {
    let mut job = running("a b", 4);
    give_prompt(&mut job, "a");
    give_prompt(&mut job, "b");
    ask(&mut job, "a");
    assert_eq!(questions(&job), ["a?"]);
    assert!(!job.is_blocked(), "b is at work");
    ask(&mut job, "b");
    assert!(job.is_blocked());

    assert_eq!(say(&mut job, "yes", Some("a")), ["a 1 yes"]);
    assert_eq!(questions(&job), ["b?"]);
    assert!(!job.is_blocked(), "the answer is on its way");
    delivered(&mut job, "a", 1, Some("the worker does not take it"));
    assert_eq!(questions(&job), ["a?", "b?"]);
    assert!(job.is_blocked());

    say(&mut job, "yes", Some("a"));
    delivered(&mut job, "a", 2, None);
    tell(
        &mut job,
        &JobEvent::InputResolved {
            subtask: id("a"),
            attempt: Attempt(1),
        },
    );
    assert_eq!(questions(&job), ["b?"]);
    assert!(!job.is_blocked());
}

#[test]
fn a_job_without_room_for_another_subtask_waits_too() {
    let mut job = running("a b", 1);
    give_prompt(&mut job, "a");
    ask(&mut job, "a");
    assert!(job.is_blocked());
}

#[test]
fn a_message_that_nobody_can_get_is_refused() {
    let refused = |job: &Job, message, to: Option<&str>| {
        let event = JobEvent::MessageReceived {
            message,
            from: "ann".to_owned(),
            text: "hm".to_owned(),
            id: None,
            subtask: to.map(id),
        };
        job.clone().apply(NOW, &event).unwrap_err().to_string()
    };
    let mut job = running("a b", 4);
    assert!(refused(&job, 1, Some("x")).contains("no subtask x"));
    assert!(refused(&job, 2, None).contains("message.received"));
    give_prompt(&mut job, "a");
    tell(
        &mut job,
        &JobEvent::AttemptEnded {
            subtask: id("a"),
            attempt: Attempt(1),
            outcome: crate::Outcome::Failed {
                message: "no".to_owned(),
            },
        },
    );
    assert!(refused(&job, 1, Some("a")).contains("subtask a is failed"));
}

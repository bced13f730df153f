//! Whole jobs as their tasks see them: state and text of each event.

use a2a_proto::activity::is_activity;
use captain_core::event::EVENT_VERSION;
use jiff::Timestamp;
use pretty_assertions::assert_eq;

use super::*;
use crate::engine::test_support::{job, spec};

fn id(name: &str) -> SubtaskId {
    SubtaskId::parse(name).unwrap()
}

struct Run {
    teller: Teller,
    seq: u64,
}

impl Run {
    fn new() -> Self {
        let id = JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap();
        Self {
            teller: Teller::new(id, "c".to_owned(), "http://captain", None),
            seq: 0,
        }
    }

    /// What comes of an event: `STATE text`, with a `*` where it is progress and not conversation.
    fn tell(&mut self, event: JobEvent) -> String {
        self.seq += 1;
        let envelope = Envelope {
            v: EVENT_VERSION,
            seq: self.seq,
            at: Timestamp::UNIX_EPOCH,
            job: self.teller.id.clone(),
            cursor: None,
            event,
        };
        let told = self.teller.take(&envelope).unwrap();
        let Some(update) = told.event else {
            return String::new();
        };
        let star = if is_activity(&update) { "*" } else { "" };
        let text = update.status.message.as_ref().unwrap().text();
        format!("{star}{} {text}", update.status.state)
    }
}

#[test]
fn a_task_waits_while_nothing_goes_on_without_its_client() {
    let mut run = Run::new();
    let (a, attempt) = (id("a"), Attempt::FIRST);
    run.tell(JobEvent::JobSubmitted { spec: job("a") });
    let planned = run.tell(JobEvent::JobPlanned {
        revision: 1,
        plan: spec("a"),
    });
    assert_eq!(planned, "*TASK_STATE_WORKING the plan:\n- a");
    run.tell(JobEvent::JobStarted { approved_by: None });
    for event in [
        JobEvent::SubtaskStarted {
            subtask: a.clone(),
            attempt,
        },
        JobEvent::SubtaskPrepared {
            subtask: a.clone(),
            attempt,
            base: captain_core::CommitId::parse("0".repeat(40)).unwrap(),
            workspace: "w".to_owned(),
        },
        JobEvent::WorkerLaunched {
            subtask: a.clone(),
            attempt,
            worker: captain_core::WorkerId::parse("w").unwrap(),
            endpoint: "http://w".to_owned(),
        },
        JobEvent::WorkerReady {
            subtask: a.clone(),
            attempt,
        },
    ] {
        let told = run.tell(event);
        assert!(told.starts_with("*TASK_STATE_WORKING a: "), "{told}");
    }
    let asked = run.tell(JobEvent::InputRequired {
        subtask: a.clone(),
        attempt,
        question: "why?".to_owned(),
    });
    assert_eq!(asked, "TASK_STATE_INPUT_REQUIRED a asks: why?");
    let said = run.tell(JobEvent::AgentText {
        subtask: a.clone(),
        attempt,
        text: "still here".to_owned(),
    });
    assert_eq!(said, "*TASK_STATE_INPUT_REQUIRED still here");
    let received = |message, id: Option<&str>| JobEvent::MessageReceived {
        message,
        from: "ann".to_owned(),
        text: "because".to_owned(),
        id: id.map(str::to_owned),
        subtask: None,
    };
    assert_eq!(
        run.tell(received(1, None)),
        "TASK_STATE_WORKING because",
        "what came over REST is part of the conversation"
    );
    let delivered = |message, problem: Option<&str>| JobEvent::MessageDelivered {
        subtask: id("a"),
        attempt,
        message,
        problem: problem.map(str::to_owned),
    };
    assert_eq!(
        run.tell(delivered(1, Some("busy"))),
        "TASK_STATE_INPUT_REQUIRED a asks: why?",
        "it did not get through"
    );
    assert_eq!(
        run.tell(received(2, Some("m"))),
        "*TASK_STATE_WORKING a message of ann for everybody",
        "what came as a message is in the task already"
    );
    let failed = run.tell(JobEvent::AttemptEnded {
        subtask: a,
        attempt,
        outcome: captain_core::Outcome::Failed {
            message: "no luck".to_owned(),
        },
    });
    assert_eq!(
        failed,
        "*TASK_STATE_WORKING a: attempt 1 ended: the agent failed: no luck"
    );
}

#[test]
fn a_plan_that_is_not_valid_is_a_rejection() {
    let mut run = Run::new();
    run.tell(JobEvent::JobSubmitted { spec: job("a") });
    let problems = vec!["a cycle".to_owned()];
    run.tell(JobEvent::PlanRejected {
        problems: problems.clone(),
    });
    let reason = FailReason::Plan { problems };
    let told = run.tell(JobEvent::JobFailed {
        message: reason.to_string(),
        reason,
    });
    assert_eq!(told, "TASK_STATE_REJECTED there is no valid plan: a cycle");
}

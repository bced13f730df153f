//! A told story, drawn at several moments.

use captain_core::event::ToolStatus;
use captain_core::job::{Approval, JobLimits, JobSpec, PlanSource, WorkerTask};
use captain_core::{
    Attempt, CommitId, FailReason, JobId, JobResult, PlanSpec, StopReason, SubtaskSpec, WorkerId,
};

use super::draw::{Look, tree};
use super::*;

/// Events of a job, each with the second at which it happened.
pub(crate) struct Story(pub(crate) Vec<Envelope>);

impl Story {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    fn add(mut self, second: i64, event: JobEvent) -> Self {
        let seq = self.0.len() as u64 + 1;
        let job = JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap();
        let at = Timestamp::from_second(1_700_000_000 + second).unwrap();
        self.0.push(Envelope {
            v: 1,
            seq,
            at,
            job,
            cursor: None,
            event,
        });
        self
    }

    /// The demo's plan, submitted and started.
    pub(crate) fn demo() -> Self {
        let subtask = |id: &str, title: &str, after: &[&str]| SubtaskSpec {
            id: id.to_owned(),
            title: Some(title.to_owned()),
            prompt: "do it".to_owned(),
            depends_on: after.iter().map(|id| (*id).to_owned()).collect(),
            ..SubtaskSpec::default()
        };
        let plan = PlanSpec {
            subtasks: vec![
                subtask("api", "REST API", &[]),
                subtask("tests", "Tests", &[]),
                subtask("verify", "Run the tests against the API", &["api", "tests"]),
            ],
        };
        let spec = JobSpec {
            goal: "\nBuild a REST API for user management, with tests\nmore".to_owned(),
            plan: PlanSource::Given { plan: plan.clone() },
            repo: None,
            base: None,
            limits: JobLimits::default(),
            approval: Approval::Auto,
            agent: serde_json::Value::Null,
            owner: "user".to_owned(),
        };
        Self::new()
            .add(0, JobEvent::JobSubmitted { spec })
            .add(0, JobEvent::JobPlanned { revision: 1, plan })
            .add(0, JobEvent::JobStarted { approved_by: None })
    }

    pub(crate) fn started(self, second: i64, name: &str, attempt: u32) -> Self {
        let (subtask, attempt) = (id(name), Attempt(attempt));
        self.add(
            second,
            JobEvent::SubtaskStarted {
                subtask: subtask.clone(),
                attempt,
            },
        )
        .add(
            second,
            JobEvent::SubtaskPrepared {
                subtask: subtask.clone(),
                attempt,
                base: commit(),
                workspace: "/w".to_owned(),
            },
        )
        .add(
            second + 1,
            JobEvent::WorkerLaunched {
                subtask: subtask.clone(),
                attempt,
                worker: WorkerId::parse(format!("5b7c9e01-{name}-{attempt}")).unwrap(),
                endpoint: "http://127.0.0.1:4011/".to_owned(),
            },
        )
        .add(
            second + 2,
            JobEvent::WorkerAccepted {
                subtask,
                attempt,
                task: WorkerTask {
                    task: "t".to_owned(),
                    context: "c".to_owned(),
                },
            },
        )
    }

    pub(crate) fn text(self, second: i64, name: &str, text: &str) -> Self {
        let (subtask, attempt) = (id(name), Attempt(1));
        self.add(
            second,
            JobEvent::AgentText {
                subtask,
                attempt,
                text: text.to_owned(),
            },
        )
    }

    pub(crate) fn tool(self, second: i64, name: &str, call: &str, title: &str) -> Self {
        let (subtask, attempt) = (id(name), Attempt(1));
        let (call, title) = (call.to_owned(), title.to_owned());
        self.add(
            second,
            JobEvent::ToolStarted {
                subtask,
                attempt,
                call,
                title,
                kind: None,
            },
        )
    }

    pub(crate) fn tool_end(self, second: i64, name: &str, call: &str, status: ToolStatus) -> Self {
        let (subtask, attempt) = (id(name), Attempt(1));
        self.add(
            second,
            JobEvent::ToolFinished {
                subtask,
                attempt,
                call: call.to_owned(),
                status,
            },
        )
    }

    pub(crate) fn ended(self, second: i64, name: &str, outcome: Outcome) -> Self {
        let (subtask, attempt) = (id(name), Attempt(1));
        self.add(
            second,
            JobEvent::AttemptEnded {
                subtask,
                attempt,
                outcome,
            },
        )
    }

    pub(crate) fn merged(self, second: i64, name: &str, files: usize) -> Self {
        let (subtask, attempt) = (id(name), Attempt(1));
        let files = (0..files).map(|i| format!("f{i}")).collect();
        self.ended(second, name, Outcome::Completed).add(
            second,
            JobEvent::SubtaskMerged {
                subtask,
                attempt,
                commit: commit(),
                files,
            },
        )
    }

    pub(crate) fn completed(self, second: i64) -> Self {
        let files = (0..12).map(|i| format!("f{i}")).collect();
        let result = JobResult {
            commit: commit(),
            branch: "result".to_owned(),
            files,
        };
        self.add(second, JobEvent::JobIntegrating)
            .add(second, JobEvent::JobCompleted { result })
    }

    pub(crate) fn failed(self, second: i64, name: &str, message: &str, skipped: &str) -> Self {
        let outcome = Outcome::Failed {
            message: message.to_owned(),
        };
        let message = format!("subtask {name} failed: {outcome}");
        self.ended(second, name, outcome.clone())
            .add(
                second,
                JobEvent::SubtaskFailed {
                    subtask: id(name),
                    outcome,
                },
            )
            .add(
                second,
                JobEvent::SubtaskSkipped {
                    subtask: id(skipped),
                    because: id(name),
                },
            )
            .add(
                second,
                JobEvent::JobFailed {
                    reason: FailReason::Workspace {
                        message: message.clone(),
                    },
                    message,
                },
            )
    }

    pub(crate) fn asks(self, second: i64, name: &str, question: &str) -> Self {
        let (subtask, attempt) = (id(name), Attempt(1));
        self.add(
            second,
            JobEvent::InputRequired {
                subtask,
                attempt,
                question: question.to_owned(),
            },
        )
    }

    pub(crate) fn unreachable(self, second: i64, name: &str) -> Self {
        let (subtask, attempt) = (id(name), Attempt(1));
        let message = "connection refused".to_owned();
        self.add(
            second,
            JobEvent::WorkerUnreachable {
                subtask,
                attempt,
                message,
            },
        )
    }

    pub(crate) fn cancelled(self, second: i64, names: &[&str]) -> Self {
        let reason = StopReason::User {
            by: "user".to_owned(),
        };
        let story = self.add(second, JobEvent::JobCancelRequested { reason });
        names
            .iter()
            .fold(story, |story, name| {
                story.add(second + 1, JobEvent::SubtaskCancelled { subtask: id(name) })
            })
            .add(second + 1, JobEvent::JobCancelled)
    }
}

fn id(name: &str) -> SubtaskId {
    SubtaskId::parse(name).unwrap()
}

fn commit() -> CommitId {
    CommitId::parse("a".repeat(40)).unwrap()
}

fn draw(story: &Story, second: i64, width: usize, height: usize) -> String {
    let mut board = Board::new();
    for envelope in &story.0 {
        board.apply(envelope);
    }
    let now = Timestamp::from_second(1_700_000_000 + second).unwrap();
    let look = Look {
        width,
        height,
        colors: false,
        frame: 2,
    };
    let lines = tree(&board, now, look);
    for line in &lines {
        assert!(console::measure_text_width(line) <= width, "{line:?}");
    }
    lines.join("\n")
}

#[test]
fn a_job_at_work() {
    let story = Story::demo()
        .started(0, "api", 1)
        .started(0, "tests", 1)
        .text(4, "api", "First the model.\nThen the ha")
        .text(5, "api", "ndlers, \u{1b}[31mone by one")
        .tool(6, "tests", "c1", "write tests/test_users.py");
    insta::assert_snapshot!(draw(&story, 42, 80, 24));
}

#[test]
fn a_job_that_is_done() {
    let story = Story::demo()
        .started(0, "api", 1)
        .merged(31, "api", 6)
        .started(0, "tests", 2)
        .merged(40, "tests", 1)
        .started(41, "verify", 1)
        .merged(3700, "verify", 0)
        .completed(3701);
    insta::assert_snapshot!(draw(&story, 9999, 80, 24));
}

#[test]
fn a_job_that_failed() {
    let story = Story::demo()
        .started(0, "api", 1)
        .started(0, "tests", 1)
        .failed(
            9,
            "tests",
            "the model refused the key (401); check ANTHROPIC_API_KEY",
            "verify",
        );
    insta::assert_snapshot!(draw(&story, 60, 72, 24));
}

#[test]
fn a_job_with_trouble() {
    let story = Story::demo()
        .started(0, "api", 1)
        .unreachable(9, "api")
        .started(0, "tests", 1)
        .asks(10, "tests", "May I run `rm -rf build`?");
    insta::assert_snapshot!(draw(&story, 11, 80, 24));
    let story = story.cancelled(20, &["api", "tests", "verify"]);
    insta::assert_snapshot!(draw(&story, 60, 80, 24));
}

#[test]
fn a_narrow_and_low_terminal_gets_less() {
    let story = Story::demo()
        .started(0, "api", 1)
        .merged(31, "api", 6)
        .started(0, "tests", 1)
        .text(33, "tests", "a long line that does not fit anywhere");
    insta::assert_snapshot!(draw(&story, 42, 40, 4));
    // Whatever the size, nothing is wider than it, and nothing panics.
    for width in 0..60 {
        for height in 0..6 {
            let mut board = Board::new();
            story.0.iter().for_each(|envelope| board.apply(envelope));
            let look = Look {
                width,
                height,
                colors: true,
                frame: usize::MAX,
            };
            let _ = tree(&board, Timestamp::UNIX_EPOCH, look);
        }
    }
}

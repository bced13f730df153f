//! Whole runs as short texts: what is told to the job, against the events and effects that come of it.

use jiff::Timestamp;
use pretty_assertions::assert_eq;

use super::{ApplyError, Outside};
use crate::aggregate::ArtifactChunk;
use crate::effect::Effect;
use crate::event::{EVENT_VERSION, Envelope, JobEvent, ToolStatus};
use crate::ids::{Attempt, CommitId, JobId, SubtaskId, WorkerId};
use crate::job::{Approval, Job, JobLimits, JobSpec, PlanSource, WorkerTask};
use crate::outcome::{Conflict, FailReason, JobResult, Outcome, StopReason};
use crate::plan::PlanSpec;
use crate::plan::tests::spec;

pub(super) fn job_id() -> JobId {
    JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap()
}

pub(super) fn commit(n: u8) -> CommitId {
    CommitId::parse(format!("{n:040x}")).unwrap()
}

pub(super) fn artifact(name: &str, size: u64) -> ArtifactChunk {
    ArtifactChunk {
        id: name.to_owned(),
        name: name.to_owned(),
        path: name.to_owned(),
        media_type: "text/plain".to_owned(),
        size,
        append: false,
        last: true,
    }
}

pub(super) fn spec_of(plan: PlanSpec) -> JobSpec {
    JobSpec {
        goal: "build it".to_owned(),
        plan: PlanSource::Given { plan },
        repo: None,
        base: None,
        limits: JobLimits::default(),
        approval: Approval::Auto,
        agent: serde_json::Value::Null,
        owner: "ann".to_owned(),
    }
}

/// Room for everything, and no luck.
pub(super) const ROOM: Outside = Outside {
    slots: 8,
    dice: 0,
    probe: false,
};

/// A job that is told things in short words and keeps the transcript.
struct Run {
    job: Job,
    now: Timestamp,
    lines: Vec<String>,
}

impl Run {
    fn new(plan: &str, change: impl FnOnce(&mut JobSpec)) -> Self {
        let mut job_spec = spec_of(spec(plan));
        change(&mut job_spec);
        let now = Timestamp::UNIX_EPOCH;
        let first = JobEvent::JobSubmitted { spec: job_spec };
        let (job, effects) = Job::create(job_id(), now, &first).unwrap();
        let mut run = Self {
            job,
            now,
            lines: Vec::new(),
        };
        run.note(&first, &effects);
        run
    }

    fn tell(&mut self, event: &JobEvent) {
        match self.job.apply(self.now, event) {
            Ok(effects) => self.note(event, &effects),
            Err(error) => self.lines.push(format!("refused: {error}")),
        }
        while let Some(event) = self.job.decide(self.now, ROOM) {
            let effects = self.job.apply(self.now, &event).unwrap();
            self.note(&event, &effects);
        }
    }

    fn note(&mut self, event: &JobEvent, effects: &[Effect]) {
        let mut line = event.name().to_owned();
        if let Ok(value) = serde_json::to_value(event) {
            for key in ["subtask", "attempt", "message", "because", "not_before"] {
                if let Some(value) = value.get(key) {
                    line += &format!(" {}", value.to_string().trim_matches('"'));
                }
            }
            if let Some(kind) = value.get("outcome").and_then(|outcome| outcome.get("kind")) {
                line += &format!(" {}", kind.as_str().unwrap_or_default());
            }
        }
        for effect in effects {
            line += &match effect {
                Effect::MakePlan => " => plan".to_owned(),
                Effect::Prepare { subtask, from, .. } => {
                    let from: Vec<String> = from.iter().map(|(id, _)| id.to_string()).collect();
                    format!(" => prepare {subtask} from [{}]", from.join(" "))
                }
                Effect::Launch { subtask, .. } => format!(" => launch {subtask}"),
                Effect::Send { subtask, .. } => format!(" => send {subtask}"),
                Effect::Tell {
                    subtask, message, ..
                } => format!(" => tell {subtask} {message}"),
                Effect::Merge { subtask, .. } => format!(" => merge {subtask}"),
                Effect::CancelAttempt { subtask, .. } => format!(" => cancel {subtask}"),
                Effect::Fence { subtask, .. } => format!(" => fence {subtask}"),
                Effect::StopWorker { worker, .. } => format!(" => stop {worker}"),
                Effect::Finish { leaves } => {
                    let leaves: Vec<String> = leaves.iter().map(|(id, _)| id.to_string()).collect();
                    format!(" => finish [{}]", leaves.join(" "))
                }
            };
        }
        self.lines.push(line);
    }

    /// One word per thing told, such as `launched:a`, `lost:a`, `wait:5`; the attempt is the one under way.
    fn word(&mut self, word: &str) {
        let (what, of) = word.split_once(':').unwrap_or((word, ""));
        if what == "wait" {
            self.now = crate::job::after(self.now, of.parse().unwrap());
        }
        let (of, attempt) = of
            .split_once('/')
            .map_or((of, None), |(of, n)| (of, n.parse().ok().map(Attempt)));
        let subtask = || SubtaskId::parse(of).unwrap();
        let current = SubtaskId::parse(of)
            .ok()
            .and_then(|id| Some(self.job.subtask(&id)?.current()?.attempt));
        let attempt = attempt.or(current).unwrap_or(Attempt::FIRST);
        let ended = |outcome| JobEvent::AttemptEnded {
            subtask: subtask(),
            attempt,
            outcome,
        };
        let message = "gone".to_owned();
        let event = match what {
            "wait" => JobEvent::MergeConflict {
                subtask: None,
                conflict: Conflict {
                    files: vec![],
                    subtasks: vec![],
                },
            },
            "planned" => {
                let PlanSource::Given { plan } = &self.job.spec().plan else {
                    panic!("no plan")
                };
                JobEvent::JobPlanned {
                    revision: 1,
                    plan: plan.clone(),
                }
            }
            "rejected" => JobEvent::PlanRejected {
                problems: vec!["a -> a".to_owned(), "no prompt".to_owned()],
            },
            "approve" => JobEvent::JobStarted {
                approved_by: Some("ann".to_owned()),
            },
            "cancel" => JobEvent::JobCancelRequested {
                reason: StopReason::User {
                    by: "ann".to_owned(),
                },
            },
            "prepared" => JobEvent::SubtaskPrepared {
                subtask: subtask(),
                attempt,
                base: commit(1),
                workspace: "w".to_owned(),
            },
            "launched" => JobEvent::WorkerLaunched {
                subtask: subtask(),
                attempt,
                worker: WorkerId::of(&job_id(), &subtask(), attempt),
                endpoint: "http://w".to_owned(),
            },
            "ready" => JobEvent::WorkerReady {
                subtask: subtask(),
                attempt,
            },
            "text" => JobEvent::AgentText {
                subtask: subtask(),
                attempt,
                text: "hello".to_owned(),
            },
            "ok" => ended(Outcome::Completed),
            "failed" => ended(Outcome::Failed { message }),
            "lost" => ended(Outcome::Lost { message }),
            "unlaunched" => ended(Outcome::LaunchFailed { message }),
            "conflict" => {
                let conflict = Conflict {
                    files: vec!["x.rs".to_owned()],
                    subtasks: vec![subtask()],
                };
                ended(Outcome::Conflict { conflict })
            }
            "merged" => JobEvent::SubtaskMerged {
                subtask: subtask(),
                attempt,
                commit: commit(2),
                files: vec![],
            },
            "unreachable" => JobEvent::WorkerUnreachable {
                subtask: subtask(),
                attempt,
                message,
            },
            "gone" => JobEvent::WorkerGone {
                subtask: subtask(),
                attempt,
                message,
            },
            "reachable" => JobEvent::WorkerReachable {
                subtask: subtask(),
                attempt,
            },
            "fenced" => JobEvent::WorkerFenced {
                subtask: subtask(),
                attempt,
            },
            "not-fenced" => JobEvent::WorkerNotFenced {
                subtask: subtask(),
                attempt,
                message,
            },
            "resumed" => JobEvent::JobResumed,
            "paused" => JobEvent::ProviderPaused {
                provider: "p".to_owned(),
                until: crate::job::after(self.now, 30),
                message,
            },
            "provider-back" => JobEvent::ProviderResumed {
                provider: "p".to_owned(),
            },
            "model" => ended(Outcome::ModelFailed { message }),
            "stopped" => JobEvent::WorkerStopped {
                subtask: subtask(),
                attempt,
                unconfirmed: None,
            },
            "done" => {
                let result = JobResult {
                    commit: commit(9),
                    branch: "result".to_owned(),
                    files: vec![],
                };
                JobEvent::JobCompleted { result }
            }
            // The whole way of one subtask.
            "do" => {
                for step in ["prepared", "launched", "ready", "ok", "merged"] {
                    self.word(&format!("{step}:{of}"));
                }
                return;
            }
            other => panic!("unknown word {other}"),
        };
        if what == "wait" {
            while let Some(event) = self.job.decide(self.now, ROOM) {
                let effects = self.job.apply(self.now, &event).unwrap();
                self.note(&event, &effects);
            }
        } else {
            self.tell(&event);
        }
    }
}

/// Runs `words` against `plan` and compares the transcript from the first word on.
fn check(plan: &str, words: &str, expect: &str) {
    check_spec(plan, |_| {}, words, expect);
}

fn check_spec(plan: &str, change: impl FnOnce(&mut JobSpec), words: &str, expect: &str) {
    let mut run = Run::new(plan, change);
    run.word("planned");
    run.lines.clear();
    words.split_whitespace().for_each(|word| run.word(word));
    let expect: Vec<&str> = expect
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(run.lines, expect, "for {words:?}");
}

#[test]
fn a_diamond_runs_from_end_to_end() {
    let mut run = Run::new("a b:a c:a d:b,c", |_| {});
    "planned do:a do:c do:b do:d done"
        .split_whitespace()
        .for_each(|word| run.word(word));
    insta::assert_snapshot!(run.lines.join("\n"), @r#"
    job.submitted => plan
    job.planned
    job.started
    subtask.started a 1 => prepare a from []
    subtask.prepared a 1 => launch a
    worker.launched a 1 => send a
    worker.ready a 1
    attempt.ended a 1 completed => stop 5b7c9e01-a-1 => merge a
    subtask.merged a 1
    subtask.started b 1 => prepare b from [a]
    subtask.started c 1 => prepare c from [a]
    subtask.prepared c 1 => launch c
    worker.launched c 1 => send c
    worker.ready c 1
    attempt.ended c 1 completed => stop 5b7c9e01-c-1 => merge c
    subtask.merged c 1
    subtask.prepared b 1 => launch b
    worker.launched b 1 => send b
    worker.ready b 1
    attempt.ended b 1 completed => stop 5b7c9e01-b-1 => merge b
    subtask.merged b 1
    subtask.started d 1 => prepare d from [b c]
    subtask.prepared d 1 => launch d
    worker.launched d 1 => send d
    worker.ready d 1
    attempt.ended d 1 completed => stop 5b7c9e01-d-1 => merge d
    subtask.merged d 1
    job.integrating => finish [d]
    job.completed
    "#);
}

#[test]
fn a_lost_worker_is_replaced_once_and_not_twice() {
    check(
        "a",
        "prepared:a launched:a lost:a ok:a/1 fenced:a wait:1 wait:1 ok:a/1 unlaunched:a fenced:a",
        "subtask.prepared a 1 => launch a
         worker.launched a 1 => send a
         attempt.ended a 1 lost => fence a
         refused: attempt.ended: attempt 1 at subtask a is not the one under way
         worker.fenced a 1
         retry.scheduled a 2 1970-01-01T00:00:02Z
         subtask.started a 2 => prepare a from []
         refused: attempt.ended: attempt 1 at subtask a is not the one under way
         attempt.ended a 2 launch_failed => fence a
         worker.fenced a 2
         subtask.failed a launch_failed
         job.failed subtask a failed: the worker did not start: gone",
    );
}

#[test]
fn a_worker_out_of_reach_is_given_up_only_after_a_while_and_only_when_it_is_stopped() {
    check_spec(
        "a",
        |spec| spec.limits.unreachable_seconds = Some(100),
        "prepared:a launched:a unreachable:a unreachable:a wait:99 reachable:a wait:99 unreachable:a wait:60 resumed \
         wait:60 text:a wait:40 text:a wait:9000 not-fenced:a wait:9000 fenced:a",
        "subtask.prepared a 1 => launch a
         worker.launched a 1 => send a
         worker.unreachable a 1 gone
         refused: worker.unreachable cannot happen while the job is running
         worker.reachable a 1
         worker.unreachable a 1 gone
         job.resumed
         agent.text a 1
         attempt.ended a 1 unknown => fence a
         refused: agent.text: attempt 1 at subtask a is not the one under way
         worker.not_fenced a 1 gone
         worker.fenced a 1
         retry.scheduled a 2 1970-01-01T05:06:00Z",
    );
}

#[test]
fn a_worker_that_is_gone_may_come_back_within_a_moment() {
    check(
        "a",
        "prepared:a launched:a unreachable:a gone:a gone:a unreachable:a wait:2 reachable:a wait:9 gone:a wait:3",
        "subtask.prepared a 1 => launch a
         worker.launched a 1 => send a
         worker.unreachable a 1 gone
         worker.gone a 1 gone
         refused: worker.gone cannot happen while the job is running
         refused: worker.unreachable cannot happen while the job is running
         worker.reachable a 1
         worker.gone a 1 gone
         attempt.ended a 1 lost => fence a",
    );
}

#[test]
fn each_class_of_failure_has_its_own_number_of_retries_and_its_own_wait() {
    check_spec(
        "a",
        |spec| spec.limits.retries.agent = Some(1),
        "prepared:a launched:a failed:a wait:2 prepared:a launched:a model:a wait:15 prepared:a launched:a lost:a \
         fenced:a wait:2 prepared:a launched:a model:a",
        "subtask.prepared a 1 => launch a
         worker.launched a 1 => send a
         attempt.ended a 1 failed => stop 5b7c9e01-a-1
         retry.scheduled a 2 1970-01-01T00:00:02Z
         subtask.started a 2 => prepare a from []
         subtask.prepared a 2 => launch a
         worker.launched a 2 => send a
         attempt.ended a 2 model_failed => stop 5b7c9e01-a-2
         retry.scheduled a 3 1970-01-01T00:00:17Z
         subtask.started a 3 => prepare a from []
         subtask.prepared a 3 => launch a
         worker.launched a 3 => send a
         attempt.ended a 3 lost => fence a
         worker.fenced a 3
         retry.scheduled a 4 1970-01-01T00:00:19Z
         subtask.started a 4 => prepare a from []
         subtask.prepared a 4 => launch a
         worker.launched a 4 => send a
         attempt.ended a 4 model_failed => stop 5b7c9e01-a-4
         subtask.failed a model_failed
         job.failed subtask a failed: the model failed: gone",
    );
}

#[test]
fn a_paused_provider_holds_back_what_would_start_and_nothing_else() {
    check(
        "a b:a",
        "paused do:a wait:100 provider-back provider-back",
        "provider.paused gone
         subtask.prepared a 1 => launch a
         worker.launched a 1 => send a
         worker.ready a 1
         attempt.ended a 1 completed => stop 5b7c9e01-a-1 => merge a
         subtask.merged a 1
         provider.resumed
         subtask.started b 1 => prepare b from [a]
         refused: provider.resumed cannot happen while the job is running",
    );
}

#[test]
fn a_log_of_a_captain_without_fences_is_still_read() {
    // As versions before 2 wrote it: the decision follows the end at once.
    let subtask = r#""subtask":"a""#;
    let lines = [
        r#"{"type":"job.submitted","spec":{"goal":"g","plan":{"from":"given","plan":{"subtasks":[{"id":"a","prompt":"p","limits":{"attempts":3}}]}},"limits":{"attempts":2,"time_seconds":9000},"owner":"ann"}}"#.to_owned(),
        r#"{"type":"job.planned","revision":1,"plan":{"subtasks":[{"id":"a","prompt":"p","limits":{"attempts":3}}]}}"#.to_owned(),
        r#"{"type":"job.started"}"#.to_owned(),
        format!(r#"{{"type":"subtask.started",{subtask},"attempt":1}}"#),
        format!(r#"{{"type":"subtask.prepared",{subtask},"attempt":1,"base":"{}","workspace":"/w"}}"#, commit(1)),
        format!(r#"{{"type":"worker.launched",{subtask},"attempt":1,"worker":"5b7c9e01-a-1","endpoint":"http://w"}}"#),
        format!(r#"{{"type":"worker.ready",{subtask},"attempt":1}}"#),
        format!(r#"{{"type":"worker.accepted",{subtask},"attempt":1,"task":{{"task":"t","context":"c"}}}}"#),
        format!(r#"{{"type":"agent.text",{subtask},"attempt":1,"text":"hi"}}"#),
        format!(r#"{{"type":"worker.unreachable",{subtask},"attempt":1,"message":"refused"}}"#),
        format!(r#"{{"type":"attempt.ended",{subtask},"attempt":1,"outcome":{{"kind":"lost","message":"killed"}}}}"#),
        format!(r#"{{"type":"retry.scheduled",{subtask},"attempt":2,"not_before":"2026-01-01T00:00:02Z"}}"#),
        format!(r#"{{"type":"subtask.started",{subtask},"attempt":2}}"#),
        format!(r#"{{"type":"attempt.ended",{subtask},"attempt":2,"outcome":{{"kind":"launch_failed","message":"no"}}}}"#),
        format!(r#"{{"type":"subtask.failed",{subtask},"outcome":{{"kind":"launch_failed","message":"no"}}}}"#),
        r#"{"type":"job.failed","reason":{"kind":"subtasks","failed":[{"subtask":"a","outcome":{"kind":"launch_failed","message":"no"}}],"skipped":[]},"message":"m"}"#.to_owned(),
    ];
    let read = |line: &String| -> JobEvent { serde_json::from_str(line).unwrap() };
    let events: Vec<JobEvent> = lines.iter().map(read).collect();
    let at = Timestamp::UNIX_EPOCH;
    let job = Job::replay(job_id(), events.iter().map(|event| (at, event))).unwrap();
    assert_eq!(job.state().name(), "failed");
    // One that ended between the end and the decision makes sure of the worker first.
    let job = Job::replay(job_id(), events[..11].iter().map(|event| (at, event))).unwrap();
    assert!(matches!(job.pending_effects()[..], [Effect::Fence { .. }]));
    assert_eq!(job.decide(at, ROOM), None);
}

#[test]
fn a_failed_subtask_skips_what_depends_on_it_and_nothing_else() {
    check(
        "a b:a c:b d",
        "prepared:a launched:a ready:a failed:a do:d",
        "subtask.prepared a 1 => launch a
         worker.launched a 1 => send a
         worker.ready a 1
         attempt.ended a 1 failed => stop 5b7c9e01-a-1
         subtask.failed a failed
         subtask.skipped b a
         subtask.skipped c a
         subtask.prepared d 1 => launch d
         worker.launched d 1 => send d
         worker.ready d 1
         attempt.ended d 1 completed => stop 5b7c9e01-d-1 => merge d
         subtask.merged d 1
         job.failed subtask a failed: the agent failed: gone; not started because of that: b, c",
    );
}

#[test]
fn a_conflict_names_files_and_subtasks() {
    check(
        "a",
        "conflict:a",
        "attempt.ended a 1 conflict => stop 5b7c9e01-a-1
         subtask.failed a conflict
         job.failed subtask a failed: the results of a conflict in x.rs",
    );
}

#[test]
fn a_cancel_waits_until_every_worker_has_stopped() {
    check_spec(
        "a b c:a",
        |spec| spec.limits.max_parallel = Some(1),
        "prepared:a cancel cancel launched:a text:a ok:a stopped:a done",
        "subtask.prepared a 1 => launch a
         job.cancel_requested => cancel a
         subtask.cancelled b
         subtask.cancelled c
         refused: job.cancel_requested cannot happen while the job is cancelling
         refused: worker.launched cannot happen while the job is cancelling
         agent.text a 1
         refused: attempt.ended cannot happen while the job is cancelling
         worker.stopped a 1
         subtask.cancelled a
         job.cancelled
         refused: job.completed: the job has already ended as cancelled",
    );
}

#[test]
fn limits_of_time_end_attempts_and_jobs() {
    check_spec(
        "a b",
        |spec| {
            spec.limits.time_seconds = Some(20);
            let PlanSource::Given { plan } = &mut spec.plan else {
                panic!("no plan")
            };
            plan.subtasks[0].limits.time_seconds = Some(10);
        },
        "prepared:a launched:a wait:9 wait:1 wait:10 stopped:b",
        "subtask.prepared a 1 => launch a
         worker.launched a 1 => send a
         attempt.ended a 1 timed_out => stop 5b7c9e01-a-1
         subtask.failed a timed_out
         job.cancel_requested => cancel b
         worker.stopped b 1
         subtask.cancelled b
         job.failed the job was not done within its limit of 20 s",
    );
}

#[test]
fn a_plan_can_wait_for_a_person_or_be_rejected() {
    check_spec(
        "a",
        |spec| spec.approval = Approval::Manual,
        "wait:100 approve approve",
        "job.started
         subtask.started a 1 => prepare a from []
         refused: job.started cannot happen while the job is running",
    );
}

#[test]
fn a_rejected_plan_fails_the_job() {
    let mut run = Run::new("a", |_| {});
    run.word("rejected");
    assert_eq!(
        run.lines[1..],
        [
            "plan.rejected",
            "job.failed there is no valid plan: a -> a; no prompt"
        ]
    );
}

#[test]
fn a_log_begins_with_a_submission() {
    let error = Job::create(job_id(), Timestamp::UNIX_EPOCH, &JobEvent::JobCancelled).unwrap_err();
    assert_eq!(
        error,
        ApplyError::NotSubmitted {
            event: "job.cancelled"
        }
    );
}

#[test]
fn events_have_a_form_that_stays() {
    let subtask = || SubtaskId::parse("a").unwrap();
    let attempt = Attempt(2);
    let event = |event| Envelope {
        v: EVENT_VERSION,
        seq: 7,
        at: Timestamp::UNIX_EPOCH,
        job: job_id(),
        cursor: Some(3),
        event,
    };
    let samples = [
        JobEvent::JobSubmitted {
            spec: spec_of(spec("a b:a")),
        },
        JobEvent::JobFailed {
            reason: FailReason::TimeLimit { seconds: 5 },
            message: "late".to_owned(),
        },
        JobEvent::AgentText {
            subtask: subtask(),
            attempt,
            text: "hi".to_owned(),
        },
        JobEvent::ToolFinished {
            subtask: subtask(),
            attempt,
            call: "c".to_owned(),
            status: ToolStatus::Failed,
        },
        JobEvent::WorkerAccepted {
            subtask: subtask(),
            attempt,
            task: WorkerTask {
                task: "t".to_owned(),
                context: "c".to_owned(),
            },
        },
        JobEvent::ArtifactMade {
            subtask: subtask(),
            attempt,
            artifact: artifact("x", 4),
        },
        JobEvent::AttemptEnded {
            subtask: subtask(),
            attempt,
            outcome: Outcome::TimedOut { seconds: 9 },
        },
    ];
    let lines: Vec<String> = samples
        .into_iter()
        .map(|sample| {
            let line = serde_json::to_string(&event(sample.clone())).unwrap();
            assert_eq!(
                serde_json::from_str::<Envelope>(&line).unwrap(),
                event(sample)
            );
            line
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"v":1,"seq":7,"at":"1970-01-01T00:00:00Z","job":"0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01","cursor":3,"event":{"type":"job.submitted","spec":{"goal":"build it","plan":{"from":"given","plan":{"subtasks":[{"id":"a","prompt":"do a"},{"id":"b","prompt":"do b","depends_on":["a"]}]}},"limits":{},"approval":"auto","agent":null,"owner":"ann"}}}
    {"v":1,"seq":7,"at":"1970-01-01T00:00:00Z","job":"0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01","cursor":3,"event":{"type":"job.failed","reason":{"kind":"time_limit","seconds":5},"message":"late"}}
    {"v":1,"seq":7,"at":"1970-01-01T00:00:00Z","job":"0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01","cursor":3,"event":{"type":"agent.text","subtask":"a","attempt":2,"text":"hi"}}
    {"v":1,"seq":7,"at":"1970-01-01T00:00:00Z","job":"0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01","cursor":3,"event":{"type":"tool.finished","subtask":"a","attempt":2,"call":"c","status":"failed"}}
    {"v":1,"seq":7,"at":"1970-01-01T00:00:00Z","job":"0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01","cursor":3,"event":{"type":"worker.accepted","subtask":"a","attempt":2,"task":{"task":"t","context":"c"}}}
    {"v":1,"seq":7,"at":"1970-01-01T00:00:00Z","job":"0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01","cursor":3,"event":{"type":"artifact.made","subtask":"a","attempt":2,"artifact":{"id":"x","name":"x","path":"x","media_type":"text/plain","size":4,"append":false,"last":true}}}
    {"v":1,"seq":7,"at":"1970-01-01T00:00:00Z","job":"0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01","cursor":3,"event":{"type":"attempt.ended","subtask":"a","attempt":2,"outcome":{"kind":"timed_out","seconds":9}}}
    "#);
}

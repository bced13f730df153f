//! What an attempt's worker is asked: the subtask's own text first, then what the subtask is a part of, then what the
//! user said since. Pure, and the same for every captain that asks again, because only what was there when the attempt
//! began goes in.

use captain_core::job::PlanSource;
use captain_core::{Job, SubtaskId};

/// The prompt of an attempt that began when there were `heard` messages; none if there is no such subtask.
pub(super) fn compose(job: &Job, subtask: &SubtaskId, heard: u32) -> Option<String> {
    let mut prompt = job.plan()?.get(subtask)?.prompt.clone();
    if let Some(goal) = goal(job, &prompt) {
        prompt.push_str(
            "\n\nThis is one part of a larger job; do this part only. The goal of the whole job:\n",
        );
        quote(&mut prompt, goal);
    }
    let mut messages = job.heard_by(subtask, heard).peekable();
    if messages.peek().is_some() {
        prompt.push_str("\n\nThe user has said since then, oldest first:\n");
    }
    for message in messages {
        quote(&mut prompt, &message.text);
        prompt.push('\n');
    }
    Some(prompt)
}

/// The job's goal, where it says more than the prompt: a plan that was made from the goal holds it already.
fn goal<'a>(job: &'a Job, prompt: &str) -> Option<&'a str> {
    let spec = job.spec();
    let goal = spec.goal.trim();
    let given = matches!(spec.plan, PlanSource::Given { .. });
    (given && !goal.is_empty() && !prompt.contains(goal)).then_some(goal)
}

/// Appends a text so that it can be told from the subtask's own.
fn quote(prompt: &mut String, text: &str) {
    let lines: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
    prompt.push_str(&lines.join("\n"));
}

#[cfg(test)]
mod tests {
    use captain_core::JobEvent;
    use jiff::Timestamp;
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::engine::test_support::{job, spec};

    fn planned(goal: &str) -> Job {
        let mut submitted = job("a b");
        goal.clone_into(&mut submitted.goal);
        let id = captain_core::JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let first = JobEvent::JobSubmitted { spec: submitted };
        let (mut job, _) = Job::create(id, now, &first).unwrap();
        let plan = spec("a b");
        job.apply(now, &JobEvent::JobPlanned { revision: 1, plan })
            .unwrap();
        job
    }

    fn say(job: &mut Job, message: u32, text: &str, to: Option<&str>) {
        let event = JobEvent::MessageReceived {
            message,
            from: "ann".to_owned(),
            text: text.to_owned(),
            id: None,
            subtask: to.map(|id| SubtaskId::parse(id).unwrap()),
        };
        job.apply(Timestamp::UNIX_EPOCH, &event).unwrap();
    }

    #[test]
    fn a_prompt_holds_the_goal_and_what_was_said_before_it_began() {
        let mut job = planned("build it\nwell");
        say(&mut job, 1, "use tabs", None);
        say(&mut job, 2, "for b alone", Some("b"));
        say(&mut job, 3, "too late", None);
        let of = |name: &str| compose(&job, &SubtaskId::parse(name).unwrap(), 2);
        let goal = "This is one part of a larger job; do this part only. The goal of the whole job:\n> build it\n> well";
        assert_eq!(
            of("a").unwrap(),
            format!("do a\n\n{goal}\n\nThe user has said since then, oldest first:\n> use tabs\n")
        );
        assert!(of("b").unwrap().ends_with("> use tabs\n> for b alone\n"));
        assert_eq!(of("c"), None);
    }

    #[test]
    fn a_goal_that_is_in_the_prompt_is_not_said_twice() {
        let job = planned("do a");
        let of = |name: &str| compose(&job, &SubtaskId::parse(name).unwrap(), 0);
        assert_eq!(of("a").unwrap(), "do a");
        assert!(of("b").unwrap().ends_with("> do a"));
    }
}

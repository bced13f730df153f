//! The same story as plain lines.

use captain_core::event::ToolStatus;

use super::*;
use crate::cli::board::tests::Story;

fn told(story: &Story) -> String {
    let mut lines = Lines::default();
    let all: Vec<String> = story
        .0
        .iter()
        .flat_map(|envelope| lines.tell(envelope))
        .collect();
    all.join("\n")
}

#[test]
fn a_job_from_start_to_end() {
    let story = Story::demo()
        .started(0, "api", 1)
        .started(0, "tests", 1)
        .text(4, "api", "First the model.\nThen the ha")
        .text(5, "tests", "Tests \u{1b}[2Jfirst")
        .text(5, "api", "ndlers, one by one")
        .tool(6, "api", "c1", "write users_api/__init__.py")
        .tool_end(7, "api", "c1", ToolStatus::Completed)
        .tool(8, "tests", "c1", "python3 -m unittest")
        .tool_end(9, "tests", "c1", ToolStatus::Failed)
        .merged(31, "api", 6)
        .merged(32, "tests", 1)
        .started(33, "verify", 2)
        .merged(60, "verify", 0)
        .completed(61);
    insta::assert_snapshot!(told(&story));
}

#[test]
fn trouble_is_told_with_its_reason() {
    let story = Story::demo()
        .started(0, "api", 1)
        .unreachable(9, "api")
        .asks(10, "api", "May I?")
        .failed(20, "api", "no more steps", "verify");
    insta::assert_snapshot!(told(&story));
    let story = Story::demo()
        .started(0, "api", 1)
        .text(1, "api", "half a li")
        .cancelled(2, &["api", "tests"]);
    insta::assert_snapshot!(told(&story));
}

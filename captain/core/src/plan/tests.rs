//! Plans as a line each (`a b:a c:a,b`), against what the check says of them.

use super::{Bounds, Plan, PlanSpec, SubtaskSpec};
use crate::ids::SubtaskId;

pub(crate) fn spec(text: &str) -> PlanSpec {
    let subtasks = text
        .split_whitespace()
        .map(|word| {
            let (id, needs) = word.split_once(':').unwrap_or((word, ""));
            SubtaskSpec {
                id: id.to_owned(),
                prompt: format!("do {id}"),
                depends_on: needs
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect(),
                ..SubtaskSpec::default()
            }
        })
        .collect();
    PlanSpec { subtasks }
}

/// The order of a valid plan, or the problems of a bad one.
fn check(input: &str, expect: &str) {
    let got = match Plan::validate(spec(input), &Bounds::default()) {
        Ok(plan) => plan
            .topological()
            .map(SubtaskId::as_str)
            .collect::<Vec<_>>()
            .join(" "),
        Err(errors) => errors.lines().join("\n"),
    };
    assert_eq!(got, expect, "for {input:?}");
}

#[test]
fn valid_plans_have_one_stable_order() {
    check("a", "a");
    check("a b c", "a b c");
    check("c:a,b b a", "b a c");
    check("test:api,db docs api db", "docs api db test");
    check("d:b,c b:a c:a a", "a b c d");
}

#[test]
fn broken_graphs_are_named() {
    check("", "the plan is empty: it needs at least one subtask");
    check("a:b b:a", "subtasks wait for each other: a -> b -> a");
    check(
        "x:a a:b b:c c:a",
        "subtasks wait for each other: a -> b -> c -> a",
    );
    check("a:a", "subtask \"a\" depends on itself");
    check(
        "a b:a,a",
        "subtask \"b\" names its dependency \"a\" more than once",
    );
    check(
        "models rest:modles",
        "subtask \"rest\" depends on \"modles\", which is not in the plan; did you mean \"models\"?",
    );
    check(
        "models rest:zebra",
        "subtask \"rest\" depends on \"zebra\", which is not in the plan",
    );
    check(
        "a b a",
        "the id \"a\" is used by subtasks 1 and 3: ids must be unique",
    );
    check(
        "A_b",
        "subtask 1 has the id \"A_b\": an id is 1 to 63 of a-z, 0-9 and hyphen, not starting with a hyphen",
    );
}

#[test]
fn all_problems_come_in_one_go() {
    check(
        "a:b b:a c:d d:c e:nope -f:-f",
        "subtask 6 has the id \"-f\": an id is 1 to 63 of a-z, 0-9 and hyphen, not starting with a hyphen\n\
         subtask \"e\" depends on \"nope\", which is not in the plan\n\
         subtask \"-f\" depends on itself\n\
         subtasks wait for each other: a -> b -> a\n\
         subtasks wait for each other: c -> d -> c",
    );
}

#[test]
fn bounds_are_kept() {
    let mut input = spec("a b");
    input.subtasks[0].prompt = " \n".to_owned();
    input.subtasks[1].prompt = "x".repeat(11);
    input.subtasks[1].limits.attempts = Some(0);
    input.subtasks[1].limits.time_seconds = Some(u64::MAX);
    let bounds = Bounds {
        prompt_bytes: 10,
        ..Bounds::default()
    };
    let errors = Plan::validate(input, &bounds).unwrap_err();
    assert_eq!(
        errors.lines(),
        [
            "subtask \"a\" has an empty prompt: say what the agent is to do",
            "subtask \"b\" has a prompt (bytes) of 11, at most 10 are allowed",
            "subtask \"b\" has the limit time_seconds = 18446744073709551615: it must be from 1 to 604800",
            "subtask \"b\" has the limit attempts = 0: it must be from 1 to 10",
        ]
    );
    let errors = Plan::validate(
        spec("a b c"),
        &Bounds {
            subtasks: 2,
            ..Bounds::default()
        },
    )
    .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "the plan has 3 subtasks, at most 2 are allowed"
    );
    assert!(Plan::accepted(spec("a b c"), 7).is_ok_and(|plan| plan.revision() == 7));
}

#[test]
fn relations_are_answered() {
    let plan = Plan::validate(spec("a b:a c:a d:b,c e"), &Bounds::default()).unwrap();
    let id = |name: &str| SubtaskId::parse(name).unwrap();
    let names = |ids: Vec<&SubtaskId>| {
        ids.iter()
            .map(|id| id.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(plan.dependencies(&id("d")).collect()), "b c");
    assert_eq!(names(plan.dependents(&id("a")).collect()), "b c");
    assert_eq!(
        names(plan.ancestors(&id("d")).into_iter().collect()),
        "a b c"
    );
    assert_eq!(names(plan.leaves().collect()), "d e");
    assert_eq!(plan.dependencies(&id("nobody")).count(), 0);
}

#[test]
fn unknown_fields_are_refused() {
    let text = r#"{"subtasks":[{"id":"a","prompt":"p","dependson":["b"]}]}"#;
    let error = serde_json::from_str::<PlanSpec>(text)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("unknown field `dependson`, expected one of"),
        "{error}"
    );
}

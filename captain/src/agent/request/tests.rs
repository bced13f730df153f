//! What messages are understood to ask for, and what is said about those that cannot be understood.

use captain_core::job::Approval;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;

fn message(parts: Vec<Part>) -> Message {
    Message::user("m", parts)
}

fn with_metadata(mut message: Message, data: Value) -> Message {
    message.metadata = Some(Metadata::from_iter([(JOB_URI.to_owned(), data)]));
    message
}

#[test]
fn text_is_the_goal() {
    let asked = job(&message(vec![
        Part::text("Build it"),
        Part::raw("- a\n- b").with_filename("plan.md"),
    ]))
    .unwrap();
    assert_eq!(asked.goal.as_deref(), Some("Build it\n\n- a\n- b"));
    assert_eq!(asked.plan, None);
}

#[test]
fn a_plan_can_be_given_in_every_form() {
    let toml =
        "goal = \"g\"\nlimits = { max_parallel = 2 }\n[[subtasks]]\nid = \"a\"\nprompt = \"p\"\n";
    let plan = json!({"subtasks": [{"id": "a", "prompt": "p"}]});
    let mut whole = plan.clone();
    whole["goal"] = json!("g");
    whole["limits"] = json!({"max_parallel": 2});
    let body = json!({"goal": "g", "limits": {"max_parallel": 2}, "plan": plan});
    let forms = [
        message(vec![Part::text(toml).with_media_type("application/toml")]),
        message(vec![Part::raw(toml).with_filename("plan.toml")]),
        message(vec![
            Part::raw(whole.to_string()).with_media_type("application/json; charset=utf-8"),
        ]),
        message(vec![Part::data(whole)]),
        message(vec![Part::data(body.clone())]),
        with_metadata(
            message(vec![Part::text("g")]),
            json!({"limits": {"max_parallel": 2}, "plan": plan}),
        ),
    ];
    let expected: SubmitJob = serde_json::from_value(body).unwrap();
    for form in forms {
        assert_eq!(job(&form).unwrap(), expected, "{form:?}");
    }
}

#[test]
fn settings_can_be_given_beside_the_goal() {
    let settings = json!({"repo": "/srv/shop", "base": "main", "approval": "manual"});
    let asked = job(&with_metadata(
        message(vec![Part::text("Build it")]),
        settings,
    ))
    .unwrap();
    assert_eq!(asked.repo.as_deref(), Some("/srv/shop"));
    assert_eq!(asked.approval, Approval::Manual);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let text = || Part::text("g");
    for (asked, expected) in [
        (
            message(vec![Part::text(" ")]),
            "message.parts: say what is to be done",
        ),
        (
            message(vec![text(), Part::data(json!({"goal": "other"}))]),
            "message.parts: goal is given here and in message.parts[1]: give it once",
        ),
        (
            message(vec![text(), Part::data(json!([1]))]),
            "message.parts[1]: must be an object",
        ),
        (
            with_metadata(message(vec![text()]), json!({"rebo": "/x"})),
            "rebo: unknown field `rebo`",
        ),
        (
            message(vec![Part::data(json!({"plan": {"subtasks": [{"id": 7}]}}))]),
            "plan.subtasks[0].id: invalid type: integer `7`",
        ),
        (
            message(vec![Part::data(
                json!({"subtasks": [{"id": "a", "promt": "x"}]}),
            )]),
            "message.parts[0].subtasks[0].promt: unknown field",
        ),
        (
            message(vec![
                Part::text("[[subtasks]]\nid = 7\n").with_filename("p.toml"),
            ]),
            "message.parts[0]: p.toml:2:6: invalid type",
        ),
        (
            message(vec![Part::raw(vec![0xff]).with_media_type("text/plain")]),
            "message.parts[0]: is not UTF-8 text",
        ),
        (
            message(vec![Part::raw("x").with_media_type("image/png")]),
            "content type image/png is not supported",
        ),
        (
            message(vec![Part::raw("x")]),
            "content type application/octet-stream is not supported",
        ),
        (
            message(vec![Part::url("http://x/").with_media_type("text/plain")]),
            "content type text/plain is not supported",
        ),
    ] {
        let error = job(&asked).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} is not {expected:?}");
    }
    let beside = Metadata::from_iter([(JOB_URI.to_owned(), json!({}))]);
    assert!(nothing_beside(Some(&beside)).is_err());
    assert!(nothing_beside(None).is_ok());
}

#[test]
fn a_word_to_a_running_job_is_text_for_somebody() {
    let to = with_metadata(message(vec![Part::text("blue")]), json!({"subtask": "api"}));
    let said = word(&to).unwrap();
    assert_eq!(said.text, "blue");
    assert_eq!(said.subtask, Some(SubtaskId::parse("api").unwrap()));
    assert!(!said.approves);
    for approval in [
        message(vec![Part::text(" Approve\n")]),
        message(vec![Part::data(json!({"approve": true}))]),
    ] {
        assert!(word(&approval).unwrap().approves);
    }
    for (bad, expected) in [
        (
            message(vec![Part::text("")]),
            "message.parts: must hold some text",
        ),
        (
            with_metadata(message(vec![Part::text("x")]), json!({"subtask": "No"})),
            "subtask: subtask id \"No\" is not valid",
        ),
        (
            message(vec![Part::text("x").with_media_type("application/toml")]),
            "cannot be replaced",
        ),
    ] {
        let error = word(&bad).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} is not {expected:?}");
    }
}

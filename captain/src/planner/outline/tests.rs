//! Tables of texts and the plans that come out.

use captain_core::plan::{Bounds, Plan};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

/// One line per subtask: `id <- dependencies`.
fn shape(text: &str) -> Vec<String> {
    let plan = parse(text).unwrap().plan;
    plan.subtasks
        .iter()
        .map(|s| {
            format!("{} <- {}", s.id, s.depends_on.join(" "))
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[test]
fn items_become_subtasks_and_nesting_dependencies() {
    for (text, expected) in [
        (
            "- Write the API\n- Write tests",
            &["write-the-api <-", "write-tests <-"][..],
        ),
        (
            "* A\n  * B\n    * C\n  * D\n* E",
            &["a <-", "b <- a", "c <- b", "d <- a", "e <-"],
        ),
        ("1. A\n   1) B\n2. C", &["a <-", "b <- a", "c <-"]),
        ("- A\n\t- B\n\t\t- C", &["a <-", "b <- a", "c <- b"]),
        ("- A\n- A\n- a!", &["a <-", "a-2 <-", "a-3 <-"]),
        ("- [ ] A\n- [x] B", &["a <-", "b <-"]),
        (
            "- [api] Build\n- Test it [tests]\n- Docs [docs] (after: api, tests)",
            &["api <-", "tests <-", "docs <- api tests"],
        ),
        ("- A\n- A-2\n- A", &["a <-", "a-2 <-", "a-3 <-"]),
        (
            "- Write the API\n- Docs\n  after: write the api",
            &["write-the-api <-", "docs <- write-the-api"],
        ),
        ("- A\n  - B\n    After: A, A", &["a <-", "b <- a"]),
        ("- A\n- B (after: nope)", &["a <-", "b <- nope"]),
        (
            "- [x](http://x) link\n- [docs]: no id",
            &["x-http-x-link <-", "docs-no-id <-"],
        ),
        ("- новое\n- другое", &["step-1 <-", "step-2 <-"]),
        ("- A\n---\n* * *\n-\n-B", &["a <-"]),
        (
            "```\n- not an item\n```\n- A\n  ```\n  - neither\n  after: x\n  ```",
            &["a <-"],
        ),
        ("just one thing to do", &["just-one-thing-to-do <-"]),
        ("2024. was a year", &["was-a-year <-"]),
    ] {
        assert_eq!(shape(text), expected, "{text:?}");
    }
}

#[test]
fn prompts_hold_the_context_the_item_and_its_text() {
    let text = "\
# User management

Use **Python**.

- [api] Write the *API*
  Keep it small.

      code stays indented
  after: none-such
- Tests
Right below.

Also below.

## Rules
No network.
";
    let outline = parse(text).unwrap();
    assert_eq!(outline.goal, "User management");
    let prompt = |i: usize| outline.plan.subtasks[i].prompt.as_str();
    assert_eq!(
        prompt(0),
        "This is one part of a larger job:\n\n# User management\n\nUse **Python**.\n\n## Rules\nNo network.\n\n\
         Your part, and only this:\n\nWrite the *API*\nKeep it small.\n\n    code stays indented"
    );
    assert!(
        prompt(1).ends_with("only this:\n\nTests\nRight below.\n\nAlso below."),
        "{}",
        prompt(1)
    );
    assert_eq!(
        outline.plan.subtasks[0].title.as_deref(),
        Some("Write the API")
    );
    assert_eq!(outline.plan.subtasks[0].depends_on, ["none-such"]);
}

#[test]
fn a_text_without_items_is_one_subtask() {
    let outline = parse("# Fix the login\n\nIt fails for *long* names.\n").unwrap();
    assert_eq!(outline.goal, "Fix the login");
    let [only] = &outline.plan.subtasks[..] else {
        panic!("not one")
    };
    assert_eq!(only.id, "fix-the-login");
    assert_eq!(only.prompt, "# Fix the login\n\nIt fails for *long* names.");
}

#[test]
fn a_goal_without_context_is_the_first_item() {
    assert_eq!(parse("- A thing\n- B").unwrap().goal, "A thing");
}

#[test]
fn long_titles_are_cut_but_the_prompt_is_whole() {
    let line = "word ".repeat(60);
    let outline = parse(&format!("- {line}")).unwrap();
    let [only] = &outline.plan.subtasks[..] else {
        panic!("not one")
    };
    assert_eq!(only.title.as_deref().unwrap().chars().count(), 80);
    assert_eq!(only.prompt, line.trim());
    assert!(only.id.len() <= MAX_SLUG);
}

#[test]
fn nothing_to_read_and_too_much_are_errors() {
    for text in ["", "  \n\t\n", "#\n", "***\n"] {
        assert_eq!(parse(text), Err(OutlineError::Empty), "{text:?}");
    }
    assert_eq!(
        parse(&"x".repeat(MAX_TEXT_BYTES + 1)),
        Err(OutlineError::TooLong)
    );
    assert_eq!(
        parse(&"- a\n".repeat(MAX_ITEMS + 1)),
        Err(OutlineError::TooManyItems)
    );
}

#[test]
fn what_the_plan_check_refuses_is_told_by_it() {
    let check = |text: &str| Plan::validate(parse(text).unwrap().plan, &Bounds::default());
    assert!(
        check("- A (after: B)\n- B (after: A)")
            .unwrap_err()
            .to_string()
            .contains("wait for each other")
    );
    assert!(
        check("- Write it\n- B (after: writ it)")
            .unwrap_err()
            .to_string()
            .contains("did you mean \"write-it\"?")
    );
    assert!(
        check("- [a] x\n- [a] y")
            .unwrap_err()
            .to_string()
            .contains("ids must be unique")
    );
}

proptest! {
    #[test]
    fn no_text_panics_and_ids_are_always_good(text in "([ \t]{0,6}([-*+#>]|[0-9]{1,3}[.)]|```|after:|\\[[a-z x]{0,3}\\])?[ \t]?\\PC{0,12}\n){0,12}") {
        if let Ok(outline) = parse(&text) {
            prop_assert!(!outline.plan.subtasks.is_empty());
            let mut ids = BTreeSet::new();
            for subtask in &outline.plan.subtasks {
                prop_assert!(is_id(&subtask.id), "{:?}", subtask.id);
                ids.insert(subtask.id.clone());
            }
        }
    }

    #[test]
    fn any_bytes_at_all_are_read(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }
}

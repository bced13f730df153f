//! What is made of what was typed.

use clap::Parser;
use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::*;
use crate::cli::args::{Cli, Command};

fn typed(line: &[&str]) -> Result<NewJob, (Exit, String)> {
    let cli = Cli::try_parse_from(["captain", "submit"].iter().chain(line)).unwrap();
    let Command::Submit(args) = cli.command else {
        panic!("another command")
    };
    request(&args.job, true).map_err(|failure| {
        let mut text = Vec::new();
        failure.write_to(&mut text).unwrap();
        (failure.exit(), String::from_utf8(text).unwrap())
    })
}

fn ids(job: &NewJob) -> Vec<&str> {
    job.plan
        .iter()
        .flat_map(|plan| &plan.subtasks)
        .map(|subtask| subtask.id.as_str())
        .collect()
}

fn file(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_paragraph_is_one_subtask_and_a_list_several() {
    let job = typed(&["Fix the login"]).unwrap();
    assert_eq!(
        (ids(&job), job.goal.as_deref()),
        (vec!["fix-the-login"], Some("Fix the login"))
    );
    let job = typed(&["# Shop\n- Cart\n  - Tests", "--time-limit", "60"]).unwrap();
    assert_eq!(
        (ids(&job), job.goal.as_deref()),
        (vec!["cart", "tests"], Some("Shop"))
    );
    assert_eq!(job.limits.time_seconds, Some(60));
}

#[test]
fn a_file_is_read_by_its_ending() {
    let dir = TempDir::new().unwrap();
    let toml = file(
        &dir,
        "user-api.toml",
        "limits = { max_parallel = 1 }\n[[subtasks]]\nid = \"a\"\nprompt = \"x\"\n",
    );
    let job = typed(&["-f", &toml]).unwrap();
    assert_eq!(
        (ids(&job), job.goal.as_deref()),
        (vec!["a"], Some("user api"))
    );
    assert_eq!(job.limits.max_parallel, Some(1));
    assert_eq!(
        typed(&["Better words", "-f", &toml])
            .unwrap()
            .goal
            .as_deref(),
        Some("Better words")
    );
    let json = file(
        &dir,
        "p.JSON",
        r#"{"goal":"g","subtasks":[{"id":"b","prompt":"x"}]}"#,
    );
    assert_eq!(typed(&["-f", &json]).unwrap().goal.as_deref(), Some("g"));
    let markdown = file(&dir, "p.md", "- One\n- Two (after: one)\n");
    assert_eq!(ids(&typed(&["-f", &markdown]).unwrap()), ["one", "two"]);
}

#[test]
fn mistakes_are_told_before_anybody_is_asked() {
    let dir = TempDir::new().unwrap();
    let broken = file(
        &dir,
        "broken.toml",
        "[[subtasks]]\nid = \"a\"\npromt = \"x\"\n",
    );
    let cycle = file(&dir, "cycle.md", "- A (after: B)\n- B (after: A)\n");
    let binary = dir.path().join("binary.md");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    let other = file(&dir, "plan.yaml", "a: b");
    for (line, exit, part) in [
        (
            vec!["-f", &broken],
            Exit::BadInput,
            "broken.toml:3:1: unknown field `promt`",
        ),
        (
            vec!["-f", &cycle],
            Exit::BadInput,
            "cycle.md is not a valid plan:\n  - subtasks wait for each other: a -> b -> a",
        ),
        (
            vec!["-f", binary.to_str().unwrap()],
            Exit::BadInput,
            "it is not UTF-8 text",
        ),
        (
            vec!["-f", &other],
            Exit::Usage,
            "hint: name it .toml, .json or .md",
        ),
        (
            vec!["-f", "none.toml"],
            Exit::BadInput,
            "cannot read none.toml: No such file",
        ),
        (vec!["  "], Exit::BadInput, "the outline is empty"),
        (
            vec!["x", "--repo", "/nonexistent"],
            Exit::BadInput,
            "cannot use the repository /nonexistent",
        ),
    ] {
        let (found, text) = typed(&line).unwrap_err();
        assert!(
            found == exit && text.contains(part),
            "{line:?}: {found:?} {text}"
        );
    }
}

#[test]
fn the_captain_gets_an_absolute_path() {
    let dir = TempDir::new().unwrap();
    let job = typed(&["x", "--repo", "."]).unwrap();
    assert!(Path::new(job.repo.as_deref().unwrap()).is_absolute());
    let far = JobArgs {
        goal: Some("x".to_owned()),
        file: None,
        repo: Some(PathBuf::from("/srv/only-there")),
        base: Some("main".to_owned()),
        time_limit: None,
    };
    assert_eq!(
        request(&far, false).unwrap().repo.as_deref(),
        Some("/srv/only-there")
    );
    drop(dir);
}

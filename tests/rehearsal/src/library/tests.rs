//! Loading and picking.

use std::{fs, path::Path};

use super::*;

fn load(text: &str) -> Result<Library, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), text).unwrap();
    Library::load(folder.path())
}

fn message(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

#[test]
fn longest_matching_rule_wins() {
    let library = load(
        r#"
        about = "x"
        [[script]]
        when = ""
        [[script.step]]
        [[script]]
        when = "build"
        [[script.step]]
        [[script]]
        when = "build the API"
        [[script.step]]
        "#,
    )
    .unwrap();
    let picked = |prompt| library.pick(prompt).map(|s| s.script.when.as_str());
    assert_eq!(picked("please build the API now"), Some("build the API"));
    assert_eq!(picked("please build it"), Some("build"));
    assert_eq!(picked("something else"), Some(""));
}

#[test]
fn mistakes_are_named() {
    let head = "about = \"x\"\n[[script]]\nwhen = \"w\"\n";
    for (text, part) in [
        ("about = \"x\"\nscript = []".to_owned(), "1 to 64 scripts"),
        (format!("{head}step = []"), "1 to 64 steps"),
        (
            format!("{head}[[script.step]]\npace_ms = 99999999"),
            "at most 60000 ms",
        ),
        (
            format!("{head}[[script.step]]\nfault = {{ kind = \"status\", status = 200 }}"),
            "200 is no HTTP error status",
        ),
        (
            format!("{head}[[script.step]]\n[[script]]\nwhen = \"w\"\n[[script.step]]"),
            "second script",
        ),
        (
            format!("{head}[[script.step]]\nsya = [\"typo\"]"),
            "is not a scenario file",
        ),
    ] {
        let message = message(&text);
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

#[test]
fn files_of_calls_become_arguments_and_missing_ones_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("code.py"), "print()\n").unwrap();
    let scenario = |name: &str| {
        format!(
            "about = \"x\"\n[[script]]\nwhen = \"w\"\n[[script.step]]\n[[script.step.call]]\ntool = \"write\"\n\
             args = {{ filePath = \"a\" }}\nfiles = {{ content = \"{name}\" }}\n"
        )
    };
    let file = folder.path().join("s.toml");
    fs::write(&file, scenario("code.py")).unwrap();
    let library = Library::load(&file).unwrap();
    let call = &library.pick("w").unwrap().script.steps[0].calls[0];
    assert_eq!(
        serde_json::Value::Object(call.args.clone()),
        serde_json::json!({"filePath": "a", "content": "print()\n"})
    );
    fs::write(&file, scenario("missing.py")).unwrap();
    let error = Library::load(&file).unwrap_err();
    assert!(error.to_string().contains("missing.py"), "{error}");
}

#[test]
fn oversized_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    fs::File::create(&file)
        .unwrap()
        .set_len(MAX_FILE + 1)
        .unwrap();
    assert!(matches!(
        Library::load(&file),
        Err(LoadError::TooMuch { .. })
    ));
    assert!(matches!(
        Library::load(Path::new("/nonexistent/scenario")),
        Err(LoadError::Read { .. })
    ));
}

#[test]
fn shipped_scenarios_load_and_the_demo_prompts_find_their_scripts() {
    let library = Library::load(&crate::shipped_scenarios()).unwrap();
    for rule in library.rules() {
        assert_eq!(
            library.pick(rule).map(|s| s.script.when.as_str()),
            Some(rule)
        );
    }
}

//! What the documents say is there: tests that they name, files that they link, dependencies that they explain.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use e2e::programs::project;

fn documents() -> Vec<PathBuf> {
    let list = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "md"))
            .collect::<Vec<_>>()
    };
    let mut found = list(project());
    for folder in ["docs", "docs/adr"] {
        found.extend(list(project().join(folder)));
    }
    found
}

/// The texts between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn named_tests_exist() {
    let text = fs::read_to_string(project().join("docs/security.md")).unwrap();
    let mut checked = 0;
    for (file, name) in quoted(&text).filter_map(|t| t.split_once("::")) {
        // A large test program is a folder, and its tests are named with their file.
        let (file, name) = match name.split_once("::") {
            Some((module, name)) => (format!("{file}/{module}"), name),
            None => (file.to_owned(), name),
        };
        let source = project().join(format!("tests/tests/{file}.rs"));
        let Ok(source) = fs::read_to_string(source) else {
            assert!(!name.contains(' '), "{file}::{name} names no test file");
            continue;
        };
        let there = name == "*" || source.contains(&format!("fn {name}("));
        assert!(
            there,
            "docs/security.md names {file}::{name}, which is not there"
        );
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn linked_files_exist() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap_or(Path::new("."));
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(
                folder.join(path).exists(),
                "{} links {link}, which is not there",
                document.display()
            );
        }
    }
}

#[test]
fn every_dependency_has_its_line() {
    let manifest = fs::read_to_string(project().join("Cargo.toml")).unwrap();
    let (_, table) = manifest.split_once("[workspace.dependencies]").unwrap();
    let (table, _) = table.split_once("\n[").unwrap();
    let names = table
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .filter(|(_, v)| !v.contains("path ="));
    let text = fs::read_to_string(project().join("docs/dependencies.md")).unwrap();
    let words: BTreeSet<&str> = text
        .split(|c: char| !(c.is_alphanumeric() || "-_".contains(c)))
        .collect();
    let missing: Vec<&str> = names
        .map(|(name, _)| name)
        .filter(|name| !words.contains(name))
        .collect();
    assert_eq!(
        missing,
        Vec::<&str>::new(),
        "docs/dependencies.md says nothing about them"
    );
}

//! A plan that is given with the job, as JSON or TOML. The point of this file is the error: a person who mistyped a
//! field must see which file, which line, and what is allowed there.

use std::fmt;

use captain_core::PlanSpec;
use captain_core::job::JobLimits;
use captain_core::plan::SubtaskSpec;
use serde::Deserialize;

use super::MAX_TEXT_BYTES;

/// What a plan file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// What is to be reached; may be missing where it is given elsewhere.
    #[serde(default)]
    pub goal: Option<String>,
    /// The limits of the whole job.
    #[serde(default)]
    pub limits: JobLimits,
    /// The subtasks.
    pub subtasks: Vec<SubtaskSpec>,
}

impl PlanFile {
    /// The plan alone.
    pub fn into_plan(self) -> PlanSpec {
        PlanSpec {
            subtasks: self.subtasks,
        }
    }
}

/// How a plan is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// TOML 1.0.
    Toml,
}

/// A text that is not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FixedError {
    /// Where the text comes from, as the user named it.
    pub name: String,
    /// The line, from 1, where known.
    pub line: Option<usize>,
    /// The column in that line, from 1, where known.
    pub column: Option<usize>,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for FixedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

/// Reads a plan file; `name` stands in the error.
///
/// # Errors
/// [`FixedError`] says where the text is wrong and why.
pub fn parse(name: &str, text: &str, format: Format) -> Result<PlanFile, FixedError> {
    let error = |line, column, message| FixedError {
        name: name.to_owned(),
        line,
        column,
        message,
    };
    if text.len() > MAX_TEXT_BYTES {
        return Err(error(
            None,
            None,
            format!("a plan has at most {} MiB", MAX_TEXT_BYTES >> 20),
        ));
    }
    match format {
        Format::Json => serde_json::from_str(text).map_err(|wrong| {
            // serde_json ends its message with the place, which we say ourselves, in front.
            let all = wrong.to_string();
            let message = all
                .rsplit_once(" at line ")
                .map_or(all.as_str(), |(head, _)| head);
            error(
                Some(wrong.line()),
                Some(wrong.column().max(1)),
                message.to_owned(),
            )
        }),
        Format::Toml => toml::from_str(text).map_err(|wrong| {
            let (line, column) = match wrong.span() {
                Some(span) => {
                    let (line, column) = position(text, span.start);
                    (Some(line), Some(column))
                }
                None => (None, None),
            };
            error(
                line,
                column,
                wrong.message().lines().collect::<Vec<_>>().join("; "),
            )
        }),
    }
}

/// Line and column, from 1, of a byte; columns count characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before: String = text
        .char_indices()
        .take_while(|(at, _)| *at < byte)
        .map(|(_, c)| c)
        .collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    const TOML: &str = r#"
goal = "user management"
limits = { max_parallel = 2 }

[[subtasks]]
id = "api"
prompt = "Write the API"

[[subtasks]]
id = "tests"
prompt = "Write tests"
depends_on = ["api"]
limits = { time_seconds = 60 }
"#;

    #[test]
    fn both_formats_give_the_same_plan() {
        let toml = parse("plan.toml", TOML, Format::Toml).unwrap();
        let json = r#"{"goal":"user management","limits":{"max_parallel":2},"subtasks":[
            {"id":"api","prompt":"Write the API"},
            {"id":"tests","prompt":"Write tests","depends_on":["api"],"limits":{"time_seconds":60}}]}"#;
        assert_eq!(toml, parse("plan.json", json, Format::Json).unwrap());
        assert_eq!(toml.limits.max_parallel, Some(2));
        assert_eq!(toml.into_plan().subtasks[1].depends_on, ["api"]);
    }

    #[test]
    fn an_error_names_file_line_and_column() {
        for (name, text, expected) in [
            (
                "p.toml",
                "[[subtasks]]\nid = \"a\"\npromt = \"x\"\n",
                "p.toml:3:1: unknown field `promt`, expected one of",
            ),
            (
                "p.toml",
                "[[subtasks]]\nid = \"a\"\n",
                "p.toml:1:1: missing field `prompt`",
            ),
            (
                "p.toml",
                "[[subtasks]]\nid = 7\nprompt = \"x\"",
                "p.toml:2:6: invalid type: integer `7`, expected a string",
            ),
            ("p.toml", "goal = \"é\" x", "p.toml:1:12: "),
            ("p.toml", "", "p.toml:1:1: missing field `subtasks`"),
            (
                "p.json",
                "{\"subtasks\":[\n {\"id\":\"a\",}]}",
                "p.json:2:12: trailing comma",
            ),
            (
                "p.json",
                "{\"subtasks\":[{\"id\":\"a\",\"prompt\":\"x\",\"after\":[]}]}",
                "p.json:1:",
            ),
            ("p.json", "", "p.json:1:1: EOF while parsing a value"),
        ] {
            let format = if name.ends_with("json") {
                Format::Json
            } else {
                Format::Toml
            };
            let error = parse(name, text, format).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error:?} is not {expected:?}");
        }
    }

    #[test]
    fn a_text_without_end_is_refused_unread() {
        let error = parse("p", &" ".repeat(MAX_TEXT_BYTES + 1), Format::Json).unwrap_err();
        assert_eq!(error.to_string(), "p: a plan has at most 4 MiB");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[\\[\\]{}\"=:,a-z0-9 \n]{0,80}") {
            let _ = parse("p", &text, Format::Json);
            let _ = parse("p", &text, Format::Toml);
        }
    }
}

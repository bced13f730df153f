//! From a message to what it asks of the captain: a job, or a word to one that runs. Pure, and decided by the message
//! alone, so that a captain that died after it stored a message comes to the same job when it reads it again. Whether
//! the job can be taken is judged where `POST /jobs` judges it.

use std::collections::BTreeMap;

use a2a_proto::error::{A2aError, FieldViolation};
use a2a_proto::types::{Message, Metadata, Part, PartContent};
use captain_core::SubtaskId;
use captain_core::job::JobLimits;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::data::JOB_URI;
use crate::api::types::SubmitJob;
use crate::planner::fixed::{self, Format, PlanFile};

/// A word to a job that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What was said.
    pub(super) text: String,
    /// The subtask that it is for.
    pub(super) subtask: Option<SubtaskId>,
    /// It lets a plan run that waits for that.
    pub(super) approves: bool,
}

/// What stands under our URI in a message to a job that runs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WordData {
    subtask: Option<SubtaskId>,
    approve: bool,
}

/// The text that lets a waiting plan run, in any case.
const APPROVAL: &str = "approve";

/// The job that a first message asks for.
///
/// # Errors
/// [`A2aError::InvalidParams`] names the part or the field, [`A2aError::ContentTypeNotSupported`] the media type.
pub(super) fn job(message: &Message) -> Result<SubmitJob, A2aError> {
    let mut collected = Collected::default();
    for (index, part) in message.parts.iter().enumerate() {
        collected.part(index, part)?;
    }
    if let Some(settings) = ours(message.metadata.as_ref()) {
        collected.merge(&metadata_field(), settings.clone())?;
    }
    let goal = collected.texts.join("\n\n").trim().to_owned();
    if !goal.is_empty() {
        let goal = Map::from_iter([("goal".to_owned(), Value::from(goal))]);
        collected.merge("message.parts", Value::Object(goal))?;
    }
    if collected.fields.is_empty() {
        let problem = "say what is to be done: a text part with the goal, or a plan";
        return Err(A2aError::invalid_param("message.parts", problem));
    }
    let fields = collected
        .fields
        .into_iter()
        .map(|(name, (_, value))| (name, value));
    typed(Value::Object(fields.collect()), "")
}

/// What a message to a job that runs says.
///
/// # Errors
/// Like [`job`].
pub(super) fn word(message: &Message) -> Result<Word, A2aError> {
    let mut texts = Vec::new();
    let mut data = WordData::default();
    for (index, part) in message.parts.iter().enumerate() {
        match &part.content {
            PartContent::Data(value) => data = typed(value.clone(), &part_field(index))?,
            _ => match content(index, part)? {
                Content::Text(text) => texts.push(text),
                Content::Plan(..) => {
                    return Err(A2aError::invalid_param(
                        part_field(index),
                        "the plan of a job that runs cannot be replaced",
                    ));
                }
            },
        }
    }
    if let Some(settings) = ours(message.metadata.as_ref()) {
        data = typed(settings.clone(), &metadata_field())?;
    }
    let text = texts.join("\n\n").trim().to_owned();
    let approves = data.approve || (data.subtask.is_none() && text.eq_ignore_ascii_case(APPROVAL));
    if text.is_empty() && !approves {
        return Err(A2aError::invalid_param(
            "message.parts",
            "must hold some text for the agents",
        ));
    }
    Ok(Word {
        text,
        subtask: data.subtask,
        approves,
    })
}

/// Settings beside the message would be lost if the captain had to read the message again.
///
/// # Errors
/// [`A2aError::InvalidParams`] when there are some.
pub(super) fn nothing_beside(metadata: Option<&Metadata>) -> Result<(), A2aError> {
    match ours(metadata) {
        Some(_) => Err(A2aError::invalid_param(
            format!("metadata[\"{JOB_URI}\"]"),
            "belongs into the metadata of the message",
        )),
        None => Ok(()),
    }
}

fn ours(metadata: Option<&Metadata>) -> Option<&Value> {
    metadata?.get(JOB_URI)
}

/// What the parts of a message have told so far.
#[derive(Default)]
struct Collected {
    texts: Vec<String>,
    /// The fields of the job, and where each was given.
    fields: BTreeMap<String, (String, Value)>,
}

impl Collected {
    fn part(&mut self, index: usize, part: &Part) -> Result<(), A2aError> {
        let field = part_field(index);
        if let PartContent::Data(value) = &part.content {
            // A plan on its own, as in a plan file, or a whole job.
            return match value.get("subtasks") {
                Some(_) => self.plan(&field, typed(value.clone(), &field)?),
                None => self.merge(&field, value.clone()),
            };
        }
        match content(index, part)? {
            Content::Text(text) => self.texts.push(text),
            Content::Plan(format, text) => {
                let name = if part.filename.is_empty() {
                    "the plan"
                } else {
                    &part.filename
                };
                let plan = fixed::parse(name, &text, format)
                    .map_err(|error| A2aError::invalid_param(&field, error.to_string()))?;
                self.plan(&field, plan)?;
            }
        }
        Ok(())
    }

    fn plan(&mut self, field: &str, plan: PlanFile) -> Result<(), A2aError> {
        let mut fields = Map::new();
        if let Some(goal) = &plan.goal {
            fields.insert("goal".to_owned(), Value::from(goal.clone()));
        }
        if plan.limits != JobLimits::default() {
            fields.insert("limits".to_owned(), json(&plan.limits)?);
        }
        fields.insert("plan".to_owned(), json(&plan.into_plan())?);
        self.merge(field, Value::Object(fields))
    }

    /// Takes the fields of a job; each may be given once.
    fn merge(&mut self, place: &str, value: Value) -> Result<(), A2aError> {
        let Value::Object(fields) = value else {
            return Err(A2aError::invalid_param(
                place,
                "must be an object with the fields of a job, such as plan or repo",
            ));
        };
        for (name, value) in fields {
            if let Some((before, _)) = self.fields.get(&name) {
                let problem = format!("{name} is given here and in {before}: give it once");
                return Err(A2aError::invalid_param(place, problem));
            }
            self.fields.insert(name, (place.to_owned(), value));
        }
        Ok(())
    }
}

enum Content {
    Text(String),
    Plan(Format, String),
}

/// The text of a part, and what it is by its media type or else by its file's name.
fn content(index: usize, part: &Part) -> Result<Content, A2aError> {
    let essence = part.media_type.split(';').next().unwrap_or_default().trim();
    let refused = || A2aError::ContentTypeNotSupported {
        media_type: if essence.is_empty() {
            "application/octet-stream".to_owned()
        } else {
            essence.to_owned()
        },
    };
    let extension = part
        .filename
        .rsplit_once('.')
        .map(|(_, extension)| extension);
    let format = match (essence, extension) {
        ("application/toml", _) | ("", Some("toml")) => Some(Format::Toml),
        ("application/json", _) | ("", Some("json")) => Some(Format::Json),
        ("text/plain" | "text/markdown", _) | ("", Some("md" | "markdown" | "txt")) => None,
        ("", _) if part.as_text().is_some() => None,
        _ => return Err(refused()),
    };
    let text = match &part.content {
        PartContent::Text(text) => text.clone(),
        PartContent::Raw(bytes) => String::from_utf8(bytes.to_vec())
            .map_err(|_| A2aError::invalid_param(part_field(index), "is not UTF-8 text"))?,
        PartContent::Url(_) | PartContent::Data(_) => return Err(refused()),
    };
    Ok(match format {
        Some(format) => Content::Plan(format, text),
        None => Content::Text(text),
    })
}

fn part_field(index: usize) -> String {
    format!("message.parts[{index}]")
}

fn metadata_field() -> String {
    format!("message.metadata[\"{JOB_URI}\"]")
}

fn json(value: &impl serde::Serialize) -> Result<Value, A2aError> {
    serde_json::to_value(value).map_err(A2aError::internal)
}

/// Reads an object of ours; the error names the field.
fn typed<T: DeserializeOwned>(value: Value, place: &str) -> Result<T, A2aError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = match (place, path.as_str()) {
            (place, ".") => place.to_owned(),
            ("", path) => path.to_owned(),
            (place, path) => format!("{place}.{path}"),
        };
        A2aError::InvalidParams {
            violations: vec![FieldViolation {
                field,
                description: error.into_inner().to_string(),
            }],
        }
    })
}

#[cfg(test)]
mod tests;

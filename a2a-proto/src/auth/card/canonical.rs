//! Which bytes are signed (A2A §8.4.1): the card without its signatures, with the members that count, canonicalized by
//! RFC 8785.

use serde_json::{Map, Value};

use crate::types::{self, AgentCard};

/// Which members of a card a payload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// What the protocol says: the members of an agent card of 1.0 that are required, or set, or not at their default.
    Standard,
    /// Everything as it is served, with the members of other versions. For verifiers that do not know which members
    /// belong to 1.0.
    Verbatim,
    /// As [`Form::Standard`] without anything that is empty, as the Python and JavaScript SDKs have it. Weaker: taking
    /// an empty member out of such a card, or putting one in, is not noticed. So it is accepted only when asked for.
    Reduced,
}

impl Form {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Verbatim => "verbatim",
            Self::Reduced => "reduced",
        }
    }
}

/// A document that is no agent card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an agent card: {detail}")]
pub struct NotACard {
    /// What is wrong.
    pub detail: String,
}

/// The bytes that a signature over `card` in this form is made of.
///
/// # Errors
/// [`NotACard`] when the document has members of the wrong kind.
pub fn payload(card: &Value, form: Form) -> Result<Vec<u8>, NotACard> {
    let members = match form {
        Form::Standard => present(standard(&typed(card)?), card),
        Form::Verbatim => without_signatures(card.clone()),
        Form::Reduced => reduced(standard(&typed(card)?)).unwrap_or_else(|| Map::new().into()),
    };
    canonical(&members)
}

/// The standard form with every required member, also those that the document does not have.
pub(super) fn complete_payload(card: &Value) -> Result<Vec<u8>, NotACard> {
    canonical(&standard(&typed(card)?))
}

fn canonical(members: &Value) -> Result<Vec<u8>, NotACard> {
    serde_json_canonicalizer::to_vec(members).map_err(|error| NotACard {
        detail: error.to_string(),
    })
}

fn typed(card: &Value) -> Result<AgentCard, NotACard> {
    let json = without_signatures(card.clone()).to_string();
    types::from_slice(json.as_bytes()).map_err(|error| NotACard {
        detail: error.to_string(),
    })
}

/// The members that count. The serializer of the types goes by the same rules, but for one member that it always
/// writes, for older readers.
fn standard(card: &AgentCard) -> Value {
    let mut card = without_signatures(serde_json::to_value(card).unwrap_or_default());
    drop_empty_scopes(&mut card);
    if let Some(skills) = card["skills"].as_array_mut() {
        skills.iter_mut().for_each(drop_empty_scopes);
    }
    card
}

/// A list of scopes is not required, so an empty one does not count.
fn drop_empty_scopes(holder: &mut Value) {
    let requirements = holder
        .get_mut("securityRequirements")
        .and_then(Value::as_array_mut);
    for requirement in requirements.into_iter().flatten() {
        let schemes = requirement
            .get_mut("schemes")
            .and_then(Value::as_object_mut);
        for scopes in schemes.into_iter().flat_map(|schemes| schemes.values_mut()) {
            if let Some(scopes) = scopes.as_object_mut()
                && scopes
                    .get("list")
                    .is_some_and(|list| *list == Value::Array(Vec::new()))
            {
                scopes.remove("list");
            }
        }
    }
}

fn without_signatures(mut card: Value) -> Value {
    if let Some(members) = card.as_object_mut() {
        members.remove("signatures");
    }
    card
}

/// The members of `counted` that the document has, in either spelling.
fn present(counted: Value, document: &Value) -> Value {
    match (counted, document) {
        (Value::Object(counted), Value::Object(document)) => {
            let members = counted.into_iter().filter_map(|(name, value)| {
                let there = document
                    .get(&name)
                    .or_else(|| document.get(&snake(&name)))?;
                Some((name, present(value, there)))
            });
            Value::Object(members.collect())
        }
        (Value::Array(counted), Value::Array(document)) if counted.len() == document.len() => {
            let items = counted.into_iter().zip(document);
            Value::Array(items.map(|(value, there)| present(value, there)).collect())
        }
        (counted, _) => counted,
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// The value without anything empty in it; `None` when nothing is left.
fn reduced(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) => {
            let items: Vec<_> = items.into_iter().filter_map(reduced).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(members) => {
            let members: Map<_, _> = members
                .into_iter()
                .filter_map(|(name, value)| Some((name, reduced(value)?)))
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        other => Some(other),
    }
}

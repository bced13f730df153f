//! The JSON rules of A2A (ProtoJSON, A2A §5.5) in one place. Every object of [`crate::types`] is declared with
//! a macro of `declare.rs`, which writes its `Serialize`, `Deserialize` and validation from one list of fields and
//! calls this file for each of them; what a single value may look like is decided by the [`Value`] impls in `scalar.rs`.
//! The rules: camelCase out, camelCase and snake_case in; `null` means unset; unknown fields are skipped; unset
//! fields are left out unless marked `always`; an error names the field (`message.parts[0].text`).
//! This file must know no particular A2A object.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::error::{A2aError, FieldViolation};
use crate::types::validate::{Found, Path};

/// One value that is there: a scalar, an enum, a message. `null` is not one.
pub(crate) trait Value: Sized {
    /// Reads it, refusing every other JSON type.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
    /// Writes it.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    /// Reports what is missing or out of range below `path`.
    fn check(&self, _path: &Path<'_>, _found: &mut Found) {}
}

/// A value with an unset state that is not told apart from its default (proto3 implicit presence).
pub(crate) trait Plain: Value + Default {
    /// Whether the value is the default.
    fn is_default(&self) -> bool;
}

/// One field of a message: it can be unset, and `null` unsets it.
pub(crate) trait Field: Default {
    /// Whether the field is left out on output.
    fn is_unset(&self) -> bool;
    /// Reads a value that is not `null`.
    fn read_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
    /// Writes the field.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    /// Reports what is missing or out of range below `path`.
    fn check(&self, path: &Path<'_>, found: &mut Found);
}

impl<T: Plain> Field for T {
    fn is_unset(&self) -> bool {
        self.is_default()
    }
    fn read_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::write(self, serializer)
    }
    fn check(&self, path: &Path<'_>, found: &mut Found) {
        Value::check(self, path, found);
    }
}

impl<T: Value> Field for Option<T> {
    fn is_unset(&self) -> bool {
        self.is_none()
    }
    fn read_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Some)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.write(serializer),
            None => serializer.serialize_none(),
        }
    }
    fn check(&self, path: &Path<'_>, found: &mut Found) {
        if let Some(value) = self {
            value.check(path, found);
        }
    }
}

impl<T: Value> Field for Vec<T> {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
    fn read_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for value in self {
            list.serialize_element(&WriteValue(value))?;
        }
        list.end()
    }
    fn check(&self, path: &Path<'_>, found: &mut Found) {
        for (index, value) in self.iter().enumerate() {
            if found.is_full() {
                break;
            }
            value.check(&path.index(index), found);
        }
    }
}

impl<T: Value> Field for BTreeMap<String, T> {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
    fn read_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            map.serialize_entry(key, &WriteValue(value))?;
        }
        map.end()
    }
    fn check(&self, path: &Path<'_>, found: &mut Found) {
        for (key, value) in self {
            value.check(&path.field(key), found);
        }
    }
}

/// Serializes one value.
pub(crate) struct WriteValue<'a, T>(pub(crate) &'a T);

impl<T: Value> Serialize for WriteValue<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// Serializes one field of a message.
pub(crate) struct WriteField<'a, T>(pub(crate) &'a T);

impl<T: Field> Serialize for WriteField<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

struct ReadValue<T>(PhantomData<T>);

impl<'de, T: Value> DeserializeSeed<'de> for ReadValue<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Value> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        loop {
            match items.next_element_seed(ReadValue(PhantomData)) {
                Ok(Some(value)) => list.push(value),
                Ok(None) => return Ok(list),
                Err(error) => return Err(below(&format!("[{}]", list.len()), &error)),
            }
        }
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Value> Visitor<'de> for MapVisitor<T> {
    type Value = BTreeMap<String, T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries
                .next_value_seed(ReadValue(PhantomData))
                .map_err(|error| below(&key, &error))?;
            map.insert(key, value);
        }
        Ok(map)
    }
}

/// The JSON and the proto name of a field.
pub(crate) type Names = (&'static str, &'static str);

/// Reads a key and says which known field it is; no allocation.
pub(crate) struct Key(pub(crate) &'static [Names]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self
            .0
            .iter()
            .find(|(json, proto)| *json == key || *proto == key)
            .map(|(json, _)| *json))
    }
}

struct ReadField<T>(PhantomData<T>);

impl<'de, T: Field> DeserializeSeed<'de> for ReadField<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Field> Visitor<'de> for ReadField<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_none<E: de::Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read_set(deserializer)
    }
}

/// Reads the value of the field `name` into `slot`, adding the name to the path of an error.
pub(crate) fn read_into<'de, A: MapAccess<'de>, T: Field>(
    map: &mut A,
    name: &str,
    slot: &mut T,
) -> Result<(), A::Error> {
    *slot = map
        .next_value_seed(ReadField(PhantomData))
        .map_err(|error| below(name, &error))?;
    Ok(())
}

/// Skips the value of an unknown field.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// The same error, one step further out: an error text carries its path in front, between backticks.
pub(crate) fn below<E: de::Error>(segment: &str, error: &E) -> E {
    let text = error.to_string();
    let (path, description) = split(&text);
    let dot = if path.is_empty() || path.starts_with('[') {
        ""
    } else {
        "."
    };
    E::custom(format_args!("`{segment}{dot}{path}`: {description}"))
}

fn split(text: &str) -> (&str, &str) {
    text.strip_prefix('`')
        .and_then(|rest| rest.split_once("`: "))
        .unwrap_or(("", text))
}

/// Reads an A2A object from JSON bytes.
///
/// # Errors
/// [`A2aError::ParseError`] when the bytes are not JSON, [`A2aError::InvalidParams`] with the path of the offending
/// field when they are JSON of the wrong shape.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, A2aError> {
    serde_json::from_slice(json).map_err(|error| {
        // Only on the error path: a field name in front hides whether the JSON itself was broken.
        match serde_json::from_slice::<IgnoredAny>(json) {
            Ok(_) => A2aError::InvalidParams {
                violations: vec![violation(&error)],
            },
            Err(syntax) => A2aError::ParseError {
                detail: syntax.to_string(),
            },
        }
    })
}

/// What a serde error of our types says, as a field and a plain sentence.
pub(crate) fn violation(error: &impl fmt::Display) -> FieldViolation {
    let text = error.to_string();
    let (field, description) = split(&text);
    // serde_json adds the position; the field says it better.
    let description = description
        .rsplit_once(" at line ")
        .map_or(description, |(head, _)| head);
    FieldViolation {
        field: field.to_owned(),
        description: plain(description),
    }
}

/// Turns serde's "invalid type: integer `5`, expected a string" into "expected a string, found integer". The value
/// itself is left out: it may be long, and it may be a secret.
fn plain(description: &str) -> String {
    let found = description
        .strip_prefix("invalid type: ")
        .or_else(|| description.strip_prefix("invalid value: "));
    match found.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            let kind = found.split(['`', '"']).next().unwrap_or(found).trim_end();
            format!("expected {expected}, found {kind}")
        }
        None => description.to_owned(),
    }
}

/// The error of a `oneof` with no member, or with several.
pub(crate) fn not_one<E: de::Error>(names: &[Names]) -> E {
    let names: Vec<_> = names.iter().map(|(json, _)| *json).collect();
    E::custom(format_args!(
        "exactly one of {} must be set",
        names.join(", ")
    ))
}

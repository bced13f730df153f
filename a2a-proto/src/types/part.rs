//! [`Part`]: one piece of content of a message or an artifact (A2A §4.1.6). The only object whose `oneof` lies flat
//! among other fields, and the only one where a `null` can be a value (`data`), so it is written out by hand.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::types::Metadata;
use crate::types::protojson::{self, Key, Names, Value, WriteField};
use crate::types::validate::{Found, Path, Validate};

/// What a part carries.
#[derive(Debug, Clone, PartialEq)]
pub enum PartContent {
    /// Plain text.
    Text(String),
    /// Bytes, inline; base64 in JSON.
    Raw(Bytes),
    /// Where the bytes can be fetched.
    Url(String),
    /// Any JSON value, `null` included.
    Data(serde_json::Value),
}

/// One piece of content.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The content.
    pub content: PartContent,
    /// Free-form data about the part.
    pub metadata: Option<Metadata>,
    /// The name of the file that the part stands for, if it stands for one.
    pub filename: String,
    /// The IANA media type of the content, such as `text/plain`.
    pub media_type: String,
}

impl Part {
    fn new(content: PartContent) -> Self {
        Self {
            content,
            metadata: None,
            filename: String::new(),
            media_type: String::new(),
        }
    }

    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(PartContent::Text(text.into()))
    }

    /// A part of inline bytes.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(PartContent::Raw(bytes.into()))
    }

    /// A part that is fetched from elsewhere.
    pub fn url(url: impl Into<String>) -> Self {
        Self::new(PartContent::Url(url.into()))
    }

    /// A part of structured data.
    pub fn data(value: impl Into<serde_json::Value>) -> Self {
        Self::new(PartContent::Data(value.into()))
    }

    /// The same part with a file name.
    #[must_use]
    pub fn with_filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = filename.into();
        self
    }

    /// The same part with a media type.
    #[must_use]
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = media_type.into();
        self
    }

    /// The text of a text part.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            PartContent::Text(text) => Some(text),
            PartContent::Raw(_) | PartContent::Url(_) | PartContent::Data(_) => None,
        }
    }
}

#[cfg(feature = "server")]
impl Part {
    /// The text of a text part that is nothing but text.
    pub(crate) fn as_bare_text(&self) -> Option<&str> {
        let bare =
            self.metadata.is_none() && self.filename.is_empty() && self.media_type.is_empty();
        self.as_text().filter(|_| bare)
    }

    /// The text of a text part, taken out of it; empty for other parts.
    pub(crate) fn take_text(&mut self) -> String {
        match &mut self.content {
            PartContent::Text(text) => std::mem::take(text),
            PartContent::Raw(_) | PartContent::Url(_) | PartContent::Data(_) => String::new(),
        }
    }
}

const NAMES: &[Names] = &[
    ("text", "text"),
    ("raw", "raw"),
    ("url", "url"),
    ("data", "data"),
    ("metadata", "metadata"),
    ("filename", "filename"),
    ("mediaType", "media_type"),
];
/// The members of the `oneof`, for its error text.
const CONTENT: &[Names] = NAMES.split_at(4).0;

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.content {
            PartContent::Text(text) => map.serialize_entry("text", text)?,
            PartContent::Raw(bytes) => map.serialize_entry("raw", &protojson::WriteValue(bytes))?,
            PartContent::Url(url) => map.serialize_entry("url", url)?,
            PartContent::Data(value) => map.serialize_entry("data", value)?,
        }
        if let Some(metadata) = &self.metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        if !self.filename.is_empty() {
            map.serialize_entry("filename", &self.filename)?;
        }
        if !self.media_type.is_empty() {
            map.serialize_entry("mediaType", &WriteField(&self.media_type))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let (mut content, mut metadata) = (None, None);
        let (mut filename, mut media_type) = (String::new(), String::new());
        while let Some(key) = map.next_key_seed(Key(NAMES))? {
            let found = match key {
                Some("text") => member(&mut map, "text")?.map(PartContent::Text),
                Some("raw") => member(&mut map, "raw")?.map(PartContent::Raw),
                Some("url") => member(&mut map, "url")?.map(PartContent::Url),
                // Here the key alone decides: `null` is a JSON value like any other.
                Some("data") => Some(PartContent::Data(map.next_value()?)),
                Some("metadata") => {
                    protojson::read_into(&mut map, "metadata", &mut metadata).map(|()| None)?
                }
                Some("filename") => {
                    protojson::read_into(&mut map, "filename", &mut filename).map(|()| None)?
                }
                Some("mediaType") => {
                    protojson::read_into(&mut map, "mediaType", &mut media_type).map(|()| None)?
                }
                _ => protojson::skip(&mut map).map(|()| None)?,
            };
            if found.is_some() {
                if content.is_some() {
                    return Err(protojson::not_one(CONTENT));
                }
                content = found;
            }
        }
        let content = content.ok_or_else(|| protojson::not_one(CONTENT))?;
        Ok(Part {
            content,
            metadata,
            filename,
            media_type,
        })
    }
}

fn member<'de, A: MapAccess<'de>, T: Value>(
    map: &mut A,
    name: &'static str,
) -> Result<Option<T>, A::Error> {
    let mut value = None;
    protojson::read_into(map, name, &mut value)?;
    Ok(value)
}

impl Value for Part {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
    fn check(&self, path: &Path<'_>, found: &mut Found) {
        if matches!(&self.content, PartContent::Url(url) if url.is_empty()) {
            found.push(path.field("url").violation("must not be empty"));
        }
    }
}

impl Validate for Part {}

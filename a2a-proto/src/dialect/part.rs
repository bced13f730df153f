//! What a part can be in the versions before 1.0: a text, a file, inline or elsewhere, or an object. They differ only in
//! the name of the member that says which. The one thing that they cannot say is data that is no object; it is wrapped
//! and marked, as the official SDKs do it, and so survives.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{Metadata, Part, PartContent};

/// In the metadata of a data part: its object is only the wrapping of a value under the key `value`.
const WRAPPED: &str = "data_part_compat";

message! {
    /// A file, inline or elsewhere.
    pub struct FileContent {
        /// Its name.
        pub name: String = "name",
        /// Its media type.
        pub mime_type: String = "mimeType",
        /// Its content.
        pub bytes: Option<Bytes> = "bytes",
        /// Where it can be fetched.
        pub uri: String = "uri",
    }
}
no_rules!(FileContent);

/// The members of a part, of which one of the first three is to be there, as the kind says.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) text: Option<String>,
    pub(super) file: Option<FileContent>,
    pub(super) data: Option<Value>,
    pub(super) metadata: Option<Metadata>,
}

impl Members {
    /// Takes a part of 1.0 apart. What only 1.0 has is lost: name and media type of parts that are no files.
    pub(super) fn of(part: Part) -> (&'static str, Self) {
        let Part {
            content,
            metadata,
            filename,
            media_type,
        } = part;
        let mut members = Self {
            metadata,
            ..Self::default()
        };
        let file = FileContent {
            name: filename,
            mime_type: media_type,
            ..FileContent::default()
        };
        let kind = match content {
            PartContent::Text(text) => {
                members.text = Some(text);
                "text"
            }
            PartContent::Raw(bytes) => {
                members.file = Some(FileContent {
                    bytes: Some(bytes),
                    ..file
                });
                "file"
            }
            PartContent::Url(uri) => {
                members.file = Some(FileContent { uri, ..file });
                "file"
            }
            PartContent::Data(value) => {
                members.data = Some(wrap(value, &mut members.metadata));
                "data"
            }
        };
        (kind, members)
    }

    /// Makes a part of 1.0. An empty `kind` leaves it to the members.
    pub(super) fn part(self, kind: &str) -> Result<Part, &'static str> {
        let Self {
            text,
            file,
            data,
            mut metadata,
        } = self;
        let part = match (kind, text, file, data) {
            ("" | "text", Some(text), None, None) => Part::text(text),
            ("" | "data", None, None, Some(value)) => Part::data(unwrap(value, &mut metadata)),
            ("" | "file", None, Some(file), None) => file.part()?,
            ("" | "text" | "data" | "file", ..) => {
                return Err("exactly one of text, file, data must be set, as its kind says");
            }
            _ => return Err("a part is a text, a file or data"),
        };
        Ok(Part { metadata, ..part })
    }
}

impl FileContent {
    fn part(self) -> Result<Part, &'static str> {
        let part = match (self.bytes, self.uri.is_empty()) {
            (Some(bytes), true) => Part::raw(bytes),
            (None, false) => Part::url(self.uri),
            _ => return Err("a file has either bytes or a uri"),
        };
        Ok(part
            .with_filename(self.name)
            .with_media_type(self.mime_type))
    }
}

/// The object that stands for a value.
pub(crate) fn wrap(value: Value, metadata: &mut Option<Metadata>) -> Value {
    if value.is_object() {
        return value;
    }
    let mark = metadata.get_or_insert_default();
    mark.insert(WRAPPED.to_owned(), Value::Bool(true));
    json!({ "value": value })
}

/// The value that an object stands for.
pub(crate) fn unwrap(value: Value, metadata: &mut Option<Metadata>) -> Value {
    let marked = |metadata: &Map<String, Value>| metadata.get(WRAPPED) == Some(&Value::Bool(true));
    match value {
        Value::Object(mut object)
            if object.contains_key("value") && metadata.as_ref().is_some_and(marked) =>
        {
            if let Some(members) = metadata {
                members.remove(WRAPPED);
                if members.is_empty() {
                    *metadata = None;
                }
            }
            object.remove("value").unwrap_or_default()
        }
        other => other,
    }
}

/// Takes from a random part what no version before 1.0 can say, for the tests of the way there and back.
#[cfg(test)]
pub(super) fn make_sayable(part: &mut Part) {
    match &mut part.content {
        PartContent::Text(_) | PartContent::Data(_) => {
            part.filename.clear();
            part.media_type.clear();
            // An empty object would not be told from none once the mark of wrapped data is taken out.
            part.metadata.take_if(|metadata| metadata.is_empty());
        }
        // An empty address is no address.
        PartContent::Url(url) if url.is_empty() => url.push('u'),
        PartContent::Raw(_) | PartContent::Url(_) => {}
    }
}

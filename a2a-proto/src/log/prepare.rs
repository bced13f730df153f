//! From an event to what is stored of it: its JSON, once for all who will send it, and the change that it makes to the
//! aggregate. This runs where the event is made, in parallel for many tasks; whoever commits gets it ready.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::LogError;
use super::storage::{Change, Prepared, written};
use crate::types::{Artifact, Part, StreamResponse, Task};

/// Serialized events are cut from blocks of this size: one allocation for dozens of token deltas. Small, because an
/// event that is kept keeps its block.
const BLOCK: usize = 8 * 1024;

/// A buffer that has grown beyond this for one large event is not kept.
const SCRATCH: usize = 64 * 1024;

#[derive(Default)]
struct Buffers {
    scratch: Vec<u8>,
    block: BytesMut,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Any event.
pub(super) fn event(event: StreamResponse) -> Result<Prepared, LogError> {
    let json = serialized(|json| serde_json::to_writer(json, &event))?;
    let change = Change::of(event);
    Ok(Prepared { change, json })
}

/// The first event of a task, which is the task itself; the same as [`event`] would make it, without a copy.
pub(super) fn begin(task: &Task) -> Result<Prepared, LogError> {
    let json = serialized(|json| {
        json.extend_from_slice(br#"{"task":"#);
        serde_json::to_writer(&mut *json, task)?;
        json.push(b'}');
        Ok(())
    })?;
    let (state, at) = written(&task.status);
    let change = Change::Begin(state, at);
    Ok(Prepared { change, json })
}

/// How the JSON of every artifact event of a task begins, up to the artifact.
pub(super) fn artifact_head(task_id: &str, context_id: &str) -> Box<[u8]> {
    const WORDS: [&[u8]; 3] = [
        br#"{"artifactUpdate":{"taskId":"#,
        br#","contextId":"#,
        br#","artifact":"#,
    ];
    let [task, context, artifact] = WORDS;
    let quotes = 4;
    let words = WORDS.iter().map(|words| words.len()).sum::<usize>() + quotes;
    let mut head = Vec::with_capacity(words + task_id.len() + context_id.len());
    for (words, id) in [(task, task_id), (context, context_id)] {
        head.extend_from_slice(words);
        if !write_plain(&mut head, id) {
            // `Value` escapes as the serializer does.
            head.extend_from_slice(Value::from(id).to_string().as_bytes());
        }
    }
    head.extend_from_slice(artifact);
    head.into()
}

/// An artifact event of the task with `head`, the same as [`event`] would make it, but most of its JSON is there
/// already.
pub(super) fn artifact(
    head: &[u8],
    artifact: Artifact,
    append: bool,
    last_chunk: bool,
) -> Result<Prepared, LogError> {
    let json = serialized(|json| {
        json.extend_from_slice(head);
        write_artifact(json, &artifact)?;
        if append {
            json.extend_from_slice(br#","append":true"#);
        }
        if last_chunk {
            json.extend_from_slice(br#","lastChunk":true"#);
        }
        json.extend_from_slice(b"}}");
        Ok(())
    })?;
    let change = Change::of_artifact(artifact, append);
    Ok(Prepared { change, json })
}

/// Writes an artifact. One of nothing but text, which is what token streams are made of, is put together by hand.
fn write_artifact(json: &mut Vec<u8>, artifact: &Artifact) -> serde_json::Result<()> {
    let bare = artifact.name.is_empty()
        && artifact.description.is_empty()
        && artifact.metadata.is_none()
        && artifact.extensions.is_empty()
        && !artifact.artifact_id.is_empty()
        && !artifact.parts.is_empty();
    if !bare
        || artifact
            .parts
            .iter()
            .any(|part| part.as_bare_text().is_none())
    {
        return serde_json::to_writer(json, artifact);
    }
    json.extend_from_slice(br#"{"artifactId":"#);
    write_text(json, &artifact.artifact_id)?;
    json.extend_from_slice(br#","parts":["#);
    for (index, text) in artifact
        .parts
        .iter()
        .filter_map(Part::as_bare_text)
        .enumerate()
    {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(br#"{"text":"#);
        write_text(json, text)?;
        json.push(b'}');
    }
    json.extend_from_slice(b"]}");
    Ok(())
}

/// Writes a JSON string. Text without anything to escape, which is most text, is only copied.
fn write_text(json: &mut Vec<u8>, text: &str) -> serde_json::Result<()> {
    if write_plain(json, text) {
        Ok(())
    } else {
        serde_json::to_writer(json, text)
    }
}

/// Writes a JSON string if there is nothing in it to escape.
fn write_plain(json: &mut Vec<u8>, text: &str) -> bool {
    // No early exit: without one the compiler looks at many bytes at once.
    let escapes = text.bytes().fold(false, |found, byte| {
        found | (byte < b' ') | (byte == b'"') | (byte == b'\\')
    });
    if escapes {
        return false;
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
    true
}

/// What `write` writes.
fn serialized(
    write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> Result<Bytes, LogError> {
    BUFFERS.with_borrow_mut(|Buffers { scratch, block }| {
        scratch.clear();
        write(scratch).map_err(|source| LogError::Serialize(Arc::new(source)))?;
        if scratch.len() >= BLOCK / 2 {
            let json = Bytes::copy_from_slice(scratch);
            scratch.shrink_to(SCRATCH);
            return Ok(json);
        }
        if block.capacity() < scratch.len() {
            *block = BytesMut::with_capacity(BLOCK);
        }
        block.extend_from_slice(scratch);
        Ok(block.split().freeze())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Metadata, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus};
    use serde_json::json;

    #[test]
    fn task_is_written_as_its_own_first_event() {
        let at = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        for status in [
            TaskStatus::new(TaskState::Completed, at),
            TaskStatus::default(),
        ] {
            let task = Task {
                id: "quote\" t".to_owned(),
                status,
                ..Task::default()
            };
            let slow = event(StreamResponse::Task(task.clone())).unwrap();
            let fast = begin(&task).unwrap();
            assert_eq!(slow.json, fast.json);
            assert_eq!(slow.change.status(), fast.change.status());
            assert_eq!(slow.change.ends(), fast.change.ends());
        }
    }

    #[test]
    fn artifact_events_are_written_as_the_serializer_writes_them() {
        for id in ["t-1", "quote\" back\\ line\n ü \u{1}"] {
            let head = artifact_head(id, &format!("c {id}"));
            let metadata = Metadata::from_iter([("key".to_owned(), json!([1, "x"]))]);
            let text = |text: &str| Part::text(text);
            let made = [
                Artifact::new("a", vec![text("plain")]),
                Artifact::new(
                    "a",
                    vec![text("\u{7f}\n\"x"), text(""), text("\u{1f600}\\")],
                ),
                Artifact::new("a", vec![text("x"), Part::raw("y")]),
                Artifact::new("a", vec![text("x").with_filename("f")]),
                Artifact::new(
                    "a",
                    vec![Part {
                        metadata: Some(metadata.clone()),
                        ..text("x")
                    }],
                ),
                Artifact::new("other", vec![text("x")]),
                Artifact::new(id, vec![text("x")]).with_name("n"),
                Artifact {
                    metadata: Some(metadata),
                    ..Artifact::new("a", vec![text("x")])
                },
            ];
            for (made, (append, last_chunk)) in made.into_iter().flat_map(|made| {
                [(false, false), (true, false), (true, true)].map(|flags| (made.clone(), flags))
            }) {
                let update = TaskArtifactUpdateEvent {
                    task_id: id.to_owned(),
                    context_id: format!("c {id}"),
                    artifact: made.clone(),
                    append,
                    last_chunk,
                    ..TaskArtifactUpdateEvent::default()
                };
                let slow = event(StreamResponse::ArtifactUpdate(update)).unwrap();
                let fast = artifact(&head, made, append, last_chunk).unwrap();
                assert_eq!(slow.json, fast.json);
                let apply = |change: Change| {
                    let mut task = Task {
                        artifacts: vec![Artifact::new("a", vec![Part::text("before")])],
                        ..Task::default()
                    };
                    change.apply(&mut task);
                    task
                };
                assert_eq!(apply(slow.change), apply(fast.change));
            }
        }
    }
}

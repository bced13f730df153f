//! Our extension that tells the number of an event where the binding has no place for it. Server-sent events carry it as
//! their `id`; a gRPC message has no such field, so a client that wants to resume a stream activates the extension and
//! finds the number in the metadata of each event. Clients that do not know it see nothing of it.

use serde_json::Value;

use crate::types::{AgentExtension, Metadata, StreamResponse};

/// What names the extension; also the metadata key of the number.
pub const URI: &str = "urn:flotilla:ext:seq:v1";

/// The extension, for a card.
pub fn extension() -> AgentExtension {
    AgentExtension {
        uri: URI.to_owned(),
        description: "Numbers the events of a task over gRPC: activate it and each event's metadata has the number under \
                      this URI; send the last one as metadata last-event-id to resume after it."
            .to_owned(),
        required: false,
        params: None,
    }
}

fn metadata(event: &mut StreamResponse) -> &mut Option<Metadata> {
    match event {
        StreamResponse::Task(task) => &mut task.metadata,
        StreamResponse::Message(message) => &mut message.metadata,
        StreamResponse::StatusUpdate(update) => &mut update.metadata,
        StreamResponse::ArtifactUpdate(update) => &mut update.metadata,
    }
}

/// Writes the number of an event into it.
#[cfg(feature = "server")]
pub(crate) fn mark(event: &mut StreamResponse, seq: u64) {
    let metadata = metadata(event).get_or_insert_default();
    metadata.insert(URI.to_owned(), Value::from(seq));
}

/// Takes the number of an event out of it, so that the event is the one that every other binding has.
#[cfg(feature = "client")]
pub(crate) fn take(event: &mut StreamResponse) -> Option<u64> {
    let metadata = metadata(event);
    let seq = metadata.as_mut()?.remove(URI);
    metadata.take_if(|metadata| metadata.is_empty());
    seq.as_ref().and_then(Value::as_u64)
}

#[cfg(all(test, feature = "server", feature = "client"))]
mod tests {
    use super::*;
    use crate::types::{Message, Part, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent};

    #[test]
    fn a_marked_event_is_the_same_without_its_mark() {
        let known = Metadata::from_iter([("urn:x".to_owned(), Value::from(1))]);
        for event in [
            StreamResponse::from(Task::default()),
            Message::user("m", vec![Part::text("x")]).into(),
            TaskStatusUpdateEvent {
                metadata: Some(known),
                ..TaskStatusUpdateEvent::default()
            }
            .into(),
            TaskArtifactUpdateEvent::default().into(),
        ] {
            let mut marked = event.clone();
            mark(&mut marked, 7);
            assert_ne!(marked, event);
            assert_eq!(take(&mut marked), Some(7));
            assert_eq!(marked, event);
            assert_eq!(take(&mut marked), None);
        }
    }
}

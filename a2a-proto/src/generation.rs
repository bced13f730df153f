//! How the generation of a task gets into an event that is sent as the bytes the log keeps (1.1 preview): as one more member at
//! the end of its object, so that nothing is read or written again.

/// The bytes of an event of 1.0 with its generation, in pieces; without one they are one piece.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    event: &'a [u8],
    end: String,
}

impl<'a> Told<'a> {
    /// The event `json` with number `seq`, which tells its generation if `told` says so.
    pub(crate) fn new(json: &'a [u8], seq: u64, told: bool) -> Self {
        // A direct reply belongs to no task.
        match json.strip_suffix(b"}}") {
            Some(event) if told && !json.starts_with(br#"{"message":"#) => Self {
                event,
                end: format!(r#","generation":"{seq}"}}}}"#),
            },
            _ => Self {
                event: json,
                end: String::new(),
            },
        }
    }

    /// The pieces, in order.
    pub(crate) fn pieces(&self) -> [&[u8]; 2] {
        [self.event, self.end.as_bytes()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Artifact, Message, Part, StreamResponse, Task, TaskArtifactUpdateEvent};

    #[test]
    fn the_generation_is_what_the_serializer_would_write() {
        let artifact = Artifact::new("a", vec![Part::text("}}")]);
        for (plain, told) in [
            (
                StreamResponse::Task(Task {
                    id: "t".to_owned(),
                    ..Task::default()
                }),
                StreamResponse::Task(Task {
                    id: "t".to_owned(),
                    generation: 7,
                    ..Task::default()
                }),
            ),
            (
                StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
                    task_id: "t".to_owned(),
                    artifact: artifact.clone(),
                    ..TaskArtifactUpdateEvent::default()
                }),
                StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
                    task_id: "t".to_owned(),
                    artifact,
                    generation: 7,
                    ..TaskArtifactUpdateEvent::default()
                }),
            ),
            (
                StreamResponse::Message(Message::default()),
                StreamResponse::Message(Message::default()),
            ),
        ] {
            let plain = serde_json::to_vec(&plain).unwrap();
            let silent = Told::new(&plain, 7, false);
            assert_eq!(silent.pieces().concat(), plain);
            let told = serde_json::to_vec(&told).unwrap();
            assert_eq!(Told::new(&plain, 7, true).pieces().concat(), told);
        }
    }
}

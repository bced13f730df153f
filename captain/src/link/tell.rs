//! Gives a worker a further message for the task that it has. A captain that died between the call and its answer asks
//! again after its restart, so the task's own history is looked at first: a worker must not hear anything twice.

use a2a_proto::client::ClientError;
use a2a_proto::error::A2aError;
use a2a_proto::types::{Message, Part, SendMessageConfiguration, SendMessageRequest, Task};

use super::{WorkerLink, find_task};
use crate::engine::ports::{Assignment, Note};

/// Gives the worker the message, unless it has it.
pub(super) async fn tell(
    link: &WorkerLink,
    assignment: &Assignment,
    note: &Note,
) -> Result<(), ClientError> {
    let client = link.connect(assignment).await?;
    let known = match &assignment.task {
        Some(task) => Some(task.task.clone()),
        None => find_task(&client, assignment).await?,
    };
    let Some(task_id) = known else {
        return Err(A2aError::TaskNotFound {
            task_id: assignment.context().to_owned(),
        }
        .into());
    };
    let id = note.message_id(&assignment.worker);
    if has(&client.get(&task_id, None).await?, &id) {
        return Ok(());
    }
    let mut message = Message::user(id, vec![Part::text(note.text.clone())]);
    message.context_id = assignment.context().to_owned();
    message.task_id = task_id;
    let request = SendMessageRequest {
        message,
        configuration: Some(SendMessageConfiguration {
            // What comes of it is followed already.
            return_immediately: true,
            history_length: Some(0),
            ..SendMessageConfiguration::default()
        }),
        ..SendMessageRequest::default()
    };
    client.send(&request).await.map(drop)
}

/// Whether the task holds the message.
fn has(task: &Task, id: &str) -> bool {
    let present = task.status.message.iter();
    task.history
        .iter()
        .chain(present)
        .any(|message| message.message_id == id)
}

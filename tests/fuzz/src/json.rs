//! ProtoJSON of every object that comes from outside: what was read can be written, and what was written reads as the
//! same. The first byte of the input chooses the object.

use std::fmt::Debug;

use a2a_proto::types::{
    self, AgentCard, Artifact, CancelTaskRequest, GetTaskRequest, ListTasksRequest,
    ListTasksResponse, Message, SendMessageRequest, SendMessageResponse, StreamResponse, Task,
    TaskPushNotificationConfig, Validate,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads one object, and what it may do to a task.
pub fn json(data: &[u8]) {
    let Some((choice, data)) = crate::choice(data) else {
        return;
    };
    // Letters, so that the corpus can be read and written by hand.
    match choice {
        b's' => there_and_back::<SendMessageRequest>(data),
        b't' => there_and_back::<Task>(data),
        b'c' => there_and_back::<AgentCard>(data),
        b'l' => there_and_back::<ListTasksRequest>(data),
        b'L' => there_and_back::<ListTasksResponse>(data),
        b'p' => there_and_back::<TaskPushNotificationConfig>(data),
        b'g' => there_and_back::<GetTaskRequest>(data),
        b'x' => there_and_back::<CancelTaskRequest>(data),
        b'm' => there_and_back::<Message>(data),
        b'a' => there_and_back::<Artifact>(data),
        b'r' => there_and_back::<SendMessageResponse>(data),
        _ => {
            there_and_back::<StreamResponse>(data);
            story(data);
        }
    }
}

fn there_and_back<T: Serialize + DeserializeOwned + Validate + PartialEq + Debug>(data: &[u8]) {
    let Ok(object) = types::from_slice::<T>(data) else {
        return;
    };
    // Whatever it answers, it must answer.
    let _ = object.validate();
    let Ok(written) = serde_json::to_vec(&object) else {
        // Nothing that was read from JSON is beyond JSON.
        assert_eq!(Some(&object), None, "cannot be written");
        return;
    };
    let again = types::from_slice::<T>(&written);
    let lossless = !crate::has_finer_time(data);
    assert!(
        again
            .as_ref()
            .is_ok_and(|again| !lossless || *again == object),
        "{object:?} became {}",
        String::from_utf8_lossy(&written)
    );
    // What was written is written the same again, whatever the first reading lost.
    let rewritten = again.ok().and_then(|again| serde_json::to_vec(&again).ok());
    assert_eq!(rewritten.as_ref(), Some(&written));
}

/// Events, one per line, make a task; the order of equal work must not matter to its JSON.
fn story(data: &[u8]) {
    let mut task = Task::default();
    let mut owned = Task::default();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(event) = types::from_slice::<StreamResponse>(line) {
            task.apply(&event);
            owned.apply_owned(event);
        }
    }
    assert_eq!(task, owned);
}

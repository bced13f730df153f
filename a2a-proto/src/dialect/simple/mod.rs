//! The simple dialect: `POST /tasks/send` answered by server-sent events `task.status`, `task.message` and
//! `task.artifact`, and `GET /tasks/{id}`. It lets a client of thirty lines drive an agent with nothing but HTTP. Requests
//! and stored tasks have the shape of A2A v0.1, where the client makes the task id; `objects` has those objects,
//! `convert` the way to and from the canonical ones, `stream` the events.

mod convert;
mod objects;
mod stream;

#[cfg(test)]
mod tests;

pub use convert::{read_send, task};
pub use objects::{
    FileContent, SendParams, SimpleArtifact, SimpleMessage, SimplePart, SimpleStatus, SimpleTask,
};
pub use stream::{SimpleFrame, SimpleStream};

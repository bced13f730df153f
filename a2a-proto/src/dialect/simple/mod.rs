//! The simple dialect: `POST /tasks/send` answered by server-sent events `task.status`, `task.message` and
//! `task.artifact`, and `GET /tasks/{id}`. It lets a client of thirty lines drive an agent with nothing but HTTP. Requests
//! and stored tasks have the shape of A2A v0.1, where the client makes the task id.
//!
//! Events come in one of two forms, see [`Form`]. A request whose parts carry no `type` is answered in the short one:
//!
//! ```text
//! task.status    {"id", "status": "running", "final", "timestamp", "message"?, "error"?, "artifacts"?: [names]}
//! task.message   {"id", "role", "parts", "metadata"?}
//! task.artifact  {"id", "artifactId", "name", "index", "append", "lastChunk", "mimeType", "data": base64 | "url" | "artifact"}
//! ```
//!
//! One whose parts do, in the objects of v0.1:
//!
//! ```text
//! task.status    {"id", "status": {"state", "message"?, "timestamp"}, "final"}
//! task.message   {"id", "message": {"role", "parts", "metadata"?}, "metadata"?}
//! task.artifact  {"id", "artifact": {"name", "description"?, "parts", "index", "append", "lastChunk", "metadata"?}}
//! ```
//!
//! `GET /tasks/{id}` is a v0.1 task as JSON, and as a stream has the form of the request that made the task.
//!
//! `objects` has the objects, `convert` the way to and from the canonical ones, `stream` which event becomes which frames,
//! `short` and `v01` what is in them.

mod convert;
mod form;
mod objects;
mod short;
mod stream;
mod v01;

#[cfg(test)]
mod tests;

pub use convert::{ReceivedSend, read_send, task};
pub use form::Form;
pub use objects::{
    FileContent, SendParams, SimpleArtifact, SimpleMessage, SimplePart, SimpleStatus, SimpleTask,
};
pub use stream::{SimpleFrame, SimpleStream};

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
//! `receive` reads requests, `stream` says which event becomes which frames, `short` and `long` what is in them. The objects
//! and their conversions are those of [v0.1](super::v01).

mod form;
mod long;
mod receive;
mod short;
mod stream;

#[cfg(test)]
mod tests;

pub use form::Form;
pub use receive::{ReceivedSend, read_send};
pub use stream::{SimpleFrame, SimpleStream};

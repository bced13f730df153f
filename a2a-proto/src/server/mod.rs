//! The server side: an [`Agent`] and a [`TaskLog`](crate::log::TaskLog) behind every binding on one port.
//!
//! From the outside in: `router` lists the middleware, `route` says what a path means, `jsonrpc`, `rest`, `simple` and
//! `cards` are thin shells that read a request and write an answer, `dispatch` does the operations without knowing a
//! binding, `turns` runs the agent. What is stored and in which order is the log's business.

mod agent;
mod auth;
mod options;
mod updates;

pub use self::agent::{Acceptance, Agent, AgentError, CancelTarget, Incoming, Turn};
pub use self::auth::{AnyCaller, AuthError, Authenticator, BearerToken, Caller, bearer};
pub use self::options::ServerOptions;
pub use self::updates::{Durability, StatusUpdate, UpdateError, Updates};

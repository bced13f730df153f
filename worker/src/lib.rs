//! A worker: one supervisor process, one coding agent in one sandbox, one workspace, one A2A endpoint.
//!
//! The supervisor is trusted and the agent is not. Everything the agent says or leaves behind is bounded and never
//! executed outside the sandbox. Only [`card`] and [`cli`] are for others; the rest is how the worker is built.

mod agent;
mod app;
pub mod card;
pub mod cli;
mod driver;
mod gateway;
mod session;
mod state;
mod translate;
mod workspace;

//! The captain: takes a job, plans it, runs its subtasks on sandboxed workers, merges what they made.
//!
//! What is decided is decided in `captain_core`, which is pure. Around it: [`engine`] owns the jobs and runs what the core
//! asks for, through the ports that [`backend`], [`link`], [`planner`], [`workspace`] and [`store`] implement; [`api`],
//! `agent` (A2A) and [`cli`] are the faces; [`app`] puts the parts together.

mod agent;
pub mod api;
pub mod app;
pub mod auth;
pub mod backend;
pub mod cli;
pub mod config;
pub mod engine;
pub mod error;
pub mod link;
pub mod planner;
pub mod store;
pub mod upkeep;
pub mod workspace;

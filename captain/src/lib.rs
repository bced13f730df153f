//! Skeleton.

pub mod backend;
pub mod cli;
pub mod config;
pub mod engine;
pub mod planner;
pub mod store;
pub mod workspace;

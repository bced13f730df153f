//! Skeleton.

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
pub mod workspace;

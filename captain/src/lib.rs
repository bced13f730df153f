//! Skeleton.

pub mod config;
pub mod planner;
pub mod workspace;

//! The engine runs jobs: it feeds events to the pure core, stores them, and brings about what the core says is owed.

pub mod ports;

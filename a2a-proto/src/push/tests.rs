//! Deliveries to receivers of our own.

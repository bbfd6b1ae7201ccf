//! Simulated board pairs.

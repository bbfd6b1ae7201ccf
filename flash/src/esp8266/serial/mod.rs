//! The serial line to a loader: frames, packets, and commands with their replies.

pub mod connection;
pub mod packet;
pub mod slip;

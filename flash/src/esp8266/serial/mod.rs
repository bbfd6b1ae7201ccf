//! The serial line to a loader: ports, frames, packets, and commands with their replies.

pub mod connection;
pub mod packet;
pub mod port;
pub mod ports;
pub mod slip;

//! Serial ports of this machine: how they are found, opened and used.

pub mod find;
pub mod port;
pub mod ports;

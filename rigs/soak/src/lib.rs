//! Boards that write all the time, servers that are killed and stopped, and a ledger of every line.

pub mod board;
pub mod ledger;

//! Boards that write all the time, a server that is killed and stopped, and a ledger of every line.

mod account;
pub mod board;
mod client;
pub mod crowd;
pub mod ledger;
mod pen;
pub mod process;
pub mod proxy;
pub mod secure;
pub mod soak;
pub mod store;
pub mod wall;

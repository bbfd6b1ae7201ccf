//! Boards that write all the time, servers that are killed and stopped, and a ledger of every line.

mod account;
pub mod board;
pub mod broker;
pub mod crowd;
pub mod faults;
pub mod jetstream;
pub mod ledger;
pub mod machine;
pub mod nats;
mod pen;
pub mod process;
pub mod proxy;
pub mod secure;
pub mod soak;
pub mod store;
pub mod wall;

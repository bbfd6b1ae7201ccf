//! The TCP side: lines, and one end of a link that passes them exactly once.

mod connection;
pub mod endpoint;
mod held;
pub mod line;
pub mod lobby;
pub mod mid_set;
mod outbox;
pub(crate) mod packed;
mod store;
mod timing;
pub mod window;

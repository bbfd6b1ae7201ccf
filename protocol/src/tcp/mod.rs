//! The TCP side: lines, and one end of a link that passes them exactly once.

pub mod endpoint;
pub mod line;
mod outbox;
pub(crate) mod packed;
pub mod window;

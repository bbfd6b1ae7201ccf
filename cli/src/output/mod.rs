//! Output of the verbs: events and results as lines, and their parts.

pub mod cells;
pub(crate) mod diagnostics;
pub(crate) mod envelope;
pub mod events;
pub(crate) mod feed;
pub mod gateways;
pub(crate) mod json;
mod log_file;
pub(crate) mod printer;
pub mod shape;
mod stderr;
pub(crate) mod stdout;
pub mod times;
pub mod units;

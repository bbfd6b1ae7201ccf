//! The pblink server library.
mod event;
pub use event::{Cause, Event, EventKind, Layer, LinkState, LinkStatus, Refusal};

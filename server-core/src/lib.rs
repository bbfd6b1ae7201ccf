//! The pblink server library.
pub mod event;
pub use event::{Cause, Event, EventKind, Layer, LinkState, LinkStatus, Refusal};

//! The secure link between a board's program and its server, through carriers that know nothing of it.
//!
//! ```text
//!  application lines            application lines
//!    session  ══════════════════  session        numbers, acknowledgements, keys: here only
//!    packets as classic lines     packets as classic lines
//!    I2C ── ESP8266 ── WiFi/TCP ── server        the carrier: may lose, repeat, delay and forge
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`packet`] | a line on the carrier: before and during the handshake, and sealed |
//! | [`frame`] | the contents of a sealed packet: what the two sessions say to each other |
//! | [`suite`] | what the machines ask of the cryptography |
//! | [`board`] | the board's end: handshake, proofs of life, session |
//! | [`server`] | the server's end, for one id |
//!
//! No byte of a stranger makes any of them panic or allocate. On a board they are driven by [`app::secure`](crate::app::secure).

pub mod board;
pub mod frame;
pub mod packet;
pub mod server;
mod session;
pub mod suite;

pub use session::{Lines, MAX_WINDOW, Outgoing};

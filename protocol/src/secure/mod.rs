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
//!
//! The codecs hold no key and no state, and no byte of a stranger makes them panic or allocate. Nothing speaks them yet: the
//! sessions are still to be written.

pub mod frame;
pub mod packet;
pub mod suite;

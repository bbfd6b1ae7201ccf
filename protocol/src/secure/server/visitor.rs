//! Connections that claim an id.

use crate::time::Instant;

/// A connection that claims an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Visitor {
    /// Tells it from all others of this process.
    pub(super) number: u64,
    pub(super) challenge: Option<[u8; 16]>,
    /// A challenge is to be sent.
    pub(super) asks: bool,
    /// It has asked for one, or was given one.
    pub(super) speaks: bool,
    pub(super) challenged: Option<Instant>,
    pub(super) challenges: u8,
    /// Its last valid packet, its arrival, or the loss of its place as carrier.
    pub(super) heard: Instant,
}

impl Visitor {
    /// Makes a connection that has just claimed the id. `number` tells it from all others of this process.
    pub const fn new(number: u64, now: Instant) -> Self {
        Self {
            number,
            challenge: None,
            asks: false,
            speaks: false,
            challenged: None,
            challenges: 0,
            heard: now,
        }
    }

    /// Returns its number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns true if it has shown that it speaks the secure link: it has asked for a challenge, or was given one.
    pub const fn has_asked(&self) -> bool {
        self.speaks
    }

    pub(super) const fn ask(&mut self) {
        (self.asks, self.speaks) = (true, true);
    }

    /// Notes a valid packet: who sends some is given challenges for as long.
    pub(super) const fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.challenges = 0;
    }
}

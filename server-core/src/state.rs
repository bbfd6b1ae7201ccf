//! The state of a session as a value that a store can keep.

use std::sync::Arc;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::line::Mid;
use pblink_protocol::tcp::window::{Window, fingerprint};

/// Lines of one link that are waiting or unacknowledged; the next writer waits for room.
pub(crate) const IN_FLIGHT: usize = 64;

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// Version and number, before the window.
const HEAD: usize = 2;
const CHECK: usize = 4;

/// The knowledge of a client with which a server continues after its own end, however it came: which messages
/// were received, so that a repeated one is known, and the number of the oldest line to the client that
/// is not done. See [`Batch::state`](crate::Batch::state) and
/// [`Builder::restore_states`](crate::Builder::restore_states).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    window: Window,
    next: Mid,
    /// Never part of the bytes: the owner's store has each of them at its own place.
    owed: Vec<Owed>,
}

/// A line to a client, and how it is delivered.
pub(crate) type Owed = (Arc<str>, Delivery);

/// Why bytes are not a [`SessionState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadState {
    /// They have a version that this program does not know.
    #[error(
        "a stored session has version {0}, and only {VERSION} is known: a newer pblink wrote it"
    )]
    Version(u8),
    /// They are damaged, cut off, or something else.
    #[error("a stored session is damaged")]
    Damaged,
}

impl SessionState {
    pub(crate) fn new(window: Window, next: Mid) -> Self {
        Self { window, next, owed: Vec::new() }
    }

    pub(crate) fn into_parts(self) -> (Window, Mid, Vec<Owed>) {
        (self.window, self.next, self.owed)
    }

    /// Adds a line to the client that is not done: the oldest first, and each that may have been sent. The session
    /// begins with them, so that they are there before its client is: to one that has heard nothing but keepalives for
    /// some time, a line that it has already is a new one. Returns false, and does nothing, when as many are there as a
    /// session sends before it waits for acknowledgements: no more than these can have been sent, and those that follow are
    /// written as usual.
    pub fn owe(&mut self, text: Arc<str>, delivery: Delivery) -> bool {
        let room = self.owed.len() < IN_FLIGHT;
        if room {
            self.owed.push((text, delivery));
        }
        room
    }

    /// Returns the number of the oldest line to the client that is not done; without one, that of
    /// the next.
    pub fn next_number(&self) -> u8 {
        self.next.0
    }

    /// Returns the state as bytes, with a version and a check: 45 bytes, and four for each message that
    /// is remembered, at most 1,069.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.next.0];
        out.extend_from_slice(self.window.encode(&mut [0; Window::MAX_ENCODED]));
        let check = fingerprint(&out);
        out.extend(check.to_le_bytes());
        out
    }

    /// Reads what [`encode`](Self::encode) has written.
    ///
    /// # Errors
    /// If it is damaged, or has another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadState> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(BadState::Version(version)),
            None => return Err(BadState::Damaged),
        }
        let (body, check) = bytes.split_last_chunk::<CHECK>().ok_or(BadState::Damaged)?;
        if body.len() < HEAD || fingerprint(body).to_le_bytes() != *check {
            return Err(BadState::Damaged);
        }
        let window = Window::decode(&body[HEAD..]).map_err(|_| BadState::Damaged)?;
        Ok(Self::new(window, Mid(body[1])))
    }
}

/// The state of a client that nothing is known of.
impl Default for SessionState {
    fn default() -> Self {
        Self::new(Window::new(), Mid(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written_and_damage_is_seen() {
        let mut window = Window::new();
        for n in 0..=255 {
            window.accept(Mid(n), fingerprint(&[n]));
        }
        let largest = SessionState::new(window, Mid(7)).encode();
        assert!(largest.len() <= 1069, "{}", largest.len());
        for state in
            [SessionState::new(Window::new(), Mid(0)), SessionState::decode(&largest).unwrap()]
        {
            let bytes = state.encode();
            assert_eq!(SessionState::decode(&bytes), Ok(state));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                assert!(SessionState::decode(&damaged).is_err(), "byte {at}");
                assert!(SessionState::decode(&bytes[..at]).is_err(), "{at} bytes");
            }
        }
        assert_eq!(SessionState::decode(&[2, 0, 0]), Err(BadState::Version(2)));
    }
}

//! The state of a session as a value that a store can keep.

use std::sync::Arc;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::line::Mid;
use pblink_protocol::tcp::window::{Window, fingerprint, murmur3};

use crate::standing::Standing;

/// Lines of one link that are waiting or unacknowledged; the next writer waits for room.
pub(crate) const IN_FLIGHT: usize = 64;

/// The versions, of both kinds of links. Those of the first kind that older programs wrote are read only.
const FIRST_CLASSIC: u8 = 1;
const SECURE: u8 = 2;
const CLASSIC: u8 = 3;

const CHECK: usize = 4;

/// The knowledge of a client with which a server continues after its own end, however it came: which messages
/// were received, so that a repeated one is known, and the number of the oldest line to the client that
/// is not done. See [`Batch::state`](crate::Batch::state) and
/// [`Builder::restore_states`](crate::Builder::restore_states).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    link: Link,
    /// Never part of the bytes: the owner's store has them at their own places.
    last_row: u64,
    owed: Vec<Owed>,
}

/// The part of a state that depends on the kind of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Link {
    Classic { window: Box<Window>, next: Mid },
    Secure(Standing),
}

/// A line to a client, and how it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Its number in the owner's store, if that has one.
    pub(crate) row: Option<u64>,
    /// When it was written, in milliseconds since the Unix epoch; 0: not known.
    pub(crate) written_ms: u64,
    pub(crate) text: Arc<str>,
    pub(crate) delivery: Delivery,
}

/// Why bytes are not a [`SessionState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadState {
    /// They have a version that this program does not know.
    #[error(
        "a stored session has version {0}, and only {FIRST_CLASSIC} to {CLASSIC} are known: a newer pblink wrote it"
    )]
    Version(u8),
    /// They are damaged, cut off, or something else.
    #[error("a stored session is damaged")]
    Damaged,
}

impl SessionState {
    pub(crate) fn new(window: Window, next: Mid) -> Self {
        Self::of(Link::Classic { window: Box::new(window), next })
    }

    pub(crate) fn secure(standing: Standing) -> Self {
        Self::of(Link::Secure(standing))
    }

    const fn of(link: Link) -> Self {
        Self { link, last_row: 0, owed: Vec::new() }
    }

    /// Returns true if it is that of a client that speaks the secure link.
    pub const fn is_secure(&self) -> bool {
        matches!(self.link, Link::Secure(_))
    }

    pub(crate) fn into_classic(self) -> (Window, Mid, Vec<Owed>) {
        match self.link {
            Link::Classic { window, next } => (*window, next, self.owed),
            Link::Secure(_) => (Window::new(), Mid(0), self.owed),
        }
    }

    /// Returns where both ends stand, the number of the last line to the client, and those that are not done.
    pub(crate) fn into_secure(self) -> (Standing, u64, Vec<Owed>) {
        let standing = match self.link {
            Link::Classic { .. } => Standing::default(),
            Link::Secure(standing) => standing,
        };
        (standing, self.last_row, self.owed)
    }

    /// Sets the number of the last line that the owner's store has given to the client, done or not: no line gets a number
    /// twice. Only the secure link uses it.
    pub fn set_last_row(&mut self, row: u64) {
        self.last_row = row;
    }

    /// Adds a line to the client that is not done: the oldest first, and each that may have been sent. The session
    /// begins with them, so that they are there before its client is: to one that has heard nothing but keepalives for
    /// some time, a line that it has already is a new one. Returns false, and does nothing, when as many are there as a
    /// session sends before it waits for acknowledgements: no more than these can have been sent, and those that follow are
    /// written as usual.
    pub fn owe(&mut self, text: Arc<str>, delivery: Delivery) -> bool {
        self.push(Owed { row: None, written_ms: 0, text, delivery })
    }

    /// Does the same for a line that has a number in the owner's store, and was written at `written_ms` (milliseconds since the
    /// Unix epoch). Numbers grow. An owner that commits gives them, here and in [`Connection::post_row`](crate::Connection::post_row):
    /// the secure link names lines by them.
    pub fn owe_row(
        &mut self,
        row: u64,
        written_ms: u64,
        text: Arc<str>,
        delivery: Delivery,
    ) -> bool {
        self.push(Owed { row: Some(row), written_ms, text, delivery })
    }

    fn push(&mut self, owed: Owed) -> bool {
        let room = self.owed.len() < IN_FLIGHT;
        if room {
            self.owed.push(owed);
        }
        room
    }

    /// Returns the number of the oldest line to the client that is not done; without one, that of
    /// the next. It is that of the classic link, and 0 for a secure one.
    pub fn next_number(&self) -> u8 {
        match &self.link {
            Link::Classic { next, .. } => next.0,
            Link::Secure(_) => 0,
        }
    }

    /// Returns the state as bytes, with a version and a check. Of a classic link: 45 bytes, and four for each message that
    /// is remembered, at most 1,069. Of a secure one: 21 bytes, and 17 for each epoch of the server that the board may know,
    /// at most 1,109.
    pub fn encode(&self) -> Vec<u8> {
        let mut out;
        match &self.link {
            Link::Classic { window, next } => {
                out = vec![CLASSIC, next.0];
                out.extend_from_slice(window.encode(&mut [0; Window::MAX_ENCODED]));
            }
            Link::Secure(standing) => {
                out = vec![SECURE];
                standing.encode(&mut out);
            }
        }
        let check = check(&out);
        out.extend(check.to_le_bytes());
        out
    }

    /// Reads what [`encode`](Self::encode) has written.
    ///
    /// # Errors
    /// If it is damaged, or has another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadState> {
        match bytes.first() {
            Some(&(FIRST_CLASSIC | SECURE | CLASSIC)) => {}
            Some(&version) => return Err(BadState::Version(version)),
            None => return Err(BadState::Damaged),
        }
        let (body, stored) = bytes.split_last_chunk::<CHECK>().ok_or(BadState::Damaged)?;
        if check(body).to_le_bytes() != *stored {
            return Err(BadState::Damaged);
        }
        match *body {
            [FIRST_CLASSIC | CLASSIC, next, ref window @ ..] => {
                let window = Window::decode(window).map_err(|_| BadState::Damaged)?;
                Ok(Self::new(window, Mid(next)))
            }
            [SECURE, ref standing @ ..] => {
                Standing::decode(standing).map(Self::secure).ok_or(BadState::Damaged)
            }
            _ => Err(BadState::Damaged),
        }
    }
}

/// Returns the check of a state without it: of its first byte's version.
fn check(body: &[u8]) -> u32 {
    match body.first() {
        Some(&CLASSIC) => fingerprint(body),
        _ => murmur3(body),
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
    use pblink_protocol::tcp::window::{Print, Verdict};

    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written_and_damage_is_seen() {
        let mut window = Window::new();
        for n in 0..=255 {
            window.accept(Mid(n), Print::of(&[n]));
        }
        let largest = SessionState::new(window, Mid(7)).encode();
        assert!(largest.len() <= 1069, "{}", largest.len());
        for state in [
            SessionState::new(Window::new(), Mid(0)),
            SessionState::decode(&largest).unwrap(),
            SessionState::secure(Standing::default()),
        ] {
            let bytes = state.encode();
            assert_eq!(SessionState::decode(&bytes), Ok(state));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                assert!(SessionState::decode(&damaged).is_err(), "byte {at}");
                assert!(SessionState::decode(&bytes[..at]).is_err(), "{at} bytes");
            }
        }
        assert_eq!(SessionState::decode(&[4, 0, 0]), Err(BadState::Version(4)));
    }

    /// Written before fingerprints took eight bytes at a step, with the lines 0 "first" and 4 "four" from the client.
    #[test]
    fn a_state_of_the_first_version_is_read_and_knows_its_lines() {
        let mut window = vec![1, 3, 4, 0x11];
        window.extend([0; 31]);
        for text in ["first", "four"] {
            window.extend(murmur3(text.as_bytes()).to_le_bytes());
        }
        let mut bytes = vec![FIRST_CLASSIC, 7];
        window.extend(murmur3(&window).to_le_bytes());
        bytes.extend(window);
        bytes.extend(murmur3(&bytes).to_le_bytes());
        let state = SessionState::decode(&bytes).unwrap();
        assert_eq!(state.next_number(), 7);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(SessionState::decode(&damaged).is_err(), "byte {at}");
        }
        // As it is written today, it says the same.
        let today = SessionState::decode(&state.encode()).unwrap();
        assert_eq!((today.encode()[0], &today), (CLASSIC, &state));
        let (window, ..) = today.into_classic();
        assert_eq!(window.judge(Mid(4), Print::of(b"four")), Verdict::Duplicate);
        assert_eq!(window.judge(Mid(4), Print::of(b"five")), Verdict::Restarted);
    }
}

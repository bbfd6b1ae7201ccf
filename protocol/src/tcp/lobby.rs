//! The lobby: from a new connection to a link. Reads the hello, and decides who comes in.
//!
//! A [`Guest`] is a connection that belongs to no session yet. Its owner has the socket, the clock and
//! the list of clients, and goes through three steps:
//!
//! 1. [`on_bytes`](Guest::on_bytes) until it returns the length of the hello. What came behind it
//!    belongs to the session. At [`poll_at`](Guest::poll_at), once the socket was read again and held
//!    nothing: [`on_timer`](Guest::on_timer).
//! 2. Find the session of [`id`](Guest::id), and report how it stands:
//!    [`on_standing`](Guest::on_standing).
//! 3. Do what the [`Verdict`] says. After [`Verdict::Wait`] and [`Verdict::Look`], report again.
//!
//! **Take-over.** A client that comes back may find its old connection half open. It gets the id only
//! when the old connection has been silent for half a time-out, when it has itself waited a quarter
//! of a time-out (within which a living client sends a keepalive), and when the old connection's
//! socket was read once more and held nothing. The last two hold whatever the server's process went
//! through: after a stall its timers are late, and the bytes that prove life wait in the socket.

use heapless::Vec;

use super::endpoint::Timing;
use super::line::{BadId, MAX_ID, parse_hello};
use crate::time::{Duration, Instant};

/// The longest time that a hello may take. It applies where the time-out is longer.
pub const MAX_HELLO_TIME: Duration = Duration::from_secs(5);

/// Returns the time that a hello may take: one time-out, at most [`MAX_HELLO_TIME`].
pub const fn hello_time(timing: &Timing) -> Duration {
    if timing.timeout.as_micros() < MAX_HELLO_TIME.as_micros() {
        timing.timeout
    } else {
        MAX_HELLO_TIME
    }
}

/// Returns the earliest time at which a rival that came at `arrived` gets the id of a connection from
/// which the last byte was read at `heard`. Its socket must be read once more before.
pub fn take_over_at(timing: &Timing, heard: Instant, arrived: Instant) -> Instant {
    (heard + timing.timeout.part(2)).max(arrived + timing.timeout.part(4))
}

/// Reasons for which a connection does not become a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No complete hello came in time.
    HelloTimeout,
    /// The hello is not an id. [`BadId::TooLong`]: it has more than [`MAX_ID`] bytes.
    BadId(BadId),
    /// No client with this id is expected.
    Unknown,
    /// A living connection has this id.
    Duplicate,
}

/// The session of an id, as it stands when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// There is none, and there will be none.
    Unknown,
    /// No connection has the id.
    Free,
    /// A connection has it.
    Taken {
        /// Time at which its last byte was read.
        heard: Instant,
        /// Its socket was read now, without waiting, and held nothing. Answer to [`Verdict::Look`].
        silent: bool,
    },
}

/// The decision about a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The connection is the session's.
    Admit,
    /// The connection is the session's, in place of the old one, which has to be closed.
    TakeOver,
    /// Undecided. Report again at this time, and when the session has heard something, or its
    /// connection is closed.
    Wait(Instant),
    /// Read the old connection's socket now, without waiting. What it holds belongs to the session,
    /// and counts as heard now. Report again, with [`Standing::Taken::silent`] if it held nothing.
    Look,
    /// Close the guest's connection without a byte.
    Refuse(Refusal),
}

/// A connection that has no session yet: its hello, and its wait for a rival.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guest {
    timing: Timing,
    hello: Vec<u8, MAX_ID>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// The hello is not complete.
    Reading { deadline: Instant },
    /// The hello was complete at `arrived`. `again`: undecided until then.
    Named { arrived: Instant, again: Option<Instant> },
}

impl Guest {
    /// Makes a connection that was accepted at `now`.
    pub fn new(now: Instant, timing: Timing) -> Self {
        let deadline = now + hello_time(&timing);
        Self { timing, hello: Vec::new(), state: State::Reading { deadline } }
    }

    /// Takes bytes that have come, until the hello is complete. Returns how many of these bytes belong
    /// to it, its newline included; `None`: all, and more has to come. Once it is complete, no
    /// bytes belong to it.
    ///
    /// # Errors
    /// [`Refusal::BadId`] if it is not an id. [`hello`](Self::hello) has the bytes, as far as they were
    /// read.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let State::Reading { .. } = self.state else { return Ok(Some(0)) };
        let end = bytes.iter().position(|&b| b == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = MAX_ID - self.hello.len();
        // It cannot be full: no more than `room` is added.
        let _ = self.hello.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() > room {
            return Err(Refusal::BadId(BadId::TooLong));
        }
        let Some(end) = end else { return Ok(None) };
        parse_hello(&self.hello).map_err(Refusal::BadId)?;
        self.state = State::Named { arrived: now, again: None };
        Ok(Some(end + 1))
    }

    /// Notes that the time is `now`, and that the guest's socket was read once more and held nothing.
    ///
    /// # Errors
    /// [`Refusal::HelloTimeout`] if the hello should be complete by now.
    pub fn on_timer(&mut self, now: Instant) -> Result<(), Refusal> {
        match self.state {
            State::Reading { deadline } if now >= deadline => Err(Refusal::HelloTimeout),
            State::Reading { .. } | State::Named { .. } => Ok(()),
        }
    }

    /// Returns the id, once the hello is complete.
    pub fn id(&self) -> Option<&str> {
        match self.state {
            State::Named { .. } => core::str::from_utf8(&self.hello).ok(),
            State::Reading { .. } => None,
        }
    }

    /// Returns the bytes of the hello so far, without its newline: at most [`MAX_ID`].
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Decides about the guest, now that its session stands like this.
    pub fn on_standing(&mut self, now: Instant, standing: Standing) -> Verdict {
        let State::Named { arrived, again } = &mut self.state else {
            return match self.on_timer(now) {
                Err(refusal) => Verdict::Refuse(refusal),
                Ok(()) => Verdict::Wait(self.poll_at(now).unwrap_or(now)),
            };
        };
        *again = None;
        match standing {
            Standing::Unknown => Verdict::Refuse(Refusal::Unknown),
            Standing::Free => Verdict::Admit,
            Standing::Taken { heard, .. } if heard > *arrived => {
                Verdict::Refuse(Refusal::Duplicate)
            }
            Standing::Taken { heard, silent } => {
                let at = take_over_at(&self.timing, heard, *arrived);
                if now < at {
                    *again = Some(at);
                    Verdict::Wait(at)
                } else if silent {
                    Verdict::TakeOver
                } else {
                    Verdict::Look
                }
            }
        }
    }

    /// Returns the time of the next look, if nothing else happens before: the end of the hello's time,
    /// or of a wait for a rival. Never earlier than `now`.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Reading { deadline } => Some(deadline.max(now)),
            State::Named { again, .. } => again.map(|at| at.max(now)),
        }
    }
}

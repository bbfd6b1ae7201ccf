//! The memory of a session under its lock: awake while something is under way, asleep while its client is away.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use pblink_protocol::tcp::endpoint::Ticket;

use super::Shared;
use super::core::{Core, Packed, Spare};
use crate::error::Closed;
use crate::status::LinkStatus;

#[derive(Debug)]
pub(super) enum State {
    Live(Box<Core>),
    /// The client is away, and nothing is under way. [`Session::lock`] wakes it up.
    Asleep(Box<Core<Packed>>),
    /// The server was shut down.
    Over {
        /// Lines that were not acknowledged by then, of those that someone waits for.
        kept: Vec<Ticket>,
        /// Not the server is over, but this client was forgotten.
        forgotten: bool,
        status: Box<LinkStatus>,
    },
}

impl State {
    /// Returns the session, if lines of it may be handed out.
    pub(super) fn open(&mut self) -> Result<&mut Core, Closed> {
        match self {
            Self::Live(core) if !core.record.closing => Ok(core),
            Self::Live(_) | Self::Asleep(_) | Self::Over { .. } => Err(Closed),
        }
    }
}

/// A session that is locked and awake. With the lock it falls asleep, if it can.
pub(super) struct Awake<'a> {
    state: MutexGuard<'a, State>,
    spare: &'a Spare,
}

impl<'a> Awake<'a> {
    /// Wakes a session up that is locked.
    pub(super) fn new(mut state: MutexGuard<'a, State>, shared: &'a Shared) -> Self {
        if let State::Asleep(core) = &mut *state {
            *state = State::Live(core.awake(&shared.limits, &shared.spare));
        }
        Self { state, spare: &shared.spare }
    }
}

impl Deref for Awake<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Awake<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        // Nearly always it has a connection.
        if let State::Live(core) = &mut *self.state
            && core.transport.is_none()
            && let Some(asleep) = core.asleep()
            && let State::Live(core) =
                std::mem::replace(&mut *self.state, State::Asleep(Box::new(asleep)))
        {
            self.spare.put(core);
        }
    }
}

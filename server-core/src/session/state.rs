//! The memory of a session under its lock: awake while something is under way, asleep while its client is away.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use super::core::{Core, Packed, Spare};
use super::record::Record;
use super::secure::Secure;
use super::{Shared, Written};
use crate::error::Closed;
use crate::status::LinkStatus;

#[derive(Debug)]
pub(super) enum State {
    Live(Box<Core>),
    /// The client is away, and nothing is under way. [`Session::lock`] wakes it up.
    Asleep(Box<Core<Packed>>),
    /// Its client speaks the secure link.
    Secure(Box<Secure>),
    /// The server was shut down.
    Over {
        /// Lines that were not acknowledged by then, of those that someone waits for.
        kept: Vec<Written>,
        /// Not the server is over, but this client was forgotten.
        forgotten: bool,
        status: Box<LinkStatus>,
    },
}

/// A session that another server in this process can continue.
#[derive(Debug)]
pub(crate) enum Saved {
    Classic(Box<Core>),
    Secure(Box<Secure>),
}

impl Saved {
    pub(crate) fn is_worth_keeping(&self) -> bool {
        match self {
            Self::Classic(core) => core.is_worth_keeping(),
            Self::Secure(secure) => secure.is_worth_keeping(),
        }
    }

    /// Returns the number of lines that nobody has accepted, and that of those that are not acknowledged.
    pub(crate) fn lines(&self) -> (usize, usize) {
        match self {
            Self::Classic(core) => (core.side.inbox.len(), core.endpoint.unacked()),
            Self::Secure(secure) => (secure.side.inbox.len(), secure.unacked()),
        }
    }
}

impl State {
    pub(super) fn of(saved: Saved) -> Self {
        match saved {
            Saved::Classic(core) => Self::Live(core),
            Saved::Secure(secure) => Self::Secure(secure),
        }
    }

    /// Returns the session, if lines of it may be handed out.
    pub(super) fn open(&mut self) -> Result<Open<'_>, Closed> {
        match self {
            Self::Live(core) if !core.record.closing => Ok(Open::Classic(core)),
            Self::Secure(secure) if !secure.record.closing => Ok(Open::Secure(secure)),
            _ => Err(Closed),
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Live(core) => Some(&core.record),
            Self::Secure(secure) => Some(&secure.record),
            Self::Asleep(_) | Self::Over { .. } => None,
        }
    }

    pub(super) fn record_mut(&mut self) -> Option<&mut Record> {
        match self {
            Self::Live(core) => Some(&mut core.record),
            Self::Secure(secure) => Some(&mut secure.record),
            Self::Asleep(_) | Self::Over { .. } => None,
        }
    }
}

/// A session whose lines may be handed out.
pub(super) enum Open<'a> {
    Classic(&'a mut Core),
    Secure(&'a mut Secure),
}

/// A session that is locked and awake. With the lock it falls asleep, if it can.
pub(super) struct Awake<'a> {
    state: MutexGuard<'a, State>,
    spare: &'a Spare,
}

impl<'a> Awake<'a> {
    /// Wakes a session up that is locked.
    #[inline]
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

impl Awake<'_> {
    /// Lets the session fall asleep, if it can.
    #[cold]
    fn rest(&mut self) {
        if let State::Live(core) = &mut *self.state
            && let Some(asleep) = core.asleep()
            && let State::Live(core) =
                std::mem::replace(&mut *self.state, State::Asleep(Box::new(asleep)))
        {
            self.spare.put(core);
        }
    }
}

impl Drop for Awake<'_> {
    #[inline]
    fn drop(&mut self) {
        // Nearly always it has a connection.
        if let State::Live(core) = &*self.state
            && core.transport.is_none()
        {
            self.rest();
        }
    }
}

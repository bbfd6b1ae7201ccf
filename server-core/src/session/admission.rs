//! The way of a new connection into a session.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use pblink_protocol::tcp::lobby::{Guest, Standing, Verdict};
use pblink_protocol::time::Instant;

use super::Session;
use super::secure::Visit;
use super::state::State;
use super::transport::Socket;
use crate::event::Cause;
use crate::sources::Place;

/// The answer to a wish to connect.
pub(crate) enum Admission {
    /// It is this session's connection now.
    Attached,
    /// An older connection lives.
    Duplicate,
    /// An older connection may be dead: that is known by then, or when `changed` reports it.
    Wait(Instant),
    /// The server was shut down.
    Over,
}

impl Session {
    /// Admits a new connection that gave this session's id. The lobby decides; see there for the
    /// rule of take-over.
    pub(crate) fn admit(
        &self,
        guest: &mut Guest,
        socket: &Arc<Socket>,
        peer: SocketAddr,
    ) -> Admission {
        self.with(|state, scratch, now| {
            let State::Live(core) = state else {
                return Admission::Over;
            };
            let mut silent = false;
            loop {
                let standing = match core.endpoint.last_heard() {
                    Some(heard) => Standing::Taken { heard, silent },
                    None => Standing::Free,
                };
                match guest.on_standing(now, standing) {
                    Verdict::Wait(until) => {
                        core.rivals = true;
                        return Admission::Wait(until);
                    }
                    Verdict::Look => {
                        silent = !self.read_now(core, scratch, now);
                        // What follows from what was read is for the connection's own task.
                        if let Some(old) = core.socket() {
                            old.look_again();
                        }
                    }
                    Verdict::TakeOver => {
                        self.detach(core, Cause::TakenOver, now);
                        break;
                    }
                    Verdict::Admit => break,
                    Verdict::Refuse(_) => return Admission::Duplicate,
                }
            }
            core.attach(Arc::clone(socket), peer, now, &self.id, &self.shared);
            if !std::mem::replace(&mut core.record.announced, true) {
                self.shared.newcomers.push(Weak::clone(&self.me));
            }
            self.changed.notify_waiters();
            Admission::Attached
        })
    }

    /// Takes a connection that claims the id of a session with keys. Gives its place among those that are not proven back if
    /// the session is over.
    pub(crate) fn visit(
        &self,
        connection: (Arc<Socket>, SocketAddr),
        visit: Arc<Visit>,
        pending: Place,
    ) -> Result<(), Place> {
        self.with(|state, scratch, now| match state {
            State::Secure(secure) => {
                let mut call = self.call(now, &mut scratch.wakes);
                secure.visit(connection, (visit, pending), &mut call);
                Ok(())
            }
            State::Live(_) | State::Asleep(_) | State::Over { .. } => Err(pending),
        })
    }
}

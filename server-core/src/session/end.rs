//! The end of a session: a clean stop, a client that is forgotten, another kind of link.

use std::sync::PoisonError;

use super::core::Core;
use super::{Saved, Session, State, Written};
use crate::event::Cause;

impl Session {
    /// Waits until the application has accepted or given back all lines that it has, and until all that was
    /// written is acknowledged, or the link is down.
    pub(crate) async fn drained(&self) {
        if let Some(record) = self.lock().record_mut() {
            record.draining = true;
        }
        loop {
            let changed = self.changed.notified();
            let drained = match &*self.lock() {
                State::Live(core) => core.is_drained(),
                State::Secure(secure) => secure.is_drained(),
                // That the session is over is as good.
                State::Asleep(_) | State::Over { .. } => true,
            };
            if drained {
                return;
            }
            changed.await;
        }
    }

    /// Ends the session, since the server is shut down. Gives away what another server can
    /// continue.
    pub(crate) fn finish(&self) -> Option<Saved> {
        self.room.close();
        self.over(None::<fn(&Core) -> bool>)
    }

    /// Ends the session of a client whose link is of another kind from now on. Its writers hear that it was forgotten.
    pub(crate) fn give_way(&self) {
        self.room.close();
        self.over(Some(|_: &Core| true));
    }

    /// Forgets this client, since the server needs room, unless it is back or something of it would
    /// be lost. Reports whether it was forgotten.
    pub(crate) fn forget(&self) -> bool {
        self.forget_if(|core| core.idle_since().is_some())
    }

    /// Forgets this client if it has never been here, and nothing waits for it. Reports whether it was forgotten.
    pub(crate) fn forget_unseen(&self) -> bool {
        self.forget_if(|core| !core.record.is_up() && !core.is_worth_keeping())
    }

    fn forget_if(&self, idle: impl FnOnce(&Core) -> bool) -> bool {
        let forgotten = self.over(Some(idle)).is_some();
        if forgotten {
            self.room.close();
        }
        forgotten
    }

    /// Ends the session. `idle`: only if this is true of it, since the client is forgotten.
    fn over(&self, idle: Option<impl FnOnce(&Core) -> bool>) -> Option<Saved> {
        let forgotten = idle.is_some();
        let saved = self.with(|state, scratch, now| {
            let (kept, status) = match state {
                State::Live(core) => {
                    if idle.is_some_and(|idle| !idle(core)) {
                        return None;
                    }
                    core.detach(Cause::Shutdown, now, &self.id, &self.shared);
                    let kept = core.pending(&mut scratch.wakes).into_iter();
                    (kept.map(Written::Classic).collect(), core.status(&self.id, now))
                }
                // One with keys is never forgotten.
                State::Secure(_) if forgotten => return None,
                State::Secure(secure) => {
                    secure.end(Cause::Shutdown, &mut self.call(now, &mut scratch.wakes));
                    let kept = secure.pending(&mut scratch.wakes).into_iter();
                    (kept.map(Written::Secure).collect(), secure.status(&self.id, now))
                }
                State::Asleep(_) | State::Over { .. } => return None,
            };
            let status = Box::new(status);
            match std::mem::replace(state, State::Over { kept, forgotten, status }) {
                State::Live(mut core) => {
                    self.shared.inboxes.change(core.side.counted(), 0);
                    core.park();
                    Some(Saved::Classic(core))
                }
                State::Secure(mut secure) => {
                    self.shared.inboxes.change(secure.side.counted(), 0);
                    secure.park();
                    Some(Saved::Secure(secure))
                }
                State::Asleep(_) | State::Over { .. } => None,
            }
        });
        self.lines.notify_waiters();
        self.changed.notify_waiters();
        saved
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let counted = match state {
            State::Live(core) => core.side.counted(),
            State::Secure(secure) => secure.side.counted(),
            State::Asleep(_) | State::Over { .. } => return,
        };
        self.shared.inboxes.change(counted, 0);
    }
}

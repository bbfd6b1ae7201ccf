//! A session: everything that is known of one client. It outlives connections and outages.
//!
//! A lock guards it, and is only ever held for as long as it takes to move bytes: nothing waits under
//! it. The task of the present connection and the tasks of the application meet here; whoever has
//! something to send writes to the socket itself, which spares a change of tasks for each line.

mod admission;
mod application;
mod content;
mod core;
mod end;
mod inbox;
mod limits;
mod record;
mod secure;
mod side;
mod state;
mod stream;
mod task;
mod texts;
mod transport;
mod waiters;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::tcp::endpoint::Ticket;
use pblink_protocol::time::Instant;
use tokio::sync::{Notify, Semaphore};

pub(crate) use self::admission::Admission;
pub(crate) use self::content::{Content, Lent};
pub(crate) use self::core::{Core, Spare};
use self::inbox::Inbox;
pub(crate) use self::inbox::Loan;
pub(crate) use self::limits::{Clock, Limits};
pub(crate) use self::record::Record;
pub(crate) use self::secure::Visit;
use self::secure::{Call, Secure};
pub(crate) use self::state::Saved;
use self::state::{Awake, State};
pub(crate) use self::stream::Stream;
pub(crate) use self::task::run;
pub(crate) use self::texts::Tag;
pub(crate) use self::transport::{Incoming, Socket, split};
use crate::budget::Budget;
use crate::buffers::Scratch;
use crate::bus::Bus;
use crate::error::Closed;
use crate::event::Cause;
use crate::keys::{Keys, Route};
use crate::queue::Sessions;
use crate::state::{IN_FLIGHT, SessionState};
use crate::status::LinkStatus;

/// The part that all sessions of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) bus: Bus,
    pub(crate) newcomers: Sessions<Session>,
    /// The sessions that have something to commit, for an owner that commits.
    pub(crate) due: Sessions<Session>,
    /// The budget of the inboxes of all sessions together.
    pub(crate) inboxes: Budget,
    /// Memory for sessions that wake up.
    pub(crate) spare: Spare,
    pub(crate) clock: Clock,
    /// The epoch of this process, on secure links.
    pub(crate) epoch: AtomicU64,
}

impl Shared {
    /// Returns the epoch of this process.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch::new(self.epoch.load(Ordering::Relaxed)).unwrap_or(Epoch::MIN)
    }
}

/// A line that was written, of either kind of link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Classic(Ticket),
    Secure(u64),
}

/// Effects of a look at a session, once it is unlocked.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    freed: usize,
    delivered: bool,
    /// Something has come about that someone waits for.
    changed: bool,
    due: Due,
    /// Its client is here for the first time, and nobody has taken it on.
    newcomer: bool,
}

/// Place of a session among those that have something to commit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Due {
    /// It is there already, or has nothing.
    #[default]
    No,
    /// Before those with many lines: whoever sends a line at a time waits for none of them.
    Small,
    Large,
}

impl Due {
    fn new<R>(due: bool, inbox: &Inbox<R>) -> Self {
        match (due, inbox.is_small()) {
            (false, _) => Self::No,
            (true, true) => Self::Small,
            (true, false) => Self::Large,
        }
    }
}

/// The number of the next session.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) shared: Arc<Shared>,
    /// Places in the queue of written lines; fair, so that writers keep their order.
    pub(crate) room: Semaphore,
    /// A line can be read.
    pub(crate) lines: Notify,
    /// The link went up or down, or something that was waited for has happened.
    pub(crate) changed: Notify,
    state: Mutex<State>,
    /// Tells it from all others of the process.
    pub(crate) serial: u64,
    /// This session, for queues that must not keep it alive.
    me: Weak<Self>,
}

/// The next step of the connection's task.
pub(crate) enum Turn {
    /// Go on.
    Go {
        /// Look again at this time at the latest. `None`: as before.
        deadline: Option<Instant>,
        /// Wait until the socket takes bytes.
        blocked: bool,
    },
    /// The connection is no longer this session's.
    Over,
}

/// The reason for which the connection's task looks.
pub(crate) enum Input<'a> {
    Bytes(&'a [u8]),
    Timer,
    Other,
}

impl Session {
    pub(crate) fn new(id: String, shared: Arc<Shared>) -> Arc<Self> {
        let core = Core::unknown(&shared.limits, shared.clock.now());
        Self::make(id, shared, State::Asleep(Box::new(core)))
    }

    /// Makes the session of a client that speaks the secure link.
    pub(crate) fn secure(id: String, shared: Arc<Shared>, keys: &Keys) -> Arc<Self> {
        let secure = Secure::new(&id, keys, &shared, shared.clock.now());
        Self::make(id, shared, State::Secure(Box::new(secure)))
    }

    /// Returns a session from a store. One of a secure link stays one, whatever keys there are.
    pub(crate) fn from_state(
        id: String,
        shared: Arc<Shared>,
        state: SessionState,
        keys: Option<&Keys>,
    ) -> Arc<Self> {
        let now = shared.clock.now();
        let none = Keys::new();
        let keyed = keys.filter(|keys| keys.route(&id) == Route::Secure);
        if keyed.is_some() || state.is_secure() {
            let keys = keyed.unwrap_or(&none);
            let secure = Box::new(Secure::from_state(&id, keys, &shared, state, now));
            return Self::restore(id, shared, Saved::Secure(secure));
        }
        let mut core = Core::new(&shared.limits, now);
        core.set_state(state, now);
        Self::restore(id, shared, Saved::Classic(Box::new(core)))
    }

    /// Returns a session that was saved by [`finish`](Self::finish).
    pub(crate) fn restore(id: String, shared: Arc<Shared>, saved: Saved) -> Arc<Self> {
        let session = Self::make(id, shared, State::of(saved));
        session.with(|state, _, _| match state {
            State::Live(core) => {
                let waiting = core.endpoint.unacked();
                core.take_freed();
                session.room.forget_permits(waiting);
            }
            State::Secure(secure) => {
                secure.take_freed();
                session.room.forget_permits(secure.taken());
            }
            State::Asleep(_) | State::Over { .. } => {}
        });
        session
    }

    fn make(id: String, shared: Arc<Shared>, state: State) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            id,
            shared,
            room: Semaphore::new(IN_FLIGHT),
            lines: Notify::new(),
            changed: Notify::new(),
            state: Mutex::new(state),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            me: Weak::clone(me),
        })
    }

    /// Puts the session among those that nobody has taken on, unless it was there before.
    pub(crate) fn announce(&self) {
        if let Some(record) = self.lock().record_mut()
            && !std::mem::replace(&mut record.announced, true)
        {
            self.shared.newcomers.push(Weak::clone(&self.me));
        }
    }

    fn lock(&self) -> Awake<'_> {
        Awake::new(self.lock_as_it_is(), &self.shared)
    }

    /// Locks the session without waking it up.
    fn lock_as_it_is(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` under the lock, and then wakes all who wait for what it has brought about.
    fn with<R>(&self, f: impl FnOnce(&mut State, &mut Scratch, Instant) -> R) -> R {
        let mut scratch = Scratch::take();
        let (result, effects) = {
            let mut state = self.lock();
            let result = f(&mut state, &mut scratch, self.shared.clock.now());
            let effects = match &mut *state {
                State::Live(core) => core.effects(&self.shared, &mut scratch.wakes),
                State::Secure(secure) => secure.effects(&self.shared),
                State::Asleep(_) | State::Over { .. } => Effects::default(),
            };
            (result, effects)
        };
        if effects.freed > 0 {
            self.room.add_permits(effects.freed);
        }
        if effects.delivered {
            self.lines.notify_one();
        }
        match effects.due {
            Due::No => {}
            Due::Small => self.shared.due.push_first(Weak::clone(&self.me)),
            Due::Large => self.shared.due.push(Weak::clone(&self.me)),
        }
        if effects.changed {
            self.changed.notify_waiters();
        }
        if effects.newcomer {
            self.shared.newcomers.push(Weak::clone(&self.me));
        }
        scratch.finish();
        result
    }

    /// Returns what a call of the session's secure half brings with it.
    fn call<'a>(&'a self, now: Instant, wakes: &'a mut Vec<Waker>) -> Call<'a> {
        Call { id: &self.id, shared: &self.shared, now, wakes }
    }

    /// Runs the connection's task once: it has `input`, or was woken.
    pub(crate) fn turn(&self, socket: &Arc<Socket>, input: Input<'_>) -> Turn {
        self.with(|state, scratch, now| match state {
            State::Live(core) if core.is_current(socket) => {
                match input {
                    Input::Bytes(bytes) => self.receive(core, scratch, now, bytes),
                    Input::Timer => {
                        // An outage is silence after the socket was read once more.
                        if core.endpoint.outage(now) {
                            self.read_now(core, scratch, now);
                        }
                        core.retry(now);
                    }
                    Input::Other => {}
                }
                self.go_on(core, scratch, now, matches!(input, Input::Timer))
            }
            State::Secure(secure) if secure.has(socket) => {
                let mut call = self.call(now, &mut scratch.wakes);
                secure.hear_carrier(socket, &mut call);
                match input {
                    Input::Bytes(bytes) => secure.receive(socket, bytes, &mut call),
                    Input::Timer => secure.look_once_more(socket, &mut call),
                    Input::Other => {}
                }
                let fired = matches!(input, Input::Timer);
                self.go_on_secure(secure, socket, fired, scratch, now)
            }
            _ => Turn::Over,
        })
    }

    fn go_on_secure(
        &self,
        secure: &mut Secure,
        socket: &Arc<Socket>,
        fired: bool,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Turn {
        let Scratch { out, wakes } = scratch;
        let turn = secure.go_on(socket, fired, out, &mut self.call(now, wakes));
        // The link may have gone up or down.
        if secure.record.take_changed() {
            self.changed.notify_waiters();
        }
        turn
    }

    /// Reads for the connection's task. The lock is held meanwhile, so that nobody who reads what
    /// the socket holds gets ahead of what was read before.
    pub(crate) fn poll_read(
        &self,
        socket: &Arc<Socket>,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Turn> {
        self.with(|state, scratch, now| match state {
            State::Live(core) if core.is_current(socket) => {
                ready!(incoming.poll(cx, |read| self.took(core, scratch, now, read)));
                Poll::Ready(self.go_on(core, scratch, now, false))
            }
            State::Secure(secure) if secure.has(socket) => {
                let mut call = self.call(now, &mut scratch.wakes);
                secure.hear_carrier(socket, &mut call);
                ready!(incoming.poll(cx, |read| secure.took(socket, read, &mut call)));
                Poll::Ready(self.go_on_secure(secure, socket, false, scratch, now))
            }
            _ => Poll::Ready(Turn::Over),
        })
    }

    /// Reads what the socket of the connection holds at this moment. Tells whether it held anything.
    fn read_now(&self, core: &mut Core, scratch: &mut Scratch, now: Instant) -> bool {
        let Some(socket) = core.socket() else { return false };
        let took = socket.read_now(|read| self.took(core, scratch, now, read));
        took.is_some()
    }

    /// Handles what was read.
    fn took(&self, core: &mut Core, scratch: &mut Scratch, now: Instant, read: io::Result<&[u8]>) {
        match read {
            Ok([]) => self.detach(core, Cause::ClosedByPeer, now),
            Ok(bytes) => self.receive(core, scratch, now, bytes),
            Err(_) => self.detach(core, Cause::Reset, now),
        }
    }

    fn receive(&self, core: &mut Core, scratch: &mut Scratch, now: Instant, bytes: &[u8]) {
        core.receive(bytes, now, &self.id, &self.shared, &mut scratch.wakes);
        if std::mem::take(&mut core.rivals) {
            self.changed.notify_waiters();
        }
    }

    /// Sends for the connection's task what is to be sent, and closes the connection if it has to.
    /// `fired`: its timer has gone off.
    fn go_on(&self, core: &mut Core, scratch: &mut Scratch, now: Instant, fired: bool) -> Turn {
        core.flush(now, &mut scratch.out);
        if let Some(cause) = core.failure(now) {
            core.clear_failure();
            self.detach(core, cause, now);
        }
        if core.socket().is_none() {
            return Turn::Over;
        }
        let (deadline, blocked) = core.rearm(now, fired);
        Turn::Go { deadline, blocked }
    }

    fn detach(&self, core: &mut Core, cause: Cause, now: Instant) {
        core.detach(cause, now, &self.id, &self.shared);
        self.changed.notify_waiters();
    }

    /// Ends the connection, if there is one.
    pub(crate) fn end(&self, cause: Cause) {
        self.with(|state, scratch, now| match state {
            State::Live(core) => self.detach(core, cause, now),
            State::Secure(secure) => {
                secure.end(cause, &mut self.call(now, &mut scratch.wakes));
                self.changed.notify_waiters();
            }
            State::Asleep(_) | State::Over { .. } => {}
        });
    }

    /// Returns true if it is that of a client that speaks the secure link.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(&*self.lock_as_it_is(), State::Secure(_))
    }

    /// Takes other keys in place of the old ones.
    pub(crate) fn set_keys(&self, keys: &Keys, old: &Keys) {
        self.with(|state, scratch, now| {
            if let State::Secure(secure) = state {
                secure.set_keys((keys, old), &mut self.call(now, &mut scratch.wakes));
            }
        });
        self.changed.notify_waiters();
    }

    /// Returns the generation of the keys that its client was the last to prove.
    pub(crate) fn proven_keys(&self) -> Option<u32> {
        match &*self.lock_as_it_is() {
            State::Secure(secure) => secure.proven_keys(),
            _ => None,
        }
    }

    /// Begins a new epoch of the server.
    pub(crate) fn renew(&self) {
        self.with(|state, scratch, now| {
            if let State::Secure(secure) = state {
                secure.renew(&mut self.call(now, &mut scratch.wakes));
            }
        });
        self.changed.notify_waiters();
    }

    /// Looks at the session as it is. `None` once the server was shut down.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&Record) -> R) -> Option<R> {
        self.lock().record().map(f)
    }

    /// Returns since when the client is away, if it is, and nothing of it would be lost with the
    /// session.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        match &*self.lock_as_it_is() {
            State::Live(core) => core.idle_since(),
            State::Asleep(core) => core.idle_since(),
            // It has keys: it is no stranger.
            State::Secure(_) | State::Over { .. } => None,
        }
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let now = self.shared.clock.now();
        match &*self.lock_as_it_is() {
            State::Live(core) => core.status(&self.id, now),
            State::Asleep(core) => core.status(&self.id, now),
            State::Secure(secure) => secure.status(&self.id, now),
            State::Over { status, .. } => LinkStatus::clone(status),
        }
    }

    /// Waits until `ready` is true of the session, or the server was shut down.
    pub(crate) async fn wait_until(&self, ready: impl Fn(&Record) -> bool) -> Result<(), Closed> {
        loop {
            let changed = self.changed.notified();
            match self.look(&ready) {
                None => return Err(Closed),
                Some(true) => return Ok(()),
                Some(false) => changed.await,
            }
        }
    }
}

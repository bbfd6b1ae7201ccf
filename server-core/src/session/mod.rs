//! A session: everything that is known of one client. It outlives connections and outages.
//!
//! A lock guards it, and is only ever held for as long as it takes to move bytes: nothing waits under
//! it. The task of the present connection and the tasks of the application meet here; whoever has
//! something to send writes to the socket itself, which spares a change of tasks for each line.

mod application;
mod content;
mod core;
mod inbox;
mod record;
mod side;
mod state;
mod task;
mod transport;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use pblink_protocol::tcp::endpoint::Timing;
use pblink_protocol::tcp::lobby::{Guest, Standing, Verdict};
use pblink_protocol::time::Instant;
use tokio::sync::{Notify, Semaphore};

pub(crate) use self::content::Content;
pub(crate) use self::core::{Core, Spare};
pub(crate) use self::inbox::{Loan, Tag};
use self::state::{Awake, State};
pub(crate) use self::task::run;
pub(crate) use self::transport::{Incoming, Socket, read_now, split};
use crate::budget::Budget;
use crate::buffers::Scratch;
use crate::bus::Bus;
use crate::error::Closed;
use crate::event::Cause;
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
}

/// The limits that the builder was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timing: Timing,
    pub(crate) max_line: usize,
    pub(crate) max_written: usize,
    pub(crate) queue_lines: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) queue_total: usize,
    pub(crate) hold_reports: bool,
    pub(crate) commits: bool,
    pub(crate) max_clients: usize,
}

/// The protocol's time: microseconds since a server started (or the one that it was restored from).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(pub(crate) tokio::time::Instant);

impl Clock {
    pub(crate) fn now(self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }

    pub(crate) fn at(self, instant: Instant) -> tokio::time::Instant {
        self.0 + std::time::Duration::from_micros(instant.as_micros())
    }
}

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
    pub(crate) fn new(id: String, shared: Arc<Shared>) -> Arc<Self> {
        let core = Core::unknown(&shared.limits, shared.clock.now());
        Self::make(id, shared, State::Asleep(Box::new(core)))
    }

    /// Returns a session from a store.
    pub(crate) fn from_state(id: String, shared: Arc<Shared>, state: SessionState) -> Arc<Self> {
        let now = shared.clock.now();
        let mut core = Core::new(&shared.limits, now);
        core.set_state(state, now);
        Self::restore(id, shared, Box::new(core))
    }

    /// Returns a session that was saved by [`finish`](Self::finish).
    pub(crate) fn restore(id: String, shared: Arc<Shared>, core: Box<Core>) -> Arc<Self> {
        let session = Self::make(id, shared, State::Live(core));
        session.with(|state, _, _| {
            if let State::Live(core) = state {
                let waiting = core.endpoint.unacked();
                core.take_freed();
                session.room.forget_permits(waiting);
            }
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
            me: Weak::clone(me),
        })
    }

    /// Puts the session among those that nobody has taken on, unless it was there before.
    pub(crate) fn announce(&self) {
        if let State::Live(core) = &mut *self.lock()
            && !std::mem::replace(&mut core.record.announced, true)
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
        let (mut freed, mut delivered, mut drained, mut due) = (0, false, false, false);
        let result = {
            let mut state = self.lock();
            let result = f(&mut state, &mut scratch, self.shared.clock.now());
            if let State::Live(core) = &mut *state {
                core.settle(&self.shared);
                core.wake_best_effort(&mut scratch.wakes);
                freed = core.take_freed();
                delivered = core.take_delivered();
                drained = core.record.draining && core.is_drained();
                due = !core.record.queued && core.is_due();
                core.record.queued |= due;
            }
            result
        };
        if freed > 0 {
            self.room.add_permits(freed);
        }
        if delivered {
            self.lines.notify_one();
        }
        if due {
            self.shared.due.push(Weak::clone(&self.me));
        }
        if drained {
            self.changed.notify_waiters();
        }
        scratch.finish();
        result
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
            _ => Turn::Over,
        })
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
        self.with(|state, _, now| {
            if let State::Live(core) = state {
                self.detach(core, cause, now);
            }
        });
    }

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

    /// Looks at the session as it is. `None` once the server was shut down.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&Core) -> R) -> Option<R> {
        match &*self.lock() {
            State::Live(core) => Some(f(core)),
            State::Asleep(_) | State::Over { .. } => None,
        }
    }

    /// Returns since when the client is away, if it is, and nothing of it would be lost with the
    /// session.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        match &*self.lock_as_it_is() {
            State::Live(core) => core.idle_since(),
            State::Asleep(core) => core.idle_since(),
            State::Over { .. } => None,
        }
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let now = self.shared.clock.now();
        match &*self.lock_as_it_is() {
            State::Live(core) => core.status(&self.id, now),
            State::Asleep(core) => core.status(&self.id, now),
            State::Over { status, .. } => LinkStatus::clone(status),
        }
    }

    /// Waits until `ready` is true of the session, or the server was shut down.
    pub(crate) async fn wait_until(&self, ready: impl Fn(&Core) -> bool) -> Result<(), Closed> {
        loop {
            let changed = self.changed.notified();
            match self.look(&ready) {
                None => return Err(Closed),
                Some(true) => return Ok(()),
                Some(false) => changed.await,
            }
        }
    }

    /// Waits until the application has accepted or given back all lines that it has, and until all that was
    /// written is acknowledged, or the link is down.
    pub(crate) async fn drained(&self) {
        self.with(|state, _, _| {
            if let State::Live(core) = state {
                core.record.draining = true;
            }
        });
        // That the session is over is as good.
        let _ = self.wait_until(Core::is_drained).await;
    }

    /// Ends the session, since the server is shut down. Gives away what another server can
    /// continue.
    pub(crate) fn finish(&self) -> Option<Box<Core>> {
        self.room.close();
        self.over(None::<fn(&Core) -> bool>)
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
    fn over(&self, idle: Option<impl FnOnce(&Core) -> bool>) -> Option<Box<Core>> {
        let forgotten = idle.is_some();
        let core = self.with(|state, scratch, now| {
            let State::Live(core) = state else {
                return None;
            };
            if idle.is_some_and(|idle| !idle(core)) {
                return None;
            }
            core.detach(Cause::Shutdown, now, &self.id, &self.shared);
            let kept = core.pending(&mut scratch.wakes);
            let status = Box::new(core.status(&self.id, now));
            match std::mem::replace(state, State::Over { kept, forgotten, status }) {
                State::Live(mut core) => {
                    self.shared.inboxes.change(core.side.counted, 0);
                    core.park();
                    Some(core)
                }
                State::Asleep(_) | State::Over { .. } => None,
            }
        });
        self.lines.notify_waiters();
        self.changed.notify_waiters();
        core
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Live(core) = state {
            self.shared.inboxes.change(core.side.counted, 0);
        }
    }
}

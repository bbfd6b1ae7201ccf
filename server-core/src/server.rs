//! The server: how it starts and stops, and the way to its links.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;

use pblink_protocol::tcp::line::check_id;
use pblink_secure_suite::random::Random;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::accept::{accept, welcome};
use crate::batch::Batch;
use crate::budget::Budget;
use crate::bus::{Bus, Events};
use crate::connection::Connection;
use crate::error::{BindError, Closed};
use crate::event::{EventKind, Refusal};
use crate::keys::Keys;
use crate::queue::Sessions;
use crate::refusals::Refusals;
use crate::registry::{Guests, Inner, Registry, SavedSessions, Setup};
use crate::session::{Clock, Record, Session, Shared, Spare, Stream};
use crate::socket::prepare_connection;
use crate::sources::Sources;
use crate::state::SessionState;
use crate::status::LinkStatus;
use crate::world::{Chance, wall_ms};

/// Interval at which the clocks are compared, and the difference that says that the machine was set back.
const LOOK: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_secs(10);

/// A running server. Clones are handles to the same server; when the last one is dropped without
/// [`shutdown`](Self::shutdown), it stops at once.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
    guard: Arc<StopOnDrop>,
}

#[derive(Debug)]
struct StopOnDrop {
    inner: Arc<Inner>,
    stop: watch::Sender<bool>,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // Nothing is left to do after a shutdown that was not given up half way.
        self.inner.finish();
        self.inner.stopped();
    }
}

impl Server {
    pub(crate) fn start(
        listener: TcpListener,
        setup: Setup,
        restore: SavedSessions,
        states: Vec<(String, SessionState)>,
    ) -> Self {
        let address = (listener.local_addr()).unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        let shared = Arc::new(Shared {
            limits: setup.limits,
            bus: Bus::new(),
            newcomers: Sessions::new(),
            due: Sessions::new(),
            inboxes: Budget::new(setup.limits.queue_total),
            spare: Spare::default(),
            clock: restore.origin.map_or(Clock(Instant::now()), |(clock, _)| clock),
            epoch: AtomicU64::new(draw_epoch()),
        });
        let keys = setup.keys.map(Arc::new);
        let mut registry = Registry::default();
        for (id, saved) in restore.sessions {
            let session = Session::restore(id.clone(), Arc::clone(&shared), saved);
            session.announce();
            registry.sessions.insert(id, session);
        }
        for (id, state) in states {
            registry.sessions.entry(id).or_insert_with_key(|id| {
                let shared = Arc::clone(&shared);
                let session = Session::from_state(id.clone(), shared, state, keys.as_deref());
                session.announce();
                session
            });
        }
        let inner = Arc::new(Inner {
            connections: Arc::new(Semaphore::new(setup.max_connections + 1)),
            registry: Mutex::new(registry),
            shared,
            present: Sources::new(setup.max_per_address),
            pending: Sources::new(setup.max_pending),
            refusals: Refusals::default(),
            guests: RwLock::new(setup.guests),
            keys: RwLock::new(None),
            gate: setup.gate,
            max_connections: setup.max_connections,
            address,
        });
        if let Some(keys) = keys {
            inner.set_keys(Arc::unwrap_or_clone(keys));
        }
        // Expected clients show in the list of links before they have connected.
        for id in inner.expected() {
            inner.session(&id);
        }
        let address = address.to_string();
        inner.shared.bus.publish(EventKind::Listening { address });
        let (stop, stopped) = watch::channel(false);
        let permit = Arc::clone(&inner.connections).try_acquire_owned().ok();
        let accept = accept(listener, Arc::clone(&inner), stopped);
        tokio::spawn(async move {
            accept.await;
            drop(permit);
        });
        tokio::spawn(watch_clock(Arc::downgrade(&inner), stop.subscribe()));
        let guard = Arc::new(StopOnDrop { inner: Arc::clone(&inner), stop });
        Self { inner, guard }
    }

    /// Returns the address that the server listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.address
    }

    /// Serves a connection that somebody else has accepted, as one of the client at `peer`: for a program that has its
    /// clients' connections passed on to it.
    ///
    /// # Errors
    /// If the connection is gone already.
    pub fn adopt(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        prepare_connection(&SockRef::from(&stream))?;
        welcome(stream.into(), peer, &self.inner, &self.guard.stop.subscribe());
        Ok(())
    }

    /// Serves any other stream of bytes as a connection of the client at `peer`: one within the process, over TLS, or of a
    /// simulation. It counts as one that `peer` has opened. Must be called within the server's runtime.
    ///
    /// The server reads it all the time, and closes its writing half when it lets the client go. Bytes count as sent when the
    /// stream takes them: a client that does not read is noticed once the stream takes no more.
    pub fn adopt_stream<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        welcome(Stream::other(stream), peer, &self.inner, &self.guard.stop.subscribe());
    }

    /// Waits until the client with this id is connected, and returns the link to it. After a
    /// [`shutdown`](Self::shutdown) it returns at once with a link that is [`Closed`].
    pub async fn client(&self, id: &str) -> Connection {
        if !self.inner.is_welcome(id) {
            tracing::warn!(id, "waiting for a client that is not expected: it will be refused");
        }
        let session = self.inner.session(id);
        // If the server is shut down, the connection's own methods say so.
        let _ = session.wait_until(Record::is_up).await;
        Connection(session)
    }

    /// Waits for a client that nobody has taken on yet, and returns the link to it: each client once,
    /// when it connects for the first time. [Restored](crate::Builder::restore) clients come at once,
    /// connected or not.
    ///
    /// This is the place to start work for each client. It misses none, however many connect at a time
    /// and however long this was not called. Dropping the future loses none; where several tasks call
    /// it, each client goes to one of them.
    ///
    /// ```no_run
    /// # use pblink_server::Server;
    /// # async fn example(server: Server) {
    /// while let Ok(board) = server.next_client().await {
    ///     tokio::spawn(async move {
    ///         while let Ok(line) = board.read_line().await {
    ///             println!("{}: {line}", board.id());
    ///         }
    ///     });
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Closed`] once the server was shut down.
    pub async fn next_client(&self) -> Result<Connection, Closed> {
        self.inner.shared.newcomers.next().await.map(Connection).ok_or(Closed)
    }

    /// Waits until some client has something to commit, and takes it as a batch: lines from it, lines to it
    /// that are done, or a change of its session. Only for an owner that
    /// [commits](crate::Builder::commits).
    ///
    /// Clients come in the order in which they had something; those with a few lines come before those with many, so
    /// that nobody waits behind others that send all they can. Each has at most one batch out; what comes meanwhile is
    /// in its next one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Closed`] once the server is being shut down.
    pub async fn next_batch(&self) -> Result<Batch, Closed> {
        loop {
            let session = self.inner.shared.due.next().await.ok_or(Closed)?;
            // A session that is over has nothing more.
            if let Ok(Some(batch)) = Connection(session).take_batch() {
                return Ok(batch);
            }
        }
    }

    /// Takes what some client has to commit at this moment, as [`next_batch`](Self::next_batch) does. `None`:
    /// nobody has anything.
    pub fn try_batch(&self) -> Option<Batch> {
        loop {
            let session = self.inner.shared.due.try_next()?;
            if let Ok(Some(batch)) = Connection(session).take_batch() {
                return Some(batch);
            }
        }
    }

    /// Returns the ids of the clients that were [forgotten](crate::Builder::max_clients) since the last call,
    /// for an owner that [commits](crate::Builder::commits). It removes their sessions from its store, in the
    /// same transaction as batches that it has taken *before* this call, and ahead of them: one of them may
    /// be of a client that is back.
    pub fn take_forgotten(&self) -> Vec<String> {
        self.inner.take_forgotten()
    }

    /// Returns the link to a client, connected or not, if it is expected or has ever connected.
    pub fn link(&self, id: &str) -> Option<Connection> {
        (self.inner.registry().sessions.get(id)).map(|session| Connection(Arc::clone(session)))
    }

    /// Waits until each of these clients has connected at least once.
    ///
    /// # Errors
    /// [`Closed`] if the server is shut down first.
    pub async fn wait_all<I>(&self, ids: I) -> Result<(), Closed>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        // One after the other: who has connected once has done so for good.
        for id in ids {
            let session = self.inner.session(id.as_ref());
            session.wait_until(|record| record.connects > 0).await?;
        }
        Ok(())
    }

    /// Waits until each [expected](crate::Builder::expected) client has connected at least once.
    ///
    /// # Errors
    /// [`Closed`] if the server is shut down first.
    pub async fn wait_expected(&self) -> Result<(), Closed> {
        self.wait_all(self.inner.expected()).await
    }

    /// Returns the status of all links, sorted by id.
    pub fn links(&self) -> Vec<LinkStatus> {
        (self.inner.sessions().iter().map(|s| s.status())).collect()
    }

    /// Returns the ids of the [expected](crate::Builder::expected) clients, sorted; none if no list was given.
    pub fn expected(&self) -> Vec<String> {
        self.inner.expected().into_iter().collect()
    }

    /// Sets anew the ids of the [expected](crate::Builder::expected) clients, and whether
    /// [others](crate::Builder::allow_unknown) may connect. Links of clients that may stay are not touched.
    ///
    /// Those of clients that may not are closed with [`Cause::NotExpected`](crate::Cause::NotExpected), and their next connections
    /// are refused. Their sessions are kept: lines to them wait, and lines from them can be read. A client that is
    /// expected later continues where it was.
    ///
    /// # Errors
    /// If one of these cannot be an id; then nothing changes.
    pub fn set_expected<I>(&self, ids: I, allow_unknown: bool) -> Result<(), BindError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let expected: BTreeSet<String> = ids.into_iter().map(Into::into).collect();
        for id in &expected {
            check_id(id).map_err(|why| BindError::BadId { id: id.clone(), why })?;
        }
        self.inner.set_guests(Guests { expected, allow_unknown });
        Ok(())
    }

    /// Sets anew the [keys](crate::Builder::keys) of boards, and who may speak the classic link. Links under keys that are gone
    /// are cut, and their boards have to prove themselves with the others; no other link is touched. A board that has keys beside
    /// which there are newer ones now, with another shared key only, is given that over its link: see
    /// [`proven_keys`](Self::proven_keys). A client that gets its first
    /// keys begins anew: its handles are [`Closed`], and lines to it that were written and not acknowledged are no longer
    /// this server's.
    ///
    /// # Errors
    /// If one of the ids cannot be one; then nothing changes.
    pub fn set_keys(&self, keys: Keys) -> Result<(), BindError> {
        for id in keys.ids() {
            check_id(id).map_err(|why| BindError::BadId { id: id.clone(), why })?;
        }
        self.inner.set_keys(keys);
        Ok(())
    }

    /// Returns the generation of the keys that the board of this id was the last to prove, since this server began. `None`:
    /// none yet.
    ///
    /// Once it has proven those that it was given over the link, [`set_keys`](Self::set_keys) with these alone lets it forget
    /// the ones before. The caller stores them where they outlive its process, first: a board that has forgotten its old keys
    /// is locked out by a server that knows no others.
    pub fn proven_keys(&self, id: &str) -> Option<u32> {
        self.inner.proven_keys(id)
    }

    /// Begins anew with all boards that have keys, as a server does that was just started: they prove themselves with new keys, and
    /// nothing is lost or doubled. It does so by itself when the wall clock has moved by more than 10 s against one that only
    /// passes, since the machine may have been set back to an earlier state then; for whoever knows that by other means.
    pub fn renew_keys(&self) {
        renew(&self.inner);
    }

    /// Returns how many connections were refused for this reason since the server was started.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.inner.refusals.total(reason)
    }

    /// Returns the number of connections at this moment, those without a session included.
    pub fn connections(&self) -> usize {
        // One place is the listener's.
        let places = self.inner.max_connections + 1;
        (places - self.inner.connections.available_permits()).saturating_sub(1)
    }

    /// Bytes of memory that the lines count for which have arrived and which no application has accepted:
    /// at most the builder's [`queue_total`](crate::Builder::queue_total), and one line for each client.
    pub fn queued_bytes(&self) -> usize {
        self.inner.shared.inboxes.used()
    }

    /// Events from now on. The first caller also gets those since the server was started, the last 1024
    /// of them.
    pub fn events(&self) -> Events {
        self.inner.shared.bus.subscribe()
    }

    /// Adds an event of the application's own to the stream, for instance
    /// [`EventKind::Note`] or [`EventKind::Board`].
    pub fn publish(&self, event: EventKind) {
        self.inner.shared.bus.publish(event);
    }

    /// Closes all present connections. Their clients may connect again.
    pub fn close_all(&self) {
        for session in self.inner.sessions() {
            Connection(session).close();
        }
    }

    /// Stops the server cleanly, within one time-out: see [`shutdown_within`](Self::shutdown_within).
    pub async fn shutdown(&self) -> SavedSessions {
        self.shutdown_within(self.time_out()).await
    }

    fn time_out(&self) -> Duration {
        Duration::from_micros(self.inner.shared.limits.timing.timeout.as_micros())
    }

    /// Stops the server cleanly: accepts nobody, hands out no lines and takes none to write, waits for
    /// the application to accept the lines that it has ([`Received`](crate::Received)), and for
    /// acknowledgements that are due, at most for `patience`, and closes all connections.
    ///
    /// Reading returns [`Closed`] from the beginning, so that applications end. Lines that are not
    /// accepted then are not acknowledged, so their clients send them again. These and the written lines
    /// that are not acknowledged are in the result, for a server in the same process. A second call
    /// returns nothing.
    ///
    /// Dropping the future leaves a server that accepts nobody and takes no lines; call it again to
    /// get the sessions.
    pub async fn shutdown_within(&self, patience: Duration) -> SavedSessions {
        self.guard.stop.send_replace(true);
        let deadline = Instant::now() + patience;
        let sessions = self.inner.sessions();
        for session in &sessions {
            session.room.close();
            session.close_reading();
        }
        self.inner.shared.due.close();
        for session in &sessions {
            if timeout_at(deadline, session.drained()).await.is_err() {
                break;
            }
        }
        let saved = self.inner.finish();
        {
            let mut registry = self.inner.registry();
            registry.saved.sessions.extend(saved.sessions);
            registry.saved.origin = saved.origin;
        }
        // The listener's and every connection's task hold a permit. They end by themselves within a quarter of the
        // time-out.
        let all = self.inner.max_connections as u32 + 1;
        let _ = timeout(self.time_out(), self.inner.connections.acquire_many(all)).await;
        self.inner.stopped();
        std::mem::take(&mut self.inner.registry().saved)
    }
}

/// Draws an epoch: no process before, and none after this one has the same.
fn draw_epoch() -> u64 {
    let mut bytes = [0; 8];
    Chance.fill(&mut bytes);
    // 0 is none.
    u64::from_le_bytes(bytes).max(1)
}

/// Begins a new epoch of secure links.
fn renew(inner: &Inner) {
    inner.shared.epoch.store(draw_epoch(), Ordering::Relaxed);
    for session in inner.sessions() {
        session.renew();
    }
}

/// Looks whether the machine was set back to an earlier time with all that this process had in its memory, as a virtual machine
/// is from a snapshot: its counters would seal other packets than before, and its lines would get numbers that were given. The
/// clock of the world has then moved, and the one that only passes has not.
async fn watch_clock(inner: Weak<Inner>, mut stop: watch::Receiver<bool>) {
    let began = Instant::now();
    let apart = || i128::from(wall_ms()) - began.elapsed().as_millis() as i128;
    let mut last = apart();
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|&stop| stop) => return,
        }
        let Some(inner) = inner.upgrade() else { return };
        let now = apart();
        if (now - last).unsigned_abs() > STEP.as_millis() {
            renew(&inner);
        }
        last = now;
    }
}

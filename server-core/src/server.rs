//! The server: its sessions, and how it starts and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::accept::accept;
use crate::builder::Builder;
use crate::connection::{Closed, Connection};
use crate::event::{EventKind, LinkStatus, Refusal};
use crate::events::{Bus, Events};
use crate::session::{Clock, Core, Limits, Session, Shared};

/// A running server. Clones are handles to the same server; when the last one is dropped without
/// [`shutdown`](Self::shutdown), it stops at once.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
    guard: Arc<StopOnDrop>,
}

/// What the builder has checked.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) expected: Option<BTreeSet<String>>,
    pub(crate) allow_unknown: bool,
    pub(crate) max_connections: usize,
}

/// What handles and tasks share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    /// One permit for each connection, and one for the listener.
    pub(crate) connections: Arc<Semaphore>,
    registry: Mutex<Registry>,
    setup: Setup,
    address: SocketAddr,
}

#[derive(Debug, Default)]
struct Registry {
    sessions: BTreeMap<String, Arc<Session>>,
    /// The server was shut down: sessions that are made from now on are over at once.
    over: bool,
    /// What the shutdown has to give back. Here, so that one that is given up half way loses nothing.
    saved: SavedSessions,
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

/// The sessions of a server that was shut down: what a new server in the same process needs so that
/// nothing is lost or doubled. See [`Builder::restore`].
///
/// They hold, for each client that has connected: which messages it has sent (so that a repeated one
/// is known), the lines that it sent and nobody has read, and the lines that were written and that it
/// has not acknowledged.
#[derive(Debug, Default)]
pub struct SavedSessions {
    sessions: Vec<(String, Box<Core>)>,
    /// Times in the sessions count from here.
    origin: Option<(Clock, Limits)>,
}

impl SavedSessions {
    /// How many sessions these are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Lines that have arrived and that nobody has read.
    pub fn unread(&self) -> usize {
        (self.sessions.iter().map(|(_, core)| core.side.inbox.len())).sum()
    }

    /// Lines that were written and that are not acknowledged.
    pub fn unacked(&self) -> usize {
        (self.sessions.iter().map(|(_, core)| core.endpoint.unacked())).sum()
    }

    pub(crate) fn fits(&self, limits: &Limits) -> bool {
        (self.origin).is_none_or(|(_, saved)| {
            saved.timing == limits.timing && saved.max_line == limits.max_line
        })
    }
}

impl Inner {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, registry: &mut Registry, id: &str) -> Arc<Session> {
        let session = Arc::new(Session::new(id.to_owned(), Arc::clone(&self.shared)));
        if registry.over {
            session.finish();
        }
        (registry.sessions).insert(id.to_owned(), Arc::clone(&session));
        session
    }

    /// The session of a client that the application asks for.
    fn session(&self, id: &str) -> Arc<Session> {
        let mut registry = self.registry();
        match registry.sessions.get(id) {
            Some(session) => Arc::clone(session),
            None => self.insert(&mut registry, id),
        }
    }

    fn is_welcome(&self, id: &str) -> bool {
        self.setup.allow_unknown || (self.setup.expected.as_ref()).is_some_and(|e| e.contains(id))
    }

    /// The session of a client that has sent its hello.
    pub(crate) fn session_of_client(&self, id: &str) -> Result<Arc<Session>, Refusal> {
        if !self.is_welcome(id) {
            return Err(Refusal::UnknownId);
        }
        let mut registry = self.registry();
        if let Some(session) = registry.sessions.get(id) {
            return Ok(Arc::clone(session));
        }
        if registry.sessions.len() >= self.shared.limits.max_clients {
            return Err(Refusal::TooMany);
        }
        Ok(self.insert(&mut registry, id))
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        self.registry().sessions.values().cloned().collect()
    }

    /// The last event.
    fn stopped(&self) {
        self.shared.bus.publish(EventKind::Stopped);
        self.shared.bus.close();
    }

    /// Closes all links, and gives away what is in them.
    fn finish(&self) -> SavedSessions {
        let sessions = {
            let mut registry = self.registry();
            registry.over = true;
            registry.sessions.values().cloned().collect::<Vec<_>>()
        };
        let saved = sessions.into_iter().filter_map(|session| {
            let core = session.finish()?;
            core.is_worth_keeping().then(|| (session.id.clone(), core))
        });
        SavedSessions {
            sessions: saved.collect(),
            origin: Some((self.shared.clock, self.shared.limits)),
        }
    }
}

impl Server {
    /// Starts to set up a server.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn start(listener: TcpListener, setup: Setup, restore: SavedSessions) -> Self {
        let address = (listener.local_addr()).unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        let shared = Arc::new(Shared {
            limits: setup.limits,
            bus: Bus::new(),
            clock: restore.origin.map_or(Clock(Instant::now()), |(clock, _)| clock),
        });
        let mut registry = Registry::default();
        for (id, core) in restore.sessions {
            let session = Arc::new(Session::restore(id.clone(), Arc::clone(&shared), core));
            registry.sessions.insert(id, session);
        }
        let inner = Arc::new(Inner {
            connections: Arc::new(Semaphore::new(setup.max_connections + 1)),
            registry: Mutex::new(registry),
            shared,
            setup,
            address,
        });
        // Expected clients show in the list of links before they have connected.
        for id in inner.setup.expected.iter().flatten() {
            inner.session(id);
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
        let guard = Arc::new(StopOnDrop { inner: Arc::clone(&inner), stop });
        Self { inner, guard }
    }

    /// The address that the server listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.address
    }

    /// Waits until the client with this id is connected, and returns the link to it. After a
    /// [`shutdown`](Self::shutdown) it returns at once with a link that is [`Closed`].
    pub async fn client(&self, id: &str) -> Connection {
        if !self.inner.is_welcome(id) {
            tracing::warn!(id, "waiting for a client that is not expected: it will be refused");
        }
        let session = self.inner.session(id);
        // If the server is shut down, the connection's own methods say so.
        let _ = session.wait_until(Core::is_up).await;
        Connection(session)
    }

    /// The link to a client, connected or not, if it is expected or has ever connected.
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
            session.wait_until(|core| core.connects > 0).await?;
        }
        Ok(())
    }

    /// Waits until each [expected](Builder::expected) client has connected at least once.
    ///
    /// # Errors
    /// [`Closed`] if the server is shut down first.
    pub async fn wait_expected(&self) -> Result<(), Closed> {
        self.wait_all(self.inner.setup.expected.iter().flatten()).await
    }

    /// The status of all links, sorted by id.
    pub fn links(&self) -> Vec<LinkStatus> {
        (self.inner.sessions().iter().map(|s| s.status())).collect()
    }

    /// Events from now on. The first caller also gets those since the server was started.
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

    /// Stops the server cleanly: accepts nobody, takes no more lines to write, waits for
    /// acknowledgements that are due (at most one time-out), and closes all connections.
    ///
    /// What is unread or unacknowledged then is in the result. A second call returns nothing.
    ///
    /// Dropping the future leaves a server that accepts nobody and takes no lines; call it again to
    /// get the sessions.
    pub async fn shutdown(&self) -> SavedSessions {
        self.guard.stop.send_replace(true);
        let patience = Duration::from_micros(self.inner.shared.limits.timing.timeout.as_micros());
        let deadline = Instant::now() + patience;
        let sessions = self.inner.sessions();
        for session in &sessions {
            session.room.close();
        }
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
        let all = self.inner.setup.max_connections as u32 + 1;
        let _ = timeout(patience, self.inner.connections.acquire_many(all)).await;
        self.inner.stopped();
        std::mem::take(&mut self.inner.registry().saved)
    }
}

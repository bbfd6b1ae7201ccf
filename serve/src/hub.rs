//! A running server with its history of events: what `serve` and `demo` show and serve to others.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pblink_server::{
    BindError, EventKind, Layer, LinkState, LinkStatus, Refusal, SavedSessions, Server,
};
use tokio::task::JoinHandle;

use crate::control::{EventStream, History, Outage, RefusedConnection, ServerInfo, Source};
use crate::log::{ClockStep, EngineError, Log, Past, wall_ms};
use crate::memory;
use crate::past::{self, Recalled};
use crate::refused::LastRefused;
use crate::times::span_ms;

/// Time that clients have to come back to a new server, before its predecessor's end is no longer the likely reason why
/// they are away.
const RETURN: Duration = Duration::from_secs(30);

/// The server of this process. `demo` stops it and starts another; the history continues.
#[derive(Debug)]
pub struct Hub {
    history: History,
    server: RwLock<Arc<Server>>,
    /// Refused connections of the servers before this one, in the order of [`Refusal::ALL`].
    refused: Mutex<[u64; Refusal::ALL.len()]>,
    /// Clients of links that are refused.
    turned_away: LastRefused,
    log: Option<Log>,
    recalled: Recalled,
    /// Puts the present server's events into the history.
    follower: Mutex<Option<JoinHandle<()>>>,
    listen: SocketAddr,
    timeout: Duration,
    app: String,
    started: Instant,
    started_at_ms: u64,
    /// Servers that share the log.
    #[cfg(feature = "nats")]
    fellows: std::sync::OnceLock<crate::log::store::Fellows>,
}

impl Hub {
    /// Creates a hub around `server`, which runs `app`. Must be called within a tokio runtime.
    pub fn new(server: Server, timeout: Duration, app: impl Into<String>) -> Arc<Self> {
        Self::start(server, History::default(), Recalled::default(), None, (timeout, app.into()))
    }

    /// Creates one with a log, to which the events go, too. It knows nothing of what is in the log already, which is
    /// for one that is new.
    pub fn with_log(
        server: Server,
        log: Log,
        timeout: Duration,
        app: impl Into<String>,
    ) -> Arc<Self> {
        let at = (timeout, app.into());
        Self::start(server, History::default(), Recalled::default(), Some(log), at)
    }

    /// Creates one that goes on with a log: outages, reports and events of earlier servers are in its history, and the
    /// time in which none was running is, too. To be called before the log is attached to the server.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn resume(
        server: Server,
        log: Log,
        past: Past,
        timeout: Duration,
        app: impl Into<String>,
    ) -> Result<Arc<Self>, EngineError> {
        let history = History::default();
        history.expect(server.expected());
        let recalled = past::recall(&history, &log, past).await?;
        Ok(Self::start(server, history, recalled, Some(log), (timeout, app.into())))
    }

    fn start(
        server: Server,
        history: History,
        recalled: Recalled,
        log: Option<Log>,
        (timeout, app): (Duration, String),
    ) -> Arc<Self> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let server = Arc::new(server);
        let hub = Arc::new(Self {
            history,
            recalled,
            follower: Mutex::default(),
            refused: Mutex::default(),
            turned_away: LastRefused::default(),
            log,
            listen: server.local_addr(),
            server: RwLock::new(Arc::clone(&server)),
            timeout,
            app,
            started: Instant::now(),
            started_at_ms: wall.as_millis() as u64,
            #[cfg(feature = "nats")]
            fellows: std::sync::OnceLock::new(),
        });
        hub.history.expect(server.expected());
        hub.follow(server);
        let weak = Arc::downgrade(&hub);
        tokio::spawn(memory::follow(move || {
            weak.upgrade().map(|hub: Arc<Self>| hub.server().connections())
        }));
        if let Some(log) = hub.log.clone() {
            hub.follow_clock(&log);
            tokio::spawn(async move { log.recall().await });
        }
        hub
    }

    /// Sets the servers that share the log with this one, once.
    #[cfg(feature = "nats")]
    pub fn share_with(&self, fellows: crate::log::store::Fellows) {
        let _ = self.fellows.set(fellows);
    }

    /// Tells the other gateways of a shared log which keys of boards this one has now, by a text that only the same keys have.
    /// Does nothing for a log of one server.
    pub fn tell_keys(&self, keys: &str) {
        #[cfg(feature = "nats")]
        if let Some(fellows) = self.fellows.get() {
            fellows.tell_keys(keys);
        }
        #[cfg(not(feature = "nats"))]
        let _ = keys;
    }

    /// Returns the present server.
    pub fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the events of this run so far, then everything that follows.
    pub fn events(&self) -> EventStream {
        self.history.subscribe().after(self.recalled.last)
    }

    /// Returns the log, if there is one.
    pub fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// Adds an event of this process's own.
    pub fn record(&self, event: EventKind) {
        self.add(wall_ms(), event);
    }

    /// Stops the server and gives its sessions back. It continues to show the links as they were.
    pub async fn stop(&self) -> SavedSessions {
        let saved = self.server().shutdown().await;
        self.hear_the_end().await;
        saved
    }

    /// Stops the server, with at most `patience` for lines that applications have taken and not accepted, and
    /// for acknowledgements that are due. Gives its sessions back.
    pub async fn stop_within(&self, patience: Duration) -> SavedSessions {
        let saved = self.server().shutdown_within(patience).await;
        self.hear_the_end().await;
        saved
    }

    /// Waits until the last event of a server that has stopped is in history and log.
    async fn hear_the_end(&self) {
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(follower) = follower {
            // It ends with the server's events, or has panicked.
            let _ = follower.await;
        }
    }

    /// Puts `server` in the place of one that was stopped.
    pub fn replace(self: &Arc<Self>, server: Server) {
        let server = Arc::new(server);
        self.history.expect(server.expected());
        {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            let mut place = self.server.write().unwrap_or_else(PoisonError::into_inner);
            for (count, reason) in refused.iter_mut().zip(Refusal::ALL) {
                *count += place.refused(reason);
            }
            *place = Arc::clone(&server);
        }
        self.follow(server);
    }

    /// Sets anew which clients are expected, and whether others may connect: see [`Server::set_expected`].
    ///
    /// # Errors
    /// If one of these cannot be an id; then nothing changes.
    pub fn set_expected(&self, ids: &[String], allow_unknown: bool) -> Result<(), BindError> {
        self.server().set_expected(ids, allow_unknown)?;
        self.history.expect(ids);
        Ok(())
    }

    /// Adds an event to history and log, under the same number.
    fn add(&self, at_ms: u64, kind: EventKind) {
        self.history.add_with(at_ms, kind, |event, class| {
            if let Some(log) = &self.log {
                log.event(event, class);
            }
        });
    }

    /// Adds to a link's status what earlier servers knew of it.
    fn with_past(&self, mut link: LinkStatus) -> LinkStatus {
        link.outages += self.recalled.outages.get(&link.id).copied().unwrap_or(0);
        // It was up, or down, before this server began, and has not come back since.
        if link.state == LinkState::Waiting
            && let Some(Outage { began_ms, layer: Some(layer), cause: Some(cause), .. }) =
                self.history.open_outage(&link.id)
        {
            let back = layer == Layer::Server && self.started.elapsed() > RETURN;
            link.state = LinkState::Down { layer: if back { Layer::Wifi } else { layer }, cause };
            link.since_ms = span_ms(began_ms, wall_ms());
        }
        link
    }

    /// Puts steps of the wall clock into the history until the log ends.
    fn follow_clock(self: &Arc<Self>, log: &Log) {
        let (hub, steps) = (Arc::downgrade(self), log.clock_steps());
        tokio::spawn(async move {
            while let Some(ClockStep { from_ms, to_ms }) = steps.next().await {
                let Some(hub) = hub.upgrade() else { return };
                hub.add(to_ms, EventKind::ClockStepped { from_ms, to_ms });
            }
        });
    }

    /// Puts the server's events into the history until it stops.
    fn follow(self: &Arc<Self>, server: Arc<Server>) {
        let mut events = server.events();
        let hub = Arc::clone(self);
        drop(server);
        let follower = tokio::spawn(async move {
            while let Some(notice) = events.recv().await {
                match notice {
                    pblink_server::Notice::Event(event) => {
                        let is_link = |id: &str| hub.server().link(id).is_some();
                        hub.turned_away.on_event(event.at_ms, &event.kind, is_link);
                        hub.add(event.at_ms, event.kind);
                    }
                    pblink_server::Notice::Lost(lost) => {
                        hub.history.lose(lost);
                        hub.history.see(&hub.links());
                    }
                }
            }
        });
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
    }
}

impl Source for Hub {
    fn info(&self) -> ServerInfo {
        let links = self.links();
        ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: self.listen.to_string(),
            timeout_ms: self.timeout.as_millis() as u64,
            app: self.app.clone(),
            started_at_ms: self.started_at_ms,
            uptime_ms: self.started.elapsed().as_millis() as u64,
            links_up: links.iter().filter(|link| link.state == LinkState::Up).count() as u64,
            links_total: links.len() as u64,
            recalled: self.recalled.last,
            #[cfg(feature = "nats")]
            gateways: self.fellows.get().map(|fellows| fellows.list()).unwrap_or_default(),
            #[cfg(not(feature = "nats"))]
            gateways: Vec::new(),
        }
    }

    fn links(&self) -> Vec<LinkStatus> {
        self.server().links().into_iter().map(|link| self.with_past(link)).collect()
    }

    fn link(&self, id: &str) -> Option<LinkStatus> {
        self.server().link(id).map(|link| self.with_past(link.status()))
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    fn last_refused(&self, id: &str) -> Option<RefusedConnection> {
        self.turned_away.get(id)
    }

    #[cfg(feature = "nats")]
    fn gateway_of(&self, link: &LinkStatus) -> Option<String> {
        let peer = link.peer.as_ref()?.parse().ok()?;
        Some(self.fellows.get()?.way_of(peer))
    }

    fn refused(&self) -> Vec<(Refusal, u64)> {
        let before = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let server = self.server();
        let counts = Refusal::ALL.into_iter().zip(*before);
        counts.map(|(reason, before)| (reason, before + server.refused(reason))).collect()
    }
}

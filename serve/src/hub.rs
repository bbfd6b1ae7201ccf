//! A running server with its history of events: what `serve` and `demo` show and serve to others.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pblink_server::{EventKind, LinkState, LinkStatus, Refusal, SavedSessions, Server};

use crate::control::{EventStream, History, ServerInfo, Source};
use crate::log::{Log, wall_ms};

/// The server of this process. `demo` stops it and starts another; the history continues.
#[derive(Debug)]
pub struct Hub {
    history: History,
    server: RwLock<Arc<Server>>,
    /// Refused connections of the servers before this one, in the order of [`Refusal::ALL`].
    refused: Mutex<[u64; Refusal::ALL.len()]>,
    log: Option<Log>,
    listen: SocketAddr,
    timeout: Duration,
    app: String,
    started: Instant,
    started_at_ms: u64,
}

impl Hub {
    /// Creates a hub around `server`, which runs `app`. Must be called within a tokio runtime.
    pub fn new(server: Server, timeout: Duration, app: impl Into<String>) -> Arc<Self> {
        Self::start(server, None, timeout, app.into())
    }

    /// Creates one with a log, to which the events go, too.
    pub fn with_log(
        server: Server,
        log: Log,
        timeout: Duration,
        app: impl Into<String>,
    ) -> Arc<Self> {
        Self::start(server, Some(log), timeout, app.into())
    }

    fn start(server: Server, log: Option<Log>, timeout: Duration, app: String) -> Arc<Self> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let server = Arc::new(server);
        let hub = Arc::new(Self {
            history: History::default(),
            refused: Mutex::default(),
            log,
            listen: server.local_addr(),
            server: RwLock::new(Arc::clone(&server)),
            timeout,
            app,
            started: Instant::now(),
            started_at_ms: wall.as_millis() as u64,
        });
        hub.history.expect(server.expected());
        hub.follow(server);
        if let Some(log) = hub.log.clone() {
            tokio::spawn(async move { log.recall().await });
        }
        hub
    }

    /// Returns the present server.
    pub fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the events so far, then everything that follows.
    pub fn events(&self) -> EventStream {
        self.history.subscribe()
    }

    /// Returns the log, if there is one.
    pub fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// Adds an event of this process's own.
    pub fn record(&self, event: EventKind) {
        self.keep(wall_ms(), &event);
        self.history.record(event);
    }

    /// Stops the server and gives its sessions back. It continues to show the links as they were.
    pub async fn stop(&self) -> SavedSessions {
        self.server().shutdown().await
    }

    /// Stops the server, with at most `patience` for lines that applications have taken and not accepted, and
    /// for acknowledgements that are due. Gives its sessions back.
    pub async fn stop_within(&self, patience: Duration) -> SavedSessions {
        self.server().shutdown_within(patience).await
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

    fn keep(&self, at_ms: u64, event: &EventKind) {
        if let Some(log) = &self.log {
            log.event(at_ms, event);
        }
    }

    /// Puts the server's events into the history until it stops.
    fn follow(self: &Arc<Self>, server: Arc<Server>) {
        let mut events = server.events();
        let hub = Arc::clone(self);
        drop(server);
        tokio::spawn(async move {
            while let Some(notice) = events.recv().await {
                match notice {
                    pblink_server::Notice::Event(event) => {
                        hub.keep(event.at_ms, &event.kind);
                        hub.history.push(event);
                    }
                    pblink_server::Notice::Lost(lost) => {
                        hub.history.lose(lost);
                        hub.history.see(&hub.links());
                    }
                }
            }
        });
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
        }
    }

    fn links(&self) -> Vec<LinkStatus> {
        self.server().links()
    }

    fn link(&self, id: &str) -> Option<LinkStatus> {
        self.server().link(id).map(|link| link.status())
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    fn refused(&self) -> Vec<(Refusal, u64)> {
        let before = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let server = self.server();
        let counts = Refusal::ALL.into_iter().zip(*before);
        counts.map(|(reason, before)| (reason, before + server.refused(reason))).collect()
    }
}

//! The log: all that boards sent, in one order, and all that is to go to them.
//!
//! **A line is acknowledged to its board when it is in the log.** Everything that uses lines is a *consumer* with
//! a cursor of its own: one that dies catches up, and one that is slow delays no other. A line to a board is
//! in the log before its first byte is sent, and leaves it in the commit that follows the board's
//! acknowledgement.
//!
//! One thread, the *writer*, commits: lines, sessions, lines to boards, cursors and events of one moment are one
//! transaction of an [`Engine`]. Whatever comes in meanwhile is in the next one (*group commit*), so that the
//! cost of a disk is shared by all boards.
//!
//! An engine that does not outlive the process ([`Memory`]) keeps nothing by itself: with it, a line is acknowledged
//! when each required consumer has it.

mod clients;
mod engine;
mod failing;
mod memory;
mod model;
mod outbox;
mod ring;
#[cfg(feature = "sqlite")]
mod sqlite;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pblink_server::{BadText, Delivery, Event, Server, SessionState};
use tokio::sync::{mpsc, oneshot, watch};

pub use clients::ClientLines;
use clients::Clients;
pub use engine::{Engine, EngineError, Reader, Retention, Room};
use failing::Failing;
pub use failing::{SkipError, Skipped};
pub use memory::Memory;
pub use model::{
    Commit, Cursor, EventRow, KeyRow, Kind, Line, Loaded, LogName, OutboxRow, Past, SessionRow,
};
pub use outbox::{MAX_BYTES as MAX_WAITING_BYTES, MAX_LINES as MAX_WAITING};
use ring::Ring;
#[cfg(feature = "sqlite")]
pub use sqlite::{Report, Restored, Sqlite};
use writer::{Request, Writer};

/// Requests that wait for the writer; whoever brings more waits.
const REQUESTS: usize = 1024;

/// Rows that one call looks at on the disk.
const SCAN: usize = 10_000;

/// Events that wait for the writer at most: more than a server of 10,000 links brings about at a time.
const EVENTS: usize = 65_536;

/// Lines that are looked at for the last one of each client when a log was opened.
const RECALL: u64 = 100_000;

/// Limits of what the log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Lines and events that are older are deleted. Default 7 days.
    pub age: Duration,
    /// Bytes of lines that stay. Default 1 GB.
    pub bytes: u64,
    /// The least time between two commits, which spares an SD card and costs latency. Default 0.
    pub commit_every: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(7 * 24 * 3600),
            bytes: 1_000_000_000,
            commit_every: Duration::ZERO,
        }
    }
}

/// A handle to the log. Clones are handles to the same log. The writer ends with the last one, or by
/// [`stop`](Self::stop).
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

/// Parts that handles and the writer share.
struct Shared {
    name: LogName,
    durable: bool,
    /// Offset of the oldest line.
    first: AtomicU64,
    /// Offset of the newest line.
    head: watch::Sender<u64>,
    ring: Mutex<Ring>,
    reader: Arc<dyn Reader>,
    /// Changed with each commit, and with what is known of failing consumers.
    status: watch::Sender<Status>,
    clients: Mutex<Clients>,
    failing: Failing,
    /// Why the writer has ended, once it has by itself.
    failed: watch::Sender<Option<String>>,
    /// Events on their way to the writer.
    events: Mutex<Vec<EventRow>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The state of the log, for people and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Commits so far.
    pub commits: u64,
    /// Lines that these have brought.
    pub lines: u64,
    /// Why lines have to wait, if they have to.
    pub held: Option<String>,
    /// The consumers, by name.
    pub consumers: Vec<ConsumerStatus>,
    /// Lines to clients that are not done.
    pub waiting: u64,
}

/// A consumer and the place that it has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Lines are kept until it has them.
    pub required: bool,
    /// It runs in this process.
    pub running: bool,
    /// Offset of the last line of the unbroken row of those that it has consumed.
    pub offset: u64,
    /// Lines behind that.
    pub lag: u64,
    /// The line on which it fails again and again, since when and why, in words; only this line's client waits. See
    /// [`Log::skip`].
    pub failing: Option<String>,
}

/// A log that was opened, and the sessions in it.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// The sessions, for [`Builder::restore_states`](pblink_server::Builder::restore_states).
    pub sessions: Vec<(String, SessionState)>,
    /// Marks that the last server has left, for [`Hub::resume`](crate::hub::Hub::resume).
    pub past: Past,
}

/// Some lines of the log, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The lines.
    pub lines: Vec<Line>,
    /// There is no line up to this offset that belongs here and is not in `lines`: where to go on.
    pub seen: u64,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Lines behind this offset were deleted.
    #[error("lines up to offset {} were deleted by retention; the oldest that is there is {first}", first - 1)]
    Gone {
        /// The oldest line that is there.
        first: u64,
    },
    /// The log has not come so far: the offset is of another log, or of one that was restored from a backup.
    #[error("offset {after} is beyond the end of this log ({head}): it belongs to another one")]
    Beyond {
        /// The offset that was asked for.
        after: u64,
        /// The newest line's.
        head: u64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why a line is not in the log, and will not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It cannot be sent as one line.
    #[error(transparent)]
    Text(#[from] BadText),
    /// It is longer than a client takes.
    #[error("the line has {len} bytes, and at most {max} can be sent: split it")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// As many lines wait for this client as may.
    #[error(
        "{waiting} lines wait for \"{client}\" already: send again when it has acknowledged some"
    )]
    OutboxFull {
        /// The client's id.
        client: String,
        /// Lines that wait.
        waiting: usize,
    },
    /// The disk has no room for it.
    #[error("the disk of the log is full: free some space, and send again")]
    DiskFull,
    /// The server is stopping, or its log has failed.
    #[error("the server is stopping")]
    Stopped,
}

/// Lines to clients that are in the log.
#[derive(Debug)]
pub struct Sent {
    /// Row of the last line, among all lines to this client.
    pub row: u64,
    /// The key was known: the lines are those of an earlier request, and were not added again.
    pub repeated: bool,
    /// Ready when the client has acknowledged the last line, and the log knows it. An error: the server stops;
    /// the next one delivers the lines.
    pub done: oneshot::Receiver<()>,
}

/// A line to be put into the log for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The client's id.
    pub client: Arc<str>,
    /// The text, without a newline.
    pub text: Arc<str>,
    /// Its promise.
    pub delivery: Delivery,
}

/// A step of a consumer, which becomes durable as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The consumer's name.
    pub consumer: Arc<str>,
    /// All lines of all clients up to here are consumed.
    pub offset: u64,
    /// Lines of these clients are consumed up to there, ahead of `offset`.
    pub clients: Vec<(Arc<str>, u64)>,
    /// Lines to clients that follow from the lines that were consumed.
    pub outgoing: Vec<Outgoing>,
}

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// With the lines that come from now on.
    #[default]
    Now,
    /// With the oldest line of the log.
    Oldest,
}

/// The place of a consumer that has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// All lines up to here are consumed.
    pub offset: u64,
    /// Lines of these clients are consumed up to there.
    pub clients: Vec<(Arc<str>, u64)>,
}

impl Log {
    /// Opens the log in `engine`, and starts its writer on a thread of its own. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open(engine: impl Engine, keep: Keep) -> Result<Opened, EngineError> {
        let mut engine: Box<dyn Engine> = Box::new(engine);
        let loaded = engine.load()?;
        let mut sessions = Vec::new();
        for (client, row) in &loaded.sessions {
            if let Some(bytes) = &row.state {
                let state = SessionState::decode(bytes).map_err(|why| EngineError::Damaged {
                    path: format!("the session of \"{}\"", client.escape_debug()),
                    why: why.to_string(),
                })?;
                sessions.push((client.to_string(), state));
            }
        }
        let head = loaded.next - 1;
        let shared = Arc::new(Shared {
            name: loaded.name.clone(),
            durable: engine.is_durable(),
            first: AtomicU64::new(loaded.first),
            head: watch::Sender::new(head),
            ring: Mutex::new(Ring::new(head)),
            reader: engine.reader(),
            status: watch::Sender::default(),
            clients: Mutex::default(),
            failing: Failing::default(),
            failed: watch::Sender::new(None),
            events: Mutex::default(),
        });
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let past =
            Past { alive_ms: loaded.alive_ms, last_event: loaded.next_event.saturating_sub(1) };
        let writer = Writer::new(engine, loaded, keep, Arc::clone(&shared), receiver);
        let runtime = tokio::runtime::Handle::current();
        let spawned =
            std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&runtime));
        spawned.map_err(|error| EngineError::Io {
            path: "the log's thread".into(),
            why: error.to_string(),
        })?;
        Ok(Opened { log: Self { shared, requests }, sessions, past })
    }

    /// Returns the log's identity.
    pub fn name(&self) -> &LogName {
        &self.shared.name
    }

    /// Returns true if the log outlives this process.
    pub fn is_durable(&self) -> bool {
        self.shared.durable
    }

    /// Returns the offset of the newest line; 0 if there never was one.
    pub fn head(&self) -> u64 {
        *self.shared.head.borrow()
    }

    /// Returns the offset of the oldest line, or of the next one if there is none.
    pub fn first(&self) -> u64 {
        self.shared.first.load(Ordering::Acquire)
    }

    /// Returns the state of the log.
    pub fn status(&self) -> Status {
        let mut status = self.shared.status.borrow().clone();
        for consumer in &mut status.consumers {
            consumer.failing = self.shared.failing.describe(&consumer.name);
        }
        status
    }

    /// Waits until the state is as `wanted`, and returns it. The state that it has when the log ends is the last.
    pub async fn wait_for(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let mut changes = self.shared.status.subscribe();
        let mut failed = self.shared.failed.subscribe();
        loop {
            changes.mark_unchanged();
            let status = self.status();
            if wanted(&status) || self.shared.failed.borrow().is_some() {
                return status;
            }
            tokio::select! {
                // An error is impossible: `self` holds the sender.
                _ = changes.changed() => {}
                _ = failed.changed() => {}
            }
        }
    }

    /// Returns what is known of a client's lines.
    pub fn client(&self, id: &str) -> ClientLines {
        lock(&self.shared.clients).get(id)
    }

    /// Looks for the last line of each client among the newest ones of a log that was opened: what came before
    /// these 100,000 is not looked at. The server works meanwhile.
    pub async fn recall(&self) {
        let mut after = self.head().saturating_sub(RECALL).max(self.first() - 1);
        while let Ok(page) = self.page(after, 1000, None).await
            && page.seen > after
        {
            after = page.seen;
            lock(&self.shared.clients).note_old(page.lines);
            tokio::task::yield_now().await;
        }
    }

    /// Returns the offset behind which the lines since this wall-clock time (ms) begin. Where the clock was set
    /// back, it is one of several places.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn offset_at(&self, since_ms: u64) -> Result<u64, EngineError> {
        let (mut low, mut high) = (self.first() - 1, self.head());
        while low < high {
            let middle = low.midpoint(high);
            match self.page(middle, 1, None).await {
                Ok(page) if page.lines.first().is_some_and(|line| line.at_ms < since_ms) => {
                    low = middle + 1;
                }
                // Deleted meanwhile: it was older than what is there.
                Err(PageError::Gone { first }) => low = (first - 1).min(high),
                Err(PageError::Engine(error)) => return Err(error),
                Ok(_) | Err(PageError::Beyond { .. }) => high = middle,
            }
        }
        Ok(low)
    }

    /// Takes what clients of `server` send, and sends them what the log has for them, until it stops. It must
    /// [commit](pblink_server::Builder::commits), and have been built from the sessions of this log.
    pub async fn attach(&self, server: Server) {
        // An error: the writer has ended, and `failed` says why.
        let _ = self.requests.send(Request::Attach(server)).await;
    }

    /// Returns the sessions as they are, for the next server in this process.
    pub async fn sessions(&self) -> Vec<(String, SessionState)> {
        self.ask(Request::Sessions).await.unwrap_or_default()
    }

    /// Puts lines to one client into the log, and sends them from there. Returns when they are durable.
    /// `key`: a request with the same key for the same client within 24 h adds nothing.
    ///
    /// # Errors
    /// None of the lines is in the log.
    pub async fn send(
        &self,
        lines: Vec<Outgoing>,
        key: Option<Arc<str>>,
    ) -> Result<Sent, SendError> {
        let sent = self.ask(|reply| Request::Send { lines, key, reply }).await;
        sent.unwrap_or(Err(SendError::Stopped))
    }

    /// Registers a consumer that starts to run, and returns its place.
    pub async fn register(&self, consumer: &str, required: bool, from: From) -> Option<Place> {
        let consumer = consumer.into();
        self.ask(|reply| Request::Register { consumer, required, from, reply }).await
    }

    /// Removes a consumer: it holds nothing back any more.
    pub async fn unregister(&self, consumer: &str) {
        let consumer = consumer.into();
        self.ask(|reply| Request::Unregister { consumer, reply }).await;
    }

    /// Notes the step of a consumer. With lines to clients it returns when all is durable; otherwise at
    /// once, and the step is in one of the next commits.
    ///
    /// # Errors
    /// Nothing of it is in the log.
    pub async fn progress(&self, progress: Progress) -> Result<(), SendError> {
        if progress.outgoing.is_empty() {
            let sent = self.requests.send(Request::Progress { progress, reply: None }).await;
            return sent.map_err(|_| SendError::Stopped);
        }
        let done = self.ask(|reply| Request::Progress { progress, reply: Some(reply) }).await;
        done.unwrap_or(Err(SendError::Stopped))
    }

    /// Notes an event under its number, without waiting. Beyond 65,536 that wait for the disk it is lost.
    pub fn event(&self, event: &Event) {
        let Ok(json) = serde_json::to_string(&event.kind) else { return };
        let mut events = lock(&self.shared.events);
        match events.len() {
            // The writer takes them with whatever wakes it: if there is no room for this, it is awake.
            0 => drop(self.requests.try_send(Request::Events)),
            EVENTS => return,
            _ => {}
        }
        events.push(EventRow { id: event.seq, at_ms: event.at_ms, json });
    }

    /// Returns at most `limit` events with numbers above `after`, in order.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn events(&self, after: u64, limit: usize) -> Result<Vec<EventRow>, EngineError> {
        let reader = Arc::clone(&self.shared.reader);
        blocking(move || reader.events(after, limit)).await
    }

    /// Returns at most `limit` lines behind offset `after`, in order; with `client`, only of this one. It does not
    /// wait for lines to come: see [`wait_beyond`](Self::wait_beyond). An empty page is not the end as long as
    /// [`Page::seen`] goes on.
    ///
    /// # Errors
    /// If lines behind `after` are gone, or it is beyond the end, or the store cannot be read.
    pub async fn page(
        &self,
        after: u64,
        limit: usize,
        client: Option<&str>,
    ) -> Result<Page, PageError> {
        let head = self.head();
        if after > head {
            return Err(PageError::Beyond { after, head });
        }
        self.still_there(after)?;
        let page = lock(&self.shared.ring).page(after, limit, client);
        if let Some((lines, seen)) = page {
            return Ok(Page { lines, seen });
        }
        let reader = Arc::clone(&self.shared.reader);
        let client = client.map(str::to_owned);
        let (lines, seen) =
            blocking(move || reader.lines(after, limit, SCAN, client.as_deref())).await?;
        // Some may have been deleted while it was read.
        self.still_there(after)?;
        Ok(Page { lines, seen })
    }

    fn still_there(&self, after: u64) -> Result<(), PageError> {
        let first = self.first();
        if after + 1 < first { Err(PageError::Gone { first }) } else { Ok(()) }
    }

    /// Waits until there is a line behind offset `after`. False: the log has ended.
    pub async fn wait_beyond(&self, after: u64) -> bool {
        let mut head = self.shared.head.subscribe();
        let mut failed = self.shared.failed.subscribe();
        tokio::select! {
            beyond = head.wait_for(|&head| head > after) => beyond.is_ok(),
            _ = failed.wait_for(Option::is_some) => false,
        }
    }

    /// Waits until the log has failed, and returns why: nothing is acknowledged any more, and the server has
    /// to end.
    pub async fn failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // Impossible: `self` holds the sender.
            Err(_) => std::future::pending().await,
        }
    }

    /// Removes the lines, session, outbox and cursors of a client, which should not be connected.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn purge(&self, client: &str) -> Result<(), EngineError> {
        let client = client.into();
        let purged = self.ask(|reply| Request::Purge { client, reply }).await;
        purged.unwrap_or_else(|| Err(stopped()))
    }

    /// Returns the lines to clients that a restore from a backup has left: nobody knows whether they were sent.
    pub async fn undetermined(&self) -> Vec<OutboxRow> {
        self.ask(Request::Undetermined).await.unwrap_or_default()
    }

    /// Has the undetermined lines of a client, or of all, sent behind those that wait already. Returns their number
    /// when that is durable.
    ///
    /// # Errors
    /// All of them stay undetermined.
    pub async fn send_undetermined(&self, client: Option<&str>) -> Result<usize, SendError> {
        self.release(client, true).await
    }

    /// Drops the undetermined lines of a client, or of all. Returns their number when that is durable.
    ///
    /// # Errors
    /// All of them stay undetermined.
    pub async fn drop_undetermined(&self, client: Option<&str>) -> Result<usize, SendError> {
        self.release(client, false).await
    }

    async fn release(&self, client: Option<&str>, send: bool) -> Result<usize, SendError> {
        let client = client.map(Arc::from);
        let released = self.ask(|reply| Request::Release { client, send, reply }).await;
        released.unwrap_or(Err(SendError::Stopped))
    }

    /// Writes a copy of the log to `path`, which must not exist, while it is in use.
    ///
    /// # Errors
    /// If it cannot be written, or the log is in memory only.
    pub async fn backup(&self, path: std::path::PathBuf) -> Result<(), EngineError> {
        let done = self.ask(|reply| Request::Backup { path, reply }).await;
        done.unwrap_or_else(|| Err(stopped()))
    }

    /// Deletes what is too old or too much, at once instead of within a minute.
    pub async fn retain_now(&self) {
        self.ask(Request::Retain).await;
    }

    /// Stores all that waits, and ends the writer.
    pub async fn stop(&self) {
        self.ask(Request::Stop).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.ok()?;
        answer.await.ok()
    }
}

fn stopped() -> EngineError {
    EngineError::Io { path: "the log".into(), why: "it has stopped".into() }
}

/// Runs what may wait for a disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result,
        Err(error) => Err(EngineError::Io { path: "the log".into(), why: error.to_string() }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the wall clock in milliseconds since the Unix epoch; 0 before it.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

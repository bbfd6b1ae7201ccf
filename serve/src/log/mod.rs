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

mod calls;
mod clients;
mod clock;
mod engine;
mod failing;
mod gate;
mod gateway;
mod json;
mod memory;
mod model;
mod open;
mod outbox;
mod ring;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stalled;
mod steps;
#[cfg(feature = "nats")]
pub mod store;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pblink_server::{Event, Server, SessionState};
use tokio::sync::{mpsc, oneshot, watch};

pub use calls::{
    ConsumerError, ConsumerStatus, FailingLine, From, Keep, Outgoing, Page, PageError, Place,
    Progress, Role, SendError, Sent, Stall, Status,
};
use clients::Clients;
pub use clients::{ClientLines, LastLine};
pub(crate) use clock::wall_ms;
pub use clock::{Clock, System};
pub use engine::{Engine, EngineError, Reader, Retention, Room};
use failing::Failing;
pub use failing::{SkipError, Skipped};
pub use gateway::GatewayInfo;
pub use memory::Memory;
pub use model::{
    Commit, Cursor, EventClass, EventRow, KeyRow, Kind, Line, Loaded, LogName, OutboxRow, Past,
    SessionRow,
};
pub use open::Opened;
pub use outbox::{MAX_BYTES as MAX_WAITING_BYTES, MAX_LINES as MAX_WAITING};
use ring::Ring;
#[cfg(feature = "sqlite")]
pub use sqlite::{Report, Restored, Sqlite, Waiting};
use stalled::Stalled;
pub use steps::ClockStep;
use steps::Steps;
use writer::Request;

/// Requests that wait for the writer; whoever brings more waits.
const REQUESTS: usize = 1024;

/// Rows that one call looks at on the disk.
const SCAN: usize = 10_000;

/// Events that wait for the writer at most: more than a server of 10,000 links brings about at a time.
const EVENTS: usize = 65_536;

/// Lines of clients that are read at a time, before others have a turn.
const RECALL: usize = 200;

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
    /// Other servers may take the place of this one.
    confirms: bool,
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
    stalled: Stalled,
    /// Why the writer has ended, once it has by itself.
    failed: watch::Sender<Option<String>>,
    /// Events on their way to the writer.
    events: Mutex<Vec<EventRow>>,
    /// Steps of the wall clock.
    steps: Steps,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reports the steps of the wall clock. It is no handle that keeps the log open.
#[derive(Debug)]
pub struct ClockSteps(Arc<Shared>);

impl ClockSteps {
    /// Waits for the next step. `None`: the log has ended.
    pub async fn next(&self) -> Option<ClockStep> {
        let mut failed = self.0.failed.subscribe();
        tokio::select! {
            step = self.0.steps.next() => Some(step),
            _ = failed.wait_for(Option::is_some) => None,
        }
    }
}

impl Log {
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
            (consumer.failing, consumer.failing_clients) = self.shared.failing.of(&consumer.name);
            consumer.stalled = self.shared.stalled.of(&consumer.name);
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

    /// Reads the last line of each client of a log that was opened; their times are known before that. The server works
    /// meanwhile.
    pub async fn recall(&self) {
        let offsets = lock(&self.shared.clients).untold();
        for some in offsets.chunks(RECALL) {
            let (reader, some) = (Arc::clone(&self.shared.reader), some.to_vec());
            let found = blocking(move || {
                let mut found = Vec::new();
                for offset in some {
                    // One that was deleted has another in its place.
                    found.extend(reader.lines(offset - 1, 1, 1, None)?.0);
                }
                Ok(found)
            });
            match found.await {
                Ok(lines) => lock(&self.shared.clients).note_old(lines),
                Err(error) => {
                    tracing::warn!("the last lines of clients cannot be read: {error}");
                    return;
                }
            }
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
    /// `key`: the same request with the same key for the same client within 24 h adds nothing; another one is refused.
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
        let (consumer, role) = (consumer.into(), Role::Here { required });
        self.ask(|reply| Request::Register { consumer, role, from, reply }).await
    }

    /// Returns the place of a consumer that runs elsewhere, and makes it if there is none.
    pub async fn register_elsewhere(&self, consumer: &str, from: From) -> Option<Place> {
        let (consumer, role) = (consumer.into(), Role::Elsewhere);
        self.ask(|reply| Request::Register { consumer, role, from, reply }).await
    }

    /// Removes a consumer: it holds nothing back any more. Returns when that is durable.
    ///
    /// # Errors
    /// If there is none, or the disk has no room for that now.
    pub async fn unregister(&self, consumer: &str) -> Result<(), ConsumerError> {
        let consumer = consumer.into();
        let done = self.ask(|reply| Request::Unregister { consumer, reply }).await;
        done.unwrap_or(Err(ConsumerError::Stopped))
    }

    /// Gives a consumer that does not run here another name; it keeps its place. Returns when that is durable.
    ///
    /// # Errors
    /// If there is none, it runs here, the name is taken, or the disk has no room for that now.
    pub async fn rename(&self, consumer: &str, to: &str) -> Result<(), ConsumerError> {
        let (consumer, to) = (consumer.into(), to.into());
        let done = self.ask(|reply| Request::Rename { consumer, to, reply }).await;
        done.unwrap_or(Err(ConsumerError::Stopped))
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

    /// Notes an event under its number, without waiting. Of 65,536 that wait for the disk at most half may be reports, and
    /// a quarter of strangers; what is more is lost.
    pub fn event(&self, event: &Event, class: EventClass) {
        let Ok(json) = serde_json::to_string(&event.kind) else { return };
        let most = match class {
            EventClass::Other => EVENTS,
            EventClass::Report => EVENTS / 2,
            EventClass::Stranger => EVENTS / 4,
        };
        let mut events = lock(&self.shared.events);
        match events.len() {
            // The writer takes them with whatever wakes it: if there is no room for this, it is awake.
            0 => drop(self.requests.try_send(Request::Events)),
            waiting if waiting >= most => return,
            _ => {}
        }
        events.push(EventRow { id: event.seq, at_ms: event.at_ms, json, class });
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

    /// Returns what reports the steps of the wall clock. For one task: each step comes once.
    pub fn clock_steps(&self) -> ClockSteps {
        ClockSteps(Arc::clone(&self.shared))
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

    /// Returns the lines that wait for a client: those that are sent and not acknowledged first.
    pub async fn waiting(&self, client: &str) -> Vec<OutboxRow> {
        let client = client.into();
        self.ask(|reply| Request::Waiting { client, reply }).await.unwrap_or_default()
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

//! The writer: the one thread that commits.

mod chores;
mod commit;
mod consumers;
mod held;
mod pending;
mod places;
mod request;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pblink_server::{Batch, Connection, Server, SessionState};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use commit::feed;
use consumers::Consumer;
use pending::Pending;
pub(super) use request::Request;

use super::clock::Clock;
use super::engine::{Engine, EngineError};
use super::model::{Cursor, KeyRow, Loaded, OutboxRow, SessionRow};
use super::outbox::Outbox;
use super::steps::{Marks, Watch};
use super::{EVENTS, Keep, Shared, Status, lock};

/// Lines of one commit, about: the batch that reaches it is the last.
const MAX_LINES: usize = 4096;

/// Bytes of the lines of one commit, about.
const MAX_BYTES: usize = 1024 * 1024;

/// The longest time for which a cursor or an event waits for a commit with lines.
const LATER: Duration = Duration::from_secs(1);

/// Pause before a disk that was full, or has no room, is looked at again.
const RETRY: Duration = Duration::from_secs(1);

/// The least time between two questions whether this server serves its clients still, where no commit answers them: each is
/// kept, and whoever finds the port may have any number of them asked.
const CONFIRM: Duration = Duration::from_millis(50);

/// Interval of the mark that the server is alive.
const ALIVE: Duration = Duration::from_secs(10);

/// Interval at which old lines are looked for.
const RETAIN: Duration = Duration::from_secs(60);

/// Time for which they are.
const KEY_AGE_MS: u64 = 24 * 3600 * 1000;

/// Cause of the writer being woken.
enum Wake {
    Batch(Batch),
    Client(Connection),
    Request(Request),
    /// The server has stopped.
    Over,
    /// All handles are gone.
    Gone,
    Timer,
}

/// A client, as of the last commit.
#[derive(Debug, Default)]
struct Client {
    session: SessionRow,
    /// The epoch of lines without a restart since the present server began.
    base: u64,
    outbox: Outbox,
}

/// See the module's text.
pub(super) struct Writer {
    engine: Box<dyn Engine>,
    keep: Keep,
    clock: Arc<dyn Clock>,
    watch: Watch,
    /// The log says that nothing is deleted for its age.
    hold_noted: bool,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    server: Option<Server>,
    clients: HashMap<Arc<str>, Client>,
    consumers: BTreeMap<Arc<str>, Consumer>,
    keys: HashMap<(Arc<str>, Arc<str>), KeyRow>,
    /// Lines to clients that a restore has left, until someone decides.
    undetermined: Vec<OutboxRow>,
    next: u64,
    pending: Pending,
    /// Batches that are committed to an engine that does not keep them, with the offsets of their last lines:
    /// accepted once each required consumer has come so far.
    unconsumed: Vec<(u64, Batch)>,
    /// No line is taken until then.
    held: Option<Instant>,
    /// That is because nobody says whether the commit is stored, and not for want of room.
    unavailable: bool,
    room_at: Instant,
    alive_at: Instant,
    retain_at: Instant,
    /// Bytes of lines that came since old ones were looked for.
    grown: u64,
    committed_at: Option<Instant>,
    /// The next question whether this server serves its clients still waits until then.
    confirm_at: Instant,
    status: Status,
    stopping: Vec<oneshot::Sender<()>>,
    over: bool,
}

impl Writer {
    pub(super) fn new(
        engine: Box<dyn Engine>,
        loaded: Loaded,
        (keep, clock, marks): (Keep, Arc<dyn Clock>, Marks),
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let mut clients: HashMap<Arc<str>, Client> = HashMap::new();
        for (id, session) in loaded.sessions {
            clients.entry(id).or_default().session = session;
        }
        for row in &loaded.outbox {
            let client = clients.entry(Arc::clone(&row.client)).or_default();
            client.session.last_row = client.session.last_row.max(row.row);
            client.outbox.push(row);
            lock(&shared.clients).note_waiting(&row.client, client.outbox.len());
        }
        let mut consumers: BTreeMap<Arc<str>, Consumer> = BTreeMap::new();
        for Cursor { consumer, client, offset } in loaded.cursors {
            let consumer = consumers.entry(consumer).or_default();
            match &*client {
                "" => consumer.places.advance(offset),
                _ => consumer.places.set(client, offset),
            }
        }
        consumers.values_mut().for_each(|consumer| consumer.places.prune());
        let keys = loaded.keys.into_iter();
        let status = Status { waiting: loaded.outbox.len() as u64, ..Status::default() };
        let now = Instant::now();
        let (watch, step) = Watch::new(clock.passed(), clock.wall_ms(), marks);
        if let Some(step) = step {
            chores::announce(&shared, step);
        }
        let mut writer = Self {
            engine,
            keep,
            clock,
            watch,
            hold_noted: marks.hold_ms > 0,
            shared,
            requests,
            server: None,
            clients,
            consumers,
            keys: keys.map(|key| ((Arc::clone(&key.client), Arc::clone(&key.key)), key)).collect(),
            undetermined: loaded.undetermined,
            next: loaded.next,
            pending: Pending::default(),
            unconsumed: Vec::new(),
            held: None,
            unavailable: false,
            room_at: now,
            alive_at: now,
            retain_at: now + RETAIN,
            grown: 0,
            committed_at: None,
            confirm_at: now,
            status,
            stopping: Vec::new(),
            over: false,
        };
        // Whoever asks first sees the consumers of earlier runs.
        writer.publish();
        writer
    }

    /// Stores sessions as they are: what was stored of them could not be read.
    pub(super) fn renew<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        for id in ids {
            if let Some((id, client)) = self.clients.get_key_value(id) {
                self.pending.commit.sessions.push((Arc::clone(id), client.session.clone()));
                self.pending.since.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Runs until it is stopped, or the store fails for good.
    pub(super) fn run(mut self, runtime: &Runtime) {
        let result = self.work(runtime);
        let why = match result {
            Ok(()) => "it was stopped".to_owned(),
            Err(error) => error.to_string(),
        };
        let (shared, stopping) = (Arc::clone(&self.shared), std::mem::take(&mut self.stopping));
        // Whoever hears of it may open the store anew at once.
        drop(self);
        shared.failed.send_replace(Some(why));
        for reply in stopping {
            // Whoever asked may have gone away.
            let _ = reply.send(());
        }
    }

    fn work(&mut self, runtime: &Runtime) -> Result<(), EngineError> {
        // The disk is looked at before the first line is taken.
        self.chores()?;
        while !self.over {
            let wake = runtime.block_on(self.wait());
            self.on_wake(wake)?;
            self.gather()?;
            self.chores()?;
            if self.is_time() {
                self.commit()?;
            }
        }
        if self.engine.is_durable() {
            self.note_alive();
        }
        self.pending.urgent = true;
        self.commit()?;
        self.engine.close();
        Ok(())
    }

    /// Waits for something to do.
    async fn wait(&mut self) -> Wake {
        let mut at = self.alive_at.min(self.retain_at);
        if !self.is_stuck() {
            if let Some(since) = self.pending.since {
                at = at.min(since + LATER);
            }
            if !self.pending.confirms.is_empty() {
                at = at.min(self.confirm_at);
            }
            if !self.pending.batches.is_empty() || self.pending.urgent {
                at = at.min(self.committed_at.map_or(at, |last| last + self.keep.commit_every));
            }
        }
        at = self.held.map_or(at, |until| at.min(until));
        let batches = self.held.is_none() && !self.is_full();
        let server = self.server.as_ref();
        let batch = async {
            match server {
                Some(server) if batches => match server.next_batch().await {
                    Ok(batch) => Wake::Batch(batch),
                    Err(_) => Wake::Over,
                },
                _ => std::future::pending().await,
            }
        };
        let client = async {
            match server {
                Some(server) => match server.next_client().await {
                    Ok(client) => Wake::Client(client),
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            wake = batch => wake,
            wake = client => wake,
            request = self.requests.recv() => request.map_or(Wake::Gone, Wake::Request),
            () = tokio::time::sleep_until(at.into()) => Wake::Timer,
        }
    }

    fn on_wake(&mut self, wake: Wake) -> Result<(), EngineError> {
        match wake {
            Wake::Batch(batch) => self.add_batch(batch),
            Wake::Client(link) => {
                if let Some(client) = self.clients.get_mut(link.id()) {
                    feed(&mut client.outbox, &link);
                }
            }
            Wake::Request(request) => self.on_request(request)?,
            Wake::Over => self.server = None,
            Wake::Gone => self.over = true,
            Wake::Timer => {}
        }
        Ok(())
    }

    /// Takes all that is there, as far as it fits into one commit.
    fn gather(&mut self) -> Result<(), EngineError> {
        while !self.over {
            let Ok(request) = self.requests.try_recv() else { break };
            self.on_request(request)?;
        }
        // On a full disk they have to wait, and there are bounds for that.
        let waits = self.pending.commit.events.len() >= EVENTS;
        let events = (!waits).then(|| std::mem::take(&mut *lock(&self.shared.events)));
        if let Some(events) = events.filter(|events| !events.is_empty()) {
            self.pending.commit.events.extend(events);
            self.pending.since.get_or_insert_with(Instant::now);
        }
        while self.held.is_none() && !self.is_full() {
            let Some(batch) = self.server.as_ref().and_then(Server::try_batch) else { break };
            self.add_batch(batch);
        }
        // After the batches: see the server's text on it.
        if let Some(server) = &self.server {
            for id in server.take_forgotten() {
                self.pending.commit.forgotten.push(id.into());
                self.pending.since.get_or_insert_with(Instant::now);
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.pending.commit.lines.len() >= MAX_LINES || self.pending.bytes >= MAX_BYTES
    }

    fn is_time(&self) -> bool {
        let now = Instant::now();
        let waited = self.pending.since.is_some_and(|since| now >= since + LATER);
        let asked = !self.pending.confirms.is_empty() && now >= self.confirm_at;
        let wanted = self.pending.urgent || !self.pending.batches.is_empty() || waited || asked;
        let early = self.committed_at.is_some_and(|last| now < last + self.keep.commit_every);
        wanted && !early && !self.is_stuck()
    }

    /// Returns true while the next commit can neither be done nor undone: all of it waits for room.
    fn is_stuck(&self) -> bool {
        self.pending.in_doubt && self.held.is_some()
    }

    fn attach(&mut self, server: Server) {
        for client in self.clients.values_mut() {
            client.base = client.session.epoch.max(1);
        }
        self.server = Some(server);
    }

    /// Returns the sessions for the next server, with the lines that it owes to their clients.
    pub(super) fn sessions(&mut self) -> Vec<(String, SessionState)> {
        let states = self.clients.iter_mut().filter_map(|(id, client)| {
            let state = match client.session.state.as_deref() {
                Some(bytes) => SessionState::decode(bytes).ok()?,
                None if client.session.last_row == 0 => return None,
                None => SessionState::default(),
            };
            let mut state = state;
            state.set_last_row(client.session.last_row);
            Some((id.to_string(), client.outbox.hand_over(state)))
        });
        states.collect()
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        self.pending.urgent = true;
        self.commit()?;
        if self.pending.in_doubt {
            // Its lines would come back with that commit.
            return Err(EngineError::Full);
        }
        self.engine.purge(client)?;
        if let Some(client) = self.clients.remove(client) {
            self.status.waiting -= client.outbox.len() as u64;
        }
        lock(&self.shared.clients).forget(client);
        self.keys.retain(|(id, _), _| **id != *client);
        self.undetermined.retain(|row| *row.client != *client);
        for consumer in self.consumers.values_mut() {
            consumer.places.forget(client);
        }
        lock(&self.shared.ring).clear();
        Ok(())
    }
}

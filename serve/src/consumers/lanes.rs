//! A lane for each client: its lines in order, whatever happens to the lines of others.
//!
//! One task reads the log once and hands each line to its client's lane. A lane that is slow gets no more than
//! a few lines ahead; from then on it is *behind*, and reads the log itself until it has caught up. So nobody
//! waits for anybody else, and nothing grows.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Consumer;
use crate::log::{Kind, Line, Log, Outgoing, PageError, Progress, SendError};

/// Lines that a lane may be ahead of its worker before it is behind.
const AHEAD: usize = 64;

/// Interval at which the place of all lanes together is noted; each lane notes its own at once.
const NOTE: std::time::Duration = std::time::Duration::from_secs(1);

/// Lines that are read from the log at once.
const PAGE: usize = 512;

/// The lanes of one consumer.
#[derive(Debug)]
struct Lanes {
    name: String,
    log: Log,
    state: Mutex<State>,
    ending: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    /// All lines up to here were handed to their lanes, or their lanes are behind.
    scanned: u64,
    lanes: HashMap<Arc<str>, Queue>,
    /// The first line of each lane that is not done.
    open: BTreeSet<(u64, Arc<str>)>,
    /// No more lines will come than there are.
    ended: bool,
}

#[derive(Debug)]
struct Queue {
    lines: VecDeque<Line>,
    /// Offset of the last line that went to the worker or is in `lines`.
    taken: u64,
    /// Lines that the worker has and that are not done.
    held: VecDeque<u64>,
    /// The first line that is not done.
    open: Option<u64>,
    /// There are lines behind `taken` that are not in `lines`.
    behind: bool,
    changed: Arc<Notify>,
}

impl Queue {
    fn new(done: u64) -> Self {
        let changed = Arc::new(Notify::new());
        let (lines, held) = (VecDeque::new(), VecDeque::new());
        Self { lines, taken: done, held, open: None, behind: false, changed }
    }
}

impl State {
    /// Returns the offset up to which all is done.
    fn done(&self) -> u64 {
        self.open.first().map_or(self.scanned, |(offset, _)| offset - 1)
    }

    fn set_open(&mut self, client: &Arc<str>, open: Option<u64>) {
        let Some(lane) = self.lanes.get_mut(client) else { return };
        if let Some(before) = std::mem::replace(&mut lane.open, open) {
            self.open.remove(&(before, Arc::clone(client)));
        }
        if let Some(offset) = open {
            self.open.insert((offset, Arc::clone(client)));
        }
    }
}

/// The lines of one client, for its worker.
#[derive(Debug)]
pub(super) struct Lane {
    lanes: Arc<Lanes>,
    client: Arc<str>,
    changed: Arc<Notify>,
}

/// Runs a consumer with a worker for each client of which there is a line to consume. Ends when the log has
/// ended, or when `ending` is cancelled and all lines that are there are done.
pub(super) async fn run<F, W>(log: Log, consumer: &Consumer, ending: CancellationToken, worker: F)
where
    F: Fn(Lane) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    let Some(place) = consumer.register(&log).await else { return };
    let mut places: HashMap<_, _> = place.clients.into_iter().collect();
    let state = State { scanned: place.offset, ..State::default() };
    let name = consumer.name.clone();
    let lanes = Arc::new(Lanes { name, log, state: Mutex::new(state), ending });
    let mut workers = tokio::task::JoinSet::new();
    let (mut scanned, mut noted) = (place.offset, place.offset);
    let mut pace = tokio::time::interval(NOTE);
    loop {
        let page = tokio::select! {
            page = next_page(&lanes.log, &lanes.name, scanned, &lanes.ending) => page,
            _ = pace.tick() => {
                lanes.note(&mut noted).await;
                continue;
            }
        };
        let Some((lines, seen)) = page else { break };
        scanned = seen;
        let (lines, passed): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .partition(|line| line.kind == Kind::Line && consumer.wants(&line.client));
        if !lanes.log.is_durable() {
            lanes.pass(passed).await;
        }
        for line in lines {
            let known = lanes.lock().lanes.contains_key(&line.client);
            if !known {
                let client = Arc::clone(&line.client);
                let done = places.remove(&client).unwrap_or(0).max(place.offset);
                let lane = Lane::open(&lanes, client, done);
                workers.spawn(worker(lane));
            }
            lanes.hand_out(line);
        }
        lanes.lock().scanned = scanned;
        while workers.try_join_next().is_some() {}
    }
    {
        let mut state = lanes.lock();
        state.ended = true;
        for lane in state.lanes.values() {
            lane.changed.notify_one();
        }
    }
    while workers.join_next().await.is_some() {}
    lanes.note(&mut noted).await;
}

/// Waits for lines behind `after`, and returns them with the offset up to which was looked. `None`: the log has
/// ended, or `ending` is cancelled and there are none. Lines that are gone are passed over, and that is said.
pub(super) async fn next_page(
    log: &Log,
    name: &str,
    after: u64,
    ending: &CancellationToken,
) -> Option<(Vec<Line>, u64)> {
    tokio::select! {
        beyond = log.wait_beyond(after) => if !beyond { return None },
        () = ending.cancelled() => if log.head() <= after { return None },
    }
    let mut after = after;
    loop {
        match log.page(after, PAGE, None).await {
            Ok(page) => return Some((page.lines, page.seen)),
            Err(PageError::Gone { first }) => {
                tracing::error!(
                    "consumer {name} was so far behind that lines were deleted: {} of them, up to {}, are lost \
                     to it",
                    first - 1 - after,
                    first - 1
                );
                after = first - 1;
            }
            Err(error) => {
                tracing::error!("consumer {name} cannot read the log: {error}; retrying");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_out(&self, line: Line) {
        let state = &mut *self.lock();
        state.scanned = line.offset;
        let Some(lane) = state.lanes.get_mut(&line.client) else { return };
        if line.offset <= lane.taken {
            return;
        }
        let (client, offset) = (Arc::clone(&line.client), line.offset);
        if lane.behind || lane.lines.len() == AHEAD {
            lane.behind = true;
        } else {
            lane.taken = line.offset;
            lane.lines.push_back(line);
        }
        lane.changed.notify_one();
        if lane.open.is_none() {
            state.set_open(&client, Some(offset));
        }
    }

    /// Notes that lines of others are nothing for this consumer. Without a store they wait for that.
    async fn pass(&self, lines: Vec<Line>) {
        let lines = lines.into_iter().filter(|line| line.kind == Kind::Line);
        let places: HashMap<_, _> = lines.map(|line| (line.client, line.offset)).collect();
        if !places.is_empty() {
            let done = self.lock().done();
            let places = places.into_iter().collect();
            // An error: the log has ended.
            let _ = self.log.progress(self.progress(done, places, Vec::new())).await;
        }
    }

    /// Notes how far all lanes have come together.
    async fn note(&self, noted: &mut u64) {
        let done = self.lock().done();
        if done > *noted {
            *noted = done;
            // An error: the log has ended.
            let _ = self.log.progress(self.progress(done, Vec::new(), Vec::new())).await;
        }
    }

    fn progress(
        &self,
        offset: u64,
        clients: Vec<(Arc<str>, u64)>,
        outgoing: Vec<Outgoing>,
    ) -> Progress {
        Progress { consumer: self.name.as_str().into(), offset, clients, outgoing }
    }
}

impl Lane {
    /// Returns the client's id.
    pub(super) fn client(&self) -> &Arc<str> {
        &self.client
    }

    /// Returns the sign that there will be no more lines than those that are there.
    pub(super) fn ending(&self) -> &CancellationToken {
        &self.lanes.ending
    }

    fn open(lanes: &Arc<Lanes>, client: Arc<str>, done: u64) -> Self {
        let queue = Queue::new(done);
        let changed = Arc::clone(&queue.changed);
        lanes.lock().lanes.insert(Arc::clone(&client), queue);
        Self { lanes: Arc::clone(lanes), client, changed }
    }

    /// Waits for the next line. `None`: there will be no more. Dropping the future loses none.
    pub(super) async fn next(&self) -> Option<Line> {
        loop {
            let (after, scanned) = {
                let mut state = self.lanes.lock();
                let (scanned, ended) = (state.scanned, state.ended);
                let lane = state.lanes.get_mut(&self.client)?;
                if let Some(line) = lane.lines.pop_front() {
                    lane.held.push_back(line.offset);
                    return Some(line);
                }
                if !lane.behind && ended {
                    return None;
                }
                (lane.behind.then_some(lane.taken), scanned)
            };
            match after {
                None => self.changed.notified().await,
                Some(after) => self.catch_up(after, scanned).await,
            }
        }
    }

    /// Reads lines behind `after` from the log. It has caught up when it has read all that was `scanned`.
    async fn catch_up(&self, after: u64, scanned: u64) {
        let page = match self.lanes.log.page(after, AHEAD, Some(&self.client)).await {
            Ok(page) => page,
            Err(PageError::Gone { first }) => {
                tracing::error!(
                    "lines of \"{}\" were deleted before consumer {} had them",
                    self.client,
                    self.lanes.name
                );
                crate::log::Page { lines: Vec::new(), seen: first - 1 }
            }
            Err(error) => {
                tracing::error!(
                    "consumer {} cannot read the log: {error}; retrying",
                    self.lanes.name
                );
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                return;
            }
        };
        let mut state = self.lanes.lock();
        // What was handed out meanwhile is not looked at here: the lane is still behind.
        let caught_up = page.seen >= state.scanned.max(scanned);
        let Some(lane) = state.lanes.get_mut(&self.client) else { return };
        lane.lines.extend(page.lines.into_iter().filter(|line| line.kind == Kind::Line));
        lane.taken = page.seen;
        lane.behind = !caught_up;
    }

    /// Notes that the line with this offset is done, and all that the worker has had before it, with the lines that
    /// follow from them; all of that is one commit.
    ///
    /// # Errors
    /// Nothing is noted then, and the same may be tried again.
    pub(super) async fn done(&self, offset: u64, outgoing: Vec<Outgoing>) -> Result<(), SendError> {
        // This line is open still, so that no other lane's step counts it before its own commit.
        let whole = self.lanes.lock().done();
        let clients = vec![(Arc::clone(&self.client), offset)];
        self.lanes.log.progress(self.lanes.progress(whole, clients, outgoing)).await?;
        let state = &mut *self.lanes.lock();
        let Some(lane) = state.lanes.get_mut(&self.client) else { return Ok(()) };
        while lane.held.front().is_some_and(|&held| held <= offset) {
            lane.held.pop_front();
        }
        let waiting = lane.lines.front().map(|line| line.offset);
        let next = match lane.held.front().copied().or(waiting) {
            // Somewhere behind.
            None if lane.behind => Some(lane.taken.max(offset) + 1),
            next => next,
        };
        state.set_open(&self.client, next);
        Ok(())
    }
}

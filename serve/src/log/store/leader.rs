//! The gateway that leads: an engine of the log.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::election::BEAT;
use super::follower::{Follower, Step};
use super::record::{Beat, Record};
use super::stream::{About, Stream, Unappended};
use super::{Background, Fellows, Replaced, StoreError, Way, random};
use crate::log::engine::{Engine, EngineError, Reader, Retention, Room};
use crate::log::model::{Commit, Line, Loaded};
use crate::log::sqlite::StatePlace;

/// Attempts to append a record that others were quicker than, at a time.
const ATTEMPTS: usize = 5;

/// Time for which a store may not answer, longer than one that has lost a server needs to go on. A gateway that is cut off from
/// it alone has to let its boards go after that: another one may lead, and they do not look for it while this one talks to
/// them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The least number of bytes behind a full state for another one to be written.
const STATE_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes that a commit has beside its lines, about.
const COMMIT_BYTES: u64 = 256;

/// An engine whose commits are records of the stream before they count. See the module above.
#[derive(Debug)]
pub struct Leader {
    follower: Follower,
    gateway: String,
    claim: String,
    background: Background,
    beat: AbortHandle,
    /// The way to it that it tells the others.
    way: watch::Sender<Option<Way>>,
    fellows: Fellows,
    replaced: Replaced,
    /// What was appended last may be in the stream, as a whole or in part, or come to be there.
    doubt: bool,
    /// Offset of the oldest line, as all gateways know it.
    first: u64,
    /// Bytes of records since the last full state, about.
    grown: u64,
    /// The stream begins there, unless it is 0: not known.
    shortened: u64,
    state_bytes: u64,
    /// The store has not answered since then.
    unheard_since: Option<Instant>,
}

impl Leader {
    pub(super) fn start(
        follower: Follower,
        claim: String,
        gateway: String,
        background: Background,
        fellows: Fellows,
    ) -> Self {
        let way = watch::Sender::default();
        let beat = Beat { gateway: gateway.clone(), claim: claim.clone(), way: None, keys: None };
        let beating = tell(follower.stream.clone(), beat, way.subscribe(), fellows.clone());
        let hearing = hear(follower.stream.clone(), fellows.clone());
        let beat = background.spawn(async {
            tokio::join!(beating, hearing);
        });
        Self {
            follower,
            gateway,
            claim,
            background,
            beat,
            way,
            fellows,
            replaced: Replaced::default(),
            doubt: false,
            first: 0,
            grown: 0,
            shortened: 0,
            state_bytes: STATE_BYTES,
            unheard_since: None,
        }
    }

    /// Sets the least number of bytes behind a full state of the log for another one to be written, for tests: 16 MB are a
    /// lot to wait for.
    pub fn set_state_bytes(&mut self, bytes: u64) {
        self.state_bytes = bytes;
    }

    /// Returns the number of the message that the stream was shortened to; 0: not by this gateway.
    pub fn stream_begins(&self) -> u64 {
        self.shortened
    }

    /// Tells the others the way by which they pass connections on to this gateway, from now on.
    pub fn tell_way(&self, way: &Way) {
        self.way.send_replace(Some(way.clone()));
    }

    /// Returns the gateways of the store, as far as they are heard.
    pub fn fellows(&self) -> Fellows {
        self.fellows.clone()
    }

    /// Returns what learns that another gateway leads, or may lead.
    pub fn replaced(&self) -> Replaced {
        self.replaced.clone()
    }

    /// Notes that another gateway leads, and returns that.
    fn is_replaced(&self, by: Option<&str>) -> EngineError {
        self.replaced.note(by);
        EngineError::Replaced { by: self.replaced.by().map(str::to_owned) }
    }

    /// Reads what is in the stream behind what was read.
    fn settle(&mut self) -> Result<(), EngineError> {
        let stream = self.follower.stream.clone();
        let state = self.background.wait(stream.state()).map_err(unavailable)?;
        if state.first > self.follower.read + 1 {
            // Only a leader shortens the stream, and none beyond what it has read: the record that says which one leads may be
            // among those that are gone.
            return Err(self.is_replaced(None));
        }
        self.follower.compare(&state).map_err(into_engine)?;
        while self.follower.read < state.last {
            let message = self.background.wait(stream.read(self.follower.read + 1));
            let step = message
                .map_err(unavailable)
                .and_then(|message| self.follower.take(&message).map_err(into_engine))?;
            if let Step::Leads { gateway, claim } = step
                && claim != self.claim
            {
                return Err(self.is_replaced(Some(&gateway)));
            }
        }
        self.doubt = false;
        Ok(())
    }

    /// Appends a record, and returns the numbers of its first and its last message.
    fn append(&mut self, record: &Record<'_>) -> Result<(u64, u64), EngineError> {
        let appended = self.try_append(record);
        let Err(EngineError::Unavailable { why }) = appended else {
            self.unheard_since = None;
            return appended;
        };
        let since = *self.unheard_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE {
            return Err(EngineError::Unavailable { why });
        }
        self.replaced.note(None);
        Err(EngineError::CutOff { why })
    }

    fn try_append(&mut self, record: &Record<'_>) -> Result<(u64, u64), EngineError> {
        if self.replaced.happened() {
            return Err(self.is_replaced(None));
        }
        for _ in 0..ATTEMPTS {
            if self.doubt {
                self.settle()?;
            }
            let id = random();
            match self.background.wait(self.follower.append(record, &id)) {
                Ok(numbers) => {
                    self.fellows.note_last(numbers.1);
                    return Ok(numbers);
                }
                Err(Unappended::Behind) => self.doubt = true,
                Err(Unappended::Unclear(why)) => {
                    self.doubt = true;
                    return Err(EngineError::Unavailable { why });
                }
            }
        }
        Err(EngineError::Unavailable { why: "its stream changes all the time".into() })
    }

    /// Notes in the copy what was appended. A copy that cannot be written is behind the stream, and reads it again.
    fn note(
        &mut self,
        done: impl FnOnce(&mut Follower) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let Err(error) = done(&mut self.follower) else { return Ok(()) };
        self.doubt = true;
        self.follower.rewind()?;
        Err(match error {
            // It is in the stream: nothing of it may be given back.
            EngineError::Full => EngineError::Unavailable { why: "the copy's disk is full".into() },
            other => other,
        })
    }

    /// Writes a full state if there is much behind the last one, and takes from the stream what is older than one that
    /// suffices.
    fn shorten(&mut self, max_bytes: u64) -> Result<(), EngineError> {
        if self.grown > self.state_bytes.max(max_bytes / 8) {
            let state = self.follower.copy.load()?;
            let next = state.next;
            let (place, last) = self.append(&Record::State(Cow::Owned(state)))?;
            self.grown = 0;
            self.note(|follower| follower.note_state(StatePlace { place, next }, last))?;
        }
        // Lines before it are gone.
        let first = self.first;
        let enough = self.follower.states.iter().rfind(|state| state.next <= first).copied();
        let Some(StatePlace { place, .. }) = enough.filter(|state| state.place > self.shortened)
        else {
            return Ok(());
        };
        let stream = self.follower.stream.clone();
        match self.background.wait(stream.forget_before(place)) {
            Ok(()) => self.shortened = place,
            Err(why) => tracing::warn!("{why}; it is tried again"),
        }
        Ok(())
    }
}

impl Engine for Leader {
    fn load(&mut self) -> Result<Loaded, EngineError> {
        self.follower.copy.load()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        let (_, last) = self.append(&Record::Commit(Cow::Borrowed(commit)))?;
        self.grown += commit.lines.iter().map(Line::weight).sum::<u64>() + COMMIT_BYTES;
        self.note(|follower| follower.copy.commit_at(commit, last))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn confirm(&mut self) -> Result<(), EngineError> {
        // Whoever only asks may hear an old answer: of a NATS server that does not know yet that it leads no more.
        let gateway = self.gateway.clone();
        let (_, last) = self.append(&Record::Here { gateway: gateway.into() })?;
        self.grown += COMMIT_BYTES;
        self.note(|follower| follower.copy.note_place(last))
    }

    fn reopen(&mut self) -> Result<(), EngineError> {
        self.follower.copy.reopen()?;
        self.doubt = true;
        self.follower.rewind()
    }

    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError> {
        let (first, more) = self.follower.copy.retain(retention, limit)?;
        // Also if no line was deleted: events and keys may have been.
        let Retention { before_ms, max_bytes } = retention;
        let (_, last) = self.append(&Record::Retain { before_ms, max_bytes, limit })?;
        self.grown += COMMIT_BYTES;
        self.note(|follower| follower.copy.note_place(last))?;
        self.first = first;
        if !more {
            self.shorten(max_bytes)?;
        }
        Ok((first, more))
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        let (_, last) = self.append(&Record::Purge { client: Cow::Borrowed(client) })?;
        self.note(|follower| {
            follower.copy.purge(client)?;
            follower.copy.note_place(last)
        })
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn room(&mut self) -> Room {
        self.follower.copy.room()
    }

    fn backup(&mut self, path: &Path) -> Result<(), EngineError> {
        self.follower.copy.backup(path)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.follower.copy.reader()
    }

    fn close(&mut self) {
        self.beat.abort();
        let gateway = self.gateway.clone();
        // Without it the others wait for three seconds.
        if let Err(why) = self.append(&Record::Leave { gateway: gateway.into() }) {
            tracing::warn!("the other gateways were not told that this one ends: {why}");
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.beat.abort();
    }
}

/// Tells the others that this gateway leads, for ever.
async fn tell(
    stream: Stream,
    mut beat: Beat,
    mut way: watch::Receiver<Option<Way>>,
    fellows: Fellows,
) {
    let mut times = interval(BEAT);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = times.tick() => {}
            // At once: boards wait at the others' doors.
            Ok(()) = way.changed() => beat.way = way.borrow_and_update().clone(),
        }
        beat.keys = fellows.keys();
        let words = serde_json::to_vec(&beat).unwrap_or_default();
        stream.tell(About::Leading, words.into()).await;
    }
}

/// Hears which gateways stand by, for ever.
async fn hear(stream: Stream, fellows: Fellows) {
    loop {
        if let Ok(mut heard) = stream.hear(About::StandingBy).await {
            while let Some(message) = heard.next().await {
                // Whatever else is said there is not meant for us.
                if let Ok(presence) = serde_json::from_slice(&message.payload) {
                    fellows.note(presence);
                }
            }
        }
        sleep(BEAT).await;
    }
}

/// Returns that the store does not answer now.
fn unavailable(why: StoreError) -> EngineError {
    EngineError::Unavailable { why: why.to_string() }
}

fn into_engine(error: StoreError) -> EngineError {
    match error {
        StoreError::Copy(error) => error,
        other => EngineError::Io { path: "the store".into(), why: other.to_string() },
    }
}

//! A copy of the log that follows the stream.

use async_nats::HeaderMap;

use super::StoreError;
use super::record::{Assembler, Record};
use super::stream::{Message, Stream, StreamState, Unappended};
use crate::log::engine::{Engine, EngineError, Retention};
use crate::log::model::LogName;
use crate::log::sqlite::{Sqlite, StatePlace};

/// Header of all messages: the identity of the log. A copy of another one must not take them, even where no gateway begins to
/// lead.
const LOG: &str = "Pb-Log";

/// Header of all messages: the claim of the gateway that leads as of the message before. A copy of another history of the stream
/// must not take them: one that was restored from an older copy of itself may have as many messages as it had once.
const BEHIND: &str = "Pb-Behind";

/// A copy, and the stream that it follows. What it has read is in the copy, but for the messages of a record that is not
/// whole.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) stream: Stream,
    pub(super) copy: Sqlite,
    /// Number of the last message that was read.
    pub(super) read: u64,
    assembler: Assembler,
    /// Places of full states, oldest first.
    pub(super) states: Vec<StatePlace>,
    /// The copy is to be filled anew with the next state.
    refilling: bool,
    /// The log's identity, once it is known.
    log: Option<LogName>,
    /// The claim of the gateway that leads as of the last message that was read, once it is known.
    claim: Option<String>,
}

/// Steps of the stream that are about gateways.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This gateway leads from here on.
    Leads { gateway: String, claim: String },
    /// This one does not lead any more.
    Left,
    /// One of the log.
    Other,
}

impl Follower {
    /// Begins to follow where the copy is.
    ///
    /// # Errors
    /// If the copy cannot be read.
    pub(super) fn new(stream: Stream, mut copy: Sqlite) -> Result<Self, StoreError> {
        let read = copy.place()?;
        let states = copy.states()?;
        let log = Some(copy.shared_name()?).filter(|name| !name.id.is_empty());
        let claim = copy.claim()?;
        let assembler = Assembler::default();
        Ok(Self { stream, copy, read, assembler, states, refilling: false, log, claim })
    }

    /// Compares the copy with the stream: returns an error if it is not the copy of this one. A copy that is too old for what
    /// is left of the stream is filled anew.
    ///
    /// # Errors
    /// If the stream has lost what the copy has.
    pub(super) fn compare(&mut self, state: &StreamState) -> Result<(), StoreError> {
        if state.last < self.read {
            return Err(StoreError::Lost { last: state.last, read: self.read });
        }
        if state.first > self.read + 1 {
            tracing::info!(
                "the copy of the log is older than the stream, which begins with message {}: it is filled anew",
                state.first
            );
            self.assembler = Assembler::default();
            (self.read, self.refilling) = (state.first - 1, true);
            self.states.clear();
            self.claim = None;
        }
        Ok(())
    }

    /// Goes back to what is in the copy, after it could not be written.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn rewind(&mut self) -> Result<(), EngineError> {
        self.assembler = Assembler::default();
        self.read = self.copy.place()?;
        self.states = self.copy.states()?;
        self.claim = self.copy.claim()?;
        Ok(())
    }

    /// Takes the next message of the stream.
    ///
    /// # Errors
    /// If it is not the next one, cannot be understood, or the copy cannot be written: [`rewind`](Self::rewind) then.
    pub(super) fn take(&mut self, message: &Message) -> Result<Step, StoreError> {
        let number = message.number;
        if number <= self.read {
            return Ok(Step::Other);
        }
        if number != self.read + 1 {
            return Err(StoreError::Gone { number: self.read + 1 });
        }
        self.check_log(message)?;
        self.check_claim(number, message.headers.get(BEHIND).map(|value| value.as_str()))?;
        let record = self.assembler.add(number, &message.headers, &message.payload);
        let record = record.map_err(|why| StoreError::Unknown { number, why: why.to_string() })?;
        let step = match record {
            Some((first, record)) => self.apply(number, first, record)?,
            None => Step::Other,
        };
        self.read = number;
        if self.claim.is_none() {
            self.claim = message.headers.get(BEHIND).map(|value| value.as_str().to_owned());
        }
        Ok(step)
    }

    /// Checks that the last message that was read is the one that the stream has now under its number.
    ///
    /// # Errors
    /// If it is one of another log, or of another history of this one.
    pub(super) fn check_last(&self, message: &Message) -> Result<(), StoreError> {
        self.check_log(message)?;
        match serde_json::from_slice(&message.payload) {
            Ok(Record::Lead { claim, .. }) => self.check_claim(message.number, Some(&claim)),
            _ => {
                let behind = message.headers.get(BEHIND).map(|value| value.as_str());
                self.check_claim(message.number, behind)
            }
        }
    }

    fn check_claim(&self, number: u64, behind: Option<&str>) -> Result<(), StoreError> {
        match (&self.claim, behind) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(StoreError::Diverged { number }),
            _ => Ok(()),
        }
    }

    /// Checks that a message is one of this copy's log.
    ///
    /// # Errors
    /// If it is one of another log.
    fn check_log(&self, message: &Message) -> Result<(), StoreError> {
        match (&self.log, log_of(&message.headers)) {
            (Some(ours), Some(theirs)) if *ours != theirs => {
                Err(StoreError::Other { ours: ours.clone(), theirs })
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, number: u64, first: u64, record: Record<'_>) -> Result<Step, StoreError> {
        if self.refilling && !matches!(record, Record::State(_)) {
            return Err(StoreError::NoState { number });
        }
        match record {
            Record::Lead { gateway, claim, log } => {
                let (gateway, claim) = (gateway.into_owned(), claim.into_owned());
                self.note_claim(number, &log, &claim)?;
                return Ok(Step::Leads { gateway, claim });
            }
            Record::Here { .. } => self.copy.note_place(number)?,
            Record::Leave { .. } => {
                self.copy.note_place(number)?;
                return Ok(Step::Left);
            }
            Record::Commit(commit) => self.copy.commit_at(&commit, number)?,
            Record::Retain { before_ms, max_bytes, limit } => {
                let retention = Retention { before_ms, max_bytes };
                while self.copy.retain(retention, limit)?.1 {}
                self.copy.note_place(number)?;
            }
            Record::Purge { client } => {
                self.copy.purge(&client)?;
                self.copy.note_place(number)?;
            }
            Record::State(state) => {
                if self.refilling {
                    self.copy.refill(&state, number)?;
                    (self.refilling, self.log) = (false, Some(state.name.clone()));
                }
                self.note_state(StatePlace { place: first, next: state.next }, number)?;
            }
        }
        Ok(Step::Other)
    }

    /// Appends a record behind what was read. Returns the numbers of its first and its last message.
    ///
    /// # Errors
    /// If others were quicker, or nobody says: it may be in the stream as a whole or in part.
    pub(super) async fn append(
        &mut self,
        record: &Record<'_>,
        id: &str,
    ) -> Result<(u64, u64), Unappended> {
        let log = match record {
            Record::Lead { log, .. } => log.clone(),
            _ => self.log.clone().unwrap_or_default(),
        };
        let first = self.read + 1;
        let mut last = self.read;
        for (mut headers, payload) in record.messages(id, self.stream.max_payload()) {
            headers.insert(LOG, log.to_string());
            if let Some(claim) = &self.claim {
                headers.insert(BEHIND, claim.as_str());
            }
            // After an error all of them are read again.
            last = self.stream.append(last, headers, payload).await?;
        }
        self.assembler = Assembler::default();
        self.read = last;
        Ok((first, last))
    }

    /// Returns the log's identity: that of the stream, else a new one.
    pub(super) fn name(&self) -> LogName {
        self.log.clone().unwrap_or_else(|| LogName { id: super::random(), generation: 1 })
    }

    /// Notes a claim to lead that is in the stream.
    ///
    /// # Errors
    /// If the copy cannot be written.
    pub(super) fn note_claim(
        &mut self,
        number: u64,
        log: &LogName,
        claim: &str,
    ) -> Result<(), EngineError> {
        self.copy.note_claim(number, log, claim)?;
        (self.log, self.claim) = (Some(log.clone()), Some(claim.to_owned()));
        Ok(())
    }

    /// Notes a full state that was appended: with its last message `number`.
    ///
    /// # Errors
    /// If the copy cannot be written.
    pub(super) fn note_state(&mut self, state: StatePlace, number: u64) -> Result<(), EngineError> {
        self.states.push(state);
        self.copy.note_states(&self.states, number)
    }
}

/// Returns the identity of the log that a message is of, if it says so.
fn log_of(headers: &HeaderMap) -> Option<LogName> {
    let (id, generation) = headers.get(LOG)?.as_str().rsplit_once('.')?;
    Some(LogName { id: id.to_owned(), generation: generation.parse().ok()? })
}

//! A gateway that stands by.

use std::borrow::Cow;
use std::pin::pin;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use super::election::{BEAT, Election};
use super::follower::{Follower, Step};
use super::record::{Beat, Presence, Record};
use super::stream::{About, Unappended};
use super::{Fellows, Leader, Store, StoreError, Way, random};
use crate::log::sqlite::Sqlite;

/// Pause before a store that does not answer is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// Interval at which a gateway says that it stands by.
pub(super) const PRESENCE: Duration = Duration::from_secs(2);

/// The greatest rank of a gateway: see [`Election::new`].
const RANKS_MS: u64 = 800;

/// What a gateway that stands by knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It reads what the stream has and its copy has not: this many messages.
    Reading(u64),
    /// This gateway leads, another one.
    Following(String),
    /// Nobody leads, as far as it knows.
    Waiting,
    /// The store does not answer, for this reason. It waits.
    Deaf(String),
    /// It leads.
    Leading,
}

/// Passes on what is new.
struct Reports<R> {
    last: Option<Standing>,
    report: R,
}

impl<R: FnMut(Standing)> Reports<R> {
    fn note(&mut self, standing: Standing) {
        if self.last.as_ref() != Some(&standing) {
            (self.report)(standing.clone());
            self.last = Some(standing);
        }
    }
}

/// See [`Store::stand_by`].
pub(super) async fn stand_by(
    store: &Store,
    copy: Sqlite,
    report: impl FnMut(Standing) + Send + 'static,
) -> Result<Leader, StoreError> {
    let (stream, gateway, way) = (store.stream.clone(), store.gateway.clone(), store.way.clone());
    let fellows = store.fellows();
    // Ends the work on the other threads when whoever waits goes away.
    let (alive, gone) = mpsc::channel::<()>(1);
    let standing = async move {
        let follower = Follower::new(stream, copy)?;
        let reports = Reports { last: None, report };
        let mut standby = Standby::new(follower, gateway, (way, fellows), reports);
        let mut gone = gone;
        tokio::select! {
            led = standby.run() => led?,
            _ = gone.recv() => return Err(StoreError::Ended),
        }
        Ok((standby.follower, standby.claim, standby.gateway))
    };
    let (follower, claim, gateway) = store.runtime.run(standing).await?;
    drop(alive);
    Ok(Leader::start(follower, claim, gateway, store.runtime.clone(), store.fellows()))
}

struct Standby<R> {
    follower: Follower,
    gateway: String,
    claim: String,
    reports: Reports<R>,
    began: Instant,
    election: Election,
    leader: Heard,
    /// Connections to the store that were made when silence was looked at last.
    connects: u64,
    /// The way to the leader, for whoever passes connections on to it.
    way: watch::Sender<Option<Way>>,
    fellows: Fellows,
    /// The leader was given more time since it was heard last. Once: a store may be slow for ever.
    postponed: bool,
}

/// The gateway whose words count.
enum Heard {
    /// Whichever says that it leads.
    Any,
    /// The one with this claim.
    Claim(String),
    /// None: it has left.
    Nobody,
}

impl Heard {
    fn counts(&self, beat: &Beat) -> bool {
        match self {
            Self::Any => true,
            Self::Claim(claim) => *claim == beat.claim,
            Self::Nobody => false,
        }
    }
}

/// The reason why one round of following has ended.
enum Over {
    /// This gateway leads.
    Leads,
    /// The stream has what was not heard of.
    Behind,
    /// The store does not answer.
    Failed(StoreError),
}

impl<R: FnMut(Standing)> Standby<R> {
    fn new(
        follower: Follower,
        gateway: String,
        (way, fellows): (watch::Sender<Option<Way>>, Fellows),
        reports: Reports<R>,
    ) -> Self {
        let claim = random();
        let rank = u64::from_str_radix(&claim, 16).unwrap_or_default() % RANKS_MS;
        let election = Election::new(Duration::ZERO, Duration::from_millis(rank));
        let (began, leader) = (Instant::now(), Heard::Any);
        let connects = follower.stream.connects();
        Self {
            follower,
            gateway,
            claim,
            reports,
            began,
            election,
            leader,
            connects,
            way,
            fellows,
            postponed: false,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Runs until this gateway leads.
    async fn run(&mut self) -> Result<(), StoreError> {
        loop {
            let failed = match self.follow().await? {
                Over::Leads => {
                    self.reports.note(Standing::Leading);
                    return Ok(());
                }
                Over::Behind => continue,
                Over::Failed(why) => why,
            };
            self.reports.note(Standing::Deaf(failed.to_string()));
            sleep(AGAIN).await;
            let now = self.now();
            self.election.deaf(now);
        }
    }

    /// Follows the stream as long as the store answers.
    async fn follow(&mut self) -> Result<Over, StoreError> {
        let stream = self.follower.stream.clone();
        let state = match stream.state().await {
            Ok(state) => state,
            // Whoever has started it has to make the stream: nothing gets better by itself.
            Err(error @ StoreError::NoStream { .. }) => return Err(error),
            Err(why) => return Ok(Over::Failed(why)),
        };
        if !state.faults.is_empty() {
            let name = stream.name().to_owned();
            return Err(StoreError::Unsafe { name, faults: state.faults });
        }
        self.follower.compare(&state)?;
        if state.last > self.follower.read {
            self.reports.note(Standing::Reading(state.last - self.follower.read));
        } else {
            match self.look_at_last(state.last).await {
                Err(error @ (StoreError::Other { .. } | StoreError::Diverged { .. })) => {
                    return Err(error);
                }
                Err(why) => return Ok(Over::Failed(why)),
                Ok(()) => {}
            }
        }
        let mut beats = match stream.hear(About::Leading).await {
            Ok(beats) => beats,
            Err(why) => return Ok(Over::Failed(why)),
        };
        let messages = match stream.follow(self.follower.read + 1).await {
            Ok(messages) => messages,
            Err(why) => return Ok(Over::Failed(why)),
        };
        let mut messages = pin!(messages);
        let mut presence = interval(PRESENCE);
        presence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let claim_at = self.began + self.election.claim_at();
            tokio::select! {
                message = messages.next() => match message {
                    Some(Ok(message)) => {
                        match self.follower.take(&message) {
                            Ok(step) if self.on_step(&step) => return Ok(Over::Leads),
                            Ok(_) => {}
                            // It was shortened meanwhile: the copy is filled anew.
                            Err(gone @ StoreError::Gone { .. }) => return Ok(Over::Failed(gone)),
                            Err(other) => return Err(other),
                        }
                    }
                    Some(Err(why)) => return Ok(Over::Failed(why)),
                    None => return Ok(Over::Failed(StoreError::Ended)),
                },
                beat = next_beat(&mut beats) => {
                    // One that does not lead any more, and does not know it yet, has no say.
                    if self.leader.counts(&beat) {
                        self.election.heard(self.now());
                        self.postponed = false;
                        self.fellows.compare(&beat.gateway, beat.keys.as_deref());
                        if self.follower.read >= state.last {
                            self.reports.note(Standing::Following(beat.gateway));
                        }
                        // Only what changes counts: whoever passes connections on ends them then.
                        self.way.send_if_modified(|way| {
                            let is_new = *way != beat.way;
                            *way = beat.way;
                            is_new
                        });
                    }
                }
                _ = presence.tick() => {
                    let (gateway, read) = (self.gateway.clone(), self.follower.read);
                    let presence = Presence { gateway, read, keys: self.fellows.keys() };
                    let words = serde_json::to_vec(&presence).unwrap_or_default();
                    stream.tell(About::StandingBy, words.into()).await;
                }
                () = sleep_until(claim_at.into()) => {
                    self.reports.note(Standing::Waiting);
                    if let Some(why) = self.claim().await? {
                        return Ok(why);
                    }
                }
            }
        }
    }

    /// Looks at a last message that was read before: it says whether the leader has left.
    async fn look_at_last(&mut self, last: u64) -> Result<(), StoreError> {
        if last == 0 {
            // The first of all gateways.
            self.election.left();
            return Ok(());
        }
        let message = self.follower.stream.read(last).await?;
        // It may be the message of another stream that has as many.
        self.follower.check_last(&message)?;
        if let Ok(Record::Leave { .. }) = serde_json::from_slice(&message.payload) {
            self.leave();
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.election.left();
        self.leader = Heard::Nobody;
        self.way.send_replace(None);
    }

    /// Returns true if this gateway leads.
    fn on_step(&mut self, step: &Step) -> bool {
        match step {
            Step::Leads { claim, .. } if *claim == self.claim => return true,
            Step::Leads { gateway, claim } => {
                self.election.heard(self.now());
                self.leader = Heard::Claim(claim.clone());
                // It tells its own way soon.
                self.way.send_replace(None);
                self.reports.note(Standing::Following(gateway.clone()));
            }
            Step::Left => self.leave(),
            Step::Other => {}
        }
        false
    }

    /// Claims to lead. `None`: another was quicker, or there is more to read.
    async fn claim(&mut self) -> Result<Option<Over>, StoreError> {
        // A store that does not answer has told nobody's words: a claim that reached it later would replace a leader that is
        // well.
        let asked = self.now();
        let state = self.follower.stream.state().await;
        let connects = self.follower.stream.connects();
        let was_away = connects != self.connects || self.now() > asked + BEAT;
        if state.is_ok() && was_away && !std::mem::replace(&mut self.postponed, true) {
            // It is there again: the leader has its time to say that it is, too.
            self.connects = connects;
            self.election.deaf(self.now());
            return Ok(None);
        }
        match state {
            // A NATS server that was started anew has forgotten who follows, and the library learns it by a silence of its own.
            Ok(state) if state.last > self.follower.read => {
                self.election.refused(self.now());
                return Ok(Some(Over::Behind));
            }
            Ok(_) => {}
            Err(why) => return Ok(Some(Over::Failed(why))),
        }
        let log = self.follower.name();
        let record = Record::Lead {
            gateway: Cow::Borrowed(&self.gateway),
            claim: Cow::Borrowed(&self.claim),
            log: log.clone(),
        };
        match self.follower.append(&record, &self.claim).await {
            Ok((_, number)) => {
                self.follower.note_claim(number, &log, &self.claim)?;
                Ok(Some(Over::Leads))
            }
            Err(Unappended::Behind) => {
                self.election.refused(self.now());
                Ok(None)
            }
            // It may be there: then it is read, and says so.
            Err(Unappended::Unclear(why)) => {
                self.election.refused(self.now());
                let (what, name) = ("send the claim to", self.follower.stream.name().to_owned());
                Ok(Some(Over::Failed(StoreError::Failed { what, name, why })))
            }
        }
    }
}

/// Returns the next word of a leader.
async fn next_beat(beats: &mut Subscriber) -> Beat {
    loop {
        match beats.next().await {
            Some(message) => {
                // Whatever else is said there is not meant for us.
                if let Ok(beat) = serde_json::from_slice(&message.payload) {
                    return beat;
                }
            }
            // The messages end, too, and say why.
            None => std::future::pending().await,
        }
    }
}

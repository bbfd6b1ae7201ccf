//! The records of one link.

use std::collections::VecDeque;

use pblink_server::{Cause, Layer, Report};

use super::outage::{End, Finding, Outage};
use super::report::Sample;
use crate::times::span_ms;

/// Greatest difference between two begins, in milliseconds, if they are the same outage after events were
/// lost: one is an event's time, the other the time of a look less an age.
const SAME: u64 = 1000;

/// Something with the number of the change that made it or changed it last.
#[derive(Debug, Clone)]
pub(super) struct Dated<T> {
    pub(super) revision: u64,
    pub(super) item: T,
}

/// Numbers for a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    /// That of the change.
    pub(super) revision: u64,
    /// For an outage that is new.
    pub(super) number: u64,
}

/// Outages and reports of one link.
#[derive(Debug, Clone, Default)]
pub(super) struct Link {
    client: String,
    /// Oldest first; their numbers count up.
    pub(super) outages: VecDeque<Dated<Outage>>,
    /// Oldest first.
    pub(super) samples: VecDeque<Dated<Sample>>,
    pub(super) boots: u64,
    /// Its last change.
    pub(super) revision: u64,
    /// Length of all outages that have ended, those included that are forgotten.
    pub(super) ended_ms: u64,
    /// Highest sum that was shown: a counter never falls.
    pub(super) shown_ms: u64,
    last: Option<Report>,
    /// Number of the open outage that a look has shown, and no event yet.
    looked: Option<u64>,
    /// Outages since the last report made after them. Unknown after events were lost.
    unreported: Option<u64>,
}

impl Link {
    pub(super) fn new(client: &str) -> Self {
        Self { client: client.to_owned(), ..Self::default() }
    }

    /// Takes in the begin of an outage, from an event. The number is for a new one; returns true if it was used.
    pub(super) fn on_begin(&mut self, began_ms: u64, why: (Layer, Cause), new: Numbers) -> bool {
        if let Some(same) = self.same(began_ms) {
            // Events were lost, and the link itself was asked before this one came.
            (same.item.end, same.item.layer, same.item.cause) =
                (End::Open, Some(why.0), Some(why.1));
            same.revision = new.revision;
            self.looked = None;
            return false;
        }
        if let Some(open) = self.open(began_ms) {
            open.item.end = End::Unseen;
            open.revision = new.revision;
        }
        self.push(began_ms, End::Open, Some(why), new);
        true
    }

    /// Takes in that the link is down, as it was seen after a loss of events.
    pub(super) fn on_look(&mut self, began_ms: u64, why: (Layer, Cause), new: Numbers) -> bool {
        let used = self.on_begin(began_ms, why, new);
        // Events from before the look may be on their way, and are not about this outage.
        let open = self.outages.iter().rev().find(|outage| outage.item.end == End::Open);
        self.looked = open.map(|outage| outage.item.number);
        used
    }

    /// Takes in the end of an outage of `lasted_ms`. The number is for an outage whose begin was not seen; returns
    /// true if it was used.
    pub(super) fn on_end(&mut self, at_ms: u64, lasted_ms: u64, new: Numbers) -> bool {
        let began_ms = at_ms.saturating_sub(lasted_ms);
        self.ended_ms = self.ended_ms.saturating_add(lasted_ms);
        let end = End::Reconnected(lasted_ms);
        let found = match self.same(began_ms) {
            Some(_) => self.same(began_ms),
            None => self.open(at_ms),
        };
        match found {
            Some(outage) => {
                outage.item.end = end;
                outage.revision = new.revision;
                false
            }
            None => {
                self.push(began_ms, end, None, new);
                true
            }
        }
    }

    /// Takes in that the client is there, on a server that did not know it was away.
    pub(super) fn on_connected(&mut self, at_ms: u64, revision: u64) {
        if let Some(open) = self.open(at_ms) {
            let lasted_ms = span_ms(open.item.began_ms, at_ms);
            open.item.end = End::Reconnected(lasted_ms);
            open.revision = revision;
            self.ended_ms = self.ended_ms.saturating_add(lasted_ms);
        }
    }

    /// Takes in a report.
    pub(super) fn on_report(&mut self, sample: Sample, revision: u64) {
        let report = sample.report;
        let last = self.last.replace(report);
        let finding = match last {
            Some(last) if report.number < last.number => {
                self.boots += 1;
                Some(Finding::Esp8266Restarted)
            }
            Some(last) if report.number > last.number && report.connects > last.connects => {
                Some(Finding::Esp8266KeptRunning)
            }
            _ => None,
        };
        // With two outages since the report before, it is unknown in which of them it booted.
        if let Some(outage) = self.outages.back_mut()
            && self.unreported == Some(1)
            && finding.is_some()
            && matches!(outage.item.end, End::Reconnected(_))
        {
            outage.item.finding = finding;
            outage.revision = revision;
        }
        // A report that was made before the outage, and waited in the board for its end, proves nothing.
        let waited =
            self.unreported.is_some() && last.is_some_and(|l| l.connects == report.connects);
        if finding.is_some() || !waited {
            self.unreported = Some(0);
        }
        self.samples.push_back(Dated { revision, item: sample });
    }

    /// Takes in that events were lost. Returns true if this changed an outage.
    pub(super) fn on_loss(&mut self, revision: u64) -> bool {
        self.unreported = None;
        self.looked = None;
        let mut changed = false;
        for outage in self.outages.iter_mut().filter(|outage| outage.item.end == End::Open) {
            outage.item.end = End::Unseen;
            outage.revision = revision;
            changed = true;
        }
        changed
    }

    /// Returns the outage that began then and is not known to have ended.
    fn same(&mut self, began_ms: u64) -> Option<&mut Dated<Outage>> {
        self.outages.iter_mut().rev().find(|outage| {
            matches!(outage.item.end, End::Open | End::Unseen)
                && outage.item.began_ms.abs_diff(began_ms) <= SAME
        })
    }

    /// Returns the open outage that an event of `at_ms` is about.
    fn open(&mut self, at_ms: u64) -> Option<&mut Dated<Outage>> {
        let looked = self.looked;
        self.outages.iter_mut().rev().find(|outage| {
            // Events come in order, so the clock does not matter; those from before a look are older than it.
            let later = looked == Some(outage.item.number) && outage.item.began_ms > at_ms;
            outage.item.end == End::Open && !later
        })
    }

    fn push(&mut self, began_ms: u64, end: End, why: Option<(Layer, Cause)>, new: Numbers) {
        let (layer, cause) = why.unzip();
        let (number, client) = (new.number, self.client.clone());
        let item = Outage { number, client, began_ms, end, layer, cause, finding: None };
        self.outages.push_back(Dated { revision: new.revision, item });
        if let Some(count) = &mut self.unreported {
            *count += 1;
        }
    }
}

//! The application's side of a session: lines that it has not read, and its tasks that wait.

use std::task::Waker;

use pblink_protocol::inband::Message;
use pblink_protocol::report::Report;
use pblink_protocol::tcp::endpoint::{self, Host, Receipt, Ticket};
use pblink_protocol::time::{Duration, Instant};

use super::Shared;
use super::inbox::{Inbox, Tag};
use crate::buffers::{KEEP, LineBytes};
use crate::event::EventKind;

/// Invalid lines that become events in each time-out; all are counted.
const INVALID_EVENTS: u8 = 8;

/// Bytes of an invalid line that an event shows.
const SHOWN: usize = 32;

/// Who waits for a line to be sent or acknowledged.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    /// Waits until the line is sent, not until it is acknowledged.
    pub(super) best_effort: bool,
    pub(super) waker: Waker,
}

/// The part of a session that looks at received lines.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) inbox: Inbox<Receipt>,
    /// The inbox's share in the sum of all inboxes, in bytes.
    pub(super) counted: usize,
    pub(super) waiters: Vec<Waiter>,
    pub(super) best_effort_waiters: usize,
    pub(super) queue_full: bool,
    pub(super) too_long: bool,
    pub(super) delivered: bool,
    /// Something was delivered since the last idle check.
    pub(super) busy: bool,
    pub(super) invalid_events: u8,
    pub(super) invalid_since: Instant,
    pub(super) write_ack_us: Option<u64>,
    pub(super) report: Option<Report>,
    /// Times that the client began anew.
    restarts: u32,
}

impl Side {
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        let at = self.waiters.iter().position(|w| w.ticket == ticket)?;
        let waiter = self.waiters.swap_remove(at);
        self.best_effort_waiters -= usize::from(waiter.best_effort);
        Some(waiter.waker)
    }

    /// Returns true while lines are in it, or someone waits.
    pub(super) fn is_in_use(&self) -> bool {
        self.inbox.len() > 0 || self.inbox.is_out() || !self.waiters.is_empty()
    }

    /// Gives back all memory, when nothing [is in use](Self::is_in_use).
    pub(super) fn give_memory_back(&mut self) {
        self.inbox.give_memory_back();
        self.waiters = Vec::new();
    }

    pub(super) fn shrink(&mut self) {
        self.inbox.shrink();
        if self.waiters.is_empty() {
            self.waiters.shrink_to(KEEP / size_of::<Waiter>());
        }
    }
}

/// Takes what the endpoint finds in received bytes.
pub(super) struct Receiver<'a> {
    pub(super) side: &'a mut Side,
    pub(super) id: &'a str,
    pub(super) shared: &'a Shared,
    pub(super) now: Instant,
    pub(super) wakes: &'a mut Vec<Waker>,
}

impl Receiver<'_> {
    fn reported(&mut self, report: Option<Report>) {
        let Some(report) = report else { return };
        self.side.report = Some(report);
        self.shared.bus.publish(EventKind::Report { id: self.id.to_owned(), report });
    }
}

impl Host<LineBytes> for Receiver<'_> {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> endpoint::Disposition {
        let (limits, side) = (&self.shared.limits, &mut *self.side);
        // The connection is as good as cut.
        if side.too_long {
            return endpoint::Disposition::Refused;
        }
        side.busy = true;
        let report = match Message::parse(text) {
            Some(Message::Report(report)) => Some(report),
            _ => None,
        };
        if report.is_some() && !limits.hold_reports {
            self.reported(report);
            return endpoint::Disposition::Taken;
        }
        // An empty queue takes any line: else one longer than the queue could never pass, and clients
        // that fill the memory of all could stop one that has nothing in it.
        let cost = side.inbox.cost() + Inbox::<Receipt>::cost_of(text);
        let fits = side.inbox.len() < limits.queue_lines
            && cost <= limits.queue_bytes
            && self.shared.inboxes.fits(side.counted, cost);
        if side.inbox.len() > 0 && !fits {
            if !std::mem::replace(&mut side.queue_full, true) {
                let id = self.id.to_owned();
                self.shared.bus.publish(EventKind::QueueFull { id });
            }
            return endpoint::Disposition::Refused;
        }
        let tag = Tag { report: report.is_some(), restarts: side.restarts };
        side.inbox.push(text, receipt, tag);
        side.delivered = true;
        self.reported(report);
        // It is acknowledged when the application has accepted it. A client may have only
        // a limited number of lines unacknowledged, so it sends no faster than they are accepted.
        endpoint::Disposition::Later
    }

    fn acked(&mut self, ticket: Ticket, _: Option<LineBytes>, took: Duration) {
        self.side.busy = true;
        self.side.write_ack_us = Some(took.as_micros());
        if let Some(waker) = self.side.remove(ticket) {
            self.wakes.push(waker);
        }
    }

    fn restarted(&mut self) {
        self.side.restarts = self.side.restarts.wrapping_add(1);
    }

    fn invalid(&mut self, line: &[u8]) {
        let side = &mut *self.side;
        if side.invalid_events >= INVALID_EVENTS {
            return;
        }
        if side.invalid_events == 0 {
            side.invalid_since = self.now;
        }
        side.invalid_events += 1;
        self.shared.bus.publish(EventKind::InvalidLine {
            id: self.id.to_owned(),
            start: line[..line.len().min(SHOWN)].escape_ascii().to_string(),
        });
    }

    fn too_long(&mut self) {
        self.side.too_long = true;
    }
}

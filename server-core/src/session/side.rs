//! The application's side of a session: lines that it has not read, and its tasks that wait.

use std::task::Waker;

use pblink_protocol::inband::Message;
use pblink_protocol::report::Report;
use pblink_protocol::tcp::endpoint::{self, Host, Receipt, Ticket};
use pblink_protocol::time::{Duration, Instant};

use super::Shared;
use super::inbox::Inbox;
use super::texts::Tag;
use super::waiters::Waiters;
use crate::buffers::{KEEP, LineBytes};
use crate::event::EventKind;

/// Invalid lines that become events in each time-out; all are counted.
const INVALID_EVENTS: u8 = 8;

/// Bytes of an invalid line that an event shows.
const SHOWN: usize = 32;

/// The part of a session that looks at received lines. `R`: what is needed to acknowledge one; `T` names one that was written.
#[derive(Debug)]
pub(crate) struct Side<R = Receipt, T = Ticket> {
    pub(crate) inbox: Inbox<R>,
    /// The inbox's share in the sum of all inboxes, in bytes.
    pub(super) counted: usize,
    pub(super) waiters: Waiters<T>,
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
    pub(super) restarts: u32,
}

impl<R, T> Default for Side<R, T> {
    fn default() -> Self {
        Self {
            inbox: Inbox::default(),
            counted: 0,
            waiters: Waiters::default(),
            queue_full: false,
            too_long: false,
            delivered: false,
            busy: false,
            invalid_events: 0,
            invalid_since: Instant::ZERO,
            write_ack_us: None,
            report: None,
            restarts: 0,
        }
    }
}

impl<R, T: Ord + Copy> Side<R, T> {
    /// Returns true if there is room for a line. The first time that there is none is an event.
    pub(super) fn has_room(&mut self, text: &str, id: &str, shared: &Shared) -> bool {
        // An empty queue takes any line: else one longer than the queue could never pass, and clients
        // that fill the memory of all could stop one that has nothing in it.
        let cost = self.inbox.cost() + Inbox::<R>::cost_of(text);
        let fits = self.inbox.len() < shared.limits.queue_lines
            && cost <= shared.limits.queue_bytes
            && shared.inboxes.fits(self.counted, cost);
        let has_room = fits || self.inbox.len() == 0;
        if !has_room {
            self.is_full(id, shared);
        }
        has_room
    }

    #[cold]
    fn is_full(&mut self, id: &str, shared: &Shared) {
        if !std::mem::replace(&mut self.queue_full, true) {
            shared.bus.publish(EventKind::QueueFull { id: id.to_owned() });
        }
    }

    /// Notes a report.
    #[cold]
    pub(super) fn reported(&mut self, report: Report, id: &str, shared: &Shared) {
        self.report = Some(report);
        shared.bus.publish(EventKind::Report { id: id.to_owned(), report });
    }

    /// Settles what the inbox counts for in the sum of all, and gives memory back that nobody needs. `idle`: nobody is connected
    /// who does so at leisure.
    pub(super) fn settle(&mut self, shared: &Shared, idle: bool) {
        let cost = self.inbox.cost();
        if cost == self.counted {
            return;
        }
        shared.inboxes.change(self.counted, cost);
        self.counted = cost;
        // One episode ends when there is room again for more than a line or two.
        if self.queue_full && self.inbox.len() <= shared.limits.queue_lines / 2 {
            self.queue_full = false;
        }
        if cost == 0 && idle {
            self.shrink();
        }
    }

    /// Returns the inbox's share in the sum of all inboxes, in bytes.
    pub(super) const fn counted(&self) -> usize {
        self.counted
    }

    /// Forgets who waits, and takes back what the application has: the session moves to another server.
    pub(super) fn park(&mut self) {
        self.waiters = Waiters::default();
        self.queue_full = false;
        self.inbox.give_all_back();
        self.counted = 0;
    }

    /// Returns true while lines are in it, or someone waits.
    pub(super) fn is_in_use(&self) -> bool {
        self.inbox.len() > 0 || self.inbox.is_out() || !self.waiters.is_empty()
    }

    /// Gives back all memory, when nothing [is in use](Self::is_in_use).
    pub(super) fn give_memory_back(&mut self) {
        self.inbox.give_memory_back();
        self.waiters = Waiters::default();
    }

    pub(super) fn shrink(&mut self) {
        self.inbox.shrink();
        self.waiters.shrink_to(KEEP);
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

impl Host<LineBytes> for Receiver<'_> {
    #[inline]
    fn deliver(&mut self, text: &str, receipt: Receipt) -> endpoint::Disposition {
        let side = &mut *self.side;
        // The connection is as good as cut.
        if side.too_long {
            return endpoint::Disposition::Refused;
        }
        side.busy = true;
        let report = match Message::parse(text) {
            Some(Message::Report(report)) => Some(report),
            _ => None,
        };
        if let Some(report) = report
            && !self.shared.limits.hold_reports
        {
            side.reported(report, self.id, self.shared);
            return endpoint::Disposition::Taken;
        }
        if !side.has_room(text, self.id, self.shared) {
            return endpoint::Disposition::Refused;
        }
        let tag = Tag { report: report.is_some(), restarts: side.restarts };
        side.inbox.push(text, receipt, tag);
        side.delivered = true;
        if let Some(report) = report {
            side.reported(report, self.id, self.shared);
        }
        // It is acknowledged when the application has accepted it. A client may have only
        // a limited number of lines unacknowledged, so it sends no faster than they are accepted.
        endpoint::Disposition::Later
    }

    fn acked(&mut self, ticket: Ticket, _: Option<LineBytes>, took: Duration) {
        self.side.busy = true;
        self.side.write_ack_us = Some(took.as_micros());
        if let Some(waker) = self.side.waiters.remove(ticket) {
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

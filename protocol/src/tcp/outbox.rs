//! The lines that an endpoint has been given and that are not acknowledged yet, in order.
//!
//! Their texts are in a [`Store`], which the owner of the endpoint chooses; what is known of each is here.
//!
//! Lines that are under way over the present connection come first, then those that an earlier one has interrupted, then those
//! that were never sent. A line of the latter two kinds is only ever sent as the first of them, so counting those under way is
//! enough to find it.

use super::line::Mid;
use super::store::{Put, Store};
use crate::delivery::Delivery;
use crate::time::{Duration, Instant};

/// The most ids that may lie between the oldest unacknowledged line and a new one. The reference's window
/// forgets an id when the one about 120 later arrives.
pub(super) const MAX_SPREAD: u8 = 100;

/// Names a written line until it is acknowledged. Counts up from 0, one for each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    ticket: Ticket,
    delivery: Delivery,
    written: Instant,
    state: State,
    /// It was acknowledged, but stays until its owner is done with it.
    acked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// Never sent; has no id yet, so that a line that is never sent uses none up.
    Queued,
    /// Sent, completely or in part, at this time.
    Sent(Mid, Instant),
    /// Sent over a connection that is gone.
    Interrupted(Mid),
    /// Acknowledged while it was being sent again; leaves when that is complete.
    Acked(Mid),
}

impl State {
    fn mid(self) -> Option<Mid> {
        match self {
            Self::Queued => None,
            Self::Sent(mid, _) | Self::Interrupted(mid) | Self::Acked(mid) => Some(mid),
        }
    }

    fn sent(self) -> Option<Instant> {
        match self {
            Self::Sent(_, at) => Some(at),
            Self::Queued | Self::Interrupted(_) | Self::Acked(_) => None,
        }
    }
}

/// A line to send now.
pub(super) enum Chosen {
    /// For the first time.
    First(Ticket),
    /// Because no acknowledgement came.
    Again(Ticket),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Outbox<S, const N: usize> {
    slots: heapless::Vec<Slot, N>,
    /// The text of each slot, in the same order.
    texts: S,
    next_mid: Mid,
    next_ticket: u64,
    /// Acknowledged lines stay, and are repeated, until the owner is done with them.
    keeps: bool,
    /// Number of the lines under way: those before the first one that is queued or interrupted. `N` is at most 100.
    under_way: u8,
    /// Their times are in their order, so that the first one is due first: false after one was repeated, until those before it
    /// have left or were repeated, too.
    in_turn: bool,
}

impl<S: Store, const N: usize> Outbox<S, N> {
    pub(super) const fn new(texts: S) -> Self {
        Self {
            slots: heapless::Vec::new(),
            texts,
            next_mid: Mid(0),
            next_ticket: 0,
            keeps: false,
            under_way: 0,
            in_turn: true,
        }
    }

    pub(super) fn set_keeps(&mut self, keeps: bool) {
        self.keeps = keeps;
    }

    /// Sets the number of the oldest line. False if that has one already.
    pub(super) fn set_first(&mut self, mid: Mid) -> bool {
        let free = self.slots.iter().all(|slot| slot.state == State::Queued);
        if free {
            self.next_mid = mid;
        }
        free
    }

    /// Returns the ticket of the next line.
    pub(super) const fn next_ticket(&self) -> Ticket {
        Ticket(self.next_ticket)
    }

    /// Goes on in the place of another that was empty.
    pub(super) fn resume(&mut self, next_mid: Mid, next_ticket: Ticket) {
        self.next_mid = next_mid;
        self.next_ticket = next_ticket.0;
    }

    /// Returns the number that the oldest line has or will have.
    pub(super) fn first(&self) -> Mid {
        self.first_after(0)
    }

    /// Returns the oldest lines that are acknowledged and not done, in order.
    pub(super) fn acked_oldest(&self) -> impl Iterator<Item = Ticket> + '_ {
        let left = self.slots.iter().filter(|slot| !matches!(slot.state, State::Acked(_)));
        left.take_while(|slot| slot.acked).map(|slot| slot.ticket)
    }

    /// Returns the number that will be the oldest line's once the `acked` oldest are done.
    pub(super) fn first_after(&self, acked: usize) -> Mid {
        let mut left = self.slots.iter().filter(|slot| !matches!(slot.state, State::Acked(_)));
        left.nth(acked).and_then(|slot| slot.state.mid()).unwrap_or(self.next_mid)
    }

    /// Returns true for a line that is repeated until it is acknowledged. One that is lost with number 0
    /// would let those behind it be taken for lines of the run before.
    fn is_guaranteed(&self, slot: &Slot) -> bool {
        self.keeps || slot.delivery.is_guaranteed() || slot.state.mid() == Some(Mid(0))
    }

    pub(super) fn texts(&self) -> &S {
        &self.texts
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn push<T>(&mut self, now: Instant, line: T, delivery: Delivery) -> Result<Ticket, T>
    where
        S: Put<T>,
    {
        if self.slots.is_full() {
            return Err(line);
        }
        self.texts.put(line)?;
        let ticket = Ticket(self.next_ticket);
        // There is room.
        let _ = self.slots.push(Slot {
            ticket,
            delivery,
            written: now,
            state: State::Queued,
            acked: false,
        });
        self.next_ticket += 1;
        Ok(ticket)
    }

    fn find(&self, ticket: Ticket) -> Option<usize> {
        // Tickets are in order, since slots only ever leave: a line is as far from the first as its ticket, or nearer.
        let slots = self.slots.as_slice();
        let ahead = ticket.0.checked_sub(slots.first()?.ticket.0)?;
        let mut at = ahead.min(slots.len() as u64 - 1) as usize;
        while slots[at].ticket > ticket {
            at -= 1;
        }
        (slots[at].ticket == ticket).then_some(at)
    }

    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.find(ticket).is_some_and(|at| !matches!(self.slots[at].state, State::Acked(_)))
    }

    fn remove(&mut self, at: usize) -> S::Line {
        self.slots.remove(at);
        if at < usize::from(self.under_way) {
            self.under_way -= 1;
            self.update_turn();
        }
        self.texts.remove(at)
    }

    /// Notes that bytes of the line `at`, which is under way, were sent just now.
    fn sent(&mut self, at: usize, mid: Mid, now: Instant) {
        let slots = self.slots.as_mut_slice();
        slots[at].state = State::Sent(mid, now);
        let before = slots[..at].iter().rev().find_map(|slot| slot.state.sent());
        let last = at + 1 == usize::from(self.under_way);
        self.in_turn &= last && before.is_none_or(|before| before <= now);
        self.update_turn();
    }

    /// Looks for lines out of turn again after one has changed or left: it may have been the only one.
    fn update_turn(&mut self) {
        if !self.in_turn {
            self.look_for_turn();
        }
    }

    #[cold]
    fn look_for_turn(&mut self) {
        let mut before = Instant::ZERO;
        let mut in_turn = true;
        for sent in
            self.slots[..usize::from(self.under_way)].iter().filter_map(|slot| slot.state.sent())
        {
            in_turn &= before <= sent;
            before = sent;
        }
        self.in_turn = in_turn;
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) -> Option<S::Line> {
        let at = self.find(ticket)?;
        (self.slots[at].state == State::Queued).then(|| self.remove(at))
    }

    /// Notes that the connection is gone: what was sent goes out again; what needs no acknowledgement
    /// is done.
    pub(super) fn interrupted(&mut self) {
        self.under_way = 0;
        self.in_turn = true;
        // From the end, so that what leaves moves none that is still to be looked at.
        for at in (0..self.slots.len()).rev() {
            let guaranteed = self.is_guaranteed(&self.slots[at]);
            let slot = &mut self.slots[at];
            let stays = match slot.state {
                State::Queued => true,
                State::Acked(_) => false,
                State::Sent(mid, _) | State::Interrupted(mid) => {
                    slot.state = State::Interrupted(mid);
                    guaranteed
                }
            };
            if !stays {
                self.remove(at);
            }
        }
    }

    /// Takes the acknowledged line out. One that is just being sent again (`sending`) stays without
    /// its owner noticing until the last byte is out, since half a line would spoil the next.
    pub(super) fn acked(
        &mut self,
        mid: Mid,
        sending: Option<Ticket>,
        now: Instant,
    ) -> Option<(Ticket, Option<S::Line>, Duration)> {
        let at = self.slots.iter().position(|s| match s.state {
            State::Sent(m, _) | State::Interrupted(m) => m == mid,
            State::Queued | State::Acked(_) => false,
        })?;
        let slot = &mut self.slots[at];
        let (ticket, took) = (slot.ticket, now.since(slot.written));
        if self.keeps {
            let again = core::mem::replace(&mut slot.acked, true);
            return (!again).then_some((ticket, None, took));
        }
        if sending == Some(ticket) {
            slot.state = State::Acked(mid);
            self.update_turn();
            return Some((ticket, None, took));
        }
        Some((ticket, Some(self.remove(at)), took))
    }

    /// Takes the oldest line out, if it is this one and acknowledged. One that is just being sent again
    /// (`sending`) is no longer counted, but stays until its last byte is out.
    pub(super) fn done(&mut self, ticket: Ticket, sending: Option<Ticket>) -> bool {
        let oldest = self.slots.iter().position(|s| !matches!(s.state, State::Acked(_)));
        let Some(at) = oldest else { return false };
        let slot = &mut self.slots[at];
        if slot.ticket != ticket || !slot.acked {
            return false;
        }
        match slot.state {
            State::Sent(mid, _) if sending == Some(ticket) => {
                slot.state = State::Acked(mid);
                self.update_turn();
            }
            _ => drop(self.remove(at)),
        }
        true
    }

    /// Returns the line to send now, if there is one. It counts as sent from here on.
    pub(super) fn choose(&mut self, now: Instant, timeout: Duration) -> Option<Chosen> {
        let (at, due) = self.candidate(timeout)?;
        if due > now {
            return None;
        }
        let Slot { ticket, state, .. } = &self.slots[at];
        let (ticket, number) = (*ticket, state.mid());
        let mid = number.unwrap_or(self.next_mid);
        self.under_way += u8::from(at == usize::from(self.under_way));
        self.sent(at, mid, now);
        if number.is_none() {
            self.next_mid = mid.next();
            Some(Chosen::First(ticket))
        } else {
            Some(Chosen::Again(ticket))
        }
    }

    /// Time at which a line is to be sent; in the past if one is waiting.
    pub(super) fn due(&self, now: Instant, timeout: Duration) -> Option<Instant> {
        self.candidate(timeout).map(|(_, due)| due.max(now))
    }

    /// Returns the line that is to be sent next, and when. Lines leave in the order in which they were
    /// written; repetitions go first.
    fn candidate(&self, timeout: Duration) -> Option<(usize, Instant)> {
        let slots = self.slots.as_slice();
        // Most often, on a board.
        if slots.is_empty() {
            return None;
        }
        let next = usize::from(self.under_way);
        let waiting = slots.get(next);
        if waiting.is_some_and(|slot| slot.state != State::Queued) {
            return Some((next, Instant::ZERO));
        }
        let ordered = waiting.is_some_and(|slot| slot.delivery.is_ordered());
        let mut earliest: Option<(usize, Instant)> = None;
        let mut oldest: Option<Mid> = None;
        let mut unacked = false;
        for (at, slot) in slots[..next].iter().enumerate() {
            let State::Sent(mid, sent) = slot.state else { continue };
            // A best-effort line that is sent is only here until its last byte is copied.
            if !self.is_guaranteed(slot) {
                continue;
            }
            // The peer has an acknowledged line, so that those behind it come in order, whenever the owner is
            // done with it.
            unacked |= !slot.acked;
            oldest = oldest.or(Some(mid));
            let due = sent + timeout;
            if earliest.is_none_or(|(_, e)| due < e) {
                earliest = Some((at, due));
            }
            // Those behind it change nothing.
            if self.in_turn && (unacked || !ordered) {
                break;
            }
        }
        let Some(slot) = waiting else { return earliest };
        let spread = oldest.is_some_and(|o| distance(o, self.next_mid) >= MAX_SPREAD);
        // A receiver takes id 0 for a restart once it has seen others, so nothing follows it while it may
        // have to be repeated.
        let first = oldest == Some(Mid(0));
        if ordered && unacked || spread || first {
            return earliest;
        }
        earliest.filter(|&(_, due)| due <= slot.written).or(Some((next, slot.written)))
    }

    /// Copies the bytes of a line (id, text, newline) from `from` on into `out`.
    pub(super) fn copy(&self, ticket: Ticket, from: usize, out: &mut [u8]) -> usize {
        let Some((mid, text)) = self.bytes(ticket) else {
            return 0;
        };
        let digits = mid.digits();
        let mut used = 0;
        let mut skip = from;
        for part in [&digits[..], text, b"\n"] {
            let skipped = skip.min(part.len());
            skip -= skipped;
            let n = (part.len() - skipped).min(out.len() - used);
            out[used..used + n].copy_from_slice(&part[skipped..skipped + n]);
            used += n;
        }
        used
    }

    /// Returns true if `sent` bytes are the whole line.
    pub(super) fn is_complete(&self, ticket: Ticket, sent: usize) -> bool {
        self.bytes(ticket).is_none_or(|(_, text)| sent >= text.len() + 3)
    }

    fn bytes(&self, ticket: Ticket) -> Option<(Mid, &[u8])> {
        let at = self.find(ticket)?;
        Some((self.slots[at].state.mid()?, self.texts.text(at)))
    }

    /// Notes that all bytes of a line are on their way. The time for its acknowledgement starts now.
    pub(super) fn completed(&mut self, ticket: Ticket, now: Instant) {
        let Some(at) = self.find(ticket) else { return };
        let slot = &self.slots[at];
        match slot.state {
            // Mostly its first byte was sent at the same time.
            State::Sent(mid, sent) if self.is_guaranteed(slot) => {
                if sent != now {
                    self.sent(at, mid, now);
                }
            }
            State::Acked(_) | State::Sent(..) => drop(self.remove(at)),
            State::Queued | State::Interrupted(_) => {}
        }
    }
}

/// Returns the number of ids from `from` to `to`.
fn distance(from: Mid, to: Mid) -> u8 {
    let place = |m: Mid| u16::from(m.0) % 255;
    ((place(to) + 255 - place(from)) % 255) as u8
}

#[cfg(test)]
mod tests;

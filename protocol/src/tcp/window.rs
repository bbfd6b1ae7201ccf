//! The messages that have been received already.
//!
//! The wire has 8-bit ids and no epoch: an id comes again after 255 messages, and a sender that
//! restarts begins again at 0. The reference keeps one bit for each id and clears them 128 ids ahead,
//! eight at a time; it drops fresh messages when a run of ids was lost, and delivers twice when the
//! acknowledgement of id 0 is lost. This window does better with the same wire:
//!
//! - it moves as one piece, so ids that never arrived are cleared too;
//! - it remembers a fingerprint of each text. A repetition has *the same bytes*, by the rules of the
//!   wire; the same id with another text is therefore a new message of a sender that has restarted.
//!
//! `docs/PROTOCOL.md` lists the cases that remain undecidable.

mod encoding;
mod print;

pub use encoding::BadWindow;
pub use print::{Print, fingerprint, murmur3};

use super::line::Mid;
use super::mid_set::MidSet;

/// A receiver's verdict on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Seen for the first time.
    New,
    /// A repetition of one that was delivered.
    Duplicate,
    /// Seen for the first time, and the sender has restarted: what was remembered of it is void.
    Restarted,
}

/// The window of one sender. Fixed size, about 1.1 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// Of the numbers in `seen`; 0 for all others.
    fingerprints: [u32; 256],
    seen: MidSet,
    /// The newest id, if anything was received in this epoch.
    newest: Option<Mid>,
    /// Ids that came over the present connection. A sender restarts only between connections, so they
    /// belong to its present run whenever a restart is recognised.
    local: MidSet,
    /// This epoch was recognised by its texts before its id 0 came, over the present connection.
    awaiting_zero: bool,
    /// Messages other than id 0 in this epoch: once there were some, id 0 means a restart.
    others: bool,
}

/// An id up to this far ahead of the newest is newer; any other is older.
const AHEAD: u8 = 127;

impl Window {
    /// Makes a window that has seen nothing.
    pub const fn new() -> Self {
        Self {
            fingerprints: [0; 256],
            seen: MidSet::EMPTY,
            newest: None,
            local: MidSet::EMPTY,
            awaiting_zero: false,
            others: false,
        }
    }

    /// Notes a new connection: what comes by it may be from a sender that has restarted.
    pub fn reconnected(&mut self) {
        self.local = MidSet::EMPTY;
        self.awaiting_zero = false;
    }

    /// Returns the verdict on a message without remembering it: see [`accept`](Self::accept).
    pub fn judge(&self, mid: Mid, print: Print<'_>) -> Verdict {
        let repeated = self.contains(mid) && print.is(self.fingerprint(mid));
        if mid.0 == 0 {
            return if self.newest.is_none() || self.awaiting_zero {
                Verdict::New
            } else if repeated && (self.local.contains(mid) || !self.others) {
                // A sender cannot restart without a new connection. Over a new one, a single line
                // that is repeated is taken for a repetition rather than for a restart.
                Verdict::Duplicate
            } else {
                Verdict::Restarted
            };
        }
        match (self.contains(mid), repeated) {
            (true, true) => Verdict::Duplicate,
            (true, false) => Verdict::Restarted,
            (false, _) => Verdict::New,
        }
    }

    /// Remembers that a duplicate came: id 0 belongs to the sender of the present connection then, so
    /// that repeating it once more is not a restart, whatever came in between.
    pub fn repeated(&mut self, mid: Mid) {
        if mid.0 == 0 {
            self.local.insert(mid);
        }
    }

    /// Remembers a message that was delivered.
    pub fn accept(&mut self, mid: Mid, print: Print<'_>) {
        if self.judge(mid, print) == Verdict::Restarted {
            self.restart(mid);
        }
        self.insert(mid, print);
    }

    /// Remembers a message that was judged and delivered; at [`Verdict::Restarted`] what was before it is
    /// [forgotten](Self::restart) already.
    #[inline]
    pub(super) fn insert(&mut self, mid: Mid, print: Print<'_>) {
        if mid.0 == 0 {
            self.awaiting_zero = false;
            self.newest.get_or_insert(mid);
        } else {
            self.others = true;
            self.advance(mid);
        }
        self.seen.insert(mid);
        self.local.insert(mid);
        self.fingerprints[usize::from(mid.0)] = print.remembered();
    }

    /// Notes that the sender has restarted, as `mid` shows: forgets all but what it sent since.
    pub(crate) fn restart(&mut self, mid: Mid) {
        if self.local.contains(mid) {
            // Another text with the same id over one connection is not a restart but nonsense.
            self.local = MidSet::EMPTY;
        }
        for mid in self.seen.iter().filter(|&mid| !self.local.contains(mid)) {
            self.fingerprints[usize::from(mid.0)] = 0;
        }
        self.seen = self.local;
        // The ids of a run that has just begun have not gone round.
        self.newest = self.seen.highest();
        self.others = self.newest.is_some_and(|newest| newest.0 != 0);
        self.awaiting_zero = mid.0 != 0 && !self.contains(Mid(0));
    }

    /// Returns what came over the present connection and belongs to the present run of the sender.
    pub(super) const fn local(&self) -> &MidSet {
        &self.local
    }

    /// Returns true if nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn contains(&self, mid: Mid) -> bool {
        self.seen.contains(mid)
    }

    fn fingerprint(&self, mid: Mid) -> u32 {
        self.fingerprints[usize::from(mid.0)]
    }

    /// Moves the window so that `mid` is in it, and clears what it leaves behind.
    fn advance(&mut self, mid: Mid) {
        let Some(newest) = self.newest else {
            self.newest = Some(mid);
            return;
        };
        let ahead = match place(mid).overflowing_sub(place(newest)) {
            (ahead, false) => ahead,
            (ahead, true) => ahead.wrapping_sub(1),
        };
        if ahead == 0 || ahead > AHEAD {
            return;
        }
        // What falls out at the far end is forgotten, whether it was ever received or not: the ids in
        // front of the window are therefore always clear.
        let mut far = match place(newest).checked_add(AHEAD) {
            Some(far) => Mid(far),
            // Past 255 and the 0 that is in the same place.
            None => Mid(place(newest) - (255 - AHEAD)),
        };
        for _ in 0..ahead {
            far = far.next();
            self.seen.remove(far);
            self.local.remove(far);
            self.fingerprints[usize::from(far.0)] = 0;
        }
        self.newest = Some(mid);
    }
}

/// Returns the place of an id in the circle of 255 that ids go round in: 0 stands before 1, in the place of 255.
const fn place(mid: Mid) -> u8 {
    if mid.0 == 255 { 0 } else { mid.0 }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_0_that_was_a_duplicate_stays_one_after_other_messages() {
        let (first, second) = (Print::of(b"first"), Print::of(b"second"));
        let mut window = Window::new();
        window.accept(Mid(0), first);
        window.reconnected();
        assert_eq!(window.judge(Mid(0), first), Verdict::Duplicate);
        window.repeated(Mid(0));
        window.accept(Mid(1), second);
        // The acknowledgement was late, and the client repeats 00 over the same connection.
        assert_eq!(window.judge(Mid(0), first), Verdict::Duplicate);
        window.reconnected();
        assert_eq!(window.judge(Mid(0), first), Verdict::Restarted);
    }
}

//! The sending of lines: in order, a few ahead of what has come, and again from there when nothing is heard of them.

use super::super::frame::{Data, Frame, Piece};
use crate::fifo::Fifo;
use crate::time::{Duration, Instant};

/// The most lines that are sent ahead of what has come.
pub const MAX_WINDOW: usize = 8;

/// The time-out before a round trip was measured.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);
const MIN_TIMEOUT: Duration = Duration::from_millis(500);
const MAX_TIMEOUT: Duration = Duration::from_secs(8);

/// The lines that one end has for the other, in the order of their numbers.
pub trait Lines {
    /// Returns the first line with a number above `after`.
    fn after(&self, after: u64) -> Option<Outgoing<'_>>;
}

/// A line for the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Outgoing<'a> {
    /// Its number, from 1.
    pub seq: u64,
    /// The number of the one before it that is still there; 0 for the oldest.
    pub prev: u64,
    /// Its text.
    pub text: &'a [u8],
    /// When it was written, by the clock of this end.
    pub written: Instant,
}

/// Sender of one session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct Sender {
    /// The last line that the other end has.
    received: u64,
    /// The last line that is sent, all of it.
    sent: u64,
    /// Lines above `received` that are sent, and when.
    flight: Fifo<InFlight, MAX_WINDOW>,
    /// A line of which only the beginning is sent.
    part: Option<Part>,
    credit: u8,
    /// Measured round trip, smoothed.
    round_trip: Option<Duration>,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct InFlight {
    seq: u64,
    sent: Instant,
    /// It was sent before, so that nobody knows which of its sendings is answered.
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Part {
    seq: u64,
    bytes: usize,
}

impl Sender {
    pub(in super::super) const fn new() -> Self {
        Self {
            received: 0,
            sent: 0,
            flight: Fifo::new(),
            part: None,
            credit: 1,
            round_trip: None,
            timeout: FIRST_TIMEOUT,
        }
    }

    /// Begins anew behind this line, over a path of which nothing is known.
    pub(in super::super) fn resume(&mut self, received: u64) {
        self.received = received;
        self.sent = self.sent.max(received);
        self.go_back();
        self.round_trip = None;
        self.timeout = FIRST_TIMEOUT;
    }

    /// Sends again, from the first line that has not come.
    pub(in super::super) fn go_back(&mut self) {
        self.flight.clear();
        self.part = None;
    }

    /// Takes what the other end says of itself. Returns the last line that it has: no program can have one that was never sent.
    pub(in super::super) fn on_progress(&mut self, now: Instant, received: u64, credit: u8) -> u64 {
        self.credit = credit;
        let received = received.min(self.sent);
        if received <= self.received {
            return self.received;
        }
        self.received = received;
        while let Some(first) = self.flight.front()
            && first.seq <= received
        {
            if !first.again {
                let sample = now.since(first.sent);
                let smooth = |old: Duration| (old.times(7) + sample).part(8);
                self.round_trip = Some(self.round_trip.map_or(sample, smooth));
            }
            self.flight.pop();
        }
        self.part = self.part.filter(|part| part.seq > received);
        let timeout = self.round_trip.map_or(FIRST_TIMEOUT, |time| time.times(3));
        self.timeout = timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT);
        received
    }

    /// Returns the time at which it is known that the oldest line in flight has not come.
    pub(in super::super) fn timeout_at(&self) -> Option<Instant> {
        self.flight.front().map(|first| first.sent + self.timeout)
    }

    /// Goes back if that time has come.
    pub(in super::super) fn poll(&mut self, now: Instant) {
        if self.timeout_at().is_some_and(|at| now >= at) {
            self.go_back();
            self.timeout = self.timeout.times(2).min(MAX_TIMEOUT);
        }
    }

    /// Writes the next frame with a line or a piece of one into `out`, and returns its length and, if that was the end of a
    /// line, the line's number. `None`: there is nothing to send now, or no room for a piece.
    pub(in super::super) fn frame(
        &mut self,
        now: Instant,
        window: u8,
        lines: &impl Lines,
        out: &mut [u8],
    ) -> Option<(usize, Option<u64>)> {
        // A line may have gone while it was on its way: what was sent of it stays unfinished.
        let begun = self.part.and_then(|part| Some((part, lines.after(part.seq - 1)?)));
        let (part, line) = match begun.filter(|(part, line)| part.seq == line.seq) {
            Some(begun) => begun,
            None => {
                self.part = None;
                if self.flight.len() >= usize::from(self.credit.min(window)).min(MAX_WINDOW) {
                    return None;
                }
                let last = self.flight.back().map_or(self.received, |last| last.seq);
                let line = lines.after(last)?;
                (Part { seq: line.seq, bytes: 0 }, line)
            }
        };
        let rest = line.text.get(part.bytes..)?;
        let offset = u16::try_from(part.bytes).ok()?;
        let data = |bytes, more| Data {
            seq: line.seq,
            prev: line.prev,
            piece: Piece { offset, more },
            age_ms: now.since(line.written).as_millis(),
            bytes,
        };
        // The frame without its bytes says how much room is left for them.
        let around = Frame::Data(data(&[], true)).encode(out)?;
        let n = rest.len().min(out.len() - around).min(u8::MAX.into());
        if n == 0 && !rest.is_empty() {
            return None;
        }
        let more = n < rest.len();
        let len = Frame::Data(data(&rest[..n], more)).encode(out)?;
        if more {
            self.part = Some(Part { bytes: part.bytes + n, ..part });
            return Some((len, None));
        }
        self.part = None;
        let again = line.seq <= self.sent;
        self.sent = self.sent.max(line.seq);
        // There is room: the window is no greater.
        let _ = self.flight.push(InFlight { seq: line.seq, sent: now, again });
        Some((len, Some(line.seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short lines, as many as there are numbers.
    struct Endless;

    impl Lines for Endless {
        fn after(&self, after: u64) -> Option<Outgoing<'_>> {
            let written = Instant::ZERO;
            Some(Outgoing { seq: after + 1, prev: after, text: b"x", written })
        }
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Sends all that may be sent, and returns how many lines that were.
    fn send(sender: &mut Sender, now: Instant, window: u8) -> usize {
        let mut out = [0; 100];
        core::iter::from_fn(|| sender.frame(now, window, &Endless, &mut out)).count()
    }

    #[test]
    fn no_more_is_in_flight_than_window_and_credit_allow() {
        let mut sender = Sender::new();
        assert_eq!(send(&mut sender, at(0), 8), 1, "before anything is heard");
        sender.on_progress(at(10), 1, 5);
        assert_eq!((send(&mut sender, at(10), 8), send(&mut sender, at(10), 8)), (5, 0));
        sender.on_progress(at(20), 6, 200);
        assert_eq!(send(&mut sender, at(20), 2), 2);
        assert_eq!(send(&mut sender, at(20), 200), MAX_WINDOW - 2);
    }

    #[test]
    fn the_time_out_follows_the_round_trip_and_doubles_until_something_comes() {
        let mut sender = Sender::new();
        send(&mut sender, at(0), 8);
        assert_eq!(sender.timeout_at(), Some(at(2000)));
        sender.poll(at(2000));
        assert_eq!(send(&mut sender, at(2000), 8), 1, "again");
        assert_eq!(sender.timeout_at(), Some(at(6000)));
        // Nobody knows which of the two this answers.
        sender.on_progress(at(2001), 1, 8);
        send(&mut sender, at(3000), 1);
        assert_eq!(sender.timeout_at(), Some(at(5000)));
        sender.on_progress(at(3400), 2, 8);
        send(&mut sender, at(4000), 1);
        assert_eq!(sender.timeout_at(), Some(at(5200)));
        let mut now = 4000;
        let mut answer_after = |sender: &mut Sender, round_trip| {
            now += round_trip;
            sender.on_progress(at(now), sender.sent, 8);
            send(sender, at(now), 1);
            sender.timeout_at().map(|time| time.since(at(now)).as_millis())
        };
        // An eighth of what was measured last.
        assert_eq!(answer_after(&mut sender, 1), Some(1050));
        assert_eq!(answer_after(&mut sender, 8000), Some(3919));
        for _ in 0..50 {
            answer_after(&mut sender, 1);
        }
        assert_eq!(answer_after(&mut sender, 1), Some(500));
        for _ in 0..50 {
            answer_after(&mut sender, 10_000);
        }
        assert_eq!(answer_after(&mut sender, 10_000), Some(8000));
    }

    #[test]
    fn what_was_never_sent_has_not_come() {
        let mut sender = Sender::new();
        assert_eq!(sender.on_progress(at(0), u64::MAX, 8), 0);
        send(&mut sender, at(0), 8);
        assert_eq!(sender.on_progress(at(1), u64::MAX, 8), 8);
        // Numbers that were received before this process.
        sender.resume(100);
        assert_eq!(sender.on_progress(at(2), 100, 8), 100);
    }
}

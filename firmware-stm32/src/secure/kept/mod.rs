//! The memory of a secure link that survives a reset of the chip: lines that the server has not, and where it stands.
//!
//! ```text
//!  header │ header │ ring of records
//! ```
//! A record is a line; a header says which of them count. Headers are written in turn, each behind the record that it is
//! about, so a reset at any point leaves the state before or the state after, and never another one. Keys and counters of
//! packets are never in here: a state of before would repeat a counter.
//!
//! After a loss of power the bytes are random, or some of them are. Check sums tell; the memory then begins anew, with an
//! epoch that was never used.

mod header;
mod ram;
mod record;

use core::cell::Cell;

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Memory, View};
use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::time::Instant;

use header::{Found, Header};
pub use ram::Ram;
use record::Record;

/// Offset of the ring.
const RING: usize = 2 * header::SIZE;

/// The least bytes of a memory: room for one of the longest lines.
pub const LEAST: usize = RING + record::HEAD + pblink_protocol::MAX_TEXT;

/// A memory in a piece of RAM.
pub struct Kept<R> {
    ram: R,
    header: Header,
    /// A record that was found before, by its number, and where it is: lines are asked for one after the other.
    found: Cell<(u64, usize)>,
}

impl<R> core::fmt::Debug for Kept<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Kept").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<R: Ram> Kept<R> {
    /// Takes up what the RAM has kept.
    ///
    /// # Errors
    /// The RAM, as it was: it has kept nothing.
    ///
    /// # Panics
    /// If it has less than [`LEAST`] bytes.
    pub fn recall(ram: R) -> Result<Self, R> {
        assert!(ram.bytes().len() >= LEAST, "there is no room for a line");
        let size = ram.bytes().len() as u32;
        let found = [0, header::SIZE].map(|at| Header::read(&ram, at, size));
        let header = match found {
            [Found::Damaged, _] | [_, Found::Damaged] | [Found::Torn, Found::Torn] => {
                return Err(ram);
            }
            [Found::Whole(header), Found::Torn] | [Found::Torn, Found::Whole(header)] => header,
            [Found::Whole(a), Found::Whole(b)] => match b.number.wrapping_sub(a.number) {
                1 => b,
                u32::MAX => a,
                _ => return Err(ram),
            },
        };
        let kept = Self { ram, header, found: Cell::new((0, 0)) };
        if kept.is_whole() { Ok(kept) } else { Err(kept.ram) }
    }

    /// Begins anew, whatever is in the RAM. `epoch`: one that was drawn at random for this.
    ///
    /// # Panics
    /// If it has less than [`LEAST`] bytes.
    pub fn begin(mut ram: R, epoch: Epoch) -> Self {
        assert!(ram.bytes().len() >= LEAST, "there is no room for a line");
        header::erase(&mut ram, 0);
        header::erase(&mut ram, header::SIZE);
        let header =
            Header { number: 0, head: 0, tail: 0, epoch, first: 1, next: 1, view: None, time: 0 };
        let mut kept = Self { ram, header, found: Cell::new((0, 0)) };
        kept.write(header);
        kept
    }

    /// Returns the last time that it was told. A program that starts counts on from there, so that times of lines from before
    /// its start mean something: all but the time between the last [tick](Self::tick) and the reset is in it.
    pub const fn time(&self) -> Instant {
        Instant::from_micros(self.header.time)
    }

    /// Notes the time.
    pub fn tick(&mut self, now: Instant) {
        self.write(Header { time: now.as_micros(), ..self.header });
    }

    /// Returns the RAM beneath.
    pub const fn ram(&self) -> &R {
        &self.ram
    }

    /// Returns true if all records are there that the header counts.
    fn is_whole(&self) -> bool {
        let Header { head, tail, first, next, .. } = self.header;
        let ring = self.ring();
        if first == 0 || next < first || (next - first) as usize > ring.len() / record::HEAD {
            return false;
        }
        let mut at = head as usize;
        for seq in first..next {
            match Record::read(ring, at) {
                Some(record) if record.seq == seq && record.is_whole(ring) => at = record.end(),
                _ => return false,
            }
        }
        at == tail as usize
    }

    fn ring(&self) -> &[u8] {
        &self.ram.bytes()[RING..]
    }

    /// Makes this header the one that counts.
    fn write(&mut self, header: Header) {
        self.header = Header { number: self.header.number.wrapping_add(1), ..header };
        let at = if self.header.number.is_multiple_of(2) { 0 } else { header::SIZE };
        let size = self.ram.bytes().len() as u32;
        self.header.write(&mut self.ram, at, size);
    }

    /// Returns the offset at which a record of `size` bytes can be written.
    fn place(&mut self, size: usize) -> Option<usize> {
        let Header { head, tail, first, next, .. } = self.header;
        let (head, tail, len) = (head as usize, tail as usize, self.ring().len());
        if first == next {
            return (size <= len).then_some(0);
        }
        if tail <= head {
            return (size <= head - tail).then_some(tail);
        }
        if size <= len - tail {
            return Some(tail);
        }
        if size > head {
            return None;
        }
        record::go_round(&mut self.ram, RING, tail, len);
        Some(0)
    }

    fn record(&self, seq: u64) -> Option<Record<'_>> {
        let Header { head, first, next, .. } = self.header;
        if !(first..next).contains(&seq) {
            return None;
        }
        let (mut at_seq, mut at) = self.found.get();
        if !(first..=seq).contains(&at_seq) {
            (at_seq, at) = (first, head as usize);
        }
        loop {
            let record = Record::read(self.ring(), at)?;
            if at_seq == seq {
                self.found.set((at_seq, at));
                return Some(record);
            }
            (at_seq, at) = (at_seq + 1, record.end());
        }
    }
}

impl<R: Ram> Memory for Kept<R> {
    fn epoch(&self) -> Epoch {
        self.header.epoch
    }

    fn first(&self) -> u64 {
        self.header.first
    }

    fn next(&self) -> u64 {
        self.header.next
    }

    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        self.record(seq).map(|record| (record.text, Instant::from_micros(record.time)))
    }

    fn push(&mut self, now: Instant, text: &str) -> Result<(), WriteError> {
        let size = record::HEAD + text.len();
        let at = self.place(size).ok_or(WriteError::Full)?;
        let Header { head, next, .. } = self.header;
        let numbers = (next, now.as_micros());
        record::write(&mut self.ram, RING, at, numbers, text);
        let head = if self.header.first == next { at as u32 } else { head };
        let (tail, time) = ((at + size) as u32, now.as_micros());
        self.write(Header { head, tail, next: next + 1, time, ..self.header });
        Ok(())
    }

    fn free(&mut self, done: u64) {
        let Header { head, tail, first, next, .. } = self.header;
        let done = done.min(next - 1);
        if done < first {
            return;
        }
        let head = match self.record(done) {
            Some(last) if done + 1 < next => last.end() as u32,
            Some(_) => tail,
            // There is no such state.
            None => head,
        };
        self.write(Header { head, first: done + 1, ..self.header });
    }

    fn view(&self) -> Option<View> {
        self.header.view
    }

    fn set_view(&mut self, view: View) {
        if self.header.view != Some(view) {
            self.write(Header { view: Some(view), ..self.header });
        }
    }
}

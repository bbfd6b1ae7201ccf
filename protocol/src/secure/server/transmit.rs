//! The lines for a connection: all that is to be said, when it can be.

use super::super::frame::{Frame, NextKey, Progress};
use super::super::packet::{MAX_DOWN, MAX_FRAMES, Packet, room};
use super::super::session::{Key, Lines, MAX_WINDOW};
use super::super::suite::ServerSuite;
use super::{CHALLENGE_PAUSE, CHALLENGES, Server, Visitor};
use crate::time::Instant;

impl<S: ServerSuite> Server<S> {
    /// Returns the next line for a connection, without `\n`, in `out`: [`MAX_DOWN`] characters are enough. The owner asks when
    /// the connection can take one, until there is none. `lines`: the first [`SENT_AHEAD`](super::SENT_AHEAD) lines of the committed outbox.
    pub fn transmit<'o>(
        &mut self,
        now: Instant,
        visitor: &mut Visitor,
        lines: &impl Lines,
        out: &'o mut [u8],
    ) -> Option<&'o str> {
        if let Some((number, key, message)) = self.reply
            && number == visitor.number
        {
            self.reply = None;
            return Packet::Reply { key, message }.encode(out);
        }
        let paused = visitor.challenged.is_some_and(|at| now < at + CHALLENGE_PAUSE);
        if visitor.asks && !paused && visitor.challenges < CHALLENGES {
            (visitor.asks, visitor.speaks) = (false, true);
            visitor.challenges += 1;
            visitor.challenged = Some(now);
            let challenge = visitor.challenge.unwrap_or_else(|| self.suite.challenge());
            visitor.challenge = Some(challenge);
            return Packet::Challenge(challenge).encode(out);
        }
        if self.carrier != Some(visitor.number) {
            return None;
        }
        let mut frames = [0; MAX_FRAMES];
        // Alone: the board takes nothing before one, or behind the other.
        let first = self.answer.take().map(Frame::Resume);
        let len = match first.or_else(|| self.closing.take().map(Frame::Close)) {
            Some(frame) => frame.encode(&mut frames)?,
            None => {
                let room = room(out.len().min(MAX_DOWN));
                self.fill(now, lines, frames.get_mut(..room)?)
            }
        };
        if len == 0 {
            return None;
        }
        self.current.as_mut()?.seal(&frames[..len], out)
    }

    /// Fills a packet with all that is to be said, and returns its length.
    fn fill(&mut self, now: Instant, lines: &impl Lines, out: &mut [u8]) -> usize {
        // Those that are not committed take room.
        let ahead = self.receiver.received().saturating_sub(self.committed);
        let progress = Progress {
            received: self.receiver.received(),
            done: self.committed,
            credit: self.credit.saturating_sub(ahead.min(u8::MAX.into()) as u8),
        };
        let frame = match core::mem::take(&mut self.pong) {
            true => {
                // The last SETTLED may be lost with its packet, and the board does not answer it.
                self.settles = true;
                Some(Frame::Pong(progress))
            }
            false => self.unsaid.then_some(Frame::Progress(progress)),
        };
        let mut len = frame.and_then(|frame| frame.encode(out)).unwrap_or(0);
        if len > 0 {
            (self.unsaid, self.ack_at) = (false, None);
        }
        // No answer was sent under these keys while where the board stands is not known.
        if self.resolving.is_some() {
            return len;
        }
        while let Some(more) = self.datagrams.0.frame(&mut out[len..]) {
            len += more;
        }
        while let Some((more, seq)) =
            self.sender.frame(now, MAX_WINDOW as u8, lines, &mut out[len..])
        {
            len += more;
            self.mark = self.mark.max(seq.unwrap_or(0));
        }
        // The last: to a board that does not know these frames, nothing behind them counts.
        len + self.keys(&mut out[len..])
    }

    /// Writes what the board has to know of its keys, and returns the length.
    fn keys(&mut self, out: &mut [u8]) -> usize {
        let Some(generation) = self.current.as_ref().map(Key::generation) else { return 0 };
        let mut len = 0;
        let settles = core::mem::take(&mut self.settles) | self.offers;
        if settles && self.suite.is_settled(generation) {
            let settled = Frame::Settled(generation).encode(out);
            self.settles = settled.is_none();
            len += settled.unwrap_or(0);
        }
        // In front of a key, in one packet: a board that takes one goes back to the last that it knows to be settled.
        if !self.settles
            && core::mem::take(&mut self.offers)
            && let Some((generation, shared)) = self.offered()
        {
            let key = Frame::Key(NextKey { generation, shared: &shared }).encode(&mut out[len..]);
            self.offers = key.is_none();
            len += key.unwrap_or(0);
        }
        len
    }

    /// Returns the key that the board is to be given.
    pub(super) fn offered(&self) -> Option<(u32, [u8; 32])> {
        let (generation, shared) = self.suite.next_key(self.current.as_ref()?.generation())?;
        (self.refused_key != Some(generation)).then_some((generation, shared))
    }
}

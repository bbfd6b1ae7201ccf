//! The board's end of the secure link.
//!
//! ```text
//!            u, no keys         ~c            ~r opens            reply
//!   Down ───────────────▶ Greet ──▶ Shake ───────────▶ Prove ───────────▶ Up
//!     └── u, keys ──────────────────────────────────────▲  ▲── 12 s silence ─┘
//! ```
//!
//! The owner has the carrier: it says when there is a server ([`on_server`](Board::on_server)), hands over the lines that come
//! ([`on_line`](Board::on_line)), and asks for the next one whenever the wires can take it ([`transmit`](Board::transmit)):
//! nothing is made in advance, as it would be old when it goes out. When nobody waits on the wires it lets the machine
//! [compute](Board::compute) on the curve.
//!
//! Keys, and the numbers of lines, outlive connections and resets of the ESP8266; lines outlive a reset of this chip, see
//! [`Memory`].

mod happened;
mod link;
mod memory;

use super::frame::{Epoch, Frame, Frames, KeyOutcome, Keyed, NextKey, Progress, Resume};
use super::packet::{MAX_BYTES, MAX_FRAMES, MAX_UP, NoPacket, Packet, room};
use super::session::{
    DatagramReceiver, DatagramSender, Key, MAX_WINDOW, Opened, REKEY_AFTER, REKEY_FRAMES, Receiver,
    STOP_AFTER, STOP_FRAMES, Sender, Taken,
};
use super::suite::BoardSuite;
use crate::MAX_TEXT;
use crate::fifo::Fifo;
use crate::lines::{Inbox, WriteError};
use crate::tcp::line::check_text;
use crate::time::{Duration, Instant, earliest};
use happened::Happened;
pub use happened::MAX_EVENT;
use link::Link;
use memory::Kept;
pub use memory::{Memory, View};

/// Time after which a challenge is asked for again; after [`ASKS`] times, [`ASK_SLOWLY`].
const ASK_AGAIN: Duration = Duration::from_secs(2);
const ASK_SLOWLY: Duration = Duration::from_secs(10);
const ASKS: u32 = 5;
/// The longest life of a handshake without a reply.
const REPLY_TIME: Duration = Duration::from_secs(3);
/// Pause between two handshakes: twice as long each time, until one succeeds.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Time after which a proof of life is asked for again, and how often.
const PROVE_AGAIN: Duration = Duration::from_secs(1);
const PROOFS: u8 = 3;
/// Time between two PINGs, however much else is said. Each end says where it stands once, when that changes, and the packet may be
/// lost. Who has no credit, or waits for *done*, then has nothing in flight that would come to a time-out, and packets of other
/// frames do not tell.
const ASK_STATE: Duration = Duration::from_secs(5);
/// Time without a valid packet after which a proof of life is asked for.
const SILENCE: Duration = Duration::from_secs(12);
/// Time for which a link that the server has closed stays closed.
const CLOSED: Duration = Duration::from_secs(60);
/// Lines that wait for the application.
const INBOX_LINES: usize = MAX_WINDOW;
const INBOX_BYTES: usize = INBOX_LINES * (MAX_TEXT + 1);

/// An event of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoardEvent {
    /// The link is up: the server has proven itself, and both know where they stand.
    Up,
    /// The link is down. Lines wait.
    Down,
    /// There is a server, and it does not answer: it may have no secure link, or not know this board.
    NoAnswer,
    /// Nothing valid has come for too long: the owner resets the ESP8266.
    ResetWanted,
    /// The server has closed the link, for this reason, for a minute.
    Closed(u8),
    /// The server's clock, in ms since the Unix epoch, when this key was made.
    Time(u64),
    /// A line came that cannot be one, and is passed over: the server's program is wrong.
    Invalid,
    /// The server has given the board a key.
    Keyed(Keyed),
}

/// Counters of lines of the carrier that led to nothing. They wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BoardStats {
    /// Lines of applications, or of kinds that are not known.
    pub plain: u32,
    /// Packets that are too old, forged, or under keys that are gone.
    pub refused: u32,
    /// Replies that do not finish the handshake.
    pub bad_replies: u32,
}

/// State of the link, as the table in `docs/PROTOCOL.md` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoardState {
    /// There is no server.
    Down,
    /// A challenge is wanted.
    Greet,
    /// A handshake waits for its reply.
    Shake,
    /// There are keys, and the server has to prove that it has them too.
    Prove,
    /// Lines pass.
    Up,
}

/// The board's end of a session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Board<S: BoardSuite, M> {
    /// Without one there are no keys, and nothing happens.
    suite: Option<S>,
    memory: M,
    link: Link<S::Keys, S::Handshake>,
    sender: Sender,
    receiver: Receiver,
    inbox: Inbox<INBOX_BYTES>,
    /// The numbers and epochs of the lines in the inbox; `None` for those that have none.
    numbers: Fifo<Option<(u64, Epoch)>, INBOX_LINES>,
    /// The line that the application has read last, and may not be done with.
    reading: Option<(u64, Epoch)>,
    datagrams: (DatagramSender, DatagramReceiver),
    /// Events on the board that the server does not know.
    happened: Happened,
    /// Something has come, or is done, that the server does not know.
    unsaid: bool,
    /// Lines that may be in flight, whatever the server would take.
    window: u8,
    events: Fifo<BoardEvent, 8>,
    stats: BoardStats,
}

impl<S: BoardSuite, M> Board<S, M> {
    /// Makes the end of a board that has no keys, and does nothing until it has. It is large for a chip's stack: this makes it
    /// where it stays, in a `static`. [`begin`](Self::begin) replaces `memory`.
    pub const fn idle(memory: M) -> Self {
        Self::with(None, memory)
    }

    const fn with(suite: Option<S>, memory: M) -> Self {
        Self {
            suite,
            memory,
            link: Link::new(),
            sender: Sender::new(),
            receiver: Receiver::new(),
            inbox: Inbox::new(),
            numbers: Fifo::new(),
            reading: None,
            datagrams: (DatagramSender::new(), DatagramReceiver::new()),
            happened: Happened::new(),
            unsaid: false,
            window: MAX_WINDOW as u8,
            events: Fifo::new(),
            stats: BoardStats { plain: 0, refused: 0, bad_replies: 0 },
        }
    }
}

impl<S: BoardSuite, M: Memory> Board<S, M> {
    /// Makes the end of a board that has just started, with what its memory has kept.
    pub fn new(suite: S, memory: M) -> Self {
        let mut board = Self::with(Some(suite), memory);
        board.remember();
        board
    }

    /// Gives an [idle](Self::idle) end its keys, and what the memory has kept: its chip has just started.
    pub fn begin(&mut self, suite: S, memory: M) {
        self.suite = Some(suite);
        self.memory = memory;
        self.remember();
    }

    fn remember(&mut self) {
        self.receiver.resume(self.memory.view().map_or(0, |view| view.done));
        self.sender.resume(self.memory.first() - 1);
    }

    /// Returns true if there are keys.
    pub const fn has_keys(&self) -> bool {
        self.suite.is_some()
    }

    /// Returns the suite; `None` if there are no keys.
    pub const fn suite(&self) -> Option<&S> {
        self.suite.as_ref()
    }

    /// Returns the state of the link.
    pub const fn state(&self) -> BoardState {
        self.link.state
    }

    /// Returns true while lines pass.
    pub fn is_up(&self) -> bool {
        self.link.state == BoardState::Up
    }

    /// Returns the counters.
    pub const fn stats(&self) -> BoardStats {
        self.stats
    }

    /// Returns the next event. At most eight are kept; of more, the oldest are lost.
    pub fn next_event(&mut self) -> Option<BoardEvent> {
        self.events.pop()
    }

    /// Returns the memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// Returns the memory, for what is its owner's in it. Lines and numbers are this machine's.
    pub const fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Gives the memory back: this is the end of a chip that is reset.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Bounds the lines in flight, either way: an ESP8266 that holds few must not get more.
    pub fn set_window(&mut self, lines: u8) {
        self.window = lines.clamp(1, MAX_WINDOW as u8);
    }

    /// Keeps a line for the server, and returns its number.
    ///
    /// # Errors
    /// See [`WriteError`]. Nothing is kept then.
    pub fn write(&mut self, now: Instant, text: &str) -> Result<u64, WriteError> {
        let text = check_text(text).map_err(WriteError::Text)?;
        if text.len() > MAX_TEXT {
            return Err(WriteError::TooLong);
        }
        let seq = self.memory.next();
        self.memory.push(now, text).map(|()| seq)
    }

    /// Puts a line on its way that may be lost. False, and nothing is sent: one before it is still on its way, or it cannot be
    /// a line.
    pub fn send(&mut self, text: &str) -> bool {
        check_text(text).is_ok_and(|text| self.datagrams.0.put(text))
    }

    /// Notes something for the server, such as a report or the cause of a reset: of several of one kind, the last. Of more than
    /// four kinds, the one that has waited for the longest time is lost. Details beyond [`MAX_EVENT`] bytes are cut off.
    pub fn tell(&mut self, kind: u8, details: &[u8]) {
        self.happened.put(kind, details);
    }

    /// Returns true if the server has all lines where it keeps them, and none that may be lost waits to be sent.
    pub fn is_flushed(&self) -> bool {
        self.memory.first() == self.memory.next() && self.datagrams.0.is_empty()
    }

    /// Returns true if an answer of the server is due soon: lines are in flight, or it is to prove itself.
    pub fn expects_answer(&self) -> bool {
        match self.link.state {
            BoardState::Down | BoardState::Greet => false,
            BoardState::Shake | BoardState::Prove => true,
            BoardState::Up => self.link.is_renewing() || self.sender.timeout_at().is_some(),
        }
    }

    /// Returns true if the server has this line where it keeps it.
    pub fn is_done(&self, seq: u64) -> bool {
        seq < self.memory.first()
    }

    /// Returns true if a line from the server waits to be read.
    pub fn has_line(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// Hands the next line from the server to `take`. With it, the application is [done](Self::accept) with the one before.
    pub fn read_line<R>(&mut self, take: impl FnOnce(&str) -> R) -> Option<R> {
        if self.numbers.is_empty() {
            return None;
        }
        self.accept();
        let result = self.inbox.pop(take)?;
        self.reading = self.numbers.pop().flatten();
        self.unsaid = true;
        Some(result)
    }

    /// Notes that the application is done with the line that it has read: it will not come again.
    pub fn accept(&mut self) {
        let Some((seq, epoch)) = self.reading.take() else { return };
        // One of an epoch that is over moves nothing: its number means another line now.
        if self.memory.view().is_some_and(|view| view.epoch == epoch) {
            self.memory.set_view(View { epoch, done: seq });
            self.unsaid = true;
        }
    }

    /// Notes that the ESP8266 has a server, or has none. A reset of the ESP8266 counts as none.
    pub fn on_server(&mut self, now: Instant, up: bool) {
        let before = self.link.state;
        if before != BoardState::Down {
            self.link.end(now);
        }
        self.link.carrier = up;
        self.link.handshake = None;
        self.link.challenge = None;
        self.link.reply = None;
        self.link.state = BoardState::Down;
        if up {
            self.link.heard = now;
            self.link.vain_since.get_or_insert(now);
            self.open(now);
        }
        if before == BoardState::Up {
            self.datagrams.0.on_down();
            self.events.push_newest(BoardEvent::Down);
        }
    }

    /// Takes a line from the carrier, without its `\n`.
    pub fn on_line(&mut self, now: Instant, line: &str) {
        let mut buffer = [0; MAX_BYTES];
        let packet = match Packet::decode(line, &mut buffer) {
            Ok(packet) => packet,
            Err(NoPacket::Plain | NoPacket::Unknown) => {
                self.stats.plain = self.stats.plain.wrapping_add(1);
                return;
            }
            Err(NoPacket::Malformed) => return self.refused(),
        };
        if self.link.state == BoardState::Down {
            return;
        }
        match packet {
            // The newest one is kept: older ones are used up, or forgotten.
            Packet::Challenge(challenge) => self.link.challenge = Some(challenge),
            Packet::Reply { key, message } => match &self.link.handshake {
                Some(handshake) if handshake.key == key => self.link.reply = Some(message),
                _ => self.refused(),
            },
            Packet::Sealed { key, counter, sealed } => self.sealed(now, (key, counter), sealed),
            Packet::Ask(_) | Packet::Hello(_) => self.refused(),
        }
    }

    fn refused(&mut self) {
        self.stats.refused = self.stats.refused.wrapping_add(1);
    }

    fn sealed(&mut self, now: Instant, id: (u8, u32), sealed: &[u8]) {
        let mut frames = [0; MAX_FRAMES];
        let fresh = self.link.next.as_mut().map(|key| key.open(id, sealed, &mut frames));
        if let Some(Opened::Frames(len)) = fresh {
            // The server has taken the handshake when it says where it stands, and not before.
            match Frames::new(&frames[..len]).next() {
                Some(Ok(Frame::Resume(_))) => self.link.current = self.link.next.take(),
                _ => return self.refused(),
            }
            return self.frames(now, &frames[..len]);
        }
        match self.link.current.as_mut().map(|key| key.open(id, sealed, &mut frames)) {
            Some(Opened::Frames(len)) => self.frames(now, &frames[..len]),
            _ => self.refused(),
        }
    }

    fn frames(&mut self, now: Instant, frames: &[u8]) {
        self.link.heard = now;
        (self.link.vain_since, self.link.vain, self.link.watchdog) = (None, 0, 0);
        for frame in Frames::new(frames) {
            match frame {
                Ok(frame) => self.frame(now, frame),
                Err(_) => self.refused(),
            }
        }
        if self.link.state == BoardState::Prove && self.link.next.is_none() {
            self.link.state = BoardState::Up;
            self.link.asks = 0;
            self.sender.go_back();
            self.unsaid = true;
            self.events.push_newest(BoardEvent::Up);
        }
    }

    fn frame(&mut self, now: Instant, frame: Frame<'_>) {
        match frame {
            Frame::Resume(resume) => self.resolve(&resume),
            Frame::Data(data) => {
                self.unsaid = true;
                // The server's answer to where this board stands comes first: it may mean other lines by the numbers.
                if self.link.next.is_some() {
                    return;
                }
                let room = !self.numbers.is_full();
                match self.receiver.on_data(&data, |len| room && self.inbox.fits(len)) {
                    Taken::Line { seq, text } => {
                        let Some(view) = self.memory.view() else { return };
                        self.inbox.push(text);
                        // There is room.
                        let _ = self.numbers.push(Some((seq, view.epoch)));
                    }
                    Taken::Invalid { .. } => self.events.push_newest(BoardEvent::Invalid),
                    Taken::Nothing => {}
                }
            }
            Frame::Progress(progress) | Frame::Pong(progress) => self.progress(now, progress),
            Frame::Ping(progress) => {
                self.progress(now, progress);
                self.link.pong = true;
            }
            Frame::Close(reason) => {
                self.events.push_newest(BoardEvent::Closed(reason));
                self.on_server(now, false);
                self.link.carrier = true;
                self.link.closed_until = now + CLOSED;
            }
            Frame::Datagram(datagram) => {
                let room = !self.numbers.is_full();
                if let Some(text) = self.datagrams.1.on_piece(&datagram)
                    && room
                    && self.inbox.fits(text.len())
                {
                    self.inbox.push(text);
                    // There is room.
                    let _ = self.numbers.push(None);
                }
            }
            // Kept when nobody waits on the wires.
            Frame::Key(NextKey { generation, shared }) => {
                self.link.offered = Some((generation, *shared));
            }
            Frame::Settled(generation) => self.link.settled = Some(generation),
            Frame::Event(_) | Frame::Keyed(_) => {}
        }
    }

    /// Takes where the server stands.
    fn resolve(&mut self, resume: &Resume) {
        if resume.peer == Some(self.memory.epoch()) {
            // No server can have what was never written.
            let last = self.memory.next() - 1;
            self.memory.free(resume.done.min(last));
            self.sender.resume(resume.received.min(last));
        }
        // The rest of a line may be another one's.
        self.receiver.resume(self.receiver.received());
        let old = self.memory.view();
        if old.is_some_and(|view| view.epoch == resume.epoch) {
            return;
        }
        let mut done = old.map_or(0, |view| view.done);
        if resume.fresh {
            done = 0;
            self.receiver.resume(0);
        } else {
            // The numbers go on under the new epoch.
            let relabel = |epoch: &mut Epoch| {
                if old.is_some_and(|view| view.epoch == *epoch) {
                    *epoch = resume.epoch;
                }
            };
            self.numbers.iter_mut().flatten().for_each(|(_, epoch)| relabel(epoch));
            if let Some((_, epoch)) = &mut self.reading {
                relabel(epoch);
            }
        }
        self.memory.set_view(View { epoch: resume.epoch, done });
    }

    fn progress(&mut self, now: Instant, progress: Progress) {
        let received = self.sender.on_progress(now, progress.received, progress.credit);
        self.memory.free(progress.done.min(received));
    }

    /// Returns what has come, for the server.
    fn state_of_lines(&self) -> Progress {
        Progress {
            received: self.receiver.received(),
            done: self.memory.view().map_or(0, |view| view.done),
            credit: self.window.min((INBOX_LINES - self.numbers.len()) as u8),
        }
    }

    fn resume(&self) -> Resume {
        let view = self.memory.view();
        Resume {
            epoch: self.memory.epoch(),
            first: self.memory.first(),
            peer: view.map(|view| view.epoch),
            received: self.receiver.received(),
            done: view.map_or(0, |view| view.done),
            fresh: false,
        }
    }
}

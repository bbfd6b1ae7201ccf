//! The server's end of the secure link, for one id.
//!
//! Several connections may claim an id: each is a [`Visitor`], and none gets anything but challenges until it has proven itself.
//! The one from which the last valid packet came *carries*. Keys and the session outlive connections.
//!
//! ```text
//!   Candidate ──~q, or ~t that no key opens──▶ ~c
//!   Candidate ──~h that is authentic──▶ ~r, `next`
//!   Candidate ──~t under `next`: RESUME──▶ resolve, commit ──▶ answer, Carrier
//!   Candidate ──~t under `current`──▶ Carrier
//! ```
//!
//! The owner has connections, store and clock: it hands over lines ([`on_line`](Server::on_line)), asks for those that are to be
//! sent ([`transmit`](Server::transmit)), closes what is [overdue](Server::is_overdue), and commits what the machine asks for
//! through its [`Desk`].

mod desk;
mod resolve;
mod times;
mod transmit;
mod visitor;

pub use desk::{Desk, Received, ServerEvent};
pub use resolve::{Book, Known, Resolution, resolve};
pub use visitor::Visitor;

use super::frame::{Epoch, Frame, Frames, KeyOutcome, Progress, Resume};
use super::packet::{Hello, MAX_BYTES, MAX_FRAMES, NoPacket, Packet};
use super::session::{
    DatagramReceiver, DatagramSender, Key, MAX_WINDOW, Opened, Receiver, Sender, Taken,
};
use super::suite::ServerSuite;
use crate::tcp::line::check_text;
use crate::time::{Duration, Instant, earliest};

/// Time without a valid packet after which a visitor that does not carry is sent away.
pub const VISIT: Duration = Duration::from_secs(10);
/// Time without a valid packet after which a carrier is sent away.
pub const SILENCE: Duration = Duration::from_secs(12);
/// Pause between two challenges of one connection, and how many it gets until it says something valid.
const CHALLENGE_PAUSE: Duration = Duration::from_secs(1);
const CHALLENGES: u8 = 10;
/// Silence of a board after which another one with its keys, or itself after a loss of power, takes its place.
const RIVAL: Duration = Duration::from_secs(2);
/// Time for which the word that a line has come waits for the one that it is committed. An ESP8266 passes one line with each
/// exchange: two words for each line fill its queue, and come late.
const ACK_DELAY: Duration = Duration::from_millis(50);
/// Time after which a key is given to a board again that has not proven it.
const OFFER_AGAIN: Duration = Duration::from_secs(30);
/// Time without a carrier after which keys are dropped.
const KEEP_KEYS: Duration = Duration::from_secs(24 * 3600);
/// Lines of the outbox, from its beginning, among which a server sends: see [`Server::mark`].
pub const SENT_AHEAD: usize = 64;

/// Counters of lines that led to nothing. They wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ServerStats {
    /// Lines of applications, or of kinds that are not known.
    pub plain: u32,
    /// Packets that are too old, forged, or under keys that are gone.
    pub refused: u32,
    /// Hellos that are not authentic, or serve no challenge.
    pub bad_hellos: u32,
}

/// A hello whose answer has to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pending {
    visitor: u64,
    hello: Hello,
    challenge: [u8; 16],
}

/// A board that waits for the commit of where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Resolving {
    /// Its connection, if that is still there.
    visitor: Option<u64>,
    /// It has asked under the next key, and so has proven it.
    proven: bool,
    resume: Resume,
}

/// The server's end of a session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Server<S: ServerSuite> {
    suite: S,
    current: Option<Key<S::Keys>>,
    next: Option<Key<S::Keys>>,
    pending: Option<Pending>,
    reply: Option<(u64, u8, [u8; 56])>,
    resolving: Option<Resolving>,
    answer: Option<Resume>,
    closing: Option<u8>,
    carrier: Option<u64>,
    board: Option<Epoch>,
    sender: Sender,
    receiver: Receiver,
    committed: u64,
    mark: u64,
    credit: u8,
    unsaid: bool,
    /// Something has come that the board is told then, if nothing is to be said before.
    ack_at: Option<Instant>,
    pong: bool,
    datagrams: (DatagramSender, DatagramReceiver),
    /// The last valid packet of the board.
    heard: Option<Instant>,
    /// A key is to be given to the board, and the next time for that.
    offers: bool,
    offer_at: Instant,
    /// The generation of a key that the board cannot keep.
    refused_key: Option<u32>,
    /// The board may not know that there is no key before its own.
    settles: bool,
    stats: ServerStats,
}

impl<S: ServerSuite> Server<S> {
    /// Makes a session that has no keys yet. `mark`: the number of the 64th line in the outbox, or of the last one if there are
    /// fewer; 0 if there is none, or the store knows no epoch of the board.
    pub fn new(suite: S, mark: u64) -> Self {
        Self {
            suite,
            current: None,
            next: None,
            pending: None,
            reply: None,
            resolving: None,
            answer: None,
            closing: None,
            carrier: None,
            board: None,
            sender: Sender::new(),
            receiver: Receiver::new(),
            committed: 0,
            mark,
            credit: MAX_WINDOW as u8,
            unsaid: false,
            ack_at: None,
            pong: false,
            datagrams: (DatagramSender::new(), DatagramReceiver::new()),
            heard: None,
            offers: false,
            offer_at: Instant::ZERO,
            refused_key: None,
            settles: false,
            stats: ServerStats::default(),
        }
    }

    /// Returns the suite.
    pub const fn suite(&self) -> &S {
        &self.suite
    }

    /// Returns the greatest number of a line that this process may have sent, or that the board has said to have. A process
    /// sends only among the first [`SENT_AHEAD`] lines of the outbox, so that the next one knows what this one may have sent.
    pub const fn mark(&self) -> u64 {
        self.mark
    }

    /// Returns the visitor that carries.
    pub const fn carrier(&self) -> Option<u64> {
        self.carrier
    }

    /// Returns the counters.
    pub const fn stats(&self) -> ServerStats {
        self.stats
    }

    /// Sets how many lines are taken ahead of what is acknowledged: 0 to 8.
    pub fn set_credit(&mut self, lines: u8) {
        self.unsaid |= self.credit != lines;
        self.credit = lines.min(MAX_WINDOW as u8);
    }

    /// Drops all keys: the board has to prove itself anew. For keys that were replaced or revoked, and for a clock that has
    /// stepped, as a machine's does that was restored from a snapshot and may have used the counters already.
    pub fn drop_keys(&mut self, desk: &mut impl Desk) {
        (self.current, self.next) = (None, None);
        (self.pending, self.reply, self.resolving, self.answer) = (None, None, None, None);
        self.down(desk);
    }

    /// Takes other keys for this id. `stays`: those of this generation are as before. False: those that have made the session
    /// are not, so that its keys are [dropped](Self::drop_keys), or there was none.
    pub fn set_suite(
        &mut self,
        suite: S,
        stays: impl Fn(u32) -> bool,
        desk: &mut impl Desk,
    ) -> bool {
        self.suite = suite;
        (self.offer_at, self.refused_key, self.settles) = (Instant::ZERO, None, true);
        if !self.current.as_ref().is_some_and(|key| stays(key.generation())) {
            self.drop_keys(desk);
            return false;
        }
        if self.next.as_ref().is_some_and(|key| !stays(key.generation())) {
            (self.next, self.reply) = (None, None);
            self.resolving = self.resolving.filter(|resolving| !resolving.proven);
        }
        true
    }

    /// Puts a line on its way that may be lost. False, and nothing is sent: one before it is still on its way, or it cannot be
    /// a line.
    pub fn send(&mut self, text: &str) -> bool {
        check_text(text).is_ok_and(|text| self.datagrams.0.put(text))
    }

    /// Returns true while a line that may be lost is on its way: the next one has to wait.
    pub fn is_sending(&self) -> bool {
        !self.datagrams.0.is_empty()
    }

    /// Tells the board to stay away for a minute. `reason` is for people.
    pub const fn close(&mut self, reason: u8) {
        self.closing = Some(reason);
    }

    /// Notes that a connection is gone.
    pub fn on_closed(&mut self, visitor: &Visitor, desk: &mut impl Desk) {
        let gone = |number: u64| number == visitor.number;
        self.pending = self.pending.filter(|pending| !gone(pending.visitor));
        self.reply = self.reply.filter(|reply| !gone(reply.0));
        if let Some(resolving) = &mut self.resolving {
            resolving.visitor = resolving.visitor.filter(|&number| !gone(number));
        }
        if self.carrier.is_some_and(gone) {
            self.down(desk);
        }
    }

    fn down(&mut self, desk: &mut impl Desk) {
        self.answer = None;
        if self.carrier.take().is_some() {
            desk.event(ServerEvent::Down);
        }
    }

    /// Takes a line from a connection, without its `\n`.
    pub fn on_line(
        &mut self,
        now: Instant,
        visitor: &mut Visitor,
        line: &str,
        desk: &mut impl Desk,
    ) {
        let mut buffer = [0; MAX_BYTES];
        match Packet::decode(line, &mut buffer) {
            Ok(Packet::Ask(_)) => visitor.ask(),
            Ok(Packet::Hello(hello)) => self.on_hello(visitor, hello),
            Ok(Packet::Sealed { key, counter, sealed }) => {
                self.on_sealed(now, visitor, (key, counter), sealed, desk);
            }
            Ok(Packet::Challenge(_) | Packet::Reply { .. }) | Err(NoPacket::Malformed) => {
                self.refused();
            }
            Err(NoPacket::Plain | NoPacket::Unknown) => {
                self.stats.plain = self.stats.plain.wrapping_add(1);
            }
        }
    }

    fn refused(&mut self) {
        self.stats.refused = self.stats.refused.wrapping_add(1);
    }

    fn on_hello(&mut self, visitor: &mut Visitor, hello: Hello) {
        // The same work with a challenge and without one.
        let challenge = visitor.challenge.unwrap_or_default();
        let authentic = self.suite.is_authentic(&hello, &challenge);
        if !authentic || visitor.challenge.is_none() || self.pending.is_some() {
            self.stats.bad_hellos = self.stats.bad_hellos.wrapping_add(1);
            return;
        }
        // It has served its hello.
        visitor.challenge = None;
        self.pending = Some(Pending { visitor: visitor.number, hello, challenge });
    }

    /// Returns true if there is arithmetic on the curve to do, which takes about half a millisecond.
    pub const fn wants_compute(&self) -> bool {
        self.pending.is_some()
    }

    /// Does a handshake's arithmetic, if there is one to do. `now_ms`: wall clock, in ms since the Unix epoch.
    pub fn compute(&mut self, now: Instant, now_ms: u64) {
        let Some(Pending { visitor, hello, challenge }) = self.pending.take() else { return };
        match self.suite.answer(&hello, &challenge, now_ms) {
            Some((keys, message)) => {
                // A handshake that nobody goes on with makes place; what was proven stays.
                self.next = Some(Key::new((hello.key, hello.generation), keys, now));
                self.resolving = None;
                self.reply = Some((visitor, hello.key, message));
            }
            None => self.stats.bad_hellos = self.stats.bad_hellos.wrapping_add(1),
        }
    }

    fn on_sealed(
        &mut self,
        now: Instant,
        visitor: &mut Visitor,
        id: (u8, u32),
        sealed: &[u8],
        desk: &mut impl Desk,
    ) {
        let mut frames = [0; MAX_FRAMES];
        let fresh = self.next.as_mut().map(|key| key.open(id, sealed, &mut frames));
        match fresh {
            Some(Opened::Frames(len)) => {
                match Frames::new(&frames[..len]).next() {
                    Some(Ok(Frame::Resume(resume))) => {
                        visitor.hear(now);
                        self.on_resume(now, visitor, true, resume, desk);
                    }
                    _ => self.refused(),
                }
                return;
            }
            Some(Opened::Old) => return self.refused(),
            Some(Opened::Foreign) | None => {}
        }
        match self.current.as_mut().map(|key| key.open(id, sealed, &mut frames)) {
            Some(Opened::Frames(len)) => {
                self.heard = Some(now);
                visitor.hear(now);
                self.carry(visitor.number, desk);
                for frame in Frames::new(&frames[..len]) {
                    match frame {
                        Ok(Frame::Resume(resume)) => {
                            self.on_resume(now, visitor, false, resume, desk);
                        }
                        // Where the board stands decides what its numbers mean.
                        Ok(frame) if self.resolving.is_none() => self.on_frame(now, frame, desk),
                        Ok(_) => {}
                        Err(_) => self.refused(),
                    }
                }
            }
            Some(Opened::Old) => self.refused(),
            // It may be a board whose keys this process does not have.
            Some(Opened::Foreign) | None => {
                self.refused();
                visitor.ask();
            }
        }
    }

    /// Notes that this visitor is the one that carries.
    fn carry(&mut self, visitor: u64, desk: &mut impl Desk) {
        if self.carrier == Some(visitor) {
            return;
        }
        self.down(desk);
        self.datagrams.0.on_down();
        self.carrier = Some(visitor);
        (self.offer_at, self.settles) = (Instant::ZERO, true);
        // Packets that the old one held are lost with it.
        self.sender.go_back();
        desk.event(ServerEvent::Up(visitor));
    }

    fn on_resume(
        &mut self,
        now: Instant,
        visitor: &Visitor,
        proven: bool,
        resume: Resume,
        desk: &mut impl Desk,
    ) {
        let rival = self.board.is_some_and(|board| board != resume.epoch);
        if rival && self.heard.is_some_and(|heard| now.since(heard) < RIVAL) {
            // If the old one lives on, the new one is a copy. Else it asks again.
            return desk.event(ServerEvent::TwoBoards);
        }
        // The board asks each second; one commit answers all of one handshake, with the numbers of the first.
        let same =
            |waiting: &Resolving| (waiting.proven, waiting.resume.epoch) == (proven, resume.epoch);
        let asker = Some(visitor.number);
        match self.resolving.as_mut().filter(|waiting| same(waiting)) {
            Some(waiting) => waiting.visitor = asker,
            None => {
                desk.resolve(resume);
                self.resolving = Some(Resolving { visitor: asker, proven, resume });
            }
        }
    }

    /// Notes that a resolution is committed.
    pub fn on_resolved(&mut self, now: Instant, resolution: &Resolution, desk: &mut impl Desk) {
        // Lines were taken since it was asked for, under keys that are gone: it would have them come again. The question that is
        // waited for now was asked behind them.
        let knows = |board| board == resolution.board;
        if self.board.is_some_and(knows) && resolution.received < self.receiver.received() {
            return;
        }
        // Not one of the same board that was asked for before: it may have started again since, and have lost lines that it
        // had received.
        let Some(resolving) = self.resolving.take_if(|it| it.resume == resolution.asked) else {
            // It was asked for under keys that are gone, and is committed: the session of another board is over, as
            // its numbers mean nothing to the store any more.
            // So is one that the store has gone beyond.
            let ahead = resolution.received > self.receiver.received();
            if self.board != Some(resolution.board) || ahead {
                (self.board, self.current) = (None, None);
                self.down(desk);
            }
            return;
        };
        if resolving.proven {
            self.current = self.next.take();
            self.settles = true;
            let generation = self.current.as_ref().map(Key::generation);
            generation.into_iter().for_each(|it| desk.event(ServerEvent::Proven(it)));
        }
        self.heard = Some(now);
        self.board = Some(resolution.board);
        self.receiver.resume(resolution.received);
        self.committed = resolution.answer.done;
        self.sender.resume(resolution.sent);
        self.mark = self.mark.max(resolution.sent);
        match resolving.visitor {
            Some(visitor) => {
                self.carry(visitor, desk);
                self.answer = Some(resolution.answer);
            }
            // Over another connection the board asks again. Who carried under the keys before these is out of the session,
            // and an answer that was meant for it is wrong for this board.
            None if resolving.proven => self.down(desk),
            None => {}
        }
        self.unsaid = true;
    }

    /// Notes that lines of this board's epoch are committed, up to and including this one.
    pub fn on_committed(&mut self, epoch: Epoch, seq: u64) {
        if self.board == Some(epoch) && seq > self.committed {
            self.committed = seq;
            self.unsaid = true;
        }
    }

    fn on_frame(&mut self, now: Instant, frame: Frame<'_>, desk: &mut impl Desk) {
        match frame {
            Frame::Data(data) => {
                let Some(epoch) = self.board else { return };
                let before = self.receiver.clone();
                let ahead = self.receiver.received() - self.committed;
                let room = ahead < u64::from(self.credit);
                match self.receiver.on_data(&data, |_| room) {
                    Taken::Line { seq, text } => {
                        let line = Received { epoch, seq, age_ms: data.age_ms, text };
                        if !desk.deliver(line) {
                            self.receiver = before;
                        }
                    }
                    Taken::Invalid { .. } => desk.event(ServerEvent::Invalid),
                    Taken::Nothing => {
                        // The beginning of a line: the board waits for nothing.
                        if self.receiver != before {
                            return;
                        }
                    }
                }
                self.ack_at.get_or_insert(now + ACK_DELAY);
            }
            Frame::Progress(progress) | Frame::Pong(progress) => self.progress(now, progress, desk),
            Frame::Ping(progress) => {
                self.progress(now, progress, desk);
                self.pong = true;
            }
            Frame::Datagram(datagram) => {
                if let Some(text) = self.datagrams.1.on_piece(&datagram) {
                    desk.datagram(text);
                }
            }
            Frame::Event(event) => desk.board_event(event.kind, event.bytes),
            Frame::Keyed(keyed) => {
                if keyed.outcome != KeyOutcome::Taken {
                    self.refused_key = Some(keyed.generation);
                }
                desk.event(ServerEvent::Keyed(keyed));
            }
            Frame::Resume(_) | Frame::Close(_) | Frame::Key(_) | Frame::Settled(_) => {}
        }
    }

    fn progress(&mut self, now: Instant, progress: Progress, desk: &mut impl Desk) {
        let received = self.sender.on_progress(now, progress.received, progress.credit);
        self.mark = self.mark.max(received);
        let done = progress.done.min(received);
        if done > 0 {
            desk.done(done);
        }
    }
}

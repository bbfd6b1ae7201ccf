//! The server's machine: any lines of any visitors at any times, and a board that has the keys and may say anything with
//! them.

use pblink_protocol::secure::frame::{Epoch, Frame, Frames, Resume};
use pblink_protocol::secure::packet::{MAX_BYTES, MAX_DOWN, Packet};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, SENT_AHEAD, Server, ServerEvent, Visitor, resolve,
};
use pblink_protocol::secure::suite::BoardSuite;
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::tcp::line::check_text;
use pblink_protocol::time::{Duration, Instant};

use crate::input::Input;
use crate::rng::Rng;
use crate::schedule::{Heard, MANY, Voice, line, step};
use crate::suite::{OfBoard, OfServer};

/// The store, and what is to be committed into it.
#[derive(Debug, Default)]
struct Store {
    rows: Vec<(u64, String)>,
    highest: u64,
    board: Option<Epoch>,
    last: u64,
    /// Lines that were taken, and not committed.
    taken: Vec<(Epoch, u64)>,
    resumes: Vec<Resume>,
    full: bool,
}

impl Desk for Store {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        assert!(check_text(line.text).is_ok());
        if self.full {
            return false;
        }
        // Behind what was taken, or what is committed. A board that skips numbers loses lines of its own.
        let before = self.taken.last().copied().or(self.board.map(|board| (board, self.last)));
        let (epoch, last) = before.expect("a board whose place is known");
        assert!(epoch == line.epoch && last < line.seq, "{} behind {last}", line.seq);
        self.taken.push((line.epoch, line.seq));
        true
    }
    fn resolve(&mut self, resume: Resume) {
        self.resumes.push(resume);
    }
    fn done(&mut self, number: u64) {
        assert!(number <= self.highest, "row {number} was never written");
        self.rows.retain(|row| row.0 > number);
    }
    fn datagram(&mut self, text: &str) {
        assert!(check_text(text).is_ok());
    }
    fn board_event(&mut self, _: u8, _: &[u8]) {}
    fn event(&mut self, _: ServerEvent) {}
}

impl Lines for Store {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let rows = &self.rows[..self.rows.len().min(SENT_AHEAD)];
        let at = rows.iter().position(|row| row.0 > after)?;
        let prev = at.checked_sub(1).map_or(0, |at| rows[at].0);
        let (seq, text) = &rows[at];
        Some(Outgoing { seq: *seq, prev, text: text.as_bytes(), written: Instant::ZERO })
    }
}

/// Visitors at a time.
const VISITORS: usize = 3;

struct World {
    now: Instant,
    suite: OfBoard,
    server: Server<OfServer>,
    acknowledges_early: bool,
    visitors: Vec<(u64, Visitor, Asked)>,
    store: Store,
    own: Epoch,
    voices: Vec<Voice>,
    heard: Heard,
    mark: u64,
    /// The last challenge, and the handshake that was begun with it.
    challenge: Option<[u8; 16]>,
    handshake: Option<(u8, u64)>,
}

/// Challenges that a visitor has got since it last gave what only a board with keys can make, and when the last one.
#[derive(Default)]
struct Asked(u8, Option<Instant>);

/// Runs an input.
pub fn run(data: &[u8]) {
    run_with(data, false);
}

/// Runs it with an owner that acknowledges lines before they are committed.
pub fn run_with(data: &[u8], acknowledges_early: bool) {
    let now = Instant::from_millis(1);
    let mut world = World {
        now,
        suite: OfBoard(Rng(2)),
        server: Server::new(OfServer(Rng(1)), 0),
        acknowledges_early,
        visitors: (0..VISITORS as u64)
            .map(|n| (n, Visitor::new(n, now), Asked::default()))
            .collect(),
        store: Store::default(),
        own: Epoch::MAX,
        voices: Vec::new(),
        heard: Heard::default(),
        mark: 0,
        challenge: None,
        handshake: None,
    };
    let mut input = Input::new(data);
    while !input.is_empty() {
        world.act(&mut input);
        assert!(world.server.mark() >= world.mark, "the mark never falls");
        world.mark = world.server.mark();
        assert!(world.server.poll_at(world.now).is_none_or(|at| at >= world.now));
    }
    world.settle();
}

impl World {
    fn act(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.byte() % 18 {
            0 => step(input, &mut self.now),
            1 => _ = self.transmit(input.byte()),
            2 => self.give(input.byte(), &line(&Packet::Ask([input.byte(); 8]))),
            3 => self.hello(input.byte()),
            4 => self.server.compute(now, 7),
            5..=8 => {
                let (at, visitor) = (usize::from(input.byte()), input.byte());
                let voices = self.voices.len();
                if voices > 0 {
                    let at = if at < 200 { voices - 1 } else { at % voices };
                    let line = self.voices[at].say(input);
                    self.trust(visitor);
                    self.give(visitor, &line);
                }
            }
            9 => {
                let (line, visitor) = (self.heard.any(input), input.byte());
                // One that was made for another visitor's challenge may be right for this one's.
                if matches!(Packet::decode(&line, &mut [0; MAX_BYTES]), Ok(Packet::Hello(_))) {
                    self.trust(visitor);
                }
                self.give(visitor, &line);
            }
            10 => {
                self.store.highest += 1 + u64::from(input.byte() & 1);
                let text = "x".repeat(1 + usize::from(input.byte()) * 4);
                self.store.rows.push((self.store.highest, text));
            }
            11 if !self.store.rows.is_empty() => {
                let at = usize::from(input.byte()) % self.store.rows.len();
                self.store.rows.remove(at);
            }
            12 | 13 => self.commit(),
            14 => self.arrive(input.byte()),
            15 => match input.byte() % 4 {
                0 => self.server.drop_keys(&mut self.store),
                1 => self.server.close(3),
                2 => self.server.set_credit(input.byte()),
                _ => self.store.full = !self.store.full,
            },
            16 => _ = self.server.send(&String::from_utf8_lossy(input.counted())),
            _ => self.server.poll(now, &mut self.store),
        }
    }

    fn give(&mut self, visitor: u8, line: &str) {
        let visitor = &mut self.visitors[usize::from(visitor) % VISITORS].1;
        self.server.on_line(self.now, visitor, line, &mut self.store);
        if self.acknowledges_early
            && let Some(&(epoch, seq)) = self.store.taken.last()
        {
            self.server.on_committed(epoch, seq);
        }
    }

    /// A visitor gives what the server may find valid: its challenges are counted anew.
    fn trust(&mut self, visitor: u8) {
        self.visitors[usize::from(visitor) % VISITORS].2.0 = 0;
    }

    /// Another connection takes the place of one.
    fn arrive(&mut self, which: u8) {
        let new = self.visitors.iter().map(|visitor| visitor.0).max().unwrap_or(0) + 1;
        let place = &mut self.visitors[usize::from(which) % VISITORS];
        self.server.on_closed(&place.1, &mut self.store);
        *place = (new, Visitor::new(new, self.now), Asked::default());
    }

    /// Makes a hello for the last challenge.
    fn hello(&mut self, which: u8) {
        let Some(challenge) = self.challenge else { return };
        let (hello, handshake) = self.suite.hello(which / 64, &challenge);
        self.handshake = Some((hello.key, handshake));
        let line = line(&Packet::Hello(hello));
        self.heard.push(&line);
        self.trust(which);
        self.give(which, &line);
    }

    /// Commits all that is to be, in order.
    fn commit(&mut self) {
        let taken = std::mem::take(&mut self.store.taken);
        if let Some(&(epoch, seq)) = taken.last() {
            self.store.last = seq;
            self.server.on_committed(epoch, seq);
        }
        for resume in std::mem::take(&mut self.store.resumes) {
            let view = match resume.peer {
                Some(epoch) if epoch == self.own => Known::Open,
                Some(epoch) if epoch.get() < 20 => Known::Closed(epoch.get()),
                _ => Known::Never,
            };
            let book = Book {
                own: self.own,
                board: self.store.board,
                last_received: self.store.last,
                view,
                highest: self.store.highest,
                highest_at_start: 0,
                mark: self.server.mark(),
            };
            let resolution = resolve(&resume, &book);
            assert!(resolution.sent <= self.store.highest);
            assert!(resolution.delivered.unwrap_or(0) <= self.store.highest);
            (self.store.board, self.store.last) = (Some(resolution.board), resolution.received);
            let gone = resolution.undetermined.max(resolution.delivered).unwrap_or(0);
            self.store.rows.retain(|row| row.0 > gone);
            self.server.on_resolved(self.now, &resolution, &mut self.store);
        }
    }

    /// Lets a visitor have what there is for it.
    fn transmit(&mut self, which: u8) -> bool {
        let now = self.now;
        for _ in 0..MANY {
            let (number, visitor, asked) = &mut self.visitors[usize::from(which) % VISITORS];
            let mut buffer = [0; MAX_DOWN];
            let said = self.server.transmit(now, visitor, &self.store, &mut buffer);
            let Some(line) = said.map(str::to_owned) else { return true };
            assert!(line.len() <= MAX_DOWN);
            self.heard.push(&line);
            match Packet::decode(&line, &mut [0; MAX_BYTES]) {
                Ok(Packet::Challenge(challenge)) => {
                    asked.0 += 1;
                    assert!(asked.0 <= 10, "ten challenges for who proves nothing");
                    let pause = Duration::from_secs(1);
                    assert!(asked.1.is_none_or(|at| now.since(at) >= pause), "one a second");
                    asked.1 = Some(now);
                    self.challenge = Some(challenge);
                }
                Ok(Packet::Reply { key, message }) => {
                    if let Some((number, handshake)) = self.handshake
                        && number == key
                        && let Some((keys, 7)) = self.suite.finish(&handshake, &message)
                    {
                        self.voices.push(Voice::new(key, keys));
                    }
                }
                Ok(Packet::Sealed { .. }) => {
                    assert_eq!(self.server.carrier(), Some(*number), "lines go to who carries");
                    let opened = self.voices.iter_mut().rev().find_map(|voice| voice.hear(&line));
                    self.check(&opened.expect("it is under a key that was made"));
                }
                other => panic!("a server says {other:?}"),
            }
        }
        false
    }

    /// Checks what a packet of the server says.
    fn check(&self, frames: &[u8]) {
        assert!(!frames.is_empty());
        for frame in Frames::new(frames) {
            match frame.expect("a server says what can be read") {
                Frame::Data(data) => {
                    let rows = &self.store.rows[..self.store.rows.len().min(SENT_AHEAD)];
                    assert!(rows.iter().any(|row| row.0 == data.seq), "a row that is there");
                    assert!(data.prev < data.seq);
                    assert!(data.piece.more || data.seq <= self.server.mark(), "marked as sent");
                }
                Frame::Resume(resume) => {
                    assert!(resume.epoch == self.own && resume.received == resume.done);
                    assert_eq!(resume.peer, self.store.board);
                }
                Frame::Progress(progress) | Frame::Pong(progress) => {
                    assert!(progress.done <= progress.received && progress.credit <= 8);
                    assert!(progress.done <= self.store.last, "acknowledged before its commit");
                }
                Frame::Datagram(_) | Frame::Close(_) => {}
                other => panic!("a server says {other:?}"),
            }
        }
    }

    /// Does what is due: there must be an end of it.
    fn settle(&mut self) {
        self.server.poll(self.now, &mut self.store);
        self.commit();
        self.server.compute(self.now, 7);
        assert!(!self.server.wants_compute());
        for visitor in 0..VISITORS as u8 {
            assert!(self.transmit(visitor), "the server sends for ever");
        }
    }
}

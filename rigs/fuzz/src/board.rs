//! The board's machine: any lines at any times, and a server that has the keys and may say anything with them.

use std::collections::VecDeque;

use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Board, MAX_EVENT, Memory, View};
use pblink_protocol::secure::frame::{Epoch, Frame, Frames, KeyOutcome};
use pblink_protocol::secure::packet::{Hello, MAX_BYTES, MAX_UP, Packet};
use pblink_protocol::secure::suite::ServerSuite;
use pblink_protocol::tcp::line::check_text;
use pblink_protocol::time::Instant;

use crate::input::Input;
use crate::rng::Rng;
use crate::schedule::{Heard, MANY, Voice, line, step};
use crate::suite::{OfBoard, OfServer};

/// Memory of a board.
#[derive(Debug)]
pub struct Ram {
    lines: VecDeque<(String, Instant)>,
    next: u64,
    view: Option<View>,
}

impl Ram {
    /// Makes an empty one.
    pub const fn new() -> Self {
        Self { lines: VecDeque::new(), next: 1, view: None }
    }
}

impl Default for Ram {
    fn default() -> Self {
        Self::new()
    }
}

/// The epoch of all boards here.
const EPOCH: Epoch = Epoch::MIN;

impl Memory for Ram {
    fn epoch(&self) -> Epoch {
        EPOCH
    }
    fn first(&self) -> u64 {
        self.next - self.lines.len() as u64
    }
    fn next(&self) -> u64 {
        self.next
    }
    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        let at = seq.checked_sub(self.first())?;
        self.lines.get(usize::try_from(at).ok()?).map(|(text, at)| (text.as_bytes(), *at))
    }
    fn push(&mut self, now: Instant, text: &str) -> Result<(), WriteError> {
        if self.lines.len() >= 20 {
            return Err(WriteError::Full);
        }
        self.lines.push_back((text.to_owned(), now));
        self.next += 1;
        Ok(())
    }
    fn free(&mut self, done: u64) {
        assert!(done < self.next, "line {done} was never written");
        while self.first() <= done && self.lines.pop_front().is_some() {}
    }
    fn view(&self) -> Option<View> {
        self.view
    }
    fn set_view(&mut self, view: View) {
        self.view = Some(view);
    }
}

/// The rest of the world.
struct World<M> {
    now: Instant,
    suite: OfServer,
    hello: Option<(Hello, [u8; 16])>,
    challenge: [u8; 16],
    voices: Vec<Voice>,
    heard: Heard,
    /// Starts of the board's program.
    starts: u64,
    board: Option<Board<OfBoard, M>>,
}

/// Runs an input.
pub fn run(data: &[u8]) {
    run_with(data, Ram::new());
}

/// Runs it with another memory.
pub fn run_with(data: &[u8], memory: impl Memory) {
    let mut world = World {
        now: Instant::from_millis(1),
        suite: OfServer(Rng(1)),
        hello: None,
        challenge: [0; 16],
        voices: Vec::new(),
        heard: Heard::default(),
        starts: 0,
        board: Some(Board::new(OfBoard(Rng(2)), memory)),
    };
    let mut input = Input::new(data);
    while !input.is_empty() {
        world.act(&mut input);
        let board = world.board.as_ref().expect("there is one");
        let memory = board.memory();
        assert!(memory.first() <= memory.next());
        assert!(board.poll_at(world.now).is_none_or(|at| at >= world.now));
    }
    world.settle();
}

impl<M: Memory> World<M> {
    fn board(&mut self) -> &mut Board<OfBoard, M> {
        self.board.as_mut().expect("there is one")
    }

    fn act(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.byte() % 18 {
            0 | 1 => step(input, &mut self.now),
            2 => self.board().on_server(now, input.byte() & 3 != 0),
            3 => _ = self.transmit(input.byte()),
            4 => {
                self.challenge = [input.byte(); 16];
                self.give(&line(&Packet::Challenge(self.challenge)));
            }
            5 => self.reply(input.byte()),
            6..=8 => {
                let at = usize::from(input.byte());
                let voices = self.voices.len();
                if voices > 0 {
                    // Mostly the newest.
                    let at = if at < 200 { voices - 1 } else { at % voices };
                    let line = self.voices[at].say(input);
                    self.give(&line);
                }
            }
            9 => {
                let line = self.heard.any(input);
                self.board().on_line(now, &line);
            }
            10 => {
                let len = usize::from(input.byte()) * 5;
                let text = "x".repeat(len);
                let before = self.board().memory().next();
                match self.board().write(now, &text) {
                    Ok(seq) => assert_eq!(seq, before),
                    Err(_) => assert_eq!(self.board().memory().next(), before),
                }
            }
            11 => {
                let line = self.board().read_line(str::to_owned);
                assert!(
                    line.is_none_or(|text| check_text(&text).is_ok() && text.len() <= MAX_TEXT)
                );
            }
            12 => self.board().accept(),
            13 => _ = self.board().send(&String::from_utf8_lossy(input.counted())),
            14 => self.board().tell(input.byte(), input.counted()),
            15 => self.board().compute(now),
            16 => self.board().set_window(input.byte()),
            _ => self.restart(input.byte()),
        }
    }

    fn give(&mut self, line: &str) {
        self.heard.push(line);
        let now = self.now;
        self.board().on_line(now, line);
    }

    /// Asks for lines until there is none.
    fn transmit(&mut self, limit: u8) -> bool {
        let now = self.now;
        for _ in 0..MANY.min(usize::from(limit).max(1)) {
            let mut buffer = [0; MAX_UP];
            let Some(line) = self.board().transmit(now, &mut buffer).map(str::to_owned) else {
                return true;
            };
            assert!(line.len() <= MAX_UP);
            self.heard.push(&line);
            match Packet::decode(&line, &mut [0; MAX_BYTES]) {
                Ok(Packet::Ask(_)) => {}
                Ok(Packet::Hello(hello)) => self.hello = Some((hello, self.challenge)),
                Ok(Packet::Sealed { .. }) => {
                    let opened = self.voices.iter_mut().rev().find_map(|voice| voice.hear(&line));
                    self.check(&opened.expect("it is under a key that was made"));
                }
                other => panic!("a board says {other:?}"),
            }
        }
        false
    }

    /// Checks what a packet of the board says.
    fn check(&mut self, frames: &[u8]) {
        assert!(!frames.is_empty());
        let next = self.board().memory().next();
        for frame in Frames::new(frames) {
            match frame.expect("a board says what can be read") {
                Frame::Data(data) => {
                    assert!(data.seq < next && data.prev == data.seq - 1);
                }
                Frame::Resume(resume) => {
                    assert!(resume.epoch == EPOCH && resume.first <= next && !resume.fresh);
                }
                Frame::Event(event) => assert!(event.bytes.len() <= MAX_EVENT),
                Frame::Progress(progress) | Frame::Ping(progress) | Frame::Pong(progress) => {
                    assert!(progress.credit <= 8);
                }
                // Its suite keeps none.
                Frame::Keyed(keyed) => assert!(keyed.outcome == KeyOutcome::Unsupported),
                Frame::Datagram(_) => {}
                Frame::Close(_) | Frame::Key(_) | Frame::Settled(_) => {
                    panic!("a board closes nothing, and gives no keys")
                }
            }
        }
    }

    /// Answers the last hello, changed or not.
    fn reply(&mut self, change: u8) {
        let Some((hello, challenge)) = self.hello else { return };
        // The challenge that it was made for may be an older one.
        if !self.suite.is_authentic(&hello, &challenge) {
            return;
        }
        let Some((keys, mut message)) = self.suite.answer(&hello, &challenge, 7) else { return };
        if change > 200 {
            message[usize::from(change) % 16] ^= change;
        } else {
            self.voices.push(Voice::new(hello.key, keys));
        }
        self.give(&line(&Packet::Reply { key: hello.key, message }));
    }

    fn restart(&mut self, power: u8) {
        // Not too often: it is the same as a new input.
        if power.is_multiple_of(4)
            && let Some(board) = self.board.take()
        {
            self.starts += 1;
            let memory = board.into_memory();
            self.board = Some(Board::new(OfBoard(Rng(2 + self.starts)), memory));
        }
    }

    /// Does what is due: there must be an end of it.
    fn settle(&mut self) {
        let now = self.now;
        let mut quiet = false;
        for _ in 0..8 {
            self.board().poll(now);
            self.board().compute(now);
            quiet = self.transmit(u8::MAX);
        }
        assert!(quiet, "the board sends for ever");
        let board = self.board();
        assert!(!board.wants_compute(now));
        let due = board.poll_at(now).is_some_and(|at| at <= now);
        assert!(!due, "the board is never done at this time");
        while board.next_event().is_some() {}
    }
}

//! A board with keys on its wires, an ESP8266 in the hands of the test, and a server.

use std::collections::VecDeque;

use crate::common::rig::{Rig, Stm};
use crate::common::world::config;
use crate::common::{Rng, span};
use crate::suite::{OfBoard, OfServer};
use pblink_protocol::app::WriteError;
use pblink_protocol::app::happening::Happening;
use pblink_protocol::app::secure::{SecureApp, SecureEvent};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::{Initiator, InitiatorTiming, Responder};
use pblink_protocol::secure::board::{Memory, View};
use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::packet::{MAX_DOWN, MAX_UP};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Server, ServerEvent, Visitor, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;

/// Memory of a board.
#[derive(Debug)]
pub struct Ram {
    lines: VecDeque<String>,
    next: u64,
    view: Option<View>,
}

impl Memory for Ram {
    fn epoch(&self) -> Epoch {
        Epoch::new(7).expect("not 0")
    }
    fn first(&self) -> u64 {
        self.next - self.lines.len() as u64
    }
    fn next(&self) -> u64 {
        self.next
    }
    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        let line = self.lines.get(seq.checked_sub(self.first())? as usize)?;
        Some((line.as_bytes(), Instant::ZERO))
    }
    fn push(&mut self, _: Instant, text: &str) -> Result<(), WriteError> {
        if self.lines.len() == 20 {
            return Err(WriteError::Full);
        }
        self.lines.push_back(text.to_owned());
        self.next += 1;
        Ok(())
    }
    fn free(&mut self, done: u64) {
        while self.first() <= done && self.lines.pop_front().is_some() {}
    }
    fn view(&self) -> Option<View> {
        self.view
    }
    fn set_view(&mut self, view: View) {
        self.view = Some(view);
    }
}

pub type App = SecureApp<OfBoard, Option<Ram>>;

impl Stm for App {
    fn exchange(&mut self) -> &mut Initiator {
        SecureApp::exchange(self)
    }
    fn poll(&mut self, now: Instant) {
        SecureApp::poll(self, now);
        if self.wants_compute(now) {
            self.compute(now);
        }
    }
    fn poll_at(&self, now: Instant) -> Option<Instant> {
        SecureApp::poll_at(self, now)
    }
}

/// The server's desk.
#[derive(Debug, Default)]
pub struct Notes {
    pub lines: Vec<String>,
    pub resumes: Vec<Resume>,
    pub told: Vec<Happening>,
    pub datagrams: Vec<String>,
    pub done: u64,
    pub last: Option<(Epoch, u64)>,
}

impl Desk for Notes {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        self.lines.push(line.text.to_owned());
        self.last = Some((line.epoch, line.seq));
        true
    }
    fn resolve(&mut self, resume: Resume) {
        self.resumes.push(resume);
    }
    fn done(&mut self, number: u64) {
        self.done = self.done.max(number);
    }
    fn datagram(&mut self, text: &str) {
        self.datagrams.push(text.to_owned());
    }
    fn board_event(&mut self, kind: u8, bytes: &[u8]) {
        self.told.push(Happening::decode(kind, bytes).expect("a kind that is known"));
    }
    fn event(&mut self, _: ServerEvent) {}
}

/// Lines for the board.
#[derive(Debug, Default)]
pub struct Rows(pub Vec<String>);

impl Lines for Rows {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let text = self.0.get(after as usize)?.as_bytes();
        Some(Outgoing { seq: after + 1, prev: after, text, written: Instant::ZERO })
    }
}

/// A board on its wires, an ESP8266 that is in the hands of the test, and a server.
pub struct World {
    pub rig: Rig<App, Responder>,
    pub server: Server<OfServer>,
    pub visitor: Visitor,
    pub notes: Notes,
    pub rows: Rows,
    pub board: Option<Epoch>,
    /// Lines that the ESP8266 has taken from the board, without header.
    pub taken: Vec<String>,
    /// Lines for the board that wait for the wires.
    pub for_board: VecDeque<String>,
    /// Lines pass between ESP8266 and server.
    pub connected: bool,
    pub events: Vec<SecureEvent>,
}

impl World {
    /// A board of which the ESP8266 has its configuration.
    pub fn new() -> Self {
        let mut app = App::idle(None);
        app.configure(&config(), InitiatorTiming::default()).expect("a configuration");
        app.set_keys(OfBoard(Rng(1)), Some(Ram { lines: VecDeque::new(), next: 1, view: None }));
        let mut rig = Rig::new(app);
        let now = rig.now;
        rig.stm.start(now);
        rig.settle();
        let mut world = Self {
            rig,
            server: Server::new(OfServer(Rng(2)), 0),
            visitor: Visitor::new(1, now),
            notes: Notes::default(),
            rows: Rows::default(),
            board: None,
            taken: Vec::new(),
            for_board: VecDeque::new(),
            connected: false,
            events: Vec::new(),
        };
        world.configured();
        world
    }

    /// Waits for the configuration, and takes it.
    pub fn configured(&mut self) {
        self.rig.until(span(20_000), |rig| rig.stm.is_running());
        self.rig.run(span(10));
        let esp = self.esp();
        assert!(esp.received().starts_with(b"["));
        esp.consume(200);
    }

    /// Up to the server, through our ESP8266, or a published one.
    pub fn up(ours: bool) -> Self {
        let mut world = Self::new();
        if ours {
            world.for_board.push_back("k".into());
        }
        world.connect();
        world.until(10_000, |world| world.app().server_up());
        world
    }

    pub fn connect(&mut self) {
        self.for_board.push_back("u".into());
        self.connected = true;
        self.visitor = Visitor::new(self.rig.now.as_micros(), self.rig.now);
    }

    /// The ESP8266 says that it has no server any more.
    pub fn lose(&mut self) {
        self.for_board.push_back("d".into());
        self.connected = false;
        self.until(10_000, |w| !w.app().has_carrier());
    }

    /// Lets seconds pass, in which the ESP8266 says that it lives, and takes what it is given.
    pub fn live(&mut self, seconds: u32) {
        for second in 0..seconds {
            self.run(1000);
            let Some(esp) = &mut self.rig.esp else { continue };
            let payload = esp.received().len();
            esp.consume(payload);
            if second % 2 == 0 {
                self.for_board.push_back("k".into());
            }
        }
    }

    pub fn esp(&mut self) -> &mut Responder {
        self.rig.esp.as_mut().expect("it has booted")
    }

    pub fn app(&mut self) -> &mut App {
        &mut self.rig.stm
    }

    pub fn now(&self) -> Instant {
        self.rig.now
    }

    pub fn write(&mut self, text: &str, delivery: Delivery) -> Result<Option<u64>, WriteError> {
        let now = self.now();
        let written = self.app().write(now, text, delivery);
        self.rig.settle();
        written
    }

    pub fn read(&mut self) -> Option<String> {
        let now = self.now();
        let line = self.app().read_line(now, str::to_owned);
        self.rig.settle();
        line
    }

    /// Lets a millisecond pass, and moves what can be moved.
    pub fn step(&mut self) {
        self.rig.run(span(1));
        let now = self.now();
        while let Some(event) = self.app().next_event() {
            self.events.push(event);
        }
        if self.rig.esp.is_none() {
            (self.connected, self.for_board) = (false, VecDeque::new());
            return;
        }
        if self.connected {
            let payload = self.esp().received().to_vec();
            self.esp().consume(payload.len());
            let payload = String::from_utf8(payload).expect("text");
            for line in payload.lines() {
                assert!(line.starts_with('0') && line.len() <= 1 + MAX_UP, "no qos: {line}");
                self.taken.push(line[1..].to_owned());
                self.server.on_line(now, &mut self.visitor, &line[1..], &mut self.notes);
            }
            self.server.compute(now, 1_800_000_000_000);
            self.commit(now);
            let buffer = &mut [0; MAX_DOWN];
            while let Some(line) = self.server.transmit(now, &mut self.visitor, &self.rows, buffer)
            {
                self.for_board.push_back(format!("n{line}"));
            }
        }
        if self.esp().can_submit()
            && let Some(mut line) = self.for_board.pop_front()
        {
            line.push('\n');
            assert_eq!(self.esp().submit(line.as_bytes()), line.len());
            self.rig.poll_esp();
        }
    }

    pub fn commit(&mut self, now: Instant) {
        for resume in std::mem::take(&mut self.notes.resumes) {
            let highest = self.rows.0.len() as u64;
            let book = Book {
                own: Epoch::new(99).expect("not 0"),
                board: self.board,
                last_received: self.notes.last.map_or(0, |(_, seq)| seq),
                view: resume.peer.map_or(Known::Never, |_| Known::Open),
                highest,
                highest_at_start: 0,
                mark: self.server.mark(),
            };
            let resolution = resolve(&resume, &book);
            self.board = Some(resolution.board);
            self.server.on_resolved(now, &resolution, &mut self.notes);
        }
        if let Some((epoch, seq)) = self.notes.last {
            self.server.on_committed(epoch, seq);
        }
    }

    pub fn run(&mut self, millis: u64) {
        (0..millis).for_each(|_| self.step());
    }

    pub fn until(&mut self, millis: u64, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..millis {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("not done within {millis} ms; taken: {:?}", self.taken);
    }
}

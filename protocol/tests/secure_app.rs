//! The application base with keys, on virtual wires: what its ESP8266 sees, and what the session behind it does.

use std::collections::VecDeque;

use crate::common::rig::{Rig, Stm};
use crate::common::world::config;
use crate::common::{Rng, span};
use crate::suite::{OfBoard, OfServer};
use pblink_protocol::app::happening::{Happening, RestartCause};
use pblink_protocol::app::secure::{SecureApp, SecureEvent};
use pblink_protocol::app::{AppEvent, ResetCause, WriteError};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::{Initiator, InitiatorTiming, Responder};
use pblink_protocol::report::Report;
use pblink_protocol::secure::board::{BoardState, Memory, View};
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
struct Notes {
    lines: Vec<String>,
    resumes: Vec<Resume>,
    told: Vec<Happening>,
    datagrams: Vec<String>,
    done: u64,
    last: Option<(Epoch, u64)>,
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
struct Rows(Vec<String>);

impl Lines for Rows {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let text = self.0.get(after as usize)?.as_bytes();
        Some(Outgoing { seq: after + 1, prev: after, text, written: Instant::ZERO })
    }
}

/// A board on its wires, an ESP8266 that is in the hands of the test, and a server.
pub struct World {
    pub rig: Rig<App, Responder>,
    server: Server<OfServer>,
    visitor: Visitor,
    notes: Notes,
    rows: Rows,
    board: Option<Epoch>,
    /// Lines that the ESP8266 has taken from the board, without header.
    taken: Vec<String>,
    /// Lines for the board that wait for the wires.
    for_board: VecDeque<String>,
    /// Lines pass between ESP8266 and server.
    pub connected: bool,
    events: Vec<SecureEvent>,
}

impl World {
    /// A board of which the ESP8266 has its configuration.
    fn new() -> Self {
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
    fn configured(&mut self) {
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

    fn connect(&mut self) {
        self.for_board.push_back("u".into());
        self.connected = true;
        self.visitor = Visitor::new(self.rig.now.as_micros(), self.rig.now);
    }

    /// The ESP8266 says that it has no server any more.
    fn lose(&mut self) {
        self.for_board.push_back("d".into());
        self.connected = false;
        self.until(10_000, |w| !w.app().has_carrier());
    }

    /// Lets seconds pass, in which the ESP8266 says that it lives, and takes what it is given.
    fn live(&mut self, seconds: u32) {
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

    fn now(&self) -> Instant {
        self.rig.now
    }

    pub fn write(&mut self, text: &str, delivery: Delivery) -> Result<Option<u64>, WriteError> {
        let now = self.now();
        let written = self.app().write(now, text, delivery);
        self.rig.settle();
        written
    }

    fn read(&mut self) -> Option<String> {
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

    fn commit(&mut self, now: Instant) {
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

#[test]
fn lines_pass_both_ways_and_are_done_when_the_server_has_them() {
    let mut w = World::up(true);
    assert!(w.events.contains(&SecureEvent::App(AppEvent::Server(true))));
    assert!(w.events.contains(&SecureEvent::Time(1_800_000_000_000)));
    assert!(w.app().is_flushed());
    let number = w.write("up", Delivery::ORDERED).expect("there is room").expect("a number");
    assert!(!w.app().is_done(number) && !w.app().is_flushed());
    assert_eq!(w.write("perhaps", Delivery::BestEffort), Ok(None));
    assert_eq!(w.write("perhaps too", Delivery::BestEffort), Err(WriteError::Full));
    w.rows.0.push("down".into());
    w.until(1000, |w| w.app().is_done(number) && w.app().is_flushed());
    assert_eq!(
        (&w.notes.lines[..], &w.notes.datagrams[..]),
        (&["up".into()][..], &["perhaps".into()][..])
    );
    w.until(1000, |w| w.read().is_some_and(|line| line == "down"));
    assert_eq!(w.notes.done, 0, "the application may still be at it");
    let now = w.now();
    w.app().accept(now);
    w.until(1000, |w| w.notes.done == 1);
    assert!(matches!(w.write("a\nb", Delivery::BestEffort), Err(WriteError::Text(_))));
    assert_eq!(w.write(&"x".repeat(1025), Delivery::BestEffort), Err(WriteError::TooLong));
}

#[test]
fn the_application_hears_nothing_of_new_keys_but_the_time() {
    let mut w = World::up(true);
    // Not before the pause after the last handshake is over.
    w.run(3000);
    w.events.clear();
    w.for_board.push_back("k".into());
    // As a server answers what none of its keys opens, and as a board asks for each day.
    let now = w.now();
    w.server.on_line(now, &mut w.visitor, "~tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &mut w.notes);
    let hellos = |w: &World| w.taken.iter().filter(|line| line.starts_with("~h")).count();
    let before = hellos(&w);
    let mut written = 0;
    for _ in 0..20 {
        w.write(&format!("line {written}"), Delivery::ORDERED).expect("there is room");
        written += 1;
        for _ in 0..100 {
            w.step();
            assert!(w.app().server_up());
        }
    }
    assert_eq!(hellos(&w), before + 1);
    w.until(2000, |w| w.app().is_flushed());
    assert_eq!(w.events, [SecureEvent::Time(1_800_000_000_000)]);
    let expected: Vec<_> = (0..written).map(|n| format!("line {n}")).collect();
    assert_eq!(w.notes.lines, expected);
}

#[test]
fn a_line_that_cannot_be_sent_yet_waits_in_the_session_and_makes_no_packet() {
    let mut w = World::new();
    for n in 0..20 {
        assert_eq!(w.write(&format!("line {n}"), Delivery::ORDERED), Ok(Some(n + 1)));
    }
    assert_eq!(w.write("no room", Delivery::ORDERED), Err(WriteError::Full));
    w.run(3000);
    assert_eq!(w.esp().received(), b"", "there is no server");
    w.for_board.push_back("k".into());
    w.connect();
    w.until(10_000, |w| w.app().is_flushed());
    assert_eq!(w.notes.lines, (0..20).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[test]
fn packets_are_never_repeated_and_none_outlives_its_esp8266() {
    let mut w = World::up(true);
    for crash in 0..5 {
        for n in 0..4 {
            w.write(&format!("line {crash} {n}"), Delivery::ORDERED).expect("there is room");
        }
        // The ESP8266 dies with what it has taken, and with a packet on the wires.
        w.connected = false;
        w.run(5 + 7 * crash);
        w.rig.hung = true;
        let now = w.now();
        w.until(10_000, |w| w.rig.esp.is_none());
        assert!(!w.app().server_up());
        w.until(10_000, |w| w.rig.esp.is_some());
        w.configured();
        w.run(300);
        assert_eq!(w.esp().received(), b"", "a packet for the one before");
        w.for_board.push_back("k".into());
        w.connect();
        w.until(10_000, |w| w.app().is_flushed());
        assert!(w.now().since(now) < span(8000), "no new handshake is needed");
    }
    let expected: Vec<_> =
        (0..5).flat_map(|crash| (0..4).map(move |n| format!("line {crash} {n}"))).collect();
    assert_eq!(w.notes.lines, expected);
    let all = w.taken.len();
    w.taken.sort();
    w.taken.dedup();
    assert_eq!(w.taken.len(), all, "each packet is unlike any other");
    assert_eq!(w.taken.iter().filter(|line| line.starts_with("~h")).count(), 1, "keys stay");
    let resets = w.notes.told.iter().filter(|it| matches!(it, Happening::Reset(_))).count();
    assert_eq!(resets, 5, "the server learns of each: {:?}", w.notes.told);
}

#[test]
fn a_keepalive_before_the_first_server_tells_our_esp8266_and_widens_the_window() {
    // A server that goes and comes back changes nothing in it.
    for (ours, most, loses) in
        [(true, 8, false), (false, 2, false), (true, 8, true), (false, 2, true)]
    {
        let mut w = World::up(ours);
        if loses {
            w.lose();
            w.live(10);
            w.connect();
            w.until(10_000, |w| w.app().server_up());
        }
        // So long that each fills a packet; the server takes them and says nothing.
        w.run(1000);
        w.taken.clear();
        for _ in 0..12 {
            w.write(&"x".repeat(112), Delivery::ORDERED).expect("there is room");
        }
        w.connected = false;
        let mut packets = 0;
        for _ in 0..400 {
            w.step();
            let payload = w.esp().received().len();
            w.esp().consume(payload);
            packets += usize::from(payload > 0);
        }
        assert_eq!(packets, most);
    }
}

#[test]
fn the_esp8266_is_reset_when_nothing_valid_comes_through_it() {
    let mut w = World::new();
    w.for_board.push_back("k".into());
    w.for_board.push_back("u".into());
    // It keeps saying that it lives, and takes what it is given.
    for second in 0.. {
        w.run(1000);
        if w.app().resets() == 1 {
            assert!((29..=31).contains(&second), "{second}");
            break;
        }
        let payload = w.esp().received().len();
        w.esp().consume(payload);
        if second % 2 == 0 {
            w.for_board.push_back("k".into());
        }
    }
    let cause = AppEvent::Reset(ResetCause::Unproven);
    assert!(
        w.events.contains(&SecureEvent::App(cause)) && w.events.contains(&SecureEvent::NoAnswer)
    );
    w.until(10_000, |w| w.rig.esp.is_some());
    w.configured();
    w.for_board.push_back("k".into());
    w.connect();
    w.until(10_000, |w| w.notes.told == [Happening::Reset(ResetCause::Unproven)]);
}

/// One that takes nothing from its server any more never says that it has one: only time tells.
#[test]
fn an_esp8266_that_finds_no_server_any_more_is_reset_after_five_minutes() {
    let mut w = World::up(true);
    // A server that comes back begins the time anew.
    for seconds in [290, 20] {
        w.lose();
        w.live(seconds);
        assert_eq!(w.app().resets(), 0);
        w.connect();
        w.until(10_000, |w| w.app().server_up());
    }
    w.lose();
    w.live(298);
    assert_eq!(w.app().resets(), 0);
    w.live(4);
    assert_eq!(w.app().resets(), 1);
    assert!(w.events.contains(&SecureEvent::App(AppEvent::Reset(ResetCause::NoServer))));
}

/// Its ESP8266 reports before there is a link, is reset, and reports again: nothing of that takes the place of the cause.
#[test]
fn the_cause_of_a_start_is_told_once_whatever_else_there_is_to_tell() {
    let mut w = World::new();
    w.app().tell_restart(RestartCause::BrownOut);
    let now = w.now();
    w.app().reboot(now);
    w.rig.settle();
    w.until(10_000, |w| w.rig.esp.is_some());
    w.configured();
    w.for_board.push_back("k".into());
    w.connect();
    w.until(10_000, |w| w.app().server_up());
    w.for_board.push_back("r[1, 2, 3]".into());
    w.until(10_000, |w| w.notes.told.len() == 3);
    let report = Report { connects: 1, number: 2, mem_free: 3 };
    let expected = [
        Happening::Restart(RestartCause::BrownOut),
        Happening::Reset(ResetCause::Requested),
        Happening::Report(report),
    ];
    assert_eq!(w.notes.told, expected);
    // A board without keys has nobody to tell it to.
    let mut classic = App::idle(None);
    classic.tell_restart(RestartCause::BrownOut);
    assert!(!classic.is_secure());
}

#[test]
fn reports_go_to_the_server_as_events_and_lines_of_strangers_nowhere() {
    let mut w = World::up(true);
    w.for_board.push_back("r[1, 2, 3]".into());
    w.for_board.push_back("nhello, I am a server".into());
    let report = Report { connects: 1, number: 2, mem_free: 3 };
    w.until(1000, |w| w.notes.told == [Happening::Report(report)]);
    assert!(w.events.contains(&SecureEvent::App(AppEvent::Report(report))));
    w.run(500);
    assert_eq!((w.read(), w.app().board().stats().plain), (None, 1));
    assert_eq!(w.notes.lines, Vec::<String>::new());
}

/// Arithmetic on the curve takes longer than anybody should wait on the wires.
#[test]
fn arithmetic_waits_for_the_end_of_an_exchange() {
    let mut w = World::new();
    // The second challenge waits until 2 s after the first.
    for line in ["k", "u", "n~cAAAAAAAAAAAAAAAAAAAAAA", "d", "u", "n~cAAAAAAAAAAAAAAAAAAAAAA"] {
        w.for_board.push_back(line.into());
        w.run(150);
        w.esp().consume(200);
    }
    w.run(1000);
    // From now on an exchange is under way, in which the ESP8266 is slow.
    w.rig.hung = true;
    w.run(600);
    let now = w.now();
    assert_eq!(w.app().resets(), 0, "the exchange has not failed");
    assert!(w.app().board().wants_compute(now) && !w.app().wants_compute(now));
    w.app().close(now);
    assert!(!w.app().server_up() && w.app().board().state() == BoardState::Down);
}

#[test]
fn without_keys_it_is_an_application_base() {
    // As a firmware makes it in a static.
    const IDLE: App = App::idle(None);
    let mut app = IDLE;
    app.configure(&config(), InitiatorTiming::default()).expect("a configuration");
    let mut rig: Rig<App, Responder> = Rig::new(app);
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    rig.until(span(5000), |rig| rig.stm.is_running());
    rig.run(span(10));
    rig.esp.as_mut().expect("it has booted").consume(200);
    assert!(!rig.stm.is_secure());
    let now = rig.now;
    assert_eq!(rig.stm.write(now, "plain", Delivery::ORDERED), Ok(None));
    rig.run(span(300));
    let esp = rig.esp.as_mut().expect("it has booted");
    assert_eq!(esp.received(), b"3plain\n");
    esp.consume(200);
    esp.submit(b"u\nnhello\n");
    rig.run(span(300));
    let now = rig.now;
    assert!(rig.stm.server_up() && rig.stm.is_flushed());
    assert_eq!(rig.stm.read_line(now, str::to_owned).as_deref(), Some("hello"));
    let events: Vec<_> = std::iter::from_fn(|| rig.stm.next_event()).collect();
    assert!(events.contains(&SecureEvent::App(AppEvent::Server(true))), "{events:?}");
}

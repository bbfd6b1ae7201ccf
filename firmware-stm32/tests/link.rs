//! Handle and runner on the host: the protocol's ESP8266 on wires without time, and a clock that the
//! test moves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use embassy_futures::select::{Either, select};
use embassy_time::{MockDriver, Timer};
use pblink_protocol::MAX_TEXT;
use pblink_protocol::coprocessor::{Command, Coprocessor};
use pblink_protocol::i2c::{BusFault, ResponderAction};
use pblink_protocol::time::{Duration, Instant};
use pblink_stm32::hardware::{BusEvent, Hardware, SlaveBus, Watchdog, Wires};
use pblink_stm32::settings::Settings;
use pblink_stm32::{Delivery, Handle, Hooks, Line, Options, ResetCause, State, Status, WriteError};

/// The clock is one for the whole process.
static CLOCK: Mutex<()> = Mutex::new(());

fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

#[derive(Default)]
enum Armed {
    #[default]
    Nothing,
    Tx(Vec<u8>),
    Rx(usize),
}

/// Everything on the other side of the pins. The server acknowledges every line and sends it back.
#[derive(Default)]
struct Sim {
    esp: Option<Coprocessor>,
    boot_at: Option<Instant>,
    absent: bool,
    syn: bool,
    ack: bool,
    edges: VecDeque<bool>,
    armed: Armed,
    events: VecDeque<BusEvent>,
    received: Vec<u8>,
    bus_resets: u32,
    /// Bytes of the server that were not understood yet, and what it has got.
    stream: Vec<u8>,
    hello: bool,
    got: Vec<String>,
    mid: u8,
    fed: u32,
    hooks: Vec<String>,
}

#[derive(Clone)]
struct Shared(Rc<RefCell<Sim>>);

impl Sim {
    fn drive_ack(&mut self, level: bool) {
        if self.ack != level {
            self.ack = level;
            self.edges.push_back(level);
        }
    }

    fn pump(&mut self) {
        let now = now();
        if self.boot_at.is_some_and(|at| now >= at) && !self.absent {
            self.boot_at = None;
            self.esp = Some(Coprocessor::new(self.syn));
        }
        let Some(mut esp) = self.esp.take() else { return };
        for _ in 0..20 {
            esp.poll(now);
            while let Some(action) = esp.exchange().next_action() {
                match (action, std::mem::take(&mut self.armed)) {
                    (ResponderAction::Ack(level), armed) => {
                        self.armed = armed;
                        self.drive_ack(level);
                        esp.exchange().on_ack_set(now);
                    }
                    (ResponderAction::Read(n), Armed::Tx(bytes)) if bytes.len() == n => {
                        esp.exchange().on_read(now, &bytes);
                        self.events.push_back(BusEvent::Sent);
                    }
                    (ResponderAction::Write, Armed::Rx(n)) => {
                        self.received = esp.exchange().tx_bytes().to_vec();
                        assert_eq!(self.received.len(), n);
                        esp.exchange().on_written(now);
                        self.events.push_back(BusEvent::Received);
                    }
                    (_, armed) => {
                        self.armed = armed;
                        esp.exchange().on_bus_fault(now, BusFault::NoAddress);
                    }
                }
            }
            while let Some(command) = esp.next_command() {
                match command {
                    Command::JoinRemembered | Command::Join => esp.on_wifi(now, true),
                    Command::Connect => {
                        self.hello = false;
                        esp.on_connected(now);
                    }
                    Command::Disconnect => {}
                }
            }
            let mut bytes = [0; 128];
            let n = esp.transmit(now, &mut bytes);
            self.stream.extend_from_slice(&bytes[..n]);
            let answer = self.serve();
            esp.on_bytes(now, &answer);
        }
        self.esp = Some(esp);
    }

    fn serve(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        while let Some(end) = self.stream.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = self.stream.drain(..=end).take(end).collect();
            if !std::mem::replace(&mut self.hello, true) {
                assert_eq!(line, b"1");
            }
            // A keepalive, for everything.
            answer.push(b'\n');
            if line.len() > 2 {
                let text = String::from_utf8(line[2..].to_vec()).expect("UTF-8");
                answer.extend_from_slice(&line[..2]);
                answer.extend_from_slice(format!("\n{:02x}{text}\n", self.mid).as_bytes());
                self.mid = self.mid.checked_add(1).unwrap_or(1);
                self.got.push(text);
            }
        }
        answer
    }
}

impl SlaveBus for Shared {
    fn arm_tx(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().armed = Armed::Tx(bytes.to_vec());
    }
    fn arm_rx(&mut self, len: usize) {
        self.0.borrow_mut().armed = Armed::Rx(len);
    }
    fn reset(&mut self) {
        let mut sim = self.0.borrow_mut();
        sim.armed = Armed::Nothing;
        sim.events.clear();
        sim.bus_resets += 1;
    }
    fn received(&self) -> &[u8] {
        // The runner looks at it at once; leaking a few bytes keeps the test simple.
        Box::leak(self.0.borrow().received.clone().into_boxed_slice())
    }
    fn poll_event(&mut self, _: &Waker) -> Poll<BusEvent> {
        self.0.borrow_mut().events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Wires for Shared {
    fn set_syn(&mut self, high: bool) {
        let mut sim = self.0.borrow_mut();
        sim.syn = high;
        if let Some(esp) = &mut sim.esp {
            esp.exchange().on_syn(now(), high);
        }
    }
    fn set_reset(&mut self, active: bool) {
        let mut sim = self.0.borrow_mut();
        if active {
            sim.esp = None;
            sim.boot_at = None;
            sim.stream.clear();
            sim.drive_ack(true);
        } else {
            sim.boot_at = Some(now() + Duration::from_millis(60));
        }
    }
    fn initial_ack(&self) -> bool {
        self.0.borrow().ack
    }
    fn poll_ack(&mut self, _: &Waker) -> Poll<bool> {
        self.0.borrow_mut().edges.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Watchdog for Shared {
    fn feed(&mut self) {
        self.0.borrow_mut().fed += 1;
    }
}

impl Hooks for Shared {
    fn server_ok(&mut self, up: bool) {
        self.0.borrow_mut().hooks.push(format!("server {up}"));
    }
    fn reset(&mut self, cause: ResetCause) {
        self.0.borrow_mut().hooks.push(format!("reset {cause:?}"));
    }
}

/// Runs `body` beside a runner.
fn with_link(body: impl AsyncFnOnce(Handle<'_>, Rc<RefCell<Sim>>)) {
    let _clock: MutexGuard<'_, ()> = CLOCK.lock().unwrap_or_else(|e| e.into_inner());
    let sim = Rc::new(RefCell::new(Sim { ack: true, syn: true, ..Sim::default() }));
    let shared = Shared(sim.clone());
    let mut state = State::new();
    let reset_pulse = Duration::from_millis(200);
    let hardware =
        Hardware { bus: shared.clone(), wires: shared.clone(), reset_pulse, vault: None };
    let config = Settings::built_in().config;
    let made = pblink_stm32::new(
        &mut state,
        &config,
        hardware,
        shared.clone(),
        shared,
        Options::default(),
    );
    let (link, runner) = made.expect("the built-in configuration is good");
    let mut both = pin!(select(runner.run(), body(link, sim.clone())));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..400_000 {
        if let Poll::Ready(Either::Second(())) = both.as_mut().poll(&mut context) {
            return;
        }
        sim.borrow_mut().pump();
        MockDriver::get().advance(embassy_time::Duration::from_micros(500));
    }
    panic!("not done after 200 s: {:?}, {:?}", sim.borrow().hooks, sim.borrow().got);
}

#[test]
fn lines_come_back_in_order() {
    with_link(async |link, _| {
        assert_eq!(link.status(), Status::NoEsp);
        link.start().await;
        let mut line = Line::new();
        for n in 0..30 {
            let text = format!("{n} {}", "z".repeat(n * 34));
            assert_eq!(link.write(&text, Delivery::ORDERED).await, Ok(()));
            link.readline(&mut line).await;
            assert_eq!(line.as_str(), text);
        }
        assert!(link.status().is_up());
        link.flush().await;
        assert!(!link.try_readline(&mut line));
        assert_eq!(link.counters().resets, 0);
        assert!(link.counters().exchanges > 60);
    });
}

#[test]
fn what_cannot_be_a_line_is_refused_and_a_full_queue_waits() {
    with_link(async |link, sim| {
        let long = "x".repeat(MAX_TEXT + 1);
        assert_eq!(link.write(&long, Delivery::ORDERED).await, Err(WriteError::TooLong));
        assert!(matches!(link.write("", Delivery::ORDERED).await, Err(WriteError::Text(_))));
        assert!(matches!(link.write("a\nb", Delivery::ORDERED).await, Err(WriteError::Text(_))));
        assert_eq!(link.write("ends with one\n", Delivery::ORDERED).await, Ok(()));
        let text = &long[1..];
        let mut taken = 0;
        while link.try_write(text, Delivery::ORDERED).is_ok() {
            taken += 1;
        }
        assert_eq!(link.try_write(text, Delivery::ORDERED), Err(WriteError::Full));
        assert_eq!(taken, 1);
        // The same, waiting: it continues when the ESP8266 has taken some.
        assert_eq!(link.write(text, Delivery::ORDERED).await, Ok(()));
        let mut line = Line::new();
        for expected in ["ends with one", text, text] {
            link.readline(&mut line).await;
            assert_eq!(line, expected);
        }
        assert_eq!(sim.borrow().got.len(), 3);
    });
}

#[test]
fn several_tasks_share_a_link() {
    with_link(async |link, _| {
        let reader = async || {
            let (mut line, mut got) = (Line::new(), 0);
            while got < 10 {
                link.readline(&mut line).await;
                got += 1;
            }
        };
        let writer = async |name: &str| {
            for n in 0..10 {
                assert_eq!(link.write(&format!("{name} {n}"), Delivery::UNORDERED).await, Ok(()));
            }
        };
        let readers = embassy_futures::join::join(reader(), reader());
        let writers = embassy_futures::join::join(writer("a"), writer("b"));
        embassy_futures::join::join(readers, writers).await;
    });
}

#[test]
fn closing_keeps_lines_and_rebooting_sends_them() {
    with_link(async |link, sim| {
        link.start().await;
        while !link.status().is_up() {
            Timer::after_millis(10).await;
        }
        link.close();
        assert_eq!(link.status(), Status::Closed);
        assert_eq!(link.write("kept", Delivery::ORDERED).await, Ok(()));
        Timer::after_secs(20).await;
        assert!(sim.borrow().got.is_empty() && sim.borrow().syn, "syn makes the ESP8266 wait");
        link.reboot();
        assert_eq!(link.status(), Status::NoEsp);
        let mut line = Line::new();
        link.readline(&mut line).await;
        assert_eq!((line.as_str(), link.counters().resets), ("kept", 1));
        assert_eq!(
            sim.borrow().hooks,
            ["server true", "server false", "reset Requested", "server true"]
        );
    });
}

#[test]
fn without_an_esp_the_runner_resets_it_again_and_feeds_the_watchdog() {
    with_link(async |link, sim| {
        sim.borrow_mut().absent = true;
        let (fed, bus) = (sim.borrow().fed, sim.borrow().bus_resets);
        // After 10, 20 and 40 s.
        Timer::after_secs(75).await;
        assert_eq!(link.status(), Status::NoEsp);
        assert_eq!(link.counters().resets, 3);
        assert!(sim.borrow().hooks.iter().all(|h| h == "reset Exchange(NoBoot)"));
        assert!(sim.borrow().bus_resets - bus >= 3, "the peripheral first");
        // At least once a second.
        assert!(sim.borrow().fed - fed >= 75);
        sim.borrow_mut().absent = false;
        link.start().await;
        assert_eq!(link.write("there", Delivery::ORDERED).await, Ok(()));
        let mut line = Line::new();
        link.readline(&mut line).await;
        assert_eq!(line, "there");
    });
}

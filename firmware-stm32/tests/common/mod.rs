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
use embassy_time::MockDriver;
use pblink_protocol::coprocessor::{Command, Coprocessor};
use pblink_protocol::i2c::{BusFault, ResponderAction};
use pblink_protocol::time::{Duration, Instant};
use pblink_stm32::hardware::{BusEvent, Hardware, SlaveBus, Watchdog, Wires};
use pblink_stm32::secure::Vault;
use pblink_stm32::settings::Settings;
use pblink_stm32::{Handle, Hooks, Options, ResetCause, RestartCause, State};

/// The clock is one for the whole process.
static CLOCK: Mutex<()> = Mutex::new(());

pub fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

#[derive(Default)]
pub enum Armed {
    #[default]
    Nothing,
    Tx(Vec<u8>),
    Rx(usize),
}

/// Everything on the other side of the pins. The server acknowledges every line and sends it back.
#[derive(Default)]
pub struct Sim {
    pub esp: Option<Coprocessor>,
    pub boot_at: Option<Instant>,
    pub absent: bool,
    pub syn: bool,
    pub ack: bool,
    pub edges: VecDeque<bool>,
    pub armed: Armed,
    pub events: VecDeque<BusEvent>,
    pub received: Vec<u8>,
    pub bus_resets: u32,
    /// Bytes of the server that were not understood yet, and what it has got.
    pub stream: Vec<u8>,
    pub hello: bool,
    pub got: Vec<String>,
    pub mid: u8,
    pub fed: u32,
    pub hooks: Vec<String>,
    /// The server's end of a secure link, in the place of the one that returns lines.
    pub far_end: Option<Box<dyn FarEnd>>,
}

/// The server's end of a secure link.
pub trait FarEnd {
    /// A connection is there.
    fn connected(&mut self, now: Instant);
    /// Takes lines of the board, and returns those for it.
    fn exchange(&mut self, now: Instant, lines: Vec<String>) -> Vec<String>;
}

#[derive(Clone)]
pub struct Shared(Rc<RefCell<Sim>>);

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
                    Command::Leave => {}
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
        let mut packets = Vec::new();
        while let Some(end) = self.stream.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = self.stream.drain(..=end).take(end).collect();
            if !std::mem::replace(&mut self.hello, true) {
                assert_eq!(line, b"1");
                if let Some(far_end) = &mut self.far_end {
                    far_end.connected(now());
                }
            }
            // A keepalive, for everything.
            answer.push(b'\n');
            if line.len() > 2 {
                let text = String::from_utf8(line[2..].to_vec()).expect("UTF-8");
                if self.far_end.is_some() {
                    // The first line of a session is guaranteed, whatever it was sent as.
                    answer.extend_from_slice(&line[..2]);
                    answer.push(b'\n');
                    packets.push(text);
                    continue;
                }
                answer.extend_from_slice(&line[..2]);
                answer.extend_from_slice(format!("\n{:02x}{text}\n", self.mid).as_bytes());
                self.mid = self.mid.checked_add(1).unwrap_or(1);
                self.got.push(text);
            }
        }
        if let Some(far_end) = self.far_end.as_mut().filter(|_| self.hello) {
            for line in far_end.exchange(now(), packets) {
                answer.extend_from_slice(format!("00{line}\n").as_bytes());
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
#[allow(dead_code, reason = "not all tests use both")]
pub fn with_link(body: impl AsyncFnOnce(Handle<'_>, Rc<RefCell<Sim>>)) {
    run(None, None, body);
}

/// Runs `body` beside the runner of a board that has these keys, if any.
pub fn run(
    vault: Option<Vault>,
    far_end: Option<Box<dyn FarEnd>>,
    body: impl AsyncFnOnce(Handle<'_>, Rc<RefCell<Sim>>),
) {
    let _clock: MutexGuard<'_, ()> = CLOCK.lock().unwrap_or_else(|e| e.into_inner());
    let sim = Rc::new(RefCell::new(Sim { ack: true, syn: true, far_end, ..Sim::default() }));
    let shared = Shared(sim.clone());
    let mut state = State::new();
    let reset_pulse = Duration::from_millis(200);
    let (bus, wires) = (shared.clone(), shared.clone());
    let restart = RestartCause::IndependentWatchdog;
    let hardware = Hardware { bus, wires, reset_pulse, vault, restart };
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

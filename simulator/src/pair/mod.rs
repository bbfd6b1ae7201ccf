//! An STM32 and its ESP8266.

mod bus;
mod faults;
mod heap;
mod network;
mod options;

use std::collections::VecDeque;

use fastrand::Rng;
use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::app::secure::SecureEvent;
use pblink_protocol::config::{Config, ConfigError};
use pblink_protocol::coprocessor::Coprocessor;
use pblink_protocol::i2c::{InitiatorAction, ResponderAction};
use pblink_protocol::layer::Layer;
use pblink_protocol::secure::board::Memory;
use pblink_protocol::time::{Duration, Instant, earliest};

use crate::fault::{BusEnd, Wire};
use crate::flaw::Flaw;
use crate::program::Program;
use crate::secure::{App, Ram};
use crate::wires::{Armed, Edge, Transfer, Wires};
use bus::Part;
use heap::mem_free;
pub use options::{NetCommand, PairEvent, PairOptions};

#[derive(Debug)]
enum Esp {
    /// In reset, or without power.
    Off,
    Booting(Instant),
    Running(Box<Coprocessor>),
    /// The program has stopped; pins stay as they are.
    Crashed,
    Hung(Box<Coprocessor>, Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Radio {
    Idle,
    /// Will have joined at the instant, if there is a network then.
    Joining(Instant),
    Joined,
}

/// Bytes on their way to the socket that the pair keeps: as few as the firmware, which has 512 under way
/// at a time.
const SEND_BUFFER: usize = 512;

/// An STM32 with its program, an ESP8266, the wires between them, and a radio.
#[derive(Debug)]
pub struct Pair {
    options: PairOptions,
    config: Config,
    rng: Rng,
    app: Box<App>,
    program: Program,
    esp: Esp,
    wires: Wires,
    armed: Armed,
    transfer: Option<Transfer>,
    nak_next: bool,
    /// The end that takes the next transfer for failed.
    errs_next: Option<BusEnd>,
    garble: Option<Part>,
    deaf_until: Instant,
    /// The ESP8266's program takes nothing from its server.
    takes_nothing: bool,
    /// A planted fault.
    flaw: Option<Flaw>,
    radio: Radio,
    /// The ESP8266's program has told the chip to join: it looks for its network all the time.
    looks: bool,
    /// Words of the radio while the ESP8266 hung: its program hears them afterwards.
    unheard: Vec<bool>,
    network_back_at: Option<Instant>,
    /// The access point has forgotten the chip, and passes nothing until that joins anew.
    forgotten: bool,
    /// The ESP8266 has, or wants, a connection.
    socket: bool,
    net_commands: VecDeque<NetCommand>,
    out: Vec<u8>,
    /// Room for bytes on their way to `out`.
    chunk: Box<[u8; 512]>,
    events: VecDeque<PairEvent>,
    crashes: u32,
    /// Lines acknowledged to coprocessors, or to programs of the STM32, that are gone.
    acked_before: u64,
    /// Lines that the memory of an STM32 with keys held when its power went.
    gone_with_power: u64,
    steps: u64,
    /// Time of the last step.
    last: Instant,
}

impl Pair {
    /// Makes a pair that is switched on at `now`.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(config: &Config, options: PairOptions, now: Instant) -> Result<Self, ConfigError> {
        let mut pair = Self {
            config: config.clone(),
            rng: Rng::with_seed(options.seed),
            app: Box::new(App::idle(None)),
            program: Program::new(options.program.clone(), now),
            esp: Esp::Booting(now + options.boot),
            wires: Wires::new(),
            armed: Armed::Nothing,
            transfer: None,
            nak_next: false,
            errs_next: None,
            garble: None,
            deaf_until: Instant::ZERO,
            takes_nothing: false,
            flaw: None,
            radio: Radio::Idle,
            looks: false,
            unheard: Vec::new(),
            network_back_at: None,
            forgotten: false,
            socket: false,
            net_commands: VecDeque::new(),
            out: Vec::new(),
            chunk: Box::new([0; 512]),
            events: VecDeque::new(),
            crashes: 0,
            acked_before: 0,
            gone_with_power: 0,
            steps: 0,
            last: now,
            options,
        };
        pair.app.configure(config, pair.options.timing)?;
        pair.give_keys(None);
        pair.start_app(now);
        Ok(pair)
    }

    /// Returns the board's id.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// Returns the configuration of the board.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the STM32's program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Lets the program write no more lines.
    pub fn stop_program(&mut self) {
        let written = self.program.written();
        self.program.options_mut().count = Some(written);
    }

    /// Plants a fault in the pair itself, if it is one that a pair can have.
    pub(crate) fn plant(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
    }

    /// Lets the program read, or not.
    pub fn set_reads(&mut self, reads: bool) {
        self.program.options_mut().reads = reads;
    }

    /// Returns the number of lines written with qos that the server has acknowledged.
    pub fn acked(&self) -> u64 {
        self.acked_before + self.acked_now()
    }

    /// Returns the same since the ESP8266's program started; with keys, since the STM32 got its power.
    fn acked_now(&self) -> u64 {
        if self.app.is_secure() {
            return self.app.board().memory().first() - 1;
        }
        match &self.esp {
            Esp::Running(esp) | Esp::Hung(esp, _) => u64::from(esp.acked()),
            Esp::Off | Esp::Booting(_) | Esp::Crashed => 0,
        }
    }

    /// Returns the number of times that an injected fault has crashed or hung the ESP8266, or cut it off.
    pub fn crashes(&self) -> u32 {
        self.crashes
    }

    /// Returns the number of times that the STM32 has reset the ESP8266 after a failure.
    pub fn resets(&self) -> u32 {
        self.app.resets()
    }

    /// Lines that the memory of an STM32 with keys held when its power went, in all.
    pub fn gone_with_power(&self) -> u64 {
        self.gone_with_power
    }

    /// Exchanges completed over the wires.
    pub fn exchanges(&mut self) -> u32 {
        self.app.exchange().exchanges()
    }

    /// Returns the layer that is down, if one is.
    pub fn down(&self) -> Option<Layer> {
        let Esp::Running(esp) = &self.esp else {
            return Some(Layer::Coprocessor);
        };
        if !self.app.is_running() {
            Some(Layer::Wires)
        } else if self.radio != Radio::Joined || !self.passes() {
            Some(Layer::Wifi)
        } else if !(if self.app.is_secure() { self.app.server_up() } else { esp.server_up() }) {
            Some(Layer::Server)
        } else {
            None
        }
    }

    /// Returns the next event.
    pub fn next_event(&mut self) -> Option<PairEvent> {
        self.events.pop_front()
    }

    /// Tells the ESP8266's program the state of the network.
    fn tell_wifi(&mut self, now: Instant, up: bool) {
        if matches!(self.esp, Esp::Hung(..)) {
            self.unheard.push(up);
        }
        self.with_esp(now, |esp| esp.on_wifi(now, up));
    }

    fn with_esp(&mut self, now: Instant, f: impl FnOnce(&mut Coprocessor)) {
        if let Esp::Running(esp) = &mut self.esp {
            f(esp);
        }
        self.settle(now);
    }

    /// Gives the program of the STM32, which has just started, its keys, and `kept`: what its memory has kept, or nothing if it
    /// had no power. Does nothing if the board has no keys.
    fn give_keys(&mut self, kept: Option<Ram>) {
        if let Some(keys) = &self.options.keys {
            let suite = keys.suite(self.rng.u64(..));
            let restart =
                if kept.is_some() { RestartCause::Software } else { RestartCause::PowerOn };
            let memory = kept.unwrap_or_else(|| Ram::power_up(&mut self.rng));
            self.app.set_keys(suite, Some(memory));
            self.app.tell_restart(restart);
        }
    }

    /// Starts the STM32's program again. Returns what its memory has kept.
    fn restart_program(&mut self) -> Option<Ram> {
        let old = std::mem::replace(&mut self.app, Box::new(App::idle(None)));
        // It was used before.
        let _ = self.app.configure(&self.config, self.options.timing);
        self.armed = Armed::Nothing;
        old.into_memory()
    }

    fn start_app(&mut self, now: Instant) {
        self.app.set_forward_reports(self.options.forward_reports);
        let ack = self.wires.level(Wire::Ack);
        self.app.exchange().on_ack(now, ack);
        self.app.start(now);
        self.settle(now);
    }

    /// Ends the ESP8266's program, and with it its sockets: the server does not learn of it.
    fn lose_esp(&mut self, esp: Esp) {
        if !self.app.is_secure() {
            self.acked_before = self.acked();
        }
        self.esp = esp;
        self.takes_nothing = false;
        self.unheard.clear();
        self.transfer = None;
        self.out.clear();
        if std::mem::take(&mut self.socket) {
            self.net_commands.push_back(NetCommand::Close { heard: false });
        }
    }

    fn boot(&mut self, now: Instant) {
        self.lose_esp(Esp::Booting(now + self.options.boot));
        self.leave();
        // Its pins are inputs until the program runs.
        self.wires.drive(Wire::Ack, true, now, Duration::ZERO);
    }

    // ---- time ----

    /// Returns the time at which something happens next inside the pair.
    pub fn next_at(&mut self) -> Option<Instant> {
        let esp = match &mut self.esp {
            Esp::Booting(at) | Esp::Hung(_, at) => Some(*at),
            Esp::Off | Esp::Crashed => None,
            Esp::Running(esp) => {
                // The owner may have taken bytes since the last step.
                esp.set_writable(self.out.len() < SEND_BUFFER);
                esp.poll_at(self.last)
            }
        };
        let radio = match self.radio {
            Radio::Joining(at) => Some(at),
            Radio::Idle | Radio::Joined => None,
        };
        let program = if self.app.is_running() { self.program.next_at() } else { None };
        [
            esp,
            radio,
            program,
            self.network_back_at,
            self.app.poll_at(self.last),
            self.wires.next_at(),
            self.transfer.as_ref().map(|t| t.done_at),
        ]
        .into_iter()
        .fold(None, earliest)
    }

    /// Lets time pass until `now`; everything that is due by then happens at its time.
    pub fn advance(&mut self, now: Instant) {
        let due = self.next_at();
        self.advance_from(due, now);
    }

    /// Does the same, if `due` is what [`next_at`](Self::next_at) gives now. Returns what it gives then.
    pub(crate) fn advance_from(
        &mut self,
        mut due: Option<Instant>,
        now: Instant,
    ) -> Option<Instant> {
        let mut stuck = 0;
        while let Some(at) = due.filter(|at| *at <= now) {
            // What was due while it could not be done is due now, not then.
            let at = at.max(self.last);
            // What is due "at once" and cannot be done (the socket takes no more) must wait.
            stuck = if at == self.last { stuck + 1 } else { 0 };
            if stuck > 64 {
                break;
            }
            self.step(at);
            due = self.next_at();
        }
        if self.last < now {
            self.step(now);
            due = self.next_at();
        }
        due
    }

    /// Lets everything happen that is due at `now`. For tests that stop between two steps.
    pub fn step(&mut self, now: Instant) {
        self.steps += 1;
        self.last = now;
        self.wires.free(now);
        if self.network_back_at.is_some_and(|at| now >= at) {
            self.network_back_at = None;
            if self.looks {
                self.radio = Radio::Joining(now + self.joining_time());
            }
        }
        if matches!(self.radio, Radio::Joining(at) if now >= at) {
            if self.network_back_at.is_none() {
                self.radio = Radio::Joined;
                self.forgotten = false;
                self.tell_wifi(now, true);
            } else {
                self.radio = Radio::Idle;
            }
        }
        self.esp = match std::mem::replace(&mut self.esp, Esp::Off) {
            Esp::Booting(at) if now >= at => {
                Esp::Running(Box::new(Coprocessor::new(self.wires.level(Wire::Syn))))
            }
            Esp::Hung(mut esp, at) if now >= at => {
                // It missed the edges; what counts is the level now.
                esp.exchange().on_syn(now, self.wires.level(Wire::Syn));
                self.unheard.drain(..).for_each(|up| esp.on_wifi(now, up));
                Esp::Running(esp)
            }
            other => other,
        };
        let mut settled = false;
        while let Some(edge) = self.wires.arrived(now) {
            self.edge(edge, now);
            self.settle(now);
            settled = true;
        }
        if self.transfer.as_ref().is_some_and(|t| now >= t.done_at)
            && let Some(transfer) = self.transfer.take()
        {
            self.transferred(transfer.kind, now);
            settled = true;
        }
        if !settled {
            self.settle(now);
        }
    }

    /// Steps taken so far, for tests that want to stop after a certain one.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn joining_time(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(100_000..=self.options.join.as_micros().max(100_001)))
    }

    fn edge(&mut self, edge: Edge, now: Instant) {
        match edge {
            Edge::Ack(level) => self.app.exchange().on_ack(now, level),
            Edge::Syn(level) => {
                if let Esp::Running(esp) = &mut self.esp {
                    esp.exchange().on_syn(now, level);
                }
            }
            Edge::Reset(true) => {
                self.lose_esp(Esp::Off);
                self.leave();
                self.wires.drive(Wire::Ack, true, now, Duration::ZERO);
            }
            Edge::Reset(false) => {
                if matches!(self.esp, Esp::Off) {
                    self.boot(now);
                }
            }
        }
    }

    fn latency(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(0..60))
    }

    /// Carries out what the machines want until they want nothing more.
    fn settle(&mut self, now: Instant) {
        loop {
            self.app.poll(now);
            if self.app.is_running()
                && let Some(number) = self.program.poll(&mut self.app, now)
            {
                self.events.push_back(PairEvent::Wrote(number));
            }
            if self.program.reads() {
                while let Some(line) = self.app.read_line(now, str::to_owned) {
                    self.events.push_back(PairEvent::Read(line));
                    // It is done with a line when it has it.
                    self.app.accept(now);
                }
            }
            if self.app.wants_compute(now) {
                self.app.compute(now);
            }
            while let Some(event) = self.app.next_event() {
                self.events.push_back(match event {
                    SecureEvent::App(event) => PairEvent::App(event),
                    event => PairEvent::Secure(event),
                });
            }
            let mut quiet = true;
            while let Some(action) = self.app.exchange().next_action() {
                quiet = false;
                self.initiator(action, now);
            }
            quiet &= self.settle_esp(now);
            if quiet {
                return;
            }
        }
    }

    fn initiator(&mut self, action: InitiatorAction, now: Instant) {
        let latency = self.latency();
        match action {
            InitiatorAction::Syn(level) => self.wires.drive(Wire::Syn, level, now, latency),
            InitiatorAction::Reset(active) => {
                self.wires.drive(Wire::Reset, active, now, Duration::ZERO);
            }
            InitiatorAction::ArmTx => {
                self.armed = Armed::Tx(self.app.exchange().tx_bytes().to_vec())
            }
            InitiatorAction::ArmRx(n) => self.armed = Armed::Rx(n),
            InitiatorAction::Disarm => self.armed = Armed::Nothing,
        }
    }

    fn settle_esp(&mut self, now: Instant) -> bool {
        let mut esp = match std::mem::replace(&mut self.esp, Esp::Off) {
            Esp::Running(esp) => esp,
            other => {
                self.esp = other;
                return true;
            }
        };
        esp.set_mem_free(mem_free(now));
        esp.poll(now);
        let mut quiet = true;
        while let Some(action) = esp.exchange().next_action() {
            quiet = false;
            match action {
                ResponderAction::Ack(level) => {
                    let latency = self.latency();
                    self.wires.drive(Wire::Ack, level, now, latency);
                    esp.exchange().on_ack_set(now);
                }
                ResponderAction::Read(n) => self.begin_transfer(Err(n), now),
                ResponderAction::Write => {
                    let bytes = esp.exchange().tx_bytes().to_vec();
                    self.begin_transfer(Ok(bytes), now);
                }
            }
        }
        while let Some(command) = esp.next_command() {
            quiet = false;
            self.command(command, now);
        }
        while self.out.len() < SEND_BUFFER {
            let n = esp.transmit(now, &mut *self.chunk);
            if n == 0 {
                break;
            }
            self.out.extend_from_slice(&self.chunk[..n]);
        }
        self.esp = Esp::Running(esp);
        quiet
    }
}

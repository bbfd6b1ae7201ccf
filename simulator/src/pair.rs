//! An STM32 and its ESP8266.

use std::collections::VecDeque;

use fastrand::Rng;
use pblink_protocol::app::{AppBase, AppEvent};
use pblink_protocol::config::{Config, ConfigError};
use pblink_protocol::coprocessor::{Command, Coprocessor};
use pblink_protocol::i2c::{BusFault, InitiatorAction, InitiatorTiming, ResponderAction};
use pblink_protocol::layer::Layer;
use pblink_protocol::time::{Duration, Instant, earliest};

use crate::fault::{Fault, Wire};
use crate::program::{Program, ProgramOptions};
use crate::wires::{Armed, Edge, Transfer, TransferKind, Wires, bus_time};

/// Properties of a pair.
#[derive(Debug, Clone)]
pub struct PairOptions {
    /// Decides all that is left to chance: latencies, joining times, which bit is garbled.
    pub seed: u64,
    /// The STM32's times.
    pub timing: InitiatorTiming,
    /// Clock of the I2C bus in Hz.
    pub clock_hz: u64,
    /// From reset to the first action of the ESP8266's program.
    pub boot: Duration,
    /// The longest time that joining the network takes.
    pub join: Duration,
    /// The task of the STM32's program.
    pub program: ProgramOptions,
    /// True to pass reports on to the server.
    pub forward_reports: bool,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            timing: InitiatorTiming::default(),
            clock_hz: 100_000,
            boot: Duration::from_millis(300),
            join: Duration::from_millis(1500),
            program: ProgramOptions::default(),
            forward_reports: true,
        }
    }
}

/// An event on a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairEvent {
    /// On the STM32's link.
    App(AppEvent),
    /// The program wrote this line.
    Wrote(u64),
    /// The program read this line.
    Read(String),
    /// The boards lost power. Lines that waited in the STM32 are gone.
    PowerCycled,
}

/// A request of the ESP8266 to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetCommand {
    /// Connect to the server of the configuration.
    Connect,
    /// Close the connection. `heard` is false if the other end cannot learn of it, because the radio
    /// is off or the ESP8266 was reset.
    Close {
        /// True if the other end learns of it.
        heard: bool,
    },
}

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
    app: AppBase,
    program: Program,
    esp: Esp,
    wires: Wires,
    armed: Armed,
    transfer: Option<Transfer>,
    nak_next: bool,
    garble: Option<Part>,
    deaf_until: Instant,
    radio: Radio,
    network_back_at: Option<Instant>,
    /// The ESP8266 has, or wants, a connection.
    socket: bool,
    net_commands: VecDeque<NetCommand>,
    out: Vec<u8>,
    events: VecDeque<PairEvent>,
    crashes: u32,
    /// Lines acknowledged to coprocessors that are gone.
    acked_before: u64,
    steps: u64,
    /// Time of the last step.
    last: Instant,
}

/// Kind of transfer that is to be garbled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Payload,
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
            app: AppBase::new(config, options.timing)?,
            program: Program::new(options.program.clone(), now),
            esp: Esp::Booting(now + options.boot),
            wires: Wires::new(),
            armed: Armed::Nothing,
            transfer: None,
            nak_next: false,
            garble: None,
            deaf_until: Instant::ZERO,
            radio: Radio::Idle,
            network_back_at: None,
            socket: false,
            net_commands: VecDeque::new(),
            out: Vec::new(),
            events: VecDeque::new(),
            crashes: 0,
            acked_before: 0,
            steps: 0,
            last: now,
            options,
        };
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

    /// Lets the program read, or not.
    pub fn set_reads(&mut self, reads: bool) {
        self.program.options_mut().reads = reads;
    }

    /// Returns the number of lines written with qos that the server has acknowledged.
    pub fn acked(&self) -> u64 {
        self.acked_before
            + match &self.esp {
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
        } else if self.radio != Radio::Joined || self.network_back_at.is_some() {
            Some(Layer::Wifi)
        } else if !esp.server_up() {
            Some(Layer::Server)
        } else {
            None
        }
    }

    /// Returns the next event.
    pub fn next_event(&mut self) -> Option<PairEvent> {
        self.events.pop_front()
    }

    // ---- the network, as the owner sees it ----

    /// Returns the next thing to do with the socket.
    pub fn next_net_command(&mut self) -> Option<NetCommand> {
        self.net_commands.pop_front()
    }

    /// Returns true if bytes pass between ESP8266 and network at this time. While they do not, the owner
    /// keeps what arrives, as if it were lost in the air and repeated by TCP.
    pub fn is_on_air(&self) -> bool {
        self.network_back_at.is_none() && matches!(self.esp, Esp::Running(_))
    }

    /// Bytes that the ESP8266 wants to send; the owner removes those that it sends.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Notes that the connection is open.
    pub fn net_connected(&mut self, now: Instant) {
        self.with_esp(now, |esp| esp.on_connected(now));
    }

    /// Notes that the connection was refused or could not be opened.
    pub fn net_failed(&mut self, now: Instant) {
        self.socket = false;
        self.with_esp(now, |esp| esp.on_connect_failed(now));
    }

    /// Notes that the other end has closed the connection.
    pub fn net_closed(&mut self, now: Instant) {
        self.socket = false;
        self.out.clear();
        self.with_esp(now, |esp| esp.on_closed(now));
    }

    /// Bytes arrived.
    pub fn net_received(&mut self, bytes: &[u8], now: Instant) {
        self.with_esp(now, |esp| esp.on_bytes(now, bytes));
    }

    fn with_esp(&mut self, now: Instant, f: impl FnOnce(&mut Coprocessor)) {
        if let Esp::Running(esp) = &mut self.esp {
            f(esp);
        }
        self.settle(now);
    }

    // ---- faults ----

    /// Something goes wrong.
    pub fn inject(&mut self, fault: Fault, now: Instant) {
        self.crashes += u32::from(matches!(
            fault,
            Fault::Crash | Fault::Hang(_) | Fault::Restart | Fault::PowerCycle
        ));
        match fault {
            Fault::WifiOutage(length) => {
                let until = now + length;
                self.network_back_at = self.network_back_at.max(Some(until));
                self.radio = Radio::Idle;
                self.with_esp(now, |esp| esp.on_wifi(now, false));
            }
            Fault::Crash => self.lose_esp(Esp::Crashed),
            Fault::Hang(length) => {
                self.esp = match std::mem::replace(&mut self.esp, Esp::Off) {
                    Esp::Running(esp) => Esp::Hung(esp, now + length),
                    other => other,
                };
            }
            Fault::Restart => self.boot(now),
            Fault::PowerCycle => {
                if let Ok(app) = AppBase::new(&self.config, self.options.timing) {
                    self.app = app;
                }
                self.events.push_back(PairEvent::PowerCycled);
                self.boot(now);
                self.start_app(now);
            }
            Fault::Stuck(wire, level, length) => self.wires.stick(wire, level, now + length, now),
            Fault::Nak => self.nak_next = true,
            Fault::GarbleHeader => self.garble = Some(Part::Header),
            Fault::GarblePayload => self.garble = Some(Part::Payload),
            Fault::Deaf(length) => self.deaf_until = self.deaf_until.max(now + length),
        }
        self.settle(now);
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
        self.acked_before = self.acked();
        self.esp = esp;
        self.transfer = None;
        self.out.clear();
        if std::mem::take(&mut self.socket) {
            self.net_commands.push_back(NetCommand::Close { heard: false });
        }
    }

    fn boot(&mut self, now: Instant) {
        self.lose_esp(Esp::Booting(now + self.options.boot));
        self.radio = Radio::Idle;
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
        let mut stuck = 0;
        while let Some(at) = self.next_at().filter(|at| *at <= now) {
            // What was due while it could not be done is due now, not then.
            let at = at.max(self.last);
            // What is due "at once" and cannot be done (the socket takes no more) must wait.
            stuck = if at == self.last { stuck + 1 } else { 0 };
            if stuck > 64 {
                break;
            }
            self.step(at);
        }
        self.step(now);
    }

    /// Lets everything happen that is due at `now`. For tests that stop between two steps.
    pub fn step(&mut self, now: Instant) {
        self.steps += 1;
        self.last = now;
        self.wires.free(now);
        if self.network_back_at.is_some_and(|at| now >= at) {
            self.network_back_at = None;
            // The chip looks for its network all the time.
            self.radio = Radio::Joining(now + self.joining_time());
        }
        if matches!(self.radio, Radio::Joining(at) if now >= at) {
            if self.network_back_at.is_none() {
                self.radio = Radio::Joined;
                self.with_esp(now, |esp| esp.on_wifi(now, true));
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
                Esp::Running(esp)
            }
            other => other,
        };
        while let Some(edge) = self.wires.arrived(now) {
            self.edge(edge, now);
            self.settle(now);
        }
        if self.transfer.as_ref().is_some_and(|t| now >= t.done_at)
            && let Some(transfer) = self.transfer.take()
        {
            self.transferred(transfer.kind, now);
        }
        self.settle(now);
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
                self.radio = Radio::Idle;
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
                }
            }
            while let Some(event) = self.app.next_event() {
                self.events.push_back(PairEvent::App(event));
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
        let mut chunk = [0; 512];
        while self.out.len() < SEND_BUFFER {
            let n = esp.transmit(now, &mut chunk);
            if n == 0 {
                break;
            }
            self.out.extend_from_slice(&chunk[..n]);
        }
        self.esp = Esp::Running(esp);
        quiet
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::JoinRemembered | Command::Join => {
                if self.radio == Radio::Idle {
                    self.radio = Radio::Joining(now + self.joining_time());
                }
            }
            Command::Connect => {
                self.socket = true;
                self.out.clear();
                self.net_commands.push_back(NetCommand::Connect);
            }
            Command::Disconnect => {
                self.out.clear();
                if std::mem::take(&mut self.socket) {
                    let heard = self.network_back_at.is_none();
                    self.net_commands.push_back(NetCommand::Close { heard });
                }
            }
        }
    }

    // ---- the bus ----

    /// Starts a transfer as the master: writes bytes (`Ok`) or reads this many (`Err`).
    fn begin_transfer(&mut self, what: Result<Vec<u8>, usize>, now: Instant) {
        let len = what.as_ref().map_or_else(|n| *n, Vec::len);
        let whole = bus_time(len, self.options.clock_hz);
        let address = bus_time(0, self.options.clock_hz);
        let ready = now >= self.deaf_until;
        let (kind, length) = match (&self.armed, what) {
            _ if ready && std::mem::take(&mut self.nak_next) => {
                (TransferKind::Broken, Duration::from_micros(whole.as_micros() / 2))
            }
            (Armed::Tx(bytes), Err(n)) if ready && bytes.len() == n => {
                (TransferKind::Read(bytes.clone()), whole)
            }
            (Armed::Rx(n), Ok(bytes)) if ready && bytes.len() == *n => {
                (TransferKind::Write(bytes), whole)
            }
            // Lengths that do not agree, or the wrong direction: the slave's peripheral errs.
            (Armed::Tx(_) | Armed::Rx(_), _) if ready => (TransferKind::Broken, whole),
            _ => (TransferKind::Unanswered, address),
        };
        self.transfer = Some(Transfer { done_at: now + length, kind });
    }

    fn garbled(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let kind = if bytes.len() == 2 { Part::Header } else { Part::Payload };
        if self.garble == Some(kind) && !bytes.is_empty() {
            self.garble = None;
            let at = self.rng.usize(0..bytes.len());
            bytes[at] ^= 1 << self.rng.u8(0..8);
        }
        bytes
    }

    fn transferred(&mut self, kind: TransferKind, now: Instant) {
        match kind {
            TransferKind::Unanswered => {
                self.with_esp(now, |esp| esp.exchange().on_bus_fault(now, BusFault::NoAddress));
            }
            TransferKind::Broken => {
                self.armed = Armed::Nothing;
                self.app.exchange().on_bus_error(now);
                self.with_esp(now, |esp| esp.exchange().on_bus_fault(now, BusFault::Other));
            }
            TransferKind::Read(bytes) => {
                let bytes = self.garbled(bytes);
                if std::mem::replace(&mut self.armed, Armed::Nothing) != Armed::Nothing {
                    self.app.exchange().on_sent(now);
                }
                self.with_esp(now, |esp| esp.exchange().on_read(now, &bytes));
            }
            TransferKind::Write(bytes) => {
                let bytes = self.garbled(bytes);
                if std::mem::replace(&mut self.armed, Armed::Nothing) != Armed::Nothing {
                    self.app.exchange().on_received(now, &bytes);
                }
                self.with_esp(now, |esp| esp.exchange().on_written(now));
            }
        }
    }
}

/// Returns a heap that breathes, so that the monitor has something to draw. Whatever the interval between two
/// reports is, it neither falls nor rises for long: that would look like a leak.
fn mem_free(now: Instant) -> u32 {
    // A hash (splitmix64): any simple period meets an interval with which it makes a slope.
    let mut x = (now.as_millis() / 700).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    38_000 + (x >> 52) as u32
}

#[cfg(test)]
mod heap {
    use super::{Duration, Instant, mem_free};

    #[test]
    fn free_memory_does_not_look_like_a_leak() {
        for seconds in 1..=120 {
            let (mut before, mut falls) = (u32::MAX, 0);
            for report in 1..=500 {
                let now = Instant::from_micros(0) + Duration::from_secs(seconds * report);
                let free = mem_free(now);
                assert!((38_000..38_000 + 4096).contains(&free));
                falls = if free < before { falls + 1 } else { 0 };
                assert!(
                    falls < 10,
                    "it fell {falls} times in a row, with a report every {seconds} s"
                );
                before = free;
            }
        }
    }
}

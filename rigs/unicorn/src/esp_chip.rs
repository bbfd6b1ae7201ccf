//! The ESP8266 as its own machine code: the program as it is linked for the chip, on the interpreter, at the pins of the
//! STM32; and the network around it.
//!
//! Both cores run in lock step: whichever is behind in virtual time runs until it is about 1 µs ahead, or has touched a
//! pin. The STM32 counts ticks of which 21 are a cycle of the ESP8266, 12.5 ns.

use std::collections::VecDeque;
use std::path::PathBuf;

use pblink_lx106::elf::Elf;
use pblink_lx106::esp8266::tcp::Request;
use pblink_lx106::esp8266::{Esp8266, MHZ};

use crate::bus::Bus;
use crate::chip::Chip;
use crate::esp::Traffic;
use crate::neighbours::{NEIGHBOUR, Neighbours};
use crate::server::Server;

/// Its pins, as micropython-iot wires them.
const SCL: u32 = 0;
const SDA: u32 = 2;
const ACK: u32 = 4;
const SYN: u32 = 5;

/// The STM32's ticks in one cycle of the ESP8266.
const TICKS: u64 = crate::chip::MHZ / MHZ;

/// Time on the way between chip and server, in µs; and between two segments.
const LATENCY: u64 = 2_000;
const GAP: u64 = 3_000;

/// Returns the program of the ESP8266 as it is linked for the chip.
///
/// # Panics
/// If it has not been built; the message says how.
pub fn image() -> Elf {
    let file = std::env::var_os("PBLINK_ESP8266_IMAGE").map_or_else(
        || {
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../firmware-esp8266/target/sdk/pblink-esp8266.elf")
        },
        PathBuf::from,
    );
    let bytes = std::fs::read(&file).unwrap_or_else(|why| {
        panic!("{}: {why}; build it with firmware-esp8266/build.sh sdk", file.display())
    });
    Elf::read(&bytes).expect("an executable for Xtensa")
}

/// A handshake wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// From the STM32.
    Syn,
    /// From the ESP8266.
    Ack,
}

/// An edge of a handshake wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// The wire.
    pub wire: Wire,
    /// Its level from then on.
    pub level: bool,
    /// The time, in µs, with fractions.
    pub at: f64,
}

/// Wires that something else holds: a short, a broken cable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stuck {
    /// The clock is held low.
    pub scl: bool,
    /// The data line is held low.
    pub sda: bool,
    /// The level of `syn` that the ESP8266 sees.
    pub syn: Option<bool>,
    /// The level of `ack` that the STM32 sees.
    pub ack: Option<bool>,
}

/// The chip, its wires and its network.
pub struct EspChip {
    /// The chip.
    pub chip: Esp8266,
    /// The slave's side of the I2C bus.
    pub bus: Bus,
    in_reset: bool,
    syn: bool,
    ack: bool,
    /// Edges of the handshake, if they are wanted.
    pub handshake: Option<Vec<Edge>>,
    /// The connection that the server knows.
    connection: Option<u32>,
    to_server: VecDeque<(u64, Sent)>,
    to_chip: VecDeque<(u64, Back)>,
    /// The server cannot be reached: attempts to connect are refused.
    pub no_server: bool,
    /// The computers on the network that know names which end in `.local`.
    pub neighbours: Neighbours,
    /// The server says nothing: its bytes wait here for as long as this is so.
    pub silent: bool,
    /// The access point has forgotten the chip: nothing passes until that joins anew.
    pub forgotten: bool,
    /// The most bytes of the server that arrive at once.
    pub segment: usize,
    /// The traffic on the wires.
    pub traffic: Traffic,
    /// The time of one bit in the last transfer of 16 bytes or more, in µs.
    pub bit: f64,
    /// Wires that something else holds.
    pub stuck: Stuck,
    /// Reset the chip at this edge of SCL, counted from now on.
    pub reset_at_edge: Option<u64>,
    /// Edges of SCL so far.
    pub edges: u64,
}

#[derive(Debug)]
enum Sent {
    Open(u32),
    Bytes(u32, Vec<u8>),
    Close(u32),
}

#[derive(Debug)]
enum Back {
    Accepted(u32),
    Refused(u32),
    Acknowledged(u32),
    Bytes(u32, Vec<u8>),
}

impl EspChip {
    /// Makes a chip whose supply comes on now.
    pub fn new(elf: Elf) -> Self {
        let mut chip = Esp8266::new(elf);
        start(&mut chip, 0);
        Self {
            chip,
            bus: Bus::default(),
            in_reset: false,
            syn: true,
            ack: true,
            handshake: None,
            connection: None,
            to_server: VecDeque::new(),
            to_chip: VecDeque::new(),
            no_server: false,
            neighbours: Neighbours::default(),
            silent: false,
            forgotten: false,
            segment: 1460,
            traffic: Traffic::default(),
            bit: 0.0,
            stuck: Stuck::default(),
            reset_at_edge: None,
            edges: 0,
        }
    }

    /// Time in µs.
    fn now(&self) -> u64 {
        self.chip.cycles / MHZ
    }

    /// The STM32 has moved its outputs.
    pub(crate) fn outputs(&mut self, stm32: &Chip) {
        let reset = stm32.resets_esp();
        if reset != self.in_reset {
            self.in_reset = reset;
            if reset {
                self.traffic.resets += 1;
                self.chip.hold();
            } else {
                self.chip.cycles = self.chip.cycles.max(stm32.cycles / TICKS);
                start(&mut self.chip, 6);
            }
        }
        let syn = stm32.syn();
        if syn != std::mem::replace(&mut self.syn, syn) {
            self.note(Wire::Syn, syn, stm32.cycles as f64 / crate::chip::MHZ as f64);
        }
        self.chip.pins.set_outside(SYN, self.stuck.syn.unwrap_or(syn));
    }

    fn note(&mut self, wire: Wire, level: bool, at: f64) {
        if let Some(edges) = &mut self.handshake {
            edges.push(Edge { wire, level, at });
        }
    }

    /// Resets the chip, as its button does.
    pub fn press_reset(&mut self) {
        self.chip.hold();
        start(&mut self.chip, 6);
    }

    /// Brings the chip to the STM32's time, and levels over the wires.
    pub(crate) fn settle(&mut self, stm32: &mut Chip, server: &mut Server) {
        let target = stm32.cycles / TICKS;
        loop {
            self.wires(stm32);
            self.network(server);
            if self.chip.cycles >= target {
                return;
            }
            if self.in_reset {
                self.chip.cycles = target;
                continue;
            }
            let until = self
                .network_at(server)
                .map_or(target, |at| (at * MHZ).clamp(self.chip.cycles + 1, target));
            self.run(until);
        }
    }

    fn run(&mut self, until: u64) {
        if let Err(fault) = self.chip.run(until) {
            panic!(
                "{fault}, at {} µs; console of the ESP8266:\n{}",
                self.now(),
                self.chip.console()
            );
        }
    }

    /// Returns the time at which something happens, in the STM32's ticks, after running ahead to it. `limit` is
    /// when the STM32 does something by itself, or now if it is not asleep.
    pub(crate) fn next_at(&mut self, server: &Server, limit: Option<u64>) -> u64 {
        if self.in_reset {
            return u64::MAX;
        }
        let network = self.network_at(server).map_or(u64::MAX, |at| at * MHZ);
        if let Some(limit) = limit {
            let until = (limit / TICKS).min(network);
            while self.chip.cycles < until && !self.chip.pins.touched && self.chip.is_running() {
                self.run(until);
            }
        }
        if self.chip.pins.touched {
            return self.chip.cycles * TICKS;
        }
        let own = if self.chip.is_running() {
            self.chip.cycles + MHZ
        } else {
            self.chip.next_at().unwrap_or(u64::MAX)
        };
        own.min(network).saturating_mul(TICKS)
    }

    /// Carries levels until they rest.
    fn wires(&mut self, stm32: &mut Chip) {
        let now = self.chip.cycles;
        self.bus.poll(&mut stm32.i2c, now);
        loop {
            self.chip.pins.touched = false;
            self.chip.pins.set_outside(SCL, !(self.bus.holds_scl || self.stuck.scl));
            self.chip.pins.set_outside(SDA, !(self.bus.holds_sda || self.stuck.sda));
            let levels = (self.chip.pins.level(SCL), self.chip.pins.level(SDA));
            let before = (self.bus.holds_scl, self.bus.holds_sda, self.bus.levels());
            if levels.0 != before.2.0 {
                self.edges += 1;
                if self.reset_at_edge == Some(self.edges) {
                    self.reset_at_edge = None;
                    self.press_reset();
                    continue;
                }
            }
            self.bus.look(&mut stm32.i2c, levels.0, levels.1, now);
            if before == (self.bus.holds_scl, self.bus.holds_sda, self.bus.levels()) {
                break;
            }
        }
        self.chip.pins.set_outside(SYN, self.stuck.syn.unwrap_or(self.syn));
        let ack = self.stuck.ack.unwrap_or(self.chip.pins.level(ACK));
        if ack != self.ack {
            self.ack = ack;
            stm32.set_ack(ack);
            self.note(Wire::Ack, ack, now as f64 / MHZ as f64);
        }
        for transfer in self.bus.take_transfers() {
            if transfer.bytes >= 16 {
                // With the address; each byte has nine.
                let bits = 9 * (transfer.bytes as u64 + 1);
                self.bit = transfer.cycles as f64 / (bits * MHZ) as f64;
            }
            let Traffic { naks, up, down, exchanges, .. } = &mut self.traffic;
            match (transfer.acknowledged, transfer.reads, transfer.bytes) {
                (false, ..) => *naks += 1,
                (_, true, 3..) => *up = (up.0 + 1, up.1 + transfer.bytes as u64),
                (_, false, 3..) => *down = (down.0 + 1, down.1 + transfer.bytes as u64),
                (_, false, 2) => *exchanges += 1,
                _ => {}
            }
        }
        self.traffic.stretched = self.bus.longest_hold / MHZ;
    }

    fn is_silent(&self) -> bool {
        self.silent || self.forgotten
    }

    fn network_at(&self, server: &Server) -> Option<u64> {
        let back = self.to_chip.front().map(|(at, _)| *at).filter(|_| !self.is_silent());
        let asked = (!self.chip.tcp.requests.is_empty()).then_some(self.now());
        let asked = asked.or((!self.chip.udp.sent.is_empty()).then_some(self.now()));
        let answer = self.neighbours.next_at();
        let polled = server.poll_at(self.now()).filter(|_| self.connection.is_some());
        [back, asked, answer, polled, self.to_server.front().map(|(at, _)| *at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Moves bytes between chip and server.
    fn network(&mut self, server: &mut Server) {
        let now = self.now();
        while let Some(request) = self.chip.tcp.requests.pop_front() {
            let sent = match request {
                Request::Connect { id, .. } => Sent::Open(id),
                Request::Bytes(id, bytes) => Sent::Bytes(id, bytes),
                Request::Close(id) => Sent::Close(id),
            };
            self.to_server.push_back((now + LATENCY, sent));
        }
        while self.to_server.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, sent)) = self.to_server.pop_front()
        {
            let mut back = None;
            match sent {
                Sent::Open(id) if self.no_server => back = Some(Back::Refused(id)),
                Sent::Open(id) => {
                    // A newcomer with the same id takes the place of the old connection.
                    self.connection = Some(id);
                    server.connected(now);
                    back = Some(Back::Accepted(id));
                }
                Sent::Bytes(id, bytes) if self.connection == Some(id) => {
                    server.receive(&bytes, now);
                    back = Some(Back::Acknowledged(id));
                }
                Sent::Close(id) if self.connection == Some(id) => {
                    self.connection = None;
                    server.disconnected();
                }
                Sent::Bytes(..) | Sent::Close(_) => {}
            }
            self.to_chip.extend(back.map(|back| (now + LATENCY, back)));
        }
        while let Some(datagram) = self.chip.udp.sent.pop_front() {
            self.neighbours.hear(now, datagram);
        }
        while let Some((to, bytes)) = self.neighbours.speak(now) {
            self.chip.receive_datagram(to, NEIGHBOUR, &bytes);
        }
        if let Some(id) = self.connection {
            let bytes = server.transmit(now);
            for (n, segment) in bytes.chunks(self.segment).enumerate() {
                let at = now + LATENCY + n as u64 * GAP;
                self.to_chip.push_back((at, Back::Bytes(id, segment.to_vec())));
            }
        }
        self.forgotten &= self.chip.wifi.joined.is_some();
        while !self.is_silent()
            && self.to_chip.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, back)) = self.to_chip.pop_front()
        {
            match back {
                Back::Accepted(id) => self.chip.accept(id),
                Back::Refused(id) => self.chip.refuse(id),
                Back::Acknowledged(id) => self.chip.acknowledge(id),
                Back::Bytes(id, bytes) => self.chip.receive(id, &bytes),
            }
        }
    }

    /// Returns the number of bytes that are on their way from the server to the chip.
    pub fn bytes_are_coming(&self) -> usize {
        let bytes = self.to_chip.iter().map(|(_, back)| match back {
            Back::Bytes(_, bytes) => bytes.len(),
            _ => 0,
        });
        bytes.sum()
    }

    /// The server closes the connection.
    pub fn close(&mut self, server: &mut Server) {
        if let Some(id) = self.connection.take() {
            server.disconnected();
            self.chip.close(id);
        }
    }
}

fn start(chip: &mut Esp8266, cause: u32) {
    if let Err(fault) = chip.reset(cause) {
        panic!("{fault}; console of the ESP8266:\n{}", chip.console());
    }
}

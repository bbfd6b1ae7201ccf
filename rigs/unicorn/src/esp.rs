//! The ESP8266: the real program (`Coprocessor`) on modelled pins, bus, WiFi and TCP, with faults.

use std::collections::VecDeque;

use pblink_protocol::coprocessor::{Command, Coprocessor};
use pblink_protocol::i2c::{ADDRESS, BusFault, PULSE, ResponderAction};
use pblink_protocol::time::Instant;

use crate::i2c::{Ended, Slave, Transfer, Wanted};
use crate::server::Server;

/// Faults of the ESP8266 or its wires. Set those that you need; the default is a healthy one.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// A byte on the bus takes this many µs; 0 for the 90 of 100 kHz.
    pub byte: u64,
    /// It reacts this many µs after an edge of `syn`.
    pub lazy: u64,
    /// Its low pulses of `ack` are over at once.
    pub no_pulse: bool,
    /// It aborts its next read of a payload after this many bytes.
    pub cut_read: Option<usize>,
    /// It aborts its next write of a payload after this many bytes.
    pub cut_write: Option<usize>,
    /// This many transfers go to another address.
    pub wrong_address: u32,
    /// Start and stop come in the middle of the next payload.
    pub misplaced: bool,
    /// It does nothing more after this many of its actions, until it is reset.
    pub hang_after: Option<u32>,
    /// It does not boot.
    pub dead: bool,
    /// The STM32 sees this level of `ack`, whatever it is.
    pub ack_stuck: Option<bool>,
    /// It sees this level of `syn`, whatever it is.
    pub syn_stuck: Option<bool>,
    /// SCL is held low by something else: no transfer succeeds.
    pub scl_stuck: bool,
    /// The server cannot be reached.
    pub no_server: bool,
    /// There is no network.
    pub no_wifi: bool,
    /// One byte in this many is garbled on the bus, both ways, unnoticed by either side; 0 for none.
    pub noise: u64,
}

/// The traffic on the wires.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Exchanges that were completed, as the ESP8266 sees it: headers passed both ways.
    pub exchanges: u64,
    /// Payloads from the STM32, and their bytes.
    pub up: (u64, u64),
    /// Payloads to the STM32, and their bytes.
    pub down: (u64, u64),
    /// Addresses that were not acknowledged.
    pub naks: u64,
    /// Resets through the wire.
    pub resets: u64,
    /// The longest time for which the STM32 held SCL low, in µs.
    pub stretched: u64,
}

/// One ESP8266 with its network.
pub struct Esp {
    program: Option<Coprocessor>,
    hung: bool,
    in_reset: bool,
    boot_at: Option<u64>,
    syn: bool,
    syn_edges: VecDeque<(u64, bool)>,
    /// `None` while it is not driven.
    ack: Option<bool>,
    ack_edges: Vec<bool>,
    transfer: Option<Transfer>,
    wifi_at: Option<u64>,
    connect_at: Option<u64>,
    connected: bool,
    to_server: VecDeque<(u64, Vec<u8>)>,
    to_esp: VecDeque<(u64, Vec<u8>)>,
    /// The state of the generator of noise.
    noise: u64,
    /// The faults of this ESP8266.
    pub faults: Faults,
    /// The traffic on the wires.
    pub traffic: Traffic,
}

/// From the end of reset to the program, in µs.
const BOOT: u64 = 60_000;
const WIFI: u64 = 80_000;
const LATENCY: u64 = 2_000;

impl Default for Esp {
    fn default() -> Self {
        Self {
            program: None,
            hung: false,
            in_reset: false,
            boot_at: Some(BOOT),
            syn: true,
            syn_edges: VecDeque::new(),
            ack: None,
            ack_edges: Vec::new(),
            transfer: None,
            wifi_at: None,
            connect_at: None,
            connected: false,
            to_server: VecDeque::new(),
            to_esp: VecDeque::new(),
            noise: 0x2545_f491_4f6c_dd1d,
            faults: Faults::default(),
            traffic: Traffic::default(),
        }
    }
}

fn at(us: u64) -> Instant {
    Instant::from_micros(us)
}

/// Flips a bit in one of `one_in` bytes.
fn garble(bytes: &mut [u8], one_in: u64, state: &mut u64) {
    for byte in bytes.iter_mut().filter(|_| one_in > 0) {
        // Xorshift: any sequence will do, the same in every run.
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        if state.is_multiple_of(one_in) {
            *byte ^= 1 << (*state >> 40 & 7);
        }
    }
}

fn pop_due<T>(queue: &mut VecDeque<(u64, T)>, now: u64) -> Option<(u64, T)> {
    if queue.front()?.0 <= now { queue.pop_front() } else { None }
}

impl Esp {
    /// Returns the level of `ack` that the STM32 sees, with its pull-up.
    pub fn ack(&self) -> bool {
        self.faults.ack_stuck.or(self.ack).unwrap_or(true)
    }

    /// Returns true if its program runs.
    pub fn runs(&self) -> bool {
        self.program.is_some() && !self.hung
    }

    /// Sets or frees the `ack` that the STM32 sees.
    pub fn stick_ack(&mut self, level: Option<bool>) {
        let before = self.ack();
        self.faults.ack_stuck = level;
        if self.ack() != before {
            self.ack_edges.push(self.ack());
        }
    }

    /// Returns the edges of `ack` since the last call, oldest first.
    pub(crate) fn take_ack_edges(&mut self) -> Vec<bool> {
        std::mem::take(&mut self.ack_edges)
    }

    fn drive_ack(&mut self, level: Option<bool>) {
        let before = self.ack();
        self.ack = level;
        if self.ack() != before {
            self.ack_edges.push(self.ack());
        }
    }

    /// `syn` is at this level now.
    pub(crate) fn syn(&mut self, level: bool, now: u64) {
        if level != self.syn {
            self.syn = level;
            self.syn_edges.push_back((now + self.faults.lazy.max(2), level));
        }
    }

    /// Sets the reset wire to its active level, or not.
    pub(crate) fn reset(&mut self, active: bool, server: &mut Server, now: u64) {
        if active == self.in_reset {
            return;
        }
        self.in_reset = active;
        if active {
            self.traffic.resets += 1;
            self.die(server);
        } else {
            self.boot_at = Some(now + BOOT);
        }
    }

    /// Restarts the ESP8266 without a reset: the supply has failed for a moment.
    pub fn brown_out(&mut self, server: &mut Server, now: u64) {
        self.die(server);
        self.boot_at = Some(now + BOOT);
    }

    fn die(&mut self, server: &mut Server) {
        self.program = None;
        self.hung = false;
        self.faults.hang_after = None;
        self.transfer = None;
        self.boot_at = None;
        self.syn_edges.clear();
        self.drive_ack(None);
        (self.wifi_at, self.connect_at) = (None, None);
        self.disconnect(server);
    }

    fn disconnect(&mut self, server: &mut Server) {
        self.connected = false;
        self.to_server.clear();
        self.to_esp.clear();
        server.disconnected();
    }

    /// Returns the time at which something happens next.
    pub(crate) fn next_at(&self, server: &Server, now: u64) -> Option<u64> {
        let program = self.program.as_ref().filter(|_| !self.hung);
        [
            self.boot_at.filter(|_| !self.faults.dead),
            self.syn_edges.front().map(|e| e.0),
            self.transfer.as_ref().filter(|_| !self.hung).map(|t| t.at),
            self.wifi_at,
            self.connect_at,
            self.to_server.front().map(|b| b.0),
            self.to_esp.front().map(|b| b.0),
            program.and_then(|p| p.poll_at(at(now))).map(Instant::as_micros),
            server.poll_at(now).filter(|_| self.connected),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does all that is due.
    pub(crate) fn run(&mut self, slave: &mut Slave, server: &mut Server, now: u64) {
        for _ in 0..1000 {
            if self.next_at(server, now).is_none_or(|next| next > now) {
                return;
            }
            self.step(slave, server, now);
        }
        panic!("the ESP8266 does not come to rest at {now} µs");
    }

    fn step(&mut self, slave: &mut Slave, server: &mut Server, now: u64) {
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now);
        if due(self.boot_at) && !self.faults.dead {
            self.boot_at = None;
            self.syn_edges.clear();
            self.program = Some(Coprocessor::new(self.faults.syn_stuck.unwrap_or(self.syn)));
        }
        let edge = pop_due(&mut self.syn_edges, now);
        let from_server = pop_due(&mut self.to_esp, now);
        let (wifi, connect) = (due(self.wifi_at), due(self.connect_at));
        if wifi {
            self.wifi_at = None;
        }
        if connect {
            self.connect_at = None;
        }
        if let Some(program) = self.program.as_mut().filter(|_| !self.hung) {
            if let Some((_, level)) = edge
                && self.faults.syn_stuck.is_none()
            {
                program.exchange().on_syn(at(now), level);
            }
            if wifi {
                program.on_wifi(at(now), true);
            }
            if connect {
                if self.faults.no_server {
                    program.on_connect_failed(at(now));
                } else {
                    self.connected = true;
                    server.connected(now);
                    program.on_connected(at(now));
                }
            }
            if let Some((_, bytes)) = from_server {
                program.on_bytes(at(now), &bytes);
            }
            if let Some(transfer) = self.transfer.as_mut().filter(|t| t.at <= now) {
                if self.faults.scl_stuck {
                    self.transfer = None;
                    program.exchange().on_bus_fault(at(now), BusFault::Other);
                } else if let Some(ended) = transfer.step(slave, now) {
                    self.traffic.stretched = self.traffic.stretched.max(transfer.stretched);
                    self.transfer = None;
                    match ended {
                        Ended::Read(mut bytes) => {
                            garble(&mut bytes, self.faults.noise, &mut self.noise);
                            if bytes.len() > 2 {
                                self.traffic.up.0 += 1;
                                self.traffic.up.1 += bytes.len() as u64;
                            }
                            program.exchange().on_read(at(now), &bytes);
                        }
                        Ended::Written => {
                            let len = program.exchange().tx_bytes().len();
                            if len > 2 {
                                self.traffic.down.0 += 1;
                                self.traffic.down.1 += len as u64;
                            } else {
                                self.traffic.exchanges += 1;
                            }
                            program.exchange().on_written(at(now));
                        }
                        Ended::NoAddress => {
                            self.traffic.naks += 1;
                            program.exchange().on_bus_fault(at(now), BusFault::NoAddress);
                        }
                        Ended::Fault => program.exchange().on_bus_fault(at(now), BusFault::Other),
                    }
                }
            }
            program.poll(at(now));
        }
        self.act(slave, server, now);
        self.network(server, now);
    }

    /// Carries out what the program wants of pins, bus and network.
    fn act(&mut self, slave: &mut Slave, server: &mut Server, now: u64) {
        while !self.hung
            && let Some(action) = self.program.as_mut().and_then(|p| p.exchange().next_action())
        {
            if let Some(left) = &mut self.faults.hang_after {
                if *left == 0 {
                    self.hung = true;
                    return;
                }
                *left -= 1;
            }
            match action {
                ResponderAction::Ack(level) => {
                    self.drive_ack(Some(level));
                    if let Some(program) = &mut self.program {
                        program.exchange().on_ack_set(at(now));
                    }
                    if !level
                        && self.faults.no_pulse
                        && let Some(program) = &mut self.program
                    {
                        // For its machine the time of the pulse has passed already.
                        program.exchange().poll(at(now) + PULSE);
                    }
                }
                ResponderAction::Read(len) => self.begin(Wanted::Read(len), slave, now),
                ResponderAction::Write => {
                    let bytes = self.program.as_mut().map(|p| p.exchange().tx_bytes().to_vec());
                    let mut bytes = bytes.unwrap_or_default();
                    garble(&mut bytes, self.faults.noise, &mut self.noise);
                    self.begin(Wanted::Write(bytes), slave, now);
                }
            }
        }
        while !self.hung
            && let Some(command) = self.program.as_mut().and_then(Coprocessor::next_command)
        {
            match command {
                Command::JoinRemembered | Command::Join => {
                    self.wifi_at = Some(now + WIFI).filter(|_| !self.faults.no_wifi);
                }
                Command::Leave => self.wifi_at = None,
                Command::Connect => {
                    self.disconnect(server);
                    self.connect_at = Some(now + LATENCY);
                }
                Command::Disconnect => {
                    self.connect_at = None;
                    self.disconnect(server);
                }
            }
        }
    }

    fn begin(&mut self, wanted: Wanted, slave: &mut Slave, now: u64) {
        let payload = match &wanted {
            Wanted::Read(len) => *len > 2,
            Wanted::Write(bytes) => bytes.len() > 2,
        };
        let cut = match &wanted {
            _ if !payload => None,
            Wanted::Read(_) => self.faults.cut_read.take(),
            Wanted::Write(_) => self.faults.cut_write.take(),
        };
        if payload && std::mem::take(&mut self.faults.misplaced) {
            slave.misplaced();
        }
        let mut address = ADDRESS;
        if self.faults.wrong_address > 0 {
            self.faults.wrong_address -= 1;
            address ^= 1;
        }
        let byte = if self.faults.byte > 0 { self.faults.byte } else { 90 };
        self.transfer = Some(Transfer::new(wanted, address, byte, cut, now));
    }

    /// Moves bytes between program and server.
    fn network(&mut self, server: &mut Server, now: u64) {
        while let Some((_, bytes)) = pop_due(&mut self.to_server, now) {
            server.receive(&bytes, now);
        }
        if !self.connected {
            return;
        }
        if let Some(program) = self.program.as_mut().filter(|_| !self.hung) {
            let mut some = [0; 256];
            loop {
                let n = program.transmit(at(now), &mut some);
                if n == 0 {
                    break;
                }
                self.to_server.push_back((now + LATENCY, some[..n].to_vec()));
            }
        }
        let bytes = server.transmit(now);
        if !bytes.is_empty() {
            self.to_esp.push_back((now + LATENCY, bytes));
        }
    }
}

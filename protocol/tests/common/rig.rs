//! An STM32 and an ESP8266 on virtual wires, in virtual time.
//!
//! The bus runs at 100 kHz (90 µs a byte). Each side learns of its events in order;
//! how late is adjustable. Faults are fields that a test sets.

use std::collections::BTreeMap;

use pblink_protocol::i2c::{BusFault, Initiator, InitiatorAction, Responder, ResponderAction};
use pblink_protocol::time::{Duration, Instant};

/// The owner of an initiator.
pub trait Stm {
    fn exchange(&mut self) -> &mut Initiator;
    fn poll(&mut self, now: Instant);
    fn poll_at(&self, now: Instant) -> Option<Instant>;
}

/// The owner of a responder.
pub trait Esp {
    fn boot(syn: bool) -> Self;
    fn exchange(&mut self) -> &mut Responder;
    fn poll(&mut self, now: Instant);
    fn poll_at(&self, now: Instant) -> Option<Instant>;
}

impl Stm for Initiator {
    fn exchange(&mut self) -> &mut Initiator {
        self
    }
    fn poll(&mut self, now: Instant) {
        Initiator::poll(self, now);
    }
    fn poll_at(&self, now: Instant) -> Option<Instant> {
        Initiator::poll_at(self, now)
    }
}

impl Esp for Responder {
    fn boot(syn: bool) -> Self {
        Responder::new(syn)
    }
    fn exchange(&mut self) -> &mut Responder {
        self
    }
    fn poll(&mut self, now: Instant) {
        Responder::poll(self, now);
    }
    fn poll_at(&self, now: Instant) -> Option<Instant> {
        Responder::poll_at(self, now)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Syn(bool),
    Ack(bool),
    Reset(bool),
    /// The master read these bytes.
    Read(Vec<u8>),
    /// The master wrote these bytes.
    Written(Vec<u8>),
    Nak,
}

#[derive(Debug)]
enum Event {
    /// To the STM32.
    Ack(bool),
    Sent,
    Received(Vec<u8>),
    BusError,
    /// To the ESP8266, if it is still the one that was meant.
    Syn(u32, bool),
    TransferEnds(u32, Transfer),
    Boot(u32),
}

#[derive(Debug)]
enum Transfer {
    Read(usize),
    Write(Vec<u8>),
    Nak,
    Fault,
}

#[derive(Debug, PartialEq, Eq)]
enum Armed {
    Nothing,
    Tx(Vec<u8>),
    Rx(usize),
}

pub struct Rig<S, E> {
    pub stm: S,
    /// `None` while in reset, or booting.
    pub esp: Option<E>,
    pub now: Instant,
    pub trace: Vec<(Instant, Seen)>,
    events: BTreeMap<(Instant, u64), Event>,
    seq: u64,
    /// Counts the resets of the ESP8266.
    pub life: u32,
    syn: bool,
    ack: bool,
    armed: Armed,
    spins: u32,
    pub resets: u32,
    /// From the end of reset to the first instruction of the program.
    pub boot_time: Duration,
    /// The delay with which the STM32 learns of edges and of the ends of transfers.
    pub ack_latency: Duration,
    pub transfer_latency: Duration,
    /// The STM32 learns of all edges within this time at once: pulses are 0 µs long for it.
    pub ack_batch: Duration,
    /// This many transfers find no slave at the address.
    pub naks: u32,
    /// The next transfer is garbled, and both sides notice.
    pub garble: bool,
    /// The next transfer is complete, and the STM32 alone takes it for failed.
    pub misread: bool,
    /// The bytes that the next header becomes on its way.
    pub header: Option<[u8; 2]>,
    /// An ESP8266 that restarts in the middle of an exchange may transfer what the STM32 does not expect.
    pub mismatch_allowed: bool,
    /// The first byte of the next payload from the STM32 is garbled, unnoticed by either side.
    pub corrupt_payload: bool,
    /// The ESP8266 does nothing until its next reset.
    pub hung: bool,
    /// It hangs after this many of its actions.
    pub hang_after: Option<u32>,
    /// The reset wire is broken: the ESP8266 goes on.
    pub reset_broken: bool,
    /// The ESP8266 does not boot any more.
    pub dead: bool,
    /// The wire is stuck at this level, as its reader sees it.
    pub ack_stuck: Option<bool>,
    pub syn_stuck: Option<bool>,
    /// The level of `ack` while it is not driven.
    pub floating: bool,
}

const BYTE: Duration = Duration::from_micros(90);

impl<S: Stm, E: Esp> Rig<S, E> {
    pub fn new(stm: S) -> Self {
        Self {
            stm,
            esp: None,
            now: Instant::from_millis(5),
            trace: Vec::new(),
            events: BTreeMap::new(),
            seq: 0,
            life: 0,
            syn: true,
            ack: true,
            armed: Armed::Nothing,
            spins: 0,
            resets: 0,
            boot_time: Duration::from_millis(60),
            ack_latency: Duration::from_micros(3),
            transfer_latency: Duration::from_micros(3),
            ack_batch: Duration::ZERO,
            naks: 0,
            garble: false,
            misread: false,
            header: None,
            corrupt_payload: false,
            mismatch_allowed: false,
            hung: false,
            reset_broken: false,
            hang_after: None,
            dead: false,
            ack_stuck: None,
            syn_stuck: None,
            floating: true,
        }
    }

    fn at(&mut self, when: Instant, event: Event) {
        self.seq += 1;
        self.events.insert((when, self.seq), event);
    }

    fn see(&mut self, seen: Seen) {
        self.trace.push((self.now, seen));
    }

    /// Sets the level of `ack`, and reports it to the STM32.
    pub fn drive_ack(&mut self, level: bool) {
        if self.ack == level {
            return;
        }
        self.ack = level;
        self.see(Seen::Ack(level));
        if self.ack_stuck.is_none() {
            let mut when = self.now + self.ack_latency;
            let batch = self.ack_batch.as_micros();
            if batch > 0 {
                when = Instant::from_micros(when.as_micros().next_multiple_of(batch));
            }
            self.at(when, Event::Ack(level));
        }
    }

    /// Lets the STM32 see `ack` stuck at a level from now on, or the true level again.
    pub fn stick_ack(&mut self, level: Option<bool>) {
        self.ack_stuck = level;
        let seen = level.unwrap_or(self.ack);
        self.at(self.now, Event::Ack(seen));
    }

    fn kill_esp(&mut self) {
        self.esp = None;
        self.life += 1;
        self.hung = false;
        self.hang_after = None;
        self.drive_ack(self.floating);
    }

    /// Does what the machines want, until they want nothing more.
    pub fn settle(&mut self) {
        for _ in 0..200 {
            let mut idle = true;
            while let Some(action) = self.stm.exchange().next_action() {
                idle = false;
                self.initiator_action(action);
            }
            while !self.hung
                && let Some(esp) = &mut self.esp
                && let Some(action) = esp.exchange().next_action()
            {
                idle = false;
                if let Some(left) = &mut self.hang_after {
                    if *left == 0 {
                        self.hung = true;
                        break;
                    }
                    *left -= 1;
                }
                self.responder_action(action);
            }
            if idle {
                return;
            }
        }
        panic!("the machines never come to rest at {:?}", self.now);
    }

    /// Each side is polled when it asks for it, and (in `step_to`) after something was done to it;
    /// never just because the other one was.
    fn poll_due(&mut self) {
        if self.stm.poll_at(self.now).is_some_and(|at| at <= self.now) {
            self.stm.poll(self.now);
        }
        if let Some(esp) = self.esp.as_mut().filter(|_| !self.hung)
            && esp.poll_at(self.now).is_some_and(|at| at <= self.now)
        {
            esp.poll(self.now);
        }
    }

    /// Polls the ESP8266: something was done to it from outside.
    pub fn poll_esp(&mut self) {
        if let Some(esp) = self.esp.as_mut().filter(|_| !self.hung) {
            esp.poll(self.now);
        }
        self.settle();
    }

    /// Interrupts the supply of the ESP8266 for a moment: it boots again without being reset.
    pub fn power_cycle_esp(&mut self) {
        self.mismatch_allowed = true;
        self.kill_esp();
        self.at(self.now + self.boot_time, Event::Boot(self.life));
    }

    fn initiator_action(&mut self, action: InitiatorAction) {
        match action {
            InitiatorAction::Syn(level) => {
                if self.syn != level {
                    self.syn = level;
                    self.see(Seen::Syn(level));
                    if self.syn_stuck.is_none() {
                        let when = self.now + Duration::from_micros(3);
                        self.at(when, Event::Syn(self.life, level));
                    }
                }
            }
            InitiatorAction::Reset(true) => {
                self.see(Seen::Reset(true));
                self.resets += 1;
                if !self.reset_broken {
                    self.kill_esp();
                }
            }
            InitiatorAction::Reset(false) => {
                self.see(Seen::Reset(false));
                if self.reset_broken {
                    return;
                }
                self.at(self.now + self.boot_time, Event::Boot(self.life));
            }
            InitiatorAction::ArmTx => {
                self.armed = Armed::Tx(self.stm.exchange().tx_bytes().to_vec())
            }
            InitiatorAction::ArmRx(n) => self.armed = Armed::Rx(n),
            InitiatorAction::Disarm => self.armed = Armed::Nothing,
        }
    }

    fn responder_action(&mut self, action: ResponderAction) {
        let transfer = match action {
            ResponderAction::Ack(level) => {
                self.drive_ack(level);
                let now = self.now;
                let esp = self.esp.as_mut().expect("it acts");
                return esp.exchange().on_ack_set(now);
            }
            _ if self.naks > 0 => {
                self.naks -= 1;
                Transfer::Nak
            }
            _ if std::mem::take(&mut self.garble) => Transfer::Fault,
            ResponderAction::Read(n) => match &self.armed {
                Armed::Tx(_) => Transfer::Read(n),
                _ => Transfer::Nak,
            },
            ResponderAction::Write => match &self.armed {
                Armed::Rx(_) => {
                    let esp = self.esp.as_mut().expect("it acts");
                    Transfer::Write(esp.exchange().tx_bytes().to_vec())
                }
                _ => Transfer::Nak,
            },
        };
        let bytes = match &transfer {
            Transfer::Read(n) => *n,
            Transfer::Write(bytes) => bytes.len(),
            Transfer::Nak | Transfer::Fault => 0,
        };
        let when = self.now + BYTE.times(bytes as u64 + 1);
        self.at(when, Event::TransferEnds(self.life, transfer));
    }

    fn transfer_ends(&mut self, transfer: Transfer) {
        let late = self.now + self.transfer_latency;
        let mangle = |bytes: &mut Vec<u8>, header: &mut Option<[u8; 2]>| {
            if bytes.len() == 2
                && let Some(other) = header.take()
            {
                *bytes = other.to_vec();
            }
        };
        let Some(esp) = &mut self.esp else { return };
        match transfer {
            Transfer::Nak => {
                esp.exchange().on_bus_fault(self.now, BusFault::NoAddress);
                self.see(Seen::Nak);
            }
            Transfer::Fault => {
                esp.exchange().on_bus_fault(self.now, BusFault::Other);
                self.at(late, Event::BusError);
            }
            Transfer::Read(n) => {
                let Armed::Tx(mut bytes) = std::mem::replace(&mut self.armed, Armed::Nothing)
                else {
                    return esp.exchange().on_bus_fault(self.now, BusFault::Other);
                };
                if bytes.len() != n {
                    // The sides have lost step; what they do next must end in a failure.
                    assert!(self.mismatch_allowed, "the master reads what the slave has");
                    bytes.resize(n, 0xff);
                    return esp.exchange().on_read(self.now, &bytes);
                }
                mangle(&mut bytes, &mut self.header);
                if n > 2 && std::mem::take(&mut self.corrupt_payload) {
                    bytes[0] ^= 4;
                }
                esp.exchange().on_read(self.now, &bytes);
                self.see(Seen::Read(bytes));
                let heard = self.heard(Event::Sent);
                self.at(late, heard);
            }
            Transfer::Write(mut bytes) => {
                let Armed::Rx(n) = std::mem::replace(&mut self.armed, Armed::Nothing) else {
                    return esp.exchange().on_bus_fault(self.now, BusFault::Other);
                };
                if bytes.len() != n {
                    assert!(self.mismatch_allowed, "the master writes what the slave wants");
                    return esp.exchange().on_written(self.now);
                }
                esp.exchange().on_written(self.now);
                mangle(&mut bytes, &mut self.header);
                self.see(Seen::Written(bytes.clone()));
                let heard = self.heard(Event::Received(bytes));
                self.at(late, heard);
            }
        }
    }

    /// Returns what the STM32 takes a transfer for.
    fn heard(&mut self, event: Event) -> Event {
        if std::mem::take(&mut self.misread) { Event::BusError } else { event }
    }

    fn deliver(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Ack(level) => self.stm.exchange().on_ack(now, level),
            Event::Sent => self.stm.exchange().on_sent(now),
            Event::Received(bytes) => self.stm.exchange().on_received(now, &bytes),
            Event::BusError => self.stm.exchange().on_bus_error(now),
            Event::Syn(life, level) => {
                if let Some(esp) = self.esp.as_mut().filter(|_| life == self.life && !self.hung) {
                    esp.exchange().on_syn(now, level);
                }
            }
            Event::TransferEnds(life, transfer) => {
                if life == self.life && !self.hung {
                    self.transfer_ends(transfer);
                }
            }
            Event::Boot(life) => {
                if life == self.life && !self.dead {
                    self.esp = Some(E::boot(self.syn_stuck.unwrap_or(self.syn)));
                }
            }
        }
    }

    /// Returns the time of the next event.
    pub fn next_at(&self) -> Option<Instant> {
        let esp = self.esp.as_ref().filter(|_| !self.hung);
        [
            self.events.keys().next().map(|k| k.0),
            self.stm.poll_at(self.now),
            esp.and_then(|e| e.poll_at(self.now)),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at| at.max(self.now))
    }

    /// Goes to `to`, before which nothing happens.
    pub fn step_to(&mut self, to: Instant) {
        self.spins = if to > self.now { 0 } else { self.spins + 1 };
        assert!(self.spins < 200, "spinning at {:?}", self.now);
        self.now = to;
        self.poll_due();
        self.settle();
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let event = entry.remove();
            let of_stm =
                matches!(event, Event::Ack(_) | Event::Sent | Event::Received(_) | Event::BusError);
            self.deliver(event);
            if of_stm {
                self.stm.poll(self.now);
                self.settle();
            } else {
                self.poll_esp();
            }
        }
    }

    /// Runs for a time.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_at().filter(|&n| n <= end) {
            self.step_to(next);
        }
        self.step_to(end);
    }

    /// Runs until `done`, which must be the case within `limit`.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            let next = self.next_at().expect("something happens");
            assert!(next <= end, "not done within {limit}: {:?}", self.tail());
            self.step_to(next);
        }
    }

    pub fn tail(&self) -> &[(Instant, Seen)] {
        &self.trace[self.trace.len().saturating_sub(20)..]
    }

    /// Returns the lengths of all low pulses of `ack` that are not interlocked, in µs: those during which
    /// `syn` does not move.
    pub fn pulses(&self) -> Vec<u64> {
        self.trace
            .windows(2)
            .filter(|w| w[0].1 == Seen::Ack(false) && w[1].1 == Seen::Ack(true))
            .map(|w| w[1].0.since(w[0].0).as_micros())
            .collect()
    }
}

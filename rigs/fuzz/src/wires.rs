//! Exchanges on the wires: both machines with a bus that fails, an ESP8266 that dies, and owners that take their time.

use std::collections::VecDeque;

use pblink_protocol::i2c::{
    BusFault, Initiator, InitiatorAction, InitiatorEvent, InitiatorTiming, MAX_PAYLOAD, Responder,
    ResponderAction,
};
use pblink_protocol::time::{Duration, Instant};

use crate::input::Input;

/// Steps of the clock, in µs: pulses, pauses, and what is given up.
const STEPS: [u64; 10] = [1, 20, 100, 150, 1000, 5000, 20_000, 300_000, 1_000_000, 3_000_000];

/// Changes the bytes of a payload on their way to the STM32.
pub type Bus = fn(&mut Vec<u8>);

/// A fault of the next transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The master finds nobody.
    NoAddress,
    /// Both ends notice.
    Both,
    /// The master alone notices.
    Master,
    /// The slave alone notices.
    Slave,
}

/// The bytes of one direction since the ESP8266 was started: what was given, and how much of it has been taken.
#[derive(Default)]
struct Stream {
    given: VecDeque<u8>,
}

impl Stream {
    fn give(&mut self, bytes: &[u8]) {
        self.given.extend(bytes);
    }

    /// The other end has these bytes: the next ones that were given.
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            assert_eq!(self.given.pop_front(), Some(byte), "lost, doubled or changed");
        }
    }
}

/// The wires with both machines.
struct Rig {
    stm: Initiator,
    /// `None` while the reset wire is active.
    esp: Option<Responder>,
    syn: bool,
    /// Bytes that the slave is armed to send, and how many it is armed to get.
    sends: Option<Vec<u8>>,
    gets: Option<usize>,
    fault: Fault,
    up: Stream,
    down: Stream,
    /// The last bytes that have come to the STM32: it has a payload when `ack` falls.
    unconfirmed: Vec<u8>,
    /// They are of an ESP8266 that is gone: the next one takes `ack` down when it boots.
    orphaned: bool,
    /// The last bytes that the STM32 has taken to pass.
    submitted: Vec<u8>,
    /// It may not have noticed that the ESP8266 for which they were is gone, and then passes them to the next one, or believes that
    /// it has.
    may_pass: bool,
    bus: Bus,
    now: Instant,
    synchronised: u32,
}

impl Rig {
    /// Carries out everything that both want now.
    fn run(&mut self) {
        for _ in 0..200 {
            if !self.stm_acts() & !self.esp_acts() {
                return;
            }
        }
        panic!("they never come to rest");
    }

    fn stm_acts(&mut self) -> bool {
        while let Some(event) = self.stm.next_event() {
            self.synchronised += u32::from(event == InitiatorEvent::Synchronised);
        }
        let Some(action) = self.stm.next_action() else { return false };
        match action {
            InitiatorAction::Syn(level) => {
                self.syn = level;
                if let Some(esp) = &mut self.esp {
                    let before = esp.received().len();
                    esp.on_syn(self.now, level);
                    if esp.received().len() > before && std::mem::take(&mut self.may_pass) {
                        self.down.give(&self.submitted);
                    }
                }
            }
            InitiatorAction::Reset(true) => self.dies(),
            InitiatorAction::Reset(false) => self.boots(),
            InitiatorAction::ArmTx => {
                let bytes = self.stm.tx_bytes().to_vec();
                assert!((1..=MAX_PAYLOAD).contains(&bytes.len()));
                (self.sends, self.gets) = (Some(bytes), None);
            }
            InitiatorAction::ArmRx(len) => {
                assert!((1..=MAX_PAYLOAD).contains(&len));
                (self.sends, self.gets) = (None, Some(len));
            }
            InitiatorAction::Disarm => (self.sends, self.gets) = (None, None),
        }
        true
    }

    /// Without power or in reset nobody drives `ack`, which is high then.
    fn dies(&mut self) {
        self.esp = None;
        (self.up, self.down) = Default::default();
        // Nobody has taken it yet, and an STM32 that resets the other has dropped it.
        self.up.give(self.stm.received());
        self.orphaned = !self.unconfirmed.is_empty();
        self.may_pass = self.stm.is_synchronised() && !self.stm.can_submit();
        self.stm.on_ack(self.now, true);
    }

    fn boots(&mut self) {
        if self.esp.is_none() {
            self.esp = Some(Responder::new(self.syn));
        }
    }

    fn esp_acts(&mut self) -> bool {
        let Some(esp) = &mut self.esp else { return false };
        let Some(action) = esp.next_action() else { return false };
        match action {
            ResponderAction::Ack(level) => {
                esp.on_ack_set(self.now);
                let before = self.stm.received().len();
                self.stm.on_ack(self.now, level);
                if self.stm.received().len() > before {
                    let payload = std::mem::take(&mut self.unconfirmed);
                    if std::mem::take(&mut self.orphaned) {
                        self.up.give(&payload);
                    }
                }
            }
            ResponderAction::Read(len) => self.transfer(Some(len)),
            ResponderAction::Write => self.transfer(None),
        }
        true
    }

    /// The master reads this many bytes, or writes what it has.
    fn transfer(&mut self, reads: Option<usize>) {
        let Some(esp) = &mut self.esp else { return };
        let (now, fault) = (self.now, std::mem::replace(&mut self.fault, Fault::None));
        let is_armed = if reads.is_some() { self.sends.is_some() } else { self.gets.is_some() };
        if fault == Fault::NoAddress || !is_armed {
            return esp.on_bus_fault(now, BusFault::NoAddress);
        }
        let (sends, gets) = (self.sends.take(), self.gets.take());
        let slave_notices = matches!(fault, Fault::Both | Fault::Slave);
        let master_notices = matches!(fault, Fault::Both | Fault::Master);
        let mut bytes = match &sends {
            Some(bytes) => bytes.clone(),
            None => esp.tx_bytes().to_vec(),
        };
        if gets.is_some() && bytes.len() != 2 {
            (self.bus)(&mut bytes);
        }
        if gets.is_some() {
            (self.unconfirmed, self.orphaned) = (bytes.clone(), false);
        }
        match (slave_notices, gets) {
            (true, _) => self.stm.on_bus_error(now),
            (false, Some(_)) => self.stm.on_received(now, &bytes),
            (false, None) => self.stm.on_sent(now),
        }
        match (master_notices, reads) {
            (true, _) => esp.on_bus_fault(now, BusFault::Other),
            (false, Some(len)) => {
                // A slave that has no more lets the wire go.
                bytes.resize(len, 0xff);
                esp.on_read(now, &bytes);
            }
            (false, None) => esp.on_written(now),
        }
    }

    fn poll(&mut self) {
        self.stm.poll(self.now);
        if let Some(esp) = &mut self.esp {
            esp.poll(self.now);
        }
        self.run();
    }

    /// Goes on to the next instant at which one of them wants to be polled, up to `end`.
    fn pass(&mut self, end: Instant) {
        for polls in 0.. {
            // Exchanges are paced: one that begins at once for ever would fill any time.
            assert!(polls < 2_000_000, "time stands still");
            self.poll();
            let esp = self.esp.as_ref().and_then(|esp| esp.poll_at(self.now));
            let next = [self.stm.poll_at(self.now), esp].into_iter().flatten().min();
            match next {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
        }
        self.now = end;
        self.poll();
    }

    /// Both owners take what has come, up to `most` bytes.
    fn take(&mut self, most: usize) {
        let bytes = self.stm.received();
        let len = bytes.len().min(most);
        self.up.take(&bytes[..len]);
        self.stm.consume(len);
        if let Some(esp) = &mut self.esp {
            let bytes = esp.received();
            let len = bytes.len().min(most);
            self.down.take(&bytes[..len]);
            esp.consume(len);
        }
    }

    fn submit(&mut self, up: bool, bytes: &[u8]) {
        let taken = match (&mut self.esp, up) {
            (Some(esp), true) => esp.submit(bytes),
            (_, true) => 0,
            (_, false) => self.stm.submit(self.now, bytes),
        };
        assert!(taken <= bytes.len().min(MAX_PAYLOAD));
        let stream = if up { &mut self.up } else { &mut self.down };
        stream.give(&bytes[..taken]);
        if !up && taken > 0 {
            (self.submitted, self.may_pass) = (bytes[..taken].to_vec(), false);
        }
    }
}

/// Runs an input.
pub fn run(data: &[u8]) {
    run_with(data, |_| {});
}

/// Runs it with a bus that changes payloads.
pub fn run_with(data: &[u8], bus: Bus) {
    let mut input = Input::new(data);
    let timing = match input.byte() & 1 {
        0 => InitiatorTiming::classic(),
        _ => InitiatorTiming::adaptive(),
    };
    let mut rig = Rig {
        stm: Initiator::new(timing),
        esp: None,
        syn: true,
        sends: None,
        gets: None,
        fault: Fault::None,
        up: Stream::default(),
        down: Stream::default(),
        unconfirmed: Vec::new(),
        orphaned: false,
        submitted: Vec::new(),
        may_pass: false,
        bus,
        now: Instant::from_millis(1),
        synchronised: 0,
    };
    rig.boots();
    rig.stm.start(rig.now);
    // Two hundred steps of the longest kind are enough for anything.
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        let what = input.byte();
        match what % 12 {
            0..=2 => {
                let step = Duration::from_micros(input.one_of(&STEPS));
                rig.pass(rig.now + step);
            }
            3 | 4 => rig.submit(false, input.counted()),
            5 | 6 => rig.submit(true, input.counted()),
            7 => rig.take(input.byte().into()),
            8 => {
                let faults = [Fault::NoAddress, Fault::Both, Fault::Master, Fault::Slave];
                rig.fault = input.one_of(&faults);
            }
            // It dies, and begins anew or stays away.
            9 => {
                rig.dies();
                if input.byte() & 1 == 0 {
                    rig.boots();
                }
            }
            10 => rig.stm.expect_lines(input.byte() & 1 == 0),
            _ => rig.poll(),
        }
        rig.run();
    }
    settle(&mut rig);
}

/// Without faults they find each other again, and a payload passes each way.
fn settle(rig: &mut Rig) {
    rig.fault = Fault::None;
    for _ in 0..600 {
        rig.pass(rig.now + Duration::from_millis(100));
        rig.take(usize::MAX);
        rig.submit(false, b"down");
        rig.submit(true, b"up");
        let idle = rig.up.given.is_empty() && rig.down.given.is_empty();
        if rig.synchronised > 0 && rig.stm.exchanges() > 0 && !idle {
            rig.pass(rig.now + Duration::from_secs(2));
            rig.take(usize::MAX);
            if rig.up.given.is_empty() && rig.down.given.is_empty() {
                return;
            }
        }
    }
    panic!("nothing passes any more");
}

//! The I2C slave at its two pins: edges of SCL and SDA become the events of [`Slave`], and what the slave wants of the
//! wires (an acknowledgement, a bit, a clock that is held) becomes levels. A start or stop in the middle of a byte
//! arises by itself.
//!
//! UM10204 (the I2C specification) §3.1; for the clock that is held, RM0090 §27.3.2: after the address until SR2 was read,
//! while there is nothing to send, and while the last byte received was not read.

use crate::i2c::Slave;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No transfer, or one that is not ours.
    Idle,
    /// Bits of an address, or of a byte from the master.
    Taking { address: bool, bits: u8, count: u8 },
    /// The slave could not take this byte yet, and holds the clock.
    Full(u8),
    /// The ninth clock: the slave's acknowledgement. What follows it.
    Acknowledging { acknowledged: bool, reads: bool },
    /// The slave has nothing to send or has not been told of the address, and holds the clock.
    Holding { reads: bool },
    /// Bits of a byte to the master, of which this many are through.
    Giving { byte: u8, count: u8 },
    /// The ninth clock: the master's acknowledgement.
    Asked { acknowledged: bool },
}

/// The slave's side of the bus.
pub struct Bus {
    phase: Phase,
    /// The levels at the last look.
    scl: bool,
    sda: bool,
    /// The slave pulls the clock down.
    pub holds_scl: bool,
    /// The slave pulls the data line down.
    pub holds_sda: bool,
    /// The transfer reads.
    reads: bool,
    /// Transfers since the last [`Bus::take_transfers`], one for each stop.
    transfers: Vec<Passed>,
    passed: Passed,
    started: u64,
    held_since: Option<u64>,
    /// The longest time for which the clock was held, in cycles of the caller's clock.
    pub longest_hold: u64,
}

/// A transfer as the bus has seen it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// The master read.
    pub reads: bool,
    /// The address was acknowledged.
    pub acknowledged: bool,
    /// Number of whole bytes behind the address.
    pub bytes: usize,
    /// The time from start to stop, in cycles of the caller's clock.
    pub cycles: u64,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            phase: Phase::Idle,
            scl: true,
            sda: true,
            holds_scl: false,
            holds_sda: false,
            reads: false,
            transfers: Vec::new(),
            passed: Passed::default(),
            started: 0,
            held_since: None,
            longest_hold: 0,
        }
    }
}

impl Bus {
    /// Transfers that have ended since the last call.
    pub fn take_transfers(&mut self) -> Vec<Passed> {
        std::mem::take(&mut self.transfers)
    }

    /// Returns the levels of SCL and SDA at the last look.
    pub fn levels(&self) -> (bool, bool) {
        (self.scl, self.sda)
    }

    /// The level of the clock has become this, at `now`; data are at `sda`.
    pub fn look(&mut self, slave: &mut Slave, scl: bool, sda: bool, now: u64) {
        let (was_scl, was_sda) = (self.scl, self.sda);
        (self.scl, self.sda) = (scl, sda);
        if !slave.is_on() {
            self.free();
            return;
        }
        if was_scl && scl && was_sda != sda {
            if sda { self.stop(slave, now) } else { self.start(slave, now) }
        } else if !was_scl && scl {
            self.risen(sda);
        } else if was_scl && !scl {
            self.fallen(slave);
        }
        self.held(now);
    }

    /// The slave's registers may have changed: a clock that is held may go up.
    pub fn poll(&mut self, slave: &mut Slave, now: u64) {
        if !slave.is_on() {
            self.free();
        } else if let Phase::Holding { reads } = self.phase {
            self.go_on(slave, reads);
        } else if let Phase::Full(byte) = self.phase {
            self.take(slave, byte);
        }
        self.held(now);
    }

    /// Lets go of both lines: the peripheral is off.
    fn free(&mut self) {
        self.phase = Phase::Idle;
        self.holds_scl = false;
        self.holds_sda = false;
        self.held_since = None;
    }

    fn held(&mut self, now: u64) {
        if let Some(since) = self.held_since {
            self.longest_hold = self.longest_hold.max(now - since);
        }
        self.held_since = self.holds_scl.then_some(self.held_since.unwrap_or(now));
    }

    /// Returns true if a start or stop would come in the middle of a byte. One rise of the clock is part of it.
    fn within_a_byte(&self) -> bool {
        match self.phase {
            Phase::Taking { count, .. } => count >= 2,
            Phase::Giving { count, .. } => count >= 1,
            _ => false,
        }
    }

    fn start(&mut self, slave: &mut Slave, now: u64) {
        if self.within_a_byte() {
            slave.misplaced();
        }
        self.holds_sda = false;
        self.phase = Phase::Taking { address: true, bits: 0, count: 0 };
        self.passed = Passed::default();
        self.started = now;
    }

    fn stop(&mut self, slave: &mut Slave, now: u64) {
        if self.within_a_byte() {
            slave.misplaced();
        }
        slave.stop();
        self.phase = Phase::Idle;
        self.holds_sda = false;
        self.passed.cycles = now - self.started;
        self.transfers.push(std::mem::take(&mut self.passed));
    }

    fn risen(&mut self, sda: bool) {
        match &mut self.phase {
            Phase::Taking { bits, count, .. } => {
                *bits = *bits << 1 | u8::from(sda);
                *count += 1;
            }
            Phase::Asked { acknowledged } => *acknowledged = !sda,
            _ => {}
        }
    }

    fn fallen(&mut self, slave: &mut Slave) {
        match self.phase {
            Phase::Taking { address: true, bits, count: 8 } => {
                self.reads = bits & 1 != 0;
                let mine = slave.address(bits >> 1, self.reads);
                self.passed = Passed { reads: self.reads, acknowledged: mine, ..Passed::default() };
                self.holds_sda = mine;
                self.phase = Phase::Acknowledging { acknowledged: mine, reads: self.reads };
            }
            Phase::Taking { address: false, bits, count: 8 } => self.take(slave, bits),
            Phase::Acknowledging { acknowledged, reads } => {
                self.holds_sda = false;
                if acknowledged { self.go_on(slave, reads) } else { self.phase = Phase::Idle }
            }
            Phase::Giving { byte, count } if count < 7 => {
                let count = count + 1;
                self.holds_sda = byte << count & 0x80 == 0;
                self.phase = Phase::Giving { byte, count };
            }
            Phase::Giving { .. } => {
                self.holds_sda = false;
                self.passed.bytes += 1;
                self.phase = Phase::Asked { acknowledged: false };
            }
            Phase::Asked { acknowledged } => {
                slave.acknowledged(acknowledged);
                if acknowledged { self.go_on(slave, true) } else { self.phase = Phase::Idle }
            }
            _ => {}
        }
    }

    /// Hands a byte to the slave, or holds the clock until it takes it.
    fn take(&mut self, slave: &mut Slave, byte: u8) {
        let taken = slave.clock_in(byte);
        self.holds_scl = taken.is_none();
        self.phase = match taken {
            None => Phase::Full(byte),
            Some(acknowledged) => {
                self.passed.bytes += usize::from(acknowledged);
                self.holds_sda = acknowledged;
                Phase::Acknowledging { acknowledged, reads: false }
            }
        };
    }

    /// Begins the next byte, or holds the clock until the slave is ready.
    fn go_on(&mut self, slave: &mut Slave, reads: bool) {
        let ready = slave.ready(reads);
        self.holds_scl = !ready;
        self.phase = if !ready {
            Phase::Holding { reads }
        } else if reads {
            let byte = slave.clock_out();
            self.holds_sda = byte & 0x80 == 0;
            Phase::Giving { byte, count: 0 }
        } else {
            Phase::Taking { address: false, bits: 0, count: 0 }
        };
    }
}

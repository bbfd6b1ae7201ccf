//! The registers of an I2C slave (RM0090 §27), and the master's side of one transfer.
//!
//! Time is in µs. Bytes are moved whole, not bit by bit. The slave holds SCL low (and so time
//! stands still for the master, up to its limit) as the manual says: after ADDR until SR2 was read,
//! while there is nothing to send, and while the last byte received was not read.

/// CR1 bits.
const PE: u32 = 1 << 0;
const ACK: u32 = 1 << 10;
/// CR2 bits.
const ITERREN: u32 = 1 << 8;
const ITEVTEN: u32 = 1 << 9;
const ITBUFEN: u32 = 1 << 10;
/// SR1 bits.
const ADDR: u32 = 1 << 1;
const BTF: u32 = 1 << 2;
const STOPF: u32 = 1 << 4;
const RXNE: u32 = 1 << 6;
const TXE: u32 = 1 << 7;
const BERR: u32 = 1 << 8;
const AF: u32 = 1 << 10;
const ERRORS: u32 = 0xdf00;
/// SR2 bits.
const BUSY: u32 = 1 << 1;
const TRA: u32 = 1 << 2;

/// The slave.
#[derive(Default)]
pub struct Slave {
    cr1: u32,
    cr2: u32,
    oar1: u32,
    sr1: u32,
    sr2: u32,
    dr: u8,
    dr_full: bool,
    /// The byte that is being sent.
    shifter: Option<u8>,
    sr1_read: bool,
    /// The address of the transfer was this slave's.
    matched: bool,
    /// Bytes that the program wrote although there was no room, or read although there was none.
    pub misuse: u32,
    /// Resets through RCC.
    pub resets: u32,
}

impl Slave {
    /// Reset through RCC.
    pub fn reset(&mut self) {
        *self = Self { resets: self.resets + 1, misuse: self.misuse, ..Self::default() };
    }

    /// Returns the event and the error interrupt line.
    pub fn interrupts(&self) -> [bool; 2] {
        let events = self.sr1 & (ADDR | BTF | STOPF) != 0
            || (self.cr2 & ITBUFEN != 0 && self.sr1 & (TXE | RXNE) != 0);
        [self.cr2 & ITEVTEN != 0 && events, self.cr2 & ITERREN != 0 && self.sr1 & ERRORS != 0]
    }

    /// Reads a register, as the program does.
    pub fn read(&mut self, offset: u64) -> u32 {
        match offset {
            0x00 => self.cr1,
            0x04 => self.cr2,
            0x08 => self.oar1,
            0x10 => {
                if !std::mem::take(&mut self.dr_full) {
                    self.misuse += 1;
                }
                self.sr1 &= !(RXNE | BTF);
                u32::from(self.dr)
            }
            0x14 => {
                self.sr1_read = true;
                self.sr1
            }
            0x18 => {
                if std::mem::take(&mut self.sr1_read) {
                    self.sr1 &= !ADDR;
                    self.feed();
                }
                self.sr2
            }
            _ => 0,
        }
    }

    /// Writes a register, as the program does.
    pub fn write(&mut self, offset: u64, value: u32) {
        match offset {
            0x00 => {
                self.cr1 = value;
                if std::mem::take(&mut self.sr1_read) {
                    self.sr1 &= !STOPF;
                }
                if value & PE == 0 {
                    self.cr1 &= !ACK;
                    (self.sr1, self.sr2, self.dr_full, self.shifter) = (0, 0, false, None);
                }
            }
            0x04 => self.cr2 = value,
            0x08 => self.oar1 = value,
            0x10 => {
                // Only a slave that is being read may write, and only into an empty register.
                if self.sr2 & TRA == 0 || self.dr_full {
                    self.misuse += 1;
                }
                self.dr = value as u8;
                self.dr_full = true;
                self.sr1 &= !(TXE | BTF);
                self.feed();
            }
            0x14 => self.sr1 &= value | !ERRORS,
            _ => {}
        }
    }

    /// Returns true if the peripheral is enabled.
    pub(crate) fn is_on(&self) -> bool {
        self.cr1 & PE != 0
    }

    /// Moves the next byte into the shifter, if it is empty.
    fn feed(&mut self) {
        if self.sr2 & TRA == 0 || self.sr1 & ADDR != 0 {
            return;
        }
        if self.shifter.is_none() && self.dr_full {
            self.shifter = Some(self.dr);
            self.dr_full = false;
        }
        if !self.dr_full {
            self.sr1 |= TXE;
        }
    }

    /// Sends start and an address as the master. Returns whether the slave acknowledges it.
    pub(crate) fn address(&mut self, address: u8, read: bool) -> bool {
        if !self.is_on() {
            return false;
        }
        self.sr2 |= BUSY;
        self.sr1 &= !TXE;
        self.matched = false;
        let mine = (self.oar1 >> 1) as u8 & 0x7f == address && self.cr1 & ACK != 0;
        if mine {
            self.matched = true;
            self.sr1 |= ADDR;
            self.sr2 = (self.sr2 & !TRA) | if read { TRA } else { 0 };
            self.shifter = None;
        }
        mine
    }

    fn stretches(&self) -> bool {
        self.is_on() && self.sr1 & ADDR != 0
    }

    /// Returns true if the slave lets the clock of the next byte begin.
    pub(crate) fn ready(&mut self, master_reads: bool) -> bool {
        if !self.is_on() {
            return true;
        }
        self.feed();
        !self.stretches() && (!master_reads || self.shifter.is_some())
    }

    /// Clocks one byte out of the slave, as the master. A slave that is off leaves SDA high.
    pub(crate) fn clock_out(&mut self) -> u8 {
        self.shifter.take().unwrap_or(0xff)
    }

    /// Notes that the master has acknowledged the byte, or not.
    pub(crate) fn acknowledged(&mut self, yes: bool) {
        if !self.is_on() {
            return;
        }
        if !yes {
            self.sr1 |= AF;
            return;
        }
        self.feed();
        if self.shifter.is_none() {
            self.sr1 |= BTF;
        }
    }

    /// Clocks one byte in, as the master. `None` while SCL is held low, else whether it was
    /// acknowledged.
    pub(crate) fn clock_in(&mut self, byte: u8) -> Option<bool> {
        if !self.is_on() {
            return Some(false);
        }
        if self.dr_full {
            self.sr1 |= BTF;
            return None;
        }
        if self.cr1 & ACK == 0 {
            return Some(false);
        }
        self.dr = byte;
        self.dr_full = true;
        self.sr1 |= RXNE;
        Some(true)
    }

    pub(crate) fn stop(&mut self) {
        if !self.is_on() {
            return;
        }
        // §27.6.6: STOPF is set only while the slave would acknowledge, and not for a transmitter.
        if self.matched && self.sr2 & TRA == 0 && self.cr1 & ACK != 0 {
            self.sr1 |= STOPF;
        }
        self.sr2 &= !(BUSY | TRA);
        self.sr1 &= !TXE;
        self.matched = false;
        self.shifter = None;
    }

    /// Sends a start or stop in the middle of a byte.
    pub fn misplaced(&mut self) {
        if self.is_on() {
            self.sr1 |= BERR;
        }
    }
}

/// A transfer that the master wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This many bytes from the slave.
    Read(usize),
    /// These bytes to the slave.
    Write(Vec<u8>),
}

/// The end of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The bytes that were read.
    Read(Vec<u8>),
    /// All bytes were written.
    Written,
    /// No slave acknowledged the address.
    NoAddress,
    /// A byte was not acknowledged, or SCL stayed low for too long.
    Fault,
}

/// One transfer under way.
pub struct Transfer {
    wanted: Wanted,
    /// The master stops after this many bytes (a fault).
    cut: Option<usize>,
    address: u8,
    done: Vec<u8>,
    started: bool,
    /// The bits of a byte are under way.
    clocking: bool,
    /// SCL is held low since.
    held_since: Option<u64>,
    byte: u64,
    /// Time at which the next byte is through.
    pub at: u64,
    /// The longest time for which SCL was held low, in µs.
    pub stretched: u64,
}

/// The longest time that SCL may be held low, in µs.
const STRETCH: u64 = 50_000;
/// The time between two checks by a master in software that SCL is free, in µs.
const LOOK: u64 = 2;

impl Transfer {
    /// Begins now. A byte takes `byte` µs.
    pub fn new(wanted: Wanted, address: u8, byte: u64, cut: Option<usize>, now: u64) -> Self {
        let (done, started, clocking, held_since) = (Vec::new(), false, false, None);
        let (at, stretched) = (now + byte, 0);
        Self { wanted, cut, address, done, started, clocking, held_since, byte, at, stretched }
    }

    /// SCL is held low: look again soon, or give up.
    fn hold(&mut self, now: u64) -> Option<Ended> {
        let since = *self.held_since.get_or_insert(now);
        self.at = now + LOOK;
        self.stretched = self.stretched.max(self.at - since);
        (now - since > STRETCH).then_some(Ended::Fault)
    }

    /// Continues at [`at`](Self::at). Returns `Some` when it has ended.
    pub fn step(&mut self, slave: &mut Slave, now: u64) -> Option<Ended> {
        let read = matches!(self.wanted, Wanted::Read(_));
        if !self.started {
            if !slave.address(self.address, read) {
                slave.stop();
                return Some(Ended::NoAddress);
            }
            self.started = true;
            self.at = now;
            return None;
        }
        if !self.clocking {
            if !slave.ready(read) {
                return self.hold(now);
            }
            self.held_since = None;
            self.clocking = true;
            self.at = now + self.byte;
            return None;
        }
        let n = self.done.len();
        let moved = match &self.wanted {
            Wanted::Read(_) => Some((slave.clock_out(), true)),
            Wanted::Write(bytes) => slave.clock_in(bytes[n]).map(|ack| (bytes[n], ack)),
        };
        let Some((byte, ack)) = moved else {
            return self.hold(now);
        };
        self.clocking = false;
        self.held_since = None;
        self.done.push(byte);
        let n = n + 1;
        let all = match &self.wanted {
            Wanted::Read(len) => *len,
            Wanted::Write(bytes) => bytes.len(),
        };
        let cut = self.cut.is_some_and(|cut| n >= cut && n < all);
        if read {
            slave.acknowledged(n < all && !cut);
        }
        if n < all && !cut && ack {
            self.at = now;
            return None;
        }
        slave.stop();
        Some(if cut || !ack {
            Ended::Fault
        } else if read {
            Ended::Read(std::mem::take(&mut self.done))
        } else {
            Ended::Written
        })
    }
}

//! The bootloader in the chip's ROM, as AN3156 and DFU 1.1 describe it, at the level of transfers.

use std::time::Duration;

use pblink_flash::stm32::{Alternate, DfuIo, IoError, request, state};

use super::{Chip, Fault, Faults, START};

/// The bootloader's way to count the addresses of blocks: AN3156 can be read both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// By the length of each request.
    OfRequest,
    /// By the length that its descriptor names.
    OfDescriptor,
}

const OK: u8 = 0;
const ERR_TARGET: u8 = 0x01;
const ERR_VENDOR: u8 = 0x0b;
const ERR_STALLED: u8 = 0x0f;
/// A download of nothing has come, and waits for GETSTATUS.
const MANIFEST_SYNC: u8 = 6;

const OPTIONS: u32 = 0x1fff_c000;
const TRANSFER: usize = 2048;

/// A chip in its bootloader, and the cable.
#[derive(Debug, Clone)]
pub struct Bootloader {
    chip: Chip,
    alternates: Vec<Alternate>,
    alternate: u8,
    address: Address,
    faults: Faults,
    state: u8,
    status: u8,
    pointer: u32,
    /// A download that GETSTATUS will carry out.
    pending: Option<(u16, Vec<u8>)>,
    /// The status with which the present operation will end.
    outcome: u8,
    now: Duration,
    busy_until: Duration,
    /// Never gets done with anything, and asks for this much time again and again.
    stuck: Option<Duration>,
    /// Time that each answer takes.
    slow: Duration,
}

impl Bootloader {
    /// Makes a chip that has just entered its bootloader.
    pub fn of(chip: &Chip) -> Self {
        chip.stop();
        // 7 of 128 KB, or 3.
        let large = chip.map().sectors.len() - 5;
        let flash = format!("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,{large:02}*128Kg");
        let names = [
            &*flash,
            "@Option Bytes  /0x1FFFC000/01*016 e",
            "@OTP Memory /0x1FFF7800/01*512 e,01*016 e",
            "@Device Feature/0xFFFF0000/01*004 e",
        ];
        let alternates =
            (0..).zip(names).map(|(number, name)| Alternate { number, name: name.into() });
        Self {
            chip: chip.clone(),
            alternates: alternates.collect(),
            alternate: 0,
            address: Address::OfRequest,
            faults: Faults::default(),
            state: state::IDLE,
            status: OK,
            pointer: START,
            pending: None,
            outcome: OK,
            now: Duration::ZERO,
            busy_until: Duration::ZERO,
            stuck: None,
            slow: Duration::ZERO,
        }
    }

    /// Lets one transfer go wrong; the first has number 0.
    #[must_use]
    pub fn with_fault(mut self, transfer: usize, fault: Fault) -> Self {
        self.faults.fault = Some((transfer, fault));
        self
    }

    /// Counts addresses the other way.
    #[must_use]
    pub fn with_addresses(mut self, address: Address) -> Self {
        self.address = address;
        self
    }

    /// Offers only these memories.
    #[must_use]
    pub fn with_alternates(mut self, alternates: Vec<Alternate>) -> Self {
        self.alternates = alternates;
        self
    }

    /// Is in this state, where another program has left it.
    #[must_use]
    pub fn in_state(mut self, state: u8) -> Self {
        self.state = state;
        self.status = if state == state::ERROR { ERR_STALLED } else { OK };
        self
    }

    /// Stays busy for ever with whatever is asked next.
    #[must_use]
    pub fn that_hangs(self) -> Self {
        self.that_asks_for(Duration::from_millis(100))
    }

    /// Stays busy for ever, and asks for a pause of this length each time.
    #[must_use]
    pub fn that_asks_for(mut self, pause: Duration) -> Self {
        self.stuck = Some(pause);
        self
    }

    /// Takes this long for each answer.
    #[must_use]
    pub fn that_is_slow(mut self, answer: Duration) -> Self {
        self.slow = answer;
        self
    }

    /// Returns the number of transfers so far.
    pub fn transfers(&self) -> usize {
        self.faults.transfers
    }

    /// Returns the time that was let pass.
    pub fn time(&self) -> Duration {
        self.now
    }

    fn error(&mut self, status: u8) -> IoError {
        (self.state, self.status, self.pending) = (state::ERROR, status, None);
        IoError::Stall
    }

    fn refuse(&mut self) -> IoError {
        self.error(ERR_STALLED)
    }

    /// Takes what was downloaded, and says how long it will take and how it will end.
    fn carry_out(&mut self, torn: bool) -> (Duration, u8) {
        let Some((block, data)) = self.pending.take() else { return (Duration::ZERO, OK) };
        let command = (block == 0).then(|| data.first().copied()).flatten();
        let argument =
            |data: &[u8]| data[1..].iter().rev().fold(0, |a, &b| (a << 8) | u32::from(b));
        match (command, data.len()) {
            (Some(0x21), 5) => {
                let address = argument(&data);
                let known = self.chip.is_flash(address, 1) || address == OPTIONS;
                if known {
                    self.pointer = address;
                }
                (Duration::from_millis(1), if known { OK } else { ERR_TARGET })
            }
            (Some(0x41), 5) => {
                let address = argument(&data);
                if !self.chip.is_flash(address, 1) {
                    return (Duration::ZERO, ERR_TARGET);
                }
                if self.chip.readout_protected() {
                    return (Duration::ZERO, ERR_VENDOR);
                }
                // AN2662 §4.5.3: no error for sectors that are write-protected.
                self.chip.erase(address, torn);
                let sector = (self.chip.map().sectors.iter())
                    .find(|sector| address - sector.start < sector.size);
                let kilobytes = sector.map_or(0, |sector| u64::from(sector.size >> 10));
                (Duration::from_millis(kilobytes * 10), OK)
            }
            (None, 2..=TRANSFER) => {
                let address = self.address_of(block, data.len());
                if let (OPTIONS, Ok(options)) = (address, <[u8; 16]>::try_from(&data[..])) {
                    if !torn {
                        self.chip.set_options(options);
                    }
                    // AN3156: then it resets the chip.
                    self.faults.gone = true;
                    return (Duration::from_millis(20), OK);
                }
                if !self.chip.is_flash(address, data.len()) {
                    return (Duration::ZERO, ERR_TARGET);
                }
                if self.chip.readout_protected() {
                    return (Duration::ZERO, ERR_VENDOR);
                }
                self.chip.program(address, &data, torn);
                (Duration::from_millis(20), OK)
            }
            // The whole chip, or something unknown: nothing that a test should meet.
            _ => (Duration::ZERO, ERR_STALLED),
        }
    }

    fn address_of(&self, block: u16, length: usize) -> u32 {
        let length = match self.address {
            Address::OfRequest => length,
            Address::OfDescriptor => TRANSFER,
        };
        self.pointer.wrapping_add(u32::from(block - 2) * length as u32)
    }

    fn get_status(&mut self, torn: bool) -> Result<[u8; 6], IoError> {
        let mut poll = Duration::ZERO;
        match self.state {
            state::DNLOAD_SYNC => {
                (poll, self.outcome) = self.carry_out(torn);
                self.busy_until = self.now + poll;
                self.state = state::DNBUSY;
            }
            // DFU 1.1, §A.2.5: whoever does not wait gets an error.
            state::DNBUSY if self.now < self.busy_until => return Err(self.refuse()),
            state::DNBUSY if self.stuck.is_some() => poll = self.stuck.unwrap_or_default(),
            state::DNBUSY if self.outcome == OK => self.state = state::DNLOAD_IDLE,
            state::DNBUSY => {
                self.error(self.outcome);
            }
            MANIFEST_SYNC => {
                self.state = state::MANIFEST;
                self.faults.gone = true;
                if self.pointer == START && self.chip.would_start() {
                    self.chip.start();
                }
            }
            _ => {}
        }
        let [p0, p1, p2, _] = (poll.as_millis() as u32).to_le_bytes();
        Ok([self.status, p0, p1, p2, self.state, 0])
    }

    fn upload(&mut self, block: u16, out: &mut [u8]) -> Result<usize, IoError> {
        if !matches!(self.state, state::IDLE | state::UPLOAD_IDLE) {
            return Err(self.refuse());
        }
        if block == 0 {
            // "Get": the commands that it knows.
            let commands = [0x00, 0x21, 0x41, 0x92];
            let n = out.len().min(commands.len());
            out[..n].copy_from_slice(&commands[..n]);
            return Ok(n);
        }
        if block == 1 || !(2..=TRANSFER).contains(&out.len()) {
            return Err(self.refuse());
        }
        let address = self.address_of(block, out.len());
        if self.chip.readout_protected() {
            return Err(self.error(ERR_VENDOR));
        }
        if address == OPTIONS && out.len() == 16 {
            out.copy_from_slice(&self.chip.options());
        } else if self.chip.is_flash(address, out.len()) {
            out.copy_from_slice(&self.chip.bytes(address, out.len()));
        } else {
            return Err(self.error(ERR_TARGET));
        }
        self.state = state::UPLOAD_IDLE;
        Ok(out.len())
    }
}

impl DfuIo for Bootloader {
    fn name(&self) -> String {
        "DFU 0483:df11:FAKE (STM32 BOOTLOADER)".to_owned()
    }

    fn alternates(&self) -> &[Alternate] {
        &self.alternates
    }

    fn transfer_size(&self) -> usize {
        TRANSFER
    }

    fn select(&mut self, alternate: u8) -> Result<(), IoError> {
        match self.faults.next() {
            Some(Fault::Vanish) => return Err(IoError::Gone),
            Some(Fault::Stall | Fault::Garbage) => return Err(IoError::Stall),
            Some(Fault::Timeout) => return Err(IoError::Timeout),
            None => {}
        }
        if !self.alternates.iter().any(|known| known.number == alternate) {
            return Err(IoError::Stall);
        }
        (self.alternate, self.pointer) = (alternate, START);
        Ok(())
    }

    fn control_out(&mut self, request: u8, value: u16, data: &[u8]) -> Result<(), IoError> {
        match self.faults.next() {
            Some(Fault::Vanish) => return Err(IoError::Gone),
            Some(Fault::Stall | Fault::Garbage) => return Err(self.refuse()),
            Some(Fault::Timeout) => return Err(IoError::Timeout),
            None => {}
        }
        match (request, self.state) {
            (request::DNLOAD, state::IDLE | state::DNLOAD_IDLE) if data.is_empty() => {
                self.state = MANIFEST_SYNC;
            }
            (request::DNLOAD, state::IDLE | state::DNLOAD_IDLE) if value != 1 => {
                self.pending = Some((value, data.to_vec()));
                self.state = state::DNLOAD_SYNC;
            }
            (request::CLRSTATUS, state::ERROR) => (self.state, self.status) = (state::IDLE, OK),
            (
                request::ABORT,
                state::IDLE | state::DNLOAD_SYNC | state::DNLOAD_IDLE | state::UPLOAD_IDLE,
            ) => (self.state, self.pending) = (state::IDLE, None),
            _ => return Err(self.refuse()),
        }
        Ok(())
    }

    fn control_in(&mut self, request: u8, value: u16, out: &mut [u8]) -> Result<usize, IoError> {
        self.now += self.slow;
        let fault = self.faults.next();
        match fault {
            Some(Fault::Vanish) => {
                if request == request::GETSTATUS && self.state == state::DNLOAD_SYNC {
                    self.carry_out(true);
                }
                return Err(IoError::Gone);
            }
            Some(Fault::Stall) => return Err(self.refuse()),
            Some(Fault::Timeout) => return Err(IoError::Timeout),
            Some(Fault::Garbage) | None => {}
        }
        let n = match request {
            request::GETSTATUS => {
                let answer = self.get_status(false)?;
                let n = out.len().min(answer.len());
                out[..n].copy_from_slice(&answer[..n]);
                n
            }
            request::UPLOAD => self.upload(value, out)?,
            _ => return Err(self.refuse()),
        };
        if fault == Some(Fault::Garbage) {
            if request == request::GETSTATUS {
                return Ok(n - 1);
            }
            out.iter_mut().for_each(|byte| *byte ^= 0x10);
        }
        Ok(n)
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn now(&self) -> Duration {
        self.now
    }
}

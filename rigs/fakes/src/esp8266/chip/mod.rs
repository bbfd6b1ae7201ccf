//! The chip: its reset, its line, its loader in ROM, and what a stub adds.
//!
//! Written from Espressif's description of the serial protocol, apart from the code that it tests.

mod stub;

use super::boot::{self, Start};
use super::fault::{Fault, Faults};
use super::flash::Flash;
use super::registers::Registers;
use stub::Stub;

/// The speed of the ROM's words, with a crystal of 26 MHz.
const BOOT_BAUD: u32 = 74_880;

/// The program that runs on the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// Held in reset.
    Reset,
    /// The loader in ROM.
    Rom,
    /// A loader that was put into RAM.
    Stub,
    /// The program in flash.
    Program,
    /// Nothing that could be started.
    Nothing,
}

/// An ESP8266 with a flash.
#[derive(Debug)]
pub struct Chip {
    pub(super) flash: Flash,
    pub(super) registers: Registers,
    pub(super) faults: Faults,
    pub(super) running: Running,
    pub(super) output: Vec<u8>,
    /// Set when the cable is pulled.
    pub(super) gone: bool,
    /// Speed of its line; none: it will take that of the first byte.
    pub(super) baud: Option<u32>,
    /// A new speed, from when the answer has left.
    pub(super) next_baud: Option<u32>,
    /// The other end's speed.
    pub(super) host_baud: u32,
    pub(super) attached: bool,
    pub(super) stub: Stub,
    pub(super) write: Option<Write>,
    ram: Vec<(u32, Vec<u8>)>,
    ram_begun: bool,
    frame: Vec<u8>,
    escaped: bool,
    noise_sent: bool,
    dtr: bool,
    says: Vec<u8>,
}

/// A write in progress.
#[derive(Debug)]
pub struct Write {
    pub address: usize,
    pub block: usize,
    pub next: usize,
}

/// The answer to a command: value and data, or a reason for its failure.
pub type Answer = Result<(u32, Vec<u8>), u8>;

pub const INVALID: u8 = 5;
pub const FAILED: u8 = 6;
pub const CHECKSUM: u8 = 7;

impl Chip {
    /// Makes a chip in its loader, with this word where chips differ and this much flash.
    pub fn new(magic: u32, flash_size: usize, faults: Vec<Fault>, says: Vec<u8>) -> Self {
        let mut chip = Self {
            flash: Flash::used(flash_size),
            registers: Registers::new(magic),
            faults: Faults { list: faults, ..Faults::default() },
            running: Running::Reset,
            output: Vec::new(),
            gone: false,
            baud: None,
            next_baud: None,
            host_baud: 115_200,
            attached: false,
            stub: Stub::default(),
            write: None,
            ram: Vec::new(),
            ram_begun: false,
            frame: Vec::new(),
            escaped: false,
            noise_sent: false,
            dtr: false,
            says,
        };
        chip.reset(true);
        chip.output.clear();
        chip
    }

    /// Sets the wires of the adapter: DTR pulls GPIO0, RTS holds the chip in reset.
    pub fn lines(&mut self, dtr: bool, rts: bool) {
        self.dtr = dtr;
        match (rts, self.running) {
            (true, _) => self.running = Running::Reset,
            (false, Running::Reset) => self.reset(self.dtr),
            (false, _) => {}
        }
    }

    /// Starts anew: the loader if GPIO0 is low, else the program.
    pub fn reset(&mut self, loader: bool) {
        (self.write, self.ram_begun, self.attached) = (None, false, false);
        (self.baud, self.next_baud, self.noise_sent) = (None, None, false);
        self.ram.clear();
        self.frame.clear();
        self.stub = Stub::default();
        self.registers = self.registers.fresh();
        self.running = Running::Rom;
        self.say(&boot::words(loader), BOOT_BAUD);
        if !loader {
            self.start();
        }
    }

    fn start(&mut self) {
        if boot::start(self.flash.bytes()) == Start::Program {
            self.running = Running::Program;
            self.gone = self.faults.has(&Fault::VanishAtStart);
            self.say(&self.says.clone(), BOOT_BAUD);
        } else {
            self.running = Running::Nothing;
            self.say(b"ets_main.c 400\r\n", BOOT_BAUD);
        }
    }

    /// Sends bytes at a speed: at another speed they cannot be read.
    fn say(&mut self, bytes: &[u8], baud: u32) {
        if self.faults.has(&Fault::Silent) {
            return;
        }
        // What a started program says may wait in the line until the other end has changed its speed.
        let readable = baud == self.host_baud || self.running != Running::Rom;
        for &byte in bytes {
            let byte = if readable { byte } else { byte.rotate_left(3) ^ 0x5a };
            let byte = self.faults.on_line(byte, baud);
            self.output.push(byte);
        }
    }

    /// Bytes from the other end, sent at this speed.
    pub fn feed(&mut self, bytes: &[u8], host_baud: u32) {
        self.host_baud = host_baud;
        for &byte in bytes {
            if !matches!(self.running, Running::Rom | Running::Stub) || self.gone {
                return;
            }
            // The ROM measures the speed of the first byte.
            let baud = *self.baud.get_or_insert(host_baud);
            let byte = if baud == host_baud { byte } else { byte.rotate_left(3) ^ 0x5a };
            let byte = self.faults.on_line(byte, baud);
            self.byte(byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        match (byte, std::mem::take(&mut self.escaped)) {
            (0xc0, _) => {
                let frame = std::mem::take(&mut self.frame);
                if self.stub.reading() {
                    self.acknowledge(&frame);
                } else if frame.len() >= 8 && frame[0] == 0 {
                    self.packet(frame);
                }
            }
            (0xdb, false) => self.escaped = true,
            (0xdc, true) => self.frame.push(0xc0),
            (0xdd, true) => self.frame.push(0xdb),
            (byte, _) => self.frame.push(byte),
        }
    }

    fn packet(&mut self, mut packet: Vec<u8>) {
        let op = packet[1];
        let is_block = matches!(op, 0x03 | 0x11);
        if is_block {
            self.faults.blocks += 1;
            let count = self.faults.blocks;
            if self.faults.has(&Fault::VanishAtBlock(count)) {
                self.gone = true;
            }
            if self.running == Running::Stub && self.faults.has(&Fault::LoseStubAtBlock(count)) {
                self.running = Running::Nothing;
                return;
            }
            if self.faults.has(&Fault::ResetAtBlock(count)) {
                self.running = Running::Nothing;
                return;
            }
            if self.gone || self.faults.has(&Fault::LoseBlock(count)) {
                return;
            }
            if self.faults.has(&Fault::GarbleBlock(count)) {
                let last = packet.len() - 1;
                packet[last] ^= 0x20;
            }
        }
        let length = usize::from(u16::from_le_bytes([packet[2], packet[3]]));
        let data = &packet[8..];
        let refused = self.faults.list.iter().find_map(|fault| match fault {
            Fault::Refuse(refused, reason) if *refused == op => Some(*reason),
            Fault::LoseStubAtBlock(count) if op == 0x07 && self.faults.blocks >= *count => {
                Some(FAILED)
            }
            _ => None,
        });
        let answer = match refused {
            Some(reason) => Err(reason),
            None if length != data.len() => Err(INVALID),
            None => {
                let numbers: Vec<u32> = data
                    .chunks_exact(4)
                    .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
                    .collect();
                let checksum = packet[4];
                self.command(op, &numbers, data, checksum)
            }
        };
        let Some(answer) = answer.transpose() else { return };
        self.answer(op, &answer);
        if let Some(baud) = self.next_baud.take() {
            self.baud = Some(baud);
        }
        self.after(op, data);
    }

    /// Carries out a command; `Ok(None)` is one without an answer.
    fn command(
        &mut self,
        op: u8,
        numbers: &[u32],
        data: &[u8],
        checksum: u8,
    ) -> Result<Option<(u32, Vec<u8>)>, u8> {
        let done = || Ok(Some((0, Vec::new())));
        // Commands with a payload have a header of four words.
        if matches!(op, 0x03 | 0x07 | 0x11) {
            let payload = data.get(16..).ok_or(INVALID)?;
            if numbers[0] as usize != payload.len() {
                return Err(INVALID);
            }
            if payload.iter().fold(0xef, |sum, byte| sum ^ byte) != checksum {
                return Err(CHECKSUM);
            }
        }
        match (op, numbers) {
            (0x02, [erase, _blocks, block, address, ..]) => {
                self.flash_begin(*erase, *block, *address)
            }
            (0x03, [_, number, ..]) => self.flash_data(*number as usize, &data[16..]),
            (0x04, [_]) if self.write.is_some() || self.running == Running::Stub => done(),
            (0x05, [_, _, _, address]) => {
                self.ram.push((*address, Vec::new()));
                self.ram_begun = true;
                done()
            }
            (0x07, _) if self.ram_begun => {
                if let Some((_, bytes)) = self.ram.last_mut() {
                    bytes.extend(&data[16..]);
                }
                done()
            }
            (0x06, [_, _]) if self.ram_begun => done(),
            // The ROM answers with what it was asked; a stub with 0.
            (0x08, _) if data.len() == 36 && data[..4] == [7, 7, 0x12, 0x20] => {
                let value = if self.running == Running::Stub { 0 } else { 0x2012_0707 };
                Ok(Some((value, Vec::new())))
            }
            (0x09, [address, value, mask, _]) => {
                self.registers.write(*address, *value, *mask, &mut self.flash, self.attached);
                done()
            }
            (0x0a, [address]) => {
                Ok(Some((self.registers.read(*address, self.baud.unwrap_or_default()), Vec::new())))
            }
            _ if self.running == Running::Stub => self.stub_command(op, numbers, data),
            _ => Err(INVALID),
        }
    }

    fn flash_begin(
        &mut self,
        erase: u32,
        block: u32,
        address: u32,
    ) -> Result<Option<(u32, Vec<u8>)>, u8> {
        self.attached = true;
        let (address, block) = (address as usize, block as usize);
        let mut sectors = (erase as usize).div_ceil(4096);
        if self.running == Running::Rom {
            // The ROM's fault: the sectors up to the next block are erased and not counted as done.
            let to_block = 16 - address / 4096 % 16;
            sectors += sectors.min(to_block);
            // And it takes every flash for one of 4 MB.
            if address + sectors * 4096 > 4 << 20 {
                return Err(FAILED);
            }
        }
        if sectors > 0 && !self.flash.erase(address, sectors * 4096) {
            return Err(FAILED);
        }
        self.write = Some(Write { address, block, next: 0 });
        Ok(Some((0, Vec::new())))
    }

    fn flash_data(&mut self, number: usize, payload: &[u8]) -> Result<Option<(u32, Vec<u8>)>, u8> {
        let forgotten = self.faults.has(&Fault::ForgetBlock(self.faults.blocks));
        let write = self.write.as_mut().ok_or(FAILED)?;
        if number != write.next || payload.len() > write.block {
            return Err(FAILED);
        }
        let address = write.address + number * write.block;
        write.next += 1;
        if !forgotten && !self.flash.program(address, payload) {
            return Err(8);
        }
        Ok(Some((0, Vec::new())))
    }

    /// Does what a command does after its answer has left.
    fn after(&mut self, op: u8, data: &[u8]) {
        match (op, data) {
            (0xd2, _) => self.pump(0),
            (0x04, [1, 0, 0, 0]) if self.running == Running::Rom => self.start(),
            // GPIO0 is remembered: the loader again.
            (0x04, [0, 0, 0, 0]) => self.reset(true),
            (0x06, data) => {
                let entry = u32::from_le_bytes([data[4], data[5], data[6], data[7]]);
                let within = |(address, bytes): &(u32, Vec<u8>)| {
                    entry.checked_sub(*address).is_some_and(|at| (at as usize) < bytes.len())
                };
                if self.ram.iter().any(within) {
                    self.running = Running::Stub;
                    self.attached = true;
                    self.send(b"OHAI");
                }
            }
            _ => {}
        }
    }

    /// Runs the program in flash.
    pub(super) fn run(&mut self) {
        self.start();
    }

    fn answer(&mut self, op: u8, answer: &Answer) {
        let (value, mut data) = match answer {
            Ok((value, data)) => (*value, data.clone()),
            Err(_) => (0, Vec::new()),
        };
        data.extend(match answer {
            Ok(_) => [0, 0],
            // A stub's reasons are others, and take the place of the ROM's "failed".
            Err(reason) if self.running == Running::Stub => [stub::reason(*reason), 0],
            Err(reason) => [1, *reason],
        });
        let mut packet = vec![1, op, data.len() as u8, 0];
        packet.extend(value.to_le_bytes());
        packet.extend(data);
        let times = if op == 0x08 { 8 } else { 1 };
        if op == 0x08 && !std::mem::replace(&mut self.noise_sent, true) {
            for fault in self.faults.list.clone() {
                if let Fault::Noise(bytes) = fault {
                    self.output.extend(bytes);
                }
            }
        }
        if op != 0x08 {
            self.faults.answers += 1;
            let count = self.faults.answers;
            if self.faults.has(&Fault::LoseAnswer(count)) {
                return;
            }
            if self.faults.has(&Fault::GarbleAnswer(count)) {
                packet[5] ^= 0x04;
                packet[3] ^= 0x01;
            }
            if self.faults.has(&Fault::DelayAnswer(count)) {
                self.faults.delayed = Some(packet);
                return;
            }
        }
        if let Some(late) = self.faults.delayed.take() {
            self.send(&late);
        }
        for _ in 0..times {
            self.send(&packet);
        }
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let mut frame = vec![0xc0];
        for &byte in bytes {
            match byte {
                0xc0 => frame.extend([0xdb, 0xdc]),
                0xdb => frame.extend([0xdb, 0xdd]),
                byte => frame.push(byte),
            }
        }
        frame.push(0xc0);
        let baud = self.baud.unwrap_or(self.host_baud);
        self.say(&frame, baud);
    }
}

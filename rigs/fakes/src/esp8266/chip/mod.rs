//! The chip: its reset, its line, its loader in ROM, and what a stub adds.
//!
//! Written from Espressif's description of the serial protocol, apart from the code that it tests.

mod stub;

use super::boot::{self, Start};
use super::registers::Registers;
use crate::espressif::reason::{CHECKSUM, FAILED, INVALID, WRITE};
use crate::espressif::{self, Arrival, Chip as _, Core, Fault, Request, Running, reason};
use stub::Stub;

/// The speed of the ROM's words, with a crystal of 26 MHz.
const BOOT_BAUD: u32 = 74_880;

/// An ESP8266 with a flash.
#[derive(Debug)]
pub struct Chip {
    core: Core,
    registers: Registers,
    stub: Stub,
    write: Option<Write>,
    ram: Vec<(u32, Vec<u8>)>,
    ram_begun: bool,
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

impl espressif::Chip for Chip {
    fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    fn feed(&mut self, bytes: &[u8], host_baud: u32) {
        self.core.uart.host_baud = host_baud;
        for &byte in bytes {
            let listens = matches!(self.core.running, Running::Rom | Running::Stub);
            if !listens || self.core.uart.gone {
                return;
            }
            let Some(frame) = self.core.uart.byte(byte, host_baud) else { continue };
            if self.stub.reading() {
                self.acknowledge(&frame);
            } else if frame.len() >= 8 && frame[0] == 0 {
                self.packet(frame);
            }
        }
    }

    /// Starts anew: the loader if GPIO0 is low, else the program.
    fn reset(&mut self, loader: bool) {
        (self.write, self.ram_begun, self.core.attached) = (None, false, false);
        self.core.uart.reset();
        self.ram.clear();
        self.stub = Stub::default();
        self.registers = self.registers.fresh();
        self.core.running = Running::Rom;
        self.say(&boot::words(loader));
        if !loader {
            self.start();
        }
    }

    /// A program whose checksum is right.
    fn would_start(&mut self) -> bool {
        boot::start(self.core.flash.bytes()) == Start::Program
    }
}

impl Chip {
    /// Makes a chip in its loader, with this word where chips differ and this much flash.
    pub fn new(magic: u32, flash_size: usize, faults: Vec<Fault>, says: Vec<u8>) -> Self {
        let mut chip = Self {
            core: Core::new(flash_size, faults),
            registers: Registers::new(magic),
            stub: Stub::default(),
            write: None,
            ram: Vec::new(),
            ram_begun: false,
            dtr: false,
            says,
        };
        chip.reset(true);
        chip.core.uart.output.clear();
        chip
    }

    /// Sets the wires of the adapter: DTR pulls GPIO0, RTS holds the chip in reset.
    pub fn lines(&mut self, dtr: bool, rts: bool) {
        self.dtr = dtr;
        match (rts, self.core.running) {
            (true, _) => self.core.running = Running::Reset,
            (false, Running::Reset) => self.reset(self.dtr),
            (false, _) => {}
        }
    }

    fn start(&mut self) {
        if self.would_start() {
            self.core.running = Running::Program;
            self.core.uart.gone = self.core.uart.faults.has(&Fault::VanishAtStart);
            self.say(&self.says.clone());
        } else {
            self.core.running = Running::Nothing;
            self.say(b"ets_main.c 400\r\n");
        }
    }

    /// Says words of the ROM or of the program. A program's may wait in the line until the other end has changed its
    /// speed.
    fn say(&mut self, bytes: &[u8]) {
        self.core.uart.say(bytes, BOOT_BAUD, self.core.running != Running::Rom);
    }

    fn packet(&mut self, packet: Vec<u8>) {
        let (request, answer) = match self.core.arrive(packet) {
            Arrival::Lost => return,
            Arrival::Refused(request, reason) => (request, Err(reason)),
            Arrival::Command(request) if !request.whole => (request, Err(INVALID)),
            Arrival::Command(request) => {
                let answer = self.command(&request);
                (request, answer)
            }
        };
        let Some(answer) = answer.transpose() else { return };
        self.answer(request.op, &answer);
        let uart = &mut self.core.uart;
        if let Some(baud) = uart.next_baud.take() {
            uart.baud = Some(baud);
        }
        self.after(request.op, &request.data);
    }

    /// Carries out a command; `Ok(None)` is one without an answer.
    fn command(&mut self, request: &Request) -> Result<Option<(u32, Vec<u8>)>, u8> {
        let done = || Ok(Some((0, Vec::new())));
        let (op, data, numbers) = (request.op, &request.data[..], &request.numbers()[..]);
        // Commands with a payload have a header of four words.
        if matches!(op, 0x03 | 0x07 | 0x11) {
            let payload = request.payload().ok_or(INVALID)?;
            if numbers[0] as usize != payload.len() {
                return Err(INVALID);
            }
            if !request.is_intact() {
                return Err(CHECKSUM);
            }
        }
        match (op, numbers) {
            (0x02, [erase, _blocks, block, address, ..]) => {
                self.flash_begin(*erase, *block, *address)
            }
            (0x03, [_, number, ..]) => self.flash_data(*number as usize, &data[16..]),
            (0x04, [_]) if self.write.is_some() || self.core.running == Running::Stub => done(),
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
                let value = if self.core.running == Running::Stub { 0 } else { 0x2012_0707 };
                Ok(Some((value, Vec::new())))
            }
            (0x09, [address, value, mask, _]) => {
                let Core { flash, attached, .. } = &mut self.core;
                self.registers.write(*address, *value, *mask, flash, *attached);
                done()
            }
            (0x0a, [address]) => {
                let baud = self.core.uart.baud.unwrap_or_default();
                Ok(Some((self.registers.read(*address, baud), Vec::new())))
            }
            _ if self.core.running == Running::Stub => self.stub_command(op, numbers, data),
            _ => Err(INVALID),
        }
    }

    fn flash_begin(
        &mut self,
        erase: u32,
        block: u32,
        address: u32,
    ) -> Result<Option<(u32, Vec<u8>)>, u8> {
        self.core.attached = true;
        let (address, block) = (address as usize, block as usize);
        let mut sectors = (erase as usize).div_ceil(4096);
        if self.core.running == Running::Rom {
            // The ROM's fault: the sectors up to the next block are erased and not counted as done.
            let to_block = 16 - address / 4096 % 16;
            sectors += sectors.min(to_block);
            // And it takes every flash for one of 4 MB.
            if address + sectors * 4096 > 4 << 20 {
                return Err(FAILED);
            }
        }
        if sectors > 0 && !self.core.flash.erase(address, sectors * 4096) {
            return Err(FAILED);
        }
        self.write = Some(Write { address, block, next: 0 });
        Ok(Some((0, Vec::new())))
    }

    fn flash_data(&mut self, number: usize, payload: &[u8]) -> Result<Option<(u32, Vec<u8>)>, u8> {
        let forgotten = self.core.forgets();
        let write = self.write.as_mut().ok_or(FAILED)?;
        if number != write.next || payload.len() > write.block {
            return Err(FAILED);
        }
        let address = write.address + number * write.block;
        write.next += 1;
        if !forgotten && !self.core.flash.program(address, payload) {
            return Err(WRITE);
        }
        Ok(Some((0, Vec::new())))
    }

    /// Does what a command does after its answer has left.
    fn after(&mut self, op: u8, data: &[u8]) {
        match (op, data) {
            (0xd2, _) => self.pump(0),
            (0x04, [1, 0, 0, 0]) if self.core.running == Running::Rom => self.start(),
            // GPIO0 is remembered: the loader again.
            (0x04, [0, 0, 0, 0]) => self.reset(true),
            (0x06, data) => {
                let entry = u32::from_le_bytes([data[4], data[5], data[6], data[7]]);
                let within = |(address, bytes): &(u32, Vec<u8>)| {
                    entry.checked_sub(*address).is_some_and(|at| (at as usize) < bytes.len())
                };
                if self.ram.iter().any(within) {
                    self.core.running = Running::Stub;
                    self.core.attached = true;
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
            Err(reason) if self.core.running == Running::Stub => [reason::of_stub(*reason), 0],
            Err(reason) => [1, *reason],
        });
        let mut packet = vec![1, op, data.len() as u8, 0];
        packet.extend(value.to_le_bytes());
        packet.extend(data);
        let times = if op == 0x08 { 8 } else { 1 };
        self.core.uart.answer(packet, times, self.core.running != Running::Rom);
    }

    /// Sends a frame.
    fn send(&mut self, bytes: &[u8]) {
        self.core.uart.send(bytes, self.core.running != Running::Rom);
    }
}

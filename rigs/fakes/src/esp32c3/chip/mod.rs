//! The chip: its resets, its line, its loader in ROM, and what a stub adds.

mod inflate;
mod rom;
mod stub;

use super::registers::Registers;
use super::{Options, boot};
use crate::espressif::reason::{self, INVALID};
use crate::espressif::{self, Arrival, Core, Fault, Running};
use boot::Cause;
use rom::Rom;
use stub::Stub;

/// The speed of the ROM's words and of the program's, in baud.
const BOOT_BAUD: u32 = 115_200;

/// Times that nothing comes, of about 20 ms, until a watchdog bites for which nobody waits.
const PATIENCE: u32 = 10;

/// An ESP32-C3 with a flash.
#[derive(Debug)]
pub struct Chip {
    core: Core,
    registers: Registers,
    chip_id: u16,
    says: Vec<u8>,
    /// GPIO9 was low at the last reset of the whole chip.
    latched: bool,
    rom: Rom,
    stub: Stub,
    ram: Vec<(u32, Vec<u8>)>,
    /// A watchdog will reset the chip after the next command, or when nothing has come for this many times.
    watchdog: Option<u32>,
}

/// The answer to a command: value and data, or the reason for its failure.
type Answer = Result<(u32, Vec<u8>), u8>;

fn done() -> Answer {
    Ok((0, Vec::new()))
}

impl espressif::Chip for Chip {
    fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    fn feed(&mut self, bytes: &[u8], host_baud: u32) {
        self.core.uart.host_baud = host_baud;
        if bytes.is_empty() {
            self.wait();
        }
        for &byte in bytes {
            if !self.listens() || self.core.uart.gone {
                return;
            }
            let Some(frame) = self.core.uart.byte(byte, host_baud) else { continue };
            if self.stub.reading() {
                self.acknowledge(&frame);
            } else if frame.len() >= 8 {
                self.packet(frame);
            }
        }
    }

    /// Resets the whole chip: it reads its pins anew. The loader if GPIO9 is low, else the program.
    fn reset(&mut self, loader: bool) {
        self.latched = loader;
        self.restart(Cause::Power);
    }

    /// A second boot loader, a table of partitions and an application, all of them intact.
    fn would_start(&mut self) -> bool {
        boot::start(self.core.flash.bytes()).program
    }
}

impl Chip {
    /// Makes a chip in its loader.
    pub fn new(options: Options) -> Self {
        let Options { chip_id, flash_size, faults, says, latched } = options;
        let mut chip = Self {
            core: Core::new(flash_size, faults),
            registers: Registers::new(0),
            chip_id,
            says,
            latched: true,
            rom: Rom::default(),
            stub: Stub::default(),
            ram: Vec::new(),
            watchdog: None,
        };
        chip.restart(Cause::Power);
        chip.core.uart.output.clear();
        chip.latched = latched;
        chip
    }

    fn listens(&self) -> bool {
        matches!(self.core.running, Running::Rom | Running::Stub)
    }

    /// Starts anew, as the pins were at the last reset of the whole chip.
    fn restart(&mut self, cause: Cause) {
        self.core.attached = false;
        self.core.uart.reset();
        self.ram.clear();
        (self.rom, self.stub, self.watchdog) = (Rom::default(), Stub::default(), None);
        self.registers = Registers::new(boot::PINS[usize::from(!self.latched)]);
        self.core.running = Running::Rom;
        // Words from the way to the program may wait in the line until the other end has changed its speed.
        let words = boot::words(cause, self.latched);
        self.core.uart.say(words.as_bytes(), BOOT_BAUD, !self.latched);
        if !self.latched {
            let start = boot::start(self.core.flash.bytes());
            let uart = &mut self.core.uart;
            uart.say(start.words.as_bytes(), BOOT_BAUD, true);
            self.core.running = Running::Nothing;
            if start.program {
                self.core.running = Running::Program;
                uart.gone = uart.faults.has(&Fault::VanishAtStart);
                uart.say(&self.says, BOOT_BAUD, true);
            }
        }
    }

    /// Leaves the loader without a program to go on with: the ROM ends.
    fn leave(&mut self) {
        self.core.running = Running::Nothing;
        let baud = self.core.uart.baud.unwrap_or(BOOT_BAUD);
        self.core.uart.say(b"user code done\r\n", baud, false);
    }

    /// Nothing has come for a while.
    fn wait(&mut self) {
        match self.watchdog.as_mut() {
            Some(0) => self.bite(),
            Some(left) => *left -= 1,
            None => {}
        }
    }

    /// The watchdog resets the whole chip; nobody holds the button by now.
    fn bite(&mut self) {
        self.latched = false;
        self.restart(Cause::Watchdog);
    }

    fn packet(&mut self, packet: Vec<u8>) {
        let direction = packet[0];
        let deaf = self.core.running == Running::Rom && !self.rom.connected;
        if deaf && packet[1] != rom::SYNC {
            self.core.uart.baud = None;
            return;
        }
        let (request, answer) = match self.core.arrive(packet) {
            Arrival::Lost => return,
            Arrival::Refused(request, reason) => {
                let reason = match self.core.running {
                    Running::Stub => reason::of_stub(reason),
                    _ => reason,
                };
                return self.answer(request.op, Err(reason));
            }
            Arrival::Command(request) => {
                let answer = match self.core.running {
                    Running::Stub if !request.whole => Err(stub::LENGTH),
                    Running::Stub if direction != 0 => Err(stub::NO_COMMAND),
                    Running::Stub if request.op == stub::RUN_USER_CODE => return self.leave(),
                    Running::Stub => self.stub_command(&request),
                    _ if !request.whole || direction != 0 => Err(INVALID),
                    _ => self.rom_command(&request),
                };
                (request, answer)
            }
        };
        let good = answer.is_ok();
        let was_armed = self.watchdog.is_some();
        self.answer(request.op, answer);
        if was_armed {
            return self.bite();
        }
        if self.registers.bites() {
            self.watchdog = Some(PATIENCE);
        }
        match self.core.running {
            Running::Stub if good => self.after_stub(&request),
            Running::Rom => self.after_rom(&request, good),
            _ => {}
        }
    }

    fn answer(&mut self, op: u8, answer: Answer) {
        let (packet, times) = match self.core.running {
            Running::Stub => stub::answer(op, answer),
            _ => self.rom.answer(op, answer),
        };
        self.core.uart.answer(packet, times, self.core.running != Running::Rom);
    }

    /// Sends a frame.
    fn send(&mut self, bytes: &[u8]) {
        self.core.uart.send(bytes, self.core.running != Running::Rom);
    }

    /// Takes the new speed that a command has asked for.
    fn change_baud(&mut self) {
        let uart = &mut self.core.uart;
        if let Some(baud) = uart.next_baud.take() {
            uart.baud = Some(baud);
        }
    }

    /// Carries out writes to registers; their pauses take no time.
    fn write_registers(&mut self, numbers: &[u32]) -> Answer {
        let Core { flash, attached, .. } = &mut self.core;
        for write in numbers.chunks_exact(4) {
            self.registers.write(write[0], write[1], write[2], flash, *attached);
        }
        done()
    }

    /// Goes to an address in RAM: a loader that was put there runs.
    fn jump(&mut self, entry: u32) {
        let within = |(address, bytes): &(u32, Vec<u8>)| {
            entry.checked_sub(*address).is_some_and(|at| (at as usize) < bytes.len())
        };
        if entry == 0 {
            return self.leave();
        }
        if !self.ram.iter().any(within) {
            self.core.running = Running::Nothing;
            return;
        }
        self.core.running = Running::Stub;
        self.core.attached = true;
        self.stub = Stub::default();
        self.send(b"OHAI");
    }

    /// Returns the answer to GET_SECURITY_INFO: nothing is locked; which chip it is; its revision's number.
    fn security_info(&self) -> Vec<u8> {
        let mut info = vec![0; 12];
        info.extend(u32::from(self.chip_id).to_le_bytes());
        info.extend(3_u32.to_le_bytes());
        info
    }

    /// Returns a part of flash.
    fn part(&self, address: u32, length: u32) -> Option<&[u8]> {
        let address = address as usize;
        self.core.flash.bytes().get(address..address.checked_add(length as usize)?)
    }
}

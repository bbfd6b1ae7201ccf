//! The loader in ROM.
//!
//! Its order of checks is that of the published ROM: it counts a block before it looks at its check sum, so that the
//! same number is not taken again; it does not name a command that it does not know, but the one before; and it is left
//! by FLASH_END even when that is refused.

use md5::{Digest, Md5};

use super::inflate::Inflater;
use super::{Answer, Chip, done};
use crate::espressif::reason::{CHECKSUM, DEFLATE, FAILED, INVALID, WRITE};
use crate::espressif::{Core, Request};

pub const SYNC: u8 = 0x08;
/// The most bytes of a block.
const BLOCK: u32 = 0x1800;
/// Flash that it takes for granted until SPI_SET_PARAMS, in bytes.
const FLASH_SIZE: usize = 4 << 20;
/// Bytes that READ_FLASH_SLOW always answers with.
const SLOW: usize = 64;
/// The clock of the UART's divider, which has four bits behind the point: 16 times 40 MHz.
const CLOCK: u32 = 640_000_000;

/// Reasons that only this loader gives.
const READ: u8 = 9;
const READ_LENGTH: u8 = 0xa;
const PARAMETER: u8 = 0x64;

/// The state that it keeps between commands.
#[derive(Debug)]
pub struct Rom {
    /// SYNC has come. Until then it takes nothing else, and measures the speed of the line again and again.
    pub connected: bool,
    /// The command that its last answer names.
    op: u8,
    /// The value in its answers: that of the last command which has one.
    value: u32,
    flash_size: usize,
    transfer: Option<Transfer>,
    stream: Option<(Transfer, Inflater)>,
}

impl Default for Rom {
    fn default() -> Self {
        Self {
            connected: false,
            op: 0,
            value: 0,
            flash_size: FLASH_SIZE,
            transfer: None,
            stream: None,
        }
    }
}

/// Blocks on their way into flash or RAM.
#[derive(Debug)]
struct Transfer {
    to_flash: bool,
    size: usize,
    blocks: u32,
    block: u32,
    address: usize,
    next: u32,
    received: usize,
}

impl Transfer {
    /// Begins, with the words of a command.
    fn new(to_flash: bool, words: &[u32]) -> Result<Self, u8> {
        let &[size, blocks, block, address, ..] = words else { return Err(INVALID) };
        if block > BLOCK {
            return Err(INVALID);
        }
        let (size, address) = (size as usize, address as usize);
        Ok(Self { to_flash, size, blocks, block, address, next: 0, received: 0 })
    }

    /// Takes a block, and returns its data.
    fn block<'r>(&mut self, request: &'r Request) -> Result<&'r [u8], u8> {
        let payload = request.payload().ok_or(INVALID)?;
        let numbers = request.numbers();
        let aligned = request.op != 0x03 || payload.len().is_multiple_of(4);
        let expected = numbers[1] == self.next && self.next < self.blocks;
        if numbers[0] as usize != payload.len() || numbers[0] > self.block || !aligned || !expected
        {
            return Err(INVALID);
        }
        self.next += 1;
        if !request.is_intact() {
            return Err(CHECKSUM);
        }
        Ok(payload)
    }
}

impl Rom {
    /// Returns the answer to a command, and the number of times that it is sent.
    pub fn answer(&mut self, op: u8, answer: Answer) -> (Vec<u8>, usize) {
        if matches!(op, 0x02..=0x0b | 0x0d..=0x14) {
            self.op = op;
        }
        let (status, data) = match answer {
            Ok((_, data)) => ([0; 4], data),
            Err(reason) => ([1, reason, 0, 0], Vec::new()),
        };
        let mut packet = vec![1, self.op, 0, 0];
        packet.extend(self.value.to_le_bytes());
        packet.extend(data);
        // A command whose answer has data has it always, and the status behind it.
        let data = match op {
            0x0e => SLOW,
            0x13 => 32,
            0x14 => 20,
            _ => 0,
        };
        packet.resize(8 + data, 0);
        packet.extend(status);
        packet[2] = (data + status.len()) as u8;
        (packet, if self.op == SYNC { 8 } else { 1 })
    }
}

impl Chip {
    /// Carries out a command.
    pub(super) fn rom_command(&mut self, request: &Request) -> Answer {
        let numbers = request.numbers();
        match request.op {
            0x03 => return self.rom_flash_data(request),
            0x07 => return self.rom_mem_data(request),
            0x11 => return self.rom_deflate_data(request),
            _ if request.data.len() != numbers.len() * 4 => return Err(INVALID),
            _ => {}
        }
        match (request.op, &numbers[..]) {
            (0x02, words @ [.., encrypted]) if words.len() == 5 => {
                let transfer = self.rom_begin(words, *encrypted)?;
                self.rom.transfer = Some(transfer);
            }
            (0x04, [_]) => {
                let whole = |t: &Transfer| t.next == t.blocks && t.received == t.size;
                // On the chip it is RAM that nobody has set; and it goes on to leave the loader.
                if !self.rom.transfer.as_ref().is_some_and(whole) {
                    return Err(FAILED);
                }
            }
            (0x05, words @ [_, _, _, address]) => {
                self.rom.transfer = Some(Transfer::new(false, words)?);
                self.ram.push((*address, Vec::new()));
            }
            (0x06, [_, _]) => {}
            (SYNC, [0x2012_0707, rest @ ..]) if rest == [0x5555_5555; 8] => {
                (self.rom.connected, self.rom.value) = (true, 0x2012_0707);
            }
            (0x09, [_, ..]) if numbers.len().is_multiple_of(4) => {
                return self.write_registers(&numbers);
            }
            (0x0a, [address]) => self.rom.value = self.registers.read(*address),
            (0x0b, [_, size, 0x1_0000, 0x1000, 0x100, _]) => {
                self.rom.flash_size = *size as usize;
            }
            (0x0d, [_, _]) => self.core.attached = true,
            (0x0e, [address, length] | [address, length, _, _]) => {
                if *length as usize > SLOW {
                    return Err(READ_LENGTH);
                }
                return Ok((0, self.rom_read(*address, *length)?.to_vec()));
            }
            // The second word is for the stub: here it would make the first one a divider.
            (0x0f, [baud, prior]) => {
                let baud = if *prior as u8 == 0 { *baud } else { CLOCK / (*baud).max(1) };
                self.core.uart.next_baud = Some(baud);
            }
            (0x10, words @ [.., encrypted]) if words.len() == 5 => {
                let transfer = self.rom_begin(words, *encrypted)?;
                self.rom.stream = Some((transfer, Inflater::new()));
            }
            (0x12, [_]) => {
                let whole = |(t, _): &(Transfer, Inflater)| t.next == t.blocks;
                if !self.rom.stream.as_ref().is_some_and(whole) {
                    return Err(FAILED);
                }
            }
            (0x13, [address, length, _, _]) => {
                let hash = Md5::digest(self.rom_read(*address, *length)?);
                let text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                return Ok((0, text.into_bytes()));
            }
            (0x14, []) => return Ok((0, self.security_info())),
            _ => return Err(INVALID),
        }
        done()
    }

    /// Does what a command does after its answer has left.
    pub(super) fn after_rom(&mut self, request: &Request, good: bool) {
        let flag = request.data.first().copied();
        match request.op {
            0x04 | 0x12 if good && flag == Some(0) => self.restart(super::Cause::Software),
            // It runs what MEM_END has named before, or nothing; never the program in flash.
            0x04 => self.leave(),
            0x06 if good && flag == Some(0) => self.jump(request.numbers()[1]),
            0x0f if good => {
                let uart = &mut self.core.uart;
                uart.say(&[0xc0, 0xc0], uart.baud.unwrap_or_default(), false);
                self.change_baud();
            }
            _ => {}
        }
    }

    /// Begins a write to flash, and erases what it is for.
    fn rom_begin(&mut self, words: &[u32], encrypted: u32) -> Result<Transfer, u8> {
        let transfer = Transfer::new(true, words)?;
        if encrypted != 0 {
            return Err(PARAMETER);
        }
        let Core { flash, attached, .. } = &mut self.core;
        let end = transfer.address.saturating_add(transfer.size);
        let fits = transfer.address.is_multiple_of(4096) && end <= self.rom.flash_size;
        if !*attached || !fits {
            return Err(FAILED);
        }
        if transfer.size > 0 && !flash.erase(transfer.address, transfer.size) {
            return Err(FAILED);
        }
        Ok(transfer)
    }

    fn rom_flash_data(&mut self, request: &Request) -> Answer {
        let forgotten = self.core.forgets();
        let transfer = self.rom.transfer.as_mut().filter(|t| t.to_flash).ok_or(INVALID)?;
        let payload = transfer.block(request)?;
        let (address, end) = (transfer.address, transfer.address + payload.len());
        let fits = end <= self.rom.flash_size && self.core.flash.bytes().len() >= end;
        if !forgotten {
            // It reads back, and compares check sums.
            if !fits || !self.core.flash.program(address, payload) {
                return Err(WRITE);
            }
            let sum = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum ^ byte);
            if sum(&self.core.flash.bytes()[address..end]) != sum(payload) {
                return Err(WRITE);
            }
        }
        transfer.address = end;
        transfer.received += payload.len();
        done()
    }

    fn rom_mem_data(&mut self, request: &Request) -> Answer {
        let transfer = self.rom.transfer.as_mut().filter(|t| !t.to_flash).ok_or(INVALID)?;
        let payload = transfer.block(request)?;
        transfer.received += payload.len();
        if let Some((_, bytes)) = self.ram.last_mut() {
            bytes.extend(payload);
        }
        done()
    }

    fn rom_deflate_data(&mut self, request: &Request) -> Answer {
        let forgotten = self.core.forgets();
        let (transfer, stream) = self.rom.stream.as_mut().ok_or(INVALID)?;
        let payload = transfer.block(request)?;
        let out = stream.block(payload).map_err(|_| DEFLATE)?;
        // The chip does not look: it would write where nothing was erased.
        if transfer.received + out.len() > transfer.size {
            return Err(DEFLATE);
        }
        if transfer.next == transfer.blocks && !stream.ended() {
            return Err(DEFLATE);
        }
        // Nor does it look whether flash takes it.
        if !forgotten {
            self.core.flash.program(transfer.address, &out);
        }
        transfer.address += out.len();
        transfer.received += out.len();
        done()
    }

    fn rom_read(&self, address: u32, length: u32) -> Result<&[u8], u8> {
        let known = (address as usize).saturating_add(length as usize) <= self.rom.flash_size;
        self.part(address, length).filter(|_| known && self.core.attached).ok_or(READ)
    }
}

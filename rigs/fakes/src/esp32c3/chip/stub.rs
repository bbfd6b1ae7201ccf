//! The loader in RAM. Which program was loaded does not matter: it does not run, and its commands are carried out here.
//!
//! As Espressif's, it acknowledges a block when it has come, and writes then: the answer to the next block, or to the
//! end of the write, has the reason why that failed. It erases as it writes.

use md5::{Digest, Md5};

use super::boot::Cause;
use super::inflate::Inflater;
use super::{Answer, Chip, done};
use crate::espressif::{Reading, Request, SECTOR};

/// Leaves the loader, without an answer. On this chip the ROM has nothing to go on with then; the program starts with a
/// reset only (`soft_reset` of esptool refuses it).
pub const RUN_USER_CODE: u8 = 0xd3;

/// The most bytes of a block.
const BLOCK: u32 = 0x4000;
/// Sectors that one command of the flash erases when they are a whole block of it.
const SECTORS: usize = 16;

/// Reasons for a failure, from the list of `util.py` of esptool.
pub const LENGTH: u8 = 0xc0;
const CHECKSUM: u8 = 0xc1;
const BLOCK_SIZE: u8 = 0xc2;
pub const NO_COMMAND: u8 = 0xc3;
const SPI: u8 = 0xc4;
const NOT_WRITING: u8 = 0xc6;
const INFLATE: u8 = 0xc7;
const TOO_LITTLE: u8 = 0xc8;
const TOO_MUCH: u8 = 0xc9;
const UNKNOWN: u8 = 0xff;

/// The state that it keeps between commands.
#[derive(Debug, Default)]
pub struct Stub {
    write: Option<Write>,
    reading: Option<Reading>,
}

/// A write to flash.
#[derive(Debug)]
struct Write {
    address: usize,
    remaining: usize,
    next_sector: usize,
    sectors: usize,
    stream: Option<Inflater>,
    /// The reason why a block was not written.
    failed: Option<u8>,
}

impl Write {
    fn new(size: u32, address: u32, deflated: bool) -> Self {
        let (size, address) = (size as usize, address as usize);
        Self {
            address,
            remaining: size,
            next_sector: address / SECTOR,
            sectors: (address % SECTOR + size).div_ceil(SECTOR),
            stream: deflated.then(Inflater::new),
            failed: None,
        }
    }
}

impl Stub {
    /// Frames are acknowledgements of what is read, and no commands.
    pub fn reading(&self) -> bool {
        self.reading.is_some()
    }
}

/// Returns the answer to a command, and the number of times that it is sent.
pub fn answer(op: u8, answer: Answer) -> (Vec<u8>, usize) {
    let (value, mut data, failed) = match answer {
        Ok((value, data)) => (value, data, 0),
        Err(reason) => (0, Vec::new(), reason),
    };
    data.extend([failed, 0]);
    let mut packet = vec![1, op, data.len() as u8, 0];
    packet.extend(value.to_le_bytes());
    packet.extend(data);
    (packet, if op == 0x08 { 8 } else { 1 })
}

impl Chip {
    /// Carries out a command, or checks a block that is written afterwards.
    pub(super) fn stub_command(&mut self, request: &Request) -> Answer {
        let numbers = request.numbers();
        let block = matches!(request.op, 0x03 | 0x07 | 0x11);
        if !block && request.data.len() != numbers.len() * 4 {
            return Err(LENGTH);
        }
        match (request.op, &numbers[..]) {
            (0x02 | 0x10, [size, _, block, address] | [size, _, block, address, 0]) => {
                if *block > BLOCK {
                    return Err(BLOCK_SIZE);
                }
                self.stub.write = Some(Write::new(*size, *address, request.op == 0x10));
            }
            (0x03 | 0x11, _) => {
                let write = self.stub.write.as_ref().ok_or(NOT_WRITING)?;
                if write.stream.is_some() != (request.op == 0x11) {
                    return Err(NOT_WRITING);
                }
                check(request)?;
                return write.failed.map_or_else(done, Err);
            }
            (0x04 | 0x12, [_]) => {
                let write = self.stub.write.as_ref().ok_or(NOT_WRITING)?;
                if write.remaining > 0 {
                    return Err(write.failed.unwrap_or(TOO_LITTLE));
                }
                let failed = write.failed;
                self.stub.write = None;
                return failed.map_or_else(done, Err);
            }
            (0x05, [_, _, _, address]) => self.ram.push((*address, Vec::new())),
            (0x07, _) => {
                let payload = check(request)?;
                let (_, bytes) = self.ram.last_mut().ok_or(NOT_WRITING)?;
                bytes.extend(payload);
            }
            (0x06, [_, _]) => {}
            (0x08, [0x2012_0707, rest @ ..]) if rest == [0x5555_5555; 8] => {}
            (0x09, [_, ..]) if numbers.len().is_multiple_of(4) => {
                return self.write_registers(&numbers);
            }
            (0x0a, [address]) => return Ok((self.registers.read(*address), Vec::new())),
            (0x0b, [_, _, _, _, _, _]) | (0x0d, [_]) => {}
            (0x0f, [baud, _]) => self.core.uart.next_baud = Some(*baud),
            (0x13, [address, length, _, _]) => {
                let bytes = self.part(*address, *length).ok_or(SPI)?;
                return Ok((0, Md5::digest(bytes).to_vec()));
            }
            (0x14, []) => return Ok((0, self.security_info())),
            (0xd0, []) => {
                let all = self.core.flash.bytes().len();
                return if self.core.flash.erase(0, all) { done() } else { Err(SPI) };
            }
            (0xd1, [address, length]) => {
                let (address, length) = (*address as usize, *length as usize);
                if !address.is_multiple_of(SECTOR) || !length.is_multiple_of(SECTOR) {
                    return Err(LENGTH);
                }
                return if self.core.flash.erase(address, length) { done() } else { Err(SPI) };
            }
            (0xd2, [address, length, frame, in_flight]) if *frame > 0 && *in_flight > 0 => {
                let bytes = self.part(*address, *length).ok_or(SPI)?.to_vec();
                self.stub.reading = Some(Reading::new(bytes, *frame as usize, *in_flight as usize));
            }
            (0x02..=0x0b | 0x0d | 0x0f..=0x14 | 0xd0..=0xd2, _) => return Err(LENGTH),
            _ => return Err(UNKNOWN),
        }
        done()
    }

    /// Does what a command does after its answer has left.
    pub(super) fn after_stub(&mut self, request: &Request) {
        let flag = request.data.first().copied();
        let payload = request.payload().unwrap_or_default();
        match request.op {
            0x03 => self.stub_write(payload),
            0x11 => self.stub_inflate(payload),
            0x04 | 0x12 if flag == Some(0) => self.restart(Cause::Software),
            0x06 if request.numbers()[1] != 0 => self.jump(request.numbers()[1]),
            0x0f => self.change_baud(),
            0xd2 => self.pump(0),
            _ => {}
        }
    }

    fn stub_inflate(&mut self, payload: &[u8]) {
        let Some(write) = &mut self.stub.write else { return };
        let Some(stream) = &mut write.stream else { return };
        // Of a stream all of whose data have come, the rest of its check sum may come.
        if write.remaining == 0 && payload.len() > 4 {
            write.failed = Some(TOO_MUCH);
            return;
        }
        let out = match stream.block(payload) {
            Ok(out) if out.len() > write.remaining => {
                write.failed = Some(TOO_MUCH);
                return;
            }
            Ok(out) => out,
            Err(_) => {
                write.failed = Some(INFLATE);
                return;
            }
        };
        if stream.ended() && out.len() < write.remaining {
            write.failed = Some(TOO_LITTLE);
        }
        self.stub_write(&out);
    }

    /// Writes, and erases before that as far as the bytes go.
    fn stub_write(&mut self, bytes: &[u8]) {
        let forgotten = self.core.forgets();
        let Some(write) = &mut self.stub.write else { return };
        // The last block may be filled up.
        let bytes = &bytes[..bytes.len().min(write.remaining)];
        if bytes.is_empty() {
            return;
        }
        let last = (write.address + bytes.len()) / SECTOR;
        while write.sectors > 0 && write.next_sector <= last {
            let whole = write.sectors >= SECTORS && write.next_sector.is_multiple_of(SECTORS);
            let count = if whole { SECTORS } else { 1 };
            if !self.core.flash.erase(write.next_sector * SECTOR, count * SECTOR) {
                write.failed = Some(SPI);
            }
            write.next_sector += count;
            write.sectors -= count;
        }
        if !forgotten && !self.core.flash.program(write.address, bytes) {
            write.failed = Some(SPI);
        }
        write.address += bytes.len();
        write.remaining -= bytes.len();
    }

    /// Takes the other end's word for how much it has; no frame of its own comes first.
    pub(super) fn acknowledge(&mut self, frame: &[u8]) {
        let Ok(count) = <[u8; 4]>::try_from(frame) else {
            // A command instead: the other end has given up reading.
            if frame.len() >= 8 {
                self.stub.reading = None;
            }
            return;
        };
        self.pump(u32::from_le_bytes(count) as usize);
    }

    /// Sends what may be on the way.
    fn pump(&mut self, acknowledged: usize) {
        let Some(mut reading) = self.stub.reading.take() else { return };
        let (frames, ended) = reading.pump(acknowledged);
        frames.iter().for_each(|frame| self.send(frame));
        if !ended {
            self.stub.reading = Some(reading);
        }
    }
}

/// Returns the data of a block if length and check sum are right.
fn check(request: &Request) -> Result<&[u8], u8> {
    let payload = request.payload().ok_or(LENGTH)?;
    if request.numbers()[0] as usize != payload.len() {
        return Err(LENGTH);
    }
    if !request.is_intact() {
        return Err(CHECKSUM);
    }
    Ok(payload)
}

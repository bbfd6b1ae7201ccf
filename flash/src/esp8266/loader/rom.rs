//! The loader in ROM as a [`Backend`]: it erases, and writes what was erased. The rest goes through
//! registers, see [`super::spi`].

use std::io;

use super::backend::{Abilities, Backend, Part, per_megabyte};
use super::spi::{self, Spi};
use crate::esp8266::plan::rom_erase_count;
use crate::esp8266::serial::connection::{Connection, Fault, SHORT};
use crate::esp8266::serial::packet::{self, Op};
use crate::pieces::SECTOR;
use crate::serial::port::Port;

/// The size of a block that the ROM writes.
const BLOCK: u32 = 1024;

/// Its reason for refusing a command that it does not know.
const UNKNOWN: u8 = 0x05;

/// The loader in the chip's ROM.
#[derive(Debug, Clone, Copy)]
pub struct Rom;

impl<P: Port> Backend<P> for Rom {
    fn abilities(&self) -> Abilities {
        Abilities {
            // It takes every flash for one of 4 MB.
            reach: 4 << 20,
            erases_what_it_writes: false,
            hashes: false,
            changes_baud: false,
        }
    }

    /// Attaches the flash: this is part of the command that begins writing.
    fn attach(&self, connection: &mut Connection<P>) -> Result<(), Fault> {
        begin(connection, 0, 0, 0)
    }

    fn erase(
        &self,
        connection: &mut Connection<P>,
        address: u32,
        length: u32,
    ) -> Result<(), Fault> {
        let (first, count) = (address / SECTOR, length / SECTOR);
        let blocks = |count: u32| count * SECTOR / BLOCK;
        if let Some(asked) = rom_erase_count(first, count) {
            return begin(connection, asked, blocks(count), address);
        }
        // The ROM cannot erase this number: all but the last sector by the ROM, and that by the
        // flash's own command.
        let asked = rom_erase_count(first, count - 1).unwrap_or(0);
        begin(connection, asked, blocks(count - 1), address)?;
        let mut spi = Spi::open(connection)?;
        spi.erase_sector(address + length - SECTOR)?;
        spi.close()
    }

    /// Writes a part. Its sectors must be erased.
    fn write(
        &self,
        connection: &mut Connection<P>,
        Part { address, bytes }: Part<'_>,
        done: &mut dyn FnMut(usize),
    ) -> Result<(), Fault> {
        begin(connection, 0, bytes.len().div_ceil(BLOCK as usize) as u32, address)?;
        let mut written = 0;
        for (number, block) in (0..).zip(bytes.chunks(BLOCK as usize)) {
            let mut padded = block.to_vec();
            padded.resize(BLOCK as usize, 0xff);
            let data = packet::block(number, &padded);
            // Once: whether the ROM takes a block twice is not known, so the caller begins anew
            // instead.
            connection.once(Op::FlashData, &data, packet::checksum(&padded), 3 * SHORT)?;
            written += block.len();
            done(written);
        }
        Ok(())
    }

    /// Compares each line up to three times: replies of the loader have no checksum.
    fn differs(
        &self,
        connection: &mut Connection<P>,
        part: Part<'_>,
        all: bool,
        done: &mut dyn FnMut(usize),
    ) -> Result<Option<u32>, Fault> {
        let lines = lines(part, all);
        let mut spi = Spi::open(connection)?;
        spi.prepare_reading()?;
        let mut wrong = None;
        for (count, &(address, expected)) in (1..).zip(&lines) {
            let mut equal = false;
            for _ in 0..3 {
                equal |= spi.line(address)?.starts_with(expected);
                if equal {
                    break;
                }
                // What says how to read may have been garbled.
                spi.prepare_reading()?;
            }
            if !equal {
                wrong = Some(address);
                break;
            }
            // In bytes of the part, so that samples advance it as well.
            done(part.bytes.len() * count / lines.len());
        }
        spi.close()?;
        Ok(wrong)
    }

    /// Reads 64 bytes at a time, each until two answers agree: slow.
    fn read(
        &self,
        connection: &mut Connection<P>,
        address: u32,
        length: u32,
    ) -> Result<Vec<u8>, Fault> {
        let mut spi = Spi::open(connection)?;
        let mut bytes = Vec::with_capacity(length as usize);
        let mut quarrels = 0;
        while bytes.len() < length as usize {
            spi.prepare_reading()?;
            let at = address + bytes.len() as u32;
            let line = spi.line(at)?;
            if spi.line(at)? == line {
                let count = line.len().min(length as usize - bytes.len());
                bytes.extend(&line[..count]);
            } else if quarrels == 10 {
                return Err(Fault::Silent);
            } else {
                quarrels += 1;
            }
        }
        spi.close()?;
        Ok(bytes)
    }

    /// Refuses: the ROM keeps the speed that it found out until the next reset.
    fn change_baud(
        &self,
        _connection: &mut Connection<P>,
        _from: u32,
        _to: u32,
    ) -> Result<(), Fault> {
        Err(Fault::Refused(Op::ChangeBaudrate, UNKNOWN))
    }

    fn run_program(&self, connection: &mut Connection<P>) -> io::Result<()> {
        let begin = packet::words([0, 0, BLOCK, 0]);
        let _ = connection.command(Op::FlashBegin, &begin, SHORT);
        connection.port.write(&packet::command(Op::FlashEnd, &packet::words([1]), 0))
    }
}

fn begin<P: Port>(
    connection: &mut Connection<P>,
    erase: u32,
    blocks: u32,
    address: u32,
) -> Result<(), Fault> {
    let data = packet::words([erase * SECTOR, blocks, BLOCK, address]);
    connection.command(Op::FlashBegin, &data, per_megabyte(40, 2 * erase * SECTOR)).map(drop)
}

/// Returns the lines of a part that are read back: all, or both ends and one of every sector.
fn lines(Part { address, bytes }: Part<'_>, all: bool) -> Vec<(u32, &[u8])> {
    const LINE: usize = spi::LINE as usize;
    let every: Vec<_> = (address..).step_by(LINE).zip(bytes.chunks(LINE)).collect();
    if all {
        return every;
    }
    let last = every.len() - 1;
    let in_sector = SECTOR as usize / LINE;
    let sampled = |index: &usize| {
        // Another one in each sector, so that no pattern of the image hides behind it.
        let sector = index / in_sector;
        *index == 0 || *index == last || index % in_sector == sector * 29 % in_sector
    };
    (0..every.len()).filter(sampled).map(|index| every[index]).collect()
}

//! What the ROM loader can do with flash: erase, and write what was erased. The rest goes through
//! registers, see [`super::spi`].

use super::spi::Spi;
use super::stub::per_megabyte;
use crate::esp8266::plan::{SECTOR, rom_erase_count};
use crate::esp8266::serial::connection::{Connection, Fault, SHORT};
use crate::esp8266::serial::packet::{self, Op};
use crate::esp8266::serial::port::Port;

/// The size of a block that the ROM writes.
const BLOCK: u32 = 1024;

/// Connects the SPI controller to the flash: part of the command that begins writing.
pub fn attach<P: Port>(connection: &mut Connection<P>) -> Result<(), Fault> {
    begin(connection, 0, 0, 0)
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

/// Erases exactly these bytes, whole sectors.
pub fn erase<P: Port>(
    connection: &mut Connection<P>,
    address: u32,
    length: u32,
) -> Result<(), Fault> {
    let (first, count) = (address / SECTOR, length / SECTOR);
    let blocks = |count: u32| count * SECTOR / BLOCK;
    if let Some(told) = rom_erase_count(first, count) {
        return begin(connection, told, blocks(count), address);
    }
    // The ROM cannot erase this number: all but the last sector by the ROM, and that by the flash's
    // own command.
    let told = rom_erase_count(first, count - 1).unwrap_or(0);
    begin(connection, told, blocks(count - 1), address)?;
    let mut spi = Spi::open(connection)?;
    spi.erase_sector(address + length - SECTOR)?;
    spi.close()
}

/// Writes bytes to flash that is erased, from the beginning of a sector, and counts what the loader has
/// acknowledged in `done`.
pub fn write<P: Port>(
    connection: &mut Connection<P>,
    address: u32,
    bytes: &[u8],
    mut done: impl FnMut(usize),
) -> Result<(), Fault> {
    begin(connection, 0, bytes.len().div_ceil(BLOCK as usize) as u32, address)?;
    for (number, block) in (0..).zip(bytes.chunks(BLOCK as usize)) {
        let mut padded = block.to_vec();
        padded.resize(BLOCK as usize, 0xff);
        let data = packet::block(number, &padded);
        // Once: whether the ROM takes a block twice is not known, so the caller begins anew instead.
        connection.once(Op::FlashData, &data, packet::checksum(&padded), 3 * SHORT)?;
        done(block.len());
    }
    Ok(())
}

/// Reads bytes, 64 at a time, each until two answers agree: slow.
pub fn read<P: Port>(
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

/// The first of these lines (address and bytes) that flash does not hold, if any. A difference is looked
/// at three times: replies of the loader have no checksum. `done` is told the number of lines.
pub fn compare<P: Port>(
    connection: &mut Connection<P>,
    lines: &[(u32, &[u8])],
    mut done: impl FnMut(usize),
) -> Result<Option<u32>, Fault> {
    let mut spi = Spi::open(connection)?;
    spi.prepare_reading()?;
    let mut wrong = None;
    for (count, &(address, expected)) in (1..).zip(lines) {
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
        done(count);
    }
    spi.close()?;
    Ok(wrong)
}

//! A loader in RAM: it can do what the ROM cannot (read, hash, decompress, change the speed).
//!
//! The commands are the published ones, see [`packet`].

use std::io;
use std::time::Duration;

use md5::{Digest, Md5};

use super::backend::{Abilities, Backend, Part, per_megabyte};
use crate::esp8266::serial::connection::{Connection, Fault, SHORT};
use crate::esp8266::serial::packet::{self, Op};
use crate::esp8266::serial::slip;
use crate::serial::port::Port;

/// A program for the chip's RAM that speaks the loader's protocol, and greets with `OHAI`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// Its parts: address in RAM and bytes.
    pub segments: Vec<(u32, Vec<u8>)>,
    /// The address at which it starts.
    pub entry: u32,
}

/// The one of this project, made by `flash/stub/build.sh commit`. `stub.toml` beside it says with what.
const BUILTIN: &[u8] = include_bytes!("stub.bin");

impl Stub {
    /// Returns the one that comes with this crate, if it has one: without it the ROM loader does
    /// the work.
    pub fn builtin() -> Option<Self> {
        Self::from_image(BUILTIN)
    }

    /// Reads one from an image of the kind that the ROM loader takes: 0xe9, number of segments, two
    /// bytes, entry, and for each segment address, length and bytes. None if it is not such an
    /// image, or not whole.
    pub fn from_image(image: &[u8]) -> Option<Self> {
        let (&[0xe9, count, _, _], rest) = image.split_first_chunk()? else { return None };
        let (entry, mut rest) = rest.split_first_chunk()?;
        let mut segments = Vec::new();
        for _ in 0..count {
            let (address, after) = rest.split_first_chunk()?;
            let (length, after) = after.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (bytes, after) = after.split_at_checked(length)?;
            segments.push((u32::from_le_bytes(*address), bytes.to_vec()));
            rest = after;
        }
        // Padded, so that the checksum of all segments is the last byte of 16.
        let sum = segments.iter().flat_map(|(_, bytes)| bytes).fold(0xef, |sum, byte| sum ^ byte);
        (rest.last() == Some(&sum) && image.len().is_multiple_of(16))
            .then_some(Self { segments, entry: u32::from_le_bytes(*entry) })
    }
}

/// Its greeting when it has started.
const GREETING: &[u8] = b"OHAI";

/// The largest block of RAM that the ROM takes.
const RAM_BLOCK: usize = 0x1800;

/// The bytes of a compressed stream that are sent at once. It would take more, but a block that the line
/// garbles is sent again.
const BLOCK: usize = 0x1000;

/// Puts it into RAM, starts it, and waits for its greeting.
pub fn start<P: Port>(connection: &mut Connection<P>, stub: &Stub) -> Result<(), Fault> {
    for (address, bytes) in &stub.segments {
        let blocks = bytes.len().div_ceil(RAM_BLOCK) as u32;
        let begin = packet::words([bytes.len() as u32, blocks, RAM_BLOCK as u32, *address]);
        connection.command(Op::MemBegin, &begin, SHORT)?;
        for (number, block) in (0..).zip(bytes.chunks(RAM_BLOCK)) {
            let data = packet::block(number, block);
            connection.once(Op::MemData, &data, packet::checksum(block), 3 * SHORT)?;
        }
    }
    connection.send(Op::MemEnd, &packet::words([0, stub.entry]), 0)?;
    loop {
        match connection.frame(SHORT) {
            Ok(frame) if frame == GREETING => return Ok(()),
            // The ROM's answer to the jump, if the stub was not quicker.
            Ok(_) => {}
            // The greeting may have been garbled.
            Err(Fault::Silent) if matches!(connection.sync(), Ok(true)) => return Ok(()),
            Err(fault) => return Err(fault),
        }
    }
}

/// A [`Stub`] that runs.
#[derive(Debug, Clone, Copy)]
pub struct Running;

impl<P: Port> Backend<P> for Running {
    fn abilities(&self) -> Abilities {
        Abilities {
            // As far as the numbers of its commands go.
            reach: u32::MAX,
            erases_what_it_writes: true,
            hashes: true,
            changes_baud: true,
        }
    }

    /// Does nothing: the stub attaches the flash when it starts.
    fn attach(&self, _connection: &mut Connection<P>) -> Result<(), Fault> {
        Ok(())
    }

    fn erase(
        &self,
        connection: &mut Connection<P>,
        address: u32,
        length: u32,
    ) -> Result<(), Fault> {
        let timeout = per_megabyte(40, length);
        connection.command(Op::EraseRegion, &packet::words([address, length]), timeout).map(drop)
    }

    /// Returns when all of it is in flash.
    fn write(
        &self,
        connection: &mut Connection<P>,
        Part { address, bytes }: Part<'_>,
        _done: &mut dyn FnMut(usize),
    ) -> Result<(), Fault> {
        let stream = miniz_oxide::deflate::compress_to_vec_zlib(bytes, 9);
        let blocks = stream.len().div_ceil(BLOCK) as u32;
        let begin = packet::words([bytes.len() as u32, blocks, BLOCK as u32, address]);
        let timeout = per_megabyte(40, 2 * bytes.len() as u32);
        connection.command(Op::FlashDeflBegin, &begin, timeout)?;
        for (number, block) in (0..).zip(stream.chunks(BLOCK)) {
            let data = packet::block(number, block);
            // Once: a second copy would be taken for the next part of the stream.
            connection.once(Op::FlashDeflData, &data, packet::checksum(block), timeout)?;
        }
        // Answered when the last block is in flash; 1: stay in the loader.
        connection.once(Op::FlashDeflEnd, &packet::words([1]), 0, timeout).map(drop)
    }

    /// Compares hashes, so the address is that of the part.
    fn differs(
        &self,
        connection: &mut Connection<P>,
        part: Part<'_>,
        _all: bool,
        _done: &mut dyn FnMut(usize),
    ) -> Result<Option<u32>, Fault> {
        let hash = md5(connection, part.address, part.bytes.len() as u32)?;
        Ok((hash != md5_of(part.bytes)).then_some(part.address))
    }

    /// Reads bytes, and checks the hash that comes with them.
    fn read(
        &self,
        connection: &mut Connection<P>,
        address: u32,
        length: u32,
    ) -> Result<Vec<u8>, Fault> {
        const FRAME: u32 = 1024;
        // The last number is how many frames may be on the way without an answer.
        connection.command(Op::ReadFlash, &packet::words([address, length, FRAME, 1]), SHORT)?;
        let mut bytes = Vec::with_capacity(length as usize);
        while bytes.len() < length as usize {
            let frame = connection.frame(3 * SHORT)?;
            if frame.len() != (FRAME as usize).min(length as usize - bytes.len()) {
                return Err(Fault::Silent);
            }
            bytes.extend(frame);
            let count = (bytes.len() as u32).to_le_bytes();
            connection.port.write(&slip::encode(&count))?;
        }
        let hash = connection.frame(3 * SHORT)?;
        if hash == md5_of(&bytes) { Ok(bytes) } else { Err(Fault::Silent) }
    }

    fn change_baud(&self, connection: &mut Connection<P>, from: u32, to: u32) -> Result<(), Fault> {
        connection.command(Op::ChangeBaudrate, &packet::words([to, from]), SHORT)?;
        connection.port.set_baud(to)?;
        // The chip changes after its answer has left.
        connection.port.wait(Duration::from_millis(50));
        connection.barrier()
    }

    fn run_program(&self, connection: &mut Connection<P>) -> io::Result<()> {
        connection.port.write(&packet::command(Op::RunUserCode, &[], 0))
    }
}

/// Asks for the MD5 of a part of flash.
fn md5<P: Port>(
    connection: &mut Connection<P>,
    address: u32,
    length: u32,
) -> Result<[u8; 16], Fault> {
    let data = packet::words([address, length, 0, 0]);
    for _ in 0..3 {
        let reply = connection.command(Op::FlashMd5, &data, per_megabyte(8, length))?;
        if let Ok(hash) = reply.data.try_into() {
            return Ok(hash);
        }
    }
    Err(Fault::Silent)
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_one_is_whole_and_within_the_chip_s_ram() {
        let stub = Stub::builtin().expect("an image");
        assert_eq!(stub.segments.len(), 2);
        for (address, bytes) in &stub.segments {
            let end = address + bytes.len() as u32;
            // Code, and data that the ROM does not use.
            let ram = [0x4010_0000..=0x4010_8000, 0x3ffe_8000..=0x3fff_c000];
            assert!(ram.iter().any(|ram| ram.contains(address) && ram.contains(&end)));
            assert!(bytes.len().is_multiple_of(4), "the ROM loads words");
        }
        let (code, bytes) = &stub.segments[0];
        assert!((*code..code + bytes.len() as u32).contains(&stub.entry));
    }

    #[test]
    fn no_path_of_the_machine_that_built_it_is_in_the_builtin_one() {
        for part in [&b"/src"[..], b".rs", b"cargo"] {
            assert!(!BUILTIN.windows(part.len()).any(|bytes| bytes == part), "{part:?}");
        }
    }

    #[test]
    fn an_image_that_is_not_whole_is_refused() {
        for len in 0..BUILTIN.len() {
            assert_eq!(Stub::from_image(&BUILTIN[..len]), None, "{len}");
        }
        let mut garbled = BUILTIN.to_vec();
        garbled[100] ^= 1;
        assert_eq!(Stub::from_image(&garbled), None);
    }
}

//! A write to flash, from its BEGIN to its END.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::chip::{Chip, FlashFault};
use crate::protocol::{ERASE_BLOCK, Error, SECTOR};

/// A deflate stream refers to this many bytes back. What is decompressed is written from here, too.
pub(crate) const WINDOW: usize = 0x8000;

pub(crate) struct Writing {
    /// Address of the next byte.
    address: u32,
    /// Number of bytes that are still to come.
    remaining: u32,
    /// The next sector to erase, and the one behind the last.
    erase: u32,
    erase_end: u32,
    /// The number of the next block.
    block: u32,
    /// It has failed: every further block is refused, so that no host takes it for written.
    failed: Option<Error>,
    deflate: Option<Deflate>,
}

/// State of the decompression.
#[derive(Default)]
struct Deflate {
    /// The window is filled up to here.
    filled: usize,
    /// The window is written up to here.
    written: usize,
    /// The stream's end, with its checksum, has been seen.
    ended: bool,
}

impl Writing {
    /// `size` bytes are to be written; `address` is a multiple of [`SECTOR`], and the end is within the
    /// flash.
    pub(crate) fn new(address: u32, size: u32, is_deflated: bool) -> Self {
        let erase = address / SECTOR;
        Self {
            address,
            remaining: size,
            erase,
            erase_end: erase + size.div_ceil(SECTOR),
            block: 0,
            failed: None,
            deflate: is_deflated.then(Deflate::default),
        }
    }

    pub(crate) fn is_deflated(&self) -> bool {
        self.deflate.is_some()
    }

    /// Takes a block that has come unharmed. It is in flash when this returns.
    pub(crate) fn block<C: Chip>(
        &mut self,
        chip: &mut C,
        number: u32,
        bytes: &[u8],
        window: &mut [u8; WINDOW],
        decompressor: &mut DecompressorOxide,
    ) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.block.checked_sub(1) == Some(number) {
            // The host has missed the answer, and asks again.
            return Ok(());
        }
        if number != self.block {
            return Err(Error::Sequence);
        }
        let done = match self.deflate.take() {
            Some(mut deflate) => {
                let done = self.inflate(chip, &mut deflate, bytes, window, decompressor);
                self.deflate = Some(deflate);
                done
            }
            None => self.plain(chip, bytes),
        };
        self.block += 1;
        self.failed = done.err();
        done
    }

    /// Checks that all has come, and is in flash.
    pub(crate) fn end(&self) -> Result<(), Error> {
        let is_open = self.deflate.as_ref().is_some_and(|deflate| !deflate.ended);
        match self.failed {
            Some(error) => Err(error),
            None if self.remaining > 0 || is_open => Err(Error::NotEnough),
            None => Ok(()),
        }
    }

    /// Writes a block that is not compressed. The last block may be padded.
    fn plain<C: Chip>(&mut self, chip: &mut C, bytes: &[u8]) -> Result<(), Error> {
        if self.remaining == 0 {
            return Err(Error::TooMuch);
        }
        let len = bytes.len().min(self.remaining as usize);
        if (len as u32) < self.remaining && !len.is_multiple_of(4) {
            // The next one would not be aligned.
            return Err(Error::BlockSize);
        }
        self.put(chip, &bytes[..len])
    }

    fn inflate<C: Chip>(
        &mut self,
        chip: &mut C,
        deflate: &mut Deflate,
        mut bytes: &[u8],
        window: &mut [u8; WINDOW],
        decompressor: &mut DecompressorOxide,
    ) -> Result<(), Error> {
        const FLAGS: u32 =
            inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        if deflate.ended {
            return Err(Error::TooMuch);
        }
        loop {
            let (status, read, new) =
                decompress(decompressor, bytes, window, deflate.filled, FLAGS);
            bytes = &bytes[read..];
            deflate.filled += new;
            deflate.ended = status == TINFLStatus::Done;
            // Whole sectors as soon as they are there, the rest at the end.
            loop {
                let len = (deflate.filled - deflate.written).min(SECTOR as usize);
                if len == 0 || (len < SECTOR as usize && !deflate.ended) {
                    break;
                }
                if len > self.remaining as usize {
                    return Err(Error::TooMuch);
                }
                let end = deflate.written + len;
                self.put(chip, &window[deflate.written..end])?;
                deflate.written = end;
            }
            if deflate.filled == WINDOW {
                (deflate.filled, deflate.written) = (0, 0);
            }
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput => return Ok(()),
                // What follows the end in this block is padding.
                TINFLStatus::Done if self.remaining > 0 => return Err(Error::NotEnough),
                TINFLStatus::Done => return Ok(()),
                _ => return Err(Error::Inflate),
            }
        }
    }

    /// Erases as far as needed and writes. All but the last are multiples of 4.
    fn put<C: Chip>(&mut self, chip: &mut C, bytes: &[u8]) -> Result<(), Error> {
        let end = self.address + bytes.len() as u32;
        while self.erase < end.div_ceil(SECTOR) {
            self.erase += erase_some(chip, self.erase, self.erase_end).map_err(|_| Error::Flash)?;
        }
        let (words, rest) = bytes.split_at(bytes.len() & !3);
        let mut done = Ok(());
        if !words.is_empty() {
            done = chip.write(self.address, words);
        }
        if !rest.is_empty() && done.is_ok() {
            let mut last = Word([0xff; 4]);
            last.0[..rest.len()].copy_from_slice(rest);
            done = chip.write(self.address + words.len() as u32, &last.0);
        }
        done.map_err(|_| Error::Flash)?;
        self.address = end;
        self.remaining -= bytes.len() as u32;
        Ok(())
    }
}

#[repr(align(4))]
struct Word([u8; 4]);

/// Erases the sector `at`, or the whole block that begins there if no part of it is behind `end`.
/// Returns the number of sectors.
pub(crate) fn erase_some<C: Chip>(chip: &mut C, at: u32, end: u32) -> Result<u32, FlashFault> {
    const PER_BLOCK: u32 = ERASE_BLOCK / SECTOR;
    if at.is_multiple_of(PER_BLOCK) && end - at >= PER_BLOCK {
        chip.erase_block(at / PER_BLOCK)?;
        Ok(PER_BLOCK)
    } else {
        chip.erase_sector(at)?;
        Ok(1)
    }
}

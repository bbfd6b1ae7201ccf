//! Flashing: erase, write, verify, in an order in which a half-written program never starts.

use espflash::target::ProgressCallbacks;
use pblink_image::esp32c3::{BOOTLOADER, PROGRAM, check as check_image};
use pblink_image::program::is_program;

use super::loader::Loader;
use crate::job::{Erase, Flashed, Verified};
use crate::pieces::{BLOCK, Piece, SECTOR, pieces, refuse};
use crate::shown::Forward;
use crate::{Error, Kind, Progress, Region, Result, Step};

/// Options for writing the flash.
#[derive(Debug, Clone, Copy, Default)]
pub struct Job {
    /// The part that is erased.
    pub erase: Erase,
    /// Not to compare what was written.
    pub no_verify: bool,
}

/// The largest flash.
const LARGEST: (u32, &str) = (16 << 20, "the most that an ESP32-C3 reaches");

/// The number of times that a part is written before it counts as one that cannot be.
const ROUNDS: u32 = 3;

/// Checks what can be known of the regions without their board.
///
/// # Errors
/// [`Kind::Image`]: those of [`Loader::flash`] that do not depend on the board.
pub fn check(regions: &[Region], job: &Job) -> Result<()> {
    plan(regions, None, job).map(|_| ())
}

/// Returns the regions as pieces.
fn plan(regions: &[Region], flash_size: Option<u32>, job: &Job) -> Result<Vec<Piece>> {
    let pieces = pieces(regions, flash_size, LARGEST, |region| {
        let Region { name, address, bytes } = region;
        let program = *address == BOOTLOADER || *address == PROGRAM && is_program(bytes);
        if *address == BOOTLOADER && !is_program(bytes) {
            return refuse(
                format!("{name} is no ESP32-C3 program, and only a program starts at address 0"),
                "name an image for the ESP32-C3 (.bin), or the file's address behind an @; nothing was erased",
            );
        }
        match check_image(bytes) {
            Err(flaw) if program => refuse(
                format!("{name} would not start: {flaw}"),
                "download or build it again, for the ESP32-C3; nothing was erased",
            ),
            _ => Ok(bytes.clone()),
        }
    })?;
    let starts = pieces.first().is_some_and(|piece| piece.address == BOOTLOADER);
    if job.erase == Erase::All && !starts {
        return refuse(
            "all of the flash would be erased, and there is no bootloader for address 0: nothing would start any more"
                .to_owned(),
            "add the bootloader for address 0, or keep the one that is there with --no-erase; nothing was erased",
        );
    }
    Ok(pieces)
}

impl Loader {
    /// Puts regions into flash. Everything that can be wrong with them is found before the first erase.
    ///
    /// The bootloader's first sector is erased first, and the bootloader written last, after all else was verified: so
    /// whatever breaks it off, nothing half-written starts.
    ///
    /// # Errors
    /// [`Kind::Image`] (nothing was changed), [`Kind::Verify`], [`Kind::Refused`], [`Kind::NoAnswer`], [`Kind::Vanished`],
    /// [`Kind::Cancelled`].
    pub fn flash(
        &mut self,
        regions: &[Region],
        job: &Job,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Flashed>> {
        let size = self.device().flash_size;
        let pieces = plan(regions, Some(size), job)?;
        let mut unchanged = vec![false; pieces.len()];
        if job.erase == Erase::Needed {
            for (same, piece) in unchanged.iter_mut().zip(&pieces) {
                *same = self.holds(piece)?;
            }
        }
        if unchanged.contains(&false) {
            let (head, body): (Vec<_>, Vec<_>) =
                pieces.iter().zip(&unchanged).partition(|(piece, _)| piece.address == BOOTLOADER);
            match job.erase {
                Erase::All => self.erase(0, size, "all of the flash", progress)?,
                // Nothing must start meanwhile.
                Erase::Needed if !head.is_empty() && self.in_stub() => {
                    self.erase(BOOTLOADER, SECTOR, "the bootloader's first sector", progress)?;
                }
                Erase::Needed => {}
            }
            for (piece, _) in body.into_iter().filter(|(_, same)| !**same) {
                self.write_piece(piece, job, progress)?;
            }
            // It has lost its first sector, whatever it was.
            for (piece, _) in head {
                self.write_piece(piece, job, progress)?;
            }
        }
        let verified = if job.no_verify { Verified::No } else { Verified::Fully };
        let flashed = pieces.into_iter().zip(unchanged).map(|(piece, same)| Flashed {
            length: piece.bytes.len() as u32,
            name: piece.name,
            address: piece.address,
            written: !same,
            verified: if same { Verified::Fully } else { verified },
        });
        Ok(flashed.collect())
    }

    /// Returns true if flash holds the bytes of a piece already.
    fn holds(&mut self, piece: &Piece) -> Result<bool> {
        let is =
            self.work(|flasher| flasher.checksum_md5(piece.address, piece.bytes.len() as u32))?;
        Ok(is.to_be_bytes() == md5(&piece.bytes))
    }

    /// Erases flash, a few blocks at a time, so that there is progress and a place to stop. The ROM has no command for it,
    /// and erases what it writes: then nothing happens here.
    fn erase(&mut self, from: u32, to: u32, what: &str, progress: &mut dyn Progress) -> Result<()> {
        if !self.in_stub() {
            progress.note("the ROM loader erases no more than what is written: the rest of the flash stays as it is");
            return Ok(());
        }
        progress.begin(Step::Erase, what, u64::from(to - from));
        let mut at = from;
        while at < to {
            let length = (to - at).min(4 * BLOCK);
            self.persist(progress, |loader, _| {
                loader.touched = true;
                loader.work(|flasher| flasher.erase_region(at, length))
            })?;
            at += length;
            progress.advance(u64::from(at - from));
        }
        progress.end();
        Ok(())
    }

    /// Writes a piece, and compares it block by block.
    fn write_piece(&mut self, piece: &Piece, job: &Job, progress: &mut dyn Progress) -> Result<()> {
        progress.begin(Step::Write, &piece.name, piece.bytes.len() as u64);
        let progress = &mut Forward::new(progress);
        for (offset, length) in piece.parts() {
            let address = piece.address + offset as u32;
            let bytes = &piece.bytes[offset..offset + length];
            self.persist(progress, |loader, progress| {
                let mut shown = Shown { progress, from: offset, length, blocks: 1 };
                loader.write(address, bytes, !job.no_verify, &mut shown)
            })?;
            progress.advance((offset + length) as u64);
        }
        progress.end();
        Ok(())
    }

    /// Does `work` until it works, meeting the loader again in between.
    fn persist(
        &mut self,
        progress: &mut dyn Progress,
        mut work: impl FnMut(&mut Self, &mut dyn Progress) -> Result<()>,
    ) -> Result<()> {
        let mut round = 1;
        loop {
            if progress.cancelled() {
                return Err(self.cancelled());
            }
            match work(self, progress) {
                Ok(()) => return Ok(()),
                Err(error) if round == ROUNDS || error.kind() == Kind::Vanished => {
                    return Err(error);
                }
                Err(_) => round += 1,
            }
            // Once more as it was; then as slowly as can be.
            if round == ROUNDS {
                self.meet_again()?;
            }
        }
    }

    fn cancelled(&self) -> Error {
        let remedy = match self.touched {
            true => {
                "run the same command again: it starts from the beginning, and until then no program starts"
            }
            false => "nothing was changed",
        };
        Error::new(Kind::Cancelled, "stopped by you", remedy)
    }
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest;
    md5::Md5::digest(bytes).into()
}

/// Shows the blocks of a part as bytes.
struct Shown<'a> {
    progress: &'a mut dyn Progress,
    from: usize,
    length: usize,
    blocks: usize,
}

impl ProgressCallbacks for Shown<'_> {
    fn init(&mut self, _address: u32, blocks: usize) {
        self.blocks = blocks.max(1);
    }

    fn update(&mut self, done: usize) {
        let done = self.length * done.min(self.blocks) / self.blocks;
        self.progress.advance((self.from + done) as u64);
    }

    fn verifying(&mut self) {}

    fn finish(&mut self, _skipped: bool) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an image of one segment for the chip of this number, as the ROM starts it.
    fn program(chip: u8) -> Vec<u8> {
        let mut bytes = vec![0xe9, 1, 2, 0x20, 0, 0, 0x38, 0x40, 0xee, 0, 0, 0, chip];
        bytes.resize(24, 0);
        bytes.extend([0, 0, 0x38, 0x40, 4, 0, 0, 0, 1, 2, 3, 4]);
        bytes.resize(47, 0);
        bytes.push(0xef ^ 1 ^ 2 ^ 3 ^ 4);
        bytes
    }

    fn region(address: u32, bytes: &[u8]) -> Region {
        Region { name: "a.bin".into(), address, bytes: bytes.to_vec() }
    }

    #[test]
    fn what_would_not_start_is_refused_before_anything_is_erased() {
        let job = Job::default();
        let why = |regions: &[Region]| {
            let error = check(regions, &job).unwrap_err();
            assert_eq!(error.kind(), Kind::Image);
            assert!(error.remedy().ends_with("nothing was erased"), "{error}");
            error.cause().to_owned()
        };
        assert!(check(&[region(0, &program(5)), region(PROGRAM, &program(5))], &job).is_ok());
        assert!(why(&[region(0, b"PK\x03\x04")]).contains("no ESP32-C3 program"));
        assert!(why(&[region(0, &program(9))]).contains("an image for an ESP32-S3"));
        let mut damaged = program(5);
        damaged[33] ^= 1;
        assert!(why(&[region(0, &damaged)]).contains("check sum"));
        assert!(why(&[region(0, &program(5)), region(PROGRAM, &program(13))]).contains("ESP32-C6"));
        assert!(why(&[region(PROGRAM, &program(5))]).contains("nothing would start any more"));
        // Without a program there, it may be anybody's file.
        let kept = Job { erase: Erase::Needed, ..job };
        assert!(check(&[region(PROGRAM, b"some file")], &kept).is_ok());
        assert!(check(&[region(PROGRAM, &program(5))], &kept).is_ok());
    }
}

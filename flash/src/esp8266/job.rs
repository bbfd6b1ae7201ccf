//! Flashing: erase, write, verify, in an order in which a half-written program never starts.

use pblink_image::esp8266::Header;

use super::loader::Loader;
use super::loader::backend::Part;
use super::plan;
use super::serial::connection::Fault;
use super::serial::packet;
use crate::job::{Erase, Flashed, Verified};
use crate::pieces::{BLOCK, Piece, SECTOR, size_text};
use crate::serial::port::Port;
use crate::shown::{Forward, Quiet};
use crate::{Error, Kind, Progress, Region, Result, Step};

/// The check that flash holds what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Every byte with a stub, by its hash. With the ROM loader, which cannot hash, [`Verify::Sampled`].
    #[default]
    Auto,
    /// With the ROM loader: 64 bytes of every sector are read back, and both ends of every image.
    Sampled,
    /// Every byte. With the ROM loader that takes about a minute for 40 KB.
    Full,
    /// Not at all.
    No,
}

/// Options for writing the flash.
#[derive(Debug, Clone, Copy, Default)]
pub struct Job {
    /// The part that is erased.
    pub erase: Erase,
    /// The check of what was written.
    pub verify: Verify,
    /// Changes to the program's header.
    pub header: Header,
}

/// The number of times that a part which reads back wrong is erased and written.
const ROUNDS: u32 = 3;

/// The number of failures in a row without a byte of progress that ends the work.
const STUCK: u32 = 12;

/// Checks what can be known of the regions without their board.
///
/// # Errors
/// [`Kind::Image`]: those of [`Loader::flash`](Loader::flash) that do not depend on the board.
pub fn check(regions: &[Region], job: &Job) -> Result<()> {
    startable(&plan::plan(regions, None, &job.header)?, job)
}

/// Checks that a program is left on the board.
fn startable(pieces: &[Piece], job: &Job) -> Result<()> {
    if job.erase == Erase::Needed || pieces.first().is_some_and(|piece| piece.address == 0) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Image,
        "all of the flash would be erased, and there is no program for address 0: nothing would start any more",
        "add the program for address 0, or keep the one that is there with --no-erase; nothing was erased",
    ))
}

impl<P: Port> Loader<P> {
    /// Puts regions into flash. Everything that can be wrong with them is found before the first erase.
    ///
    /// The first sector of a program at address 0 is erased first and written last, after all else
    /// was verified: so whatever breaks it off, nothing half-written starts.
    ///
    /// # Errors
    /// [`Kind::Image`] (nothing was changed), [`Kind::Verify`], [`Kind::Refused`], [`Kind::NoAnswer`],
    /// [`Kind::Vanished`], [`Kind::Cancelled`].
    pub fn flash(
        &mut self,
        regions: &[Region],
        job: &Job,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Flashed>> {
        let size = self.device().flash_size;
        let pieces = plan::plan(regions, Some(size), &job.header)?;
        startable(&pieces, job)?;
        let reach = self.backend().abilities().reach;
        if let Some(piece) = pieces.iter().find(|piece| piece.sectors().1 > reach) {
            return Err(Error::new(
                Kind::Image,
                format!(
                    "{} at {:#x} lies behind the first {} of flash, which is all that the chip's own \
                     loader reaches",
                    piece.name,
                    piece.address,
                    size_text(reach)
                ),
                "give it a lower address; nothing was erased",
            ));
        }
        let mut unchanged = Vec::new();
        for piece in &pieces {
            // After erasing all, nothing is as it was.
            let same = job.erase == Erase::Needed
                && self.backend().abilities().hashes
                && self.same(piece, progress)?;
            unchanged.push(same);
        }
        if unchanged.contains(&false) {
            self.replace(&pieces, &unchanged, job, progress)?;
        }
        let verified = self.verified(job.verify);
        Ok(pieces
            .into_iter()
            .zip(unchanged)
            .map(|(piece, same)| Flashed {
                length: piece.bytes.len() as u32,
                name: piece.name,
                address: piece.address,
                written: !same,
                verified: if same { Verified::Fully } else { verified },
            })
            .collect())
    }

    fn verified(&self, verify: Verify) -> Verified {
        match verify {
            Verify::No => Verified::No,
            Verify::Full => Verified::Fully,
            _ if self.backend().abilities().hashes => Verified::Fully,
            _ => Verified::Sampled,
        }
    }

    /// Erases, writes and verifies what has changed.
    fn replace(
        &mut self,
        pieces: &[Piece],
        unchanged: &[bool],
        job: &Job,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        // Without its first sector a program does not start.
        let mut head = None;
        let mut body = Vec::new();
        for (piece, &same) in pieces.iter().zip(unchanged) {
            let split = if piece.address == 0 { piece.bytes.len().min(SECTOR as usize) } else { 0 };
            let (first, rest) = piece.bytes.split_at(split);
            if split > 0 {
                head = Some(Piece { bytes: first.to_vec(), ..piece.clone() });
            }
            if !same && !rest.is_empty() {
                let address = piece.address + split as u32;
                body.push(Piece { name: piece.name.clone(), address, bytes: rest.to_vec() });
            }
        }
        // Decided once: the stub may be lost while it erases, and the ROM does not erase what it writes.
        let blank = job.erase == Erase::All || !self.backend().abilities().erases_what_it_writes;
        match job.erase {
            Erase::All => self.erase_all(progress)?,
            Erase::Needed => {
                // A stub erases what it writes; but the head first, so that nothing starts meanwhile.
                let rest = if blank { &body } else { &[][..] };
                let sectors: Vec<_> = head.iter().chain(rest).map(Piece::sectors).collect();
                if !sectors.is_empty() {
                    self.erase(&sectors, "what is written", progress)?;
                }
            }
        }
        for piece in &body {
            self.write(piece, blank, progress)?;
        }
        for piece in &body {
            self.verify(piece, job.verify, progress)?;
        }
        if let Some(head) = head {
            self.write(&head, true, progress)?;
            // Its few lines decide whether the program starts: all of them are looked at.
            let verify = if job.verify == Verify::No { Verify::No } else { Verify::Full };
            self.verify(&head, verify, progress)?;
        }
        Ok(())
    }

    /// Does `work` until it works, getting the loader's attention in between. It returns whether it
    /// came further since it failed last.
    fn persist<T>(
        &mut self,
        progress: &mut dyn Progress,
        mut work: impl FnMut(&mut Self, &mut dyn Progress) -> (bool, std::result::Result<T, Fault>),
    ) -> Result<T> {
        let mut stuck = 0;
        let mut refusals = 0;
        loop {
            if progress.cancelled() {
                return Err(self.cancelled());
            }
            let (further, result) = work(self, progress);
            let fault = match result {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            stuck = if further { 1 } else { stuck + 1 };
            let refused = matches!(fault, Fault::Refused(_, why) if !packet::is_garbled(why));
            refusals = if refused { refusals + 1 } else { 0 };
            if stuck == STUCK || refusals == 3 {
                return Err(self.explain(fault));
            }
            self.recover(fault, progress)?;
        }
    }

    fn erase_all(&mut self, progress: &mut dyn Progress) -> Result<()> {
        let size = self.device().flash_size;
        let reach = size.min(self.backend().abilities().reach);
        if reach < size {
            progress.note(&format!(
                "the ROM loader erases the first {} of the {} of flash",
                size_text(reach),
                size_text(size)
            ));
        }
        // Not by the stub's command for all of it: that one reports no progress, and nothing can stop it.
        self.erase(&[(0, reach)], "all of the flash", progress)
    }

    /// Erases sectors, a few blocks at a time, so that there is progress and a place to stop.
    fn erase(
        &mut self,
        sectors: &[(u32, u32)],
        what: &str,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        self.touched = true;
        let total = sectors.iter().map(|(from, to)| u64::from(to - from)).sum();
        progress.begin(Step::Erase, what, total);
        let mut done = 0;
        for &(from, to) in sectors {
            let mut at = from;
            while at < to {
                let length = (to - at).min(4 * BLOCK - at % BLOCK);
                self.persist(progress, |loader, _| {
                    (false, loader.backend().erase(&mut loader.connection, at, length))
                })?;
                at += length;
                done += u64::from(length);
                progress.advance(done);
            }
        }
        progress.end();
        Ok(())
    }

    /// Writes a piece. `blank`: its sectors are erased.
    fn write(&mut self, piece: &Piece, blank: bool, progress: &mut dyn Progress) -> Result<()> {
        self.touched = true;
        progress.begin(Step::Write, &piece.name, piece.bytes.len() as u64);
        let progress = &mut Forward::new(progress);
        for (offset, length) in piece.parts() {
            self.write_part(piece, offset, length, blank, progress)?;
            progress.advance((offset + length) as u64);
        }
        progress.end();
        Ok(())
    }

    /// Writes a part of a piece, which lies within one block. `blank`: its sectors are erased.
    fn write_part(
        &mut self,
        piece: &Piece,
        offset: usize,
        length: usize,
        mut blank: bool,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let part = &piece.bytes[offset..offset + length];
        let address = piece.address + offset as u32;
        // How much of it is in flash for sure.
        let mut safe = 0;
        let faults = self.all_faults;
        self.persist(progress, |loader, progress| {
            let (backend, connection) = (loader.backend(), &mut loader.connection);
            if backend.abilities().erases_what_it_writes {
                // Should the ROM continue instead, the content of flash is unknown by then.
                (blank, safe) = (false, 0);
            } else if !blank {
                if let Err(fault) = backend.erase(connection, address, whole_sectors(length)) {
                    return (false, Err(fault));
                }
                blank = true;
            }
            // From the last whole sector on: flash takes the same bytes twice.
            let begin = safe;
            let mut sent = begin;
            let rest = Part { address: address + begin as u32, bytes: &part[begin..] };
            let written = backend.write(connection, rest, &mut |count| {
                sent = begin + count;
                progress.advance((offset + sent) as u64);
            });
            safe = sent / SECTOR as usize * SECTOR as usize;
            (safe > begin, written)
        })?;
        self.doubtful.retain(|&doubtful| doubtful != address);
        if self.all_faults > faults {
            self.doubtful.push(address);
        }
        Ok(())
    }

    /// Compares flash with a piece. A part that is wrong is erased and written again, some times.
    fn verify(&mut self, piece: &Piece, verify: Verify, progress: &mut dyn Progress) -> Result<()> {
        if verify == Verify::No {
            return Ok(());
        }
        progress.begin(Step::Verify, &piece.name, piece.bytes.len() as u64);
        let progress = &mut Forward::new(progress);
        for (offset, length) in piece.parts() {
            let address = piece.address + offset as u32;
            let mut round = 0;
            while let Some(wrong) = self.differs(piece, offset, length, verify, progress)? {
                round += 1;
                if round == ROUNDS {
                    return Err(Error::new(
                        Kind::Verify,
                        format!("the flash does not hold what was written at {wrong:#x}"),
                        "try again at a lower --baud; if it stays, the flash is worn out or \
                         protected, and the board needs another",
                    ));
                }
                progress.note(&format!("not as written at {wrong:#x}: writing it again"));
                let end = (address + length as u32).next_multiple_of(SECTOR);
                let length = end - address;
                self.persist(progress, |loader, _| {
                    (false, loader.backend().erase(&mut loader.connection, address, length))
                })?;
                self.write_part(
                    piece,
                    offset,
                    (length as usize).min(piece.bytes.len() - offset),
                    true,
                    &mut Quiet(progress),
                )?;
            }
            progress.advance((offset + length) as u64);
        }
        progress.end();
        Ok(())
    }

    /// Returns an address at which a part of a piece differs from flash, as far as it is compared.
    fn differs(
        &mut self,
        piece: &Piece,
        offset: usize,
        length: usize,
        verify: Verify,
        progress: &mut dyn Progress,
    ) -> Result<Option<u32>> {
        let part = &piece.bytes[offset..offset + length];
        let address = piece.address + offset as u32;
        self.persist(progress, |loader, progress| {
            let all = verify == Verify::Full || loader.doubtful.contains(&address);
            let part = Part { address, bytes: part };
            let result =
                loader.backend().differs(&mut loader.connection, part, all, &mut |count| {
                    progress.advance((offset + count) as u64);
                });
            (false, result)
        })
    }

    /// Returns true if a piece is in flash already.
    fn same(&mut self, piece: &Piece, progress: &mut dyn Progress) -> Result<bool> {
        for (offset, length) in piece.parts() {
            if self.differs(piece, offset, length, Verify::Full, &mut Quiet(progress))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a part of flash: with the ROM loader about 20 KB a minute.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`], [`Kind::Vanished`], [`Kind::Cancelled`].
    pub fn read(
        &mut self,
        address: u32,
        length: u32,
        progress: &mut dyn Progress,
    ) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length as usize);
        progress.begin(Step::Read, "flash", length.into());
        while bytes.len() < length as usize {
            let at = bytes.len() as u32;
            let count = (length - at).min(SECTOR);
            let read = self.persist(progress, |loader, _| {
                (false, loader.backend().read(&mut loader.connection, address + at, count))
            })?;
            bytes.extend(read);
            progress.advance(bytes.len() as u64);
        }
        progress.end();
        Ok(bytes)
    }
}

/// Returns the bytes of the sectors that this many bytes take, from the beginning of a sector on.
fn whole_sectors(length: usize) -> u32 {
    (length as u32).next_multiple_of(SECTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an image of one segment, with the header of 512 KB of flash.
    fn program() -> Region {
        let mut bytes = vec![0xe9, 1, 0, 0x09, 0, 0, 0x10, 0x40, 0, 0, 0x10, 0x40, 4, 0, 0, 0];
        bytes.resize(32, 0);
        bytes[31] = 0xef;
        Region { name: "a".to_owned(), address: 0, bytes }
    }

    #[test]
    fn what_depends_on_no_board_is_refused_without_one() {
        let job = Job::default();
        let part = Region { address: 0x1000, ..program() };
        let refused = |region: &Region| {
            check(std::slice::from_ref(region), &job).map_err(|error| error.cause().to_owned())
        };
        assert_eq!(refused(&program()), Ok(()));
        let mut cut = program();
        cut.bytes.truncate(20);
        assert!(refused(&cut).unwrap_err().contains("cut off"));
        assert!(refused(&part).unwrap_err().contains("nothing would start"));
        assert!(check(&[part], &Job { erase: Erase::Needed, ..job }).is_ok());
        let mut large = program();
        large.bytes[3] = 0x90;
        assert_eq!(refused(&large), Ok(()), "perhaps the board has as much");
        large.bytes.resize((16 << 20) + 1, 0);
        assert_eq!(
            refused(&large).unwrap_err(),
            "a (16777217 bytes at 0x0) does not fit into 16 MB, the most that an ESP8266's header knows"
        );
    }
}

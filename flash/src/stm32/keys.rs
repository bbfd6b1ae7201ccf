//! The keys of the secure link: records that are appended to a sector of their own.

use pblink_image::keys::{Keys, SIZE};
use zeroize::Zeroizing;

use super::layout::KEYS;
use super::program::readout_protected;
use super::{Sector, Target};
use crate::{Error, Kind, Progress, Result, Step};

/// Bytes without a record after which nothing more is looked for: records are appended one behind the other.
const EMPTY: usize = 16 * SIZE;

/// Reads the keys' sector: give it to [`Keys::read`]. What lies behind its last record is not read, and 0xff here.
///
/// # Errors
/// [`Kind::WrongChip`] if the chip has no sector for them; else as the [`Target`].
pub fn read_keys(target: &mut dyn Target) -> Result<Zeroizing<Vec<u8>>> {
    let sector = sector(target)?;
    if target.protection()?.readout {
        return Err(readout_protected());
    }
    let mut bytes = Zeroizing::new(vec![0xff; sector.size as usize]);
    let mut address = sector.address;
    for piece in bytes.chunks_mut(EMPTY) {
        target.read(address, piece)?;
        if piece.iter().all(|&byte| byte == 0xff) {
            break;
        }
        address += piece.len() as u32;
    }
    Ok(bytes)
}

/// Appends a record (of [`Fields::write`](pblink_image::keys::Fields::write)), reads it back, and then wipes those that
/// it replaces. Program and settings stay as they are. `false`: this record was the last one already, and nothing was
/// written but what was left to wipe.
///
/// Interrupted on the way, the board has the keys that it had, or these. Only a sector that is full is erased, after some
/// 500 records; interrupted then, the board has no keys.
///
/// # Errors
/// [`Kind::Image`] if `record` is not a valid one, [`Kind::WrongChip`] if there is no sector for it; else as
/// [`super::program`].
pub fn append_keys(
    target: &mut dyn Target,
    record: &[u8; SIZE],
    progress: &mut dyn Progress,
) -> Result<bool> {
    if Keys::read(record).record().is_none() {
        let remedy = "make them with `pblink config push`";
        return Err(Error::new(Kind::Image, "this is not a record of keys", remedy));
    }
    let sector = sector(target)?;
    let protected_sector = target.protection()?.sectors.contains(&sector.number);
    let mut there = read_keys(target)?;
    let last = Keys::read(&there).record().map(|record| record.offset());
    if last.is_some_and(|at| there[at..at + SIZE] == record[..]) {
        wipe(target, &sector, &there)?;
        return Ok(false);
    }
    if protected_sector {
        return Err(protected(&sector));
    }
    if progress.cancelled() {
        return Err(Error::new(Kind::Cancelled, "stopped by you", "the keys were not changed"));
    }
    let at = match Keys::read(&there).free() {
        Some(at) => at,
        None => {
            progress.begin(Step::Erase, "the keys", u64::from(sector.size));
            target.erase(&sector)?;
            progress.advance(u64::from(sector.size));
            progress.end();
            there.fill(0xff);
            0
        }
    };
    progress.begin(Step::Write, "the keys", SIZE as u64);
    target.write(sector.address + at as u32, record)?;
    progress.advance(SIZE as u64);
    progress.end();

    progress.begin(Step::Verify, "the keys", SIZE as u64);
    let slot = &mut there[at..at + SIZE];
    target.read(sector.address + at as u32, slot)?;
    if slot != record {
        return Err(protected(&sector));
    }
    progress.advance(SIZE as u64);
    progress.end();
    wipe(target, &sector, &there)?;
    Ok(true)
}

/// Overwrites what is not needed any more with zeros.
fn wipe(target: &mut dyn Target, sector: &Sector, there: &[u8]) -> Result<()> {
    for at in Keys::read(there).spent() {
        target.write(sector.address + at as u32, &[0; SIZE])?;
    }
    Ok(())
}

fn sector(target: &dyn Target) -> Result<Sector> {
    target.layout().keys().ok_or_else(|| {
        let cause = format!(
            "the chip has no flash sector for keys: its flash ends at {:#010x}, and they are at {KEYS:#010x}, or in the \
             sector below the settings",
            target.layout().end()
        );
        let remedy = "use a board of a kind that pblink knows: pyboard, black-pill or nucleo-f446";
        Error::new(Kind::WrongChip, cause, remedy)
    })
}

fn protected(sector: &Sector) -> Error {
    Error::new(
        Kind::Refused,
        format!("the keys cannot be written: {sector} is write-protected, or worn out"),
        "clear its write protection in the option bytes, for example with STM32CubeProgrammer, and try again",
    )
}

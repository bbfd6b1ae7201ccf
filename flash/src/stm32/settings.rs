//! The settings: one sector, and nothing else.

use pblink_image::settings::{MAX_SIZE, Settings};

use super::layout::WRITTEN;
use super::program::readout_protected;
use super::{SETTINGS, Sector, Target};
use crate::{Error, Kind, Progress, Result, Step};

/// Writes the settings' bytes (those of [`Settings::write`]), reads them back, and leaves the program as it
/// is; call [`Target::start`] then, since it reads them only when it starts. `false`: they were there
/// already, and nothing was written.
///
/// Interrupted on the way, the board has no settings, or damaged ones, which their check sum shows; the
/// program then takes those it was built with.
///
/// # Errors
/// [`Kind::Image`] if `bytes` are not valid settings, [`Kind::WrongChip`] if there is no sector for them; else as
/// [`super::program`].
pub fn write_settings(
    target: &mut dyn Target,
    bytes: &[u8],
    progress: &mut dyn Progress,
) -> Result<bool> {
    if let Err(why) = Settings::read(bytes) {
        let remedy = "make them from pblink.toml, with `pblink config push`";
        return Err(Error::new(Kind::Image, format!("these are not settings: {why}"), remedy));
    }
    let sector = sector(target)?;
    let mut wanted = bytes.to_vec();
    // What lies behind them does not count, but shall be empty.
    wanted.resize(WRITTEN, 0xff);

    let protection = target.protection()?;
    if protection.readout {
        return Err(readout_protected());
    }
    let mut there = vec![0; wanted.len()];
    target.read(sector.address, &mut there)?;
    if there == wanted {
        return Ok(false);
    }
    if protection.sectors.contains(&sector.number) {
        return Err(protected(&sector));
    }
    if progress.cancelled() {
        return Err(Error::new(Kind::Cancelled, "stopped by you", "the settings were not changed"));
    }
    progress.begin(Step::Erase, "the settings", u64::from(sector.size));
    target.erase(&sector)?;
    progress.advance(u64::from(sector.size));
    progress.end();

    progress.begin(Step::Write, "the settings", wanted.len() as u64);
    target.write(sector.address, &wanted)?;
    progress.advance(wanted.len() as u64);
    progress.end();

    progress.begin(Step::Verify, "the settings", wanted.len() as u64);
    target.read(sector.address, &mut there)?;
    if there != wanted {
        return Err(protected(&sector));
    }
    progress.advance(wanted.len() as u64);
    progress.end();
    Ok(true)
}

/// Reads the bytes where the settings are, at most [`MAX_SIZE`]: give them to [`Settings::read`],
/// which also knows an empty sector.
///
/// # Errors
/// [`Kind::WrongChip`] if the chip has no sector for them; else as the [`Target`].
pub fn read_settings(target: &mut dyn Target) -> Result<Vec<u8>> {
    let sector = sector(target)?;
    if target.protection()?.readout {
        return Err(readout_protected());
    }
    let mut bytes = vec![0; WRITTEN];
    target.read(sector.address, &mut bytes)?;
    bytes.truncate(MAX_SIZE);
    Ok(bytes)
}

fn sector(target: &dyn Target) -> Result<Sector> {
    target.layout().settings().ok_or_else(|| {
        let cause = format!(
            "the chip has no flash sector for the settings: its flash ends at {:#010x}, and they are at \
             {SETTINGS:#010x}, or in the last sector of 512 KB",
            target.layout().end()
        );
        Error::new(Kind::WrongChip, cause, "use a board of a kind that pblink knows: pyboard, black-pill or nucleo-f446")
    })
}

fn protected(sector: &Sector) -> Error {
    Error::new(
        Kind::Refused,
        format!("the settings cannot be written: {sector} is write-protected, or worn out"),
        "clear its write protection in the option bytes, for example with STM32CubeProgrammer, and try \
         again",
    )
}

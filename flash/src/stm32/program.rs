//! Writing a program, over whichever way: checks first, and a half-written program never starts.

use super::check::{Part, parts};
use super::{Sector, Target};
use crate::{Error, Kind, Progress, Region, Result, Step};

/// The vector table's first two words. A chip does not start while they are all ones, or zero: it would
/// take its first instruction where there is no memory or no Thumb code, and locks up.
const START: usize = 8;

/// The result of writing a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Bytes that were written and read back.
    pub written: u64,
    /// Bytes that were there already.
    pub unchanged: u64,
    /// Sectors that were erased.
    pub erased: usize,
}

/// [Writes a program](write_program) and starts it.
///
/// # Errors
/// Those of [`write_program`], and of [`Target::start`].
pub fn program(
    target: &mut dyn Target,
    images: &[Region],
    progress: &mut dyn Progress,
) -> Result<Outcome> {
    let outcome = write_program(target, images, progress)?;
    target.start()?;
    Ok(outcome)
}

/// Writes a program, and compares all of it with what is then in flash. The board stays in its bootloader, or halted by the
/// probe, until [`Target::start`].
///
/// `images` together are the program; one of them must begin at [`super::PROGRAM`] with the vector
/// table. Sectors in which nothing would change, and those of which the program has no byte, are left
/// alone, the settings always.
///
/// Whatever happens on the way, a power failure included, no half-written program starts: the first 8
/// bytes of the vector table are cleared before anything is erased, and written last, after everything
/// else was compared. [`Progress::cancelled`] is asked between all pieces but the last.
///
/// # Errors
/// Before anything was changed: [`Kind::Image`] if the program does not fit, would overwrite the
/// settings or has no vector table, [`Kind::Refused`] if the flash is protected. Later those of the
/// [`Target`], [`Kind::Verify`], [`Kind::Cancelled`].
pub fn write_program(
    target: &mut dyn Target,
    images: &[Region],
    progress: &mut dyn Progress,
) -> Result<Outcome> {
    let parts = parts(target.layout(), images)?;
    let protection = target.protection()?;
    if protection.readout {
        return Err(readout_protected());
    }
    let what = images.iter().map(|image| image.name.as_str()).collect::<Vec<_>>().join(", ");
    let changed = changed(target, &parts, &what, progress)?;
    let all: u64 = size(&parts);
    if changed.is_empty() {
        progress.note("the program is on the board already: nothing to write");
        return Ok(Outcome { unchanged: all, ..Outcome::default() });
    }
    let protected = changed.iter().find(|p| protection.sectors.contains(&p.sector.number));
    if let Some(part) = protected {
        return Err(write_protected(&part.sector, false));
    }
    stop_if(progress, "the board was not changed")?;

    erase(target, &changed, &what, progress)?;
    let written = size(&changed);
    let head = write(target, &changed, &what, progress)?;
    verify(target, &changed, &what, progress)?;
    finish(target, &changed[0].sector, &head)?;
    Ok(Outcome { written, unchanged: all - written, erased: changed.len() })
}

fn size(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.bytes.len() as u64).sum()
}

const NO_PROGRAM: &str = "the board has no program now: flash it again";

fn stop_if(progress: &dyn Progress, state: &str) -> Result<()> {
    if progress.cancelled() {
        return Err(Error::new(Kind::Cancelled, "stopped by you", state));
    }
    Ok(())
}

pub(super) fn readout_protected() -> Error {
    Error::new(
        Kind::Refused,
        "the chip's read-out protection is on, so its flash can be neither read nor written",
        "take the protection off, which erases the whole chip, settings included: with \
         STM32CubeProgrammer, or in DFU mode `dfu-util -a 0 -s 0x08000000:unprotect:force -D FILE`",
    )
}

fn write_protected(sector: &Sector, erased: bool) -> Error {
    let (cause, state) = match erased {
        false => ("is write-protected", "; nothing was changed"),
        true => ("is not empty after erasing: it is write-protected, or worn out", ""),
    };
    Error::new(
        Kind::Refused,
        format!("{sector} {cause}{state}"),
        "clear its write protection in the option bytes, for example with STM32CubeProgrammer, and \
         flash again",
    )
}

/// Returns the parts that flash does not have yet. The first is always among them if any is: see
/// [`erase`].
fn changed(
    target: &mut dyn Target,
    parts: &[Part],
    what: &str,
    progress: &mut dyn Progress,
) -> Result<Vec<Part>> {
    progress.begin(Step::Read, "what is on the board", size(parts));
    let mut changed = Vec::new();
    let mut done = 0;
    for part in parts {
        let there = differs(target, part, &mut |n| {
            progress.advance(done + n);
            stop_if(progress, "the board was not changed")
        })?;
        if there.is_some() {
            changed.push(part.clone());
        }
        done += part.bytes.len() as u64;
        progress.advance(done);
    }
    progress.end();
    if let (Some(_), Some(first)) = (changed.first(), parts.first())
        && changed[0].sector != first.sector
    {
        changed.insert(0, first.clone());
    }
    let kept = parts.len() - changed.len();
    if kept > 0 && !changed.is_empty() {
        progress.note(&format!("{kept} of {} sectors of {what} are unchanged", parts.len()));
    }
    Ok(changed)
}

/// Returns the first address at which flash differs from a part, and the byte there. `at` gets the
/// number of bytes compared.
fn differs(
    target: &mut dyn Target,
    part: &Part,
    at: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Option<(u32, u8)>> {
    let mut buffer = vec![0; target.piece()];
    let mut done = 0;
    for wanted in part.bytes.chunks(buffer.len()) {
        at(done as u64)?;
        let address = part.address + done as u32;
        let there = &mut buffer[..wanted.len()];
        target.read(address, there)?;
        if let Some(i) = wanted.iter().zip(&*there).position(|(wanted, there)| wanted != there) {
            return Ok(Some((address + i as u32, there[i])));
        }
        done += wanted.len();
    }
    Ok(None)
}

/// Erases the sectors, that of the vector table first, and checks that it is really erased before the
/// next one goes: an old vector table must not outlive its program. For that it is cleared before, which
/// flash of these chips allows (RM0090 §3.6.3); erasing takes long, and could end halfway.
fn erase(
    target: &mut dyn Target,
    parts: &[Part],
    what: &str,
    progress: &mut dyn Progress,
) -> Result<()> {
    let total = parts.iter().map(|part| u64::from(part.sector.size)).sum();
    progress.begin(Step::Erase, what, total);
    let mut done = 0;
    for part in parts {
        if done == 0 {
            target.write(part.address, &[0; START])?;
        } else {
            stop_if(progress, NO_PROGRAM)?;
        }
        target.erase(&part.sector)?;
        // A bootloader does not say that a sector is protected. Its beginning is enough here; the rest
        // shows when all is compared.
        let mut head = vec![0; part.bytes.len().min(target.piece())];
        target.read(part.address, &mut head)?;
        if head.iter().any(|&byte| byte != 0xff) {
            return Err(write_protected(&part.sector, true));
        }
        done += u64::from(part.sector.size);
        progress.advance(done);
    }
    progress.end();
    Ok(())
}

/// Writes all but the first bytes of the first part, and returns these.
fn write(
    target: &mut dyn Target,
    parts: &[Part],
    what: &str,
    progress: &mut dyn Progress,
) -> Result<[u8; START]> {
    progress.begin(Step::Write, what, size(parts));
    let piece = target.piece();
    let mut done = 0;
    let mut head = [0xff; START];
    for (i, part) in parts.iter().enumerate() {
        let mut bytes = part.bytes.clone();
        if i == 0 {
            head.copy_from_slice(&bytes[..START]);
            bytes[..START].fill(0xff);
        }
        let mut address = part.address;
        for piece in bytes.chunks(piece) {
            stop_if(progress, NO_PROGRAM)?;
            target.write(address, piece)?;
            address += piece.len() as u32;
            done += piece.len() as u64;
            progress.advance(done);
        }
    }
    progress.end();
    Ok(head)
}

/// Compares all that was written, of which the first bytes are still missing.
fn verify(
    target: &mut dyn Target,
    parts: &[Part],
    what: &str,
    progress: &mut dyn Progress,
) -> Result<()> {
    progress.begin(Step::Verify, what, size(parts));
    let mut done = 0;
    for (i, part) in parts.iter().enumerate() {
        let mut part = part.clone();
        if i == 0 {
            part.bytes[..START].fill(0xff);
        }
        let differs = differs(target, &part, &mut |n| {
            progress.advance(done + n);
            stop_if(progress, NO_PROGRAM)
        })?;
        if let Some((address, there)) = differs {
            return Err(mismatch(&part, address, there));
        }
        done += part.bytes.len() as u64;
        progress.advance(done);
    }
    progress.end();
    Ok(())
}

fn mismatch(part: &Part, address: u32, there: u8) -> Error {
    let wanted = part.bytes.get((address - part.address) as usize).copied().unwrap_or(0xff);
    Error::new(
        Kind::Verify,
        format!(
            "flash has {there:#04x} at {address:#010x}, where {wanted:#04x} was written ({})",
            part.sector
        ),
        "flash it again, over a short cable; if it fails at the same address, the sector is protected or \
         worn out (until then the board has no program)",
    )
}

/// Makes the program one that starts.
fn finish(target: &mut dyn Target, sector: &Sector, head: &[u8; START]) -> Result<()> {
    target.write(sector.address, head)?;
    let mut there = [0; START];
    target.read(sector.address, &mut there)?;
    if there != *head {
        // What would start is not what was meant to.
        target.erase(sector)?;
        let part = Part { sector: *sector, address: sector.address, bytes: head.to_vec() };
        let at = there.iter().zip(head).position(|(there, wanted)| there != wanted).unwrap_or(0);
        return Err(mismatch(&part, sector.address + at as u32, there[at]));
    }
    Ok(())
}

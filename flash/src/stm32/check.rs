//! Checks that a program is one for this chip, before anything is erased.

use pblink_image::identity;
use pblink_image::map::{Area, Map};

use super::{Layout, PROGRAM, Sector};
use crate::{Error, Kind, Region, Result};

/// RAM that a stack may be in where the board is not known: SRAM of up to 512 KB and the 64 KB of CCM or ITCM/DTCM aliases that STM32F2,
/// F4 and F7 have (RM0090 §2.3). The stack grows down, so its first address may be the end.
const RAM: [std::ops::RangeInclusive<u32>; 2] =
    [0x2000_0004..=0x2008_0000, 0x1000_0004..=0x1001_0000];

/// One sector's share of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The sector.
    pub(super) sector: Sector,
    /// Address of the first byte, a multiple of 4.
    pub(super) address: u32,
    /// The bytes, a multiple of 4 of them; gaps are 0xff, as erased flash is.
    pub(super) bytes: Vec<u8>,
}

/// Checks what can be known of a program without its chip: it has a vector table that is plausible, and its files do
/// not overlap.
///
/// # Errors
/// [`Kind::Image`].
pub fn check_program(images: &[Region]) -> Result<()> {
    let (first, images) = in_order(images)?;
    apart(&images)?;
    vector_table(first, &images, board_of(first).map(|map| map.ram))
}

/// Returns the files of a program that have bytes, by their addresses, and the first of them.
fn in_order(images: &[Region]) -> Result<(&Region, Vec<&Region>)> {
    let mut images: Vec<&Region> = images.iter().filter(|image| !image.bytes.is_empty()).collect();
    images.sort_by_key(|image| image.address);
    match images.first() {
        Some(first) => Ok((first, images)),
        None => {
            let cause = "the image is empty";
            Err(Error::new(Kind::Image, cause, "build it again, with `pblink build stm32`"))
        }
    }
}

fn apart(images: &[&Region]) -> Result<()> {
    match images.windows(2).find(|two| two[0].end() > u64::from(two[1].address)) {
        None => Ok(()),
        Some(two) => {
            let cause = format!("{} and {} overlap", two[0].name, two[1].name);
            Err(Error::new(Kind::Image, cause, "give each its own address, as in FILE@ADDR"))
        }
    }
}

/// Cuts a program into the sectors' shares, the first of which has the vector table.
pub(super) fn parts(layout: &Layout, images: &[Region]) -> Result<Vec<Part>> {
    let (first, images) = in_order(images)?;
    let board = board_of(first);
    if let Some(map) = board {
        suits(layout, map, &images)?;
    }
    for image in &images {
        fits(layout, image)?;
    }
    apart(&images)?;
    vector_table(first, &images, board.map(|map| map.ram))?;

    let mut parts: Vec<Part> = Vec::new();
    for image in images {
        let mut address = image.address;
        let mut rest = image.bytes.as_slice();
        while let Some(sector) = layout.sector_of(address).filter(|_| !rest.is_empty()) {
            let room = (sector.end() - u64::from(address)) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            place(&mut parts, sector, address, now);
            rest = later;
            // `fits` has seen that the image ends within the flash.
            address = address.wrapping_add(now.len() as u32);
        }
    }
    Ok(parts)
}

/// Adds bytes to the part of their sector.
fn place(parts: &mut Vec<Part>, sector: Sector, address: u32, bytes: &[u8]) {
    if parts.last().is_none_or(|part| part.sector != sector) {
        parts.push(Part { sector, address: address & !3, bytes: Vec::new() });
    }
    if let Some(part) = parts.last_mut() {
        let at = (address - part.address) as usize;
        let end = at + bytes.len();
        part.bytes.resize(end.max(part.bytes.len()), 0xff);
        part.bytes[at..end].copy_from_slice(bytes);
        part.bytes.resize(end.next_multiple_of(4), 0xff);
    }
}

/// Checks that the image is within the flash, without a gap of it, and neither in the keys nor in the settings.
fn fits(layout: &Layout, image: &Region) -> Result<()> {
    let size = image.bytes.len();
    let kept = [("keys'", layout.keys()), ("settings'", layout.settings())];
    let limit = kept.iter().find_map(|(_, sector)| *sector);
    for (whose, sector) in kept {
        let touches = |sector: &Sector| {
            u64::from(image.address) < sector.end() && image.end() > u64::from(sector.address)
        };
        if let (Some(sector), Some(limit)) = (sector.filter(touches), limit) {
            let cause = format!(
                "{} ({size} bytes at {:#010x}) reaches into the {whose} {sector}",
                image.name, image.address
            );
            let remedy = format!(
                "make it end at {:#010x}: a program may have {} KB",
                limit.address,
                (limit.address - layout.start()) >> 10
            );
            return Err(Error::new(Kind::Image, cause, remedy));
        }
    }
    let mut at = u64::from(image.address);
    while at < image.end() {
        let sector = u32::try_from(at).ok().and_then(|at| layout.sector_of(at));
        let Some(sector) = sector else {
            let cause = format!(
                "{} ({size} bytes at {:#010x}) does not fit: the chip's flash is {:#010x} to {:#010x}",
                image.name,
                image.address,
                layout.start(),
                layout.end()
            );
            let remedy = "check that it was built for this chip, and the address behind the @";
            return Err(Error::new(Kind::Image, cause, remedy));
        };
        at = sector.end();
    }
    Ok(())
}

/// Returns the map of the board that a program was built for, if the program names one that we have a map of.
pub fn board_of(program: &Region) -> Option<&'static Map> {
    let head = &program.bytes[..program.bytes.len().min(identity::WITHIN + identity::SIZE)];
    identity::find(head)?.board.and_then(Map::named)
}

/// Checks that this can be the chip of the board that the program was built for.
fn suits(layout: &Layout, map: &Map, images: &[&Region]) -> Result<()> {
    let name = &images[0].name;
    if !layout.is_of(map) {
        let kb = (layout.end() - u64::from(layout.start())) >> 10;
        let cause = format!(
            "{name} was built for a {} with an {}, and the chip here is another one: it has {kb} KB of flash in {} \
             sectors",
            map.title,
            map.chip,
            layout.sectors().len()
        );
        let remedy =
            "build it for the board that is connected, with `pblink build stm32 --kind KIND`";
        return Err(Error::new(Kind::Image, cause, remedy));
    }
    let program = map.program();
    match images.iter().find(|image| image.end() > u64::from(program.end())) {
        None => Ok(()),
        Some(image) => {
            let cause = format!(
                "{} ({} bytes at {:#010x}) is too large for a {}: a program may have {} KB",
                image.name,
                image.bytes.len(),
                image.address,
                map.title,
                program.size >> 10
            );
            let remedy = "make it smaller; the flash behind it is for keys and settings";
            Err(Error::new(Kind::Image, cause, remedy))
        }
    }
}

/// Checks the vector table. A Cortex-M starts with the stack pointer and the address of the first
/// instruction (bit 0 set, for Thumb): if these make no sense, the image is for another chip or
/// another address.
fn vector_table(first: &Region, images: &[&Region], ram: Option<Area>) -> Result<()> {
    let refuse = |why: String| {
        let remedy =
            "check that it was built for the STM32 (`pblink build stm32`), and its address";
        Error::new(Kind::Image, format!("{} would not start: {why}", first.name), remedy)
    };
    if first.address != PROGRAM {
        return Err(refuse(format!(
            "it lies at {:#010x}, but the chip looks for the vector table at {PROGRAM:#010x}",
            first.address
        )));
    }
    let Some((&[s0, s1, s2, s3, r0, r1, r2, r3], _)) = first.bytes.split_first_chunk::<8>() else {
        return Err(refuse("it is shorter than a vector table".to_owned()));
    };
    let stack = u32::from_le_bytes([s0, s1, s2, s3]);
    let in_ram = match ram {
        Some(ram) => ram.start < stack && stack <= ram.end(),
        None => RAM.iter().any(|ram| ram.contains(&stack)),
    };
    if stack % 4 != 0 || !in_ram {
        return Err(refuse(format!("its stack pointer, {stack:#010x}, is not in RAM")));
    }
    let reset = u32::from_le_bytes([r0, r1, r2, r3]);
    let code = u64::from(reset & !1);
    let within = images.iter().any(|i| (u64::from(i.address)..i.end()).contains(&code));
    if reset % 2 == 0 || !within || code < u64::from(PROGRAM) + 8 {
        return Err(refuse(format!("its first instruction, {reset:#010x}, is not in it")));
    }
    Ok(())
}

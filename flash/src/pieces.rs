//! The pieces to write and their addresses, checked before anything is erased.

use crate::{Error, Kind, Region, Result};

/// The unit of erasing.
pub const SECTOR: u32 = 4096;

/// The unit in which work is repeated after an error, and the flash's larger unit of erasing.
pub const BLOCK: u32 = 65536;

/// Bytes that are written in one go.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The name by which the user knows it.
    pub name: String,
    /// At the beginning of a sector.
    pub address: u32,
    /// A multiple of 4.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Returns the addresses of its sectors: first one, and behind the last.
    pub fn sectors(&self) -> (u32, u32) {
        (self.address, self.address + (self.bytes.len() as u32).next_multiple_of(SECTOR))
    }

    /// Its parts in each block: offset and length. The parts of a piece can be written and repeated
    /// one by one.
    pub fn parts(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (address, length) = (self.address, self.bytes.len());
        let mut offset = 0;
        std::iter::from_fn(move || {
            if offset == length {
                return None;
            }
            let to_block = (BLOCK - (address + offset as u32) % BLOCK) as usize;
            let part = (offset, to_block.min(length - offset));
            offset += part.1;
            Some(part)
        })
    }
}

/// Returns the regions as pieces, in the order of their addresses. `flash_size`: of the board, in bytes; `None`: it is not
/// known yet, and may be the `largest`, of which the second part says what it is. `bytes` checks a region and returns what is
/// written of it.
///
/// # Errors
/// [`Kind::Image`]: one is empty, does not begin at a sector, overlaps another, or does not fit; those of `bytes`.
pub fn pieces(
    regions: &[Region],
    flash_size: Option<u32>,
    (largest, is): (u32, &str),
    mut bytes: impl FnMut(&Region) -> Result<Vec<u8>>,
) -> Result<Vec<Piece>> {
    let most = flash_size.unwrap_or(largest);
    let mut sorted: Vec<_> = regions.iter().collect();
    sorted.sort_by_key(|region| region.address);
    let mut pieces: Vec<Piece> = Vec::with_capacity(sorted.len());
    let mut end = 0;
    for region in sorted {
        let (name, address) = (&region.name, region.address);
        if region.bytes.is_empty() {
            return refuse(format!("{name} is empty"), "build it again, or leave it out");
        }
        if address % SECTOR != 0 {
            return refuse(
                format!("{name} at {address:#x} does not begin at a sector of flash"),
                "give it an address that is a multiple of 0x1000",
            );
        }
        let mut bytes = bytes(region)?;
        if region.end() > u64::from(most) {
            let (length, most) = (region.bytes.len(), size_text(most));
            let (place, remedy) = match flash_size {
                Some(_) => (
                    format!("the {most} of flash on this board"),
                    "take an image for this size of flash, or a board with more; nothing was erased",
                ),
                None => (
                    format!("{most}, {is}"),
                    "check the file, and the address behind the @; nothing was erased",
                ),
            };
            let cause =
                format!("{name} ({length} bytes at {address:#x}) does not fit into {place}");
            return refuse(cause, remedy);
        }
        if let Some(before) = pieces.last().filter(|_| u64::from(address) < end) {
            return refuse(
                format!("{} and {name} at {address:#x} overlap", before.name),
                "check the addresses behind the @; nothing was erased",
            );
        }
        end = region.end();
        // Flash is written in words; what is not written is 0xff.
        bytes.resize(bytes.len().next_multiple_of(4), 0xff);
        pieces.push(Piece { name: name.clone(), address, bytes });
    }
    Ok(pieces)
}

/// Returns the error of an image that must not be written.
pub fn refuse<T>(cause: String, remedy: &str) -> Result<T> {
    Err(Error::new(Kind::Image, cause, remedy))
}

/// Returns a size as on the label of a board.
pub fn size_text(size: u32) -> String {
    if size < 1 << 20 { format!("{} KB", size >> 10) } else { format!("{} MB", size >> 20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_at_blocks() {
        let piece =
            Piece { name: String::new(), address: 0xf000, bytes: vec![0; 0x1000 + 0x10000 + 8] };
        let parts: Vec<_> = piece.parts().collect();
        assert_eq!(parts, [(0, 0x1000), (0x1000, 0x10000), (0x11000, 8)]);
        assert_eq!(piece.sectors(), (0xf000, 0x21000));
    }
}

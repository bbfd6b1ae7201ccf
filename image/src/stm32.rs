//! The STM32's image: from an ELF file to what lies in flash.

use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Endianness, elf};

/// Bytes for flash, in one piece.
#[derive(Debug, PartialEq, Eq)]
pub struct Flash {
    /// Address of the first byte.
    pub address: u32,
    /// The bytes; gaps are 0xff, as erased flash is.
    pub bytes: Vec<u8>,
}

/// More than this between two segments is no gap but a mistake.
const MAX_IMAGE: u32 = 4 * 1024 * 1024;

/// Returns the bytes that must lie in flash before the program starts: the loadable segments, at their load
/// addresses.
///
/// # Errors
/// In words: it is not a whole 32-bit ELF file, or its segments do not make an image.
pub fn flash(file: &[u8]) -> Result<Flash, String> {
    let file: ElfFile32<'_, Endianness> =
        ElfFile32::parse(file).map_err(|e| format!("it is no 32-bit ELF file ({e})"))?;
    let endian = file.endian();
    let mut segments = Vec::new();
    for header in file.elf_program_headers() {
        if header.p_type(endian) == elf::PT_LOAD && header.p_filesz(endian) > 0 {
            let bytes = header.data(endian, file.data()).map_err(|()| "a segment is cut off")?;
            segments.push((header.p_paddr(endian), bytes));
        }
    }
    segments.sort_by_key(|(address, _)| *address);
    let (&(address, _), &(last, tail)) =
        segments.first().zip(segments.last()).ok_or("it has nothing to load")?;
    let length = (last - address).checked_add(tail.len() as u32);
    let length = length.filter(|n| *n <= MAX_IMAGE).ok_or("its segments are too far apart")?;
    let mut bytes = vec![0xff; length as usize];
    let mut free = 0;
    for (start, segment) in segments {
        let at = (start - address) as usize;
        if at < free {
            return Err(format!("two segments overlap at {start:#010x}"));
        }
        free = at + segment.len();
        let place = bytes.get_mut(at..free).ok_or("its segments overlap")?;
        place.copy_from_slice(segment);
    }
    Ok(Flash { address, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian ARM ELF of only these segments: load address, bytes.
    fn elf(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let half = |out: &mut Vec<u8>, n: u16| out.extend(n.to_le_bytes());
        let word = |out: &mut Vec<u8>, n: u32| out.extend(n.to_le_bytes());
        half(&mut out, 2); // executable
        half(&mut out, 40); // ARM
        for n in [1, 0, 52, 0, 0] {
            word(&mut out, n); // version, entry, program headers, section headers, flags
        }
        for n in [52, 32, segments.len() as u16, 40, 0, 0] {
            half(&mut out, n);
        }
        let mut offset = 52 + 32 * segments.len() as u32;
        for (address, bytes) in segments {
            let size = bytes.len() as u32;
            for n in [1, offset, 0x2000_0000, *address, size, size, 5, 4] {
                word(&mut out, n);
            }
            offset += size;
        }
        segments.iter().for_each(|(_, bytes)| out.extend(*bytes));
        out
    }

    #[test]
    fn segments_lie_at_their_load_addresses_with_erased_gaps() {
        let flash = flash(&elf(&[(0x0800_0008, b"data"), (0x0800_0000, b"code.."), (0, b"")]));
        let expected = Flash { address: 0x0800_0000, bytes: b"code..\xff\xffdata".to_vec() };
        assert_eq!(flash.unwrap(), expected);
    }

    #[test]
    fn what_is_no_firmware_is_refused() {
        assert!(flash(b"no ELF").unwrap_err().contains("no 32-bit ELF"));
        assert!(flash(&elf(&[])).unwrap_err().contains("nothing to load"));
        let overlap = elf(&[(0x0800_0000, b"code"), (0x0800_0002, b"data")]);
        assert!(flash(&overlap).unwrap_err().contains("overlap"));
        let again = vec![(0x0800_0000, &b"code"[..]); 60_000];
        assert!(flash(&elf(&again)).unwrap_err().contains("overlap"), "nothing is copied before");
        let far = elf(&[(0x0800_0000, b"code"), (0x2000_0000, b"data")]);
        assert!(flash(&far).unwrap_err().contains("too far apart"));
        let whole = elf(&[(0x0800_0000, b"code")]);
        assert!(flash(&whole[..whole.len() - 1]).unwrap_err().contains("cut off"));
    }
}

//! The little of ELF that an image needs: its loadable segments, by physical address.

/// Bytes and where they go.
pub struct Segment {
    /// The physical address: flash, also for what is copied to RAM at start.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

fn word(elf: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?))
}

fn half(elf: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?)))
}

/// Returns the segments of a 32-bit little-endian ARM executable; `None` if it is not one.
pub fn segments(elf: &[u8]) -> Option<Vec<Segment>> {
    const LOAD: u32 = 1;
    const ARM: usize = 40;
    if elf.get(..6)? != b"\x7fELF\x01\x01" || half(elf, 18)? != ARM {
        return None;
    }
    let (table, size, count) = (word(elf, 28)? as usize, half(elf, 42)?, half(elf, 44)?);
    let mut segments = Vec::new();
    for at in (0..count).map(|n| table + n * size) {
        let (offset, len) = (word(elf, at + 4)? as usize, word(elf, at + 16)? as usize);
        if word(elf, at)? == LOAD && len > 0 {
            let bytes = elf.get(offset..offset + len)?.to_vec();
            segments.push(Segment { address: word(elf, at + 12)?, bytes });
        }
    }
    Some(segments)
}

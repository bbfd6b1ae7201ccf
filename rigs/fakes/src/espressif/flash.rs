//! Flash memory: erasing sets all bits of a sector, writing only clears bits.

/// The unit of erasing.
pub const SECTOR: usize = 4096;

/// A flash chip.
#[derive(Debug)]
pub struct Flash {
    bytes: Vec<u8>,
    /// Bits that stay 0 whatever is done: a worn-out place.
    worn: Option<(usize, u8)>,
    erased: Vec<u32>,
}

impl Flash {
    /// Makes a chip with an old program and old files all over it: what is not erased shows.
    pub fn used(size: usize) -> Self {
        let bytes = (0..size).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8).collect();
        Self { bytes, worn: None, erased: vec![0; size / SECTOR] }
    }

    /// Returns all of its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the number of erasures of each sector.
    pub fn erased(&self) -> &[u32] {
        &self.erased
    }

    /// From now on, these bits of a byte are 0.
    pub fn wear_out(&mut self, address: usize, bits: u8) {
        self.worn = Some((address, bits));
        self.bytes[address] &= !bits;
    }

    /// Returns its JEDEC id: a Winbond of its size.
    pub fn id(&self) -> u32 {
        0x0000_40ef | self.bytes.len().ilog2() << 16
    }

    /// Erases whole sectors; false if they are not all there.
    pub fn erase(&mut self, address: usize, length: usize) -> bool {
        let end = (address + length).next_multiple_of(SECTOR);
        let begin = address / SECTOR * SECTOR;
        let Some(sectors) = self.bytes.get_mut(begin..end) else { return false };
        sectors.fill(0xff);
        self.erased[begin / SECTOR..end / SECTOR].iter_mut().for_each(|count| *count += 1);
        self.apply_wear();
        true
    }

    /// Writes; false if it does not fit.
    pub fn program(&mut self, address: usize, data: &[u8]) -> bool {
        let Some(cells) = self.bytes.get_mut(address..address + data.len()) else { return false };
        cells.iter_mut().zip(data).for_each(|(cell, byte)| *cell &= byte);
        self.apply_wear();
        true
    }

    fn apply_wear(&mut self) {
        if let Some((address, bits)) = self.worn {
            self.bytes[address] &= !bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_flash_and_not_ram() {
        let mut flash = Flash::used(1 << 16);
        assert!(flash.erase(0x1000, 1) && flash.program(0x1000, &[0x0f]));
        assert!(flash.program(0x1000, &[0xf3]));
        assert_eq!(flash.bytes()[0x1000], 0x03, "bits are cleared, never set");
        assert!(flash.bytes()[0x1001..0x2000].iter().all(|&byte| byte == 0xff));
        assert_ne!(flash.bytes()[0x2000..0x3000], [0xff; SECTOR], "the next sector is left alone");
        assert!(!flash.erase(0xf000, 0x2000) && !flash.program(0xffff, &[0, 0]));
        assert_eq!(flash.id(), 0x0010_40ef);
    }
}

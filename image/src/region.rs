//! Bytes with an address.

use std::fmt;

/// Bytes and where they belong in flash.
#[derive(Clone, PartialEq, Eq)]
pub struct Region {
    /// The name by which the user knows it: a file name.
    pub name: String,
    /// Address of the first byte: an offset in the ESP8266's flash, an address of the STM32's memory map.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Region {
    /// Without the bytes: there may be a password in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({} at {:#x}, {} bytes)", self.name, self.address, self.bytes.len())
    }
}

impl Region {
    /// The first address behind it; as `u64`, since it may be the end of the address space.
    pub fn end(&self) -> u64 {
        u64::from(self.address) + self.bytes.len() as u64
    }
}

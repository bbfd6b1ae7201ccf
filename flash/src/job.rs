//! Words for what is done to a coprocessor's flash, and for what was done.

/// The way in which the chip gets into its loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Before {
    /// The wires DTR and RTS of the adapter, or of the chip's own USB, do it, as on most boards.
    #[default]
    DefaultReset,
    /// It is there already, or the user brings it there by hand.
    NoReset,
}

/// The part of the flash that is erased before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Erase {
    /// All of the flash: no old file system and no old password stays.
    #[default]
    All,
    /// The sectors that are written; the rest keeps what it has.
    Needed,
}

/// The check that a region has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Every byte is as it should be.
    Fully,
    /// The samples are.
    Sampled,
    /// None: no byte was compared.
    No,
}

/// A region after flashing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flashed {
    /// Its name.
    pub name: String,
    /// Its address in flash.
    pub address: u32,
    /// Its length in bytes, padded to words.
    pub length: u32,
    /// False: it was there already.
    pub written: bool,
    /// The check that it has passed.
    pub verified: Verified,
}

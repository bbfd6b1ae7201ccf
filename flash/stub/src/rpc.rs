//! Messages between the emulator's stand-in for the chip's ROM and the test that runs it.
//!
//! The core asks: number (1), two arguments (4 each), length (4), bytes. The test answers: status (4, 0
//! for success), length (4), bytes. All little-endian. They are two pipes in the emulator's working
//! folder, [`TO_TEST`] and [`TO_BOARD`].

/// The pipe with questions.
pub const TO_TEST: &str = "to-test";

/// The pipe with answers.
pub const TO_BOARD: &str = "to-board";

/// Bytes of a question before its own ones.
pub const QUESTION: usize = 13;

/// Bytes of an answer before its own ones.
pub const ANSWER: usize = 8;

/// The most bytes that a question or answer carries.
pub const MOST: usize = 0x8000;

/// Questions, and their arguments.
pub mod ask {
    /// A segment of the program to load: answered with address (4) and bytes. When there are no more:
    /// status 1, and the address to start at.
    pub const SEGMENT: u8 = 1;
    /// Bytes that have come over the serial line; waits for them.
    pub const RECEIVE: u8 = 2;
    /// Bytes that go out over the serial line.
    pub const SEND: u8 = 3;
    /// The divider of the serial line's clock is changed: divider.
    pub const DIVIDER: u8 = 4;
    /// `SelectSpiFunction`, `spi_flash_attach`.
    pub const ATTACH: u8 = 5;
    /// `SPIParamCfg`: six words.
    pub const PARAMETERS: u8 = 6;
    /// `SPIUnlock`.
    pub const UNLOCK: u8 = 7;
    /// `SPIRead`: address, length.
    pub const READ: u8 = 8;
    /// `SPIWrite`: address; the bytes.
    pub const WRITE: u8 = 9;
    /// `SPIEraseSector`: number.
    pub const ERASE_SECTOR: u8 = 10;
    /// `SPIEraseBlock`: number.
    pub const ERASE_BLOCK: u8 = 11;
    /// `SPIEraseChip`.
    pub const ERASE_CHIP: u8 = 12;
    /// `ets_delay_us`: microseconds.
    pub const DELAY: u8 = 13;
    /// `software_reset`; the core ends.
    pub const RESET: u8 = 14;
    /// The program has gone on to the one in flash; the core ends.
    pub const USER_CODE: u8 = 15;
    /// Something that no chip would have got over: a text. The core ends.
    pub const CRASH: u8 = 16;
    /// `ets_isr_mask`: the mask.
    pub const MASK: u8 = 17;
    /// `ets_set_user_start`: the address.
    pub const USER_START: u8 = 18;
}

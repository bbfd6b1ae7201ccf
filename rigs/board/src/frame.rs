//! Frames between an emulated board and its harness, on one stream.
//!
//! A frame is a kind (one byte), a length (two bytes, little-endian), and that many bytes.
//!
//! To the coprocessor, at most [`CHUNK`] bytes are on their way, and the next only when it has taken these
//! ([`MORE`](from_board::MORE)). QEMU fills the input of the lx106's console (16 bytes) from one thread
//! and empties it from another, without a lock; and it may fill in only as much as there was room for some
//! time ago. Half of the 16 bytes always fit, so a chunk is never split, and the two threads never meet.
//! The UART of the RV32 machine has 16 bytes, too. The STM32's USART needs nothing of the kind.
//!
//! The coprocessor numbers its connections: what belongs to a number that is not the present one is old, and
//! ignored. It numbers its transfers likewise, and the STM32 what it arms.

/// The longest content of a frame.
pub const MAX: usize = 600;

/// Length of kind and length.
pub const HEADER: usize = 3;

/// Length of the flash sector of the STM32's keys: two records, one of which may be added.
pub const SECTOR: usize = 512;

/// The most bytes that are on their way to the coprocessor.
pub const CHUNK: usize = 8;

/// Kinds that a board sends.
pub mod from_board {
    /// The program has started. Answered by [`SYN`](super::to_board::SYN) to the coprocessor, by
    /// [`START`](super::to_board::START) to the STM32.
    pub const BOOT: u8 = b'B';
    /// A line for the console.
    pub const LOG: u8 = b'L';
    /// The answer to a [`CASE`](super::to_board::CASE).
    pub const ANSWER: u8 = b'V';

    // The coprocessor's wires.

    /// The level of `ack`: one byte.
    pub const ACK: u8 = b'A';
    /// I2C read: number, address, length. Answered by [`I2C`](super::to_board::I2C).
    pub const READ: u8 = b'R';
    /// I2C write: number, address, bytes. Answered by [`I2C`](super::to_board::I2C).
    pub const WRITE: u8 = b'W';
    /// The last bytes, at most [`CHUNK`](super::CHUNK), were read: the next may come.
    pub const MORE: u8 = b'M';

    // The coprocessor's network.

    /// Join the network: empty for the remembered one, else SSID, 0, password.
    pub const JOIN: u8 = b'J';
    /// Leave the network.
    pub const LEAVE: u8 = b'G';
    /// Connect: number, port (two bytes, little-endian), server.
    pub const CONNECT: u8 = b'C';
    /// A datagram to the group of multicast DNS.
    pub const ASK: u8 = b'U';
    /// Close the connection: number.
    pub const CLOSE: u8 = b'X';
    /// Bytes to send: number, bytes. Answered by [`SENT`](super::to_board::SENT).
    pub const SEND: u8 = b'T';
    /// The [`RECEIVED`](super::to_board::RECEIVED) bytes were taken, the next may come: number.
    pub const TAKEN: u8 = b'K';

    // The STM32's wires.

    /// The level of `syn`: one byte.
    pub const SYN: u8 = b'Y';
    /// The state of the reset wire: one byte, 1 for active.
    pub const RESET: u8 = b'Z';
    /// The slave is ready to be read: number, bytes. Answered by
    /// [`TRANSFER`](super::to_board::TRANSFER) when it was.
    pub const ARM_TX: u8 = b'P';
    /// The slave is ready to be written to: number, length. Answered by
    /// [`TRANSFER`](super::to_board::TRANSFER) when it was.
    pub const ARM_RX: u8 = b'Q';
    /// The slave is not ready any more.
    pub const DISARM: u8 = b'D';

    // The STM32's test program.

    /// Another [numbered line](crate::numbered) was queued: how many by now (four bytes,
    /// little-endian).
    pub const WROTE: u8 = b'N';
    /// A piece of a received line; more follows.
    pub const PART: u8 = b'p';
    /// The last piece of a received line.
    pub const LINE: u8 = b'E';
    /// A hook was called: one of [`hook`](super::hook), and what it was given.
    pub const HOOK: u8 = b'H';
    /// A word of the flash sector of the keys was programmed: its offset (two bytes) and what it was given (four bytes, both
    /// little-endian). The harness keeps the sector, for the next start.
    pub const PROGRAM: u8 = b'F';
}

/// Kinds that the harness sends.
pub mod to_board {
    /// A question, for images with the feature `vectors`: which, and its bytes. Answered by
    /// [`ANSWER`](super::from_board::ANSWER).
    pub const CASE: u8 = b'v';

    // The coprocessor's wires.

    /// The level of `syn`: one byte.
    pub const SYN: u8 = b'y';
    /// Answer to a transfer: number, [`OK`](super::OK) and the bytes that were read, or another
    /// status.
    pub const I2C: u8 = b'i';

    // The coprocessor's network.

    /// The state of the network: one byte, 1 if there is one.
    pub const WIFI: u8 = b'n';
    /// Connected: number.
    pub const CONNECTED: u8 = b'c';
    /// Could not connect: number.
    pub const FAILED: u8 = b'f';
    /// Closed by the other end: number.
    pub const CLOSED: u8 = b'x';
    /// The bytes were taken: number.
    pub const SENT: u8 = b't';
    /// Received bytes: number, bytes.
    pub const RECEIVED: u8 = b'd';

    // The STM32's wires.

    /// The level of `ack`: one byte.
    pub const ACK: u8 = b'a';
    /// A transfer is over: number, [`OK`](super::OK) and the bytes that were written, or another
    /// status.
    pub const TRANSFER: u8 = b'r';

    // The STM32's test program.

    /// Begin: the level of `ack`, whether reports go on to the server (a byte each), how many numbered
    /// lines were written before the power was lost (four bytes, little-endian), the configuration
    /// line.
    pub const START: u8 = b's';
    /// Before [`START`], for a board with keys: 48 bytes of noise, as from its random number generator, and the flash sector of its
    /// keys ([`SECTOR`](super::SECTOR) bytes).
    pub const KEYS: u8 = b'k';
    /// Write numbered lines until their number is this (four bytes, little-endian).
    pub const GRANT: u8 = b'g';
}

/// The STM32's hooks, in a [`HOOK`](from_board::HOOK) frame.
pub mod hook {
    /// The coprocessor has no WiFi.
    pub const BAD_WIFI: u8 = b'w';
    /// The first server connect failed.
    pub const BAD_SERVER: u8 = b's';
    /// A report: connects, number, free memory (four bytes each, little-endian).
    pub const REPORT: u8 = b'r';
    /// The server is up or not: one byte.
    pub const SERVER: u8 = b'u';
    /// The coprocessor is being reset: why, as text.
    pub const RESET: u8 = b'z';
    /// A line was dropped: why, as text.
    pub const DROPPED: u8 = b'd';
}

/// Status of a transfer: done.
pub const OK: u8 = 0;
/// Status of a transfer: no device has this address.
pub const NO_ADDRESS: u8 = 1;
/// Status of a transfer: it broke.
pub const BROKEN: u8 = 2;

/// Kind and length of a frame.
///
/// # Panics
/// If `len` is more than [`MAX`].
pub fn header(kind: u8, len: usize) -> [u8; HEADER] {
    assert!(len <= MAX, "a frame is too long");
    let [low, high] = (len as u16).to_le_bytes();
    [kind, low, high]
}

/// A frame's kind, its content, and how many bytes it takes.
pub type First<'a> = (u8, &'a [u8], usize);

/// Splits the first frame off, if it is complete.
///
/// # Errors
/// If it is longer than [`MAX`]: the two sides have lost step.
pub fn first(bytes: &[u8]) -> Result<Option<First<'_>>, OutOfStep> {
    let Some((&[kind, low, high], rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let len = usize::from(u16::from_le_bytes([low, high]));
    if len > MAX {
        return Err(OutOfStep);
    }
    Ok(rest.get(..len).map(|content| (kind, content, HEADER + len)))
}

/// A length that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfStep;

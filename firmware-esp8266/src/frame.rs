//! What passes between the emulator board and its harness: frames on one stream.
//!
//! A frame is a kind (one byte), a length (two bytes, little-endian), and so many bytes. The harness
//! uses this module too, so the two cannot disagree.
//!
//! QEMU fills the console's input of 16 bytes from one thread and empties it from another, without a
//! lock. So at most [`CHUNK`] bytes are on their way to the board, and the next only when it has taken
//! these ([`MORE`](from_board::MORE)): the two threads then never meet.
//!
//! Connections are numbered by the board: what belongs to a number that is not the present one is
//! old, and ignored. Transfers are numbered likewise.

/// The longest content of a frame.
pub const MAX: usize = 600;

/// Length of kind and length.
pub const HEADER: usize = 3;

/// The most bytes that are on their way to the board.
pub const CHUNK: usize = 16;

/// Kinds that the board sends.
pub mod from_board {
    /// The program has started. Answered by [`SYN`](super::to_board::SYN).
    pub const BOOT: u8 = b'B';
    /// The level of `ack`: one byte.
    pub const ACK: u8 = b'A';
    /// I2C read: number, address, length. Answered by [`I2C`](super::to_board::I2C).
    pub const READ: u8 = b'R';
    /// I2C write: number, address, bytes. Answered by [`I2C`](super::to_board::I2C).
    pub const WRITE: u8 = b'W';
    /// Join the network: empty for the remembered one, else SSID, 0, password.
    pub const JOIN: u8 = b'J';
    /// Connect: number, port (two bytes, little-endian), server.
    pub const CONNECT: u8 = b'C';
    /// Close the connection: number.
    pub const CLOSE: u8 = b'X';
    /// Bytes to send: number, bytes. Answered by [`SENT`](super::to_board::SENT).
    pub const SEND: u8 = b'T';
    /// The [`RECEIVED`](super::to_board::RECEIVED) bytes were taken, the next may come: number.
    pub const TAKEN: u8 = b'K';
    /// The last bytes, at most [`CHUNK`](super::CHUNK), were read: the next may come.
    pub const MORE: u8 = b'M';
    /// The answer to a [`CASE`](super::to_board::CASE).
    pub const ANSWER: u8 = b'V';
    /// A line for the console.
    pub const LOG: u8 = b'L';
}

/// Kinds that the harness sends.
pub mod to_board {
    /// The level of `syn`: one byte.
    pub const SYN: u8 = b'y';
    /// Answer to a transfer: number, [`OK`](super::OK) and the bytes that were read, or another
    /// status.
    pub const I2C: u8 = b'i';
    /// Whether there is a network: one byte.
    pub const WIFI: u8 = b'n';
    /// Connected: number.
    pub const CONNECTED: u8 = b'c';
    /// Could not connect: number.
    pub const FAILED: u8 = b'f';
    /// Closed by the other end: number.
    pub const CLOSED: u8 = b'x';
    /// The bytes were taken: number.
    pub const SENT: u8 = b't';
    /// A question, for images with the feature `vectors`: which, and its bytes.
    pub const CASE: u8 = b'v';
    /// Received bytes: number, bytes.
    pub const RECEIVED: u8 = b'd';
}

/// Status of a transfer: done.
pub const OK: u8 = 0;
/// Status of a transfer: nobody at this address.
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

//! The lines on the carrier.
//!
//! A packet is one classic line without qos: `~`, a letter, and its bytes as base64url without padding (RFC 4648 §5). So it
//! passes any ESP8266, the published one included, as a line that its program knows nothing of.
//!
//! | line | from | characters | bytes |
//! |---|---|---|---|
//! | `~q` | board | 13 | 8 random ones: "a challenge, please" |
//! | `~c` | server | 24 | a challenge of 16 |
//! | `~h` | board | 96 | version 1 ‖ key number 1 ‖ generation 4 ‖ message 48 ‖ mac 16 |
//! | `~r` | server | 78 | key number 1 ‖ message 56 |
//! | `~t` | both | at most 196, 172 | key number 1 ‖ counter 3 ‖ frames with their tag of 16 |
//!
//! Numbers are big-endian.

use base64ct::{Base64UrlUnpadded, Encoding};

/// The version that a [`Hello`] of this program has.
pub const VERSION: u8 = 1;

/// The longest packet from a board, in characters. The published boards and ESP8266 take lines of 198.
pub const MAX_UP: usize = 196;

/// The longest packet to a board, in characters. The published ESP8266 sends a report or a keepalive in the same
/// payload, which holds 200.
pub const MAX_DOWN: usize = 172;

/// Bytes of the tag behind what is sealed.
pub const TAG: usize = 16;

/// The greatest counter of a sealed packet. Keys are replaced long before.
pub const MAX_COUNTER: u32 = 0xff_ffff;

/// Key number and counter.
const HEAD: usize = 4;

/// Returns the bytes of frames for which a sealed packet of this many characters has room: 0, too, for a line that is
/// shorter than any such packet. `characters`: at most a few hundred, as long as lines are.
pub const fn room(characters: usize) -> usize {
    (characters.saturating_sub(2) * 3 / 4).saturating_sub(HEAD + TAG)
}

/// Bytes of frames in the longest packet.
pub const MAX_FRAMES: usize = room(MAX_UP);

/// The longest packet, as bytes.
pub const MAX_BYTES: usize = HEAD + MAX_FRAMES + TAG;

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packet<'a> {
    /// The board asks for a challenge. The bytes are random, so that no two lines are the same.
    Ask([u8; 8]),
    /// The server's challenge, which serves one [`Hello`].
    Challenge([u8; 16]),
    /// The board's half of a handshake.
    Hello(Hello),
    /// The server's half of a handshake.
    Reply {
        /// The number of the key, from the hello.
        key: u8,
        /// The second message of the handshake.
        message: [u8; 56],
    },
    /// Frames under a key.
    Sealed {
        /// The number of the key, from the hello.
        key: u8,
        /// A receiver takes greater ones only. At most [`MAX_COUNTER`].
        counter: u32,
        /// The frames, and the tag.
        sealed: &'a [u8],
    },
}

/// The board's half of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hello {
    /// Of the protocol: [`VERSION`].
    pub version: u8,
    /// A number that the board gives to the key which this handshake makes: it tells keys of two handshakes apart.
    pub key: u8,
    /// The generation of the board's keys.
    pub generation: u32,
    /// The first message of the handshake.
    pub message: [u8; 48],
    /// Authenticates what is before it, and the challenge: see [`covered`](Self::covered).
    pub mac: [u8; 16],
}

impl Hello {
    const BYTES: usize = Self::COVERED + 16;
    const COVERED: usize = 1 + 1 + 4 + 48;

    /// Returns the bytes that [`mac`](Self::mac) covers, behind those of the challenge.
    pub fn covered(&self) -> [u8; Self::COVERED] {
        let mut bytes = [0; Self::COVERED];
        bytes[0] = self.version;
        bytes[1] = self.key;
        bytes[2..6].copy_from_slice(&self.generation.to_be_bytes());
        bytes[6..].copy_from_slice(&self.message);
        bytes
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let [version, key, a, b, c, d, ..] = *bytes;
        let (mut message, mut mac) = ([0; 48], [0; 16]);
        message.copy_from_slice(&bytes[6..Self::COVERED]);
        mac.copy_from_slice(&bytes[Self::COVERED..]);
        Self { version, key, generation: u32::from_be_bytes([a, b, c, d]), message, mac }
    }
}

/// Reason why a line is no packet. Nothing follows from it: old lines, and those of strangers, are passed over and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoPacket {
    /// It is an application's line: it does not begin with `~`.
    Plain,
    /// It is of a kind that this version does not know.
    Unknown,
    /// It is not as long as one of its kind, or no base64url.
    Malformed,
}

impl<'a> Packet<'a> {
    /// Reads a line, without its `\n`. Its bytes go into `buffer`.
    ///
    /// # Errors
    /// See [`NoPacket`].
    pub fn decode(line: &str, buffer: &'a mut [u8; MAX_BYTES]) -> Result<Self, NoPacket> {
        let (letter, text) = match *line.as_bytes() {
            [b'~', letter, ref text @ ..] => (letter, text),
            [b'~'] => return Err(NoPacket::Unknown),
            _ => return Err(NoPacket::Plain),
        };
        if !matches!(letter, b'q' | b'c' | b'h' | b'r' | b't') {
            return Err(NoPacket::Unknown);
        }
        // Fails if it is longer than the buffer, too.
        let bytes = Base64UrlUnpadded::decode(text, buffer).map_err(|_| NoPacket::Malformed)?;
        let packet = match letter {
            b'q' => bytes.try_into().ok().map(Self::Ask),
            b'c' => bytes.try_into().ok().map(Self::Challenge),
            b'h' => bytes.try_into().ok().map(|bytes| Self::Hello(Hello::decode(bytes))),
            b'r' => bytes.split_first().and_then(|(&key, message)| {
                Some(Self::Reply { key, message: message.try_into().ok()? })
            }),
            _ => match *bytes {
                [key, a, b, c, ref sealed @ ..] if sealed.len() >= TAG => {
                    Some(Self::Sealed { key, counter: u32::from_be_bytes([0, a, b, c]), sealed })
                }
                _ => None,
            },
        };
        packet.ok_or(NoPacket::Malformed)
    }

    /// Writes the line into `out`, without a `\n`. `None` if it is longer than `out`, its counter is greater than
    /// [`MAX_COUNTER`], or what is sealed is shorter than its [`TAG`]; [`MAX_UP`] characters are enough for what has been [sealed](Self::Sealed) of at most
    /// [`MAX_FRAMES`] bytes.
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Option<&'o str> {
        let mut bytes = [0; MAX_BYTES];
        let (letter, len) = match *self {
            Self::Ask(random) => (b'q', put(&mut bytes, &[&random])?),
            Self::Challenge(challenge) => (b'c', put(&mut bytes, &[&challenge])?),
            Self::Hello(hello) => (b'h', put(&mut bytes, &[&hello.covered(), &hello.mac])?),
            Self::Reply { key, message } => (b'r', put(&mut bytes, &[&[key], &message])?),
            Self::Sealed { sealed, .. } if sealed.len() < TAG => return None,
            Self::Sealed { key, counter, sealed } => {
                let [0, a, b, c] = counter.to_be_bytes() else { return None };
                (b't', put(&mut bytes, &[&[key, a, b, c], sealed])?)
            }
        };
        let (head, text) = out.split_first_chunk_mut::<2>()?;
        *head = [b'~', letter];
        let len = Base64UrlUnpadded::encode(&bytes[..len], text).ok()?.len();
        core::str::from_utf8(&out[..2 + len]).ok()
    }
}

/// Puts parts one behind the other, and returns their length.
fn put(out: &mut [u8], parts: &[&[u8]]) -> Option<usize> {
    let mut len = 0;
    for part in parts {
        out.get_mut(len..len + part.len())?.copy_from_slice(part);
        len += part.len();
    }
    Some(len)
}

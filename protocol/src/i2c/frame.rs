//! The lines that STM32 and ESP8266 say to each other in the payloads of their exchanges.
//!
//! Each begins with a header of one byte and ends with `\n`:
//!
//! | STM32 → ESP8266 | [`HostFrame`] |
//! |---|---|
//! | `["1\n",8123,…]` | the configuration, first after every reset |
//! | `0x30 + (qos << 1 \| wait)`, text | a line for the server, to be [delivered](Delivery) like this |
//!
//! | ESP8266 → STM32 | [`CoprocessorFrame`] |
//! |---|---|
//! | `n` text | a line from the server |
//! | `u`, `d` | the server is up, down |
//! | `b` | the network could not be joined within 20 s |
//! | `s` | the server could not be reached at first, or did not answer |
//! | `r[connects, number, mem_free]` | a report |
//! | `k` sum | keepalive, every 2 s: the program runs; the first has the check sum of the configuration |
//!
//! A frame is a representation that borrows its text. `parse` makes one from a line; `emit` writes
//! its line. The headers are types of their own, since a receiver decides by the first byte whether it
//! can take a line of which the rest has not come yet.

use core::fmt;

use crate::delivery::Delivery;
use crate::hex;
use crate::json::Writer;
use crate::report::Report;

/// The byte that ends a frame. It is not part of the line that `parse` takes.
pub const END: u8 = b'\n';

/// The longest frame of the ESP8266 that is not a line of the server, in bytes: a report.
pub const MAX_SIGNAL: usize = "r[, , ]\n".len() + 3 * 10;

/// The reason why a line is not a frame. Only a foreign board, or a garbled bus, sends such lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameError {
    /// The line is empty.
    Empty,
    /// The first byte is not a header, or what follows it is not what it announces.
    UnknownHeader(u8),
    /// A line for the server has no text.
    NoText,
    /// The text is not UTF-8.
    NotUtf8,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the line is empty"),
            Self::UnknownHeader(header) => write!(f, "unknown header 0x{header:02x}"),
            Self::NoText => f.write_str("a line without text"),
            Self::NotUtf8 => f.write_str("the text is not UTF-8"),
        }
    }
}

impl core::error::Error for FrameError {}

/// The first byte of a line from the STM32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostHeader {
    /// The `[` of the configuration.
    Config,
    /// A line for the server, to be delivered like this.
    Line(Delivery),
}

impl HostHeader {
    /// Reads the byte. Returns `None` if it is not a header.
    pub const fn parse(byte: u8) -> Option<Self> {
        match byte {
            b'[' => Some(Self::Config),
            b'0'..=b'3' => Some(Self::Line(Delivery::from_bits(byte))),
            _ => None,
        }
    }

    /// Returns the byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Config => b'[',
            Self::Line(delivery) => b'0' + delivery.to_bits(),
        }
    }
}

/// A line from the STM32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostFrame<'a> {
    /// The configuration: all of the line, with its `[`, as [`Config`](crate::config::Config) writes
    /// and reads it.
    Config(&'a [u8]),
    /// A line for the server.
    Line {
        /// Its guarantee.
        delivery: Delivery,
        /// Its text, which is not empty.
        text: &'a str,
    },
}

impl<'a> HostFrame<'a> {
    /// Reads a line, without its `\n`.
    ///
    /// # Errors
    /// See [`FrameError`]. The elements of a configuration are not checked.
    pub fn parse(line: &'a [u8]) -> Result<Self, FrameError> {
        let (&header, text) = line.split_first().ok_or(FrameError::Empty)?;
        match HostHeader::parse(header).ok_or(FrameError::UnknownHeader(header))? {
            HostHeader::Config => Ok(Self::Config(line)),
            HostHeader::Line(_) if text.is_empty() => Err(FrameError::NoText),
            HostHeader::Line(delivery) => Ok(Self::Line { delivery, text: utf8(text)? }),
        }
    }

    /// Returns the length of the line in bytes, with its `\n`.
    pub fn buffer_len(&self) -> usize {
        self.emit(&mut [])
    }

    /// Writes the line, with its `\n`, into `out`, and returns its length. Of a line that does not fit,
    /// only some parts are written.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        match self {
            Self::Config(line) => join(out, [&[], line]),
            Self::Line { delivery, text } => {
                join(out, [&[HostHeader::Line(*delivery).byte()], text.as_bytes()])
            }
        }
    }
}

/// The first byte of a line from the ESP8266.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CoprocessorHeader {
    /// A line from the server.
    Line = b'n',
    /// The server is up.
    ServerUp = b'u',
    /// The server is down.
    ServerDown = b'd',
    /// The network could not be joined.
    BadWifi = b'b',
    /// The server could not be reached.
    BadServer = b's',
    /// A report.
    Report = b'r',
    /// A keepalive.
    Keepalive = b'k',
}

impl CoprocessorHeader {
    /// Reads the byte. Returns `None` if it is not a header.
    pub const fn parse(byte: u8) -> Option<Self> {
        Some(match byte {
            b'n' => Self::Line,
            b'u' => Self::ServerUp,
            b'd' => Self::ServerDown,
            b'b' => Self::BadWifi,
            b's' => Self::BadServer,
            b'r' => Self::Report,
            b'k' => Self::Keepalive,
            _ => return None,
        })
    }

    /// Returns the byte.
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

/// A line from the ESP8266.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoprocessorFrame<'a> {
    /// A line from the server.
    Line(&'a str),
    /// The server is up, or down.
    Server(bool),
    /// The network could not be joined within 20 s. A published ESP8266 halts.
    BadWifi,
    /// The server could not be reached at first, or did not answer. A published ESP8266 halts.
    BadServer,
    /// A report of the ESP8266 about itself.
    Report(Report),
    /// The program runs. The first one behind a configuration has the [check sum](check_sum) of that as it has come; a published
    /// ESP8266 says none.
    Keepalive(Option<u16>),
}

impl<'a> CoprocessorFrame<'a> {
    /// Reads a line, without its `\n`. What follows the header of a signal without content is ignored,
    /// as a published STM32 does.
    ///
    /// # Errors
    /// See [`FrameError`]; never [`NoText`](FrameError::NoText).
    pub fn parse(line: &'a [u8]) -> Result<Self, FrameError> {
        let (&header, text) = line.split_first().ok_or(FrameError::Empty)?;
        let unknown = FrameError::UnknownHeader(header);
        Ok(match CoprocessorHeader::parse(header).ok_or(unknown)? {
            CoprocessorHeader::Line => Self::Line(utf8(text)?),
            CoprocessorHeader::ServerUp => Self::Server(true),
            CoprocessorHeader::ServerDown => Self::Server(false),
            CoprocessorHeader::BadWifi => Self::BadWifi,
            CoprocessorHeader::BadServer => Self::BadServer,
            CoprocessorHeader::Report => Self::Report(Report::decode(text).ok_or(unknown)?),
            CoprocessorHeader::Keepalive => Self::Keepalive(read_sum(text)),
        })
    }

    /// Returns the header.
    pub const fn header(&self) -> CoprocessorHeader {
        match self {
            Self::Line(_) => CoprocessorHeader::Line,
            Self::Server(true) => CoprocessorHeader::ServerUp,
            Self::Server(false) => CoprocessorHeader::ServerDown,
            Self::BadWifi => CoprocessorHeader::BadWifi,
            Self::BadServer => CoprocessorHeader::BadServer,
            Self::Report(_) => CoprocessorHeader::Report,
            Self::Keepalive(_) => CoprocessorHeader::Keepalive,
        }
    }

    /// Returns the length of the line in bytes, with its `\n`.
    pub fn buffer_len(&self) -> usize {
        self.emit(&mut [])
    }

    /// Writes the line, with its `\n`, into `out`, and returns its length. Of a line that does not fit,
    /// only some parts are written.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let header = [self.header().byte()];
        match self {
            Self::Line(text) => join(out, [&header, text.as_bytes()]),
            Self::Report(report) => {
                let (first, list) = out.split_at_mut(out.len().min(header.len()));
                first.copy_from_slice(&header[..first.len()]);
                // With blanks, as the reference's `ujson.dumps` has them.
                let mut list = Writer::spaced(list);
                list.number(report.connects);
                list.number(report.number);
                list.number(report.mem_free);
                header.len() + list.close()
            }
            Self::Keepalive(Some(sum)) => {
                let [[a, b], [c, d]] = sum.to_be_bytes().map(hex::digits);
                join(out, [&header, &[a, b, c, d]])
            }
            _ => join(out, [&header, &[]]),
        }
    }
}

/// Returns the check sum of a configuration's line, without its `\n`: CRC-16 with the polynomial 0x1021, from 0xFFFF on. No one or
/// two bits that are inverted leave it as it was.
pub fn check_sum(line: &[u8]) -> u16 {
    line.iter().fold(0xFFFF, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}

/// Reads a check sum: four lower-case hex digits, and nothing else.
fn read_sum(text: &[u8]) -> Option<u16> {
    let [a, b, c, d] = *<&[u8; 4]>::try_from(text).ok()?;
    Some(u16::from_be_bytes([hex::byte([a, b])?, hex::byte([c, d])?]))
}

fn utf8(text: &[u8]) -> Result<&str, FrameError> {
    core::str::from_utf8(text).map_err(|_| FrameError::NotUtf8)
}

/// Writes the parts and the [`END`], each if it fits. Returns the length of all.
fn join(out: &mut [u8], parts: [&[u8]; 2]) -> usize {
    let mut at = 0;
    for part in [parts[0], parts[1], &[END]] {
        if let Some(place) = out.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
        at += part.len();
    }
    at
}

//! The lines of the TCP side, and how a stream of bytes is cut into them.
//!
//! Every line ends with `\n`. What it is follows from its length and its first two bytes
//! (micropython-iot: `iot/server.py`, `iot/client.py`):
//!
//! | line | meaning |
//! |---|---|
//! | empty | keepalive |
//! | exactly two lower-case hex digits | acknowledgement of that message id |
//! | two lower-case hex digits and text | message |
//! | a client's first line | hello: the client's id |
//!
//! Anything else is [`Line::Invalid`]: a value to count and to show, never a reason to stop.

use core::fmt;

use crate::hex;

/// Message id. A sender counts 0, 1, … 255, 1, … : 0 comes once only, after it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mid(pub u8);

impl Mid {
    /// Returns the id that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0 {
            255 => Self(1),
            n => Self(n + 1),
        }
    }

    /// Returns the two hex digits that stand for it on the wire.
    pub const fn digits(self) -> [u8; 2] {
        hex::digits(self.0)
    }

    /// Reads two lower-case hex digits. Nothing else is an id: the reference takes ` 9`, `+7` and
    /// `-1`, and `-1` makes it forget which messages it has seen.
    pub const fn parse(digits: [u8; 2]) -> Option<Self> {
        match hex::byte(digits) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

/// One line of an established connection, without its `\n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Line<'a> {
    /// An empty line.
    Keepalive,
    /// The peer has this message.
    Ack(Mid),
    /// A message.
    Message {
        /// Its id.
        mid: Mid,
        /// Its text: UTF-8, not empty.
        text: &'a str,
    },
    /// None of these.
    Invalid(&'a [u8]),
}

impl<'a> Line<'a> {
    /// Classifies a line (without its `\n`).
    pub fn parse(line: &'a [u8]) -> Self {
        match line {
            [] => Self::Keepalive,
            [a, b, text @ ..] => match (Mid::parse([*a, *b]), core::str::from_utf8(text)) {
                (Some(mid), Ok("")) => Self::Ack(mid),
                (Some(mid), Ok(text)) => Self::Message { mid, text },
                _ => Self::Invalid(line),
            },
            _ => Self::Invalid(line),
        }
    }

    /// Does the same for a line that is UTF-8 as a whole.
    pub(super) fn parse_text(line: &'a str) -> Self {
        match line.as_bytes() {
            [] => Self::Keepalive,
            // Two digits are followed by whole characters.
            &[a, b, ..] => match (Mid::parse([a, b]), line.get(2..)) {
                (Some(mid), Some("")) => Self::Ack(mid),
                (Some(mid), Some(text)) => Self::Message { mid, text },
                _ => Self::Invalid(line.as_bytes()),
            },
            line => Self::Invalid(line),
        }
    }
}

/// The longest id of a client, in bytes. The reference has no limit, and can be starved by a hello
/// without end.
pub const MAX_ID: usize = 64;

/// Checks a hello (a client's first line, without its `\n`) and returns the id in it.
///
/// # Errors
/// Ids are compared byte by byte, so nothing is trimmed: what is not a usable id is refused.
pub fn parse_hello(line: &[u8]) -> Result<&str, BadId> {
    let id = core::str::from_utf8(line).map_err(|_| BadId::NotUtf8)?;
    check_id(id).map(|()| id)
}

/// Checks that `id` can be the id of a client: sent as a hello, written into `pblink.toml`, and sent
/// apart from every other id on a screen. One rule for the wire and for the settings.
///
/// # Errors
/// - [`BadId::Empty`], [`BadId::TooLong`] (more than [`MAX_ID`] bytes);
/// - [`BadId::Control`]: a control character, such as a newline, DEL (U+007F) or one of U+0080 to
///   U+009F;
/// - [`BadId::Invisible`]: a character that [cannot be seen](is_invisible);
/// - [`BadId::OuterBlank`]: a blank at its beginning or end.
pub fn check_id(id: &str) -> Result<(), BadId> {
    // As nearly all ids are.
    let plain = id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if id.is_empty() {
        Err(BadId::Empty)
    } else if id.len() > MAX_ID {
        Err(BadId::TooLong)
    } else if !plain && id.chars().any(char::is_control) {
        Err(BadId::Control)
    } else if !plain && id.chars().any(is_invisible) {
        Err(BadId::Invisible)
    } else if id.starts_with(' ') || id.ends_with(' ') {
        Err(BadId::OuterBlank)
    } else {
        Ok(())
    }
}

/// Returns true if a character shows nothing, looks like an ordinary blank without being one, or
/// changes the direction of the text around it. Two ids that differ in such characters look alike.
/// The ordinary blank (U+0020) and control characters are not among them.
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        // Blanks: no-break, Ogham, en to hair, narrow, mathematical, ideographic, Braille, Hangul.
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
        | '\u{2800}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        // Line and paragraph separators, and what changes the direction of text.
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}'
        // Of no width: soft hyphen, joiners, marks, invisible operators, variation selectors, tags.
        | '\u{ad}' | '\u{34f}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Shows an id, or any text of a stranger, so that nothing in it is hidden: control characters,
/// [invisible](is_invisible) ones, backslashes and blanks at the beginning and end are escaped as in
/// a Rust string (`\u{a0}`), everything else stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0.trim_matches(' ');
        let start = self.0.len() - self.0.trim_start_matches(' ').len();
        for (at, c) in self.0.char_indices() {
            let outer = c == ' ' && (at < start || at >= start + inner.len());
            if outer || c.is_control() || is_invisible(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else if c == '\\' {
                f.write_str("\\\\")?;
            } else {
                fmt::Write::write_char(f, c)?;
            }
        }
        Ok(())
    }
}

/// The reason why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadId {
    /// It is empty.
    Empty,
    /// It is longer than [`MAX_ID`] bytes.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It holds a control character, for instance a newline.
    Control,
    /// It holds a character that cannot be seen: see [`is_invisible`].
    Invisible,
    /// It begins or ends with a blank.
    OuterBlank,
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the id is empty"),
            Self::TooLong => write!(f, "the id is longer than {MAX_ID} bytes"),
            Self::NotUtf8 => f.write_str("the id is not UTF-8"),
            Self::Control => f.write_str("the id holds a control character"),
            Self::Invisible => f.write_str(
                "the id holds a character that cannot be seen or that turns text round, such as a \
                 no-break space",
            ),
            Self::OuterBlank => f.write_str("the id begins or ends with a blank"),
        }
    }
}

impl core::error::Error for BadId {}

/// Checks a text before it becomes a message, and drops the one `\n` that it may end with.
///
/// # Errors
/// An empty text would look like an acknowledgement, and a newline inside would start a second,
/// raw line. The reference sends both.
pub fn check_text(text: &str) -> Result<&str, BadText> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        Err(BadText::Empty)
    } else if text.contains('\n') {
        Err(BadText::Newline)
    } else {
        Ok(text)
    }
}

/// The reason why a text cannot be sent as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadText {
    /// It is empty.
    Empty,
    /// It holds a newline before its end.
    Newline,
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty line cannot be sent: it would look like an acknowledgement",
            Self::Newline => "a line cannot hold a newline: write two lines",
        })
    }
}

impl core::error::Error for BadText {}

/// A bounded buffer for the part of a line that has arrived so far.
pub trait LineBuf: AsRef<[u8]> {
    /// Appends all of `bytes`, or nothing.
    ///
    /// # Errors
    /// [`Full`] if they do not fit.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Full>;
    /// Empties it.
    fn clear(&mut self);
    /// Returns the number of bytes that it can hold, full or not.
    fn limit(&self) -> usize;
}

/// A bounded buffer or queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Full;

impl<const N: usize> LineBuf for heapless::Vec<u8, N> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.extend_from_slice(bytes).map_err(|_| Full)
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn limit(&self) -> usize {
        N
    }
}

/// A find of [`LineReader::feed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Found<'a> {
    /// A whole line, without its `\n`.
    Line(&'a [u8]),
    /// A line longer than the buffer: it is skipped up to its end. Reported once for each such line.
    TooLong,
}

/// A find of [`LineReader::cut`].
pub(super) enum Cut<'a> {
    /// A whole line, without its `\n`.
    Text(&'a str),
    /// A whole line that may be text.
    Bytes(&'a [u8]),
    /// As [`Found::TooLong`].
    TooLong,
}

/// Cuts a stream of bytes into lines. The buffer's limit holds for every line, however it is spread over
/// segments; only a line that comes in parts goes through the buffer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct LineReader<B> {
    partial: B,
    skipping: bool,
}

impl<B> LineReader<B> {
    /// Makes a reader whose lines are at most as long as `buffer` can hold.
    pub const fn new(buffer: B) -> Self {
        Self { partial: buffer, skipping: false }
    }
}

impl<B: LineBuf> LineReader<B> {
    /// Takes `bytes` and hands each complete line to `each`, until `each` returns false. Returns how
    /// many bytes were used: all of them, unless `each` said stop.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Found<'_>) -> bool) -> usize {
        self.cut(bytes, |cut| {
            each(match cut {
                Cut::Text(text) => Found::Line(text.as_bytes()),
                Cut::Bytes(line) => Found::Line(line),
                Cut::TooLong => Found::TooLong,
            })
        })
    }

    /// Does the same, and says of most lines that they are UTF-8: many lines are looked at together for that, at a
    /// sixth of the price.
    pub(super) fn cut(&mut self, bytes: &[u8], mut each: impl FnMut(Cut<'_>) -> bool) -> usize {
        // As far as they are text from the first byte on.
        let text = core::str::from_utf8(bytes)
            .or_else(|error| core::str::from_utf8(&bytes[..error.valid_up_to()]))
            .unwrap_or_default();
        let limit = self.partial.limit();
        // Only the first line can have begun in an earlier segment.
        let mut begun = self.skipping || !self.partial.as_ref().is_empty();
        let mut at = 0;
        loop {
            let from = at;
            let newline = newline(&bytes[from..]);
            let end = newline.map_or(bytes.len(), |len| from + len);
            let line = &bytes[from..end];
            at = bytes.len().min(end + 1);
            let cut = if newline.is_none() {
                if line.is_empty() || self.skipping || self.partial.append(line).is_ok() {
                    return at;
                }
                self.skipping = true;
                Cut::TooLong
            } else if !begun && line.len() <= limit {
                text.get(from..end).map_or(Cut::Bytes(line), Cut::Text)
            } else if core::mem::take(&mut self.skipping) {
                begun = false;
                continue;
            } else if self.partial.append(line).is_ok() {
                Cut::Bytes(self.partial.as_ref())
            } else {
                Cut::TooLong
            };
            // At one place, so that it becomes part of this loop.
            let go_on = each(cut);
            if begun || self.skipping {
                self.partial.clear();
                begun = false;
            }
            if newline.is_none() || !go_on {
                return at;
            }
        }
    }

    /// Forgets the part of a line that has arrived: the connection that it came by is gone.
    pub fn reset(&mut self) {
        self.partial.clear();
        self.skipping = false;
    }
}

/// Returns the place of the first newline. A word at a step: most of a server's bytes pass here.
fn newline(bytes: &[u8]) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    const ONES: usize = usize::MAX / 255;
    let (words, rest) = bytes.as_chunks::<WORD>();
    for (n, word) in words.iter().enumerate() {
        // A byte that is a newline becomes 0, and the lowest 0 byte is the lowest one whose high bit comes up here.
        let word = usize::from_le_bytes(*word) ^ (ONES * b'\n' as usize);
        let found = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if found != 0 {
            return Some(n * WORD + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&byte| byte == b'\n')?;
    Some(words.len() * WORD + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A line is the same whether it was recognised as text together with others or by itself.
        #[test]
        fn lines_that_are_looked_at_together_are_those_that_are_looked_at_one_by_one(
            bytes in prop::collection::vec(prop::sample::select(b"\n\n001a \xc3\xa4\xe2\x82\xac\xff".to_vec()), 0..60),
            cuts in prop::collection::vec(0..60usize, 0..4),
        ) {
            let mut reader = LineReader::new(heapless::Vec::<u8, 8>::new());
            let mut rest = &bytes[..];
            for cut in cuts.into_iter().chain([bytes.len()]) {
                let (segment, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                let mut reference = reader.clone();
                let mut lines = heapless::Vec::<heapless::Vec<u8, 8>, 64>::new();
                reference.feed(segment, |found| {
                    let Found::Line(line) = found else { return true };
                    lines.push(heapless::Vec::from_slice(line).unwrap()).unwrap();
                    true
                });
                let mut lines = lines.iter();
                reader.cut(segment, |cut| {
                    let line = match cut {
                        Cut::Text(text) => Line::parse_text(text),
                        Cut::Bytes(bytes) => Line::parse(bytes),
                        Cut::TooLong => return true,
                    };
                    assert_eq!(line, Line::parse(lines.next().unwrap()));
                    true
                });
                assert!(lines.next().is_none());
            }
        }
    }

    #[test]
    fn the_first_newline_is_found_wherever_it_is_and_whatever_stands_around() {
        for other in 0..=255 {
            for len in 0..40 {
                let mut bytes = [other; 40];
                let first = (other == b'\n' && len > 0).then_some(0);
                assert_eq!(newline(&bytes[..len]), first);
                for at in 0..len {
                    bytes[at] = b'\n';
                    let first = if other == b'\n' { 0 } else { at };
                    assert_eq!(newline(&bytes[..len]), Some(first), "{other} {len} {at}");
                    bytes[at] = other;
                }
            }
        }
        assert_eq!(newline(b"\x0b\x0b\x0b\n\x0b\x0b\n\x0b"), Some(3));
    }
}

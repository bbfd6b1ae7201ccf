//! The little of JSON that boards speak: lists of numbers and strings, in one line.
//!
//! General JSON libraries bring kilobytes of stack and tables, which the ESP8266 does not have.

use heapless::string::StringView;

/// Reads a list from its beginning. Every function returns `None` if something else comes; what follows
/// then has no meaning.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// The next element is the first, so no comma comes before it.
    first: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: text, first: true }
    }

    /// Reads the `[`.
    pub(crate) fn open(text: &'a [u8]) -> Option<Self> {
        let mut reader = Self::new(text);
        reader.list()?;
        Some(reader)
    }

    /// Reads the `[` of a list whose elements follow.
    pub(crate) fn list(&mut self) -> Option<()> {
        self.first = true;
        self.token(b'[')
    }

    /// Reads these characters, with or without blanks between them.
    pub(crate) fn tokens(&mut self, wanted: &[u8]) -> Option<()> {
        wanted.iter().try_for_each(|&byte| self.token(byte))
    }

    /// Reads this key of an object, written without escapes, and its `:`.
    pub(crate) fn key(&mut self, key: &str) -> Option<()> {
        self.token(b'"')?;
        self.rest = self.rest.strip_prefix(key.as_bytes())?.strip_prefix(b"\"")?;
        self.token(b':')
    }

    /// Reads an element that is a whole number of at most 32 bits.
    pub(crate) fn number(&mut self) -> Option<u32> {
        self.element()?;
        self.space();
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(digits);
        // JSON has no leading zeros, and no empty numbers.
        if digits.is_empty() || (digits[0] == b'0' && digits.len() > 1) {
            return None;
        }
        self.rest = rest;
        digits.iter().try_fold(0u32, |number, &digit| {
            number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
        })
    }

    /// Reads an element that is a string, and appends it to `into`, where it must fit. Control characters
    /// are taken as they are: there are writers that do not escape them.
    pub(crate) fn string(&mut self, into: &mut StringView) -> Option<()> {
        self.element()?;
        self.token(b'"')?;
        loop {
            let plain = self.rest.iter().position(|&byte| byte == b'"' || byte == b'\\')?;
            let (text, rest) = self.rest.split_at(plain);
            into.push_str(core::str::from_utf8(text).ok()?).ok()?;
            self.rest = rest;
            if self.byte()? == b'"' {
                return Some(());
            }
            into.push(self.escaped()?).ok()?;
        }
    }

    /// Reads the `]`, behind which there must be nothing.
    pub(crate) fn close(mut self) -> Option<()> {
        self.token(b']')?;
        self.end()
    }

    /// Returns `None` if anything but blanks is left.
    pub(crate) fn end(mut self) -> Option<()> {
        self.space();
        self.rest.is_empty().then_some(())
    }

    /// The character that follows a backslash.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => match self.unit()? {
                // Two halves of a character beyond the first 65536.
                high @ 0xd800..0xdc00 => {
                    let [b'\\', b'u'] = [self.byte()?, self.byte()?] else { return None };
                    let low = self.unit()?.checked_sub(0xdc00).filter(|&low| low < 0x400)?;
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)?
                }
                unit => char::from_u32(unit)?,
            },
            _ => return None,
        })
    }

    /// Four hex digits.
    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | char::from(self.byte()?).to_digit(16)?))
    }

    /// Reads what must come before an element.
    fn element(&mut self) -> Option<()> {
        if core::mem::replace(&mut self.first, false) { Some(()) } else { self.token(b',') }
    }

    fn token(&mut self, wanted: u8) -> Option<()> {
        self.space();
        (self.byte()? == wanted).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

/// Writes a list. What does not fit is counted, and not written.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
    /// A blank follows each comma.
    spaced: bool,
}

impl<'a> Writer<'a> {
    /// Writes the `[`.
    pub(crate) fn open(out: &'a mut [u8]) -> Self {
        let mut writer = Self { out, len: 0, spaced: false };
        writer.byte(b'[');
        writer
    }

    /// Writes the `[` of a list that has a blank behind each comma.
    pub(crate) fn spaced(out: &'a mut [u8]) -> Self {
        Self { spaced: true, ..Self::open(out) }
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, number: u32) {
        self.element();
        let mut digits = [0; 10];
        let (mut at, mut rest) = (digits.len(), number);
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        for &digit in &digits[at..] {
            self.byte(digit);
        }
    }

    /// Adds a string: the parts, one after the other.
    pub(crate) fn string(&mut self, parts: &[&str]) {
        self.element();
        self.byte(b'"');
        for byte in parts.iter().flat_map(|part| part.bytes()) {
            let short = match byte {
                b'"' | b'\\' => byte,
                b'\x08' => b'b',
                b'\x0c' => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                ..b' ' => {
                    for &byte in b"\\u00" {
                        self.byte(byte);
                    }
                    for digit in [byte >> 4, byte & 15] {
                        self.byte(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
                    }
                    continue;
                }
                _ => {
                    self.byte(byte);
                    continue;
                }
            };
            self.byte(b'\\');
            self.byte(short);
        }
        self.byte(b'"');
    }

    /// Ends the list and the line. Returns how many bytes it has, also if they did not fit.
    pub(crate) fn close(mut self) -> usize {
        self.byte(b']');
        self.byte(b'\n');
        self.len
    }

    fn element(&mut self) {
        if self.len > 1 {
            self.byte(b',');
            if self.spaced {
                self.byte(b' ');
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.out.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }
}

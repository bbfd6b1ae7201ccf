//! Values in files of keys. Nothing of a value is in an error.

use std::ops::Range;
use std::path::Path;

use base64ct::{Base64UrlUnpadded, Encoding};
use pblink_secure_suite::keys::{Id, PublicKey, Secret};
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::settings::{Lines, Problem};

/// The characters of 32 bytes.
const KEY_TEXT: usize = 43;

/// A file of keys.
pub(super) struct Source<'a> {
    file: &'a Path,
    lines: Lines<'a>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, lines: Lines::new(text) }
    }

    /// Returns a problem at a byte of the text.
    pub(super) fn problem(&self, byte: usize, message: impl Into<String>) -> Problem {
        let place = Some(self.lines.place(byte));
        Problem { file: self.file.to_owned(), place, message: message.into(), excerpt: None }
    }

    /// Reads the text as TOML.
    pub(super) fn document<'t>(
        &self,
        text: &'t str,
    ) -> Result<toml::Spanned<DeTable<'t>>, Problem> {
        DeTable::parse(text).map_err(|error| {
            let byte = error.span().unwrap_or_default().start;
            self.problem(byte, "this is not TOML")
        })
    }
}

/// A table of a file of keys.
pub(super) struct Fields<'s, 'a> {
    source: &'s Source<'a>,
    table: &'s DeTable<'s>,
    /// Its name in messages, such as `[server]`.
    name: &'s str,
    /// Where it begins.
    at: usize,
}

impl<'s, 'a> Fields<'s, 'a> {
    /// Takes a table that may have these keys only.
    pub(super) fn new(
        source: &'s Source<'a>,
        table: &'s DeTable<'s>,
        name: &'s str,
        at: usize,
        allowed: &[&str],
    ) -> Result<Self, Problem> {
        let unknown = table.iter().find(|(key, _)| !allowed.contains(&key.get_ref().as_ref()));
        match unknown {
            None => Ok(Self { source, table, name, at }),
            Some((key, _)) => {
                let message = format!("unknown key in {name}: it has {}", allowed.join(", "));
                Err(source.problem(key.span().start, message))
            }
        }
    }

    /// Returns a value and its bytes in the text.
    fn get(&self, key: &str) -> Option<(&'s DeValue<'s>, Range<usize>)> {
        let value = self.table.get(key)?;
        Some((value.get_ref(), value.span()))
    }

    fn missing(&self, key: &str) -> Problem {
        self.source.problem(self.at, format!("{} has no `{key}`", self.name))
    }

    fn wrong(&self, span: &Range<usize>, key: &str, expected: &str) -> Problem {
        self.source.problem(span.start, format!("`{key}` must be {expected}"))
    }

    pub(super) fn table(&self, key: &str) -> Result<Option<(&'s DeTable<'s>, usize)>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some((DeValue::Table(table), span)) => Ok(Some((table, span.start))),
            Some((_, span)) => Err(self.wrong(&span, key, "a section")),
        }
    }

    /// Returns the tables of a list of them; none if there is no such key.
    pub(super) fn tables(&self, key: &str) -> Result<Vec<(&'s DeTable<'s>, usize)>, Problem> {
        let Some((value, span)) = self.get(key) else { return Ok(Vec::new()) };
        let list = || self.wrong(&span, key, &format!("a list of sections, [[{key}]]"));
        let DeValue::Array(array) = value else { return Err(list()) };
        let table = |value: &'s toml::Spanned<DeValue<'s>>| match value.get_ref() {
            DeValue::Table(table) => Ok((table, value.span().start)),
            _ => Err(list()),
        };
        array.iter().map(table).collect()
    }

    fn text(&self, key: &str, expected: &str) -> Result<(&'s str, Range<usize>), Problem> {
        match self.get(key) {
            None => Err(self.missing(key)),
            Some((DeValue::String(text), span)) => Ok((text, span)),
            Some((_, span)) => Err(self.wrong(&span, key, expected)),
        }
    }

    /// Returns a number from 1 on.
    pub(super) fn number(&self, key: &str) -> Result<u32, Problem> {
        let (value, span) = self.get(key).ok_or_else(|| self.missing(key))?;
        let number = match value {
            DeValue::Integer(n) => u32::from_str_radix(n.as_str(), n.radix()).ok(),
            _ => None,
        };
        let expected = "a whole number from 1 to 4294967295";
        number.filter(|n| *n > 0).ok_or_else(|| self.wrong(&span, key, expected))
    }

    pub(super) fn id(&self) -> Result<Id, Problem> {
        let expected = "an id: text of 1 to 64 bytes without invisible characters";
        let (text, span) = self.text("id", expected)?;
        Id::new(text).map_err(|_| self.wrong(&span, "id", expected))
    }

    pub(super) fn time(&self, key: &str) -> Result<String, Problem> {
        let expected = "a time such as \"2026-03-01T12:00:00Z\"";
        let (text, span) = self.text(key, expected)?;
        match humantime::parse_rfc3339(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(self.wrong(&span, key, expected)),
        }
    }

    fn bytes(&self, key: &str) -> Result<Zeroizing<[u8; 32]>, Problem> {
        let expected =
            format!("32 bytes as {KEY_TEXT} characters of base64url, and not all the same");
        let (text, span) = self.text(key, &expected)?;
        let wrong = || self.wrong(&span, key, &expected);
        let mut bytes = Zeroizing::new([0; 32]);
        let decoded = Base64UrlUnpadded::decode(text, &mut *bytes).map_err(|_| wrong())?;
        // Zeros are no key, and what an empty form or a wiped one holds.
        let varied = decoded.iter().any(|byte| *byte != decoded[0]);
        if decoded.len() == 32 && varied { Ok(bytes) } else { Err(wrong()) }
    }

    pub(super) fn secret(&self, key: &str) -> Result<Secret, Problem> {
        self.bytes(key).map(|bytes| Secret::new(*bytes))
    }

    pub(super) fn public(&self, key: &str) -> Result<PublicKey, Problem> {
        self.bytes(key).map(|bytes| PublicKey(*bytes))
    }
}

/// Appends `name = "…"` with the bytes of a key.
pub(super) fn put_key(out: &mut String, name: &str, key: &[u8; 32]) {
    *out += name;
    *out += " = \"";
    encode(out, key);
    *out += "\"\n";
}

/// Returns a public key as text: base64url without padding.
pub(crate) fn public_text(key: &PublicKey) -> String {
    let mut out = String::new();
    encode(&mut out, &key.0);
    out
}

fn encode(out: &mut String, key: &[u8; 32]) {
    let mut text = Zeroizing::new([0; KEY_TEXT]);
    // It has room for exactly that.
    *out += Base64UrlUnpadded::encode(key, &mut *text).unwrap_or_default();
}

/// Appends `name = "…"` with an id.
pub(super) fn put_id(out: &mut String, id: &Id) {
    *out += &format!("id = {}\n", toml::Value::from(id.as_str()));
}

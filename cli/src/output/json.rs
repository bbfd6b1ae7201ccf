//! JSON that is safe on a terminal: what cannot be seen, or would be obeyed, stands as `\u00a0`. To a
//! program it is the same text.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use super::cells::is_plain;

/// Writes a value in one line, without its end.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Plain))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Writes a value over several lines, with the end of the last one.
pub(crate) fn pretty(value: &Value) -> String {
    let text = format!("{value:#}\n");
    if text.chars().all(|c| c == '\n' || is_plain(c)) {
        return text;
    }
    // Beside the ends of lines all of these stand in strings.
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || is_plain(c) {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

/// As serde_json's compact form, but for characters that are not plain.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_plain(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_same_and_nothing_in_it_reaches_the_terminal() {
        let text = "a\"\\\n\u{7f}\u{9b}\u{a0}\u{202e}\u{2028}\u{2800}\u{e0001}é厨🌡 b";
        let value = serde_json::json!({ "id": text });
        let over_lines = pretty(&value);
        assert!(over_lines.chars().all(|c| c == '\n' || is_plain(c)), "{over_lines:?}");
        assert_eq!(serde_json::from_str::<Value>(&over_lines).unwrap(), value);
        assert_eq!(over_lines.lines().count(), 3);
        let json = line(&value).unwrap();
        assert!(json.chars().all(is_plain), "{json:?}");
        assert!(json.contains(r"\u007f\u009b\u00a0\u202e\u2028\u2800\udb40\udc01é厨🌡 b"), "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["id"], text);
    }
}

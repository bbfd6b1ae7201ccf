//! Values of `pblink.toml`: as a file has them, as users type them, and as they are shown.

use std::fmt::{self, Write};

use toml::de::DeValue;

use crate::output::cells::is_plain;

/// A value of the file, as far as any key needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Value>),
    /// A kind of value that no key takes, such as a date.
    Other(String),
}

impl Value {
    /// Returns the text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number, if it is one that fits.
    pub(super) fn number<T: TryFrom<i64>>(&self) -> Option<T> {
        match self {
            Self::Integer(n) => T::try_from(*n).ok(),
            _ => None,
        }
    }

    /// Returns the value as it is typed: the inverse of [`Key::words`](super::key::Key::words) and
    /// what follows it.
    pub(crate) fn typed(&self) -> String {
        match self {
            Self::Text(text) | Self::Other(text) => text.clone(),
            Self::List(list) if list.is_empty() => "[]".to_owned(),
            Self::List(list) => list.iter().map(Self::in_a_list).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        }
    }

    /// Returns the value for programs: text as it is, a list with one value a line.
    pub(crate) fn bare(&self) -> String {
        match self {
            Self::Text(text) | Self::Other(text) => text.clone(),
            Self::List(list) => list.iter().map(Self::bare).collect::<Vec<_>>().join("\n"),
            other => other.to_string(),
        }
    }

    /// Returns the value as one item of a list is typed.
    pub(crate) fn in_a_list(&self) -> String {
        let text = self.typed();
        let special = |c: char| c == ',' || c.is_whitespace();
        if text.is_empty() || text.starts_with(['"', '\'', '[']) || text.contains(special) {
            serde_json::Value::from(text).to_string()
        } else {
            text
        }
    }

    /// Returns the value in JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) | Self::Other(text) => text.as_str().into(),
            Self::Integer(n) => (*n).into(),
            Self::Bool(b) => (*b).into(),
            Self::List(list) => list.iter().map(Self::to_json).collect(),
        }
    }

    /// Returns the value in TOML.
    pub(super) fn to_toml(&self) -> toml_edit::Value {
        match self {
            Self::Text(text) | Self::Other(text) => text.as_str().into(),
            Self::Integer(n) => (*n).into(),
            Self::Bool(b) => (*b).into(),
            Self::List(list) => list.iter().map(Self::to_toml).collect::<toml_edit::Array>().into(),
        }
    }
}

impl From<&DeValue<'_>> for Value {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
                .map_or_else(|_| Self::Other(n.to_string()), Self::Integer),
            DeValue::Boolean(b) => Self::Bool(*b),
            DeValue::Array(list) => Self::List(list.iter().map(|v| v.get_ref().into()).collect()),
            DeValue::Float(n) => Self::Other(n.to_string()),
            DeValue::Datetime(date) => Self::Other(format!("the date {date}")),
            DeValue::Table(_) => Self::Other("a section".to_owned()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// As in TOML. What is long is cut, since it stands in error messages; `{:#}` shows all of it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        const ITEMS: usize = 16;
        match self {
            Self::Text(text) if !f.alternate() && text.chars().count() > SHOWN => {
                let start: String = text.chars().take(SHOWN).collect();
                quoted(f, &start)?;
                write!(f, "... ({} bytes)", text.len())
            }
            Self::Text(text) => quoted(f, text),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Other(what) => f.write_str(what),
            Self::List(list) => {
                f.write_str("[")?;
                for (i, value) in list.iter().enumerate() {
                    if i == ITEMS && !f.alternate() {
                        return write!(f, ", ... ({} values)]", list.len());
                    }
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    fmt::Display::fmt(value, f)?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Writes a text in quotes, with nothing in it that a terminal would obey or that could not be
/// seen.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in format!("{text:?}").chars() {
        if is_plain(c) { f.write_char(c)? } else { write!(f, "\\u{{{:x}}}", u32::from(c))? }
    }
    Ok(())
}

/// Reads a list from words of a command line: a list in JSON, or texts with commas or blanks between
/// them. A text that holds a comma stands in quotes.
///
/// # Errors
/// A message that says what cannot be read.
pub(super) fn list(words: &[String]) -> Result<Vec<Value>, String> {
    let all = words.join(" ");
    let all = all.trim();
    if let Some(inner) = all.strip_prefix('[') {
        // A shell may have taken the quotes away: [1, kitchen].
        let inner = inner.strip_suffix(']').ok_or("the list that [ begins has no ] at its end")?;
        return match serde_json::from_str(all) {
            Ok(serde_json::Value::Array(list)) => Ok(list.iter().map(of_json).collect()),
            _ => Ok(split(inner, false)?.into_iter().map(Value::Text).collect()),
        };
    }
    let mut list = Vec::new();
    for word in words {
        match split(word, false)? {
            // The shell was given an empty word: that is not an empty list.
            none if none.is_empty() => list.push(Value::Text(String::new())),
            some => list.extend(some.into_iter().map(Value::Text)),
        }
    }
    Ok(list)
}

fn of_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => text.as_str().into(),
        // An id that looks like a number.
        serde_json::Value::Number(n) => n.to_string().into(),
        other => Value::Other(other.to_string()),
    }
}

/// Splits a line of a dialogue into the words of a command line; quotes stay, so that [`list`] sees them.
pub(super) fn words(line: &str) -> Vec<String> {
    if line.trim_start().starts_with('[') {
        return vec![line.to_owned()];
    }
    match split(line, true) {
        Ok(items) => items.into_iter().map(|item| Value::Text(item).in_a_list()).collect(),
        // Kept as it is: `list` says what is wrong with it.
        Err(_) => vec![line.to_owned()],
    }
}

/// Returns the items of a list that is written without brackets: separated by commas or, if
/// `blanks`, by blanks, too.
fn split(text: &str, blanks: bool) -> Result<Vec<String>, String> {
    let mut items = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c));
        let end = |c: char| c == ',' || (blanks && c.is_whitespace());
        if let Some(quote) = quote {
            let (item, behind) = unquote(rest, quote).ok_or("a quote is not closed")?;
            items.push(item);
            rest = behind.trim_start();
            if !(rest.is_empty() || rest.starts_with(',') || blanks && rest.len() < behind.len()) {
                return Err("behind a text in quotes a comma is missing".to_owned());
            }
        } else {
            let (item, behind) = rest.split_at(rest.find(end).unwrap_or(rest.len()));
            if !item.trim().is_empty() {
                items.push(item.trim().to_owned());
            }
            rest = behind;
        }
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Ok(items)
}

/// Returns the text between quotes at the beginning of `text`, and what follows them. In double
/// quotes a backslash takes the next character as it is.
fn unquote(text: &str, quote: char) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => item.push(chars.next()?.1),
            c if c == quote => return Some((item, &text[at + 1..])),
            c => item.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        let list = list(&words)?;
        Ok(list.iter().map(|value| value.text().expect("all are texts").to_owned()).collect())
    }

    #[test]
    fn a_list_is_json_or_has_commas_or_is_several_words() {
        for (words, expected) in [
            (&["1", "2"][..], &["1", "2"][..]),
            (&["1,2"], &["1", "2"]),
            (&["kitchen,", "attic"], &["kitchen", "attic"]),
            (&["kitchen, attic"], &["kitchen", "attic"]),
            (&["[\"1\",\"2\"]"], &["1", "2"]),
            (&["[\"1\",", "\"2\"]"], &["1", "2"]),
            // What is left of them when a shell took the quotes.
            (&["[1,2]"], &["1", "2"]),
            (&["[kitchen,", "attic]"], &["kitchen", "attic"]),
            (&["living room"], &["living room"]),
            (&["\"a,b\"", "c"], &["a,b", "c"]),
            (&["'a,b',c"], &["a,b", "c"]),
            (&["[\"a,b\"]"], &["a,b"]),
            (&["o'brien"], &["o'brien"]),
            (&["\"say \\\"hi\\\"\""], &["say \"hi\""]),
            (&["[]"], &[]),
            (&[""], &[""]),
            (&["\"\""], &[""]),
        ] {
            assert_eq!(
                texts(words).as_deref(),
                Ok(&*expected.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "{words:?}"
            );
        }
        for wrong in [&["[1,2"][..], &["\"a"], &["\"a\"b"]] {
            assert!(texts(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_shown_in_a_dialogue_can_be_typed_again() {
        for ids in [&["1"][..], &["kitchen", "attic"], &["a,b", "living room", "\"q\"", "[x]"], &[]]
        {
            let value = Value::List(ids.iter().map(|id| (*id).into()).collect());
            let words = words(&value.typed());
            let again = if ids.is_empty() { list(&["[]".to_owned()]) } else { list(&words) };
            assert_eq!(again.map(Value::List), Ok(value), "{words:?}");
        }
        assert_eq!(words("kitchen attic"), ["kitchen", "attic"]);
        assert_eq!(words("kitchen,attic , hall"), ["kitchen", "attic", "hall"]);
        assert_eq!(words("  "), [""; 0]);
    }

    #[test]
    fn nothing_in_a_shown_value_reaches_the_terminal() {
        let shown = Value::from("a\u{1b}[31m\u{9b}\u{a0}\u{2800}\u{202e}é").to_string();
        assert!(shown.chars().all(is_plain), "{shown:?}");
        assert!(shown.ends_with("é\""), "{shown}");
        let long = Value::List(vec![Value::Integer(1); 1000]).to_string();
        assert!(long.len() < 100 && long.ends_with("(1000 values)]"), "{long}");
    }
}

//! Something wrong in a file, shown with its line. Nothing but the key and value that it is about is
//! shown of a line: what stands beside them may be a password.

use std::fmt::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use pblink_protocol::tcp::line::Escaped;

use crate::output::cells::{self, is_plain};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The character of the line, from 1.
    pub(crate) column: usize,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file, as the user named it.
    pub(crate) file: PathBuf,
    /// Place in the file; `None` if it is about the file as a whole.
    pub(crate) place: Option<Place>,
    /// The fault, and what to do.
    pub(crate) message: String,
    /// The line with a mark below it.
    pub(crate) excerpt: Option<String>,
}

impl Problem {
    /// Returns a problem of the file as a whole.
    pub(crate) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: None, message: message.into(), excerpt: None }
    }
}

/// `file:line:column: message` and, below it, the line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", Escaped(&self.file.to_string_lossy()))?;
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)?;
        match &self.excerpt {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
    }
}

/// Finds lines and columns. A text of any length is searched once, not for each problem.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// Offsets at which the lines begin.
    starts: Vec<usize>,
}

/// Some editors begin a file with it; it does not belong to the first line.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The most characters of a line that are shown.
const SHOWN: usize = 100;

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let first = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(first).chain(ends).collect() }
    }

    /// Returns the line of a byte, from 0.
    fn index(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// Returns the bytes of a line, without its end.
    fn range(&self, index: usize) -> Range<usize> {
        let start = self.starts.get(index).copied().unwrap_or(self.text.len());
        let end = self.starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        let line = &self.text[start..end];
        start..start + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// Returns the bytes of the line that a byte stands in, without its end.
    pub(super) fn line_at(&self, byte: usize) -> Range<usize> {
        self.range(self.index(byte))
    }

    /// Returns line and column of a byte.
    pub(crate) fn place(&self, byte: usize) -> Place {
        let index = self.index(byte);
        let before = self.text.get(self.range(index).start..byte).unwrap_or_default();
        Place { line: index + 1, column: before.chars().count() + 1 }
    }

    /// Returns the part `shown` of a line, with `marked` marked. Both are cut at the end of the
    /// line that `marked` begins in.
    pub(super) fn excerpt(&self, shown: Range<usize>, marked: Range<usize>) -> Option<String> {
        let index = self.index(marked.start);
        let line = self.range(index);
        let end = shown.end.max(marked.end).min(line.end);
        let start = shown.start.clamp(line.start, marked.start.max(line.start));
        // A long key must not push its value out of sight.
        let long = self.text.get(start..marked.start)?.chars().count() > SHOWN / 2;
        let start = if long { marked.start } else { start };
        // The brackets of a header belong to it.
        let only = |part: Range<usize>, brackets: &str| {
            let part = self.text.get(part).unwrap_or_default().trim();
            !part.is_empty() && part.chars().all(|c| brackets.contains(c))
        };
        let indent = line.start + self.text.get(line.clone())?.len()
            - self.text.get(line.clone())?.trim_start().len();
        let start = if only(line.start..start, "[") { indent } else { start };
        let end = if only(end..line.end, "]") { line.end } else { end };
        let (mut text, mut marks) = (String::new(), String::new());
        if !self.text.get(line.start..start)?.trim().is_empty() {
            text += "… ";
            marks += "  ";
        }
        let mut cut = false;
        for (n, (at, c)) in self.text.get(start..end)?.char_indices().enumerate() {
            if n == SHOWN {
                cut = true;
                break;
            }
            let c = match c {
                '\t' => ' ',
                c if is_plain(c) => c,
                _ => char::REPLACEMENT_CHARACTER,
            };
            text.push(c);
            let mark = if (marked.start..marked.end).contains(&(start + at)) { '^' } else { ' ' };
            (0..cells::width(c)).for_each(|_| marks.push(mark));
        }
        if !marks.contains('^') {
            marks.push('^');
        }
        if cut || !self.text.get(end..line.end)?.trim().is_empty() {
            text += " …";
        }
        let number = (index + 1).to_string();
        let mut out = String::new();
        let _ = writeln!(out, "  {number} | {text}");
        let _ = write!(out, "  {:width$} | {}", "", marks.trim_end(), width = number.len());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, shown: &str, marked: &str) -> String {
        let find = |part: &str| {
            let at = text.find(part).expect("it is there");
            at..at + part.len()
        };
        Lines::new(text).excerpt(find(shown), find(marked)).unwrap()
    }

    #[test]
    fn only_what_it_is_about_is_shown() {
        let text = "a = 1\nwifi = { password = \"x\", ssid = 5 } # y\nb = 2\n";
        assert_eq!(excerpt(text, "ssid = 5", "5"), "  2 | … ssid = 5 …\n    |          ^");
        assert_eq!(
            excerpt("port\t= 70000", "port\t= 70000", "70000"),
            "  1 | port = 70000\n    |        ^^^^^"
        );
        assert_eq!(
            excerpt("x = [\n1,\n2]", "x = [\n1,\n2]", "[\n1,\n2]"),
            "  1 | x = [\n    |     ^"
        );
    }

    #[test]
    fn marks_stand_below_wide_characters_and_nothing_reaches_the_terminal() {
        assert_eq!(excerpt("ß厨 = 1", "ß厨 = 1", "1"), "  1 | ß厨 = 1\n    |       ^");
        let shown = excerpt("\"k\u{1b}[31m\" = 1", "\"k\u{1b}[31m\"", "k");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        let long = format!("k = \"{}\"", "x".repeat(100_000));
        assert!(excerpt(&long, &long, &long[4..]).len() < 300);
    }

    #[test]
    fn places_are_counted_in_characters_and_a_byte_order_mark_is_none() {
        let text = "\u{feff}é = 1\r\nb = 2";
        let lines = Lines::new(text);
        assert_eq!(lines.place(text.find('1').unwrap()), Place { line: 1, column: 5 });
        assert_eq!(lines.place(text.find('b').unwrap()), Place { line: 2, column: 1 });
        assert_eq!(&text[lines.line_at(4)], "é = 1");
        assert_eq!(lines.place(text.len()), Place { line: 2, column: 6 });
    }
}

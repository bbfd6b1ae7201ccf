//! The user's program on a simulated STM32: writes numbered lines, and keeps accounts.

use std::collections::BTreeMap;

use pblink_protocol::app::WriteError;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::{Duration, Instant};

use crate::secure::App;

/// Bytes of padding at most: a line has room for no more.
const PADDING: usize = 900;

/// The program's task.
#[derive(Debug, Clone)]
pub struct ProgramOptions {
    /// Time between two lines. The first goes out after one such time.
    pub every: Duration,
    /// Number of lines to write; `None` for no end.
    pub count: Option<u64>,
    /// The delivery with which to write them.
    pub delivery: Delivery,
    /// Bytes of text to append to each line, at most 900.
    pub padding: usize,
    /// True to read what the server sends. A program that does not read holds the link off.
    pub reads: bool,
    /// True to remember the last thousand lines, for [`Program::echo_of`].
    pub remembers: bool,
}

impl Default for ProgramOptions {
    /// Makes the options of the demo: a line every five seconds.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            count: None,
            delivery: Delivery::ORDERED,
            padding: 0,
            reads: true,
            remembers: false,
        }
    }
}

/// The program. It outlives a power cycle of its board, as if it kept its number in flash.
#[derive(Debug)]
pub struct Program {
    options: ProgramOptions,
    next_at: Instant,
    number: u64,
    /// Lines written whose echo has not come, by number; for servers that return each line.
    written: BTreeMap<u64, String>,
}

impl Program {
    pub(crate) fn new(options: ProgramOptions, now: Instant) -> Self {
        let next_at = now + options.every;
        Self { options, next_at, number: 0, written: BTreeMap::new() }
    }

    pub(crate) fn options_mut(&mut self) -> &mut ProgramOptions {
        &mut self.options
    }

    pub(crate) fn reads(&self) -> bool {
        self.options.reads
    }

    /// Lines written so far.
    pub fn written(&self) -> u64 {
        self.number
    }

    /// Returns true if all lines are written.
    pub fn is_done(&self) -> bool {
        self.options.count.is_some_and(|count| self.number >= count)
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        (!self.is_done()).then_some(self.next_at)
    }

    /// Writes a line if one is due. Returns its number. A program that finds the queue full waits, as
    /// `write` of the real library does.
    pub(crate) fn poll(&mut self, app: &mut App, now: Instant) -> Option<u64> {
        if self.is_done() || now < self.next_at {
            return None;
        }
        let text = line_of_board(self.number, now.as_millis(), self.options.padding);
        match app.write(now, &text, self.options.delivery) {
            Ok(_) => {
                let number = self.number;
                self.number += 1;
                self.next_at = (self.next_at + self.options.every).max(now);
                if self.options.remembers {
                    self.written.insert(number, text);
                    if self.written.len() > 1000 {
                        self.written.pop_first();
                    }
                }
                Some(number)
            }
            Err(WriteError::Full) => {
                self.next_at = now + Duration::from_millis(10);
                None
            }
            Err(error) => unreachable!("the program's own lines can be written: {error}"),
        }
    }

    /// Returns the number of lines that it remembers.
    pub fn remembered(&self) -> usize {
        self.written.len()
    }

    /// Returns the number of the line that `text` is an echo of, among the last thousand. Only one that is the same to
    /// the last byte is an echo: number, time and text. A program that does not
    /// [remember](ProgramOptions::remembers) its lines knows none.
    pub fn echo_of(&self, text: &str) -> Option<u64> {
        let number = sequence_of(text)?;
        (self.written.get(&number).is_some_and(|line| line == text)).then_some(number)
    }
}

/// Returns the number of a line: the first element of its list.
pub fn sequence_of(text: &str) -> Option<u64> {
    let rest = text.strip_prefix('[')?;
    let end = rest.find([',', ']'])?;
    rest[..end].trim().parse().ok()
}

/// Returns a line of a board's program: a list of three, as the seed's demo sends. Number, time in ms, and padding.
fn line_of_board(number: u64, at_ms: u64, padding: usize) -> String {
    format!("[{number}, {at_ms}, \"{}\"]", "x".repeat(padding.min(PADDING)))
}

/// Returns its number, if a text is such a line to the last byte.
pub(crate) fn number_of_board(text: &str, padding: usize) -> Option<u64> {
    let number = sequence_of(text)?;
    let at_ms = text.split(", ").nth(1)?.parse().ok()?;
    (text == line_of_board(number, at_ms, padding)).then_some(number)
}

/// Returns a line of the server's program.
pub(crate) fn line_of_server(number: u64) -> String {
    format!("[{number}, 0, 0]")
}

/// Returns its number, if a text is such a line to the last byte.
pub(crate) fn number_of_server(text: &str) -> Option<u64> {
    sequence_of(text).filter(|number| text == line_of_server(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_to_the_last_byte() {
        assert_eq!(number_of_board("[7, 1500, \"xx\"]", 2), Some(7));
        assert_eq!(number_of_board("[7, 0, \"\"]", 0), Some(7));
        for wrong in [
            "[7, 1500, \"x\"]",
            "[7, 1500, \"xxx\"]",
            "[7, 1500, \"xy\"]",
            "[7, 1500, \"xx\"] ",
            "[7, 1500, \"xx\"]]",
            "[7, 1500, xx]",
            "[7, 15a0, \"xx\"]",
            "[7, 01500, \"xx\"]",
            "[07, 1500, \"xx\"]",
            "[7,1500, \"xx\"]",
            "[7, 1500, \"xx",
            "[7, 1500, \"x[\"7\", 0]",
            "7, 1500, \"xx\"]",
            "",
        ] {
            assert_eq!(number_of_board(wrong, 2), None, "{wrong}");
        }
        assert_eq!(number_of_server("[7, 0, 0]"), Some(7));
        for wrong in ["[7, 0, 1]", "[7, 0, 0", "[07, 0, 0]", "[7, 0, 0]]", "[7]", ""] {
            assert_eq!(number_of_server(wrong), None, "{wrong}");
        }
    }
}

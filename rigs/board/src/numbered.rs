//! Numbered lines.

use core::fmt::{self, Write};

use pblink_protocol::MAX_TEXT;

/// One of them.
pub type Line = heapless::String<MAX_TEXT>;

/// Returns the line with this number. Every seventh is longer than one payload of the I2C exchange, so
/// that it has to be split.
pub fn line(number: u32) -> Line {
    let mut line = Line::new();
    // It fits: none is longer than 860 bytes.
    let _ = write(&mut line, number);
    line
}

fn write(line: &mut Line, number: u32) -> fmt::Result {
    let padding = if number % 7 == 3 { 150 + 97 * (number % 8) } else { number % 23 };
    write!(line, "[\"line\", {number}, \"")?;
    for _ in 0..padding / 5 {
        // Characters of two bytes, too.
        line.write_str("é·x")?;
    }
    line.write_str("\"]")
}

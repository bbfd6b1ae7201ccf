//! Lines that a board itself sends to the server, between those of its application.
//!
//! ```text
//! {"pblink":{"report":[connects,number,mem_free]}}
//! ```
//!
//! A line is in-band only if all of it has this shape; JSON's white space is allowed between the
//! elements. Everything else that begins with [`PREFIX`] is a line of the application, as is every line
//! of a board that does not know pblink: nothing is taken from an application by mistake.

use core::fmt;

use heapless::String;

use crate::json::Reader;
use crate::report::Report;

/// The beginning of every in-band line, and of no other line that the board's own library sends.
pub const PREFIX: &str = "{\"pblink\"";

/// The longest in-band line that [`Message::to_line`] makes, in bytes.
pub const MAX_LINE: usize = "{\"pblink\":{\"report\":[,,]}}".len() + 3 * 10;

/// The content of an in-band line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Message {
    /// A report of the board's ESP8266.
    Report(Report),
}

impl Message {
    /// Reads a line, without its `\n`. Returns `None` if it belongs to the application.
    ///
    /// ```
    /// use pblink_protocol::inband::Message;
    /// use pblink_protocol::report::Report;
    ///
    /// let message = Message::Report(Report { connects: 1, number: 0, mem_free: 41_000 });
    /// assert_eq!(message.to_line(), r#"{"pblink":{"report":[1,0,41000]}}"#);
    /// assert_eq!(Message::parse(&message.to_line()), Some(message));
    /// assert_eq!(Message::parse("[1, 0, 41000]"), None);
    /// ```
    pub fn parse(line: &str) -> Option<Self> {
        // Spares all other lines the parser.
        let rest = line.strip_prefix(PREFIX)?;
        let mut reader = Reader::new(rest.as_bytes());
        reader.tokens(b":{")?;
        reader.key("report")?;
        reader.list()?;
        let report = Report::read(&mut reader)?;
        reader.tokens(b"]}}")?;
        reader.end()?;
        Some(Self::Report(report))
    }

    /// Returns the line, without a `\n`.
    pub fn to_line(self) -> String<MAX_LINE> {
        let mut line = String::new();
        let fits = fmt::Write::write_fmt(&mut line, format_args!("{self}")).is_ok();
        debug_assert!(fits, "an in-band line is longer than MAX_LINE");
        line
    }
}

/// Writes the line, without a `\n`.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(report) => write!(f, "{PREFIX}:{{\"report\":{report}}}}}"),
        }
    }
}

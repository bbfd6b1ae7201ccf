//! Events and lines as they are printed, one line each.

use std::io::{self, Write, stdout};

use pblink_serve::consumers::Passed;
use pblink_server::Event;

use super::{envelope, events};

/// Prints an event on stdout, as JSON if `as_json`, and flushes it.
///
/// # Errors
/// If stdout cannot be written.
pub(crate) fn print_event(event: &Event, as_json: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    write_event(event, as_json, &mut out)?;
    out.flush()
}

/// Writes an event, as JSON if `as_json`.
///
/// # Errors
/// If `out` cannot be written.
pub(crate) fn write_event(event: &Event, as_json: bool, out: &mut impl Write) -> io::Result<()> {
    if as_json {
        writeln!(out, "{}", envelope::event(event)?)
    } else {
        writeln!(out, "{}", events::line(event))
    }
}

/// Writes a line that passed between a client and its application, as JSON if `as_json`.
///
/// # Errors
/// If `out` cannot be written.
pub(crate) fn write_passed(passed: &Passed, as_json: bool, out: &mut impl Write) -> io::Result<()> {
    if as_json {
        writeln!(out, "{}", envelope::passed(passed)?)
    } else {
        let arrow = if matches!(passed, Passed::Received { .. }) { "→" } else { "←" };
        writeln!(out, "{} {arrow} {}", events::id(passed.client()), events::clean(passed.text()))
    }
}

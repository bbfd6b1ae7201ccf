//! Events and lines as they are printed, one line each.

use std::io::{self, Write, stdout};

use pblink_serve::consumers::Passed;
use pblink_server::Event;

use super::times::Zone;
use super::{envelope, events};

/// Form of what is printed.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// For programs.
    Json,
    /// For people, with times in this zone.
    Text(Zone),
}

impl Form {
    /// Returns the form that flags ask for; for people, with times in this zone.
    pub(crate) fn new(json: bool, zone: Zone) -> Self {
        if json { Self::Json } else { Self::Text(zone) }
    }
}

/// Prints an event on stdout, and flushes it.
///
/// # Errors
/// If stdout cannot be written.
pub(crate) fn print_event(event: &Event, form: &Form) -> io::Result<()> {
    let mut out = stdout().lock();
    write_event(event, form, &mut out)?;
    out.flush()
}

/// Writes an event.
///
/// # Errors
/// If `out` cannot be written.
pub(crate) fn write_event(event: &Event, form: &Form, out: &mut impl Write) -> io::Result<()> {
    match form {
        Form::Json => writeln!(out, "{}", envelope::event(event)?),
        Form::Text(zone) => writeln!(out, "{}", events::line(event, zone)),
    }
}

/// Writes a line that passed between a client and its application.
///
/// # Errors
/// If `out` cannot be written.
pub(crate) fn write_passed(passed: &Passed, form: &Form, out: &mut impl Write) -> io::Result<()> {
    if matches!(form, Form::Json) {
        writeln!(out, "{}", envelope::passed(passed)?)
    } else {
        let arrow = if matches!(passed, Passed::Received { .. }) { "→" } else { "←" };
        writeln!(out, "{} {arrow} {}", events::id(passed.client()), events::clean(passed.text()))
    }
}

//! Events and lines on stdout.

use std::io::{Write, stdout};

use pblink_serve::consumers::Passed;
use pblink_server::Event;

use super::{events, json};

/// Prints what happens, one line each.
pub(crate) struct Printer {
    pub(crate) json: bool,
    /// Whether lines of the application are printed.
    pub(crate) lines: bool,
}

impl Printer {
    pub(crate) fn event(&self, event: &Event) -> std::io::Result<()> {
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", json::line(event)?)?;
        } else {
            writeln!(out, "{}", events::line(event))?;
        }
        out.flush()
    }

    pub(crate) fn passed(&self, passed: &Passed) -> std::io::Result<()> {
        if !self.lines {
            return Ok(());
        }
        let mut out = stdout().lock();
        if self.json {
            let kind = if passed.received { "line_in" } else { "line_out" };
            let object = serde_json::json!({ "event": kind, "id": passed.id, "line": passed.line });
            writeln!(out, "{}", json::line(&object)?)?;
        } else {
            let arrow = if passed.received { "→" } else { "←" };
            writeln!(out, "{} {arrow} {}", events::id(&passed.id), events::clean(&passed.line))?;
        }
        out.flush()
    }
}

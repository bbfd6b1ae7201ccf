//! Flags for the look of screens and lines.

use std::io::{IsTerminal, stdout};

use crate::output::times::Zone;

/// Flags of the verbs that have a screen.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LookArgs {
    /// The times.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Draw the screen with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,
}

/// Flags of the verbs that print times.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TimeArgs {
    /// Show times in UTC instead of local time.
    #[arg(long)]
    pub utc: bool,
}

impl TimeArgs {
    /// Returns the zone of the times on a screen.
    pub(crate) fn zone(&self) -> Zone {
        if self.utc { Zone::utc() } else { Zone::local() }
    }

    /// Returns the zone of the times in lines on stdout. Lines in a file may be read on another day: they have the date.
    pub(crate) fn zone_of_lines(&self) -> Zone {
        self.zone().with_dates(!stdout().is_terminal())
    }
}

//! Flags for the look of screens and lines.

use crate::output::times::Zone;

/// Flags of the verbs that have a screen.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LookArgs {
    /// Show times in UTC instead of local time.
    #[arg(long)]
    pub utc: bool,
    /// Draw the screen with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,
}

impl LookArgs {
    /// Returns the zone of the times.
    pub(crate) fn zone(&self) -> Zone {
        if self.utc { Zone::utc() } else { Zone::local() }
    }
}

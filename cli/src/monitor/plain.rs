//! Events as lines, for pipes and files.

use std::io::{self, Write};

use pblink_serve::control::Update;
use tokio::sync::mpsc;

use crate::output::times::{Zone, wall_ms};
use crate::output::{envelope, events};

/// The look of the lines.
#[derive(Debug, Clone)]
pub struct Style {
    /// JSON instead of words.
    pub json: bool,
    /// The zone of the times.
    pub zone: Zone,
    /// Returns the wall clock, in milliseconds since the Unix epoch: times of today have no date.
    pub clock: fn() -> u64,
}

impl Default for Style {
    fn default() -> Self {
        Self { json: false, zone: Zone::utc(), clock: wall_ms }
    }
}

/// Prints one event per line until the updates end or `out` is closed.
///
/// Each line is flushed: a reader at the other end of a pipe should see it when it happens. What
/// is no event (missed events, a lost server) goes to the diagnostics.
pub async fn follow(
    mut updates: mpsc::Receiver<Update>,
    style: &Style,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut lost = false;
    while let Some(update) = updates.recv().await {
        match update {
            Update::Event(event) => {
                let line = match style.json {
                    true => envelope::event(&event)?,
                    false => {
                        let time = style.zone.time(event.at_ms, (style.clock)());
                        format!("{time} {}", events::describe(&event.kind))
                    }
                };
                match writeln!(out, "{line}").and_then(|()| out.flush()) {
                    // `pblink monitor | head` has what it wanted.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    result => result?,
                }
            }
            Update::Missed(count) => tracing::warn!("{count} events were missed"),
            Update::Lost { reason, .. } => {
                if !lost {
                    tracing::warn!("cannot reach the server ({reason}); retrying");
                }
                lost = true;
            }
            Update::Server(_) => {
                if lost {
                    tracing::warn!("server reached again");
                }
                lost = false;
            }
            Update::Links(_) | Update::LastLines(_) | Update::Outages(_) | Update::Reports(_) => {}
        }
    }
    Ok(())
}

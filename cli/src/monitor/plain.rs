//! Events as lines, for pipes and files.

use std::io::{self, Write};

use pblink_serve::control::Update;
use tokio::sync::mpsc;

use crate::output::{events, json};

/// Prints one event per line, as JSON if `json`, until the updates end or `out` is closed.
///
/// Each line is flushed: a reader at the other end of a pipe should see it when it happens. What
/// is no event (missed events, a lost server) goes to the diagnostics.
pub async fn follow(
    mut updates: mpsc::Receiver<Update>,
    json: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut lost = false;
    while let Some(update) = updates.recv().await {
        match update {
            Update::Event(event) => {
                let line = if json { json::line(&*event)? } else { events::line(&event) };
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
            Update::Links(_) | Update::Outages(_) | Update::Reports(_) => {}
        }
    }
    Ok(())
}

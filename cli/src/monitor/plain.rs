//! Events as lines, for pipes and files.

use std::collections::HashSet;
use std::io::{self, Write};

use pblink_serve::control::{ConsumerInfo, Failing, Update};
use pblink_server::{Event, EventKind};
use tokio::sync::mpsc;

use crate::output::times::{Zone, wall_ms};
use crate::output::{envelope, events};

/// The look of the lines, and which there are.
#[derive(Debug, Clone)]
pub struct Style {
    /// Only events of this client.
    pub client: Option<String>,
    /// Only events of these kinds, by name; none: all.
    pub kinds: Vec<String>,
    /// JSON instead of words.
    pub json: bool,
    /// The zone of the times.
    pub zone: Zone,
    /// Returns the wall clock, in milliseconds since the Unix epoch: times of today have no date.
    pub clock: fn() -> u64,
}

impl Default for Style {
    fn default() -> Self {
        Self { client: None, kinds: Vec::new(), json: false, zone: Zone::utc(), clock: wall_ms }
    }
}

impl Style {
    fn wants(&self, kind: &EventKind) -> bool {
        self.client.as_deref().is_none_or(|client| kind.id() == Some(client))
            && (self.kinds.is_empty() || self.kinds.iter().any(|name| name == kind.name()))
    }

    /// Writes an event, unless it is not wanted. Returns false if nobody reads.
    ///
    /// # Errors
    /// If `out` cannot be written for another reason.
    pub fn write(&self, event: &Event, out: &mut impl Write) -> io::Result<bool> {
        if !self.wants(&event.kind) {
            return Ok(true);
        }
        let line = match self.json {
            true => envelope::event(event)?,
            false => {
                let time = self.zone.time(event.at_ms, (self.clock)());
                format!("{time} {}", events::describe(&event.kind))
            }
        };
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            // `pblink monitor | head` has what it wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            result => result.map(|()| true),
        }
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
    let mut failing = HashSet::new();
    while let Some(update) = updates.recv().await {
        match update {
            Update::Event(event) => {
                if !style.write(&event, out)? {
                    return Ok(());
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
            Update::Consumers(consumers) => {
                news(&consumers, &mut failing).iter().for_each(|news| tracing::warn!("{news}"));
            }
            Update::Links(_)
            | Update::LastLines(_)
            | Update::Gateways(_)
            | Update::Outages(_)
            | Update::Reports(_) => {}
        }
    }
    Ok(())
}

/// A line on which a consumer fails: its name, and the line's offset. `None`: it cannot go on at all.
type FailsAt = (String, Option<u64>);

/// Returns, in words, the lines on which consumers have begun to fail, and notes all on which they do.
fn news(consumers: &[ConsumerInfo], known: &mut HashSet<FailsAt>) -> Vec<String> {
    let mut news = Vec::new();
    let mut all = HashSet::new();
    for (consumer, line) in consumers.iter().flat_map(|c| c.failing.iter().map(move |l| (c, l))) {
        let place = (consumer.name.clone(), Some(line.offset));
        if !known.contains(&place) {
            let (name, client) = (events::clean(&consumer.name), events::id(&line.client));
            let Failing { offset, since, why, .. } = line;
            let why = events::clean(why);
            news.push(format!(
                "consumer {name} fails at {offset}, a line of {client}, since {since}: {why}"
            ));
        }
        all.insert(place);
    }
    for (consumer, stalled) in consumers.iter().filter_map(|c| Some((c, c.stalled.as_ref()?))) {
        let place = (consumer.name.clone(), None);
        if !known.contains(&place) {
            let (name, why) = (events::clean(&consumer.name), events::clean(&stalled.why));
            news.push(format!("consumer {name} cannot go on since {}: {why}", stalled.since));
        }
        all.insert(place);
    }
    *known = all;
    news
}

#[cfg(test)]
mod tests {
    use pblink_serve::control::ConsumerKind;

    use super::*;

    #[test]
    fn a_line_on_which_a_consumer_fails_is_news_once_and_again_when_it_had_worked() {
        let failing = |offset| Failing {
            client: "kitchen".into(),
            offset,
            since: "noon".into(),
            since_ms: 0,
            why: "it ended".into(),
        };
        let exec = |offsets: &[u64]| ConsumerInfo {
            name: "exec".into(),
            kind: ConsumerKind::Server,
            required: true,
            running: true,
            offset: 0,
            lag: 9,
            failing: offsets.iter().copied().map(failing).collect(),
            failing_clients: offsets.len() as u64,
            stalled: None,
        };
        let mut known = HashSet::new();
        let mut count = |offsets: &[u64]| news(&[exec(offsets)], &mut known).len();
        assert_eq!([&[7][..], &[7], &[7, 9], &[], &[7]].map(&mut count), [1, 0, 1, 0, 1]);
        let words = "consumer exec fails at 8, a line of kitchen, since noon: it ended";
        assert_eq!(news(&[exec(&[8])], &mut known), [words]);
    }
}

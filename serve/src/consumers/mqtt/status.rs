//! The state of each link, as retained messages: whoever subscribes learns it at once.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pblink_server::{Layer, LinkState, LinkStatus};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::client::{Publisher, Trouble, WINDOW};
use super::{Parts, home_assistant};
use crate::control::{Filter, History, Notice, Rfc3339, Source};
use crate::log::wall_ms;

/// Interval at which all links are looked at for what no event tells: last lines, times of acknowledgements.
const LOOK: Duration = Duration::from_secs(10);

/// Time for which events are gathered: a server that stops or starts changes all links at once.
const GATHER: Duration = Duration::from_millis(200);

/// A day, in milliseconds. It is none of the calendar: the server does not know in which time zone its users live.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Two begins of a state that are no further apart, in milliseconds, are the same one.
const SAME: u64 = 500;

/// The states of links that were published.
#[derive(Debug, Default)]
struct Published {
    /// Home Assistant knows the server.
    server: bool,
    /// Begin of the present state, and the text, by id.
    links: HashMap<String, (u64, String)>,
}

/// A link, as its topic has it.
#[derive(Debug, Serialize)]
struct Status {
    /// `up`, `down` or `waiting`: never connected since the log began.
    state: &'static str,
    /// Layer that is likely down.
    #[serde(skip_serializing_if = "Option::is_none")]
    likely: Option<Layer>,
    /// Since when, RFC 3339 in UTC.
    since: String,
    /// Time of the last line from the board, RFC 3339 in UTC.
    last_line: Option<String>,
    /// Time from write to acknowledgement of the last line to the board, in milliseconds.
    write_ack_ms: Option<f64>,
    /// Free memory of the ESP8266 in bytes.
    mem_free: Option<u64>,
    /// Outages so far.
    outages: u64,
    /// Those that began in the last 24 hours, as far as they are kept.
    outages_24h: u64,
    /// Lines that wait for the board.
    waiting: u64,
    /// The fingerprint of the board's key; null: it speaks the classic link.
    key: Option<String>,
}

/// Publishes the state of all links, then what changes. `anew`: Home Assistant wants to be told everything again; `came`
/// tells that there are links that this connection has not had.
pub(super) async fn run(
    parts: Parts<'_>,
    publisher: &Publisher,
    anew: &Notify,
    came: &Notify,
) -> Result<Infallible, Trouble> {
    let mut events = parts.hub.events();
    let mut entities = parts.mqtt.entities.watch();
    let mut published = Published::default();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut changed, mut all) = (BTreeSet::new(), true);
    let mut due = None;
    loop {
        tokio::select! {
            notice = events.next() => match notice {
                Some(Notice::Event(event)) => {
                    if let Some(id) = event.kind.id() {
                        changed.insert(id.to_owned());
                    }
                    due.get_or_insert_with(|| Instant::now() + GATHER);
                    continue;
                }
                Some(Notice::Lagged(_)) => {
                    all = true;
                    due.get_or_insert_with(|| Instant::now() + GATHER);
                    continue;
                }
                // The history ends with the server, and the consumer a little later.
                None => std::future::pending().await,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => due = None,
            _ = look.tick() => all = true,
            // Each device has other entities.
            Ok(()) = entities.changed() => {
                published = Published::default();
                all = true;
            }
            () = anew.notified() => {
                published = Published::default();
                all = true;
            }
        }
        let links = if all {
            parts.hub.links()
        } else {
            changed.iter().filter_map(|id| parts.hub.link(id)).collect()
        };
        changed.clear();
        all = false;
        let mut waiting = FuturesUnordered::new();
        if parts.mqtt.home_assistant && !std::mem::replace(&mut published.server, true) {
            let (topic, message) = home_assistant::server(parts.topics);
            waiting.push(publisher.publish(topic, message, true).await?.wait());
        }
        for link in links.into_iter().filter(|link| parts.consumer.wants(&link.id)) {
            let topic = parts.topics.of(&link.id, "status");
            let id = link.id.clone();
            let new = !published.links.contains_key(&id);
            if new {
                came.notify_one();
            }
            let Some(text) = published.note(parts, link) else { continue };
            waiting.push(publisher.publish(topic, text, true).await?.wait());
            // Behind its state: an entity begins with a value.
            if new && parts.mqtt.home_assistant {
                let (topic, message) = home_assistant::board(parts.topics, &id, &entities.borrow());
                waiting.push(publisher.publish(topic, message, true).await?.wait());
            }
            while waiting.len() >= WINDOW
                && let Some(acknowledged) = waiting.next().await
            {
                acknowledged?;
            }
        }
        while let Some(acknowledged) = waiting.next().await {
            acknowledged?;
        }
    }
}

impl Published {
    /// Notes the state of a link, and returns its text if it is another than before.
    fn note(&mut self, parts: Parts<'_>, link: LinkStatus) -> Option<String> {
        let (id, mut since_ms) = (link.id.clone(), wall_ms().saturating_sub(link.since_ms));
        let before = self.links.get(&id);
        // Computed anew, the same moment is a few milliseconds away.
        if let Some((known, _)) = before
            && known.abs_diff(since_ms) < SAME
        {
            since_ms = *known;
        }
        // Plain fields: it cannot fail.
        let text = serde_json::to_string(&of(parts, link, since_ms)).unwrap_or_default();
        if before.is_some_and(|(_, before)| *before == text) {
            return None;
        }
        self.links.insert(id, (since_ms, text.clone()));
        Some(text)
    }
}

/// Returns the number of outages of a link that began in the 24 hours before `now_ms`, milliseconds since 1970.
fn of_a_day(history: &History, id: &str, now_ms: u64) -> u64 {
    let since_ms = now_ms.saturating_sub(DAY);
    let filter = Filter { since_ms, client: Some(id), ..Filter::default() };
    let outages = history.outages(filter).outages;
    outages.iter().filter(|outage| outage.began_ms >= since_ms).count() as u64
}

fn of(parts: Parts<'_>, link: LinkStatus, since_ms: u64) -> Status {
    let lines = parts.log.client(&link.id);
    let (state, likely) = match link.state {
        LinkState::Up => ("up", None),
        LinkState::Waiting => ("waiting", None),
        LinkState::Down { layer, .. } => ("down", Some(layer)),
    };
    Status {
        state,
        likely,
        since: Rfc3339(since_ms).to_string(),
        last_line: lines.last.map(|line| Rfc3339(line.at_ms).to_string()),
        write_ack_ms: link.write_ack_us.map(|us| us as f64 / 1000.0),
        mem_free: link.mem_free,
        outages: link.outages,
        outages_24h: of_a_day(parts.hub.history(), &link.id, wall_ms()),
        waiting: lines.waiting as u64,
        key: link.key,
    }
}

#[cfg(test)]
mod tests {
    use pblink_server::{Cause, Event, EventKind};

    use super::*;

    #[test]
    fn an_outage_counts_for_24_hours_from_its_begin() {
        const T0: u64 = 1_800_000_000_000;
        const HOUR: u64 = DAY / 24;
        let history = History::new(100);
        let push = |at_ms: u64, kind: EventKind| {
            history.push(Event { seq: history.last() + 1, at_ms, kind });
        };
        let outage = |id: &str, began_ms: u64, lasted_ms: u64| {
            let (id, cause, layer) = (id.to_owned(), Cause::Silent, Layer::Wifi);
            push(began_ms, EventKind::OutageBegan { id: id.clone(), cause, layer });
            let (peer, connects) = (String::new(), 2);
            let ended = EventKind::OutageEnded { id, peer, lasted_ms, connects };
            push(began_ms + lasted_ms, ended);
        };
        outage("a", T0, 1000);
        // It lasts into the day after its own, and counts no longer for that.
        outage("a", T0 + HOUR, 10 * HOUR);
        outage("b", T0 + HOUR, 1000);
        outage("a", T0 + 20 * HOUR, 1000);
        for (now_ms, count) in [
            (T0 + 20 * HOUR + 1000, 3),
            (T0 + DAY, 3),
            (T0 + DAY + 1, 2),
            (T0 + DAY + HOUR, 2),
            (T0 + DAY + HOUR + 1, 1),
            (T0 + DAY + 20 * HOUR, 1),
            (T0 + DAY + 20 * HOUR + 1, 0),
        ] {
            assert_eq!(of_a_day(&history, "a", now_ms), count, "{} h", (now_ms - T0) / HOUR);
        }
        assert_eq!(of_a_day(&history, "c", T0), 0);
    }
}

//! The past in the log: events of earlier servers, and the time in which none was running.

use std::collections::HashMap;

use pblink_server::{Event, EventKind};

use crate::control::History;
use crate::log::{EngineError, EventRow, Log, Past, wall_ms};
use crate::times::span_ms;

/// Events that are read at a time.
const PAGE: usize = 1000;

/// The state of the history after a recall.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    /// Number of the newest event of an earlier run.
    pub last: u64,
    /// Outages of each link that began before this run, as far as they are known.
    pub outages: HashMap<String, u64>,
}

/// End of the last server, from the events.
#[derive(Debug, Default)]
struct Ended {
    any: bool,
    /// It was stopped, and nothing else.
    stopped: bool,
    /// Time of its last event.
    at_ms: u64,
}

/// Takes the events of earlier runs into `history`, and adds that no server was running since. Nothing else may have
/// been added before.
///
/// # Errors
/// If the log cannot be read.
pub(crate) async fn recall(
    history: &History,
    log: &Log,
    past: Past,
) -> Result<Recalled, EngineError> {
    let mut ended = Ended::default();
    // All that the log keeps: an outage of last week is behind many reports.
    let mut after = 0;
    loop {
        let rows = log.events(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        for EventRow { id, at_ms, json, .. } in rows {
            // A kind that only a newer server knows has to wait until that one reads it again.
            let Ok(kind) = serde_json::from_str(&json) else { continue };
            ended.take(at_ms, &kind);
            history.recall(Event { seq: id, at_ms, kind });
        }
    }
    // Some may have been deleted.
    history.continue_after(past.last_event);
    let last = history.last();
    let now_ms = wall_ms();
    if let Some(absence) = ended.absence(past.alive_ms, now_ms) {
        history.add_with(now_ms, absence, |event, class| log.event(event, class));
    }
    for (id, why) in past.damaged {
        let kind = EventKind::SessionDamaged { id, why };
        history.add_with(now_ms, kind, |event, class| log.event(event, class));
    }
    Ok(Recalled { last, outages: history.outage_counts() })
}

impl Ended {
    fn take(&mut self, at_ms: u64, kind: &EventKind) {
        match kind {
            EventKind::Stopped => self.stopped = true,
            EventKind::Listening { .. } => self.stopped = false,
            // What an application says after the server's end.
            EventKind::Note { .. } if self.stopped => return,
            _ => {}
        }
        (self.any, self.at_ms) = (true, at_ms);
    }

    /// Returns the time in which no server was running; `None` if there was none before.
    fn absence(&self, alive_ms: u64, now_ms: u64) -> Option<EventKind> {
        let Self { any, stopped, at_ms } = *self;
        if !any && alive_ms == 0 {
            return None;
        }
        let ended_ms = if stopped { at_ms } else { at_ms.max(alive_ms) };
        let lasted_ms = span_ms(ended_ms, now_ms);
        // A clock that was set says nothing: an outage must not begin in the future, or fifty years ago.
        let began_ms = now_ms - lasted_ms;
        Some(EventKind::ServerWasDown { began_ms, lasted_ms, stopped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_772_366_400_000;

    fn absence(
        events: &[(u64, EventKind)],
        alive_ms: u64,
        now_ms: u64,
    ) -> Option<(u64, u64, bool)> {
        let mut ended = Ended::default();
        for (at_ms, kind) in events {
            ended.take(*at_ms, kind);
        }
        match ended.absence(alive_ms, now_ms)? {
            EventKind::ServerWasDown { began_ms, lasted_ms, stopped } => {
                Some((began_ms, lasted_ms, stopped))
            }
            other => panic!("{other:?}"),
        }
    }

    fn listening(at_ms: u64) -> (u64, EventKind) {
        (at_ms, EventKind::Listening { address: "127.0.0.1:1".into() })
    }

    #[test]
    fn the_first_server_was_not_away() {
        assert_eq!(absence(&[], 0, NOON), None);
    }

    #[test]
    fn a_stop_is_distinguished_from_a_death() {
        let note = EventKind::Note { id: None, text: "bye".into() };
        let stopped = [listening(NOON), (NOON + 10, EventKind::Stopped), (NOON + 900, note)];
        // The mark is later than the event: what follows a stop is no service.
        assert_eq!(absence(&stopped, NOON + 20, NOON + 1_010), Some((NOON + 10, 1_000, true)));
        let died = [listening(NOON), (NOON + 10, EventKind::Stopped), listening(NOON + 20)];
        assert_eq!(absence(&died, NOON + 40, NOON + 100), Some((NOON + 40, 60, false)));
        let later = [listening(NOON), listening(NOON + 50)];
        assert_eq!(absence(&later, NOON + 40, NOON + 100), Some((NOON + 50, 50, false)));
        assert_eq!(absence(&[], NOON, NOON + 100), Some((NOON, 100, false)));
    }

    #[test]
    fn a_clock_that_was_set_makes_no_outage_of_fifty_years() {
        assert_eq!(absence(&[listening(NOON)], NOON, NOON - 5), Some((NOON - 5, 0, false)));
        assert_eq!(absence(&[listening(0)], 0, NOON), Some((NOON, 0, false)));
        assert_eq!(absence(&[listening(7)], 9, 0), Some((0, 0, false)));
    }
}

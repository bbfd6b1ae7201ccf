//! `demo`: what the seed's demo does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pblink_server::{Delivery, LinkState};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Consumer, Passed, print};
use crate::hub::Hub;
use crate::log::{Line, Log, Outgoing, Sent};

/// Pause between two lines of the demo: the seed's.
const EVERY: Duration = Duration::from_secs(5);

/// Interval at which it looks for clients that are new.
const LOOK: Duration = Duration::from_millis(250);

/// The last list of three that each client sent.
type Latest = Mutex<HashMap<Arc<str>, Value>>;

/// Sends each client a list of three every five seconds: a count, and the last two numbers of what the client
/// sent; and hands out all lines. A client gets the next list when it has acknowledged the last one. It is
/// read meanwhile: a board that is away has sent its lines before it acknowledges ours.
pub(super) async fn run(
    hub: Arc<Hub>,
    log: Log,
    consumer: &Consumer,
    passed: mpsc::Sender<Passed>,
    ending: CancellationToken,
) {
    let latest = Latest::default();
    let read = print::run(log.clone(), consumer, passed.clone(), ending.clone(), |line| {
        note(&latest, line)
    });
    let write = async {
        tokio::select! {
            () = write(&hub, &log, consumer, &latest, &passed) => {}
            () = ending.cancelled() => {}
        }
    };
    tokio::join!(read, write);
}

fn note(latest: &Latest, line: &Line) {
    match serde_json::from_str::<Value>(&line.text) {
        Ok(list) if list.as_array().is_some_and(|list| list.len() == 3) => {
            let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
            latest.insert(Arc::clone(&line.client), list);
        }
        _ => tracing::info!(id = &*line.client, "not a list of three: {}", line.text),
    }
}

/// The demo's side of one client.
struct Turn {
    count: u64,
    at: Instant,
    sent: Option<Sent>,
}

async fn write(
    hub: &Hub,
    log: &Log,
    consumer: &Consumer,
    latest: &Latest,
    passed: &mpsc::Sender<Passed>,
) {
    let mut turns: HashMap<String, Turn> = HashMap::new();
    let mut pace = tokio::time::interval(LOOK);
    loop {
        let now = pace.tick().await;
        let links = hub.server().links();
        // Strangers come and go.
        turns.retain(|id, _| links.iter().any(|link| link.id == *id));
        for link in links {
            // One that never connected gets nothing that it would find old.
            if link.state == LinkState::Waiting || !consumer.wants(&link.id) {
                continue;
            }
            let turn = turns.entry(link.id.clone());
            let turn = turn.or_insert(Turn { count: 0, at: now, sent: None });
            let waits = (turn.sent.as_mut())
                .is_some_and(|sent| sent.done.try_recv() == Err(TryRecvError::Empty));
            if waits || now < turn.at {
                continue;
            }
            let mut data = {
                let latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                latest.get(&*link.id).cloned().unwrap_or_else(|| json!([0, 0, 0]))
            };
            data[0] = turn.count.into();
            let line = data.to_string();
            let (client, text) = (link.id.as_str().into(), line.as_str().into());
            let outgoing = Outgoing { client, text, delivery: Delivery::ORDERED };
            match log.send(vec![outgoing], None).await {
                Ok(sent) => {
                    (turn.count, turn.at, turn.sent) = (turn.count + 1, now + EVERY, Some(sent));
                    // Whoever prints may have ended; the board gets its line.
                    let _ = passed.send(Passed::Sent { id: link.id, line }).await;
                }
                Err(error) => tracing::warn!(id = link.id, "the demo's line was not sent: {error}"),
            }
        }
    }
}

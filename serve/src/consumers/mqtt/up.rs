//! Lines of boards, to the broker.

use std::collections::HashSet;
use std::pin::pin;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::sync::{Notify, mpsc};

use super::client::{Publisher, Trouble, WINDOW};
use super::{Parts, Payload};
use crate::consumers::lanes::next_page;
use crate::consumers::{Cursor, Known};
use crate::control::{LineRecord, Source};
use crate::log::{Kind, Line};

/// Sends all lines behind those that were acknowledged, in the order of the log. Ends when the server does, and all lines
/// that are there were acknowledged. `came`: there are links that this connection has not had.
pub(super) async fn run(
    parts: Parts<'_>,
    cursor: &Cursor,
    publisher: &Publisher,
    came: &Notify,
) -> Result<(), Trouble> {
    let Parts { log, consumer, mqtt, topics, ending, .. } = parts;
    let (feed, mut lines) = mpsc::channel::<Line>(WINDOW);
    let after = cursor.reached();
    let mut reading = pin!(async move {
        let mut scanned = after;
        while let Some((page, seen)) = next_page(log, &consumer.name, scanned, ending).await {
            scanned = seen;
            for line in page {
                if feed.send(line).await.is_err() {
                    return;
                }
            }
        }
    });
    let (mut reads, mut more) = (true, true);
    // Each gives the offset of the line that is done with it: the line's last message.
    let mut waiting = FuturesOrdered::new();
    let mut entities = mqtt.entities.watch();
    // Those that were taken away while there was no connection are still in the broker.
    entities.mark_changed();
    // Links whose values of such entities the broker was told to forget.
    let mut emptied = HashSet::new();
    while more || !waiting.is_empty() {
        let (messages, done) = tokio::select! {
            Some(acknowledged) = waiting.next(), if !waiting.is_empty() => {
                note(cursor, acknowledged?);
                continue;
            }
            Ok(()) = entities.changed(), if waiting.len() < WINDOW => {
                emptied.clear();
                (empty(parts, &entities.borrow_and_update(), &mut emptied), None)
            }
            () = came.notified(), if waiting.len() < WINDOW => {
                (empty(parts, &entities.borrow(), &mut emptied), None)
            }
            line = lines.recv(), if more && waiting.len() < WINDOW => match line {
                Some(line) if line.kind == Kind::Line && consumer.wants(&line.client) => {
                    cursor.hand(line.offset);
                    let topic = topics.of(&line.client, "up");
                    let mut messages = vec![(topic, payload(mqtt.payload, &line), false)];
                    messages.extend(states(parts, &entities.borrow(), &line));
                    (messages, Some(line.offset))
                }
                Some(line) => {
                    cursor.skip(line.offset);
                    continue;
                }
                None => {
                    more = false;
                    continue;
                }
            },
            () = &mut reading, if reads => {
                reads = false;
                continue;
            }
        };
        let last = messages.len().saturating_sub(1);
        for (n, (topic, message, retained)) in messages.into_iter().enumerate() {
            // A line may have many values, and no more than that may be under way.
            while waiting.len() >= WINDOW
                && let Some(acknowledged) = waiting.next().await
            {
                note(cursor, acknowledged?);
            }
            let sent = publisher.publish(topic, message, retained).await?;
            let done = done.filter(|_| n == last);
            waiting.push_back(async move { sent.wait().await.map(|()| done) });
        }
    }
    Ok(())
}

fn note(cursor: &Cursor, done: Option<u64>) {
    if let Some(offset) = done {
        cursor.note(offset);
    }
}

/// Topic, text, and `true` if the broker is to keep it.
type Message = (String, Vec<u8>, bool);

/// Returns the messages by which the broker forgets values of entities that were taken away, for the links that have not
/// had them yet.
fn empty(parts: Parts<'_>, entities: &Known, emptied: &mut HashSet<String>) -> Vec<Message> {
    let Parts { hub, consumer, topics, .. } = parts;
    let mut links = hub.links();
    links.retain(|link| consumer.wants(&link.id) && emptied.insert(link.id.clone()));
    let of_link = |id: &str| {
        let gone = entities
            .gone_of(id)
            .into_iter()
            .map(|name| (topics.entity(id, name), Vec::new(), true));
        gone.collect::<Vec<_>>()
    };
    links.iter().flat_map(|link| of_link(&link.id)).collect()
}

/// Returns the values that a line has for entities. A line that is no JSON has none.
fn states(parts: Parts<'_>, entities: &Known, line: &Line) -> Vec<Message> {
    let mut of_board = entities.of(&line.client).peekable();
    // Most boards have none.
    if of_board.peek().is_none() {
        return Vec::new();
    }
    let Ok(json) = serde_json::from_str(&line.text) else { return Vec::new() };
    let states = of_board.filter_map(|entity| {
        let topic = parts.topics.entity(&line.client, &entity.name);
        Some((topic, entity.state(&json)?.into_bytes(), true))
    });
    states.collect()
}

fn payload(form: Payload, line: &Line) -> Vec<u8> {
    match form {
        Payload::Text => line.text.as_bytes().to_vec(),
        // Plain fields: it cannot fail.
        Payload::Json => serde_json::to_vec(&LineRecord::from(line)).unwrap_or_default(),
    }
}

//! Lines of boards, to the broker.

use std::pin::pin;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::sync::mpsc;

use super::client::{Publisher, Trouble, WINDOW};
use super::{Parts, Payload};
use crate::consumers::Cursor;
use crate::consumers::lanes::next_page;
use crate::control::LineRecord;
use crate::log::{Kind, Line};

/// Sends all lines behind those that were acknowledged, in the order of the log. Ends when the server does, and all lines
/// that are there were acknowledged.
pub(super) async fn run(
    parts: Parts<'_>,
    cursor: &Cursor,
    publisher: &Publisher,
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
    let mut waiting = FuturesOrdered::new();
    while more || !waiting.is_empty() {
        tokio::select! {
            Some(acknowledged) = waiting.next(), if !waiting.is_empty() => {
                let offset: u64 = acknowledged?;
                cursor.note(offset);
            }
            line = lines.recv(), if more && waiting.len() < WINDOW => match line {
                Some(line) if line.kind == Kind::Line && consumer.wants(&line.client) => {
                    cursor.hand(line.offset);
                    let topic = topics.of(&line.client, "up");
                    let sent = publisher.publish(topic, payload(mqtt.payload, &line), false);
                    let sent = sent.await?;
                    waiting.push_back(async move {
                        sent.wait().await.map(|()| line.offset)
                    });
                }
                Some(line) => cursor.skip(line.offset),
                None => more = false,
            },
            () = &mut reading, if reads => reads = false,
        }
    }
    Ok(())
}

fn payload(form: Payload, line: &Line) -> Vec<u8> {
    match form {
        Payload::Text => line.text.as_bytes().to_vec(),
        // Plain fields: it cannot fail.
        Payload::Json => serde_json::to_vec(&LineRecord::from(line)).unwrap_or_default(),
    }
}

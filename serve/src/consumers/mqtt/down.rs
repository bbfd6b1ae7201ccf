//! Messages of the broker, to boards.
//!
//! A message is acknowledged to the broker when its lines are in the log. One that cannot be taken is acknowledged too,
//! since it would come again for ever; why, is reported and told in the board's topic `error`. Messages that the broker
//! had *kept* (retained) are not taken: they would come again with each connection.
//!
//! The one command closes a link: nothing that the server can say restarts an ESP8266, and a link that is made anew is what a
//! restart would be for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pblink_server::{Connection, Delivery};
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::Parts;
use super::client::{Arrival, Publisher, Trouble};
use super::home_assistant::{BIRTH, RECONNECT};
use super::topics::Form;
use crate::control::Source;
use crate::log::{Outgoing, SendError};
use crate::message::Message;

/// Messages that are put into the log at a time: those to one board in one go.
const BATCH: usize = 256;

/// Pause before lines are tried again while the disk is full.
const RETRY: Duration = Duration::from_millis(200);

/// Characters of a refused message that are told.
const SHOWN: usize = 200;

/// Reason why a message is not taken.
#[derive(Debug)]
struct Refusal {
    /// The board that it names, if it names one.
    id: Option<String>,
    why: String,
}

/// The lines of one message.
#[derive(Debug)]
struct Taken {
    arrival: Arrival,
    lines: Vec<Outgoing>,
}

/// A message that can be taken.
#[derive(Debug)]
enum Read {
    /// Lines to this board.
    Lines(Arc<str>, Vec<Outgoing>),
    /// This link is to be made anew.
    Reconnect(Connection),
}

/// Takes messages until the connection ends. `anew`: Home Assistant wants to be told everything again.
pub(super) async fn run(
    parts: Parts<'_>,
    arrivals: &mut mpsc::Receiver<Arrival>,
    publisher: &Publisher,
    anew: &Notify,
) -> Result<Infallible, Trouble> {
    let mut batch = Vec::with_capacity(BATCH);
    while arrivals.recv_many(&mut batch, BATCH).await > 0 {
        let mut boards: Vec<(Arc<str>, Vec<Taken>)> = Vec::new();
        for arrival in batch.drain(..) {
            if arrival.topic == BIRTH {
                anew.notify_one();
                publisher.confirm(&arrival).await?;
                continue;
            }
            let (id, lines) = match read(parts, &arrival) {
                Ok(Read::Lines(id, lines)) => (id, lines),
                Ok(Read::Reconnect(link)) => {
                    let (name, id) = (&parts.consumer.name, link.id().escape_debug());
                    tracing::info!("{name}: the connection of \"{id}\" is closed, as asked");
                    link.close();
                    publisher.confirm(&arrival).await?;
                    continue;
                }
                Err(Refusal { id, why }) => {
                    refuse(parts, publisher, &arrival, id.as_deref(), &why).await?;
                    continue;
                }
            };
            let taken = Taken { arrival, lines };
            match boards.iter_mut().find(|(known, _)| *known == id) {
                Some((_, messages)) => messages.push(taken),
                None => boards.push((id, vec![taken])),
            }
        }
        let all = boards.into_iter().map(|(id, taken)| store(parts, publisher, id, taken));
        for stored in join_all(all).await {
            stored?;
        }
    }
    Err(Trouble::Gone)
}

/// Returns what a message asks for.
fn read(parts: Parts<'_>, arrival: &Arrival) -> Result<Read, Refusal> {
    let Parts { hub, consumer, topics, .. } = parts;
    let Some((id, form)) = topics.read(&arrival.topic) else {
        return Err(Refusal { id: None, why: "its topic names no board".to_owned() });
    };
    let refusal = |why: &str| Refusal { id: Some(id.clone()), why: why.to_owned() };
    if !consumer.wants(&id) || hub.link(&id).is_none() {
        return Err(refusal(
            "no such board is expected, or was ever here: check the id, and server.clients",
        ));
    }
    if arrival.retained {
        return Err(refusal(
            "it is retained: it would be sent again with each connection; publish without retain, and clear the \
             topic by an empty retained message",
        ));
    }
    let message = match form {
        Form::Command => return command(parts, &id, &arrival.payload).map_err(refusal),
        Form::Json => Message::from_json(&arrival.payload).map_err(|why| refusal(&why))?,
        Form::Text => {
            let text = str::from_utf8(&arrival.payload);
            let text = text.map_err(|_| refusal("it is no UTF-8 text"))?;
            Message { lines: vec![text.to_owned()], delivery: None }
        }
    };
    if message.lines.is_empty() {
        return Err(refusal("it has no line"));
    }
    let (client, delivery) = (Arc::<str>::from(id), message.delivery.unwrap_or(Delivery::ORDERED));
    let line = |text: String| Outgoing { client: Arc::clone(&client), text: text.into(), delivery };
    Ok(Read::Lines(Arc::clone(&client), message.lines.into_iter().map(line).collect()))
}

/// Returns what a command about a board asks for.
fn command(parts: Parts<'_>, id: &str, word: &[u8]) -> Result<Read, &'static str> {
    if word != RECONNECT.as_bytes() {
        return Err("the one command is \"reconnect\"");
    }
    let link = parts.hub.server().link(id).filter(Connection::is_up);
    link.map(Read::Reconnect).ok_or("the board is not connected")
}

/// Puts messages to one board into the log, in their order: all in one go, or one by one if they do not fit.
async fn store(
    parts: Parts<'_>,
    publisher: &Publisher,
    id: Arc<str>,
    messages: Vec<Taken>,
) -> Result<(), Trouble> {
    let all = messages.iter().flat_map(|taken| taken.lines.iter().cloned()).collect();
    if messages.len() > 1 && send(parts, all).await?.is_ok() {
        for taken in &messages {
            publisher.confirm(&taken.arrival).await?;
        }
        return Ok(());
    }
    for Taken { arrival, lines } in messages {
        match send(parts, lines).await? {
            Ok(()) => publisher.confirm(&arrival).await?,
            Err(why) => {
                refuse(parts, publisher, &arrival, Some(&id), &why.to_string()).await?;
            }
        }
    }
    Ok(())
}

/// Puts lines into the log, and waits for room on the disk if there is none.
async fn send(parts: Parts<'_>, lines: Vec<Outgoing>) -> Result<Result<(), SendError>, Trouble> {
    loop {
        match parts.log.send(lines.clone(), None).await {
            Ok(_) => return Ok(Ok(())),
            Err(SendError::DiskFull | SendError::Unavailable) => sleep(RETRY).await,
            // Not acknowledged: the next server gets them.
            Err(SendError::Stopped) => std::future::pending().await,
            Err(why) => return Ok(Err(why)),
        }
    }
}

/// Reports a message that is not taken, tells it to whoever listens, and lets the broker forget it.
async fn refuse(
    parts: Parts<'_>,
    publisher: &Publisher,
    arrival: &Arrival,
    id: Option<&str>,
    why: &str,
) -> Result<(), Trouble> {
    let (name, topic) = (&parts.consumer.name, arrival.topic.escape_debug());
    tracing::warn!("{name}: a message in {topic} is not sent to its board: {why}");
    if let Some(id) = id {
        let start: String = String::from_utf8_lossy(&arrival.payload).chars().take(SHOWN).collect();
        let told = json!({ "error": why, "topic": arrival.topic, "payload": start }).to_string();
        // The connection's end is noticed below.
        let _ = publisher.publish(parts.topics.of(id, "error"), told, false).await;
    }
    publisher.confirm(arrival).await
}

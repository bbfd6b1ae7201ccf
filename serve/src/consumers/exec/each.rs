//! A program for each client: its lines on stdin, and what goes to it on stdout.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use pblink_server::Delivery;
use tokio::time::{Instant, sleep};

use super::child::{self, Input, Mouth};
use super::output::Printed;
use super::trouble::{Trouble, Turn};
use super::{LAST, LOOK, MAX_PRINTED, MAX_PRINTED_BYTES, RETRY, Shop, is_ack, name, sendable};
use crate::consumers::lanes::Lane;
use crate::log::{Line, Outgoing, SendError};

/// Lines that may wait in the pipe to a program.
const AHEAD: usize = 64;

/// Lines of a program that are put into the log at once.
const BATCH: usize = 64;

/// End of a program's life.
#[derive(Debug)]
enum End {
    /// There are no more lines, or the log has ended.
    Over,
    /// It has ended by itself, or did something that cannot go on.
    Ended(String),
}

/// Runs programs on the lines of one client.
pub(super) async fn run(lane: Lane, shop: Arc<Shop>) {
    let client = Arc::clone(lane.client());
    let mut trouble = shop.trouble();
    // Lines that no program has read, or acknowledged.
    let mut given: VecDeque<Line> = VecDeque::new();
    loop {
        let Some(first) = given.front().map(|line| line.offset) else {
            match lane.next().await {
                Some(line) => given.push_back(line),
                None => return,
            }
            continue;
        };
        match trouble.turn(Some((&client, first)), lane.ending()).await {
            Turn::Try => {}
            Turn::Skip => {
                if lane.done(first, Vec::new()).await.is_err() {
                    return;
                }
                given.pop_front();
                continue;
            }
            Turn::End => return,
        }
        let permit = tokio::select! {
            permit = shop.children.acquire() => permit,
            () = lane.ending().cancelled() => return,
        };
        let began = Instant::now();
        let end = match shop.launch.start(Some(&client)) {
            Ok((input, mouth)) => {
                let life =
                    Life { shop: &shop, lane: &lane, given: &mut given, trouble: &mut trouble };
                life.live(input, mouth).await
            }
            Err(error) => End::Ended(format!("the program cannot be started: {error}")),
        };
        drop(permit);
        match end {
            End::Over => return,
            End::Ended(_) if lane.ending().is_cancelled() => return,
            End::Ended(why) => {
                let first = given.front().map(|line| (Arc::clone(&client), line.offset));
                trouble.on_end(first, began.elapsed(), &why);
            }
        }
    }
}

/// One program's life.
struct Life<'a> {
    shop: &'a Shop,
    lane: &'a Lane,
    given: &'a mut VecDeque<Line>,
    trouble: &'a mut Trouble,
}

impl Life<'_> {
    async fn live(mut self, input: Input, mut mouth: Mouth) -> End {
        let group = Arc::clone(&mouth.group);
        let pace = &self.shop.launch.pace;
        let ending = self.lane.ending();
        // When the server stops, a program has a while for the lines that are there.
        let limit = async {
            ending.cancelled().await;
            child::end(&group, pace).await;
            sleep(LAST).await;
        };
        let ack = self.shop.ack;
        let life = async {
            match ack {
                true => self.with_ack(input, &mut mouth).await,
                false => self.without_ack(input, &mut mouth).await,
            }
        };
        tokio::select! {
            end = life => end,
            () = limit => End::Over,
        }
    }

    async fn without_ack(&mut self, input: Input, mouth: &mut Mouth) -> End {
        let group = Arc::clone(&mouth.group);
        let Self { shop, lane, given, trouble } = self;
        let mut feeder = Feeder { lane, given, trouble, input: Some(input), ends: VecDeque::new() };
        let mut over = false;
        {
            let mut hearing = pin!(hear(shop, lane.client(), mouth));
            let mut feeding = pin!(feeder.feed());
            let fed = tokio::select! {
                _ = &mut hearing => None,
                fed = &mut feeding => Some(fed),
            };
            if let Some(fed) = fed {
                over = fed == Fed::Over;
                // Its input is closed: it is to end.
                tokio::select! {
                    _ = &mut hearing => {}
                    () = child::end(&group, &shop.launch.pace) => {
                        hearing.await;
                    }
                }
            }
        }
        if feeder.settle().await.is_err() || over {
            return End::Over;
        }
        End::Ended(mouth.end())
    }

    async fn with_ack(&mut self, input: Input, mouth: &mut Mouth) -> End {
        let group = Arc::clone(&mouth.group);
        let end = self.converse(input, mouth).await;
        // Its input is closed. What it prints now is not acknowledged.
        let draining = async { while mouth.next().await.is_some() {} };
        let killing = async {
            child::end(&group, &self.shop.launch.pace).await;
            std::future::pending().await
        };
        tokio::select! {
            () = draining => {}
            () = killing => {}
        }
        match end {
            Ok(()) => End::Over,
            Err(Some(why)) => End::Ended(why),
            Err(None) => End::Ended(mouth.end()),
        }
    }

    /// Gives one line after the other, each when the one before is acknowledged. An error: why it cannot go on, if
    /// that is not the program's end.
    async fn converse(
        &mut self,
        mut input: Input,
        mouth: &mut Mouth,
    ) -> Result<(), Option<String>> {
        let client = self.lane.client();
        let name = name(self.shop, client);
        let (mut outgoing, mut bytes) = (Vec::new(), 0);
        loop {
            let Some(line) = self.given.front().cloned() else {
                tokio::select! {
                    line = self.lane.next() => match line {
                        Some(line) => self.given.push_back(line),
                        None => return Ok(()),
                    },
                    printed = mouth.next(), if outgoing.len() < MAX_PRINTED => match printed {
                        None | Some(Printed::Closed) => return Err(None),
                        Some(Printed::Line(line)) if is_ack(&line) => return Err(Some(too_many())),
                        Some(printed) => {
                            keep(printed, &name, client, &mut outgoing, &mut bytes)?;
                        }
                    },
                }
                continue;
            };
            let end = input.put(&line.text);
            loop {
                tokio::select! {
                    biased;
                    printed = mouth.next() => match printed {
                        None | Some(Printed::Closed) => return Err(None),
                        Some(Printed::Line(line)) if is_ack(&line) => match input.read() >= end {
                            true => break,
                            false => return Err(Some(too_many())),
                        },
                        Some(printed) => keep(printed, &name, client, &mut outgoing, &mut bytes)?,
                    },
                    written = input.write() => if written.is_err() {
                        return Err(None);
                    },
                }
            }
            loop {
                match self.lane.done(line.offset, outgoing.clone()).await {
                    Ok(()) => break,
                    Err(
                        SendError::OutboxFull { .. } | SendError::DiskFull | SendError::Unavailable,
                    ) => sleep(RETRY).await,
                    Err(SendError::Stopped) => return Ok(()),
                    Err(error) => {
                        tracing::error!(
                            "{name}: what its program has printed cannot be sent: {error}"
                        );
                        outgoing.clear();
                    }
                }
            }
            (outgoing, bytes) = (Vec::new(), 0);
            self.given.pop_front();
            self.trouble.on_done(client, line.offset);
        }
    }
}

fn too_many() -> String {
    "the program acknowledged a line that it did not get".to_owned()
}

/// Keeps a line until it is acknowledged.
fn keep(
    printed: Printed,
    name: &str,
    client: &Arc<str>,
    outgoing: &mut Vec<Outgoing>,
    bytes: &mut usize,
) -> Result<(), Option<String>> {
    let Some(text) = sendable(printed, name) else { return Ok(()) };
    *bytes += text.len();
    if outgoing.len() == MAX_PRINTED || *bytes > MAX_PRINTED_BYTES {
        return Err(Some(format!(
            "the program printed more than {MAX_PRINTED} lines or {} KB without an acknowledgement",
            MAX_PRINTED_BYTES / 1024
        )));
    }
    let (client, text) = (Arc::clone(client), text.into());
    outgoing.push(Outgoing { client, text, delivery: Delivery::ORDERED });
    Ok(())
}

/// Puts what a program prints into the log, as fast as the client's outbox takes it, until the program has ended.
async fn hear(shop: &Shop, client: &Arc<str>, mouth: &mut Mouth) {
    let name = name(shop, client);
    while let Some(printed) = mouth.next().await {
        let mut lines = Vec::new();
        let mut next = Some(printed);
        while let Some(printed) = next {
            match sendable(printed, &name) {
                Some(line) if is_ack(&line) => {
                    tracing::warn!(
                        "{name}: its program acknowledges a line, and --exec-ack was not asked for"
                    );
                }
                Some(line) => lines.push(Outgoing {
                    client: Arc::clone(client),
                    text: line.into(),
                    delivery: Delivery::ORDERED,
                }),
                None => {}
            }
            next = if lines.len() < BATCH { mouth.ready() } else { None };
        }
        while !lines.is_empty() {
            match shop.log.send(lines.clone(), None).await {
                Ok(_) => break,
                Err(
                    SendError::OutboxFull { .. } | SendError::DiskFull | SendError::Unavailable,
                ) => sleep(RETRY).await,
                // The feeder learns it, too.
                Err(SendError::Stopped) => return,
                Err(error) => {
                    tracing::error!("{name}: what its program has printed cannot be sent: {error}");
                    break;
                }
            }
        }
    }
}

/// Gives lines to a program, and learns what it has read.
struct Feeder<'a> {
    lane: &'a Lane,
    given: &'a mut VecDeque<Line>,
    trouble: &'a mut Trouble,
    input: Option<Input>,
    /// The ends of the lines in the pipe, with their offsets.
    ends: VecDeque<(u64, u64)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Fed {
    Over,
    Broken,
}

impl Feeder<'_> {
    /// Gives lines until there are no more, or the program takes none. Then its input is closed.
    async fn feed(&mut self) -> Fed {
        let fed = self.work().await;
        if fed == Fed::Broken {
            // An error: the log has ended, which the caller learns, too.
            let _ = self.settle().await;
        }
        self.input = None;
        fed
    }

    async fn work(&mut self) -> Fed {
        if let Some(input) = &mut self.input {
            self.ends.extend(self.given.iter().map(|line| (input.put(&line.text), line.offset)));
        }
        let (mut over, mut pause) = (false, LOOK.0);
        loop {
            if self.settle().await.is_err() {
                return Fed::Over;
            }
            let Some(input) = &mut self.input else { return Fed::Over };
            let unread = !self.ends.is_empty();
            if over && !unread {
                return Fed::Over;
            }
            let (write, take) = (!input.is_empty(), !over && self.given.len() < AHEAD);
            tokio::select! {
                written = input.write(), if write || unread => if written.is_err() {
                    return Fed::Broken;
                },
                line = self.lane.next(), if take && !write => match line {
                    Some(line) => {
                        self.ends.push_back((input.put(&line.text), line.offset));
                        self.given.push_back(line);
                        pause = LOOK.0;
                    }
                    None => over = true,
                },
                () = sleep(pause), if unread => pause = (pause * 2).min(LOOK.1),
            }
        }
    }

    /// Notes the lines that the program has read as done.
    async fn settle(&mut self) -> Result<(), SendError> {
        let Some(input) = &self.input else { return Ok(()) };
        let read = input.read();
        let count = self.ends.iter().take_while(|(end, _)| *end <= read).count();
        let Some(last) = count.checked_sub(1) else { return Ok(()) };
        let offset = self.ends[last].1;
        self.lane.done(offset, Vec::new()).await?;
        self.ends.drain(..count);
        self.given.drain(..count);
        self.trouble.on_done(self.lane.client(), offset);
        Ok(())
    }
}

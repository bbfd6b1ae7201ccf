//! Pauses of a program that ends, and the line on which it does again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Pace;
use crate::log::Log;

/// Ends with the same line before it counts as the reason.
const AGAIN: u32 = 2;

/// A line by its client and offset.
pub(super) type Place = (Arc<str>, u64);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Trouble {
    log: Log,
    consumer: Arc<str>,
    pace: Pace,
    pause: Duration,
    until: Option<Instant>,
    /// The line that was the first when the program ended, and how often it was.
    line: Option<(Place, u32)>,
    /// The log's status names it; this is notified when it is to be passed over.
    skip: Option<Arc<Notify>>,
}

/// Next step with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Try it.
    Try,
    /// Pass over it: someone has asked for that.
    Skip,
    /// Nothing: all ends.
    End,
}

impl Trouble {
    pub(super) fn new(log: Log, consumer: Arc<str>, pace: Pace) -> Self {
        let pause = pace.first;
        Self { log, consumer, pace, pause, until: None, line: None, skip: None }
    }

    /// Notes that the program has ended, `ran` after its start, with `line` as the first that is not done.
    pub(super) fn on_end(&mut self, line: Option<Place>, ran: Duration, why: &str) {
        if ran >= self.pace.steady {
            self.pause = self.pace.first;
        }
        let pause = self.pause;
        self.until = Some(Instant::now() + pause);
        self.pause = (self.pause * 2).min(self.pace.longest);
        let before = self.line.take();
        if before.as_ref().map(|(place, _)| place) != line.as_ref() {
            self.forget(before.as_ref().map(|(place, _)| place));
        }
        let times = match (&before, &line) {
            (Some((known, times)), Some(line)) if known == line => times + 1,
            _ => 1,
        };
        if let Some((client, offset)) = &line
            && times >= AGAIN
        {
            let why = format!("{why}, {times} times");
            self.skip = Some(self.log.fails(&self.consumer, client, *offset, why));
        }
        // A line that nobody mends is not worth a report each minute.
        if times <= 3 || times % 10 == 0 {
            let at = line.as_ref().map_or_else(String::new, |(client, offset)| {
                format!(" with line {offset} of \"{}\" before it", client.escape_debug())
            });
            tracing::warn!("consumer {}: {why}{at}; trying again in {pause:?}", self.consumer);
        }
        self.line = line.map(|line| (line, times));
    }

    /// Lets the pauses begin anew.
    pub(super) fn calm(&mut self) {
        (self.pause, self.until) = (self.pace.first, None);
    }

    /// Notes that a line is done.
    pub(super) fn on_done(&mut self, client: &str, offset: u64) {
        if let Some(((known, at), _)) = &self.line
            && **known == *client
            && *at <= offset
        {
            let place = self.line.take();
            self.forget(place.as_ref().map(|(place, _)| place));
        }
    }

    fn forget(&mut self, place: Option<&Place>) {
        if self.skip.take().is_some()
            && let Some((client, _)) = place
        {
            self.log.works(&self.consumer, client);
        }
    }

    /// Returns true, once, if this line is to be passed over.
    pub(super) fn is_skipped(&mut self, client: &Arc<str>, offset: u64) -> bool {
        let asked = self.skip.is_some() && self.log.take_skip(&self.consumer, client, offset);
        if asked {
            (self.line, self.skip) = (None, None);
            self.calm();
            tracing::warn!(
                "consumer {} passes over line {offset} of \"{}\", as asked",
                self.consumer,
                client.escape_debug()
            );
        }
        asked
    }

    /// Returns true if the pause is over.
    pub(super) fn is_due(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    /// Waits until the program may be started for this line, if there is one.
    pub(super) async fn turn(
        &mut self,
        line: Option<(&Arc<str>, u64)>,
        ending: &CancellationToken,
    ) -> Turn {
        loop {
            if let Some((client, offset)) = line
                && self.is_skipped(client, offset)
            {
                return Turn::Skip;
            }
            let Some(until) = self.until else { return Turn::Try };
            let asked = async {
                match &self.skip {
                    Some(skip) => skip.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep_until(until) => {
                    self.until = None;
                    return Turn::Try;
                }
                () = asked => {}
                () = ending.cancelled() => return Turn::End,
            }
        }
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        let place = self.line.take();
        self.forget(place.as_ref().map(|(place, _)| place));
    }
}

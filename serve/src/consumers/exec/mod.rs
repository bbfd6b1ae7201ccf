//! `exec`: lines go to programs of the user, and what these print goes to the boards.
//!
//! One program for each client ([`each`]), started when there is a line for it, or one for all ([`all`]). A
//! line is done once the program has read it; with acknowledgements, once the program has printed one. Then the
//! cursor and the lines that it printed are one commit: exactly once from board to board.
//!
//! A program that ends is started again, after a pause that grows. A line on which it ends again and again is never
//! passed over by itself: the line's client waits, and the log's status says why.

mod all;
mod child;
mod each;
mod output;
mod speech;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use pblink_protocol::MAX_TEXT;
use pblink_protocol::tcp::line::Escaped;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Consumer, lanes};
use crate::hub::Hub;
use crate::log::Log;
use child::Launch;
use output::Printed;
use trouble::Trouble;

/// Programs of one consumer that run at a time, unless it is told otherwise.
const CHILDREN: usize = 1000;

/// Lines that a program may have printed since its last acknowledgement: as many as a client's outbox takes.
const MAX_PRINTED: usize = 1000;

/// Bytes of these.
const MAX_PRINTED_BYTES: usize = 256 * 1024;

/// First and longest pause between two looks at what a program has read.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// Time that a program's last output has after SIGKILL, when the server stops.
const LAST: Duration = Duration::from_millis(300);

/// Pause before lines are handed again to a client for which too many wait, or while the disk is full.
const RETRY: Duration = Duration::from_millis(200);

/// The longest line of JSON that the program for all may print, in bytes: each byte of a text may need six.
const MAX_JSON: usize = 6 * MAX_TEXT + 1024;

/// A program of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The command, for `sh -c`.
    pub command: String,
    /// One program for all clients, with lines as JSON both ways.
    pub all: bool,
    /// The program acknowledges lines.
    pub ack: bool,
    /// URL of the control API, for the program's environment.
    pub server: Option<String>,
    /// Programs of this consumer that run at a time, if each client has one: further clients wait. Default 1000.
    pub most: usize,
    /// Descriptors that the program may have by itself, if the server has given itself more than it was started with:
    /// programs that use `select`, or close each descriptor that they may have, would not bear that.
    pub descriptors: Option<u64>,
    /// The times of its life.
    pub pace: Pace,
}

/// The times of a program's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Pause before it is started again for the first time; each further one is twice as long. Default 1 s.
    pub first: Duration,
    /// The longest pause. Default 60 s.
    pub longest: Duration,
    /// Pauses begin anew after it ran for this long. Default 60 s.
    pub steady: Duration,
    /// Time between the end of its input and SIGTERM to its process group. Default 2 s.
    pub term: Duration,
    /// Time between the end of its input and SIGKILL. Default 5 s.
    pub kill: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            steady: Duration::from_secs(60),
            term: Duration::from_secs(2),
            kill: Duration::from_secs(5),
        }
    }
}

impl Exec {
    /// Returns a program for each client, with the default times.
    pub fn new(command: impl Into<String>) -> Self {
        let command = command.into();
        Self {
            command,
            all: false,
            ack: false,
            server: None,
            most: CHILDREN,
            descriptors: None,
            pace: Pace::default(),
        }
    }
}

/// Parts that the programs of one consumer share.
#[derive(Debug)]
struct Shop {
    launch: Launch,
    ack: bool,
    log: Log,
    children: Semaphore,
}

impl Shop {
    fn trouble(&self) -> Trouble {
        let consumer = Arc::clone(&self.launch.consumer);
        Trouble::new(self.log.clone(), consumer, self.launch.pace.clone())
    }
}

/// Runs a program for each client, or for all.
pub(super) async fn run(
    hub: Arc<Hub>,
    log: Log,
    consumer: &Consumer,
    exec: &Exec,
    ending: CancellationToken,
) {
    let launch = Launch {
        command: exec.command.clone(),
        consumer: consumer.name.as_str().into(),
        log: log.name().to_string(),
        server: exec.server.clone(),
        descriptors: exec.descriptors,
        max_line: if exec.all { MAX_JSON } else { MAX_TEXT.max(ACK_BYTES) },
        pace: exec.pace.clone(),
    };
    let children = Semaphore::new(exec.most);
    let shop = Arc::new(Shop { launch, ack: exec.ack, log: log.clone(), children });
    if exec.all {
        all::run(hub, shop, consumer, ending).await;
    } else {
        lanes::run(log, consumer, ending, |lane| each::run(lane, Arc::clone(&shop))).await;
    }
}

/// Bytes that an acknowledgement may have, blanks in it counted.
const ACK_BYTES: usize = 64;

/// Returns true for the line by which a program says that it has processed a line: `{"pblink":"done"}`, with blanks
/// as JSON allows them. It cannot be meant for a board: what begins so is the link's own.
fn is_ack(line: &str) -> bool {
    line.len() <= ACK_BYTES
        && line.trim_start().starts_with('{')
        && serde_json::from_str::<Value>(line).is_ok_and(|value| value == json!({"pblink": "done"}))
}

/// Returns a line that can be sent to a board. Others are reported, and left out.
fn sendable(printed: Printed, name: &str) -> Option<String> {
    let why = match printed {
        // An empty line is nothing to a board.
        Printed::Line(line) if line.is_empty() => return None,
        Printed::Closed => return None,
        Printed::Line(line) if line.len() <= MAX_TEXT => return Some(line),
        Printed::Line(_) | Printed::TooLong => format!("has more than {MAX_TEXT} bytes"),
        Printed::NotText => "is not valid UTF-8".to_owned(),
        Printed::Torn => "has no newline at its end".to_owned(),
    };
    tracing::warn!("{name}: a line that its program has printed {why}: not sent");
    None
}

/// Returns the name of a client's program, for people.
fn name(shop: &Shop, client: &str) -> String {
    format!("{} \"{}\"", shop.launch.consumer, Escaped(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_known_with_blanks_and_nothing_else_is_one() {
        for line in [r#"{"pblink":"done"}"#, r#" { "pblink" : "done" } "#] {
            assert!(is_ack(line), "{line}");
        }
        for line in ["", "done", "ok", r#"{"pblink":"done","x":1}"#, r#"{"pblink":{"done":1}}"#] {
            assert!(!is_ack(line), "{line}");
        }
    }
}

//! Lines of one link as they pass, and lines to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pblink_serve::log::{Kind, Line, Log, Outgoing, PageError};
use pblink_server::Delivery;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Lines that are kept.
const KEPT: usize = 500;
/// Lines of the log, those of other links included, that are looked through for those that passed before.
pub(super) const BEFORE: u64 = 1000;
/// Lines of one answer.
pub(super) const PAGE: usize = 200;
/// The longest wait for one.
pub(super) const WAIT: Duration = Duration::from_secs(10);
/// Pause after an error.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest wait for the acknowledgement of a line to a link.
pub(super) const ACKNOWLEDGE: Duration = Duration::from_secs(5);

/// A line of a link that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Wall clock of its arrival, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The text.
    pub text: String,
}

/// Lines behind a place in the log.
#[derive(Debug, Clone, Default)]
pub struct Passage {
    /// The place to go on from.
    pub after: u64,
    /// The lines.
    pub lines: Vec<Passed>,
}

/// The lines of a server, in this process or elsewhere.
pub trait Lines: Send + Sync {
    /// Waits for lines of a client behind a place; without a place, for the newest ones. It may return none.
    fn next(&self, client: String, after: Option<u64>) -> BoxFuture<'_, Result<Passage, String>>;

    /// Puts a line for a client into the log, and waits a little for its acknowledgement. Returns true if it has come.
    fn send(&self, client: String, text: String) -> BoxFuture<'_, Result<bool, String>>;

    /// Returns why nobody may send lines from here, if that is so, and the remedy.
    fn refusal(&self) -> Option<String> {
        None
    }
}

impl Lines for Log {
    fn next(&self, client: String, after: Option<u64>) -> BoxFuture<'_, Result<Passage, String>> {
        async move {
            let oldest = self.first() - 1;
            let after = after.unwrap_or_else(|| self.head().saturating_sub(BEFORE)).max(oldest);
            let page = match self.page(after, PAGE, Some(&client)).await {
                Ok(page) => page,
                // Deleted meanwhile.
                Err(PageError::Gone { first }) => {
                    return Ok(Passage { after: first - 1, lines: Vec::new() });
                }
                Err(error) => return Err(error.to_string()),
            };
            if page.lines.is_empty() && page.seen >= self.head() {
                // An end of the log ends the screen, too.
                let _ = timeout(WAIT, self.wait_beyond(page.seen)).await;
            }
            let lines = page.lines.iter().filter(|line| line.kind == Kind::Line);
            let passed = |line: &Line| Passed { at_ms: line.at_ms, text: line.text.to_string() };
            Ok(Passage { after: page.seen, lines: lines.map(passed).collect() })
        }
        .boxed()
    }

    fn send(&self, client: String, text: String) -> BoxFuture<'_, Result<bool, String>> {
        async move {
            let line =
                Outgoing { client: client.into(), text: text.into(), delivery: Delivery::ORDERED };
            let sent =
                Log::send(self, vec![line], None).await.map_err(|error| error.to_string())?;
            Ok(timeout(ACKNOWLEDGE, sent.done).await.is_ok_and(|done| done.is_ok()))
        }
        .boxed()
    }
}

/// The lines that the screen shows of one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// The link.
    pub client: String,
    /// The lines, oldest first.
    pub lines: VecDeque<Passed>,
    /// Why there are no more, if that is so.
    pub problem: Option<String>,
}

impl Watched {
    /// Takes in what has come.
    pub(super) fn take(&mut self, update: Result<Vec<Passed>, String>) {
        match update {
            Ok(lines) => {
                self.problem = None;
                self.lines.extend(lines);
                let surplus = self.lines.len().saturating_sub(KEPT);
                self.lines.drain(..surplus);
            }
            Err(problem) => self.problem = Some(problem),
        }
    }
}

/// View of a watcher: the link, and its lines or why there are none.
pub type Seen = (String, Result<Vec<Passed>, String>);

/// Follows the lines of a link until the receiver is dropped.
pub async fn watch(lines: Arc<dyn Lines>, client: String, seen: mpsc::Sender<Seen>) {
    let mut after = None;
    loop {
        let next = tokio::select! {
            next = lines.next(client.clone(), after) => next,
            () = seen.closed() => return,
        };
        let failed = next.is_err();
        let update = next.map(|passage| {
            after = Some(passage.after);
            passage.lines
        });
        let nothing = update.as_ref().is_ok_and(Vec::is_empty);
        if !nothing && seen.send((client.clone(), update)).await.is_err() {
            return;
        }
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

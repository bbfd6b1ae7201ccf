//! The lines to one client that the log has and that are not done, and which of them its session has.

use std::collections::VecDeque;
use std::sync::Arc;

use pblink_server::{Connection, Delivery, SessionState, WriteError};
use tokio::sync::oneshot;

use super::model::OutboxRow;

/// Lines to one client that may wait.
pub const MAX_LINES: usize = 1000;

/// Bytes of their texts. One line always fits if none waits.
pub const MAX_BYTES: usize = 256 * 1024;

/// A line that is in the log.
#[derive(Debug)]
struct Row {
    row: u64,
    at_ms: u64,
    text: Arc<str>,
    delivery: Delivery,
    /// Those who want to know when it is done.
    done: Vec<oneshot::Sender<()>>,
}

/// A queue of rows, oldest first. The first `fed` of them are in the session.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    rows: VecDeque<Row>,
    fed: usize,
    /// The link that has them; `None`: whatever there is first.
    link: Option<u64>,
    bytes: usize,
}

impl Outbox {
    /// Returns true if `lines` more with this many bytes fit. One line fits an empty outbox always.
    pub(super) fn fits(&self, lines: usize, bytes: usize) -> bool {
        (self.rows.len() + lines <= MAX_LINES && self.bytes + bytes <= MAX_BYTES)
            || (self.rows.is_empty() && lines <= 1)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns all rows, which are those of `client`.
    pub(super) fn rows(&self, client: &Arc<str>) -> Vec<OutboxRow> {
        let row = |row: &Row| OutboxRow {
            client: Arc::clone(client),
            row: row.row,
            at_ms: row.at_ms,
            text: Arc::clone(&row.text),
            delivery: row.delivery,
        };
        self.rows.iter().map(row).collect()
    }

    /// Adds a row that is committed.
    pub(super) fn push(&mut self, row: &OutboxRow) {
        self.bytes += row.text.len();
        let OutboxRow { row, at_ms, text, delivery, .. } = row;
        let (row, at_ms, text, delivery) = (*row, *at_ms, Arc::clone(text), *delivery);
        self.rows.push_back(Row { row, at_ms, text, delivery, done: Vec::new() });
    }

    /// Returns the state of the next session with the rows that this one may have sent.
    pub(super) fn hand_over(&mut self, mut state: SessionState) -> SessionState {
        let owed = self.rows.iter().take_while(|row| {
            state.owe_row(row.row, row.at_ms, Arc::clone(&row.text), row.delivery)
        });
        self.fed = owed.count();
        self.link = None;
        state
    }

    /// Gives the session as many rows as it takes. One that took the place of another has none.
    ///
    /// # Errors
    /// If the session refuses a row for good, though the log has checked it.
    pub(super) fn feed(&mut self, link: &Connection) -> Result<(), WriteError> {
        if self.link.replace(link.serial()).is_some_and(|old| old != link.serial()) {
            self.fed = 0;
        }
        while let Some(row) = self.rows.get(self.fed) {
            match link.post_row(row.row, &row.text, row.delivery) {
                Ok(()) => self.fed += 1,
                Err(WriteError::Full | WriteError::Closed) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns the number of the row that is the last of the `count` oldest.
    pub(super) fn last_of(&self, count: usize) -> Option<u64> {
        self.rows.get(count.checked_sub(1)?).map(|row| row.row)
    }

    /// Removes the `count` oldest rows, whose removal is committed.
    pub(super) fn done(&mut self, count: usize) {
        self.fed = self.fed.saturating_sub(count);
        for row in self.rows.drain(..count.min(self.rows.len())) {
            self.bytes -= row.text.len();
            for done in row.done {
                // Whoever waited may have gone away.
                let _ = done.send(());
            }
        }
    }

    /// Takes the rows up to and including this one out, since nobody knows their fate; nobody hears that they are done.
    pub(super) fn give_up(&mut self, up_to: u64, client: &Arc<str>) -> Vec<OutboxRow> {
        let count = self.rows.partition_point(|row| row.row <= up_to);
        let gone = self.rows(client).into_iter().take(count).collect();
        self.fed = self.fed.saturating_sub(count);
        for row in self.rows.drain(..count) {
            self.bytes -= row.text.len();
        }
        gone
    }

    /// Lets someone know when the row is done: at once if it is not here any more.
    pub(super) fn wait(&mut self, row: u64, done: oneshot::Sender<()>) {
        match self.rows.iter_mut().find(|waiting| waiting.row == row) {
            Some(waiting) => {
                waiting.done.retain(|other| !other.is_closed());
                waiting.done.push(done);
            }
            // Whoever waited may have gone away.
            None => drop(done.send(())),
        }
    }
}

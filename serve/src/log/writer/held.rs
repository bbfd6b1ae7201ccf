//! Lines to clients that a restore from a backup has left undetermined.

use std::sync::Arc;

use super::Writer;
use super::pending::{Answer, Pending, Reply};
use crate::log::Outgoing;
use crate::log::model::OutboxRow;

impl Writer {
    /// Puts into the commit that the undetermined lines of a client, or of all, go, and that they are sent if
    /// `send` says so.
    pub(super) fn release(&mut self, client: Option<&str>, send: bool, to: Answer) {
        let chosen = |row: &OutboxRow| client.is_none_or(|client| *row.client == *client);
        let lines = self.undetermined.iter().filter(|row| chosen(row)).map(|row| Outgoing {
            client: Arc::clone(&row.client),
            text: Arc::clone(&row.text),
            delivery: row.delivery,
        });
        let lines: Vec<_> = lines.collect();
        if send && let Err(error) = self.add_lines(&lines) {
            return drop(to.send(Err(error)));
        }
        let (rows, stay) = std::mem::take(&mut self.undetermined).into_iter().partition(chosen);
        self.undetermined = stay;
        let rows: Vec<OutboxRow> = rows;
        let released = rows.iter().map(|row| (Arc::clone(&row.client), row.row));
        self.pending.commit.released.extend(released);
        self.pending.replies.push(Reply::Released { rows, to });
        self.pending.urgent = true;
    }

    /// Takes lines back that there was no room to release.
    pub(super) fn hold_again(&mut self, pending: &mut Pending, mut rows: Vec<OutboxRow>) {
        pending.commit.released.clear();
        self.undetermined.append(&mut rows);
        self.undetermined.sort_by(|a, b| (&a.client, a.row).cmp(&(&b.client, b.row)));
    }
}

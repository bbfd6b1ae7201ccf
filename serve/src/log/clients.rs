//! Knowledge of each client's lines: the last one from it, and how many wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use super::model::{Kind, Line};

/// The lines of one client at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientLines {
    /// The last line from it; reports do not count.
    pub last: Option<Line>,
    /// Lines to it that are not done.
    pub waiting: usize,
}

/// All clients of which there is something to know.
#[derive(Debug, Default)]
pub(super) struct Clients(HashMap<Arc<str>, ClientLines>);

impl Clients {
    /// Takes in lines, in order.
    pub(super) fn note_lines(&mut self, lines: &[Line]) {
        // The lines of a client stand together: one look at the table for each client and commit.
        for run in lines.chunk_by(|a, b| Arc::ptr_eq(&a.client, &b.client)) {
            if let Some(last) = run.iter().rfind(|line| line.kind == Kind::Line) {
                self.at(&last.client).last = Some(last.clone());
            }
        }
    }

    /// Takes in lines of the past, in order: each counts unless a newer one is known.
    pub(super) fn note_old(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().filter(|line| line.kind == Kind::Line) {
            let client = self.at(&line.client);
            if client.last.as_ref().is_none_or(|last| last.offset < line.offset) {
                client.last = Some(line);
            }
        }
    }

    /// Takes in how many lines wait for a client.
    pub(super) fn note_waiting(&mut self, client: &Arc<str>, waiting: usize) {
        match self.0.get_mut(client) {
            Some(known) => known.waiting = waiting,
            None if waiting == 0 => {}
            None => self.at(client).waiting = waiting,
        }
    }

    pub(super) fn forget(&mut self, client: &str) {
        self.0.remove(client);
    }

    pub(super) fn get(&self, client: &str) -> ClientLines {
        self.0.get(client).cloned().unwrap_or_default()
    }

    fn at(&mut self, client: &Arc<str>) -> &mut ClientLines {
        self.0.entry(Arc::clone(client)).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: &Arc<str>, offset: u64, kind: Kind) -> Line {
        let client = Arc::clone(client);
        Line { offset, client, epoch: 1, seq: 1, at_ms: 0, kind, text: "x".into() }
    }

    #[test]
    fn the_last_line_is_the_newest_one_that_is_no_report() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut clients = Clients::default();
        clients.note_lines(&[
            line(&a, 7, Kind::Line),
            line(&a, 8, Kind::Report),
            line(&b, 9, Kind::Report),
        ]);
        // The past is read while new lines come in.
        clients.note_old(vec![line(&a, 3, Kind::Line), line(&b, 4, Kind::Line)]);
        clients.note_waiting(&b, 2);
        clients.note_waiting(&"c".into(), 0);
        let last = |id: &str| clients.get(id).last.map(|line| line.offset);
        assert_eq!((last("a"), last("b"), last("c")), (Some(7), Some(4), None));
        assert_eq!((clients.get("b").waiting, clients.0.len()), (2, 2));
        clients.forget("a");
        assert_eq!(clients.get("a"), ClientLines::default());
    }
}

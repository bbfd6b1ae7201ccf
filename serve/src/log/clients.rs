//! Knowledge of each client's lines: the last one from it, and how many wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use super::model::{Kind, Line, SessionRow};

/// The lines of one client at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientLines {
    /// The last line from it; reports do not count.
    pub last: Option<LastLine>,
    /// Lines to it that are not done.
    pub waiting: usize,
}

/// The last line from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastLine {
    /// Its offset.
    pub offset: u64,
    /// Wall clock of its arrival, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The text. `None`: it was deleted before this process knew it, or is being read.
    pub text: Option<Arc<str>>,
}

/// All clients of which there is something to know.
#[derive(Debug, Default)]
pub(super) struct Clients(HashMap<Arc<str>, ClientLines>);

impl Clients {
    /// Takes in the sessions of a log that was opened.
    pub(super) fn open(&mut self, sessions: &[(Arc<str>, SessionRow)]) {
        for (client, session) in sessions.iter().filter(|(_, session)| session.last_line > 0) {
            let SessionRow { last_line: offset, last_line_ms: at_ms, .. } = *session;
            self.at(client).last = Some(LastLine { offset, at_ms, text: None });
        }
    }

    /// Takes in lines, in order.
    pub(super) fn note_lines(&mut self, lines: &[Line]) {
        // The lines of a client stand together: one look at the table for each client and commit.
        for run in lines.chunk_by(|a, b| Arc::ptr_eq(&a.client, &b.client)) {
            if let Some(last) = run.iter().rfind(|line| line.kind == Kind::Line) {
                let Line { offset, at_ms, ref text, .. } = *last;
                let text = Some(Arc::clone(text));
                self.at(&last.client).last = Some(LastLine { offset, at_ms, text });
            }
        }
    }

    /// Returns the offsets of last lines without their texts, in order.
    pub(super) fn untold(&self) -> Vec<u64> {
        let last = self.0.values().filter_map(|client| client.last.as_ref());
        let mut offsets: Vec<_> =
            last.filter(|last| last.text.is_none()).map(|last| last.offset).collect();
        offsets.sort_unstable();
        offsets
    }

    /// Takes in lines of the past. A client may have sent others meanwhile.
    pub(super) fn note_old(&mut self, lines: Vec<Line>) {
        for line in lines {
            if let Some(ClientLines { last: Some(last), .. }) = self.0.get_mut(&line.client)
                && last.offset == line.offset
            {
                last.text = Some(line.text);
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
        Line {
            offset,
            client,
            epoch: 1,
            seq: 1,
            at_ms: 0,
            kind,
            written_ms: None,
            text: "x".into(),
        }
    }

    #[test]
    fn the_last_line_is_the_newest_one_that_is_no_report() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut clients = Clients::default();
        let session =
            |last_line| SessionRow { last_line, last_line_ms: 9, ..SessionRow::default() };
        let silent = ("d".into(), session(0));
        clients.open(&[(Arc::clone(&a), session(3)), (Arc::clone(&b), session(4)), silent]);
        assert_eq!(clients.untold(), [3, 4]);
        assert_eq!(clients.get("a").last, Some(LastLine { offset: 3, at_ms: 9, text: None }));
        clients.note_lines(&[
            line(&a, 7, Kind::Line),
            line(&a, 8, Kind::Report),
            line(&b, 9, Kind::Report),
        ]);
        // The past is read while new lines come in.
        assert_eq!(clients.untold(), [4]);
        clients.note_old(vec![line(&a, 3, Kind::Line), line(&b, 4, Kind::Line)]);
        clients.note_waiting(&b, 2);
        clients.note_waiting(&"c".into(), 0);
        let last = |id: &str| clients.get(id).last.map(|last| (last.offset, last.text.is_some()));
        assert_eq!((last("a"), last("b"), last("c")), (Some((7, true)), Some((4, true)), None));
        assert_eq!((clients.get("b").waiting, clients.0.len()), (2, 2));
        clients.forget("a");
        assert_eq!(clients.get("a"), ClientLines::default());
    }
}

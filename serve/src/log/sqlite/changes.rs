//! Sessions in the file: a table of all, and behind it the changes since that was last brought up to date.
//!
//! A commit has a session for each client with a line in it. Written into the table, each would cost a page of 4 KB; as rows
//! behind one another, most of them with the few bytes that differ, they share one. From time to time the table takes them in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction};

use super::columns::shared;
use crate::log::SessionRow;

/// The first schema that has them.
const SCHEMA: u32 = 6;

/// Rows of changes at most, about: they have to be read at a start, and their states are in memory.
const MOST: usize = 4096;

/// The longest state that is written as a patch.
const LONGEST: usize = u16::MAX as usize;

/// Bytes of a patch before each piece: where it begins, and its length.
const HEAD: usize = 3;

/// Changes that are in the file and not in its table.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// States as they were last written, of clients with a row.
    states: HashMap<Arc<str>, Vec<u8>>,
    rows: usize,
}

impl Changes {
    /// Returns true if the table is to take them in before so many more are written.
    pub(super) fn is_full(&self, more: usize) -> bool {
        self.rows > 0 && self.rows + more > MOST
    }

    /// Writes sessions of a commit. They count as written once [`note`](Self::note) says so.
    pub(super) fn write(
        &self,
        tx: &Transaction<'_>,
        sessions: &[(Arc<str>, SessionRow)],
    ) -> rusqlite::Result<()> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO session_changes VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (client, session) in last_of_each(sessions) {
            let SessionRow { state, epoch, seq, last_row, last_line, last_line_ms } = session;
            let state = state.as_deref();
            let before = self.states.get(client);
            let patch = before.zip(state).and_then(|(before, state)| patch(before, state));
            let whole = if patch.is_none() { state } else { None };
            let row = (client, whole, patch, epoch, seq, last_row, last_line, last_line_ms);
            insert.execute(row)?;
        }
        Ok(())
    }

    /// Notes that sessions were written, and are on the disk.
    pub(super) fn note(&mut self, sessions: &[(Arc<str>, SessionRow)]) {
        self.rows += sessions.len();
        for (client, session) in last_of_each(sessions) {
            match (&session.state, self.states.get_mut(client)) {
                (Some(state), Some(known)) => known.clone_from(state),
                (Some(state), None) => {
                    self.states.insert(Arc::clone(client), state.clone());
                }
                (None, _) => drop(self.states.remove(client)),
            }
        }
    }

    /// Forgets what was written last: the next session of each client is written whole. For when it is not certain what the
    /// file has.
    pub(super) fn doubt(&mut self) {
        self.states.clear();
    }
}

/// Returns sessions, each client's last one only.
fn last_of_each(sessions: &[(Arc<str>, SessionRow)]) -> HashMap<&Arc<str>, &SessionRow> {
    sessions.iter().map(|(client, session)| (client, session)).collect()
}

/// Returns all sessions by their clients.
pub(super) fn sessions(db: &Connection) -> rusqlite::Result<BTreeMap<Arc<str>, SessionRow>> {
    let all = "SELECT client, state, epoch, seq, last_row, last_line, last_line_ms FROM sessions";
    let mut sessions = db
        .prepare(all)?
        .query_map([], |row| Ok((shared(row, 0)?, session(row, row.get(1)?, 2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    apply(db, &mut sessions)?;
    Ok(sessions)
}

/// Returns all sessions in a file of any schema, older ones with their states only.
pub(super) fn of_schema(
    db: &Connection,
    schema: u32,
) -> rusqlite::Result<BTreeMap<Arc<str>, SessionRow>> {
    if schema >= SCHEMA {
        return sessions(db);
    }
    let only = |state| SessionRow { state, ..SessionRow::default() };
    db.prepare("SELECT client, state FROM sessions")?
        .query_map([], |row| Ok((shared(row, 0)?, only(row.get(1)?))))?
        .collect()
}

/// Brings the table up to date.
pub(super) fn fold(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut changed = BTreeMap::new();
    apply(tx, &mut changed)?;
    if changed.is_empty() {
        return Ok(());
    }
    let mut insert =
        tx.prepare_cached("INSERT OR REPLACE INTO sessions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for (client, session) in changed {
        let SessionRow { state, epoch, seq, last_row, last_line, last_line_ms } = session;
        insert.execute((client, state, epoch, seq, last_row, last_line, last_line_ms))?;
    }
    tx.prepare_cached("DELETE FROM session_changes")?.execute([])?;
    Ok(())
}

/// Applies the changes in the file. The first one of each client has its whole state, so that nothing else is needed.
fn apply(db: &Connection, sessions: &mut BTreeMap<Arc<str>, SessionRow>) -> rusqlite::Result<()> {
    let mut all = db.prepare_cached(
        "SELECT client, whole, patch, epoch, seq, last_row, last_line, last_line_ms
         FROM session_changes ORDER BY id",
    )?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let client = shared(row, 0)?;
        let before = sessions.get_mut(&client).and_then(|session| session.state.take());
        let state = match row.get_ref(2)?.as_blob_or_null()? {
            None => row.get(1)?,
            // One that does not fit leaves a state that cannot be read, which is what becomes of damaged ones anyway.
            Some(patch) => Some(patched(before.unwrap_or_default(), patch).unwrap_or_default()),
        };
        sessions.insert(client, session(row, state, 3)?);
    }
    Ok(())
}

/// Reads what a session has beside its state, from `column` on.
fn session(row: &Row<'_>, state: Option<Vec<u8>>, column: usize) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        state,
        epoch: row.get(column)?,
        seq: row.get(column + 1)?,
        last_row: row.get(column + 2)?,
        last_line: row.get(column + 3)?,
        last_line_ms: row.get(column + 4)?,
    })
}

/// Returns the pieces of a state that differ from the one before, each behind its place (two bytes, the low one first) and its
/// length. `None`: it has another length, or the whole is no longer.
fn patch(before: &[u8], state: &[u8]) -> Option<Vec<u8>> {
    if before.len() != state.len() || state.len() > LONGEST {
        return None;
    }
    let mut patch = Vec::new();
    let mut at = 0;
    while let Some(skipped) = (before[at..].iter().zip(&state[at..])).position(|(a, b)| a != b) {
        let begin = at + skipped;
        // Equal bytes that are fewer than a new piece's head belong to this one.
        let (mut end, mut next) = (begin + 1, begin + 1);
        while next < state.len() && next - end < HEAD && next - begin < u8::MAX as usize {
            if before[next] != state[next] {
                end = next + 1;
            }
            next += 1;
        }
        patch.extend_from_slice(&(begin as u16).to_le_bytes());
        patch.push((end - begin) as u8);
        patch.extend_from_slice(&state[begin..end]);
        if patch.len() >= state.len() {
            return None;
        }
        at = end;
    }
    Some(patch)
}

/// Applies a patch. `None`: it is none of this state.
fn patched(mut state: Vec<u8>, mut patch: &[u8]) -> Option<Vec<u8>> {
    while let Some((&[low, high, len], rest)) = patch.split_first_chunk() {
        let (piece, rest) = rest.split_at_checked(len.into())?;
        let begin = usize::from(u16::from_le_bytes([low, high]));
        state.get_mut(begin..begin + piece.len())?.copy_from_slice(piece);
        patch = rest;
    }
    patch.is_empty().then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_what_differs_and_nothing_else() {
        let before: Vec<u8> = (0..=255).cycle().take(1070).collect();
        let mut state = before.clone();
        assert_eq!(patch(&before, &state), Some(Vec::new()));
        (state[3], state[700], state[702]) = (200, 0, 0);
        let both = patch(&before, &state).unwrap();
        assert_eq!(both, [3, 0, 1, 200, 188, 2, 3, 0, 189, 0]);
        assert_eq!(patched(before.clone(), &both), Some(state));
    }

    #[test]
    fn any_patch_leads_to_its_state() {
        let mut random = fastrand::Rng::with_seed(7);
        for n in 0..2000 {
            let len = random.usize(0..1200);
            let before: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
            let mut state = before.clone();
            for _ in 0..n % 40 {
                let from = random.usize(0..=len);
                state[from..]
                    .iter_mut()
                    .take(random.usize(0..300))
                    .for_each(|b| *b ^= random.u8(..4));
            }
            let Some(patch) = patch(&before, &state) else { continue };
            assert!(patch.len() <= len);
            assert_eq!(patched(before, &patch), Some(state), "{n}");
        }
    }

    #[test]
    fn what_is_no_patch_of_a_state_is_refused() {
        assert_eq!(patch(&[1, 2], &[1]), None, "another length");
        assert_eq!(patch(&[0; 3], &[1; 3]), None, "the whole is no longer");
        for wrong in
            [&[1, 0][..], &[0, 0, 2, 9], &[3, 0, 1, 9], &[2, 0, 2, 9, 9], &[255, 255, 1, 9]]
        {
            assert_eq!(patched(vec![1, 2, 3], wrong), None, "{wrong:?}");
        }
    }
}

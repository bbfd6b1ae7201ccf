//! Deletion. No offset is given twice, and none is missing at the front without `first` saying so.

use rusqlite::{OptionalExtension, Transaction};

use super::{changes, meta, tables};
use crate::log::{EventClass, Line, Retention};

/// Rows of a table that one call deletes at most.
const PIECE: usize = 5000;

/// Rows that a purge looks at in one transaction.
const LOOK: u64 = 50_000;

/// The newest events of each class that are kept, at most. The last is out of reach of all but links that flap without
/// end: what happens to links is kept for as long as retention says.
const EVENTS: [(EventClass, u64); 3] =
    [(EventClass::Report, 200_000), (EventClass::Stranger, 50_000), (EventClass::Other, 1_000_000)];

/// Lines after which their weight is stored even if none is deleted, so that opening the log need not count them.
const COUNT: u64 = 100_000;

/// The outcome of [`retain`].
#[derive(Debug)]
pub(super) struct Retained {
    /// Offset of the oldest line, or of the next if there is none.
    pub first: u64,
    /// Weight of the lines that are gone.
    pub bytes: u64,
    /// There is more to delete.
    pub more: bool,
}

/// Deletes a piece of what `retention` does not want, up to offset `limit`. `next` and `bytes`: of the log before.
pub(super) fn retain(
    tx: &Transaction<'_>,
    retention: Retention,
    limit: u64,
    next: u64,
    bytes: u64,
) -> rusqlite::Result<Retained> {
    let newest: u64 = next - 1;
    let limit = limit.min(newest.saturating_sub(1));
    let (mut cut, mut gone, mut rows, mut more) = (None, 0, 0, false);
    let mut oldest = tx.prepare_cached(
        "SELECT offset, at_ms, octet_length(text) FROM lines WHERE offset <= ?1 ORDER BY offset LIMIT ?2",
    )?;
    let mut lines = oldest.query((limit, PIECE as i64 + 1))?;
    while let Some(line) = lines.next()? {
        let (offset, at_ms, text): (u64, u64, u64) = (line.get(0)?, line.get(1)?, line.get(2)?);
        if at_ms >= retention.before_ms && bytes.saturating_sub(gone) <= retention.max_bytes {
            break;
        }
        if rows == PIECE {
            more = true;
            break;
        }
        (cut, gone, rows) = (Some(offset), gone + text + Line::OVERHEAD, rows + 1);
    }
    drop(lines);
    if let Some(cut) = cut {
        tx.prepare_cached("DELETE FROM lines WHERE offset <= ?1")?.execute([cut])?;
    }
    let first = match cut {
        Some(_) => note(tx, next, bytes.saturating_sub(gone))?,
        None => {
            let counted: u64 = meta::get(tx, "counted")?.unwrap_or(1);
            if next > counted + COUNT {
                note(tx, next, bytes)?;
            }
            meta::get(tx, "first")?.unwrap_or(1)
        }
    };
    more |= retain_rest(tx, retention.before_ms)?;
    Ok(Retained { first, bytes: gone, more })
}

/// Deletes a piece of the events and keys that are older. Returns true if there are more.
fn retain_rest(tx: &Transaction<'_>, before_ms: u64) -> rusqlite::Result<bool> {
    let mut more = delete_events(tx, "at_ms < ?1", before_ms)?;
    for (class, most) in EVENTS {
        // The newest one that is too much.
        let oldest: Option<u64> = tx
            .prepare_cached(
                "SELECT id FROM events WHERE class = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2",
            )?
            .query_row((tables::ClassCode(class), most), |row| row.get(0))
            .optional()?;
        if let Some(oldest) = oldest {
            let class = match class {
                EventClass::Other => "class = 0 AND id <= ?1",
                EventClass::Report => "class = 1 AND id <= ?1",
                EventClass::Stranger => "class = 2 AND id <= ?1",
            };
            more |= delete_events(tx, class, oldest)?;
        }
    }
    let deleted = tx
        .prepare_cached(
            "DELETE FROM keys WHERE (client, key) IN
             (SELECT client, key FROM keys WHERE at_ms < ?1 LIMIT ?2)",
        )?
        .execute((before_ms, PIECE as i64))?;
    Ok(more || deleted == PIECE)
}

/// Deletes a piece of the events that fulfil a condition on a number. Returns true if there may be more.
fn delete_events(tx: &Transaction<'_>, of: &str, number: u64) -> rusqlite::Result<bool> {
    if !tx.prepare_cached(&format!("SELECT 1 FROM events WHERE {of}"))?.exists([number])? {
        return Ok(false);
    }
    note_event(tx)?;
    let delete = format!(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE {of} ORDER BY id LIMIT ?2)"
    );
    Ok(tx.prepare_cached(&delete)?.execute((number, PIECE as i64))? == PIECE)
}

/// Notes first and next offset, and the weight of the lines, all as of now. Returns the first offset.
fn note(tx: &Transaction<'_>, next: u64, bytes: u64) -> rusqlite::Result<u64> {
    let first = tx
        .query_row("SELECT min(offset) FROM lines", [], |row| row.get(0))
        .optional()?
        .flatten()
        .unwrap_or(next);
    meta::set(tx, "first", first)?;
    meta::set(tx, "next", next)?;
    meta::set(tx, "bytes", bytes)?;
    meta::set(tx, "counted", next)?;
    Ok(first)
}

/// The outcome of [`purge_lines`].
#[derive(Debug)]
pub(super) struct Purged {
    /// Weight of the lines that are gone.
    pub bytes: u64,
    /// The offset up to which it has come; `None`: to the end.
    pub seen: Option<u64>,
}

/// Deletes lines of a client behind `after`, as far as one transaction should go.
pub(super) fn purge_lines(
    tx: &Transaction<'_>,
    client: &str,
    after: u64,
    next: u64,
    bytes: u64,
) -> rusqlite::Result<Purged> {
    let seen: Option<u64> = tx
        .prepare_cached(
            "SELECT offset FROM lines WHERE offset > ?1 ORDER BY offset LIMIT 1 OFFSET ?2",
        )?
        .query_row((after, LOOK), |row| row.get(0))
        .optional()?;
    let to = seen.unwrap_or(next);
    let (texts, lines): (u64, u64) = tx
        .prepare_cached(
            "SELECT coalesce(sum(octet_length(text)), 0), count(*) FROM lines
             WHERE offset > ?1 AND offset <= ?2 AND client = ?3",
        )?
        .query_row((after, to, client), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let gone = texts + lines * Line::OVERHEAD;
    tx.prepare_cached("DELETE FROM lines WHERE offset > ?1 AND offset <= ?2 AND client = ?3")?
        .execute((after, to, client))?;
    note(tx, next, bytes.saturating_sub(gone))?;
    Ok(Purged { bytes: gone, seen })
}

/// Deletes what else is kept of a client.
pub(super) fn purge_rest(tx: &Transaction<'_>, client: &str) -> rusqlite::Result<()> {
    changes::fold(tx)?;
    tables::forget(tx, client)?;
    note_event(tx)?;
    for delete in [
        "DELETE FROM outbox WHERE client = ?1",
        "DELETE FROM cursors WHERE client = ?1",
        "DELETE FROM events WHERE json_extract(json, '$.id') = ?1",
    ] {
        tx.execute(delete, [client])?;
    }
    Ok(())
}

/// Notes the number of the next event, before events are deleted.
fn note_event(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    meta::set(tx, "next_event", tables::next_event(tx)?)
}

//! Values in tables.

use pblink_server::Delivery;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, Transaction};

use super::changes::{self, Changes};
use super::columns::shared;
use super::meta;
use crate::log::{
    Commit, Cursor, EventClass, EventRow, KeyRow, Kind, Line, Loaded, LogName, OutboxRow,
};

/// The columns of a line, in the order that [`line`] reads.
pub(super) const LINE: &str = "offset, client, epoch, seq, at_ms, kind, text, written_ms";

struct KindCode(Kind);

impl ToSql for KindCode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self.0 {
            Kind::Line => 0_i64,
            Kind::Report => 1,
        }))
    }
}

impl FromSql for KindCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self(Kind::Line)),
            1 => Ok(Self(Kind::Report)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

pub(super) struct ClassCode(pub(super) EventClass);

impl ToSql for ClassCode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self.0 {
            EventClass::Other => 0_i64,
            EventClass::Report => 1,
            EventClass::Stranger => 2,
        }))
    }
}

impl FromSql for ClassCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self(EventClass::Other)),
            1 => Ok(Self(EventClass::Report)),
            2 => Ok(Self(EventClass::Stranger)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

struct DeliveryCode(Delivery);

impl ToSql for DeliveryCode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self.0 {
            Delivery::Guaranteed { ordered: true } => 0_i64,
            Delivery::Guaranteed { ordered: false } => 1,
            Delivery::BestEffort => 2,
        }))
    }
}

impl FromSql for DeliveryCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self(Delivery::Guaranteed { ordered: true })),
            1 => Ok(Self(Delivery::Guaranteed { ordered: false })),
            2 => Ok(Self(Delivery::BestEffort)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// Reads a line from [`LINE`].
pub(super) fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        offset: row.get(0)?,
        client: shared(row, 1)?,
        epoch: row.get(2)?,
        seq: row.get(3)?,
        at_ms: row.get(4)?,
        kind: row.get::<_, KindCode>(5)?.0,
        text: shared(row, 6)?,
        written_ms: row.get(7)?,
    })
}

/// The columns of an event, in the order that [`event`] reads.
pub(super) const EVENT: &str = "id, at_ms, json, class";

/// Reads an event from [`EVENT`].
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    let class = row.get::<_, ClassCode>(3)?.0;
    Ok(EventRow { id: row.get(0)?, at_ms: row.get(1)?, json: row.get(2)?, class })
}

/// Returns the offset of the next line. No offset is given twice, even if all lines are gone.
pub(super) fn next(db: &Connection) -> rusqlite::Result<u64> {
    let last: Option<u64> = db.query_row("SELECT max(offset) FROM lines", [], |row| row.get(0))?;
    let stored = meta::get(db, "next")?.unwrap_or(1);
    Ok(last.map_or(1, |last| last + 1).max(stored))
}

/// Returns the number of the next event.
pub(super) fn next_event(db: &Connection) -> rusqlite::Result<u64> {
    let last: Option<u64> = db.query_row("SELECT max(id) FROM events", [], |row| row.get(0))?;
    let stored = meta::get(db, "next_event")?.unwrap_or(1);
    Ok(last.map_or(1, |last| last + 1).max(stored))
}

/// Returns the weight of all lines, see [`Line::weight`].
pub(super) fn weight(db: &Connection) -> rusqlite::Result<u64> {
    let known: u64 = meta::get(db, "bytes")?.unwrap_or(0);
    let counted: u64 = meta::get(db, "counted")?.unwrap_or(1);
    let mut rest = db.prepare(
        "SELECT coalesce(sum(octet_length(text)), 0), count(*) FROM lines WHERE offset >= ?1",
    )?;
    let (bytes, lines): (u64, u64) =
        rest.query_row([counted], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(known + bytes + lines * Line::OVERHEAD)
}

/// Reads everything but lines and events.
pub(super) fn load(db: &Connection) -> rusqlite::Result<Loaded> {
    let next = next(db)?;
    Ok(Loaded {
        name: LogName {
            id: meta::get(db, "id")?.unwrap_or_default(),
            generation: meta::get(db, "generation")?.unwrap_or(1),
        },
        first: meta::get(db, "first")?.unwrap_or(1),
        next,
        next_event: next_event(db)?,
        sessions: changes::sessions(db)?.into_iter().collect(),
        outbox: outbox(db, false)?,
        undetermined: outbox(db, true)?,
        keys: db
            .prepare("SELECT client, key, row, at_ms, digest FROM keys ORDER BY client, key")?
            .query_map([], |row| {
                let (client, key) = (shared(row, 0)?, shared(row, 1)?);
                let (row, at_ms, digest) = (row.get(2)?, row.get(3)?, row.get(4)?);
                Ok(KeyRow { client, key, row, at_ms, digest })
            })?
            .collect::<rusqlite::Result<_>>()?,
        cursors: cursors(db)?,
        alive_ms: meta::get(db, "alive_ms")?.unwrap_or(0),
        hold_ms: meta::get(db, "hold_ms")?.unwrap_or(0),
    })
}

/// Returns the places of all consumers.
pub(super) fn cursors(db: &Connection) -> rusqlite::Result<Vec<Cursor>> {
    db.prepare("SELECT consumer, client, offset FROM cursors ORDER BY consumer, client")?
        .query_map([], |row| {
            let (consumer, client) = (shared(row, 0)?, shared(row, 1)?);
            Ok(Cursor { consumer, client, offset: row.get(2)? })
        })?
        .collect()
}

/// Returns lines to clients in the order of their rows: those that wait, or those that are held.
pub(super) fn outbox(db: &Connection, held: bool) -> rusqlite::Result<Vec<OutboxRow>> {
    db.prepare_cached(
        "SELECT client, row, at_ms, text, delivery FROM outbox WHERE held = ?1 ORDER BY client, row",
    )?
    .query_map([held], |row| {
        Ok(OutboxRow {
            client: shared(row, 0)?,
            row: row.get(1)?,
            at_ms: row.get(2)?,
            text: shared(row, 3)?,
            delivery: row.get::<_, DeliveryCode>(4)?.0,
        })
    })?
    .collect()
}

/// Stores a commit, whose sessions follow `changes`. The same one again changes nothing.
pub(super) fn store(
    tx: &Transaction<'_>,
    commit: &Commit,
    changes: &Changes,
) -> rusqlite::Result<()> {
    for client in &commit.forgotten {
        forget(tx, client)?;
    }
    if !commit.lines.is_empty() {
        let mut insert = tx.prepare_cached(
            "INSERT OR REPLACE INTO lines VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for line in &commit.lines {
            let Line { offset, client, epoch, seq, at_ms, kind, text, written_ms } = line;
            let kind = KindCode(*kind);
            insert.execute((offset, client, epoch, seq, at_ms, kind, text, written_ms))?;
        }
    }
    changes.write(tx, &commit.sessions)?;
    let mut delete =
        tx.prepare_cached("DELETE FROM outbox WHERE client = ?1 AND held = 1 AND row = ?2")?;
    for key in &commit.released {
        delete.execute((&key.0, key.1))?;
    }
    let mut hold = tx.prepare_cached(
        "UPDATE OR REPLACE outbox SET held = 1 WHERE client = ?1 AND held = 0 AND row <= ?2",
    )?;
    for (client, up_to) in &commit.undetermined {
        hold.execute((client, up_to))?;
    }
    let mut insert =
        tx.prepare_cached("INSERT OR REPLACE INTO outbox VALUES (?1, 0, ?2, ?3, ?4, ?5)")?;
    for OutboxRow { client, row, at_ms, text, delivery } in &commit.outbox {
        insert.execute((client, row, at_ms, text, DeliveryCode(*delivery)))?;
    }
    let mut delete =
        tx.prepare_cached("DELETE FROM outbox WHERE client = ?1 AND held = 0 AND row <= ?2")?;
    for done in &commit.done {
        delete.execute((&done.0, done.1))?;
    }
    let mut insert =
        tx.prepare_cached("INSERT OR REPLACE INTO keys VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for KeyRow { client, key, row, at_ms, digest } in &commit.keys {
        insert.execute((client, key, row, at_ms, digest))?;
    }
    let mut delete = tx.prepare_cached("DELETE FROM cursors WHERE consumer = ?1")?;
    for consumer in &commit.removed {
        delete.execute([consumer])?;
    }
    let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO cursors VALUES (?1, ?2, ?3)")?;
    for Cursor { consumer, client, offset } in &commit.cursors {
        insert.execute((consumer, client, offset))?;
    }
    let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO events VALUES (?1, ?2, ?3, ?4)")?;
    for EventRow { id, at_ms, json, class } in &commit.events {
        insert.execute((id, at_ms, json, ClassCode(*class)))?;
    }
    if let Some(alive_ms) = commit.alive_ms {
        meta::set(tx, "alive_ms", alive_ms)?;
    }
    if let Some(hold_ms) = commit.hold_ms {
        meta::set(tx, "hold_ms", hold_ms)?;
    }
    Ok(())
}

/// Removes what is kept of a client, beside its lines, cursors and lines that are held. The table of sessions has to be up to
/// date, see [`fold`](changes::fold).
pub(super) fn forget(tx: &Transaction<'_>, client: &str) -> rusqlite::Result<()> {
    for delete in [
        "DELETE FROM sessions WHERE client = ?1",
        "DELETE FROM outbox WHERE client = ?1 AND held = 0",
        "DELETE FROM keys WHERE client = ?1",
    ] {
        tx.prepare_cached(delete)?.execute([client])?;
    }
    Ok(())
}

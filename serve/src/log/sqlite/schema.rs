//! The tables, and the way from older ones.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::{damaged, from_sqlite, from_writing};
use super::{folder, identity};
use crate::log::EngineError;

/// Marks a file as a log of ours: "pblk".
const APPLICATION: i64 = 0x7062_6c6b;

/// The steps from an empty file to the tables of today. The number of a version is the number of
/// steps before it; one that was released is never changed.
pub(super) const STEPS: &[&str] = &[
    include_str!("1.sql"),
    include_str!("2.sql"),
    include_str!("3.sql"),
    include_str!("4.sql"),
    include_str!("5.sql"),
    include_str!("6.sql"),
];

/// Returns the version of the tables in an open file; 0 if it is empty.
///
/// # Errors
/// If it cannot be read, is not a log, or is newer than `known`.
pub(super) fn version(db: &Connection, path: &Path, known: usize) -> Result<usize, EngineError> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let read = || {
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        Ok((tables, number("application_id")?, number("user_version")?))
    };
    let (tables, application, version) = read().map_err(|e| from_sqlite(path, &e))?;
    if tables == 0 && version == 0 {
        return Ok(0);
    }
    if application != APPLICATION || version < 1 {
        return Err(damaged(path, "it is the database of another program"));
    }
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    match found as usize > known {
        true => {
            Err(EngineError::Newer { path: path.display().to_string(), found, known: known as u32 })
        }
        false => Ok(found as usize),
    }
}

/// Brings the tables of an open file to the version of today, step by step. Each step is a transaction. What was there
/// is copied before the first; returns the path of this copy.
///
/// # Errors
/// If the file is not a log, is newer than `steps`, or cannot be written.
pub(super) fn migrate(
    db: &mut Connection,
    path: &Path,
    steps: &[&str],
) -> Result<Option<PathBuf>, EngineError> {
    let found = version(db, path, steps.len())?;
    let mut copy = None;
    if found > 0 && found < steps.len() {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".schema-{found}"));
        let to = PathBuf::from(name);
        // One of an attempt that was cut short says nothing more than the file itself.
        folder::remove(&to)?;
        copy_to(db, path, &to)?;
        copy = Some(to);
    }
    for (at, step) in steps.iter().enumerate().skip(found) {
        let apply = |db: &mut Connection| {
            let step_in = db.transaction()?;
            step_in.execute_batch(step)?;
            step_in.pragma_update(None, "application_id", APPLICATION)?;
            step_in.pragma_update(None, "user_version", at as i64 + 1)?;
            step_in.commit()
        };
        apply(db).map_err(|e| from_writing(path, &e))?;
    }
    Ok(copy)
}

/// Writes a copy of an open file to `to`, which must not exist, and waits until it is on the disk. Put in the
/// place of the log, the copy is known for what it is.
///
/// # Errors
/// If it exists, or cannot be written.
pub(super) fn copy_to(db: &Connection, path: &Path, to: &Path) -> Result<(), EngineError> {
    folder::create_private(to)?;
    let name = to.to_str().ok_or_else(|| EngineError::Io {
        path: to.display().to_string(),
        why: "the name of a copy has to be UTF-8".into(),
    })?;
    let copied = db
        .execute("VACUUM INTO ?1", [name])
        .map_err(|e| match from_writing(to, &e) {
            EngineError::Damaged { .. } => from_sqlite(path, &e),
            other => other,
        })
        .and_then(|_| {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let copy = Connection::open_with_flags(to, flags);
            copy.and_then(|copy| identity::disown(&copy)).map_err(|e| from_sqlite(to, &e))
        })
        .and_then(|()| folder::sync(to));
    if copied.is_err() {
        // Half a copy is none. The first error is the one that counts.
        let _ = folder::remove(to);
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[&str] = &[STEPS[0]];

    const LATER: &[&str] =
        &[STEPS[0], "ALTER TABLE lines ADD COLUMN tag TEXT", "CREATE TABLE tags (a)"];

    fn opened(path: &Path, steps: &[&str]) -> Result<(Connection, Option<PathBuf>), EngineError> {
        let mut db = Connection::open(path).unwrap();
        let copy = migrate(&mut db, path, steps)?;
        Ok((db, copy))
    }

    #[test]
    fn an_older_log_is_copied_and_brought_to_the_schema_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let (db, copy) = opened(&path, FIRST).unwrap();
        assert_eq!(copy, None, "a new log needs no copy");
        db.execute("INSERT INTO lines VALUES (1, 'kitchen', 1, 1, 5, 0, 'hello')", []).unwrap();
        drop(db);
        // A copy of an attempt that was killed.
        std::fs::write(folder.path().join("log.db.schema-1"), "half").unwrap();
        let (db, copy) = opened(&path, LATER).unwrap();
        let all = "SELECT text, tag FROM lines, (SELECT count(*) FROM tags)";
        let line = db.query_row(all, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(line, ("hello".to_owned(), None::<String>));
        drop(db);
        let copy = copy.unwrap();
        assert_eq!(copy, folder.path().join("log.db.schema-1"));
        let old = Connection::open(copy).unwrap();
        assert_eq!(version(&old, &path, 1).unwrap(), 1);
        let text: String = old.query_row("SELECT text FROM lines", [], |row| row.get(0)).unwrap();
        assert_eq!(text, "hello");
        assert_eq!(opened(&path, LATER).unwrap().1, None, "once");
        let newer = opened(&path, FIRST).unwrap_err();
        assert!(matches!(newer, EngineError::Newer { found: 3, known: 1, .. }), "{newer:?}");
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        drop(opened(&path, FIRST).unwrap());
        let bad = &[STEPS[0], "CREATE TABLE tags (a); INSERT INTO nowhere VALUES (1)"];
        assert!(opened(&path, bad).is_err());
        let (db, _) = opened(&path, FIRST).unwrap();
        assert_eq!(version(&db, &path, 1).unwrap(), 1);
        let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'tags'";
        assert_eq!(db.query_row(tables, [], |row| row.get::<_, u64>(0)).unwrap(), 0);
    }

    #[test]
    fn clients_of_an_older_schema_get_their_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let (db, _) = opened(&path, &STEPS[..2]).unwrap();
        for (offset, client, kind) in
            [(1, "a", 0), (2, "b", 0), (3, "a", 0), (4, "a", 1), (5, "c", 1), (6, "gone", 0)]
        {
            let line = (offset, client, offset * 10, kind);
            db.execute("INSERT INTO lines VALUES (?1, ?2, 1, 1, ?3, ?4, 'x')", line).unwrap();
        }
        for client in ["a", "b", "c", "d"] {
            db.execute("INSERT INTO sessions VALUES (?1, NULL, 1, 1, 7)", [client]).unwrap();
        }
        db.execute("INSERT INTO keys VALUES ('a', 'k', 7, 5)", []).unwrap();
        drop(db);
        let (db, _) = opened(&path, STEPS).unwrap();
        let mut all = db
            .prepare("SELECT last_line, last_line_ms, last_row FROM sessions ORDER BY client")
            .unwrap();
        let last = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let last: Vec<(u64, u64, u64)> = last.map(Result::unwrap).collect();
        assert_eq!(last, [(3, 30, 7), (2, 20, 7), (0, 0, 7), (0, 0, 7)]);
        let digest: i64 = db.query_row("SELECT digest FROM keys", [], |row| row.get(0)).unwrap();
        assert_eq!(digest, 0);
    }

    #[test]
    fn events_of_the_first_schema_get_their_classes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let (db, _) = opened(&path, FIRST).unwrap();
        let kinds = ["report", "outage_began", "refused", "forgotten", "connected"];
        for (id, kind) in kinds.into_iter().enumerate() {
            let json = format!(r#"{{"event":"{kind}","id":"kitchen"}}"#);
            db.execute("INSERT INTO events VALUES (?1, 5, ?2)", (id as i64, json)).unwrap();
        }
        db.execute("INSERT INTO events VALUES (9, 5, 'no JSON')", []).unwrap();
        drop(db);
        let (db, copy) = opened(&path, STEPS).unwrap();
        assert!(copy.is_some());
        let mut classes = db.prepare("SELECT class FROM events ORDER BY id").unwrap();
        let classes = classes.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        let classes: Vec<_> = classes.map(Result::unwrap).collect();
        assert_eq!(classes, [1, 0, 2, 2, 0, 0]);
    }
}

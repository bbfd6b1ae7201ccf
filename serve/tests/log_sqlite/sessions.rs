//! Sessions, of which a commit writes what has changed.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use pblink_serve::log::{Commit, Engine, SessionRow, Sqlite};

use super::session;

/// Bytes of a page in the write-ahead log, with its head.
const FRAME: u64 = 4096 + 24;

fn commit(sessions: Vec<(Arc<str>, SessionRow)>) -> Commit {
    Commit { sessions, ..Commit::default() }
}

/// Changes a few bytes of a state, or all of it.
fn change(state: Option<&mut Vec<u8>>, random: &mut fastrand::Rng) -> Option<Vec<u8>> {
    match (state, random.u8(..40)) {
        (_, 0) => None,
        (Some(state), 2..) if !state.is_empty() => {
            for _ in 0..random.usize(..12) {
                let at = random.usize(..state.len());
                state[at] = random.u8(..);
            }
            Some(std::mem::take(state))
        }
        _ => Some((0..random.usize(..1100)).map(|_| random.u8(..)).collect()),
    }
}

#[test]
fn all_sessions_are_as_they_were_last_whatever_was_written_of_them() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let mut model: BTreeMap<Arc<str>, SessionRow> = BTreeMap::new();
    for n in 0..1200 {
        let mut next = Commit::default();
        let mut after = model.clone();
        if random.u8(..50) == 0 {
            let gone: Arc<str> = random.u8(..30).to_string().into();
            after.remove(&gone);
            next.forgotten.push(gone);
        }
        for _ in 0..random.usize(..20) {
            // The same client may be there twice.
            let id: Arc<str> = random.u8(..30).to_string().into();
            let row = after.entry(Arc::clone(&id)).or_default();
            row.state = change(row.state.as_mut(), &mut random);
            (row.seq, row.last_row, row.last_line) = (n, random.u64(..9), random.u64(..99));
            next.sessions.push((id, row.clone()));
        }
        log.commit(&next).unwrap();
        if random.u8(..20) == 0 {
            // As after a commit that nobody knows the end of.
            log.commit(&next).unwrap();
        }
        model = after;
        match random.u8(..100) {
            0 => log.reopen().unwrap(),
            1 => {
                let id: Arc<str> = random.u8(..30).to_string().into();
                log.purge(&id).unwrap();
                model.remove(&id);
            }
            2 => {
                drop(log);
                log = Sqlite::open(folder.path()).unwrap();
            }
            _ => {}
        }
        if n % 50 == 49 {
            let loaded = log.load().unwrap().sessions;
            assert!(loaded.iter().cloned().eq(model.clone()), "after {n}");
            let report = Sqlite::check(folder.path()).unwrap();
            assert_eq!(report.sessions, model.len() as u64, "a server that runs may be looked at");
        }
    }
}

#[test]
fn a_commit_costs_a_few_pages_and_not_one_for_each_client() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let mut states = vec![vec![7; 1000]; 100];
    let all = |states: &[Vec<u8>]| -> Vec<(Arc<str>, SessionRow)> {
        let each = states.iter().enumerate();
        each.map(|(n, state)| (n.to_string().into(), session(state, 4))).collect()
    };
    log.commit(&commit(all(&states))).unwrap();
    let wal = || fs::metadata(folder.path().join("log.db-wal")).unwrap().len() / FRAME;
    let before = wal();
    for n in 0..10_usize {
        states.iter_mut().for_each(|state| state[40 * n + 9] ^= 1);
        let some = all(&states).into_iter().skip(n).step_by(5).collect();
        log.commit(&commit(some)).unwrap();
    }
    let pages = wal() - before;
    println!("{pages} pages for ten commits of twenty sessions each");
    // A thousand bytes each: at best four to a page of the table, so that these are fifty.
    assert!((10..=40).contains(&pages), "{pages}");
}

#[test]
fn a_change_that_fits_nothing_is_a_damaged_session_and_no_damaged_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    for state in [[1; 300], [2; 300]] {
        let mut state = state.to_vec();
        state[5..290].fill(9);
        log.commit(&commit(vec![("kitchen".into(), session(&state, 4))])).unwrap();
    }
    let db = rusqlite::Connection::open(folder.path().join("log.db")).unwrap();
    let bent =
        db.execute("UPDATE session_changes SET patch = x'ffff0109' WHERE patch IS NOT NULL", []);
    assert_eq!(bent.unwrap(), 1, "the second is a patch");
    drop(db);
    let loaded = log.load().unwrap().sessions;
    assert_eq!(loaded, [("kitchen".into(), session(&[], 4))]);
    assert_eq!(Sqlite::check(folder.path()).unwrap().bad_sessions[0].0, "kitchen");
}

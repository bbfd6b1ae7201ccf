//! Servers of NATS that have gone back to an older copy of what they stored, as a backup does.

use pblink_serve::log::store::{Leader, StoreError};
use pblink_serve::log::{Engine, EngineError};

use crate::desk::{Contents, Desk, close, commit_at_last, lines};

/// Lets "a" lead and write six lines, of which NATS has the last three no more afterwards.
fn forgetful(desk: &mut Desk) -> Leader {
    let mut leader = desk.lead("a");
    leader.commit(&lines(1..=3, "kept")).unwrap();
    desk.cluster.kill(0);
    desk.cluster.keep(0);
    desk.cluster.restart(0);
    // Several records: the stream is longer than it will be for some time.
    for offset in 4..=9 {
        commit_at_last(&mut leader, &lines(offset..=offset, "acknowledged"));
    }
    leader
}

fn set_back(desk: &mut Desk) {
    desk.cluster.kill(0);
    desk.cluster.bring_back(0);
    desk.cluster.restart(0);
}

fn assert_is_lost(found: Result<Leader, StoreError>) {
    let error = found.unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "{error}");
}

#[test]
fn nobody_leads_with_a_store_that_has_gone_back() {
    let Some(mut desk) = Desk::start() else { return };
    let mut leader = forgetful(&mut desk);
    let follower = desk.stand_by("b");
    follower.follows("a");
    set_back(&mut desk);
    // The leader has not heard of it, and acknowledges nothing any more.
    let refused = loop {
        match leader.commit(&lines(10..=10, "nobody's")) {
            Err(EngineError::Unavailable { .. }) => {}
            other => break other.unwrap_err(),
        }
    };
    assert!(refused.to_string().contains("has lost messages"), "{refused}");
    drop(leader);
    assert_is_lost(desk.ends(follower));
    assert_is_lost(desk.ends(desk.stand_by("a")));
    assert_is_lost(desk.ends(desk.stand_by("b")));
}

/// A gateway whose copy is older than the stream does not know that anything is lost. The others do, however long the stream is
/// by then: nothing is silently gone.
#[test]
fn copies_of_another_history_of_the_stream_are_refused() {
    let Some(mut desk) = Desk::start() else { return };
    let Contents { lines: all, .. } = close(forgetful(&mut desk));
    assert_eq!(all.len(), 9);
    let long = desk.last();
    set_back(&mut desk);
    let mut unaware = desk.lead("new");
    let mut offset = 3;
    let mut write_until = |leader: &mut Leader, last| {
        while desk.last() < last {
            offset += 1;
            leader.commit(&lines(offset..=offset, "other")).unwrap();
        }
    };
    // As many messages as before, and then more of them.
    for last in [long, long + 1, long + 3] {
        write_until(&mut unaware, last);
        assert_eq!(desk.last(), last);
        let error = desk.ends(desk.stand_by("a")).unwrap_err();
        assert!(matches!(error, StoreError::Diverged { .. }), "{last}: {error}");
    }
    // Also if nobody has written but claims.
    let wanted = close(unaware);
    assert_eq!(close(desk.lead("b")), wanted);
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::Diverged { .. }), "{error}");
}

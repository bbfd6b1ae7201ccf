//! A store that does not answer for a while.

use pblink_serve::log::store::Standing;
use pblink_serve::log::{Engine, EngineError};

use crate::desk::{Desk, close, commit_at_last, contents, lines};

#[test]
fn a_commit_in_doubt_is_stored_once_in_all_copies() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    leader.commit(&lines(1..=3, "line")).unwrap();
    desk.cluster.halt(0);
    let commit = lines(4..=60, &"x".repeat(400));
    for _ in 0..2 {
        let unheard = leader.commit(&commit);
        assert!(matches!(unheard, Err(EngineError::Unavailable { .. })), "{unheard:?}");
    }
    desk.cluster.resume(0);
    commit_at_last(&mut leader, &commit);
    let follower = desk.stand_by("b");
    follower.follows("a");
    commit_at_last(&mut leader, &lines(61..=61, "line"));
    let wanted = contents(&mut leader);
    let offsets: Vec<_> = wanted.lines.iter().map(|line| line.offset).collect();
    assert_eq!(offsets, (1..=61).collect::<Vec<_>>());
    close(leader);
    assert_eq!(close(desk.leads(follower)), wanted);
    assert_eq!(close(desk.lead("c")), wanted);
}

#[test]
fn a_store_that_was_away_for_long_costs_no_leader_its_place() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let follower = desk.stand_by("b");
    follower.follows("a");
    desk.cluster.halt(0);
    // Longer than a leader may be silent.
    follower.says(|standing| matches!(standing, Standing::Deaf(_)));
    desk.cluster.resume(0);
    follower.follows("a");
    commit_at_last(&mut leader, &lines(1..=1, "line"));
}

#[test]
fn a_gateway_that_is_cut_off_for_long_gives_up() {
    let Some(desk) = Desk::start() else { return };
    let (network, store) = desk.relay("a");
    let mut former = desk.leads(desk.stand_by_at(store, &desk.folder("a")));
    network.stop(true);
    let unheard = loop {
        match former.commit(&lines(1..=3, "line")) {
            Err(EngineError::Unavailable { .. }) => {}
            other => break other,
        }
    };
    assert!(matches!(unheard, Err(EngineError::CutOff { .. })), "{unheard:?}");
    assert!(former.replaced().happened());
    drop(former);
    // Whatever it has sent is in all copies, or in none.
    network.stop(false);
    let wanted = close(desk.lead("b"));
    assert_eq!(close(desk.lead("a")), wanted);
}

#[test]
fn gateways_go_on_with_a_server_that_was_killed_and_started_again() {
    let Some(mut desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let follower = desk.stand_by("b");
    follower.follows("a");
    leader.commit(&lines(1..=3, "line")).unwrap();
    desk.cluster.kill(0);
    let unheard = leader.commit(&lines(4..=6, "line"));
    assert!(matches!(unheard, Err(EngineError::Unavailable { .. })), "{unheard:?}");
    desk.cluster.restart(0);
    commit_at_last(&mut leader, &lines(4..=6, "line"));
    let wanted = close(leader);
    assert_eq!(wanted.lines.len(), 6);
    assert_eq!(close(desk.leads(follower)), wanted);
}

/// As a leader that is killed in the middle of a record leaves it: its network ends there.
#[test]
fn a_leader_that_is_gone_between_the_parts_of_a_record_leaves_none_of_it() {
    let Some(desk) = Desk::start() else { return };
    let (network, store) = desk.relay("a");
    let mut former = desk.leads(desk.stand_by_at(store, &desk.folder("a")));
    let follower = desk.stand_by("b");
    follower.follows("a");
    former.commit(&lines(1..=3, "before")).unwrap();
    let before = desk.last();
    // A hundred kilobytes, and eight are a message.
    network.stop_after(40_000);
    let unheard = former.commit(&lines(4..=203, &"x".repeat(500)));
    assert!(matches!(unheard, Err(EngineError::Unavailable { .. })), "{unheard:?}");
    let parts = desk.last() - before;
    assert!((2..10).contains(&parts), "{parts} parts are in the stream");

    let mut leader = desk.leads(follower);
    leader.commit(&lines(4..=90, &"y".repeat(300))).unwrap();
    network.stop(false);
    let replaced = loop {
        match former.commit(&lines(4..=203, &"x".repeat(500))) {
            Err(EngineError::Unavailable { .. }) => {}
            other => break other,
        }
    };
    assert!(matches!(replaced, Err(EngineError::Replaced { .. })), "{replaced:?}");
    drop(former);
    let wanted = close(leader);
    assert_eq!(wanted.lines.len(), 90);
    for gateway in ["a", "b", "c"] {
        assert_eq!(close(desk.lead(gateway)), wanted, "{gateway}");
    }
}

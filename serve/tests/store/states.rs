//! Full states in the stream, which is shortened in front of them.

use pblink_serve::log::store::Leader;
use pblink_serve::log::{Engine, Retention};

use crate::commits::Writer;
use crate::desk::{Desk, close, commit_at_last, contents, lines};

/// Messages of which a follower has asked for a part only.
const MANY: u64 = 1500;

/// Lets a leader write lines from this offset on, and delete old ones, until the stream was shortened. Returns the number of
/// its first message.
pub fn shorten(leader: &mut Leader, first: u64) -> u64 {
    leader.set_state_bytes(10_000);
    for round in 0..8 {
        let first = first + 100 * round;
        commit_at_last(leader, &lines(first..=first + 99, "a line that takes some room"));
        let retention = Retention { before_ms: 0, max_bytes: 12_000 };
        while leader.retain(retention, u64::MAX).unwrap().1 {}
    }
    leader.stream_begins()
}

#[test]
fn a_new_gateway_and_one_that_is_too_old_are_filled_from_a_full_state() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let old = desk.stand_by("old");
    old.follows("a");
    let mut writer = Writer::new(3);
    for _ in 0..20 {
        leader.commit(&writer.commit()).unwrap();
    }
    let following = desk.stand_by("b");
    following.follows("a");
    desk.stop(old);
    let begins = shorten(&mut leader, writer.next);
    assert!(begins > 10, "{begins}");
    assert_eq!(desk.first(), begins);
    let wanted = contents(&mut leader);
    assert!(wanted.loaded.first > 1 && !wanted.loaded.outbox.is_empty());
    assert!(!wanted.loaded.undetermined.is_empty());
    close(leader);
    assert_eq!(close(desk.leads(following)), wanted, "one that has followed");
    // Events are not in a state: whoever is filled from it has those behind it.
    for gateway in ["new", "old"] {
        let found = close(desk.lead(gateway));
        assert_eq!((&found.loaded, &found.lines), (&wanted.loaded, &wanted.lines), "{gateway}");
    }
    // Both can lead, and others follow them.
    let mut leader = desk.lead("new");
    leader.commit(&lines(wanted.loaded.next..=wanted.loaded.next, "more")).unwrap();
    let wanted = close(leader);
    let found = close(desk.lead("a"));
    assert_eq!((found.loaded, found.lines), (wanted.loaded, wanted.lines));
}

#[test]
fn a_gateway_that_is_overtaken_while_it_follows_is_filled_anew() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let (network, store) = desk.relay("b");
    let follower = desk.stand_by_at(store, &desk.folder("b"));
    follower.follows("a");
    network.stop(true);
    // More than is on its way.
    for offset in 1..=MANY {
        leader.commit(&lines(offset..=offset, "line")).unwrap();
    }
    shorten(&mut leader, MANY + 1);
    network.stop(false);
    let wanted = close(leader);
    let found = close(desk.leads(follower));
    assert_eq!((found.loaded, found.lines), (wanted.loaded, wanted.lines));
}

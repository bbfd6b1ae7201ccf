//! The gateway that leads, and the one that takes its place.

use pblink_serve::log::store::{Leader, Standing};
use pblink_serve::log::{Engine, EngineError};
use pblink_soak::proxy::Proxy;

use crate::desk::{Desk, HANGS, close, commit_at_last, contents, lines};

/// Cuts the gateway "a" off from the store, and returns "b", which leads in its place.
fn successor(desk: &Desk, network: &Proxy) -> Leader {
    let follower = desk.stand_by("b");
    follower.follows("a");
    network.stop(true);
    desk.leads(follower)
}

/// Tries until a gateway hears that it was replaced. Returns by which one, as far as it knows.
fn until_replaced(mut attempt: impl FnMut() -> Result<(), EngineError>) -> Option<String> {
    loop {
        match attempt() {
            Err(EngineError::Unavailable { .. }) => {}
            Err(EngineError::Replaced { by }) => return by,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_first_gateway_of_a_new_stream_leads_at_once() {
    let Some(desk) = Desk::start() else { return };
    let standby = desk.stand_by("a");
    standby.says(|standing| *standing == Standing::Leading);
    let leader = desk.leads(standby);
    assert!(!leader.replaced().happened());
}

#[test]
fn a_gateway_that_ends_in_order_is_followed_without_silence() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let follower = desk.stand_by("b");
    follower.follows("a");
    leader.commit(&lines(1..=5, "line")).unwrap();
    let wanted = close(leader);
    let mut next = desk.leads(follower);
    assert_eq!(contents(&mut next), wanted);
    next.commit(&lines(6..=6, "line")).unwrap();
}

#[test]
fn a_gateway_that_was_replaced_writes_nothing_any_more() {
    let Some(desk) = Desk::start() else { return };
    let (network, store) = desk.relay("a");
    let mut former = desk.leads(desk.stand_by_at(store, &desk.folder("a")));
    former.commit(&lines(1..=3, "line")).unwrap();
    let mut leader = successor(&desk, &network);
    let last = desk.last();
    let unheard = former.commit(&lines(4..=5, "nobody's"));
    assert!(matches!(unheard, Err(EngineError::Unavailable { .. })), "{unheard:?}");
    network.stop(false);
    let by = until_replaced(|| former.commit(&lines(4..=5, "nobody's")));
    assert_eq!(by.as_deref(), Some("b"));
    assert_eq!(former.replaced().by(), Some("b"));
    let confirmed = former.confirm();
    assert!(matches!(confirmed, Err(EngineError::Replaced { .. })), "{confirmed:?}");
    let again = former.commit(&lines(4..=5, "nobody's"));
    assert!(matches!(again, Err(EngineError::Replaced { .. })), "{again:?}");
    let purged = former.purge("kitchen");
    assert!(matches!(purged, Err(EngineError::Replaced { .. })), "{purged:?}");
    former.close();
    assert_eq!(desk.last(), last, "it has written nothing");
    drop(former);

    // It stands by again, and what it could not write is nowhere.
    let follower = desk.stand_by("a");
    follower.follows("b");
    commit_at_last(&mut leader, &lines(4..=4, "somebody's"));
    let wanted = close(leader);
    assert_eq!(
        wanted.lines,
        [lines(1..=3, "line").lines, lines(4..=4, "somebody's").lines].concat()
    );
    assert_eq!(close(desk.leads(follower)), wanted);
}

#[test]
fn a_gateway_asks_whether_it_leads_still() {
    let Some(desk) = Desk::start() else { return };
    let (network, store) = desk.relay("a");
    let mut former = desk.leads(desk.stand_by_at(store, &desk.folder("a")));
    former.confirm().unwrap();
    let mut leader = successor(&desk, &network);
    leader.confirm().unwrap();
    network.stop(false);
    // It has nothing to commit, and does not know it yet.
    let by = until_replaced(|| former.confirm());
    assert_eq!(by.as_deref(), Some("b"));
    leader.confirm().unwrap();
    assert_eq!(close(leader), close(desk.lead("c")));
}

#[test]
fn a_gateway_that_slept_while_the_stream_was_shortened_knows_that_it_was_replaced() {
    let Some(desk) = Desk::start() else { return };
    let (network, store) = desk.relay("a");
    let mut former = desk.leads(desk.stand_by_at(store, &desk.folder("a")));
    former.commit(&lines(1..=3, "line")).unwrap();
    let mut leader = successor(&desk, &network);
    let shortest = crate::states::shorten(&mut leader, 4);
    assert_eq!(desk.first(), shortest, "the record that replaced it is not in the stream any more");
    network.stop(false);
    until_replaced(|| former.commit(&lines(4..=5, "nobody's")));
    drop(former);
    let wanted = close(leader);
    assert_eq!(close(desk.lead("c")), wanted);
    assert_eq!(close(desk.lead("a")), wanted, "the copy that was too old is filled anew");
}

#[test]
fn words_of_a_gateway_that_was_replaced_keep_nobody_from_leading() {
    let Some(desk) = Desk::start() else { return };
    let (a_network, store) = desk.relay("a");
    let _former = desk.leads(desk.stand_by_at(store, &desk.folder("a")));
    let (b_network, store) = desk.relay("b");
    let follower = desk.stand_by_at(store, &desk.folder("b"));
    follower.follows("a");
    a_network.stop(true);
    let _leader = desk.leads(follower);
    let follower = desk.stand_by("c");
    follower.follows("b");
    // The former leader has nothing to commit, and does not know yet.
    a_network.stop(false);
    b_network.stop(true);
    desk.leads(follower);
}

/// A stream that nobody leads, and many that want to, almost at the same instant.
#[test]
fn of_gateways_that_claim_at_a_time_one_leads() {
    let Some(desk) = Desk::start() else { return };
    let mut names: Vec<String> = (0..12).map(|n| format!("gateway-{n}")).collect();
    let (sender, led) = std::sync::mpsc::channel();
    let standing: Vec<_> = (names.iter())
        .map(|name| {
            let (store, folder, sender) = (desk.store(name), desk.folder(name), sender.clone());
            let name = name.clone();
            desk.runtime.spawn(async move {
                let leader = store.stand_by(&folder, |_| {}).await.unwrap();
                // The test has it.
                let _ = sender.send((name, leader));
            })
        })
        .collect();
    let mut wanted = None;
    while !names.is_empty() {
        let (name, mut leader) = led.recv_timeout(HANGS).expect("one leads");
        names.retain(|other| *other != name);
        let found = contents(&mut leader);
        assert!(wanted.is_none_or(|wanted| wanted == found), "{name} has another log");
        let offset = found.loaded.next;
        leader.commit(&lines(offset..=offset, &name)).unwrap();
        leader.confirm().unwrap();
        assert!(led.try_recv().is_err(), "two lead");
        wanted = Some(close(leader));
    }
    assert_eq!(wanted.unwrap().lines.len(), standing.len());
}

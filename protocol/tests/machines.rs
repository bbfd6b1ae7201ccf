//! Every machine can be copied, compared and hashed, as a model checker needs it.

use std::collections::HashSet;
use std::hash::Hash;

use crate::common::world::World;
use pblink_protocol::app::AppBase;
use pblink_protocol::coprocessor::Coprocessor;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::{Initiator, InitiatorTiming, Responder, ResponderAction};
use pblink_protocol::tcp::endpoint::Endpoint;
use pblink_protocol::tcp::window::Window;
use pblink_protocol::time::Instant;

fn is_a_state<T: Clone + Eq + Hash>() {}

#[test]
fn every_machine_is_a_state() {
    is_a_state::<Initiator>();
    is_a_state::<Responder>();
    is_a_state::<AppBase>();
    is_a_state::<Coprocessor>();
    is_a_state::<Endpoint<heapless::Vec<u8, 64>, Vec<u8>, 4>>();
    is_a_state::<Window>();
}

/// Counts the states that are different.
fn different<T: Eq + Hash>(states: impl IntoIterator<Item = T>) -> usize {
    states.into_iter().collect::<HashSet<T>>().len()
}

#[test]
fn copies_that_hear_the_same_stay_the_same() {
    let mut w = World::up();
    assert!(w.write("a line", Delivery::ORDERED));
    w.server_write("another");
    for _ in 0..400 {
        w.run(1);
        let now = w.now();
        let (app, esp) = (w.app().clone(), w.esp().clone());
        assert_eq!(different([app.clone(), w.app().clone()]), 1);
        assert_eq!(different([esp.clone(), w.esp().clone()]), 1);
        // One of two copies continues; the other one does the same later.
        let mut copies = [app.clone(), app];
        for copy in &mut copies {
            copy.poll(now);
            while copy.exchange().next_action().is_some() {}
            while copy.next_event().is_some() {}
        }
        assert_eq!(different(copies), 1);
        let mut copies = [esp.clone(), esp];
        copies[0].poll(now);
        copies[1].poll(now);
        assert_eq!(different(copies), 1);
    }
}

#[test]
fn another_level_text_or_action_is_another_state() {
    let at = Instant::from_millis(1);
    let fresh = Responder::new(true);
    let mut acted = fresh.clone();
    assert_eq!(acted.next_action(), Some(ResponderAction::Ack(false)));
    let mut fallen = fresh.clone();
    fallen.on_syn(at, false);
    let mut full = fresh.clone();
    assert_eq!(full.submit(b"one"), 3);
    let mut other = fresh.clone();
    assert_eq!(other.submit(b"two"), 3);
    assert_eq!(different([fresh.clone(), acted, fallen, full, other, fresh]), 5);

    let fresh = Initiator::new(InitiatorTiming::default());
    let mut risen = fresh.clone();
    risen.on_ack(at, false);
    let mut started = fresh.clone();
    started.start(at);
    assert_eq!(different([fresh.clone(), risen, started, fresh]), 3);
}

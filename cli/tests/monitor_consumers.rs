//! The line of the monitor that says where consumers fail.

use crate::monitor_fixture::{failing, info, link, press, screen, text};
use pblink_cli::monitor::{Model, Now};
use pblink_serve::control::{ConsumerInfo, Stalled, Update};
use pblink_server::LinkState;

/// 2026-03-01 12:00:00 UTC.
const NOON: u64 = 1_772_366_400_000;

fn model() -> Model {
    let mut model = Model::new(true, vec![]);
    model.tick(Now { mono_ms: 1_000_000, wall_ms: NOON });
    model.apply(Update::Server(info(1)));
    model.apply(Update::Links(["1", "2"].map(|id| link(id, LinkState::Up)).into()));
    model
}

fn shown(model: &Model) -> String {
    text(&screen(model, (100, 24)))
}

#[test]
fn a_line_on_which_a_consumer_fails_is_on_each_screen_as_long_as_it_does() {
    let mut model = model();
    let before = shown(&model);
    let works = ConsumerInfo { failing: vec![], failing_clients: 0, ..failing("print", "1", 0) };
    model.apply(Update::Consumers(vec![works.clone()]));
    assert_eq!(shown(&model), before);

    model.apply(Update::Consumers(vec![
        works.clone(),
        failing("store", "1", NOON - 60_000),
        failing("exec", "kitchen", NOON - 3_600_000),
    ]));
    for size in [(120, 40), (80, 24), (60, 20)] {
        let name = format!("failing_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, text(&screen(&model, size)));
    }
    for key in ["2", "3", "4", "5", "1", "\n"] {
        press(&mut model, key);
        let words = "exec fails at 17, a line of kitchen, since 11:00:00Z, and 1 more";
        assert!(shown(&model).contains(words), "{key}: {}", shown(&model));
    }
    press(&mut model, "\x1b");
    model.apply(Update::Consumers(vec![works]));
    assert_eq!(shown(&model), before);
}

#[test]
fn many_lines_on_which_consumers_fail_are_counted() {
    let mut model = model();
    let many = ConsumerInfo { failing_clients: 250, ..failing("exec", "kitchen", NOON) };
    model.apply(Update::Consumers(vec![many]));
    assert!(shown(&model).contains(", and 249 more"), "{}", shown(&model));
}

#[test]
fn a_consumer_that_is_far_behind_is_named_as_long_as_it_is() {
    let mut model = model();
    let before = shown(&model);
    let behind = |name: &str, lag| ConsumerInfo {
        failing: vec![],
        failing_clients: 0,
        lag,
        ..failing(name, "1", 0)
    };
    // Lines that are under way are no news, and what does not run here is not waited for.
    let old = ConsumerInfo { running: false, ..behind("old", 5_000_000) };
    model.apply(Update::Consumers(vec![behind("print", 999), old.clone()]));
    assert_eq!(shown(&model), before);
    model.apply(Update::Consumers(vec![behind("store", 1_000), behind("exec", 12_345), old]));
    for key in ["2", "5", "1", "\n"] {
        press(&mut model, key);
        let words = "exec is 12345 lines behind, and 1 more are";
        assert!(shown(&model).contains(words), "{key}: {}", shown(&model));
    }
    press(&mut model, "\x1b");
    model.apply(Update::Consumers(vec![behind("store", 0), behind("exec", 3)]));
    assert_eq!(shown(&model), before);
}

#[test]
fn a_consumer_that_cannot_go_on_is_named_before_others_as_long_as_it_cannot() {
    let mut model = model();
    let before = shown(&model);
    let stalled = Stalled {
        since: String::new(),
        since_ms: NOON - 3_600_000,
        why: "the broker cannot be reached: connection refused".into(),
        next: String::new(),
        next_ms: NOON + 1_000,
    };
    let works = ConsumerInfo { failing: vec![], failing_clients: 0, ..failing("mqtt", "1", 0) };
    let away = ConsumerInfo { stalled: Some(stalled), ..works.clone() };
    model.apply(Update::Consumers(vec![failing("exec", "kitchen", NOON), away]));
    for key in ["2", "5", "1", "\n"] {
        press(&mut model, key);
        let words = "mqtt cannot go on since 11:00:00Z  the broker cannot be reached: connection";
        assert!(shown(&model).contains(words), "{key}: {}", shown(&model));
    }
    press(&mut model, "\x1b");
    model.apply(Update::Consumers(vec![works]));
    assert_eq!(shown(&model), before);
}

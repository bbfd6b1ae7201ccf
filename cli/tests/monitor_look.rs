//! The look of the screen, and what its keys do to rows: colours, ASCII, times, order, filter, questions.

use std::sync::Arc;

use crate::monitor_fixture::{self, Feed, info, link, press, screen, text};
use pblink_cli::monitor::{Action, ExtraKey, Key, Model, Now, Tab};
use pblink_cli::output::times::Zone;
use pblink_serve::control::{GatewayInfo, ServerInfo, Update};
use pblink_server::{Cause, Event, EventKind, Layer, LinkState, LinkStatus};
use ratatui::style::{Color, Modifier};

/// 2026-03-01 12:00:00 UTC.
const NOON: u64 = 1_772_366_400_000;

fn links() -> Vec<LinkStatus> {
    let down = LinkState::Down { layer: Layer::Wifi, cause: Cause::Silent };
    let with = |id: &str, state, since_ms, lines_in, mem_free| LinkStatus {
        since_ms,
        lines_in,
        mem_free,
        ..link(id, state)
    };
    vec![
        with("1", LinkState::Up, 50_000, 10, Some(30_000)),
        with("2", down, 9_000, 300, None),
        with("3", LinkState::Waiting, 70_000, 0, None),
        with("10", LinkState::Up, 20_000, 20, Some(10_000)),
    ]
}

fn model() -> Model {
    let mut model = Model::new(true, vec![]);
    model.tick(Now { mono_ms: 1_000_000, wall_ms: NOON + 60_000 });
    model.apply(Update::Server(info(1)));
    model.apply(Update::Links(links()));
    let last = |age_ms| monitor_fixture::last_line(age_ms, "text");
    model.apply(Update::LastLines(vec![("1".into(), last(1_000)), ("10".into(), last(60_000))]));
    let mut feed = Feed::default();
    let began = |id: &str| EventKind::OutageBegan {
        id: id.into(),
        cause: Cause::Silent,
        layer: Layer::Wifi,
    };
    let ended = |id: &str, lasted_ms| EventKind::OutageEnded {
        id: id.into(),
        peer: String::new(),
        lasted_ms,
        connects: 2,
    };
    feed.happen(&mut model, NOON - 86_400_000, began("1"));
    feed.happen(&mut model, NOON - 86_390_000, ended("1", 10_000));
    feed.happen(&mut model, NOON, began("10"));
    feed.happen(&mut model, NOON + 4_000, ended("10", 4_000));
    feed.happen(&mut model, NOON + 51_000, began("2"));
    model
}

fn shown(model: &Model) -> String {
    text(&screen(model, (80, 24)))
}

/// The first words of the rows below the heading.
fn ids(model: &Model) -> Vec<String> {
    let screen = shown(model);
    let rows = screen.lines().skip(3).take_while(|line| !line.is_empty());
    rows.map(|row| row.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn only_colours_that_hold_on_light_and_dark_are_used() {
    for keys in
        ["1", "2", "3", "4", "5", "e", "f", "\n", "?", "/k", "/zzz\n", "4kk", "3j", "d", "s"]
    {
        let mut model = model();
        press(&mut model, keys);
        for cell in &screen(&model, (120, 40)).content {
            let colours = [Color::Reset, Color::Green, Color::Red, Color::Magenta];
            assert!(colours.contains(&cell.fg), "{:?} after {keys:?}", cell.fg);
            assert_eq!(cell.bg, Color::Reset, "after {keys:?}");
        }
    }
}

#[test]
fn the_row_under_the_cursor_keeps_its_colour() {
    let mut model = model();
    press(&mut model, "j");
    let buffer = screen(&model, (80, 24));
    let row = (0..80).map(|x| &buffer[(x, 4)]);
    let red = row.clone().filter(|cell| cell.fg == Color::Red).count();
    assert!(red > 5, "its state is red:\n{}", shown(&model));
    for cell in row {
        assert!(cell.modifier.contains(Modifier::REVERSED));
        assert!(!cell.modifier.contains(Modifier::DIM), "{cell:?}");
    }
}

#[test]
fn without_colours_a_symbol_stands_beside_each_state() {
    let screen = shown(&model());
    for state in ["● up", "✗ WiFi down", "○ waiting"] {
        assert!(screen.contains(state), "{state}: {screen}");
    }
}

#[test]
fn ascii_means_that_there_is_nothing_else() {
    let lamp = link("厨房灯 µ", LinkState::Up);
    for keys in ["1", "2", "3", "4", "5", "e", "\n", "?", "/“k", "4k", "d", "s"] {
        let mut model = model().with_ascii(true);
        model.apply(Update::Links([links(), vec![lamp.clone()]].concat()));
        press(&mut model, keys);
        for size in [(120, 40), (60, 20), (20, 5)] {
            let screen = text(&screen(&model, size));
            assert!(screen.is_ascii(), "after {keys:?}:\n{screen}");
        }
    }
    let mut model = model().with_ascii(true);
    insta::assert_snapshot!("ascii_links_80x24", shown(&model));
    press(&mut model, "?");
    insta::assert_snapshot!("ascii_help_80x24", shown(&model));
}

#[test]
fn times_are_local_and_have_a_date_where_it_is_not_today() {
    let zone = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let mut model = model().with_zone(zone);
    press(&mut model, "3");
    let screen = shown(&model);
    assert!(screen.contains("13:00:51 ") && screen.contains("Feb 28 13:00:00 "), "{screen}");
    press(&mut model, "4");
    let screen = shown(&model);
    assert!(screen.contains("13:00:51 ") && screen.contains("Feb 28 13:00:00 "), "{screen}");
}

#[test]
fn links_are_sorted_by_each_column_in_turn_and_the_other_way_round() {
    let mut model = model();
    let orders = [
        ("id", "1 2 3 10"),
        ("state", "2 3 1 10"),
        ("since", "2 10 1 3"),
        ("last", "10 1 2 3"),
        ("in", "2 10 1 3"),
        ("out", "1 2 3 10"),
        ("write→ack", "1 2 3 10"),
        ("free", "10 1 2 3"),
    ];
    for (column, order) in orders {
        assert_eq!(ids(&model).join(" "), order, "by {column}");
        if column != "id" {
            let screen = shown(&model);
            assert!(screen.contains(&format!("{column}▼")), "{column}: {screen}");
        }
        press(&mut model, "s");
    }
    assert_eq!(ids(&model).join(" "), "1 2 3 10", "from the beginning");
    press(&mut model, "S");
    assert_eq!(ids(&model).join(" "), "10 3 2 1");
    assert!(shown(&model).contains("id▲"), "{}", shown(&model));
    press(&mut model, "ssS");
    assert_eq!(ids(&model).join(" "), "3 1 10 2", "the oldest change first");
}

#[test]
fn the_selection_stays_on_its_link_when_the_order_changes() {
    let mut model = model();
    press(&mut model, "j");
    assert_eq!(model.selected_id().as_deref(), Some("2"));
    press(&mut model, "ssS");
    assert_eq!(model.selected_id().as_deref(), Some("2"));
}

#[test]
fn outages_are_sorted_too() {
    let mut model = model();
    press(&mut model, "3");
    let order = |model: &Model| -> Vec<String> {
        model.outage_rows().iter().map(|(_, outage)| outage.client.clone()).collect()
    };
    assert_eq!(order(&model), ["2", "10", "1"], "the newest first");
    press(&mut model, "S");
    assert_eq!(order(&model), ["1", "10", "2"]);
    press(&mut model, "s");
    assert_eq!(order(&model), ["2", "1", "10"], "open ones, then the longest");
    press(&mut model, "s");
    assert_eq!(order(&model), ["1", "2", "10"], "by id");
}

#[test]
fn a_state_can_be_chosen() {
    let mut model = model();
    for (name, rows) in [("down", "2"), ("waiting", "3"), ("up", "1 10"), ("all", "1 2 3 10")] {
        press(&mut model, "d");
        assert_eq!(ids(&model).join(" "), rows, "{name}");
        assert_eq!(shown(&model).contains(&format!("only {name}")), name != "all");
    }
    press(&mut model, "3d");
    assert_eq!(model.outage_rows().len(), 1, "the open one");
    press(&mut model, "dd");
    assert_eq!(model.outage_rows().len(), 2, "those that have ended");
    press(&mut model, "\x1b");
    assert_eq!(model.outage_rows().len(), 3, "Esc shows all again");
}

#[test]
fn the_filter_is_a_pattern_and_looks_into_texts() {
    let mut model = model();
    press(&mut model, "4/began|lines$\n");
    assert_eq!(model.log_rows().len(), 3);
    press(&mut model, "\x1b/ENDED AFTER 4\n");
    assert_eq!(model.log_rows().len(), 1);
    press(&mut model, "\x1b1/^1");
    assert_eq!(ids(&model), ["1", "10"]);
    press(&mut model, "(");
    let screen = shown(&model);
    assert!(screen.contains("not a pattern: searched as it is"), "{screen}");
    press(&mut model, "\x1b/wifi\n");
    assert_eq!(ids(&model), ["2"], "the state counts, too");
}

#[test]
fn the_footer_shows_the_way_about_at_80_columns() {
    let extra = |key, label: &str| ExtraKey { key, label: label.into(), help: String::new() };
    // As in `pblink demo`.
    let extra = vec![extra('w', "WiFi off"), extra('c', "crash"), extra('r', "restart")];
    for extra in [vec![], extra] {
        let screen = text(&screen(&Model::new(true, extra), (80, 24)));
        let footer = screen.lines().last().unwrap();
        for key in ["q quit", "? help", "Enter link", "Tab view", "/ filter"] {
            assert!(footer.contains(key), "{key}: {footer}");
        }
    }
}

#[test]
fn where_it_ends_more_than_the_screen_q_asks() {
    let mut model = model().with_ending(Some("Stop the server?".into()));
    assert_eq!(model.key(Key::Char('q')), Action::None);
    let screen = shown(&model);
    assert!(screen.lines().last().unwrap().contains("Stop the server?"), "{screen}");
    assert_eq!(model.key(Key::Char('x')), Action::None, "no");
    assert!(!shown(&model).contains("Stop the server?"));
    assert_eq!(model.tab(), Tab::Links, "the answer is no command");
    press(&mut model, "q");
    assert_eq!(model.key(Key::Char('q')), Action::None, "a second one is no yes");
    press(&mut model, "q");
    assert_eq!(model.key(Key::Char('y')), Action::Quit);
    assert_eq!(model.key(Key::Ctrl('c')), Action::Quit, "ctrl-C does not ask");
}

#[test]
fn ctrl_l_draws_everything_anew() {
    let mut model = model();
    for keys in ["", "?", "/"] {
        press(&mut model, keys);
        assert_eq!(model.key(Key::Ctrl('l')), Action::Redraw, "after {keys:?}");
    }
}

#[test]
fn an_event_of_another_day_has_its_date() {
    let mut model = model();
    let kind = monitor_fixture::note("long ago");
    model.apply(Update::Event(Arc::new(Event { seq: 99, at_ms: 0, kind })));
    press(&mut model, "4");
    let screen = shown(&model);
    assert!(screen.contains("1970-01-01 00:00:00Z"), "{screen}");
}

/// Servers that share a log: the one that leads, and whether another one is there to take its place.
#[test]
fn the_header_says_which_gateway_leads_and_how_many_stand_by() {
    let gateway = |name: &str, heard_ms| GatewayInfo {
        name: name.into(),
        leads: name == "a",
        behind: 0,
        heard_ms,
        other_keys: name == "d",
    };
    for (others, expected) in [
        (vec![], "a leads, 0 stand by"),
        (vec![gateway("b", 2000)], "a leads, 1 stands by"),
        (vec![gateway("b", 2000), gateway("c", 60_000)], "a leads, 1 stands by, 1 silent"),
        (vec![gateway("d", 0)], "a leads, 1 stands by, keys differ"),
    ] {
        let mut model = model();
        let gateways = [vec![gateway("a", 0)], others].concat();
        model.apply(Update::Server(ServerInfo { gateways, ..info(1) }));
        let text = shown(&model);
        let head = text.lines().next().unwrap();
        assert!(
            head.contains(expected) && head.contains("2/4 up") && head.contains("live"),
            "{head}"
        );
    }
    assert!(!shown(&model()).contains("leads"));
}

#[test]
fn the_page_of_a_link_says_by_which_gateway_it_has_come() {
    let mut model = model();
    press(&mut model, "\n");
    assert!(!shown(&model).contains("  by b"));
    let id = model.page().unwrap().to_owned();
    model.apply(Update::Gateways(vec![(id, "b".into())]));
    assert!(shown(&model).contains("  by b"));
}

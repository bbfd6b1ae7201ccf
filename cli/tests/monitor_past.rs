//! The past on the screen: last lines, the last 24 hours, curves, outages of many links, and files of all that.

use crate::monitor_fixture::{self, Feed, NASTY, info, last_line, link, press, screen, text};
use pblink_cli::monitor::{Action, Export, Key, Model, Now, Tone};
use pblink_serve::control::Update;
use pblink_server::{Cause, EventKind, Layer, LinkState};

/// 2026-03-01 12:00:00 UTC.
const NOON: u64 = 1_772_366_400_000;

fn model(ids: &[&str]) -> Model {
    let mut model = Model::new(true, vec![]);
    at(&mut model, 0);
    model.apply(Update::Server(info(1)));
    model.apply(Update::Links(ids.iter().map(|id| link(id, LinkState::Up)).collect()));
    model
}

fn at(model: &mut Model, ms: u64) {
    model.tick(Now { mono_ms: 1_000_000 + ms, wall_ms: NOON + ms });
}

fn shown(model: &Model) -> String {
    text(&screen(model, (80, 24)))
}

fn began(id: &str, cause: Cause) -> EventKind {
    EventKind::OutageBegan { id: id.into(), cause, layer: Layer::Server }
}

fn ended(id: &str, lasted_ms: u64) -> EventKind {
    EventKind::OutageEnded { id: id.into(), peer: String::new(), lasted_ms, connects: 2 }
}

#[test]
fn the_last_line_grows_old_and_is_made_safe() {
    let mut model = model(&["1", "2"]);
    model.apply(Update::LastLines(vec![("1".into(), last_line(5_000, NASTY))]));
    assert!(shown(&model).contains("5 s"), "{}", shown(&model));
    at(&mut model, 120_000);
    let screen = shown(&model);
    assert!(screen.contains("2 min") && screen.contains("a�[31m\"b\\c��d"), "{screen}");
    press(&mut model, "\n");
    assert!(shown(&model).contains("last line 2 min ago"), "{}", shown(&model));
}

#[test]
fn a_day_is_a_bar_for_each_link() {
    let mut model = model(&["1", "2", "3"]);
    let mut feed = Feed::default();
    let hour = 3_600_000;
    for (before, id, lasted_ms) in
        [(20 * hour, "2", 2 * hour), (6 * hour, "2", 5_000), (5 * hour, "1", 90_000)]
    {
        feed.happen(&mut model, NOON - before, began(id, Cause::Silent));
        feed.happen(&mut model, NOON - before + lasted_ms, ended(id, lasted_ms));
    }
    press(&mut model, "5");
    for size in [(120, 40), (80, 24), (60, 20)] {
        let name = format!("day_with_outages_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, text(&screen(&model, size)));
    }
    press(&mut model, "s");
    let screen = shown(&model);
    assert!(screen.contains("down▼"), "{screen}");
    let first = screen.lines().nth(3).unwrap();
    assert!(first.trim_start().starts_with("2 ") && first.contains("2 h 0 min"), "{first}");
    press(&mut model, "\n");
    assert_eq!(model.page(), Some("2"), "the first row is the selected one");
}

#[test]
fn curves_have_a_unit_a_scale_and_an_axis() {
    let mut model = model(&["1"]);
    for second in 1..=30 {
        at(&mut model, second * 1000);
        let mut status = link("1", LinkState::Up);
        status.lines_in = second * second;
        status.write_ack_us = Some(1000 + 50 * second);
        model.apply(Update::Links(vec![status]));
    }
    press(&mut model, "\n");
    let screen = shown(&model);
    let of = |label: &str| {
        let lines = screen.lines().filter(|line| line.contains('▁'));
        lines.map(str::trim).find(|line| line.starts_with(label)).unwrap().to_owned()
    };
    let (ack, lines) = (of("write→ack"), of("lines"));
    assert!(ack.contains("1.1 ms ▁") && ack.contains("█ 2.5 ms  in 28.0 s"), "{ack}");
    assert!(lines.contains("3.0/s ▁") && lines.contains("█ 59.0/s  in 28.0 s"), "{lines}");
    for size in [(120, 40), (80, 24), (60, 20)] {
        let name = format!("curves_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, text(&monitor_fixture::screen(&model, size)));
    }
}

#[test]
fn a_hundred_links_that_go_down_together_are_one_entry() {
    let ids: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    let mut model = model(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let mut feed = Feed::default();
    press(&mut model, "4");
    for id in &ids {
        feed.happen(&mut model, NOON, began(id, Cause::Shutdown));
    }
    feed.happen(&mut model, NOON, EventKind::Stopped);
    assert_eq!(model.log_rows().len(), 2, "{}", shown(&model));
    assert!(shown(&model).contains("server stopped: 100 links\n"), "{}", shown(&model));
    for id in &ids[..63] {
        feed.happen(&mut model, NOON + 3_000, ended(id, 3_000));
    }
    assert!(shown(&model).contains("100 links, 63 are back"), "{}", shown(&model));
    for id in &ids[63..] {
        feed.happen(&mut model, NOON + 3_800, ended(id, 3_800));
    }
    assert!(shown(&model).contains("server stopped: 100 links for 3.8 s"), "{}", shown(&model));
    assert_eq!(model.outage_rows().len(), 100, "each is an outage of its own all the same");
    press(&mut model, "1\n");
    assert!(shown(&model).contains("server stopped: 100 links"), "on a link's page, too");
    // The next outage of one of them is its own.
    feed.happen(&mut model, NOON + 3_900, began("1", Cause::Silent));
    feed.happen(&mut model, NOON + 9_900, ended("1", 6_000));
    assert!(shown(&model).contains("outage ended after 6.0 s"), "{}", shown(&model));
}

#[test]
fn outages_apart_or_of_two_links_stay_apart() {
    let mut model = model(&["1", "2", "3"]);
    let mut feed = Feed::default();
    for (ms, id, cause) in [
        (0, "1", Cause::Silent),
        (1, "2", Cause::Silent),
        (2, "3", Cause::Reset),
        (9_000, "3", Cause::Silent),
    ] {
        feed.happen(&mut model, NOON + ms, began(id, cause));
    }
    press(&mut model, "4");
    assert_eq!(model.log_rows().len(), 4);
}

fn export(model: &mut Model, keys: &str) -> Export {
    match press(model, keys) {
        Action::Export(export) => *export,
        other => panic!("{other:?} after {keys:?}"),
    }
}

#[test]
fn what_is_on_the_screen_goes_to_a_file() {
    let mut model = model(&["1", "2"]);
    let mut feed = Feed::default();
    feed.happen(&mut model, NOON - 9_000, began("2", Cause::Silent));
    feed.happen(&mut model, NOON - 5_000, ended("2", 4_000));
    feed.happen(&mut model, NOON, monitor_fixture::note("a \"quoted\", note"));
    model.apply(Update::LastLines(vec![("1".into(), last_line(5_000, "x,y"))]));

    press(&mut model, "e");
    assert!(shown(&model).lines().last().unwrap().contains("Write links to a file?"));
    assert_eq!(press(&mut model, "x"), Action::None, "no");

    let links = export(&mut model, "ej");
    assert_eq!((&*links.stem, links.ending), ("pblink-links-20260301-120000", "json"));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&links.text).unwrap();
    assert_eq!((rows.len(), links.rows), (2, 2));
    assert_eq!((&rows[0]["id"], &rows[0]["last_line"]["text"]), (&"1".into(), &"x,y".into()));

    let links = export(&mut model, "ec");
    let heading = links.text.lines().next().unwrap();
    assert!(heading.contains("lines_in") && heading.contains("last_line.text"), "{heading}");
    assert!(links.text.contains("\"x,y\"") && links.text.lines().count() == 3, "{}", links.text);

    let outages = export(&mut model, "3ej");
    let rows: Vec<pblink_serve::control::Outage> = serde_json::from_str(&outages.text).unwrap();
    assert_eq!((rows.len(), rows[0].lasted_ms()), (1, Some(4_000)), "as in the API");

    let log = export(&mut model, "4ec");
    let last = log.text.lines().last().unwrap();
    assert_eq!(last, "1772366400000,,\"a \"\"quoted\"\", note\",2026-03-01T12:00:00.000Z");
    let filtered = export(&mut model, "/outage ended\nec");
    assert_eq!(filtered.rows, 1, "only what the filter shows: {}", filtered.text);

    model.key(Key::Esc);
    let day = export(&mut model, "5ej");
    assert!(day.text.contains("\"down_ms\": 4000"), "{}", day.text);

    model.tell("wrote it".into(), Tone::Good);
    assert!(shown(&model).lines().last().unwrap().contains("wrote it"));
    press(&mut model, "j");
    assert!(!shown(&model).contains("wrote it"), "until the next key");
}

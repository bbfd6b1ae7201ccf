//! The monitor's screens, keys and lines.

use std::sync::Arc;
use std::time::Duration;

use crate::monitor_fixture::{self, Fake, Feed, NASTY, info, link, press, screen, text};
use pblink_cli::monitor::{Action, ExtraKey, Key, Model, Now, Tab, plain};
use pblink_serve::control::{Client, ControlServer, Update};
use pblink_server::{Cause, Event, EventKind, Layer, LinkState, LinkStatus, Refusal, Report};
use ratatui::buffer::Buffer;
use ratatui::style::Color;

const SIZES: [(u16, u16); 3] = [(120, 40), (80, 24), (60, 20)];

/// 2026-03-01 12:00:00 UTC.
const NOON: u64 = 1_772_366_400_000;

fn snapshot(name: &str, model: &Model) {
    for (width, height) in SIZES {
        let shown = text(&screen(model, (width, height)));
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), shown);
    }
}

fn at(seconds: u64, kind: EventKind) -> Update {
    Update::Event(Arc::new(Event { seq: seconds + 1, at_ms: NOON + seconds * 1000, kind }))
}

fn report(id: &str, number: u32, mem_free: u32) -> EventKind {
    EventKind::Report { id: id.into(), report: Report { connects: 2, number, mem_free } }
}

fn links() -> Vec<LinkStatus> {
    let down = |layer, cause| LinkState::Down { layer, cause };
    let mut one = link("1", LinkState::Up);
    one.since_ms = 192_000;
    one.peer = Some("192.168.1.20:50123".into());
    (one.connects, one.outages, one.lines_in, one.lines_out) = (3, 2, 123_456, 61_728);
    (one.retransmissions, one.duplicates, one.unacked) = (4, 1, 1);
    (one.write_ack_us, one.mem_free) = (Some(1_250), Some(23_456));
    (one.report_number, one.board_connects) = (Some(15), Some(2));
    let mut ten = link("10", down(Layer::Wifi, Cause::Silent));
    (ten.since_ms, ten.connects, ten.outages, ten.lines_in) = (12_000, 1, 1, 87);
    (ten.write_ack_us, ten.mem_free) = (Some(48_000), Some(9_800));
    let mut kitchen = link("kitchen-lamp", down(Layer::Coprocessor, Cause::Reset));
    (kitchen.since_ms, kitchen.connects, kitchen.outages) = (4_000_000, 1, 1);
    let mut waiting = link("2", LinkState::Waiting);
    waiting.since_ms = 7_500_000;
    let mut wide = link("厨房灯", LinkState::Up);
    (wide.since_ms, wide.connects, wide.lines_in, wide.lines_out) = (59_000, 1, 99_999, 1);
    vec![kitchen, ten, wide, waiting, one]
}

/// Returns a server two hours old, with links in all states.
fn model(colour: bool) -> Model {
    let extra =
        |key, label: &str, help: &str| ExtraKey { key, label: label.into(), help: help.into() };
    let extra = vec![extra('w', "WiFi", "WiFi outage of the selected board")];
    let mut model = Model::new(colour, extra);
    tick(&mut model, 0);
    model.apply(Update::Server(info(1)));
    model.apply(Update::Links(links()));
    model.apply(Update::LastLines(vec![
        ("1".into(), monitor_fixture::last_line(4_000, "temperature 21.5")),
        (
            "10".into(),
            monitor_fixture::last_line(14_000, "two\nlines\x1b[2J and a rather long rest of it"),
        ),
        ("厨房灯".into(), monitor_fixture::last_line(7_000_000, "开")),
    ]));
    let id = |id: &str| id.to_owned();
    let peer = || "192.168.1.20:50123".to_owned();
    let events = [
        EventKind::Listening { address: "[::]:8123".into() },
        EventKind::Connected { id: id("1"), peer: peer() },
        EventKind::Connected { id: id("10"), peer: peer() },
        EventKind::OutageBegan { id: id("1"), cause: Cause::ClosedByPeer, layer: Layer::Server },
        EventKind::Board {
            id: id("1"),
            layer: Layer::Wifi,
            up: true,
            detail: "joined the access point again".into(),
        },
        EventKind::OutageEnded { id: id("1"), peer: peer(), lasted_ms: 7_450, connects: 2 },
        EventKind::Refused {
            id: Some(NASTY.into()),
            peer: "192.168.1.66:4444".into(),
            reason: Refusal::UnknownId,
            times: 1,
        },
        EventKind::InvalidLine { id: id("10"), start: "zz\x1b[2J".into() },
        EventKind::QueueFull { id: id("1") },
        EventKind::Note {
            id: None,
            text: "echo: a note of the application that is rather longer than most of the \
                   terminals are wide, so that it has to be cut somewhere, and this one is even \
                   longer than that"
                .into(),
        },
        EventKind::OutageBegan {
            id: id("kitchen-lamp"),
            cause: Cause::Reset,
            layer: Layer::Coprocessor,
        },
        EventKind::OutageBegan { id: id("10"), cause: Cause::Silent, layer: Layer::Wifi },
    ];
    let mut feed = Feed::default();
    let mut at = |second: u64, kind| feed.happen(&mut model, NOON + second * 1000, kind);
    for (second, kind) in events.into_iter().enumerate() {
        at(second as u64, kind);
    }
    for number in 0..16 {
        let free = 22_000 + (number * 7919) % 3000;
        at(20 + u64::from(number), report("1", number, free));
    }
    // This one boots in between.
    for (i, number) in [7, 8, 0, 1].into_iter().enumerate() {
        at(40 + i as u64, report("10", number, 9_900 - 50 * i as u32));
    }
    tick(&mut model, 5_000);
    model
}

fn tick(model: &mut Model, ms: u64) {
    model.tick(Now { mono_ms: 1_000_000 + ms, wall_ms: NOON + 60_000 + ms });
}

#[test]
fn every_tab_fits_every_size() {
    let mut model = model(true);
    for (key, name) in
        [("1", "links"), ("2", "reports"), ("3", "outages"), ("4", "log"), ("5", "day")]
    {
        press(&mut model, key);
        snapshot(name, &model);
    }
}

#[test]
fn the_page_of_one_link_fits_every_size() {
    let mut model = model(true);
    press(&mut model, "\n");
    assert_eq!(model.page(), Some("1"));
    snapshot("page", &model);
}

#[test]
fn a_selected_line_of_the_log_is_shown_in_full() {
    let mut model = model(true);
    press(&mut model, "4kk");
    snapshot("log_selected", &model);
}

#[test]
fn help_fits_every_size() {
    let mut model = model(true);
    press(&mut model, "?");
    snapshot("help", &model);
}

#[test]
fn a_frozen_view_shows_it_and_stands_still() {
    let mut model = model(true);
    press(&mut model, "f");
    let before = text(&screen(&model, (80, 24)));
    model.apply(Update::Links(vec![]));
    tick(&mut model, 60_000);
    assert_eq!(text(&screen(&model, (80, 24))), before);
    snapshot("frozen", &model);
    press(&mut model, "f");
    let after = text(&screen(&model, (80, 24)));
    assert!(after.contains("No board has connected yet"), "data went on:\n{after}");
}

#[test]
fn a_filter_applies_to_all_tabs() {
    let mut model = model(true);
    press(&mut model, "/KITCH");
    snapshot("filter_typed", &model);
    press(&mut model, "\n");
    snapshot("filter_kept", &model);
    for tab in ["1", "3", "4"] {
        press(&mut model, tab);
        let shown = text(&screen(&model, (120, 40)));
        assert!(shown.contains("kitchen-lamp"), "{shown}");
        assert!(!shown.contains("192.168.1.20"), "no other link:\n{shown}");
    }
    press(&mut model, "2");
    let shown = text(&screen(&model, (120, 40)));
    assert!(shown.contains("No report with an id that contains “KITCH”"), "{shown}");
    press(&mut model, "\x1b");
    assert_eq!(model.filter(), "");
}

#[test]
fn an_empty_server_says_what_to_do() {
    let mut model = Model::new(true, vec![]);
    snapshot("connecting", &model);
    model.apply(Update::Server(info(1)));
    snapshot("empty", &model);
}

#[test]
fn a_lost_server_is_shown_and_ages_stop() {
    let mut model = model(true);
    model.apply(Update::Lost {
        reason: "Connection refused".into(),
        retry_in: Duration::from_secs(1),
    });
    tick(&mut model, 3_600_000);
    snapshot("lost", &model);
    model.apply(Update::Server(info(1)));
    press(&mut model, "4");
    let shown = text(&screen(&model, (120, 40)));
    assert!(shown.contains("server reached again"), "{shown}");
}

#[test]
fn outages_of_an_earlier_run_do_not_stay_open() {
    let mut model = model(true);
    press(&mut model, "3");
    assert!(text(&screen(&model, (80, 24))).contains("now"));
    model.apply(Update::Server(info(2)));
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("restarted") && !shown.contains("now"), "{shown}");
}

#[test]
fn outages_whose_end_was_lost_do_not_stay_open() {
    let mut model = Model::new(true, vec![]);
    model.apply(Update::Server(info(1)));
    let mut feed = Feed::default();
    let id = "1".to_owned();
    let began = EventKind::OutageBegan { id, cause: Cause::Silent, layer: Layer::Wifi };
    feed.happen(&mut model, NOON, began);
    press(&mut model, "3");
    assert!(text(&screen(&model, (80, 24))).contains("now"));
    feed.lose(&mut model, 7);
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("unknown") && !shown.contains("now "), "{shown}");
}

#[test]
fn an_outage_is_blamed_on_what_the_board_says_when_it_is_back() {
    let mut model = Model::new(true, vec![]);
    let mut feed = Feed::default();
    let id = || "1".to_owned();
    feed.happen(&mut model, NOON, report("1", 8, 41_234));
    let began = EventKind::OutageBegan { id: id(), cause: Cause::Silent, layer: Layer::Wifi };
    feed.happen(&mut model, NOON + 1_000, began);
    let (peer, lasted_ms) = (String::new(), 4_000);
    let ended = EventKind::OutageEnded { id: id(), peer, lasted_ms, connects: 2 };
    feed.happen(&mut model, NOON + 5_000, ended);
    press(&mut model, "3");
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("WiFi") && !shown.contains("ESP8266"), "likely: {shown}");
    feed.happen(&mut model, NOON + 6_000, report("1", 0, 41_234));
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("ESP8266") && !shown.contains("WiFi"), "it had restarted: {shown}");
}

#[tokio::test]
async fn a_monitor_that_is_started_late_shows_what_was_before() {
    let fake = Fake::new(1, 4);
    *fake.links.lock().unwrap() = vec![link("kitchen", LinkState::Up)];
    let (id, peer) = ("kitchen".to_owned(), String::new());
    fake.history.record(EventKind::OutageEnded { id, peer, lasted_ms: 192_000, connects: 2 });
    fake.history.record(report("kitchen", 77, 41_234));
    (0..100).for_each(|_| fake.note("pushes the others out of the events"));
    let server = ControlServer::bind("127.0.0.1:0".parse().unwrap(), fake).await.unwrap();
    let client = Client::connect(&server.address().to_string()).await.unwrap();
    let mut updates = client.follow();
    let mut model = Model::new(true, vec![]);
    let mut seen = false;
    let see = async {
        while !seen {
            let update = updates.recv().await.unwrap();
            // It comes last.
            seen = matches!(update, Update::Reports(_));
            model.apply(update);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), see).await.expect("the reports come");
    press(&mut model, "3");
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("kitchen") && shown.contains("3 min 12 s"), "{shown}");
    press(&mut model, "2");
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("77") && shown.contains("41.2 kB"), "{shown}");
}

#[test]
fn outages_of_two_runs_are_kept_apart() {
    let mut model = Model::new(true, vec![]);
    for (run, client) in [(1, "first"), (2, "second")] {
        model.apply(Update::Server(info(run)));
        let (id, peer) = (client.to_owned(), String::new());
        let ended = EventKind::OutageEnded { id, peer, lasted_ms: 5, connects: 2 };
        Feed::default().happen(&mut model, NOON, ended);
    }
    press(&mut model, "3");
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("first") && shown.contains("second"), "{shown}");
    assert_eq!(model.selected_id().as_deref(), Some("second"), "the newest is on top");
}

#[test]
fn what_a_server_knows_of_its_earlier_run_is_not_shown_twice() {
    let mut model = Model::new(true, vec![]);
    let (id, began_ms) = ("kitchen".to_owned(), NOON + 5);
    let began = EventKind::OutageBegan { id: id.clone(), cause: Cause::Silent, layer: Layer::Wifi };
    let reports = [report("kitchen", 3, 41_000), report("kitchen", 0, 42_000)];
    model.apply(Update::Server(info(1)));
    model.apply(Update::Links(vec![link("kitchen", LinkState::Up)]));
    let mut first = Feed::default();
    reports.iter().for_each(|report| first.happen(&mut model, NOON, report.clone()));
    first.happen(&mut model, began_ms, began.clone());

    model.apply(Update::Server(info(2)));
    model.apply(Update::Links(vec![link("kitchen", LinkState::Up)]));
    let mut second = Feed::default();
    reports.iter().for_each(|report| second.recall(NOON, report.clone()));
    second.recall(began_ms, began);
    let (lasted_ms, peer) = (60_000, String::new());
    second.recall(NOON + 60_005, EventKind::OutageEnded { id, peer, lasted_ms, connects: 2 });
    second.happen(&mut model, NOON + 70_000, report("kitchen", 1, 43_000));
    press(&mut model, "3");
    let shown = text(&screen(&model, (100, 24)));
    assert_eq!(shown.matches("kitchen").count(), 1, "{shown}");
    assert!(shown.contains("60 s") || shown.contains("1 min"), "{shown}");
    press(&mut model, "1\n");
    let shown = text(&screen(&model, (120, 40)));
    let boots = shown.split("ESP boots").nth(1).unwrap().trim_start();
    assert!(boots.starts_with("1 "), "{shown}");
    let samples: Vec<u32> =
        model.data().reports["kitchen"].samples.iter().map(|sample| sample.report.number).collect();
    assert_eq!(samples, [3, 0, 1]);
}

#[test]
fn boots_before_a_restart_of_the_server_still_count() {
    let mut model = Model::new(true, vec![]);
    for run in [1, 2] {
        model.apply(Update::Server(info(run)));
        model.apply(Update::Links(vec![link("1", LinkState::Up)]));
        let mut feed = Feed::default();
        for number in [3, 0, 1, 0] {
            feed.happen(&mut model, NOON, report("1", number, 41_234));
        }
    }
    press(&mut model, "\n");
    let shown = text(&screen(&model, (120, 40)));
    let boots = shown.split("ESP boots").nth(1).unwrap().trim_start();
    assert!(boots.starts_with("4 "), "{shown}");
}

#[test]
fn without_colours_no_cell_has_one_and_words_say_the_state() {
    let coloured = |buffer: &Buffer| {
        buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    for keys in ["1", "2", "3", "4", "f", "\n", "?", "/k", "/zzz\n", "4kk", "3j", "lost"] {
        let [with, without] = [true, false].map(|colour| {
            let mut model = model(colour);
            if keys == "lost" {
                model.apply(Update::Lost { reason: "gone".into(), retry_in: Duration::ZERO });
            } else {
                press(&mut model, keys);
            }
            screen(&model, (120, 40))
        });
        assert!(coloured(&with), "{keys:?} uses colours when it may");
        assert!(!coloured(&without), "{keys:?} uses none when it may not");
        assert_eq!(text(&with), text(&without), "{keys:?} says the same");
    }
}

#[test]
fn a_tiny_terminal_says_that_it_is_too_small() {
    let model = model(true);
    assert!(text(&screen(&model, (20, 5))).contains("too small"));
    assert!(text(&screen(&model, (39, 40))).contains("too small"));
    assert!(!text(&screen(&model, (40, 10))).contains("too small"));
}

#[test]
fn more_links_than_lines_scroll() {
    let mut model = Model::new(true, vec![]);
    model.resize(24);
    model.apply(Update::Server(info(1)));
    let links = (1..=150).rev().map(|i| link(&i.to_string(), LinkState::Up)).collect();
    model.apply(Update::Links(links));
    let selected = |model: &Model| model.selected_id().unwrap();
    assert_eq!(selected(&model), "1");
    model.key(Key::PageDown);
    assert_eq!(selected(&model), "20");
    model.key(Key::End);
    assert_eq!(selected(&model), "150");
    let shown = text(&screen(&model, (80, 24)));
    assert!(shown.contains("150/150") && shown.contains("\n 131 "), "{shown}");
    press(&mut model, "k");
    assert_eq!(selected(&model), "149");
    // The selection stays on its link when others come before it.
    model.apply(Update::Links(vec![link("149", LinkState::Up), link("0", LinkState::Up)]));
    assert_eq!(selected(&model), "149");
    press(&mut model, "g");
    assert_eq!(selected(&model), "0");
}

#[test]
fn the_log_follows_its_end_unless_a_line_is_selected() {
    let mut model = model(true);
    press(&mut model, "4");
    let note = |text: &str| at(100, monitor_fixture::note(text));
    (0..50).for_each(|_| model.apply(note("filler")));
    assert!(text(&screen(&model, (80, 24))).contains("filler"));
    model.key(Key::Home);
    let first = text(&screen(&model, (80, 24)));
    assert!(first.contains("server listens"), "{first}");
    model.apply(note("newest"));
    assert!(!text(&screen(&model, (80, 24))).contains("newest"), "it stays where it is");
    model.key(Key::End);
    model.apply(note("newest of all"));
    assert!(text(&screen(&model, (80, 24))).contains("newest of all"), "it follows again");
}

#[test]
fn keys_switch_quit_and_go_back() {
    let mut model = model(true);
    for tab in [Tab::Reports, Tab::Outages, Tab::Log, Tab::Day, Tab::Links] {
        model.key(Key::Tab);
        assert_eq!(model.tab(), tab);
    }
    model.key(Key::BackTab);
    assert_eq!(model.tab(), Tab::Day);
    press(&mut model, "3\n");
    assert_eq!(model.page(), Some("10"), "the newest outage's link");
    press(&mut model, "\x1b");
    assert_eq!((model.page(), model.tab()), (None, Tab::Outages));
    press(&mut model, "?");
    assert!(model.help_is_open());
    assert_eq!(model.key(Key::Esc), Action::None);
    assert!(!model.help_is_open());
    assert_eq!(model.key(Key::Char('w')), Action::Extra('w'));
    press(&mut model, "/");
    assert_eq!(model.key(Key::Char('w')), Action::None, "it belongs to the filter");
    assert_eq!(model.key(Key::Char('q')), Action::None, "so does this");
    assert_eq!(model.filter(), "wq");
    assert_eq!(model.key(Key::Ctrl('c')), Action::Quit);
    press(&mut model, "\x1b");
    assert_eq!(model.key(Key::Char('q')), Action::Quit);
}

#[tokio::test]
async fn without_a_terminal_each_event_is_one_line() {
    for json in [false, true] {
        let (sender, updates) = tokio::sync::mpsc::channel(10);
        for update in [
            Update::Server(info(1)),
            at(0, monitor_fixture::note("two\nlines\x1b[2J")),
            Update::Links(links()),
            at(1, report("1", 5, 41_234)),
        ] {
            sender.send(update).await.unwrap();
        }
        drop(sender);
        let mut out = Vec::new();
        let style = plain::Style { json, clock: || NOON, ..plain::Style::default() };
        plain::follow(updates, &style, &mut out).await.unwrap();
        let out = String::from_utf8(out).unwrap();
        if json {
            let events: Vec<Event> =
                out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(events.len(), 2);
            assert_eq!(events[1].kind, report("1", 5, 41_234));
        } else {
            let expected = "12:00:00Z two�lines�[2J\n\
                            12:00:01Z 1: report 5, 41.2 kB free, connects 2\n";
            assert_eq!(out, expected);
        }
    }
}

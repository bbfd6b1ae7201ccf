//! A wall clock that is set deletes nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pblink_serve::control::{Notice, Source};
use pblink_serve::hub::Hub;
use pblink_serve::log::{
    Clock, ClockStep, Commit, Engine, Keep, KeyRow, Log, Opened, OutboxRow, Sqlite,
};
use pblink_server::{EventKind, Server};

use super::{line, lines, open_soon, row};

const DAY: u64 = 24 * HOUR;
const HOUR: u64 = 3_600_000;
const NOON: u64 = 1_772_366_400_000;

/// Clocks that the test sets.
#[derive(Default)]
struct Set {
    wall_ms: AtomicU64,
    passed_ms: AtomicU64,
}

impl Clock for Set {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn passed(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::SeqCst))
    }
}

impl Set {
    fn at(wall_ms: u64) -> Arc<Self> {
        Arc::new(Self { wall_ms: wall_ms.into(), passed_ms: AtomicU64::default() })
    }

    fn pass(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.passed_ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn set(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

/// Lines of which the first came eight days before noon, and the last at noon.
fn old_lines(folder: &Path) {
    let mut log = Sqlite::open(folder).unwrap();
    let at = |offset, at_ms| pblink_serve::log::Line { at_ms, ..line(offset, "x") };
    let key = KeyRow { client: "kitchen".into(), key: "k".into(), row: 1, at_ms: NOON, digest: 0 };
    let commit = Commit {
        lines: vec![at(1, NOON - 8 * DAY), at(2, NOON - 6 * DAY), at(3, NOON)],
        outbox: vec![OutboxRow { at_ms: NOON, ..row(1) }],
        keys: vec![key],
        alive_ms: Some(NOON),
        ..Commit::default()
    };
    log.commit(&commit).unwrap();
}

fn open(folder: &Path, clock: &Arc<Set>) -> Opened {
    Log::open_with(open_soon(folder), Keep::default(), Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

/// Deletes what is old, and returns the oldest line that stays.
async fn oldest(log: &Log) -> u64 {
    log.retain_now().await;
    log.first()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_the_clock_stops_deletion_by_age_for_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    old_lines(folder.path());
    let clock = Set::at(NOON + 30_000);
    let Opened { log, .. } = open(folder.path(), &clock);
    let steps = log.clock_steps();
    assert_eq!(oldest(&log).await, 2, "the first is older than a week");
    clock.pass(10_000);
    clock.set(NOON + 30 * DAY);
    assert_eq!(oldest(&log).await, 2, "all are, by this clock");
    let step = ClockStep { from_ms: NOON + 40_000, to_ms: NOON + 30 * DAY };
    assert_eq!(steps.next().await, Some(step));
    clock.pass(HOUR - 1);
    assert_eq!(oldest(&log).await, 2);
    // The key of a request is as old as the clock says, and is kept as well.
    let again = pblink_serve::log::Outgoing {
        client: "kitchen".into(),
        text: "again".into(),
        delivery: pblink_server::Delivery::ORDERED,
    };
    assert!(log.send(vec![again], Some("k".into())).await.unwrap().repeated);
    log.stop().await;
    assert_eq!(steps.next().await, None);
    drop(log);

    // A restart forgets neither the step nor the rest of the hour.
    let Opened { log, .. } = open(folder.path(), &clock);
    assert_eq!(oldest(&log).await, 2);
    clock.pass(2);
    assert_eq!(oldest(&log).await, 3, "the newest always stays");
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_while_no_server_was_running_costs_nothing() {
    for (wall_ms, back) in [(NOON - DAY, true), (5, true), (NOON + 300 * DAY, false)] {
        let folder = tempfile::tempdir().unwrap();
        old_lines(folder.path());
        let clock = Set::at(wall_ms);
        let Opened { log, .. } = open(folder.path(), &clock);
        assert_eq!(oldest(&log).await, 1, "at {wall_ms}");
        if back {
            let step = ClockStep { from_ms: NOON, to_ms: wall_ms };
            assert_eq!(log.clock_steps().next().await, Some(step));
        }
        // It is put right within the hour.
        clock.set(NOON + 20_000);
        assert_eq!(oldest(&log).await, 1);
        clock.pass(HOUR);
        assert_eq!(oldest(&log).await, 2);
        log.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_size_goes_on_after_a_step() {
    let folder = tempfile::tempdir().unwrap();
    Sqlite::open(folder.path()).unwrap().commit(&lines(1..=100)).unwrap();
    let clock = Set::at(NOON);
    let keep = Keep { bytes: 1_000, ..Keep::default() };
    let opened = Log::open_with(open_soon(folder.path()), keep, clock as Arc<dyn Clock>).unwrap();
    assert!(oldest(&opened.log).await > 90);
    opened.log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_the_clock_is_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Set::at(NOON);
    let Opened { log, past, .. } = open(folder.path(), &clock);
    let server = Server::builder().listen("127.0.0.1:0".parse().unwrap()).commits(true);
    let server = server.bind().await.unwrap();
    let timeout = Duration::from_secs(600);
    let hub = Hub::resume(server.clone(), log.clone(), past, timeout, "").await.unwrap();
    let mut events = hub.history().subscribe();
    clock.set(NOON - 2 * DAY);
    log.retain_now().await;
    let event = loop {
        match events.next().await.unwrap() {
            Notice::Event(event) if matches!(event.kind, EventKind::ClockStepped { .. }) => {
                break event;
            }
            _ => {}
        }
    };
    let kind = EventKind::ClockStepped { from_ms: NOON, to_ms: NOON - 2 * DAY };
    assert_eq!((event.at_ms, &event.kind), (NOON - 2 * DAY, &kind));
    let json = serde_json::to_value(&event.kind).unwrap();
    assert_eq!(json["event"], "clock_stepped");
    server.shutdown().await;
    log.stop().await;
}

//! The port: which one is meant, and the wait for it.

use std::time::Duration;

use pblink_fakes::esp8266::Hub;
use pblink_flash::coprocessor::{FoundPort, Ports, WantedPort, find};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn wanted(path: Option<&str>, wait: Duration) -> WantedPort {
    WantedPort { path: path.map(str::to_owned), wait }
}

fn look(hub: &mut Hub, path: Option<&str>, wait: u32) -> Result<FoundPort> {
    find(hub, &wanted(path, wait * SECOND), &mut Silent)
}

#[test]
fn a_port_that_comes_later_is_waited_for() {
    let board = Board::with([]);
    for path in [None, Some("/dev/ttyUSB7")] {
        let mut hub = Hub::default().with("/dev/ttyUSB7", &board, 20 * SECOND);
        let found = look(&mut hub, path, 30).unwrap();
        assert_eq!((found.path.as_str(), hub.time()), ("/dev/ttyUSB7", 20 * SECOND));
        let mut loader =
            Loader::connect(found.open(&mut hub, &mut Silent).unwrap(), rom(), &mut Silent)
                .unwrap();
        loader.flash(&combined(), &job(), &mut Silent).unwrap();
        assert_flashed(&board, &combined(), "late");
    }
}

#[test]
fn a_port_that_does_not_come_is_named_in_time() {
    let board = Board::with([]);
    for (wait, time) in [(0, 0), (5, 5)] {
        let hub = || Hub::default().with("/dev/ttyUSB7", &board, 20 * SECOND);
        let mut late = hub();
        let error = look(&mut late, None, wait).unwrap_err();
        assert_eq!((error.kind(), late.time()), (Kind::NotFound, time * SECOND));
        assert!(error.cause().contains("no USB serial adapter"), "{error}");
        let mut late = hub();
        let error = look(&mut late, Some("/dev/ttyUSB7"), wait).unwrap_err();
        assert_eq!((error.kind(), late.time()), (Kind::NotFound, time * SECOND));
        assert!(error.cause().contains("there is no port /dev/ttyUSB7"), "{error}");
        assert!(error.remedy().contains("--serial"), "{error}");
    }
}

#[test]
fn what_waiting_does_not_help_is_reported_at_once() {
    let board = Board::with([]);
    let mut two = Hub::default().with("/dev/ttyUSB0", &board, Duration::ZERO).with(
        "/dev/ttyUSB1",
        &board,
        Duration::ZERO,
    );
    let error = look(&mut two, None, 30).unwrap_err();
    assert!(error.cause().contains("2 serial adapters") && two.time().is_zero(), "{error}");
    // A modem is none, unless the user says so.
    let modem = || Hub::default().with("/dev/ttyACM0", &board, Duration::ZERO).of_unknown_kind();
    assert!(look(&mut modem(), None, 0).is_err());
    assert!(look(&mut modem(), Some("/dev/ttyACM0"), 0).is_ok());
    // A port that was there is closed for good.
    for why in [Kind::Permission, Kind::Busy] {
        let hub = Hub::default().with("/dev/ttyUSB0", &board, Duration::ZERO);
        let mut hub = hub.closed(why, 3 * SECOND);
        let found = look(&mut hub, None, 30).unwrap();
        let error = found.open(&mut hub, &mut Silent).unwrap_err();
        assert_eq!((error.kind(), hub.time()), (why, Duration::ZERO));
    }
}

/// Of a port that has just come, root is the owner for a moment, and then ModemManager its user.
#[test]
fn a_port_that_has_just_come_gets_time_until_it_is_ours() {
    let board = Board::with([]);
    for why in [Kind::Permission, Kind::Busy] {
        for (closed, opens) in [(3, true), (60, false)] {
            let hub = Hub::default().with("/dev/ttyUSB0", &board, SECOND);
            let mut hub = hub.closed(why, closed * SECOND);
            let found = look(&mut hub, None, 30).unwrap();
            let opened = found.open(&mut hub, &mut Silent);
            assert_eq!(opened.is_ok(), opens, "{why:?} {closed}");
            assert!(opened.is_ok() || opened.unwrap_err().kind() == why);
            assert!(hub.time() < 15 * SECOND, "{:?}", hub.time());
        }
    }
}

#[test]
fn the_wait_is_shown_and_can_be_stopped() {
    #[derive(Default)]
    struct Watch {
        said: Vec<String>,
        looks: usize,
        stop: bool,
    }
    impl Progress for Watch {
        fn begin(&mut self, step: Step, what: &str, total: u64) {
            self.said.push(format!("{step:?} {what} {total}"));
        }
        fn advance(&mut self, _done: u64) {
            self.looks += 1;
        }
        fn end(&mut self) {
            self.said.push("end".to_owned());
        }
        fn note(&mut self, text: &str) {
            self.said.push(text.to_owned());
        }
        fn cancelled(&self) -> bool {
            self.stop && self.looks == 3
        }
    }
    let board = Board::with([]);
    let hub = || Hub::default().with("/dev/ttyUSB0", &board, 4 * SECOND);
    let mut watch = Watch::default();
    find(&mut hub(), &wanted(None, 30 * SECOND), &mut watch).unwrap();
    let expected = "Wait a USB serial adapter of a known kind 30";
    assert!(watch.said[0].contains("plug the board in"), "{:?}", watch.said);
    assert_eq!(watch.said[1..], [expected, "end"]);

    let mut watch = Watch { stop: true, ..Watch::default() };
    let mut hub = hub();
    let error = find(&mut hub, &wanted(None, 30 * SECOND), &mut watch).unwrap_err();
    assert_eq!((error.kind(), hub.time()), (Kind::Cancelled, 3 * SECOND / 2));
    assert!(hub.adapters().unwrap().is_empty());
}

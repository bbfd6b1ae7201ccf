//! The choice of the board, and the wait for it.

use std::time::Duration;

use pblink_fakes::stm32::{Bootloader, Chip, Debugger, Desk, Opens};
use pblink_flash::stm32::{Selector, Via, Wanted, connect};
use pblink_flash::{Error, Kind, Step};

use super::{Watch, check_words};

fn wanted(via: Option<Via>, selector: Option<&str>, wait: u64) -> Wanted {
    let selector = selector.map(|text| text.parse::<Selector>().expect("a good one"));
    Wanted { via, selector, chip: "STM32F405RGTx".to_owned(), wait: Duration::from_secs(wait) }
}

fn bootloader() -> Opens {
    Opens::Bootloader(Bootloader::of(&Chip::new()))
}

fn debugger() -> Opens {
    Opens::Debugger(Debugger::of(&Chip::new()))
}

fn find(desk: &mut Desk, wanted: &Wanted, watch: &mut Watch) -> Result<String, Error> {
    let found = connect(desk, wanted, watch).map(|(found, _)| found.to_string());
    if let Err(error) = &found {
        check_words(error);
    }
    found
}

#[test]
fn the_only_one_is_it() {
    for (opens, name) in [
        (bootloader(), "DFU 0483:df11:A (STM32 BOOTLOADER)"),
        (debugger(), "probe 0483:374b:A (STLink V2-1)"),
    ] {
        let mut watch = Watch::default();
        let found =
            connect(&mut Desk::default().with("A", opens), &wanted(None, None, 0), &mut watch);
        assert_eq!(found.expect("it is there").0.to_string(), name);
        assert!(watch.steps.is_empty(), "nothing to wait for");
    }
}

#[test]
fn several_are_listed_and_one_can_be_named() {
    let desk =
        || Desk::default().with("A", bootloader()).with("B", bootloader()).with("C", debugger());
    let watch = &mut Watch::default();
    let error = find(&mut desk(), &wanted(None, None, 0), watch).expect_err("three");
    assert_eq!(error.kind(), Kind::NotFound);
    for name in ["0483:df11:A", "0483:df11:B", "0483:374b:C", "STLink"] {
        assert!(error.cause().contains(name), "{error}");
    }
    assert!(error.remedy().contains("--via"), "{error}");

    let error = find(&mut desk(), &wanted(Some(Via::Dfu), None, 0), watch).expect_err("two");
    assert!(!error.cause().contains("0483:374b:C"), "{error}");
    assert!(error.remedy().contains("--probe"), "{error}");

    for (via, selector, name) in [
        (Some(Via::Probe), None, ":C"),
        (None, Some("0483:374B"), ":C"),
        (None, Some("0483:df11:B"), ":B"),
        (Some(Via::Dfu), Some("483:df11:A"), ":A"),
    ] {
        let found = find(&mut desk(), &wanted(via, selector, 0), watch).expect("one");
        assert!(found.contains(name), "{found}");
    }
}

#[test]
fn none_says_what_there_is_and_how_to_get_one() {
    let watch = &mut Watch::default();
    let error = find(&mut Desk::default(), &wanted(None, None, 0), watch).expect_err("none");
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        error.remedy().contains("P1/DFU") && error.remedy().contains("pyb.bootloader()"),
        "{error}"
    );
    let mut desk = Desk::default().with("A", bootloader());
    let error = find(&mut desk, &wanted(Some(Via::Probe), None, 0), watch).expect_err("none");
    assert!(error.cause().contains("0483:df11:A"), "{error}");
    let error = find(&mut desk, &wanted(None, Some("0483:df11:X"), 0), watch).expect_err("none");
    assert!(error.cause().contains("0483:df11:X"), "{error}");
}

#[test]
fn it_is_waited_for_with_a_countdown() {
    let mut desk = Desk::default().with_later("A", bootloader(), Duration::from_secs(7));
    let mut watch = Watch::default();
    find(&mut desk, &wanted(None, None, 60), &mut watch).expect("it comes");
    assert_eq!(desk.time(), Duration::from_secs(7));
    assert_eq!(watch.steps, [(Step::Wait, 60)]);
    assert!(watch.notes[0].contains("P1/DFU"), "{:?}", watch.notes);

    let mut desk = Desk::default().with_later("A", bootloader(), Duration::from_secs(7));
    let error =
        find(&mut desk, &wanted(None, None, 6), &mut Watch::default()).expect_err("too late");
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(desk.time(), Duration::from_secs(6));
}

#[test]
fn waiting_can_be_stopped() {
    let error = find(&mut Desk::default(), &wanted(None, None, 60), &mut Watch::stops_after(3));
    assert_eq!(error.expect_err("stopped").kind(), Kind::Cancelled);
}

#[test]
fn why_it_cannot_be_opened_is_passed_on() {
    for kind in [Kind::Permission, Kind::Busy, Kind::Vanished] {
        let mut desk = Desk::default().with("A", Opens::Fails(kind));
        let error = find(&mut desk, &wanted(None, None, 10), &mut Watch::default());
        assert_eq!(error.expect_err("it fails").kind(), kind);
    }
    let mut desk =
        Desk::default().with("A", Opens::Debugger(Debugger::of(&Chip::new()).with_id(0x1000_6431)));
    let error = find(&mut desk, &wanted(None, None, 10), &mut Watch::default());
    assert_eq!(error.expect_err("another chip").kind(), Kind::WrongChip);
}

#[test]
fn what_is_not_a_selector_is_refused() {
    for text in ["", "0483", "0483:", ":df11", "STLink", "0483:xyz", "10483:df11"] {
        assert!(text.parse::<Selector>().expect_err(text).contains("VID:PID"));
    }
    assert_eq!("0483:df11:a:b".parse::<Selector>().expect("colons").serial.as_deref(), Some("a:b"));
    assert_eq!("0483:df11:".parse::<Selector>().expect("any").serial, None);
}

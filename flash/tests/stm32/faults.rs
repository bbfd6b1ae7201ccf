//! Whatever goes wrong, and whenever: no half-written program starts, and trying again is enough.

use std::time::Duration;

use pblink_fakes::stm32::{Bootloader, Chip, Fault, START};
use pblink_flash::stm32::{Dfu, SETTINGS, program};
use pblink_flash::{Kind, Silent};

use super::{WAYS, Watch, Way, check_words, image, region};

/// Old program, new program, settings, and how much of flash the programs take together.
struct Case {
    old: Vec<u8>,
    new: Vec<u8>,
    settings: Vec<u8>,
}

const AREA: usize = 0x1_8000;

impl Case {
    /// Programs over several sectors, of which one will be unchanged.
    fn new() -> Self {
        let mut old = image(0x1_2000, 1);
        let mut new = image(0x1_1000, 2);
        new[0x4000..0x8000].copy_from_slice(&old[0x4000..0x8000]);
        old.resize(AREA, 0xff);
        Self { old, new: std::mem::take(&mut new), settings: image(300, 3) }
    }

    fn chip(&self) -> Chip {
        Chip::new().with(START, &self.old).with(SETTINGS, &self.settings)
    }

    fn is_new(&self, chip: &Chip) -> bool {
        chip.bytes(START, self.new.len()) == self.new
    }

    /// Asserts that only a whole program would start.
    fn check(&self, chip: &Chip, when: &str) {
        if chip.would_start() {
            let old = chip.bytes(START, AREA) == self.old;
            assert!(old || self.is_new(chip), "half a program would start: {when}");
        }
        assert_eq!(chip.bytes(SETTINGS, self.settings.len()), self.settings, "settings: {when}");
    }
}

fn at_every_transfer(way: Way, fault: Fault, kinds: &[Kind]) {
    let case = Case::new();
    let images = [region(START, &case.new)];
    let work =
        |chip: &Chip, fault| way.run(chip, fault, |t| program(t, &images, &mut Watch::default()));
    let clean = work(&case.chip(), None);
    clean.result.expect("no fault");
    assert!(clean.transfers > 20, "{way:?} took {} transfers", clean.transfers);

    let mut failed = 0;
    for n in 0..clean.transfers {
        let chip = case.chip();
        let when = format!("{way:?}, {fault:?} at transfer {n} of {}", clean.transfers);
        match work(&chip, Some((n, fault))).result {
            // It did no harm: where one compares before anything is written, or says good-bye.
            Ok(_) => assert!(case.is_new(&chip), "{when}"),
            Err(error) => {
                failed += 1;
                check_words(&error);
                assert!(kinds.contains(&error.kind()), "{when}: {error:?}");
            }
        }
        case.check(&chip, &when);
        work(&chip, None).result.unwrap_or_else(|error| panic!("{when}, then again: {error}"));
        assert!(case.is_new(&chip), "{when}, then again");
        assert!(chip.started(), "{when}, then again");
        case.check(&chip, &when);
    }
    assert!(failed * 2 > clean.transfers, "{way:?}, {fault:?}: only {failed} failed");
}

#[test]
fn the_cable_comes_off_at_every_transfer() {
    for way in WAYS {
        at_every_transfer(way, Fault::Vanish, &[Kind::Vanished]);
    }
}

#[test]
fn every_transfer_is_refused() {
    at_every_transfer(Way::Dfu, Fault::Stall, &[Kind::Refused]);
    at_every_transfer(Way::Probe, Fault::Stall, &[Kind::NoAnswer]);
}

#[test]
fn every_transfer_gets_no_answer() {
    for way in WAYS {
        at_every_transfer(way, Fault::Timeout, &[Kind::NoAnswer]);
    }
}

#[test]
fn every_answer_is_garbled() {
    // Bytes that were read wrongly look like a mismatch, or like a sector that could not be erased.
    let kinds = [Kind::Refused, Kind::NoAnswer, Kind::Verify];
    at_every_transfer(Way::Dfu, Fault::Garbage, &kinds);
}

#[test]
fn bytes_that_are_read_wrongly_over_a_probe_are_noticed() {
    let case = Case::new();
    let images = [region(START, &case.new)];
    let clean = Way::Probe.run(&case.chip(), None, |t| program(t, &images, &mut Silent));
    let mut noticed = Vec::new();
    for n in 0..clean.transfers {
        let chip = case.chip();
        let fault = Some((n, Fault::Garbage));
        let run = Way::Probe.run(&chip, fault, |t| program(t, &images, &mut Silent));
        case.check(&chip, &format!("garbage at transfer {n}"));
        match run.result {
            Ok(_) => assert!(case.is_new(&chip)),
            Err(error) => {
                // What was seen to be wrong must not start, not even if it is its last bytes.
                assert!(error.kind() != Kind::Verify || !chip.would_start(), "transfer {n}");
                noticed.push(error.kind());
            }
        }
    }
    assert!(noticed.contains(&Kind::Verify) && noticed.contains(&Kind::Refused), "{noticed:?}");
}

#[test]
fn the_user_stops_it_whenever_it_asks() {
    for way in WAYS {
        let case = Case::new();
        let images = [region(START, &case.new)];
        let mut unchanged = 0;
        let mut erased = 0;
        for questions in 0.. {
            let chip = case.chip();
            let result = way.program(&chip, &images, &mut Watch::stops_after(questions));
            case.check(&chip, &format!("{way:?}, stopped after {questions} questions"));
            let Err(error) = result else { break };
            assert_eq!(error.kind(), Kind::Cancelled);
            if chip.erased().is_empty() {
                unchanged += 1;
                assert_eq!(chip.bytes(START, AREA), case.old);
                assert!(error.remedy().contains("not changed"), "{error}");
            } else {
                erased += 1;
                assert!(!chip.would_start());
                assert!(error.remedy().contains("flash it again"), "{error}");
            }
        }
        assert!(unchanged > 2 && erased > 2, "{way:?}: {unchanged}, {erased}");
    }
}

#[test]
fn a_sector_that_is_worn_out_is_found_before_the_program_may_start() {
    for way in WAYS {
        // Beyond what is looked at after erasing.
        let (address, at) = (START + 0x1_8000, 0x1_8000);
        let mut bytes = image(0x1_9000, 4);
        bytes[at] = 0xff;
        let chip = Chip::new().with_stuck_bits(address, 0x10);
        let result = way.program(&chip, &[region(START, &bytes)], &mut Watch::default());
        let error = result.expect_err("a bit is wrong");
        assert_eq!(error.kind(), Kind::Verify);
        assert!(error.cause().contains("0xef at 0x08018000"), "{error}");
        check_words(&error);
        assert!(!chip.would_start());
    }
}

#[test]
fn a_bootloader_that_never_gets_done_is_given_up() {
    let chip = Chip::new();
    let mut dfu = Dfu::new(Bootloader::of(&chip).that_hangs()).expect("it is idle");
    let error =
        program(&mut dfu, &[region(START, &image(5000, 5))], &mut Silent).expect_err("it hangs");
    assert_eq!(error.kind(), Kind::NoAnswer);
    check_words(&error);
    assert!(chip.erased().is_empty());
}

/// A device's wish is not ours: 24 bits of milliseconds are more than four hours.
#[test]
fn the_pause_that_a_bootloader_asks_for_ends_with_the_limit() {
    let long = Duration::from_millis(0xff_ffff);
    let cases: [fn(Bootloader, Duration) -> Bootloader; 2] = [
        |b, pause| b.that_asks_for(pause),
        // No pause, and each answer late: as long in the end.
        |b, _| b.that_asks_for(Duration::ZERO).that_is_slow(Duration::from_secs(9)),
    ];
    for hangs in cases {
        let chip = Chip::new();
        let mut dfu = Dfu::new(hangs(Bootloader::of(&chip), long)).expect("it is idle");
        let error = program(&mut dfu, &[region(START, &image(5000, 5))], &mut Silent);
        let error = error.expect_err("it never gets done");
        assert_eq!(error.kind(), Kind::NoAnswer, "{error}");
        check_words(&error);
        let time = dfu.io().time();
        assert!(time < Duration::from_secs(90), "{time:?}");
    }
}

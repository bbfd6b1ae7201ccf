//! Read-out protection is turned on, and nothing else changes.

use pblink_fakes::stm32::{Chip, Debugger, Fault, START};
use pblink_flash::Kind;
use pblink_flash::stm32::{Layout, Probe, Target};

use super::{WAYS, Way, check_words, image};

fn lock(way: Way, chip: &Chip) -> Result<(), pblink_flash::Error> {
    way.run(chip, None, |target| target.lock()).result
}

#[test]
fn a_locked_chip_is_not_read_and_keeps_all_that_it_has() {
    for way in WAYS {
        let program = image(20 << 10, 1);
        let chip = Chip::new().with(START, &program).with_protected(&[3, 11]);
        lock(way, &chip).expect("no fault");
        assert!(chip.readout_protected());
        assert_eq!((chip.bytes(START, program.len()), chip.erased()), (program, Vec::new()));
        let read = way.run(&chip, None, |target| target.read(START, &mut [0; 4])).result;
        read.expect_err("nobody reads it");
        let rest = way.run(&chip.copy(), None, |target| target.protection()).result;
        if let Ok(protection) = rest
            && way == Way::Probe
        {
            assert_eq!((protection.readout, protection.sectors), (true, vec![3, 11]));
        }
    }
    // A probe can tell that it is on already.
    let chip = Chip::new().with_readout_protection();
    lock(Way::Probe, &chip).expect("it is");
    assert_eq!(lock(Way::Dfu, &chip).expect_err("it cannot tell").kind(), Kind::Refused);
}

#[test]
fn whatever_goes_wrong_nobody_is_told_that_an_open_chip_is_locked() {
    for way in WAYS {
        let clean = way.run(&Chip::new(), None, |target| target.lock());
        clean.result.expect("no fault");
        for fault in [Fault::Vanish, Fault::Stall, Fault::Timeout, Fault::Garbage] {
            for n in 0..clean.transfers {
                let chip = Chip::new();
                match way.run(&chip, Some((n, fault)), |target| target.lock()).result {
                    Ok(()) => assert!(chip.readout_protected(), "{way:?} {fault:?} at {n}"),
                    Err(error) => check_words(&error),
                }
                lock(way, &chip).map_or_else(
                    |error| assert!(chip.readout_protected(), "{error}"),
                    |()| assert!(chip.readout_protected()),
                );
            }
        }
    }
}

#[test]
fn a_chip_that_does_not_take_it_and_one_that_is_not_known_are_errors() {
    let chip = Chip::new();
    let debugger = Debugger::of(&chip).that_keeps_its_options();
    let mut probe = Probe::new(debugger, "STM32F405RGTx").expect("it is there");
    let error = probe.lock().expect_err("it does not");
    assert_eq!(error.kind(), Kind::Verify);
    check_words(&error);
    let layout = Layout::of_groups([(START, 4, 16 << 10)]).expect("in order");
    let debugger = Debugger::of(&chip).with_layout(layout);
    let mut probe = Probe::new(debugger, "STM32L476RGTx").expect("it is there");
    let error = probe.lock().expect_err("it is not known");
    assert_eq!(error.kind(), Kind::WrongChip);
    check_words(&error);
    assert!(!chip.readout_protected());
}

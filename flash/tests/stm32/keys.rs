//! Keys are appended and read, and nothing else is touched.

use pblink_fakes::stm32::{Bootloader, Chip, Debugger, Fault, START};
use pblink_flash::stm32::{Dfu, KEYS, Layout, Probe, SETTINGS, Target, append_keys, read_keys};
use pblink_flash::{Kind, Silent};
use pblink_image::keys::{Fields, Keys, SIZE};
use pblink_image::map::{BLACK_PILL, NUCLEO_F446, PYBOARD};

use super::{WAYS, Watch, Way, check_words, image};

fn record(generation: u32) -> [u8; SIZE] {
    let key = &[generation as u8; 32];
    let fields = Fields {
        id: "kitchen",
        generation,
        private: key,
        server: key,
        shared: key,
        seed: key,
        confirmed: true,
    };
    fields.write().expect("a good id")
}

fn append(way: Way, chip: &Chip, record: &[u8; SIZE]) -> Result<bool, pblink_flash::Error> {
    way.run(chip, None, |target| append_keys(target, record, &mut Watch::default())).result
}

/// Returns the generation that counts on the chip, by its flash.
fn generation(chip: &Chip) -> Option<u32> {
    let bytes = chip.bytes(KEYS, PYBOARD.keys().size as usize);
    Keys::read(&bytes).record().map(|record| record.generation())
}

#[test]
fn what_is_appended_is_read_and_the_rest_stays() {
    for way in WAYS {
        let (program, settings) = (image(768 << 10, 1), image(200, 2));
        let chip = Chip::new().with(START, &program).with(SETTINGS, &settings);
        assert!(append(way, &chip, &record(1)).expect("no fault"));
        assert!(append(way, &chip, &record(2)).expect("no fault"));
        let bytes = way.run(&chip, None, |target| read_keys(target)).result.expect("no fault");
        let keys = Keys::read(&bytes);
        assert_eq!(keys.record().map(|r| (r.generation(), r.offset())), Some((2, SIZE)));
        // The one before is of no use to whoever reads the flash.
        assert_eq!(chip.bytes(KEYS, SIZE), [0; SIZE]);
        // The same again changes nothing.
        assert!(!append(way, &chip, &record(2)).expect("no fault"));
        assert_eq!(keys.free(), Some(2 * SIZE));
        assert_eq!(chip.bytes(KEYS + 2 * SIZE as u32, 1000), [0xff; 1000]);
        assert!(chip.erased().is_empty());
        assert_eq!(chip.bytes(START, program.len()), program);
        assert_eq!(chip.bytes(SETTINGS, settings.len()), settings);
    }
}

#[test]
fn whatever_goes_wrong_the_board_has_the_old_keys_or_the_new_ones() {
    for way in WAYS {
        let chip = || Chip::new().with(KEYS, &record(1));
        let work = |chip: &Chip, fault| {
            way.run(chip, fault, |target| append_keys(target, &record(2), &mut Watch::default()))
        };
        let clean = work(&chip(), None);
        assert!(clean.result.expect("no fault"));
        for fault in [Fault::Vanish, Fault::Stall, Fault::Timeout, Fault::Garbage] {
            for n in 0..clean.transfers {
                let chip = chip();
                if let Err(error) = work(&chip, Some((n, fault))).result {
                    check_words(&error);
                }
                let there = generation(&chip);
                assert!([Some(1), Some(2)].contains(&there), "{way:?} {fault:?} at {n}: {there:?}");
                work(&chip, None).result.expect("the second time");
                assert_eq!(generation(&chip), Some(2), "{way:?} {fault:?} at {n}");
                let old = chip.bytes(KEYS, SIZE);
                assert_eq!(old, [0; SIZE], "{way:?} {fault:?} at {n}: wiped the second time");
            }
        }
    }
}

#[test]
fn a_sector_that_is_full_is_erased_for_the_next_record() {
    let full = record(1).repeat(PYBOARD.keys().size as usize / SIZE);
    for way in WAYS {
        let chip = Chip::new().with(KEYS, &full);
        assert!(append(way, &chip, &record(9)).expect("no fault"));
        assert_eq!((generation(&chip), chip.erased()), (Some(9), vec![10]));
        assert_eq!(chip.bytes(KEYS + SIZE as u32, SIZE), [0xff; SIZE]);
    }
}

#[test]
fn what_is_no_record_is_not_written() {
    let mut damaged = record(1);
    damaged[20] ^= 1;
    for bytes in [damaged, [0xff; SIZE], [0; SIZE]] {
        let chip = Chip::new().with(KEYS, &record(1));
        let error = append(Way::Probe, &chip, &bytes).expect_err("no record");
        assert_eq!((error.kind(), generation(&chip)), (Kind::Image, Some(1)));
        check_words(&error);
    }
}

#[test]
fn protection_and_the_users_no_leave_the_old_ones() {
    for way in WAYS {
        let chip = Chip::new().with(KEYS, &record(1));
        let protected = chip.copy().with_protected(&[10]);
        let error = append(way, &protected, &record(2)).expect_err("protected");
        assert!(error.kind() == Kind::Refused && error.cause().contains("sector 10"), "{error}");
        let locked = chip.copy().with_readout_protection();
        for error in [
            append(way, &locked, &record(2)).expect_err("locked"),
            way.run(&locked, None, |target| read_keys(target)).result.expect_err("locked"),
        ] {
            assert!(error.cause().contains("read-out protection"), "{error}");
        }
        let stopped = way
            .run(&chip, None, |target| append_keys(target, &record(2), &mut Watch::stops_after(0)));
        assert_eq!(stopped.result.expect_err("stopped").kind(), Kind::Cancelled);
        for chip in [&chip, &protected, &locked] {
            assert_eq!(generation(chip), Some(1));
        }
    }
}

#[test]
fn each_kind_of_board_has_a_place_and_other_chips_have_none() {
    for map in [&BLACK_PILL, &NUCLEO_F446] {
        let chip = Chip::of(map);
        let mut dfu = Dfu::new(Bootloader::of(&chip)).expect("it is there");
        let mut probe = Probe::new(Debugger::of(&chip), map.part).expect("it is there");
        let ways: [(&mut dyn Target, u32); 2] = [(&mut dfu, 1), (&mut probe, 2)];
        for (target, generation) in ways {
            assert!(append_keys(target, &record(generation), &mut Silent).expect("a place"));
            let there = read_keys(target).expect("they were written");
            assert_eq!(Keys::read(&there).record().map(|r| r.generation()), Some(generation));
        }
        assert_eq!(chip.bytes(map.keys().start + SIZE as u32, SIZE), record(2));
    }
    // An STM32F401CC: a quarter of the flash.
    let groups = [(START, 4, 16 << 10), (0x0801_0000, 1, 64 << 10), (0x0802_0000, 1, 128 << 10)];
    let layout = Layout::of_groups(groups).expect("in order");
    let debugger = Debugger::of(&Chip::new()).with_layout(layout);
    let mut probe = Probe::new(debugger, "STM32F401CCUx").expect("it is there");
    for error in [
        append_keys(&mut probe, &record(1), &mut Silent).expect_err("no sector"),
        read_keys(&mut probe).expect_err("no sector"),
    ] {
        assert_eq!(error.kind(), Kind::WrongChip);
        check_words(&error);
    }
}

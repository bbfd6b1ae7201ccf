//! The settings are written and read, and nothing else is touched.

use pblink_fakes::stm32::{Bootloader, Chip, Debugger, Fault, START};
use pblink_flash::stm32::{Dfu, Layout, Probe, SETTINGS, Target, read_settings, write_settings};
use pblink_flash::{Kind, Silent};
use pblink_image::map::{BLACK_PILL, NUCLEO_F446};
use pblink_image::settings::{LogLevel, MAX_SIZE, Settings, SettingsError};

use super::{WAYS, Watch, Way, check_words, image};

fn bytes(log: LogLevel) -> Vec<u8> {
    let mut out = [0; MAX_SIZE];
    let settings = Settings { log, ..Settings::built_in() };
    let length = settings.write(&mut out).expect("good settings");
    out[..length].to_vec()
}

fn push(way: Way, chip: &Chip, bytes: &[u8]) -> Result<bool, pblink_flash::Error> {
    way.run(chip, None, |target| write_settings(target, bytes, &mut Watch::default())).result
}

fn pull(way: Way, chip: &Chip) -> Result<Settings, SettingsError> {
    let bytes = way.run(chip, None, |target| read_settings(target)).result.expect("no fault");
    assert_eq!(bytes.len(), MAX_SIZE);
    Settings::read(&bytes)
}

#[test]
fn what_is_pushed_is_pulled_and_the_program_stays() {
    for way in WAYS {
        // With keys behind it.
        let program = image(896 << 10, 1);
        let chip = Chip::new().with(START, &program);
        assert_eq!(pull(way, &chip), Err(SettingsError::Empty));

        assert!(push(way, &chip, &bytes(LogLevel::Lines)).expect("no fault"));
        assert_eq!(pull(way, &chip).map(|s| s.log), Ok(LogLevel::Lines));
        assert!(push(way, &chip, &bytes(LogLevel::Off)).expect("no fault"));
        assert_eq!(pull(way, &chip).map(|s| s.log), Ok(LogLevel::Off));
        assert_eq!(chip.erased(), [11, 11]);

        // The same again wears nothing out.
        assert!(!push(way, &chip, &bytes(LogLevel::Off)).expect("no fault"));
        assert_eq!(chip.erased().len(), 2);
        assert_eq!(chip.bytes(START, program.len()), program);
        assert_eq!(chip.bytes(SETTINGS + MAX_SIZE as u32, 1000), [0xff; 1000]);
    }
}

#[test]
fn whatever_goes_wrong_the_board_has_old_new_or_no_settings() {
    let program = image(20 << 10, 2);
    let (old, new) = (bytes(LogLevel::Off), bytes(LogLevel::Lines));
    for way in WAYS {
        let chip = || Chip::new().with(START, &program).with(SETTINGS, &old);
        let work = |chip: &Chip, fault| {
            way.run(chip, fault, |target| write_settings(target, &new, &mut Watch::default()))
        };
        let clean = work(&chip(), None);
        assert!(clean.result.expect("no fault"));
        for fault in [Fault::Vanish, Fault::Stall, Fault::Timeout, Fault::Garbage] {
            for n in 0..clean.transfers {
                let chip = chip();
                if let Err(error) = work(&chip, Some((n, fault))).result {
                    check_words(&error);
                }
                let there = Settings::read(&chip.bytes(SETTINGS, MAX_SIZE)).map(|s| s.log);
                let whole = [Ok(LogLevel::Off), Ok(LogLevel::Lines), Err(SettingsError::Empty)];
                let damaged = [SettingsError::Crc, SettingsError::Magic].map(Err);
                assert!(
                    whole.contains(&there) || damaged.contains(&there),
                    "{way:?} {fault:?} at {n}: {there:?}"
                );
                assert_eq!(chip.bytes(START, program.len()), program);
                work(&chip, None).result.expect("the second time");
                assert_eq!(pull(way, &chip).map(|s| s.log), Ok(LogLevel::Lines));
            }
        }
    }
}

#[test]
fn what_are_no_settings_is_not_written() {
    let mut damaged = bytes(LogLevel::Link);
    damaged[20] ^= 1;
    for bytes in [damaged, vec![], image(MAX_SIZE, 3)] {
        let chip = Chip::new();
        let error = push(Way::Probe, &chip, &bytes).expect_err("no settings");
        assert_eq!(error.kind(), Kind::Image);
        check_words(&error);
        assert!(chip.erased().is_empty());
    }
}

#[test]
fn protection_and_the_users_no_leave_the_old_ones() {
    let old = bytes(LogLevel::Off);
    for way in WAYS {
        let chip = Chip::new().with(SETTINGS, &old);
        let protected = chip.copy().with_protected(&[11]);
        let error = push(way, &protected, &bytes(LogLevel::Lines)).expect_err("protected");
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.cause().contains("sector 11"), "{error}");

        let locked = chip.copy().with_readout_protection();
        for error in [
            push(way, &locked, &bytes(LogLevel::Lines)).expect_err("locked"),
            way.run(&locked, None, |target| read_settings(target)).result.expect_err("locked"),
        ] {
            assert!(error.cause().contains("read-out protection"), "{error}");
        }

        let stopped = way.run(&chip, None, |target| {
            write_settings(target, &bytes(LogLevel::Lines), &mut Watch::stops_after(0))
        });
        assert_eq!(stopped.result.expect_err("stopped").kind(), Kind::Cancelled);
        for chip in [&chip, &protected, &locked] {
            assert_eq!(chip.bytes(SETTINGS, old.len()), old);
        }
    }
}

#[test]
fn a_chip_without_that_sector_has_no_place_for_them() {
    // An STM32F401CC: a quarter of the flash.
    let groups = [(START, 4, 16 << 10), (0x0801_0000, 1, 64 << 10), (0x0802_0000, 1, 128 << 10)];
    let layout = Layout::of_groups(groups).expect("in order");
    let debugger = Debugger::of(&Chip::new()).with_layout(layout);
    let mut probe = Probe::new(debugger, "STM32F401CCUx").expect("it is there");
    for error in [
        write_settings(&mut probe, &bytes(LogLevel::Off), &mut Silent).expect_err("no sector"),
        read_settings(&mut probe).expect_err("no sector"),
    ] {
        assert_eq!(error.kind(), Kind::WrongChip);
        check_words(&error);
    }
}

#[test]
fn smaller_chips_keep_them_in_their_last_sector() {
    for map in [&BLACK_PILL, &NUCLEO_F446] {
        let program = image(256 << 10, 3);
        let chip = Chip::of(map).with(START, &program);
        let mut dfu = Dfu::new(Bootloader::of(&chip)).expect("it is there");
        let mut probe = Probe::new(Debugger::of(&chip), map.part).expect("it is there");
        let ways: [(&mut dyn Target, LogLevel); 2] =
            [(&mut dfu, LogLevel::Off), (&mut probe, LogLevel::Lines)];
        for (target, level) in ways {
            let wanted = bytes(level);
            assert!(write_settings(target, &wanted, &mut Silent).expect("there is a place"));
            assert_eq!(chip.bytes(map.settings().start, wanted.len()), wanted);
            let there = read_settings(target).expect("they were written");
            assert_eq!(there[..wanted.len()], wanted);
        }
        assert_eq!(chip.erased(), [7, 7]);
        assert_eq!(chip.bytes(START, program.len()), program);
    }
}

//! Tests of refusals: nothing is changed then.

use pblink_fakes::stm32::{Bootloader, Chip, Debugger, SECTORS, START};
use pblink_flash::stm32::{Alternate, Dfu, KEYS, Layout, Probe, SETTINGS, program};
use pblink_flash::{Error, Kind, Region, Silent};
use pblink_image::identity;
use pblink_image::map::{ALL, BLACK_PILL, NUCLEO_F446, PYBOARD};

use super::{WAYS, Watch, Way, check_words, image, region};

/// Returns a chip with a program and settings, on which nothing may change.
fn full() -> Chip {
    Chip::new().with(START, &image(1 << 20, 99))
}

fn refused(way: Way, chip: &Chip, images: &[Region]) -> Error {
    let before = chip.copy();
    let error = way.program(chip, images, &mut Watch::default()).expect_err("it must be refused");
    assert!(chip.erased().is_empty());
    assert_eq!(chip.bytes(START, 1 << 20), before.bytes(START, 1 << 20));
    assert!(!chip.started());
    check_words(&error);
    error
}

#[test]
fn an_image_that_makes_no_sense_is_refused_before_anything_is_erased() {
    let with_words = |stack: u32, reset: u32| {
        let mut bytes = image(1000, 1);
        bytes[..4].copy_from_slice(&stack.to_le_bytes());
        bytes[4..8].copy_from_slice(&reset.to_le_bytes());
        vec![region(START, &bytes)]
    };
    let good_stack = 0x2002_0000;
    let cases: [(Vec<Region>, &str); 15] = [
        (vec![], "empty"),
        (vec![region(START, &[])], "empty"),
        (vec![region(START, &image(100, 2)[..7])], "shorter"),
        (vec![region(START + 0x4000, &image(1000, 3))], "vector table at 0x08000000"),
        (vec![region(0, &image(1000, 3))], "does not fit"),
        (vec![region(START, &image((768 << 10) + 1, 4))], "keys' sector 10"),
        (vec![region(START, &image(2 << 20, 4))], "keys' sector 10"),
        (vec![region(START, &image(1000, 5)), region(KEYS + 10, &[1])], "keys' sector 10"),
        (vec![region(START, &image(1000, 5)), region(SETTINGS + 10, &[1])], "settings' sector 11"),
        (vec![region(START, &image(1000, 5)), region(START + 900, &[1])], "overlap"),
        (vec![region(START, &image(1000, 5)), region(0x0810_0000, &[1])], "does not fit"),
        (with_words(0x0800_0000, START + 0x101), "stack pointer, 0x08000000"),
        (with_words(0x2000_0002, START + 0x101), "stack pointer"),
        (with_words(good_stack, START + 0x100), "first instruction, 0x08000100"),
        (with_words(good_stack, START + 0x1001), "first instruction"),
    ];
    for way in WAYS {
        for (images, why) in &cases {
            let error = refused(way, &full(), images);
            assert_eq!(error.kind(), Kind::Image, "{why}");
            assert!(error.cause().contains(why), "{why}: {error}");
        }
    }
}

#[test]
fn the_program_of_an_esp8266_is_refused() {
    let mut bytes = image(1000, 6);
    bytes[..8].copy_from_slice(&[0xe9, 3, 2, 0x40, 0x00, 0x10, 0x10, 0x40]);
    let error = refused(Way::Dfu, &full(), &[region(START, &bytes)]);
    assert_eq!(error.kind(), Kind::Image);
    assert!(error.remedy().contains("STM32"), "{error}");
}

#[test]
fn the_largest_program_fits() {
    for way in WAYS {
        let bytes = image(768 << 10, 7);
        let chip = Chip::new();
        way.program(&chip, &[region(START, &bytes)], &mut Watch::default())
            .expect("it ends at the keys");
        assert_eq!(chip.bytes(START, bytes.len()), bytes);
        assert_eq!(chip.erased().len(), SECTORS.len() - 2);
    }
}

#[test]
fn read_out_protection_is_named() {
    for way in WAYS {
        let chip = full().with_readout_protection();
        let error = refused(way, &chip, &[region(START, &image(1000, 8))]);
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.cause().contains("read-out protection"), "{error}");
    }
}

#[test]
fn a_write_protected_sector_is_known_before_anything_is_erased() {
    for way in WAYS {
        for sector in [0, 4] {
            let chip = full().with_protected(&[sector, 11]);
            let error = refused(way, &chip, &[region(START, &image(0x1_2000, 9))]);
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.cause().contains(&format!("sector {sector} ")), "{error}");
        }
        // One that is not needed does not matter.
        let chip = full().with_protected(&[5, 11]);
        way.program(&chip, &[region(START, &image(0x1_2000, 9))], &mut Watch::default())
            .expect("free");
    }
}

/// Returns a bootloader that does not show its option bytes: it erases nothing and reports success.
fn without_options(chip: &Chip) -> Bootloader {
    let name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg".to_owned();
    Bootloader::of(chip).with_alternates(vec![Alternate { number: 0, name }])
}

#[test]
fn a_bootloader_that_hides_write_protection_is_found_out_at_once() {
    let chip = full().with_protected(&[0]);
    let before = chip.copy();
    let mut dfu = Dfu::new(without_options(&chip)).expect("it is there");
    let error = program(&mut dfu, &[region(START, &image(0x1_2000, 10))], &mut Silent)
        .expect_err("protected");
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.cause().contains("sector 0 "), "{error}");
    check_words(&error);
    assert_eq!(
        chip.bytes(START, 1 << 20),
        before.bytes(START, 1 << 20),
        "the old program is whole"
    );
}

#[test]
fn hidden_protection_of_another_sector_leaves_nothing_that_starts() {
    let chip = full().with_protected(&[4]);
    let mut dfu = Dfu::new(without_options(&chip)).expect("it is there");
    let error = program(&mut dfu, &[region(START, &image(0x1_2000, 10))], &mut Silent)
        .expect_err("protected");
    assert!(error.cause().contains("sector 4 "), "{error}");
    assert!(!chip.would_start());
}

#[test]
fn a_chip_whose_option_bytes_are_elsewhere_says_no_itself() {
    let chip = full().with_protected(&[4]);
    let layout =
        Layout::of_groups([(START, 4, 16 << 10), (0x0801_0000, 1, 64 << 10)]).expect("128 KB");
    let debugger = Debugger::of(&chip).with_layout(layout);
    let mut probe = Probe::new(debugger, "STM32F401CBUx").expect("it is there");
    let error =
        program(&mut probe, &[region(START, &image(0x1_2000, 14))], &mut Silent).expect_err("no");
    assert_eq!(error.kind(), Kind::Refused);
    assert!(
        error.cause().contains("sector 4 ") && error.remedy().contains("write-protected"),
        "{error}"
    );
    check_words(&error);
    assert!(!chip.would_start());
}

#[test]
fn a_bootloader_that_lives_in_flash_is_not_overwritten() {
    // MicroPython's own, which has the same USB numbers as the chip's.
    let name = "@Internal Flash  /0x08000000/01*016Ka,03*016Kg,01*064Kg,07*128Kg".to_owned();
    let chip = full();
    let mboot = Bootloader::of(&chip).with_alternates(vec![Alternate { number: 0, name }]);
    let mut dfu = Dfu::new(mboot).expect("it is there");
    let error =
        program(&mut dfu, &[region(START, &image(1000, 13))], &mut Silent).expect_err("its own");
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.cause().contains("sector 0 "), "{error}");
    assert!(chip.erased().is_empty() && chip.would_start());
}

#[test]
fn another_chip_on_the_probe_is_noticed_before_anything_else() {
    let chip = Chip::new();
    // An STM32F411.
    let error =
        Probe::new(Debugger::of(&chip).with_id(0x1000_6431), "STM32F405RGTx").expect_err("wrong");
    assert_eq!(error.kind(), Kind::WrongChip);
    assert!(error.cause().contains("0x431"), "{error}");
    check_words(&error);
    // Revision A of the right one, by its errata; and one that the user named.
    Probe::new(Debugger::of(&chip).with_id(0x2000_0411), "STM32F405RG").expect("it is one");
    Probe::new(Debugger::of(&chip).with_id(0x1000_6431), "STM32F411RETx").expect("as you say");
    // Each chip that we have a map of is told from the others.
    for (map, other) in
        [(&BLACK_PILL, &NUCLEO_F446), (&NUCLEO_F446, &PYBOARD), (&PYBOARD, &BLACK_PILL)]
    {
        let chip = Chip::of(map);
        Probe::new(Debugger::of(&chip), map.part).expect("it is that one");
        let error = Probe::new(Debugger::of(&chip), other.part).expect_err("another chip");
        assert_eq!(error.kind(), Kind::WrongChip);
        assert!(error.cause().contains(map.title), "{error}");
        assert!(error.remedy().contains(other.title), "{error}");
        check_words(&error);
    }
}

#[test]
fn a_device_without_an_stm32s_flash_is_not_one() {
    let name = "@SPI Flash : N25Q/0x90000000/512*64Kg".to_owned();
    let other = Bootloader::of(&Chip::new()).with_alternates(vec![Alternate { number: 0, name }]);
    let error = Dfu::new(other).expect_err("it has no such flash");
    assert_eq!(error.kind(), Kind::WrongChip);
}

/// Found by fuzzing.
#[test]
fn a_bootloader_that_names_sectors_which_no_stm32_has_is_told_from_one() {
    for sectors in ["062*03Bg,01*064Kg,07*128Kg", "2*001Mg,1*0128Mg"] {
        let name = format!("@Internal Flash /0x08000000/{sectors}");
        let other = Bootloader::of(&full()).with_alternates(vec![Alternate { number: 0, name }]);
        let error = Dfu::new(other).expect_err("it is no STM32's");
        assert_eq!(error.kind(), Kind::WrongChip);
        assert!(error.cause().contains(sectors), "{error}");
        check_words(&error);
    }
}

#[test]
fn a_small_chip_takes_a_program_that_fits() {
    let chip = Chip::new();
    let layout =
        Layout::of_groups([(START, 4, 16 << 10), (0x0801_0000, 1, 64 << 10)]).expect("128 KB");
    let open = || Probe::new(Debugger::of(&chip).with_layout(layout.clone()), "STM32F401CBUx");
    let mut probe = open().expect("it is there");
    let error = program(&mut probe, &[region(START, &image((128 << 10) + 1, 11))], &mut Silent);
    assert_eq!(error.expect_err("too large").kind(), Kind::Image);
    let bytes = image(128 << 10, 12);
    program(&mut open().expect("still there"), &[region(START, &bytes)], &mut Silent)
        .expect("it fits");
    assert_eq!(chip.bytes(START, bytes.len()), bytes);
}

/// Returns a program that names its board.
fn program_for(board: &str) -> Vec<u8> {
    let mut bytes = image(2000, 15);
    let identity = identity::bytes("demo", "1.0.0", board);
    bytes[0x188..0x188 + identity.len()].copy_from_slice(&identity);
    bytes
}

#[test]
fn a_program_for_another_board_is_refused_before_anything_is_erased() {
    for there in ALL {
        for built in ALL {
            let chip = Chip::of(there);
            let images = [region(START, &program_for(built.board))];
            let mut dfu = Dfu::new(Bootloader::of(&chip)).expect("it is there");
            let done = program(&mut dfu, &images, &mut Silent);
            // Over USB a chip says no more than how its flash is divided.
            if there.sectors.len() == built.sectors.len() {
                done.expect("it could be that board");
                continue;
            }
            let error = done.expect_err("another chip");
            assert_eq!(error.kind(), Kind::Image);
            assert!(error.cause().contains(built.title), "{error}");
            assert!(error.remedy().contains("--kind"), "{error}");
            check_words(&error);
            assert!(chip.erased().is_empty() && !chip.started());
        }
    }
    // One of nobody's, and one of another's board, may be for any chip.
    for board in ["other", "toaster"] {
        let images = [region(START, &program_for(board))];
        Way::Dfu.program(&Chip::new(), &images, &mut Watch::default()).expect("as you say");
    }
}

#[test]
fn a_program_for_a_known_board_has_its_limits() {
    let chip = Chip::of(&BLACK_PILL);
    let mut words = program_for("black-pill");
    // CCM, which this chip has not; and more RAM than it has.
    for stack in [0x1001_0000_u32, 0x2002_0004, 0x2008_0000] {
        words[..4].copy_from_slice(&stack.to_le_bytes());
        let mut dfu = Dfu::new(Bootloader::of(&chip)).expect("it is there");
        let error = program(&mut dfu, &[region(START, &words)], &mut Silent).expect_err("no RAM");
        assert!(error.cause().contains("stack pointer"), "{error}");
    }
    let mut large = program_for("black-pill");
    large.resize((256 << 10) + 4, 0);
    let mut dfu = Dfu::new(Bootloader::of(&chip)).expect("it is there");
    let error = program(&mut dfu, &[region(START, &large)], &mut Silent).expect_err("too large");
    assert!(error.cause().contains("256 KB"), "{error}");
    check_words(&error);
    assert!(chip.erased().is_empty());
    large.truncate(256 << 10);
    program(&mut dfu, &[region(START, &large)], &mut Silent).expect("it fits");
}

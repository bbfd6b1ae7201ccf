//! Tests of writing when nothing goes wrong.

use pblink_fakes::stm32::{Address, Bootloader, Chip, START};
use pblink_flash::stm32::{Dfu, SETTINGS, program, state};
use pblink_flash::{Silent, Step};

use super::{WAYS, Watch, image, region};

const SIZE: usize = 200 << 10;

#[test]
fn a_program_of_200_kb_is_in_flash_byte_for_byte() {
    for way in WAYS {
        // Not even a multiple of the flash's words.
        let bytes = image(SIZE + 3, 1);
        let old = image(300 << 10, 2);
        let settings = image(5000, 3);
        let chip = Chip::new().with(START, &old).with(SETTINGS, &settings);
        let mut watch = Watch::default();

        let outcome = way.program(&chip, &[region(START, &bytes)], &mut watch).expect("no fault");

        assert_eq!(chip.bytes(START, bytes.len()), bytes, "{way:?}");
        assert_eq!(chip.bytes(START + bytes.len() as u32, 1000), [0xff; 1000]);
        assert_eq!(chip.bytes(SETTINGS, settings.len()), settings);
        assert_eq!(
            chip.erased(),
            [0, 1, 2, 3, 4, 5],
            "only what it needs, that of the vectors first"
        );
        // What lies in a sector that it does not need stays.
        assert_eq!(chip.bytes(0x0804_0000, 1000), old[0x4_0000..][..1000]);
        assert!(chip.started());
        assert_eq!(outcome.written, (SIZE as u64 + 3).next_multiple_of(4));
        assert_eq!((outcome.unchanged, outcome.erased), (0, 6));
        let written = outcome.written;
        let erased = 4 * (16 << 10) + (64 << 10) + (128 << 10);
        let steps = [
            (Step::Read, written),
            (Step::Erase, erased),
            (Step::Write, written),
            (Step::Verify, written),
        ];
        assert_eq!(watch.steps, steps);
        assert!(watch.running.is_none());
    }
}

#[test]
fn half_a_megabyte_is_in_flash_byte_for_byte() {
    for way in WAYS {
        let (chip, bytes) = (Chip::new(), image(512 << 10, 6));
        way.program(&chip, &[region(START, &bytes)], &mut Watch::default()).expect("no fault");
        assert!(chip.bytes(START, bytes.len()) == bytes && chip.started(), "{way:?}");
    }
}

#[test]
fn both_readings_of_the_bootloaders_manual_are_served() {
    for address in [Address::OfRequest, Address::OfDescriptor] {
        let chip = Chip::new();
        let bytes = image(SIZE + 3, 4);
        let mut dfu = Dfu::new(Bootloader::of(&chip).with_addresses(address)).expect("it is there");
        program(&mut dfu, &[region(START, &bytes)], &mut Silent).expect("no fault");
        assert_eq!(chip.bytes(START, bytes.len()), bytes, "{address:?}");
    }
}

#[test]
fn what_is_there_already_is_only_started() {
    for way in WAYS {
        let bytes = image(SIZE, 5);
        let chip = Chip::new().with(START, &bytes);
        let mut watch = Watch::default();
        let outcome = way.program(&chip, &[region(START, &bytes)], &mut watch).expect("no fault");
        assert_eq!((outcome.written, outcome.unchanged, outcome.erased), (0, SIZE as u64, 0));
        assert!(chip.erased().is_empty());
        assert!(chip.started());
        assert!(watch.notes[0].contains("already"), "{:?}", watch.notes);
    }
}

#[test]
fn only_what_differs_is_written_and_the_sector_of_the_vectors() {
    for way in WAYS {
        let old = image(SIZE, 6);
        let mut new = old.clone();
        new[0x1_2345] ^= 0xff;
        let chip = Chip::new().with(START, &old);
        let mut watch = Watch::default();
        let outcome = way.program(&chip, &[region(START, &new)], &mut watch).expect("no fault");
        assert_eq!(chip.bytes(START, SIZE), new);
        assert_eq!(chip.erased(), [0, 4]);
        assert_eq!(outcome.written, 80 << 10);
        assert_eq!(outcome.unchanged, 120 << 10);
        assert!(watch.notes[0].contains("4 of 6 sectors"), "{:?}", watch.notes);
    }
}

#[test]
fn what_lies_between_the_pieces_of_a_program_stays() {
    for way in WAYS {
        // As MicroPython has it: vectors, files, program.
        let vectors = {
            let mut bytes = image(12 << 10, 7);
            bytes[4..8].copy_from_slice(&0x0802_0101_u32.to_le_bytes());
            bytes
        };
        let code = image(100 << 10, 8);
        let files = image(112 << 10, 9);
        let chip = Chip::new().with(0x0800_4000, &files);
        let images = [region(0x0802_0000, &code), region(START, &vectors)];
        way.program(&chip, &images, &mut Watch::default()).expect("no fault");
        assert_eq!(chip.bytes(START, vectors.len()), vectors);
        assert_eq!(chip.bytes(0x0802_0000, code.len()), code);
        assert_eq!(chip.bytes(0x0800_4000, files.len()), files);
        assert_eq!(chip.erased(), [0, 5]);
    }
}

#[test]
fn two_pieces_in_one_sector_are_one() {
    for way in WAYS {
        let first = image(0x301, 10);
        let second = image(0x102, 11);
        let chip = Chip::new().with(START, &image(SIZE, 12));
        let images = [region(START, &first), region(START + 0x501, &second)];
        way.program(&chip, &images, &mut Watch::default()).expect("no fault");
        assert_eq!(chip.bytes(START, first.len()), first);
        assert_eq!(chip.bytes(START + 0x301, 0x200), [0xff; 0x200]);
        assert_eq!(chip.bytes(START + 0x501, second.len()), second);
    }
}

#[test]
fn a_bootloader_is_taken_from_whatever_state_another_program_left_it_in() {
    let states = [
        state::IDLE,
        state::DNLOAD_IDLE,
        state::UPLOAD_IDLE,
        state::DNLOAD_SYNC,
        state::DNBUSY,
        state::ERROR,
    ];
    for state in states {
        let chip = Chip::new();
        let bytes = image(5000, 13);
        let mut dfu = Dfu::new(Bootloader::of(&chip).in_state(state)).expect("it becomes idle");
        program(&mut dfu, &[region(START, &bytes)], &mut Silent).expect("no fault");
        assert_eq!(chip.bytes(START, bytes.len()), bytes, "state {state}");
    }
}

#[test]
fn the_times_that_the_bootloader_asks_for_are_waited() {
    let chip = Chip::new();
    let mut dfu = Dfu::new(Bootloader::of(&chip)).expect("it is there");
    let bytes = image(SIZE, 14);
    program(&mut dfu, &[region(START, &bytes)], &mut Silent).expect("no fault");
    // The fake's clock only moves when it is waited for: 10 ms for each KB erased, 20 ms for each block.
    let least = 256 * 10 + 100 * 20;
    assert!(dfu.io().time().as_millis() >= least, "{:?}", dfu.io().time());
}

//! Writing a part of the flash, while the rest stays.

use super::*;

#[test]
fn without_erasing_all_the_rest_stays_as_it_was() {
    for connect in [rom(), with_stub()] {
        let board = Board::with([]);
        let before = board.flash();
        let mut regions = sdk_image();
        // An odd number of sectors, which the ROM cannot erase by itself.
        regions[1].bytes.truncate(5 * 4096 - 100);
        let job = Job { erase: Erase::Needed, ..job() };
        flash_on(board.line(), connect, &regions, &job).unwrap();
        let after = board.flash();
        let expected = expected(&regions, 4, 4 << 20);
        assert_eq!(after[..10 * 4096], expected[..10 * 4096]);
        assert_eq!(after[10 * 4096..0x10000], before[10 * 4096..0x10000], "between the files");
        assert_eq!(after[0x10000..0x15000], expected[0x10000..0x15000]);
        assert_eq!(after[0x15000..], before[0x15000..], "behind them");
    }
}

#[test]
fn a_file_beside_the_program_leaves_it_alone() {
    for connect in [rom(), with_stub()] {
        let board = Board::with([]);
        flash(&board, connect.clone(), &sdk_image()).unwrap();
        let mut expected = board.flash();
        let bytes: Vec<u8> = (0..30_000_u32).map(|at| (at >> 3) as u8).collect();
        expected[0x30_0000..0x30_0000 + bytes.len()].copy_from_slice(&bytes);
        let files = [Region { name: "files.bin".into(), address: 0x30_0000, bytes }];
        let job = Job { erase: Erase::Needed, ..job() };
        flash_on(board.line(), connect, &files, &job).unwrap();
        assert!(board.flash() == expected && board.would_start());
    }
}

#[test]
fn what_is_unchanged_is_skipped() {
    let board = Board::with([]);
    let mut regions = sdk_image();
    let job = Job { erase: Erase::Needed, ..job() };
    flash_on(board.line(), with_stub(), &regions, &job).unwrap();
    let blocks = board.blocks();
    let (flashed, boot) = flash_on(board.line(), with_stub(), &regions, &job).unwrap();
    assert!(flashed.iter().all(|part| !part.written && part.verified == Verified::Fully));
    assert_eq!(board.blocks(), blocks, "nothing was sent");
    assert!(boot.greeting.is_some());

    regions[1].bytes[1000] ^= 1;
    let (flashed, _) = flash_on(board.line(), with_stub(), &regions, &job).unwrap();
    assert_eq!(flashed.iter().map(|part| part.written).collect::<Vec<_>>(), [false, true]);
    assert_eq!(board.flash()[0x10000..0x80000], regions[1].bytes);
    assert!(board.would_start());
}

#[test]
fn a_program_that_is_there_does_not_start_while_its_code_is_replaced() {
    let board = Board::with([]);
    let mut regions = sdk_image();
    let job = Job { erase: Erase::Needed, ..job() };
    flash_on(board.line(), with_stub(), &regions, &job).unwrap();
    regions[1].bytes[300_000] ^= 1;
    // The user stops it in the middle.
    struct Stop(bool);
    impl Progress for Stop {
        fn begin(&mut self, step: Step, _: &str, _: u64) {
            self.0 |= step == Step::Write;
        }
        fn advance(&mut self, _: u64) {}
        fn end(&mut self) {}
        fn note(&mut self, _: &str) {}
        fn cancelled(&self) -> bool {
            self.0
        }
    }
    let mut loader = Loader::connect(board.line(), with_stub(), &mut Silent).unwrap();
    let error = loader.flash(&regions, &job, &mut Stop(false)).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(error.remedy().contains("no program that starts"), "{error}");
    assert!(!board.would_start());
}

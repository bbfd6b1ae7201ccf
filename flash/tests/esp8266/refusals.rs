//! What is refused, and what the user reads then.

use super::*;

#[test]
fn another_chip_is_refused_before_anything_is_erased() {
    let (board, error) = error(Options { magic: 0x00f0_1d83, ..Options::default() }, &sdk_image());
    assert_eq!(error.kind(), Kind::WrongChip);
    assert_eq!(error.cause(), "this is an ESP32, not an ESP8266");
    assert_untouched(&board);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_erased() {
    let small = || Options { flash_size: 512 << 10, ..Options::default() };
    let (board, too_large) = error(small(), &combined());
    assert_eq!(too_large.kind(), Kind::Image);
    assert!(too_large.cause().contains("512 KB of flash"), "{too_large}");
    assert_untouched(&board);

    let mut overlapping = sdk_image();
    overlapping[1].address = 0x9000;
    let (board, overlap) = error(Options::default(), &overlapping);
    assert_eq!(overlap.kind(), Kind::Image);
    assert_untouched(&board);
}

#[test]
fn what_cannot_start_is_refused_before_anything_is_erased() {
    let mut elf = combined();
    elf[0].bytes[..4].copy_from_slice(b"\x7fELF");
    let (board, error) = error(Options::default(), &elf);
    assert_eq!(error.kind(), Kind::Image);
    assert!(error.cause().contains("is an ELF file"), "{error}");
    assert!(error.remedy().contains("pblink build"), "{error}");
    assert_untouched(&board);

    // Without the program for address 0 the board would be left with none.
    let code = sdk_image().split_off(1);
    for connect in [rom(), with_stub()] {
        let board = Board::with([]);
        let error = flash(&board, connect, &code).unwrap_err();
        assert_eq!(error.kind(), Kind::Image);
        assert!(error.cause().contains("no program for address 0"), "{error}");
        assert!(error.remedy().contains("--no-erase"), "{error}");
        assert_untouched(&board);
    }
}

#[test]
fn nobody_at_the_other_end_ends_in_advice() {
    for connect in [rom(), with_stub(), Connect { before: Before::NoReset, ..rom() }] {
        let board = Board::with([Fault::Silent]);
        let error = Loader::connect(board.line(), connect, &mut Silent).unwrap_err();
        assert_eq!(error.kind(), Kind::NoAnswer);
        assert!(error.remedy().contains("FLASH") && error.remedy().contains("RESET"), "{error}");
        // The STM32 on its wires may be what keeps it from answering.
        assert!(error.remedy().contains("pull its reset wire"), "{error}");
    }
}

/// An STM32 that runs pulls the reset wire of an ESP8266 that does not answer on the other wires.
#[test]
fn a_board_that_someone_else_resets_on_the_way_ends_in_advice() {
    for connect in [rom(), with_stub()] {
        let board = Board::with([Fault::ResetAtBlock(5)]);
        let connect = Connect { before: Before::NoReset, ..connect };
        let error = flash(&board, connect, &sdk_image()).unwrap_err();
        assert_eq!(error.kind(), Kind::NoAnswer);
        assert!(error.cause().contains("no longer answers"), "{error}");
        assert!(error.remedy().contains("pull its reset wire"), "{error}");
        assert!(error.remedy().contains("hold the STM32"), "{error}");
        assert!(!board.would_start());
    }
}

#[test]
fn a_refused_command_is_reported_with_its_reason() {
    for (connect, op) in [(rom(), 0x02), (rom(), 0x03), (with_stub(), 0xd1), (with_stub(), 0x11)] {
        let board = Board::with([Fault::Refuse(op, 6)]);
        let error = flash(&board, connect, &sdk_image()).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{op:#x}: {error}");
        assert!(!error.remedy().is_empty() && !board.would_start());
    }
}

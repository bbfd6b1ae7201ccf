//! Tests of the program's words when it starts, and of those that count as started.

use pblink_fakes::esp8266::GREETING;

use super::*;

#[test]
fn other_programs_say_what_they_like() {
    for (says, lines) in [("MicroPython v1.13\r\n>>> ", 3), ("", 1)] {
        let board = Board::new(Options { says: says.into(), ..Options::default() });
        let (_, boot) = flash(&board, rom(), &combined()).unwrap();
        assert_eq!((boot.lines.len(), boot.greeting.as_deref()), (lines, None), "{boot:?}");
    }
    assert!(GREETING.contains("pblink-esp8266"));
}

#[test]
fn our_program_has_to_greet() {
    let crash = "Fatal exception 28 (LoadProhibitedCause):\r\nepc1=0x4020abcd\r\n";
    for (says, cause) in [(crash, "epc1=0x4020abcd"), ("", "did not greet")] {
        // Over and over, and more than anybody wants to keep.
        for times in [1, 500] {
            let says = says.repeat(times).into_bytes();
            let board = Board::new(Options { says, ..Options::default() });
            let mut loader = Loader::connect(board.line(), rom(), &mut Silent).unwrap();
            loader.flash(&sdk_image(), &job(), &mut Silent).unwrap();
            let error = loader.boot(Program::Pblink, &mut Silent).unwrap_err();
            assert!(error.cause().contains(cause), "{error}");
            assert!(error.remedy().contains("pblink build"), "{error}");
        }
    }
    // Late, after much else: it counts.
    let says = (crash.repeat(500) + GREETING).into_bytes();
    let board = Board::new(Options { says, ..Options::default() });
    let mut loader = Loader::connect(board.line(), rom(), &mut Silent).unwrap();
    loader.flash(&sdk_image(), &job(), &mut Silent).unwrap();
    let boot = loader.boot(Program::Pblink, &mut Silent).unwrap();
    assert_eq!(boot.greeting.as_deref(), Some("pblink-esp8266 0.1.0"));
}

#[test]
fn a_program_that_restarts_three_times_after_the_start_is_reported() {
    let rom = " ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\n";
    let crash = "Fatal exception 28 (LoadProhibitedCause):\r\nepc1=0x4020abcd\r\n";
    for (times, loops) in [(2, false), (3, true), (9, true)] {
        for greeting in ["", GREETING] {
            let says = [greeting, crash, rom].concat().repeat(times) + greeting;
            let board = Board::new(Options { says: says.into(), ..Options::default() });
            let (_, boot) = flash(&board, self::rom(), &combined()).unwrap();
            assert_eq!(boot.restarts >= 3, loops, "{boot:?}");
            assert_eq!(boot.warning().is_some(), loops, "{boot:?}");
            // One of ours has not started then, even if it has greeted each time.
            let mut loader = Loader::connect(board.line(), self::rom(), &mut Silent).unwrap();
            loader.flash(&sdk_image(), &job(), &mut Silent).unwrap();
            let result = loader.boot(Program::Pblink, &mut Silent);
            assert_eq!(result.is_err(), loops || greeting.is_empty(), "{result:?}");
            if loops {
                let error = result.unwrap_err();
                assert!(error.cause().contains("restarts again and again"), "{error}");
            }
        }
    }
}

#[test]
fn a_board_that_finds_no_program_has_failed() {
    // The image is whole, and its copy in the flash is not.
    let (board, regions) = (Board::with([]), sdk_image());
    let at = regions[0].bytes.iter().rposition(|byte| byte & 1 == 1).unwrap();
    board.wear_out(at, 1);
    let job = Job { verify: Verify::No, ..job() };
    let error = flash_on(board.line(), rom(), &regions, &job).unwrap_err();
    assert!(error.cause().contains("no program that starts"), "{error}");
    assert!(!board.would_start());
}

#[test]
fn a_port_that_fails_while_it_listens_is_no_failed_flash() {
    for fault in [Fault::VanishAtStart, Fault::NoSpeed(74_880)] {
        for connect in [rom(), with_stub()] {
            let board = Board::with([fault.clone()]);
            let mut loader = Loader::connect(board.line(), connect, &mut Silent).unwrap();
            loader.flash(&sdk_image(), &job(), &mut Silent).unwrap();
            let boot = loader.boot(Program::Pblink, &mut Silent).unwrap();
            assert_eq!(boot.greeting, None);
            assert!(boot.warning().unwrap().contains("all of it is in flash"), "{boot:?}");
            assert_flashed(&board, &sdk_image(), "without its first words");
        }
    }
}

#[test]
fn a_port_without_wires_works_when_the_chip_is_in_its_loader() {
    for connect in [rom(), with_stub()] {
        for before in [Before::DefaultReset, Before::NoReset] {
            let board = Board::with([]);
            let connect = Connect { before, ..connect.clone() };
            let line = board.line().without_wires();
            let (_, boot) = flash_on(line, connect, &sdk_image(), &job()).unwrap();
            assert_flashed(&board, &sdk_image(), "without wires");
            assert!(boot.greeting.is_some(), "{boot:?}");
        }
    }
}

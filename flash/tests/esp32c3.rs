//! Flashing an ESP32-C3 that is only software, over a pseudo-terminal: what is in its flash afterwards, also when line,
//! chip or cable fail.
#![cfg(all(unix, feature = "esp32c3"))]

use pblink_fakes::esp32c3::{Board, Fault, Options, Pty, Regions, Running};
use pblink_flash::coprocessor::{Before, Boot, Erase, Flashed, Program, Serial};
use pblink_flash::esp32c3::{Connect, Job, Loader};
use pblink_flash::{Kind, Progress, Region, Result, Silent, Step};

/// Returns bytes that can hardly be compressed.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(&mut next).collect()
}

/// Returns the three files of a program of more than two blocks, of no round length.
fn files() -> Vec<Region> {
    let parts = Regions::new(&noise(150_004));
    let names = ["bootloader.bin", "partitions.bin", "program.bin"];
    let region = |(name, (address, bytes)): (&str, (u32, &[u8]))| Region {
        name: name.to_owned(),
        address,
        bytes: bytes.to_vec(),
    };
    names.into_iter().zip(parts.all()).map(region).collect()
}

const WITH_STUB: Connect = Connect { before: Before::NoReset, baud: None, no_stub: false };
const ROM: Connect = Connect { no_stub: true, ..WITH_STUB };

fn connect(pty: &Pty, connect: Connect) -> Result<Loader> {
    Loader::connect((pty.path(), Serial::open(pty.path())?), connect, &mut Silent)
}

fn flash(board: &Board, options: Connect, job: Job) -> Result<(Vec<Flashed>, Boot)> {
    let pty = board.pty();
    let mut loader = connect(&pty, options)?;
    let flashed = loader.flash(&files(), &job, &mut Silent)?;
    Ok((flashed, loader.boot(Program::Pblink, &mut Silent)?))
}

/// Returns true if the files are in flash, byte for byte.
fn holds(board: &Board) -> bool {
    let flash = board.flash();
    files().iter().all(|file| flash[file.address as usize..].starts_with(&file.bytes))
}

fn untouched(board: &Board) -> bool {
    board.erased().iter().all(|&count| count == 0)
}

#[test]
fn three_files_are_written_and_the_program_starts() {
    for options in [WITH_STUB, ROM, Connect { baud: Some(115_200), ..WITH_STUB }] {
        let board = Board::with([]);
        let (flashed, boot) = flash(&board, options, Job::default()).unwrap();
        assert!(holds(&board) && board.would_start(), "{options:?}");
        assert_eq!(board.running(), Running::Program);
        assert_eq!(flashed.len(), 3);
        assert!(flashed.iter().all(|part| part.written));
        assert!(
            boot.greeting.is_some_and(|line| line.starts_with("pblink-esp32c3")),
            "{options:?}"
        );
    }
}

#[test]
fn all_of_the_flash_is_erased_or_what_is_not_written_stays() {
    let board = Board::with([]);
    let before = board.flash();
    flash(&board, WITH_STUB, Job::default()).unwrap();
    let mut expected = vec![0xff; before.len()];
    for file in files() {
        expected[file.address as usize..][..file.bytes.len()].copy_from_slice(&file.bytes);
    }
    assert!(board.flash() == expected, "an old password would be left");

    let kept = Job { erase: Erase::Needed, ..Job::default() };
    let board = Board::with([]);
    flash(&board, WITH_STUB, kept).unwrap();
    assert!(holds(&board) && board.would_start());
    assert_eq!(board.flash()[0x9000..0x10000], before[0x9000..0x10000], "the remembered network");
    assert_eq!(board.flash()[0x20_0000..], before[0x20_0000..]);

    // The same once more: nothing is erased again, and it says so.
    board.repair();
    let erased = board.erased();
    let (flashed, _) = flash(&board, WITH_STUB, kept).unwrap();
    assert!(flashed.iter().all(|part| !part.written), "{flashed:?}");
    assert_eq!(board.erased(), erased);
}

/// At the same time: each waits for answers that do not come.
#[test]
fn what_goes_wrong_once_is_done_again() {
    let faults = [
        Fault::Noise(b"\xff\x00garbage\r\n".to_vec()),
        Fault::GarbleBlock(7),
        Fault::LoseBlock(7),
        Fault::LoseAnswer(40),
        Fault::GarbleAnswer(40),
        Fault::DelayAnswer(40),
        Fault::ForgetBlock(7),
    ];
    std::thread::scope(|threads| {
        for fault in faults {
            threads.spawn(move || {
                let board = Board::with([fault.clone()]);
                let result = flash(&board, WITH_STUB, Job::default());
                assert!(result.is_ok(), "{fault:?}: {}", result.unwrap_err());
                assert!(holds(&board) && board.would_start(), "{fault:?}");
            });
        }
    });
}

/// A line that is too noisy for the usual speed.
#[test]
fn a_noisy_line_is_slower() {
    let board = Board::with([Fault::NoisyAbove(115_200)]);
    let pty = board.pty();
    let mut loader = connect(&pty, Connect { baud: Some(230_400), ..WITH_STUB }).unwrap();
    loader.flash(&files(), &Job::default(), &mut Silent).unwrap();
    assert_eq!(loader.baud().unwrap(), 115_200);
    assert!(holds(&board));
}

/// Breaks off the replacement of a program, and mends it.
fn break_off(erase: Erase, fault: Fault, kind: Kind) {
    let job = Job { erase, ..Job::default() };
    let board = Board::with([]);
    // One that has started before, so that the old program is there.
    let write = |files: &[Region]| {
        let pty = board.pty();
        connect(&pty, WITH_STUB)?.flash(files, &job, &mut Silent)
    };
    write(&files()).unwrap();
    assert!(board.would_start());
    board.repair();
    let mut other = files();
    other[2].bytes = Regions::new(&noise(120_000)).app;
    board.fail(fault.clone());
    let error = write(&other).unwrap_err();
    assert_eq!(error.kind(), kind, "{fault:?}: {error}");
    assert!(error.remedy().contains("again"), "{error}");
    assert!(!board.would_start(), "{fault:?}, {erase:?}");
    board.repair();
    write(&files()).unwrap();
    assert!(holds(&board) && board.would_start(), "{fault:?}, {erase:?}");
}

#[test]
fn whatever_breaks_it_off_nothing_half_written_starts_and_the_next_time_mends_it() {
    let cases = [
        (Erase::All, Fault::VanishAtBlock(4), Kind::Vanished),
        (Erase::Needed, Fault::VanishAtBlock(4), Kind::Vanished),
        (Erase::All, Fault::LoseStubAtBlock(4), Kind::NoAnswer),
        (Erase::Needed, Fault::ResetAtBlock(4), Kind::NoAnswer),
        // FLASH_DEFL_DATA: it cannot be unpacked.
        (Erase::All, Fault::Refuse(0x11, 0x0b), Kind::Refused),
    ];
    std::thread::scope(|threads| {
        for (erase, fault, kind) in cases {
            threads.spawn(move || break_off(erase, fault, kind));
        }
    });
}

#[test]
fn worn_out_flash_is_found() {
    let board = Board::with([]);
    board.wear_out(0x1_4567, 0xff);
    let error = flash(&board, WITH_STUB, Job::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify, "{error}");
    assert!(!board.would_start());
    // Who does not want to know is not told.
    let board = Board::with([]);
    board.wear_out(0x1_4567, 0xff);
    let pty = board.pty();
    let mut loader = connect(&pty, WITH_STUB).unwrap();
    let job = Job { no_verify: true, ..Job::default() };
    loader.flash(&files(), &job, &mut Silent).unwrap();
    assert_ne!(board.flash()[0x1_4567], files()[2].bytes[0x4567]);
}

#[test]
fn another_chip_and_none_at_all_are_left_alone() {
    let other = Board::new(Options { chip_id: 9, ..Options::default() });
    let error = flash(&other, WITH_STUB, Job::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::WrongChip);
    assert!(error.cause().contains("an ESP32-S3"), "{error}");
    assert!(untouched(&other));

    let esp8266 = pblink_fakes::esp8266::Board::with([]);
    let error = connect(&esp8266.pty(), WITH_STUB).unwrap_err();
    assert_eq!(error.kind(), Kind::WrongChip, "{error}");
    assert!(error.to_string().contains("pblink flash esp8266"), "{error}");
    assert!(esp8266.erased().iter().all(|&count| count == 0));

    let nobody = Board::with([Fault::Silent]);
    let error = flash(&nobody, WITH_STUB, Job::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NoAnswer);
    assert!(error.remedy().contains("BOOT (GPIO9)"), "{error}");
}

#[test]
fn an_image_for_a_larger_flash_is_refused_before_anything_is_erased() {
    let board = Board::new(Options { flash_size: 1 << 20, ..Options::default() });
    let pty = board.pty();
    let mut loader = connect(&pty, WITH_STUB).unwrap();
    let mut large = files();
    large[2].bytes = Regions::new(&noise(1 << 20)).app;
    let error = loader.flash(&large, &Job::default(), &mut Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Image);
    assert!(error.cause().contains("does not fit into the 1 MB"), "{error}");
    assert!(untouched(&board));
}

#[test]
fn a_program_that_does_not_greet_has_not_started() {
    let board = Board::new(Options { says: b"hello\r\n".to_vec(), ..Options::default() });
    let error = flash(&board, WITH_STUB, Job::default()).unwrap_err();
    assert!(error.cause().contains("did not greet"), "{error}");
    // The cable may go then: all is in flash.
    let board = Board::with([Fault::VanishAtStart]);
    let (_, boot) = flash(&board, WITH_STUB, Job::default()).unwrap();
    assert!(boot.cut.is_some() && boot.warning().is_some());
    assert!(board.would_start());
}

/// Stops the work within a step.
struct Stop(Step, bool);

impl Progress for Stop {
    fn begin(&mut self, step: Step, _what: &str, _total: u64) {
        self.1 |= step == self.0;
    }
    fn advance(&mut self, _done: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, _text: &str) {}
    fn cancelled(&self) -> bool {
        self.1
    }
}

#[test]
fn the_user_may_stop_it_and_go_on_later() {
    for (step, touched) in [(Step::Erase, false), (Step::Write, true)] {
        let board = Board::with([]);
        let pty = board.pty();
        let mut loader = connect(&pty, WITH_STUB).unwrap();
        let error = loader.flash(&files(), &Job::default(), &mut Stop(step, false)).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        assert_eq!(error.remedy().contains("again"), touched, "{error}");
        assert_eq!(untouched(&board), !touched);
        assert!(!board.would_start());
        drop((loader, pty));
        board.repair();
        flash(&board, WITH_STUB, Job::default()).unwrap();
        assert!(holds(&board));
    }
}

//! Flashing an ESP8266 that is only software: what is in its flash afterwards, also when line, chip or
//! cable fail.

mod finding;
mod parts;
mod refusals;
mod start;

use pblink_fakes::esp8266::{Board, Fault, Line, Options, image};
use pblink_flash::coprocessor::{Before, Boot, Erase, Flashed, Program, Verified};
use pblink_flash::esp8266::{Connect, Header, Job, Loader, Size, Stub, Verify};
use pblink_flash::{Error, Kind, Progress, Region, Result, Silent, Step};

/// Returns 512 KB in two files, as an image of the SDK: a program that starts, and the code behind
/// it.
fn sdk_image() -> Vec<Region> {
    let program: Vec<u8> = (0..40_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let code: Vec<u8> =
        (0..458_752_u32).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 21) as u8).collect();
    vec![
        Region { name: "0x00000.bin".into(), address: 0, bytes: image(&program) },
        Region { name: "0x10000.bin".into(), address: 0x10000, bytes: code },
    ]
}

/// Returns one file at 0, of no round length, like MicroPython's.
fn combined() -> Vec<Region> {
    let bytes: Vec<u8> = (0..600_000_u32).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
    vec![Region { name: "firmware-combined.bin".into(), address: 0, bytes: image(&bytes) }]
}

/// Returns a stub: the fake does not run it, but checks that its entry was loaded.
fn stub() -> Option<Stub> {
    let code = (0..9000_u32).map(|at| at as u8).collect();
    Some(Stub {
        segments: vec![(0x4010_e000, code), (0x3fff_c000, vec![1; 300])],
        entry: 0x4010_e004,
    })
}

/// Returns a job with the board's size in the header, as for MicroPython.
fn job() -> Job {
    Job { header: Header { size: Size::OfBoard, ..Header::default() }, ..Job::default() }
}

fn rom() -> Connect {
    Connect::default()
}

fn with_stub() -> Connect {
    Connect { stub: stub(), ..Connect::default() }
}

/// Connects, flashes, and starts.
fn flash_on(
    line: Line,
    connect: Connect,
    regions: &[Region],
    job: &Job,
) -> Result<(Vec<Flashed>, Boot)> {
    let mut loader = Loader::connect(line, connect, &mut Silent)?;
    let flashed = loader.flash(regions, job, &mut Silent)?;
    Ok((flashed, loader.boot(Program::Other, &mut Silent)?))
}

fn flash(board: &Board, connect: Connect, regions: &[Region]) -> Result<(Vec<Flashed>, Boot)> {
    flash_on(board.line(), connect, regions, &job())
}

/// Returns the flash that is expected: the files, with the size in the header, and nothing else.
fn expected(regions: &[Region], size_code: u8, flash_size: usize) -> Vec<u8> {
    let mut flash = vec![0xff; flash_size];
    for region in regions {
        let at = region.address as usize;
        flash[at..at + region.bytes.len()].copy_from_slice(&region.bytes);
    }
    flash[3] = flash[3] & 0x0f | size_code << 4;
    flash
}

fn assert_flashed(board: &Board, regions: &[Region], what: &str) {
    let expected = expected(regions, 4, 4 << 20);
    let flash = board.flash();
    let wrong = flash.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "{what}: first difference");
    assert!(board.would_start(), "{what}");
}

#[test]
fn half_a_megabyte_is_byte_identical_and_starts() {
    for (name, connect, verified) in
        [("rom", rom(), Verified::Sampled), ("stub", with_stub(), Verified::Fully)]
    {
        for regions in [sdk_image(), combined()] {
            let board = Board::with([]);
            let (flashed, boot) = flash(&board, connect.clone(), &regions).expect(name);
            assert_flashed(&board, &regions, name);
            assert!(
                flashed.iter().all(|part| part.written && part.verified == verified),
                "{flashed:?}"
            );
            assert_eq!(boot.greeting.as_deref(), Some("pblink-esp8266 0.1.0"), "{boot:?}");
        }
    }
}

#[test]
fn the_chip_tells_what_it_is() {
    for connect in [rom(), with_stub()] {
        let in_stub = connect.stub.is_some();
        let loader = Loader::connect(Board::with([]).line(), connect, &mut Silent).unwrap();
        let device = loader.device();
        assert_eq!((device.chip, device.flash_size), ("ESP8266EX", 4 << 20));
        assert_eq!(device.mac.to_string(), "5c:cf:7f:01:02:03");
        assert_eq!(device.flash_id, 0x0016_40ef);
        assert_eq!(loader.in_stub(), in_stub);
        assert_eq!(loader.baud(), if in_stub { 460_800 } else { 115_200 });
    }
}

/// Every fault that can be recovered from, with each loader.
#[test]
fn faults_on_the_line_change_nothing_in_the_end() {
    let boot_words = b"\xc0\xc0 ets Jan  8 2013\xdb\x00\xc0\x01\x08\xff\xff\xc0 load".to_vec();
    let faults = [
        Fault::Noise(boot_words),
        Fault::GarbleBlock(1),
        Fault::GarbleBlock(37),
        Fault::LoseBlock(1),
        Fault::LoseBlock(64),
        Fault::ForgetBlock(20),
        Fault::NoisyAbove(57_600),
    ];
    let answers = [1, 2, 5, 12, 40, 41, 60, 90, 200, 400]
        .into_iter()
        .flat_map(|n| [Fault::GarbleAnswer(n), Fault::LoseAnswer(n), Fault::DelayAnswer(n)]);
    for fault in faults.into_iter().chain(answers) {
        for (name, connect) in [("rom", rom()), ("stub", with_stub())] {
            // The sample that finds one forgotten block among hundreds would be luck.
            let verify =
                if matches!(fault, Fault::ForgetBlock(_)) { Verify::Full } else { Verify::Auto };
            let board = Board::with([fault.clone()]);
            let regions = sdk_image();
            let job = Job { verify, ..job() };
            let what = format!("{fault:?} with {name}");
            let (_, boot) = flash_on(board.line(), connect, &regions, &job)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_flashed(&board, &regions, &what);
            assert!(boot.greeting.is_some(), "{what}: {boot:?}");
        }
    }
}

#[test]
fn a_line_that_is_bad_at_a_high_speed_is_used_at_a_lower_one() {
    struct Notes(Vec<String>);
    impl Progress for Notes {
        fn begin(&mut self, _: Step, _: &str, _: u64) {}
        fn advance(&mut self, _: u64) {}
        fn end(&mut self) {}
        fn note(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }
    }
    for connect in [rom(), with_stub()] {
        let board = Board::with([Fault::NoisyAbove(200_000)]);
        let connect = Connect { baud: Some(460_800), ..connect };
        let mut notes = Notes(Vec::new());
        let mut loader = Loader::connect(board.line(), connect, &mut notes).unwrap();
        loader.flash(&sdk_image(), &job(), &mut notes).unwrap();
        assert!(loader.baud() <= 115_200, "{}", loader.baud());
        assert!(notes.0.iter().any(|note| note.contains("too many errors")), "{:?}", notes.0);
        assert_flashed(&board, &sdk_image(), "noisy");
    }
}

/// Whatever breaks it off: either all of the program is there, or none of it starts.
#[test]
fn a_board_is_never_left_with_half_a_program() {
    for erase in [Erase::All, Erase::Needed] {
        for (name, connect) in [("rom", rom()), ("stub", with_stub())] {
            for block in [1, 2, 30, 63, 64, 65, 200] {
                // An old program is on it, which starts.
                let broken = Board::with([]);
                flash(&broken, connect.clone(), &combined()).unwrap();
                assert!(broken.would_start());
                broken.fail(Fault::VanishAtBlock(block));
                let regions = sdk_image();
                let job = Job { erase, ..job() };
                let result = flash_on(broken.line(), connect.clone(), &regions, &job);
                let what = format!("{erase:?} {name} {block}");
                match result {
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::Vanished, "{what}");
                        assert!(error.remedy().contains("no program that starts"), "{what}");
                        assert!(!broken.would_start(), "{what}");
                    }
                    Ok(_) => assert!(broken.blocks() < block, "{what}"),
                }
                broken.repair();
                flash(&broken, connect.clone(), &regions).expect(&what);
                assert_flashed(&broken, &regions, &what);
            }
        }
    }
}

fn error(options: Options, regions: &[Region]) -> (Board, Error) {
    let board = Board::new(options);
    let error = flash(&board, rom(), regions).unwrap_err();
    (board, error)
}

/// Asserts that no sector was erased, which distinguishes an untouched board from a flashed one.
fn assert_untouched(board: &Board) {
    assert!(board.erased().iter().all(|&count| count == 0));
}

#[test]
fn a_small_flash_is_filled_to_its_end() {
    let mut regions = sdk_image();
    regions[1].bytes.truncate((512 << 10) - 0x10000);
    for connect in [rom(), with_stub()] {
        let board = Board::new(Options { flash_size: 512 << 10, ..Options::default() });
        flash(&board, connect, &regions).unwrap();
        assert_eq!(board.flash(), expected(&regions, 0, 512 << 10));
    }
}

#[test]
fn a_flash_beyond_the_rom_s_reach_is_used_as_far_as_it_goes() {
    let board = Board::new(Options { flash_size: 16 << 20, ..Options::default() });
    flash(&board, rom(), &sdk_image()).unwrap();
    let expected = expected(&sdk_image(), 9, 16 << 20);
    assert_eq!(board.flash()[..4 << 20], expected[..4 << 20]);
    assert!(board.erased()[1024..].iter().all(|&count| count == 0));

    let mut far = sdk_image();
    far[1].address = 5 << 20;
    let large = || Options { flash_size: 16 << 20, ..Options::default() };
    let (board, error) = error(large(), &far);
    assert_eq!(error.kind(), Kind::Image);
    assert!(error.cause().contains("behind the first 4 MB"), "{error}");
    assert_untouched(&board);

    let board = Board::new(large());
    flash(&board, with_stub(), &far).unwrap();
    assert!(board.flash() == self::expected(&far, 9, 16 << 20));
}

#[test]
fn a_stub_that_does_not_start_leaves_the_work_to_the_rom() {
    let board = Board::with([Fault::Refuse(0x07, 6)]);
    let (flashed, _) = flash(&board, with_stub(), &sdk_image()).unwrap();
    assert_eq!(flashed[0].verified, Verified::Sampled);
    assert_flashed(&board, &sdk_image(), "without its stub");
}

#[test]
fn a_stub_that_is_lost_on_the_way_leaves_no_old_bytes_behind() {
    let regions = sdk_image();
    let job = Job { erase: Erase::Needed, ..job() };
    for block in [1, 2, 5] {
        let board = Board::with([]);
        // What was there before differs by few bytes, which samples hardly see.
        let mut old = sdk_image();
        old[1].bytes.iter_mut().skip(1000).step_by(0x8000).for_each(|byte| *byte = 0);
        flash_on(board.line(), with_stub(), &old, &job).unwrap();
        board.fail(Fault::LoseStubAtBlock(block));
        let mut loader = Loader::connect(board.line(), with_stub(), &mut Silent).unwrap();
        loader.flash(&regions, &job, &mut Silent).unwrap();
        assert!(!loader.in_stub(), "it was lost at block {block}");
        let wrong =
            board.flash()[0x10000..].iter().zip(&regions[1].bytes).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "lost at block {block}: first difference");
        assert!(board.would_start());
    }
}

#[test]
fn erasing_all_tells_how_far_it_is_and_can_be_stopped() {
    struct Stop(Option<(u64, u64)>);
    impl Progress for Stop {
        fn begin(&mut self, step: Step, _: &str, total: u64) {
            assert_eq!((step, total), (Step::Erase, 4 << 20));
        }
        fn advance(&mut self, done: u64) {
            self.0 = Some((done, self.0.map_or(0, |(_, calls)| calls) + 1));
        }
        fn end(&mut self) {}
        fn note(&mut self, _: &str) {}
        fn cancelled(&self) -> bool {
            self.0.is_some()
        }
    }
    for connect in [rom(), with_stub()] {
        let board = Board::with([]);
        flash(&board, connect.clone(), &sdk_image()).unwrap();
        let before = board.erased();
        let mut loader = Loader::connect(board.line(), connect, &mut Silent).unwrap();
        let mut stop = Stop(None);
        let error = loader.flash(&sdk_image(), &job(), &mut stop).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        assert!(error.remedy().contains("no program that starts"), "{error}");
        assert!(!board.would_start(), "its first sector is gone");
        let (done, calls) = stop.0.unwrap();
        assert!(calls == 1 && done <= 256 << 10, "{done} after {calls}");
        assert_eq!(board.erased()[1023], before[1023], "the end was not reached");
    }
}

#[test]
fn worn_out_flash_does_not_pass_as_good() {
    for (connect, verify) in [(rom(), Verify::Full), (with_stub(), Verify::Auto)] {
        let board = Board::with([]);
        let regions = sdk_image();
        let at = regions[1].bytes.iter().position(|byte| byte & 1 == 1).unwrap() + 0x10000;
        board.wear_out(at, 1);
        let job = Job { verify, ..job() };
        let error = flash_on(board.line(), connect, &regions, &job).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify);
        assert!(!board.would_start(), "its first sector is not written before the rest is right");
    }
}

#[test]
fn samples_look_into_every_sector() {
    // Each block of 1 KB that the ROM forgets is a quarter of a sector, so a whole sector is four.
    for first in [5, 101, 297] {
        let board = Board::with((first..first + 4).map(Fault::ForgetBlock).collect::<Vec<_>>());
        let mut regions = combined();
        // No byte of it looks like an erased one.
        let bytes: Vec<u8> = regions[0].bytes[16..].iter().map(|byte| byte & 0x7f).collect();
        regions[0].bytes = image(&bytes);
        let job = Job { verify: Verify::Sampled, ..job() };
        let mut loader = Loader::connect(board.line(), rom(), &mut Silent).unwrap();
        loader.flash(&regions, &job, &mut Silent).unwrap();
        assert_eq!(board.flash(), expected(&regions, 4, 4 << 20));
    }
}

#[test]
fn flash_can_be_read() {
    for connect in [rom(), with_stub()] {
        let board = Board::with([Fault::LoseAnswer(100), Fault::GarbleAnswer(150)]);
        let mut loader = Loader::connect(board.line(), connect, &mut Silent).unwrap();
        let bytes = loader.read(0x1f00, 9001, &mut Silent).unwrap();
        assert_eq!(bytes, board.flash()[0x1f00..0x1f00 + 9001]);
    }
}

/// Progress only goes forward, and every step that begins ends.
#[test]
fn progress_never_goes_back() {
    #[derive(Default)]
    struct Watch {
        open: Option<(Step, u64, u64)>,
        steps: Vec<Step>,
    }
    impl Progress for Watch {
        fn begin(&mut self, step: Step, _: &str, total: u64) {
            assert_eq!(self.open, None);
            self.open = Some((step, total, 0));
        }
        fn advance(&mut self, done: u64) {
            let (_, total, before) = self.open.as_mut().expect("within a step");
            assert!(done >= *before && done <= *total, "{done} after {before} of {total}");
            *before = done;
        }
        fn end(&mut self) {
            let (step, total, done) = self.open.take().expect("it has begun");
            assert!(step == Step::Wait || done == total, "{step:?} {done} of {total}");
            self.steps.push(step);
        }
        fn note(&mut self, _: &str) {}
    }
    for connect in [rom(), with_stub()] {
        let board =
            Board::with([Fault::LoseBlock(20), Fault::GarbleBlock(90), Fault::ForgetBlock(30)]);
        let mut watch = Watch::default();
        let mut loader = Loader::connect(board.line(), connect, &mut watch).unwrap();
        loader.flash(&sdk_image(), &Job { verify: Verify::Full, ..job() }, &mut watch).unwrap();
        loader.boot(Program::Pblink, &mut watch).unwrap();
        for step in [Step::Erase, Step::Write, Step::Verify, Step::Wait] {
            assert!(watch.steps.contains(&step), "{step:?}");
        }
    }
}

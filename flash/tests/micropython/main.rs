//! A board with MicroPython that is only software: what is on it afterwards, also when line, board or cable fail.

use pblink_fakes::micropython::{Board, Fault, Line};
use pblink_flash::micropython::{self, Ended, File, Installed, Job, Need, install};
use pblink_flash::{Error, Kind, Progress, Result, Silent, Step};

const MAIN: &str = "pb_link/main.py";

/// Three files: one of several pieces with all bytes, one short, one empty.
fn files() -> Vec<File> {
    let file = |name: &str, bytes: Vec<u8>| File { name: name.into(), bytes };
    vec![
        file("primitives/__init__.py", Vec::new()),
        file("pb_link/long.py", (0..3000_u32).map(|n| ((n * 7) >> 3) as u8).collect()),
        file(MAIN, b"print('new')\n".to_vec()),
    ]
}

fn needs() -> Vec<Need> {
    let need = |module: &str| Need { module: module.into(), by: "pb_link/app_base.py".into() };
    vec![need("asyncio"), need("machine")]
}

fn connect(board: &Board) -> Result<micropython::Board<Line>> {
    micropython::Board::connect(board.line(), "the port", &mut Silent)
}

fn install_on(board: &Board, folder: Option<&str>) -> Result<Installed> {
    let mut connected = connect(board)?;
    let job = Job { files: &files(), needs: &needs(), folder };
    let installed = install(&mut connected, &job, &mut Silent)?;
    connected.leave()?;
    Ok(installed)
}

/// Checks that all files are on the board, and nothing else is.
fn assert_installed(board: &Board, folder: &str) {
    let expected = files().into_iter().map(|file| (format!("{folder}/{}", file.name), file.bytes));
    assert_eq!(board.files(), expected.collect());
}

/// Returns a board on which older files are.
fn old(faults: impl Into<Vec<Fault>>) -> Board {
    let board = Board::with(faults);
    for file in files() {
        board.put(&format!("/flash/{}", file.name), b"old");
    }
    board
}

/// Checks that each file is whole: the old one or the new one.
fn assert_whole(board: &Board) {
    let files = files();
    for (name, bytes) in board.files() {
        let file = files.iter().find(|file| name == format!("/flash/{}", file.name));
        let file = file.unwrap_or_else(|| panic!("{name} is left"));
        assert!(bytes == b"old" || bytes == file.bytes, "{name} is half");
    }
    assert_eq!(board.files().len(), files.len());
}

fn failed(board: &Board) -> Error {
    install_on(board, None).expect_err("it must fail")
}

#[test]
fn files_come_onto_the_board_whatever_it_can_and_does() {
    for faults in [
        vec![],
        vec![Fault::NoPaste],
        vec![Fault::Program(1)],
        vec![Fault::Timer],
        vec![Fault::Program(6), Fault::NoPaste],
        vec![Fault::Is("micropython 1.13.0 pyboard")],
    ] {
        let board = old(faults.clone());
        let installed = install_on(&board, None).unwrap_or_else(|e| panic!("{faults:?}: {e}"));
        assert_installed(&board, "/flash");
        assert!(board.at_prompt(), "{faults:?}");
        assert_eq!(installed.folder, "/flash");
        assert!(installed.files.iter().all(|file| file.written) && !installed.overridden);
        assert_eq!(installed.identity.platform, "pyboard");
        // Again: nothing is to be done.
        let again = install_on(&board, None).unwrap();
        assert!(again.files.iter().all(|file| !file.written));
        assert_eq!(again.files[2].sha256, installed.files[2].sha256);
    }
}

#[test]
fn a_card_is_preferred_unless_a_folder_is_named() {
    let board = Board::with([Fault::Sd]);
    assert_eq!(install_on(&board, None).unwrap().folder, "/sd");
    assert_installed(&board, "/sd");
    let board = Board::with([Fault::Sd]);
    assert_eq!(install_on(&board, Some("/flash/")).unwrap().folder, "/flash");
    assert_installed(&board, "/flash");
    let error = install_on(&Board::with([]), Some("/sd")).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.cause().contains("/sd") && error.remedy().contains("--to"), "{error}");
    assert_eq!(failed(&Board::with([Fault::NoFolder])).kind(), Kind::NotFound);
}

#[test]
fn a_configuration_that_the_program_prefers_is_reported() {
    let board = Board::with([]);
    board.put("/flash/pb_link/my_config.py", b"config = []");
    assert!(install_on(&board, None).unwrap().overridden);
}

#[test]
fn a_board_that_cannot_run_it_is_left_as_it_was() {
    for (fault, kind, words) in [
        (Fault::Is("micropython 1.12.0 pyboard"), Kind::Version, "MicroPython 1.12.0"),
        (Fault::Is("circuitpython 9.0.0 stm"), Kind::WrongChip, "circuitpython"),
        (Fault::Is("micropython banana pyboard"), Kind::NoAnswer, "its version"),
        (Fault::Is("micropython"), Kind::NoAnswer, "its version"),
        (Fault::Lacks("asyncio"), Kind::Version, "no module asyncio, which pb_link/app_base.py"),
        (Fault::Lacks("machine"), Kind::Version, "no module machine"),
        (Fault::Free(6), Kind::Full, "/flash on the board has 3072 bytes free, and 1536 more are"),
        (Fault::ReadOnly, Kind::Refused, "can only be read"),
        (Fault::GarbleSum, Kind::NoAnswer, "a hash"),
    ] {
        let board = old([fault.clone()]);
        let before = board.files();
        let error = failed(&board);
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert!(error.cause().contains(words), "{fault:?}: {error}");
        assert_eq!(board.files(), before, "{fault:?}");
    }
}

#[test]
fn what_is_no_repl_is_told_apart_and_gets_nothing() {
    for (fault, words, remedy) in [
        (Fault::Silent, "nothing answers", "RST"),
        (Fault::Garbage(b"\xff\x00\xc0".to_vec()), "is not MicroPython's REPL", "RST"),
        (Fault::Stubborn, "cannot be interrupted", "safe mode"),
        (Fault::NoRawRepl, "no raw REPL", "micropython.org"),
    ] {
        let board = old([fault.clone()]);
        let error = failed(&board);
        assert_eq!(error.kind(), Kind::NoAnswer, "{fault:?}");
        assert!(error.cause().contains(words), "{fault:?}: {error}");
        assert!(error.remedy().contains(remedy), "{fault:?}: {error}");
        assert!(error.cause().contains("the port"), "{error}");
        assert_whole(&board);
    }
}

#[test]
fn whatever_happens_on_the_way_no_file_is_half() {
    // The long file has 8 pieces, and the short one is the 9th.
    for piece in 1..=9 {
        for (fault, kind) in
            [(Fault::FullAt(piece), Kind::Full), (Fault::NoMemoryAt(piece), Kind::Refused)]
        {
            let board = old([fault.clone()]);
            let error = failed(&board);
            assert_eq!(error.kind(), kind, "{fault:?}: {error}");
            assert_whole(&board);
            board.repair();
            install_on(&board, None).unwrap();
            assert_installed(&board, "/flash");
        }
        // After these nothing can be tidied up: the next run does it.
        for (fault, kind) in [
            (Fault::VanishAt(piece), Kind::Vanished),
            (Fault::HangAt(piece), Kind::Busy),
            (Fault::GarbleAt(piece), Kind::NoAnswer),
        ] {
            let board = old([fault.clone()]);
            let error = failed(&board);
            assert_eq!(error.kind(), kind, "{fault:?}: {error}");
            for file in files() {
                let bytes = &board.files()[&format!("/flash/{}", file.name)];
                assert!(*bytes == file.bytes || bytes == b"old", "{fault:?}: {}", file.name);
            }
            board.repair();
            install_on(&board, None).unwrap();
            assert_installed(&board, "/flash");
        }
    }
}

#[test]
fn a_file_with_another_hash_does_not_get_its_name() {
    let board = old([Fault::Wear("main.py")]);
    let error = failed(&board);
    assert_eq!(error.kind(), Kind::Verify);
    assert!(error.cause().contains(MAIN) && error.remedy().contains("--to"), "{error}");
    assert_whole(&board);
    assert_eq!(board.files()[&format!("/flash/{MAIN}")], b"old");
}

/// Stops after some advances, and notes what it was told.
#[derive(Default)]
struct Watcher {
    stop_after: Option<u32>,
    advances: u32,
    steps: Vec<String>,
    last: u64,
    total: u64,
}

impl Progress for Watcher {
    fn begin(&mut self, step: Step, what: &str, total: u64) {
        self.steps.push(format!("{step:?} {what}"));
        (self.last, self.total) = (0, total);
    }

    fn advance(&mut self, done: u64) {
        assert!(done >= self.last && done <= self.total, "{done} of {}", self.total);
        self.last = done;
        self.advances += 1;
    }

    fn end(&mut self) {
        self.steps.push("end".into());
    }

    fn note(&mut self, text: &str) {
        self.steps.push(text.to_owned());
    }

    fn cancelled(&self) -> bool {
        self.stop_after.is_some_and(|after| self.advances >= after)
    }
}

#[test]
fn progress_counts_bytes_and_a_stop_leaves_whole_files() {
    let board = old([]);
    let mut watcher = Watcher::default();
    let mut connected = connect(&board).unwrap();
    let job = Job { files: &files(), needs: &[], folder: None };
    install(&mut connected, &job, &mut watcher).unwrap();
    assert_eq!(watcher.steps, ["Read what is in /flash", "end", "Write 3 files to /flash", "end"]);
    assert_eq!((watcher.last, watcher.total), (3013, 3013));
    let advances = watcher.advances;

    for stop_after in 0..advances {
        let board = old([]);
        let mut watcher = Watcher { stop_after: Some(stop_after), ..Watcher::default() };
        let mut connected = connect(&board).unwrap();
        let error = install(&mut connected, &job, &mut watcher).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled, "after {stop_after}");
        assert_whole(&board);
        connected.leave().unwrap();
        assert!(board.at_prompt());
    }
}

#[test]
fn connecting_can_be_stopped() {
    let mut watcher = Watcher { stop_after: Some(0), ..Watcher::default() };
    let board = Board::with([Fault::Silent]);
    let error = micropython::Board::connect(board.line(), "p", &mut watcher).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
}

/// Runs the program until it has printed a line; returns its end, and all that it has printed.
fn run(board: &Board) -> Result<(Ended, String)> {
    let mut connected = connect(board)?;
    let mut text = String::new();
    let mut print = |bytes: &[u8]| {
        text += &String::from_utf8_lossy(bytes);
        !text.contains('\n')
    };
    let ended = connected.run("import pb_link.pb_client\n", &mut print, &mut Silent)?;
    connected.leave()?;
    Ok((ended, text))
}

#[test]
fn a_program_is_ended_and_the_board_is_at_its_prompt() {
    for faults in [vec![], vec![Fault::NoPaste], vec![Fault::ProgramCatches(3)]] {
        let board = Board::with(faults.clone());
        board.put("/flash/pb_link/pb_client.py", b"");
        let (ended, text) = run(&board).unwrap();
        assert_eq!(ended, Ended::Interrupted, "{faults:?}");
        assert!(text.starts_with(pblink_fakes::micropython::PROGRAM_SAYS), "{text}");
        assert!(board.at_prompt());
    }
}

#[test]
fn a_program_that_ends_by_itself_or_never_says_so() {
    let board = Board::with([Fault::ProgramFails("OSError: No initial WiFi connection.")]);
    let (Ended::Failed(error), _) = run(&board).unwrap() else { panic!("it has failed") };
    assert!(error.ends_with("OSError: No initial WiFi connection."), "{error}");
    assert!(board.at_prompt());
    let (Ended::Failed(error), _) = run(&Board::with([])).unwrap() else { panic!("it has failed") };
    assert!(error.contains("no module named 'pb_link'"), "{error}");

    let board = Board::with([Fault::ProgramCatches(9)]);
    board.put("/flash/pb_link/pb_client.py", b"");
    let error = run(&board).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.remedy().contains("RST"), "{error}");
}

//! The real MicroPython as a board: so what our code is tested against is not only our own idea of a board.

use std::sync::atomic::{AtomicBool, Ordering};

use pblink_fakes::micropython::{Unix, micropython};
use pblink_flash::coprocessor::Serial;
use pblink_flash::micropython::{Board, Ended, File, Installed, Job, Need, install};
use pblink_flash::{Kind, Progress, Result, Silent, Step};
use pblink_image::manifest::sha256;

/// A Pyboard's flash, in pieces of 512 bytes.
const FLASH: usize = 192;

fn files() -> Vec<File> {
    let file = |name: &str, bytes: Vec<u8>| File { name: name.into(), bytes };
    vec![
        file("primitives/__init__.py", Vec::new()),
        file("pb_link/all.py", (0..2000_u32).map(|n| ((n * 7) >> 3) as u8).collect()),
        file("pb_link/__init__.py", Vec::new()),
        file(
            "pb_link/pb_client.py",
            b"import time\nprint('it runs')\ntry:\n    while True: time.sleep_ms(20)\nfinally:\n    print('it is over')\n"
                .to_vec(),
        ),
    ]
}

/// Returns names and hashes of what should be on a board.
fn expected(files: &[File]) -> Vec<(String, String)> {
    let mut all: Vec<_> =
        files.iter().map(|f| (format!("/flash/{}", f.name), sha256(&f.bytes))).collect();
    all.sort();
    all
}

fn install_on(board: &Unix, files: &[File]) -> Result<Installed> {
    let mut connected = Board::connect(Serial::open(board.path())?, board.path(), &mut Silent)?;
    let need = |module: &str| Need { module: module.into(), by: "pb_link/app_base.py".into() };
    let needs = [need("uasyncio"), need("asyncio"), need("ujson"), need("utime"), need("gc")];
    let job = Job { files, needs: &needs, folder: None };
    let installed = install(&mut connected, &job, &mut Silent);
    match &installed {
        Err(error) if error.kind() == Kind::Vanished => {}
        _ => connected.leave()?,
    }
    installed
}

#[test]
fn files_come_onto_it_and_again_nothing_is_to_be_done() {
    let Some(python) = micropython() else { return };
    let board = Unix::start(python, FLASH, "");
    let installed = install_on(&board, &files()).unwrap();
    assert_eq!(
        (installed.folder.as_str(), installed.identity.platform.as_str()),
        ("/flash", "linux")
    );
    assert!(installed.files.iter().all(|file| file.written));
    assert!(board.at_prompt());

    let mut changed = files();
    changed[1].bytes[1000] ^= 1;
    let again = install_on(&board, &changed).unwrap();
    let written: Vec<_> = again.files.iter().map(|file| file.written).collect();
    assert_eq!(written, [false, true, false, false]);
    assert_eq!(board.files(), expected(&changed));
}

#[test]
fn a_program_that_runs_on_it_is_interrupted() {
    let Some(python) = micropython() else { return };
    let program = "import time\nwhile True: time.sleep_ms(10)";
    let board = Unix::start(python, FLASH, program);
    install_on(&board, &files()).unwrap();
    assert_eq!(board.files(), expected(&files()));
}

#[test]
fn without_room_nothing_is_changed_and_with_too_little_no_file_is_half() {
    let Some(python) = micropython() else { return };
    let board = Unix::start(python, FLASH, "");
    let mut large = files();
    large[1].bytes = vec![b'#'; 120_000];
    let error = install_on(&board, &large).unwrap_err();
    assert_eq!(error.kind(), Kind::Full);
    assert!(error.cause().contains("more are needed"), "{error}");
    assert!(board.at_prompt());
    assert_eq!(board.files(), []);

    let board = Unix::start(python, FLASH, "");
    install_on(&board, &files()).unwrap();
    let mut connected =
        Board::connect(Serial::open(board.path()).unwrap(), "p", &mut Silent).unwrap();
    connected.leave().unwrap();
    drop(connected);
    let error = install_on(&board, &large).unwrap_err();
    assert_eq!(error.kind(), Kind::Full);
    assert_eq!(board.files(), expected(&files()));
}

#[test]
fn room_is_reckoned_with_the_names_of_many_small_files() {
    let Some(python) = micropython() else { return };
    for (count, fits) in [(46, true), (56, false)] {
        let name = |n| format!("pb_link/a_module_of_ours_{n:02}.py");
        let file = |n| File { name: name(n), bytes: vec![b'#'; 10] };
        let files: Vec<_> = (0..count).map(file).collect();
        let board = Unix::start(python, FLASH / 2, "");
        match install_on(&board, &files) {
            Ok(_) => assert!(fits, "{count} files"),
            Err(error) => {
                assert!(
                    !fits && error.remedy().contains("nothing was changed"),
                    "{count}: {error}"
                );
            }
        }
        let expected = if fits { expected(&files) } else { Vec::new() };
        assert_eq!(board.files(), expected);
    }
}

#[test]
fn a_cable_that_is_pulled_leaves_whole_files() {
    let Some(python) = micropython() else { return };
    let old: Vec<_> =
        files().into_iter().map(|file| File { bytes: b"old".to_vec(), ..file }).collect();
    let mut pulled = 0;
    for bytes in (1000..).step_by(700) {
        let board = Unix::start(python, FLASH, "");
        install_on(&board, &old).unwrap();
        board.pull_after(bytes);
        let Err(error) = install_on(&board, &files()) else { break };
        assert_eq!(error.kind(), Kind::Vanished, "{error}");
        pulled += 1;
        let (old, new) = (expected(&old), expected(&files()));
        for file in board.files() {
            let part = file.0.ends_with(".part");
            assert!(part || old.contains(&file) || new.contains(&file), "{file:?} is half");
        }
    }
    assert!(pulled > 4, "it was only pulled {pulled} times");
}

/// Wants to stop once the program runs.
struct Stop<'a>(&'a AtomicBool);

impl Progress for Stop<'_> {
    fn begin(&mut self, _step: Step, _what: &str, _total: u64) {}
    fn advance(&mut self, _done: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, _text: &str) {}
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn a_program_runs_afresh_each_time_and_cleans_up_when_it_is_ended() {
    let Some(python) = micropython() else { return };
    let board = Unix::start(python, FLASH, "");
    install_on(&board, &files()).unwrap();
    for _again in 0..2 {
        let mut connected =
            Board::connect(Serial::open(board.path()).unwrap(), "p", &mut Silent).unwrap();
        let stop = AtomicBool::new(false);
        let mut text = String::new();
        let mut print = |bytes: &[u8]| {
            text += &String::from_utf8_lossy(bytes);
            stop.store(text.contains("it runs"), Ordering::Relaxed);
            true
        };
        let ended = connected.run("import pb_link.pb_client", &mut print, &mut Stop(&stop));
        assert_eq!(ended.unwrap(), Ended::Interrupted);
        assert!(text.contains("it is over"), "{text}");
        connected.leave().unwrap();
        assert!(board.at_prompt());
    }
    let mut connected =
        Board::connect(Serial::open(board.path()).unwrap(), "p", &mut Silent).unwrap();
    let ended = connected.run("import nothing", &mut |_| true, &mut Silent).unwrap();
    let Ended::Failed(error) = ended else { panic!("{ended:?}") };
    assert!(error.ends_with("ImportError: no module named 'nothing'"), "{error}");
}

#[test]
fn a_program_that_exits_is_told_and_leaves_the_board_at_its_prompt() {
    let Some(python) = micropython() else { return };
    let board = Unix::start(python, FLASH, "");
    let mut connected =
        Board::connect(Serial::open(board.path()).unwrap(), "p", &mut Silent).unwrap();
    let ended = connected.run("import sys\nsys.exit()", &mut |_| true, &mut Silent).unwrap();
    assert_eq!(ended, Ended::Failed("SystemExit".to_owned()));
    connected.leave().unwrap();
    assert!(board.at_prompt());
}

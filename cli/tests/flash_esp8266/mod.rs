//! `pblink flash esp8266` as a process, with a board on a pseudo-terminal: what is in its flash
//! afterwards, and what the user reads when it goes wrong.

mod asking;
mod built;
mod ports;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::process::{self, PBLINK};
use pblink_fakes::esp8266::{Board, Fault, GREETING, Options, image};
use pblink_flash::coprocessor::Serial;

/// Two files in a folder: a program for address 0, and code for 0x10000, 512 KB in all.
struct Files {
    folder: tempfile::TempDir,
    program: Vec<u8>,
    code: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        // Hardly to be compressed: so with each loader there are more than a hundred blocks.
        let mut state = 1_u32;
        let mut bytes = |count: u32| -> Vec<u8> {
            let mut next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..count).map(&mut next).collect()
        };
        let (program, code) = (image(&bytes(60_000)), bytes(458_752));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("program.bin"), &program).unwrap();
        std::fs::write(folder.path().join("code.bin"), &code).unwrap();
        Self { folder, program, code }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Returns the arguments that name both files.
    fn images(&self) -> [String; 4] {
        let code = self.path("code.bin") + "@0x10000";
        ["--image".into(), self.path("program.bin"), "--image".into(), code]
    }

    /// Returns the contents of a flash of 4 MB afterwards: two files as the SDK makes them keep
    /// their header.
    fn kept(&self) -> Vec<u8> {
        self.in_flash(self.program[3])
    }

    /// Returns the contents of a flash of 4 MB afterwards. `size` is the size code in the header.
    fn in_flash(&self, size: u8) -> Vec<u8> {
        let mut flash = vec![0xff; 4 << 20];
        flash[..self.program.len()].copy_from_slice(&self.program);
        flash[0x10000..0x10000 + self.code.len()].copy_from_slice(&self.code);
        flash[3] = size;
        flash
    }
}

fn pblink(port: &str) -> Command {
    let mut command = Command::new(PBLINK);
    command.args(["flash", "esp8266", "--serial", port]).stdin(Stdio::null());
    command
}

fn run(board: &Board, files: &Files, arguments: &[&str]) -> Output {
    let pty = board.pty();
    pblink(pty.path()).args(files.images()).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that it failed with this code, and that the last words are a cause and a remedy, a line
/// each.
fn assert_failed(output: &Output, code: i32, cause: &str, remedy: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let lines: Vec<_> = said.lines().collect();
    let [.., first, second] = lines[..] else { panic!("{said}") };
    assert!(first.starts_with("pblink: ") && first.contains(cause), "{said}");
    assert!(second.starts_with("  ") && second.contains(remedy), "{said}");
}

fn assert_untouched(board: &Board) {
    assert!(board.erased().iter().all(|&count| count == 0), "something was erased");
}

const YES: [&str; 3] = ["--yes", "--before", "no-reset"];

#[test]
fn half_a_megabyte_is_flashed_and_starts() {
    let files = Files::new();
    for (arguments, loader, verified) in
        [(&["--json"][..], "stub", "full"), (&["--json", "--no-stub"][..], "rom", "sampled")]
    {
        let board = Board::with([]);
        let output = run(&board, &files, &[&YES[..], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(board.flash() == files.kept(), "byte by byte");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["mac"], "5c:cf:7f:01:02:03");
        assert_eq!(report["flash_size"], 4 << 20);
        assert_eq!(report["loader"], loader);
        assert_eq!(report["regions"][1]["address"], "0x00010000");
        assert_eq!(report["regions"][1]["written"], true);
        assert_eq!(report["regions"][1]["verified"], verified);
        assert_eq!(report["boot"]["greeting"], "pblink-esp8266 0.1.0");
        assert_eq!(report["boot"]["warning"], serde_json::Value::Null);
    }
}

#[test]
fn faults_on_the_way_change_nothing() {
    let files = Files::new();
    let noise = b"\xc0\x01\xff ets Jan  8 2013 \xdb".to_vec();
    let faults = [
        Fault::Noise(noise),
        Fault::GarbleBlock(7),
        Fault::LoseBlock(90),
        Fault::LoseAnswer(9),
        Fault::GarbleAnswer(30),
    ];
    for loader in [&[][..], &["--no-stub"]] {
        let board = Board::with(faults.clone());
        let output = run(&board, &files, &[&YES[..], loader].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(board.flash() == files.kept());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("program.bin") && said.contains("verified"), "{said}");
        assert!(said.contains("the board says: pblink-esp8266 0.1.0"), "{said}");
    }
}

#[test]
fn the_header_tells_the_size_that_the_program_wants() {
    let files = Files::new();
    // Two files as the SDK makes them keep what they say, unless the user says otherwise.
    for (arguments, size) in [(&[][..], files.program[3]), (&["--header-size", "board"], 0x40)] {
        let board = Board::with([]);
        let output = run(&board, &files, &[&YES[..], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(board.flash() == files.in_flash(size), "{arguments:?}");
    }
    // A file alone, such as MicroPython's, gets the board's.
    let program = files.path("program.bin");
    for (arguments, size) in [(&[][..], 0x40), (&["--header-size", "keep"], files.program[3])] {
        let board = Board::with([]);
        let pty = board.pty();
        let output = pblink(pty.path())
            .args(["--image", &program])
            .args(YES)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(board.flash()[3], size, "{arguments:?}");
    }
}

/// Writes a program at 0 onto a board with this many megabytes, and returns the header that it has there.
fn header(megabytes: usize, program: &[u8], arguments: &[&str]) -> ([u8; 4], String) {
    let files = Files::new();
    std::fs::write(files.path("a.bin"), program).unwrap();
    std::fs::write(files.path("user1.bin"), [&[0xea, 4, 0, 0][..], &[7; 4000]].concat()).unwrap();
    let user = files.path("user1.bin@0x1000");
    let user: Vec<_> = match arguments.contains(&"user1") {
        true => vec!["--image", &user],
        false => Vec::new(),
    };
    let arguments: Vec<_> = arguments.iter().filter(|word| **word != "user1").collect();
    let board = Board::new(Options { flash_size: megabytes << 20, ..Options::default() });
    let pty = board.pty();
    let mut command = pblink(pty.path());
    command.args(["--image", &files.path("a.bin")]).args(user).args(YES).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    (*board.flash().first_chunk().unwrap(), stderr(&output))
}

#[test]
fn a_header_of_more_than_4_mb_has_to_be_asked_for() {
    let program = image(&[7; 3000]);
    let (usual, said) = header(16, &program, &[]);
    assert_eq!(usual, [0xe9, 1, 0, 0x40]);
    assert!(said.contains("note: the header names 4 MB of the board's 16 MB"), "{said}");
    for (arguments, size) in [
        (["--header-size", "board"], 0x90),
        (["--header-size", "8MB"], 0x80),
        (["--header-size", "4MB-c1"], 0x60),
        (["--header-size", "1MB"], 0x20),
    ] {
        let (asked, said) = header(16, &program, &arguments);
        assert_eq!(asked, [0xe9, 1, 0, size]);
        assert!(!said.contains("the header names"), "{said}");
    }
}

/// The one that the program was compiled for stands there: with another the SDK says "mismatch map", and stops.
#[test]
fn a_layout_of_the_sdk_keeps_its_header() {
    let mut boot = image(&[7; 3000]);
    boot[3] = 0x5f;
    let (kept, said) = header(4, &boot, &["user1"]);
    assert_eq!(kept, [0xe9, 1, 0, 0x5f]);
    assert!(said.contains("boot.bin, and a program for it at 0x1000"), "{said}");
    // The halves stay, too, where another size is wanted.
    assert_eq!(header(4, &boot, &["user1", "--header-size", "board"]).0, [0xe9, 1, 0, 0x6f]);
}

#[test]
fn mode_and_clock_of_the_flash_can_be_chosen() {
    let program = image(&[7; 3000]);
    for (arguments, header_is) in [
        (&["--flash-mode", "dout"][..], [0xe9, 1, 3, 0x40]),
        (&["--flash-mode", "qio", "--flash-freq", "80"], [0xe9, 1, 0, 0x4f]),
        (&["--flash-freq", "26m", "user1"], [0xe9, 1, 0, 0x21]),
    ] {
        assert_eq!(header(4, &program, arguments).0, header_is, "{arguments:?}");
    }
    let files = Files::new();
    let code = files.path("code.bin@0x10000");
    let mut command = pblink(&files.path("ttyUSB9"));
    command.args(["--image", &code, "--no-erase", "--flash-mode", "dout"]);
    assert_failed(&command.output().unwrap(), 1, "no program for address 0", "--flash-mode");
}

#[test]
fn wrong_arguments_are_reported_with_what_is_right() {
    let files = Files::new();
    let nowhere = files.path("ttyUSB9");
    for image in [files.path("missing.bin"), files.path("code.bin@zz")] {
        let output = pblink(&nowhere).args(["--image", &image]).args(YES).output().unwrap();
        assert_failed(&output, 1, "cannot read the image", "@0x10000");
        let output = Command::new(PBLINK)
            .args(["flash", "stm32", "--yes", "--image", &image])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_failed(&output, 1, "cannot be read", "@0x10000");
    }
    let output = pblink("").args(files.images()).args(YES).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/dev/ttyUSB0"), "{}", stderr(&output));
    let folder = files.folder.path().to_str().unwrap();
    let output = pblink(&nowhere).args(["--source", folder]).args(YES).output().unwrap();
    assert_failed(&output, 2, "is not the source folder", "firmware-esp8266");
}

#[test]
fn another_chip_is_named_and_left_alone() {
    let board = Board::new(Options { magic: 0x00f0_1d83, ..Options::default() });
    let output = run(&board, &Files::new(), &YES);
    assert_failed(&output, 1, "this is an ESP32, not an ESP8266", "--serial");
    assert_untouched(&board);
}

#[test]
fn an_image_that_is_too_large_is_refused() {
    let board = Board::new(Options { flash_size: 512 << 10, ..Options::default() });
    let mut files = Files::new();
    files.code.push(0);
    std::fs::write(files.path("code.bin"), &files.code).unwrap();
    let output = run(&board, &files, &[&YES[..], &["--header-size", "board"]].concat());
    assert_failed(
        &output,
        1,
        "code.bin (458753 bytes at 0x10000) does not fit",
        "nothing was erased",
    );
    assert!(stderr(&output).contains("512 KB of flash"));
    assert_untouched(&board);
}

#[test]
fn what_is_no_program_is_refused() {
    let board = Board::with([]);
    let files = Files::new();
    let pty = board.pty();
    let code = files.path("code.bin");
    let output = pblink(pty.path()).args(["--image", &code]).args(YES).output().unwrap();
    assert_failed(&output, 1, "code.bin is no ESP8266 program", "behind an @");
    board.repair();
    let code = code + "@0x10000";
    let output = pblink(pty.path()).args(["--image", &code]).args(YES).output().unwrap();
    assert_failed(&output, 1, "no program for address 0", "--no-erase");
    assert_untouched(&board);
}

#[test]
fn notes_wear_the_dress_of_diagnostics_and_quiet_leaves_only_errors() {
    let files = Files::new();
    let board = Board::with([]);
    let output = run(&board, &files, &YES);
    assert!(stderr(&output).contains("pblink: note: If an STM32"), "{}", stderr(&output));
    let board = Board::with([]);
    let output = run(&board, &files, &[&YES[..], &["--quiet"]].concat());
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(0), ""));
}

#[test]
fn a_board_that_vanishes_starts_no_half_program() {
    let files = Files::new();
    for block in [1, 100] {
        let board = Board::with([Fault::VanishAtBlock(block)]);
        let output = run(&board, &files, &YES);
        assert_failed(&output, 1, "the board's port is gone", "run the same command");
        assert!(!board.would_start());
        board.repair();
        let output = run(&board, &files, &YES);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(board.flash() == files.kept());
    }
}

#[test]
fn nobody_there_ends_in_advice() {
    let board = Board::with([Fault::Silent]);
    let output = run(&board, &Files::new(), &YES);
    assert_failed(&output, 1, "no ESP8266 answers", "FLASH");
    assert_untouched(&board);
    // Told before it began, since an STM32 that runs makes it fail.
    assert!(stderr(&output).contains("If an STM32 with a pblink program is wired"), "{output:?}");
}

#[test]
fn control_c_stops_at_a_safe_place() {
    let files = Files::new();
    // It waits for this block's answer for some seconds: time to stop it.
    let board = Board::with([Fault::LoseBlock(30)]);
    let pty = board.pty();
    let mut child = pblink(pty.path())
        .args(files.images())
        .args(YES)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("erased ")), "it erases first");
    while board.blocks() < 30 {
        std::thread::yield_now();
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let rest: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("stopping at the next safe place")), "{rest:?}");
    assert!(rest.last().unwrap().contains("run the same command again"), "{rest:?}");
    assert!(!board.would_start());
}

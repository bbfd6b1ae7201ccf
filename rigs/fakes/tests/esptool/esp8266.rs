//! The fake ESP8266.

use std::path::Path;

use pblink_fakes::esp8266::{Board, Fault, Options, Running, image};
use pblink_fakes::esptool;

/// Runs esptool on a board; returns whether it succeeded, and what it said.
fn run(esptool: &Path, board: &Board, arguments: &[&str]) -> (bool, String) {
    let pty = board.pty();
    crate::run(esptool, &pty, &[&["--chip", "esp8266"], arguments].concat())
}

/// The files of a program, in a folder, and what flash holds when they are in it.
struct Files {
    _folder: tempfile::TempDir,
    program: String,
    code: String,
    expected: Vec<u8>,
}

fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let bytes =
        |count: u32| -> Vec<u8> { (0..count).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect() };
    let program = image(&bytes(20_000));
    let code = bytes(70_001);
    let mut expected = vec![0xff; 4 << 20];
    expected[..program.len()].copy_from_slice(&program);
    expected[0x10000..0x10000 + code.len()].copy_from_slice(&code);
    // --flash-size detect
    expected[3] = expected[3] & 0x0f | 0x40;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (program, code) = (write("program.bin", &program), write("code.bin", &code));
    Files { _folder: folder, program, code, expected }
}

#[test]
fn esptool_writes_with_the_rom_loader() {
    let Some(esptool) = esptool() else { return };
    let files = files();
    let board = Board::with([]);
    let (program, code) = (&files.program, &files.code);
    let (good, said) = run(
        esptool,
        &board,
        &["--no-stub", "write-flash", "--flash-size", "detect", "0", program, "0x10000", code],
    );
    assert!(good, "{said}");
    assert!(said.contains("5c:cf:7f:01:02:03"), "{said}");
    let flash = board.flash();
    assert_eq!(flash[..20_032], files.expected[..20_032]);
    assert_eq!(flash[0x10000..0x10000 + 70_001], files.expected[0x10000..0x10000 + 70_001]);
    // Its arithmetic of the ROM's fault in erasing and ours agree: 5 sectors become 6, 18 are 18.
    let erased: Vec<_> = (0..1024).filter(|&sector| board.erased()[sector] > 0).collect();
    assert_eq!(erased, (0..6).chain(16..34).collect::<Vec<_>>());
}

#[test]
fn esptool_does_everything_with_its_stub() {
    let Some(esptool) = esptool() else { return };
    let files = files();
    let (program, code) = (&files.program, &files.code);
    let board = Board::with([]);
    let (good, said) = run(
        esptool,
        &board,
        &[
            "--baud",
            "460800",
            "write-flash",
            "--erase-all",
            "--flash-size",
            "detect",
            "0",
            program,
            "0x10000",
            code,
        ],
    );
    assert!(good && said.contains("Stub flasher running") && said.contains("verified"), "{said}");
    assert!(board.flash() == files.expected);
    // It leaves the chip in its loader, and finds it there again.
    assert_eq!(board.running(), Running::Rom);
    let back = tempfile::NamedTempFile::new().unwrap();
    let path = back.path().to_str().unwrap();
    let (good, said) = run(esptool, &board, &["read-flash", "0xf000", "0x3000", path]);
    assert!(good, "{said}");
    assert!(std::fs::read(path).unwrap() == files.expected[0xf000..0x12000]);
    let (good, said) = run(esptool, &board, &["verify-flash", "0x10000", code]);
    assert!(good, "{said}");
    let (good, said) = run(esptool, &board, &["erase-flash"]);
    assert!(good && board.flash().iter().all(|&byte| byte == 0xff), "{said}");
}

#[test]
fn esptool_sees_the_faults_too() {
    let Some(esptool) = esptool() else { return };
    let files = files();
    let wrong = Board::new(Options { magic: 0x00f0_1d83, ..Options::default() });
    let (good, said) = run(esptool, &wrong, &["--no-stub", "flash-id"]);
    assert!(!good && said.contains("This chip is ESP32, not ESP8266"), "{said}");

    let small = Board::new(Options { flash_size: 512 << 10, ..Options::default() });
    let (good, said) = run(esptool, &small, &["--no-stub", "flash-id"]);
    assert!(good && said.contains("512KB"), "{said}");

    let forgetful = Board::with([Fault::ForgetBlock(2)]);
    let (good, said) = run(esptool, &forgetful, &["write-flash", "0x10000", &files.code]);
    assert!(!good && said.contains("MD5"), "{said}");

    // Its own noise before the first answer does not keep it from going on.
    let noisy = Board::with([Fault::Noise(b"\xffets Jan 8 2013".to_vec())]);
    let (good, said) = run(esptool, &noisy, &["--no-stub", "read-mac"]);
    assert!(good && said.contains("5c:cf:7f:01:02:03"), "{said}");
}

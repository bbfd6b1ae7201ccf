//! The fake ESP32-C3.

use std::path::Path;

use pblink_fakes::esp32c3::{Board, Fault, Options, Regions, Running};
use pblink_fakes::esptool;

const CHIP: [&str; 2] = ["--chip", "esp32c3"];

/// Runs esptool on a board; returns whether it succeeded, and what it said.
fn run(esptool: &Path, board: &Board, arguments: &[&str]) -> (bool, String) {
    crate::run(esptool, &board.pty(), arguments)
}

/// The files of a flash that starts, in a folder.
struct Files {
    _folder: tempfile::TempDir,
    regions: Regions,
    paths: [String; 3],
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Words and zeros: what is compressed comes in more than one block.
        let word = |at: u32| (at.wrapping_mul(2_654_435_761) >> (at % 7)).to_le_bytes();
        let regions = Regions::new(&(0..25_000).flat_map(word).collect::<Vec<u8>>());
        let paths = regions.all().map(|(address, bytes)| {
            let path = folder.path().join(format!("{address:#x}.bin"));
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        });
        Self { _folder: folder, regions, paths }
    }

    /// Returns the arguments of esptool's command that name them.
    fn arguments(&self) -> [&str; 6] {
        let [bootloader, table, app] = &self.paths;
        ["0x0", bootloader, "0x8000", table, "0x10000", app]
    }

    fn write(&self, esptool: &Path, board: &Board, options: &[&str]) -> (bool, String) {
        let arguments = [&CHIP, options, &["write-flash"], &self.arguments()].concat();
        run(esptool, board, &arguments)
    }

    /// Panics unless they are in a board's flash.
    fn are_in(&self, board: &Board) {
        for (address, bytes) in self.regions.all() {
            assert!(board.flash()[address as usize..].starts_with(bytes), "{address:#x}");
        }
        assert!(board.would_start());
    }
}

#[test]
fn esptool_writes_with_the_rom_loader() {
    let Some(esptool) = esptool() else { return };
    let files = Files::new();
    for compressed in ["--compress", "--no-compress"] {
        let board = Board::with([]);
        let command = [&["--no-stub", "write-flash", compressed], &files.arguments()[..]].concat();
        let (good, said) = run(esptool, &board, &[&CHIP[..], &command].concat());
        assert!(good && said.contains("Hash of data verified"), "{said}");
        assert!(!said.contains("Stub flasher running"), "{said}");
        files.are_in(&board);
        assert_eq!(board.running(), Running::Rom);
        let back = tempfile::NamedTempFile::new().unwrap();
        let path = back.path().to_str().unwrap();
        let command = ["--no-stub", "read-flash", "0x7ff0", "0x110", path];
        let (good, said) = run(esptool, &board, &command);
        assert!(good, "{said}");
        assert!(std::fs::read(path).unwrap() == board.flash()[0x7ff0..0x8100]);
    }
}

#[test]
fn esptool_does_everything_with_its_stub() {
    let Some(esptool) = esptool() else { return };
    let files = Files::new();
    // The one that it takes, and the one before, which is also that of espflash.
    for options in [&["--baud", "460800"][..], &["--stub-version", "1"]] {
        let board = Board::with([]);
        let (good, said) = files.write(esptool, &board, options);
        assert!(
            good && said.contains("Stub flasher running") && said.contains("verified"),
            "{said}"
        );
        files.are_in(&board);
        // It leaves the chip in its loader, and finds it there again.
        assert_eq!(board.running(), Running::Rom);
        let back = tempfile::NamedTempFile::new().unwrap();
        let path = back.path().to_str().unwrap();
        let (good, said) = run(esptool, &board, &["read-flash", "0xf000", "0x3000", path]);
        assert!(good, "{said}");
        assert!(std::fs::read(path).unwrap() == board.flash()[0xf000..0x1_2000]);
        let [.., app] = &files.paths;
        let (good, said) = run(esptool, &board, &["verify-flash", "0x10000", app]);
        assert!(good, "{said}");
        let (good, said) = run(esptool, &board, &["erase-region", "0x8000", "0x1000"]);
        assert!(good && !board.would_start(), "{said}");
        let (good, said) = run(esptool, &board, &["erase-flash"]);
        assert!(good && board.flash().iter().all(|&byte| byte == 0xff), "{said}");
    }
}

#[test]
fn esptool_finds_out_what_it_is() {
    let Some(esptool) = esptool() else { return };
    let board = Board::new(Options { flash_size: 8 << 20, ..Options::default() });
    for options in [&["--no-stub", "flash-id"][..], &["flash-id"]] {
        let (good, said) = run(esptool, &board, options);
        assert!(good && said.contains("ESP32-C3 (QFN32) (revision v0.3)"), "{said}");
        assert!(said.contains("34:85:18:01:02:03") && said.contains("8MB"), "{said}");
    }
    let (good, said) = run(esptool, &board, &["--chip", "esp8266", "flash-id"]);
    assert!(!good && said.contains("This chip is ESP32-C3, not ESP8266"), "{said}");
    let (good, said) = run(esptool, &board, &["--no-stub", "erase-flash"]);
    assert!(!good && said.contains("ROM does not support function erase_flash"), "{said}");
}

#[test]
fn esptool_starts_the_program_with_a_watchdog() {
    let Some(esptool) = esptool() else { return };
    let files = Files::new();
    let board = Board::with([]);
    let (good, said) = files.write(esptool, &board, &["--after", "watchdog-reset"]);
    assert!(good && said.contains("Hard resetting with a watchdog"), "{said}");
    assert_eq!(board.running(), Running::Program);
}

#[test]
fn esptool_leaves_the_rom_without_a_program() {
    let Some(esptool) = esptool() else { return };
    let board = Board::with([]);
    let files = Files::new();
    let (good, said) = files.write(esptool, &board, &["--no-stub"]);
    assert!(good, "{said}");
    // FLASH_END "to run user code" runs what is in RAM, not what is in flash.
    let (good, said) = run(esptool, &board, &["--no-stub", "run"]);
    assert!(good, "{said}");
    assert_eq!(board.running(), Running::Nothing);
}

#[test]
fn esptool_sees_the_faults_too() {
    let Some(esptool) = esptool() else { return };
    let files = Files::new();
    let forgetful = Board::with([Fault::ForgetBlock(4)]);
    let (good, said) = files.write(esptool, &forgetful, &[]);
    assert!(!good && said.contains("MD5"), "{said}");
    let worn = Board::with([]);
    worn.wear_out(0x1_0000, 0x01);
    let (good, said) = files.write(esptool, &worn, &[]);
    assert!(!good && said.contains("MD5"), "{said}");
    // The ROM reads back what was not compressed. When esptool sends that block again, its number is no longer the next.
    let command = [&["--no-stub", "write-flash", "--no-compress"], &files.arguments()[..]].concat();
    let (good, said) = run(esptool, &worn, &command);
    assert!(!good && said.contains("after seq 0 (result was 0105"), "{said}");
    // Its own noise before the first answer does not keep it from going on.
    let noisy = Board::with([Fault::Noise(b"\xffESP-ROM:esp32c3".to_vec())]);
    let (good, said) = run(esptool, &noisy, &["--no-stub", "read-mac"]);
    assert!(good && said.contains("34:85:18:01:02:03"), "{said}");
}

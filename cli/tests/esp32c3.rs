//! `pblink build esp32c3` and `pblink flash esp32c3`: from the sources onto a chip that is only software, byte for byte.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pblink_fakes::esp32c3::{Board, Fault, Options, Regions};
use serde_json::Value;

use crate::build::{compilers, skipped};
use crate::process::PBLINK;

/// Returns the command in a folder, without what this machine happens to have set.
fn pblink(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(PBLINK);
    command.args(words).current_dir(folder).stdin(Stdio::null());
    for name in ["ESP8266_NONOS_SDK", "PBLINK_WIFI_PASSWORD", "PBLINK_SETTINGS"] {
        command.env_remove(name);
    }
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    pblink(folder, words).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns a folder with these scripts in place of the firmwares' own.
fn sources(scripts: [&str; 3]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in
        ["firmware-stm32", "firmware-esp8266", "firmware-esp32c3"].iter().zip(scripts)
    {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("build.sh"), script).unwrap();
    }
    folder
}

/// Returns a folder with the three files of a program that starts.
fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parts = Regions::new(&[0x5a; 100_000]);
    for (name, (_, bytes)) in ["boot.bin", "table.bin", "app.bin"].iter().zip(parts.all()) {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// The arguments that name them.
const IMAGES: [&str; 6] =
    ["--image", "boot.bin", "--image", "table.bin@0x8000", "--image", "app.bin@0x10000"];

fn flash(folder: &Path, board: &Board, more: &[&str]) -> Output {
    let pty = board.pty();
    let words = ["flash", "esp32c3", "--serial", pty.path(), "--before", "no-reset"];
    run(folder, &[&words[..], more].concat())
}

fn untouched(board: &Board) -> bool {
    board.erased().iter().all(|&count| count == 0)
}

#[test]
fn what_is_built_is_flashed_byte_for_byte() {
    let _compilers = compilers();
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["firmware-stm32", "firmware-esp8266", "firmware-esp32c3"] {
        symlink(root.join(name), folder.path().join(name)).unwrap();
    }
    let built = run(folder.path(), &["build", "esp32c3", "--json"]);
    if skipped(&built) {
        return;
    }
    assert!(built.status.success(), "{}", stderr(&built));
    let manifest: Value = serde_json::from_slice(&built.stdout).unwrap();
    let images = manifest["images"].as_array().unwrap();
    let addresses: Vec<_> = images.iter().map(|image| &image["address"]).collect();
    assert_eq!(addresses, ["0x00000000", "0x00008000", "0x00010000"]);
    let memories = manifest["sizes"][0]["memories"].as_array().unwrap();
    let used = |n: usize| memories[n]["used"].as_u64().unwrap();
    assert!((400_000..1_000_000).contains(&used(0)), "{manifest}");
    assert!((100_000..260_000).contains(&used(1)), "{manifest}");

    let board = Board::with([]);
    let output = flash(folder.path(), &board, &["--yes", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut expected = vec![0xff; 4 << 20];
    for image in images {
        let file = folder.path().join("target/pblink").join(image["file"].as_str().unwrap());
        let address = image["address"].as_str().unwrap().trim_start_matches("0x");
        let address = usize::from_str_radix(address, 16).unwrap();
        let bytes = std::fs::read(file).unwrap();
        expected[address..][..bytes.len()].copy_from_slice(&bytes);
    }
    assert!(board.flash() == expected, "byte by byte");
    assert!(board.would_start());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["chip"].as_str().unwrap().split(' ').next(), Some("ESP32-C3"));
    assert_eq!((&report["loader"], &report["baud"]), (&"stub".into(), &460_800.into()));
    assert_eq!(report["regions"][2]["verified"], "full");
    assert_eq!(report["boot"]["greeting"], "pblink-esp32c3 0.1.0");
}

/// The way of users: rustup's compiler with the target, and nothing that only a nightly compiler does.
#[test]
fn with_rustup_s_target_stable_cargo_builds_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["firmware-stm32", "firmware-esp8266"] {
        symlink(root.join(name), folder.path().join(name)).unwrap();
    }
    // The real script, in a folder of its own.
    let firmware = folder.path().join("firmware-esp32c3");
    std::fs::create_dir(&firmware).unwrap();
    std::fs::copy(root.join("firmware-esp32c3/build.sh"), firmware.join("build.sh")).unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let tool = |name: &str, script: &str| {
        std::fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let rustup = |targets: &str| tool("rustup", &format!("printf '%s\\n' {targets}"));
    tool("rustc", "echo /nowhere");
    tool("cargo", "echo \"$* ${RUSTC_BOOTSTRAP-stable} ${RUSTFLAGS-none}\" > said; exit 1");
    rustup("thumbv7em-none-eabihf riscv32imc-unknown-none-elf");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let build = || {
        let mut command = pblink(folder.path(), &["build", "esp32c3"]);
        command.env("PATH", &path).env("RUSTFLAGS", "-Cnone").output().unwrap()
    };
    let output = build();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(
        std::fs::read_to_string(firmware.join("said")).unwrap().trim(),
        "build --locked --release --features chip --bin pblink-esp32c3 --target riscv32imc-unknown-none-elf --target-dir \
         target stable none"
    );
}

#[test]
fn the_coprocessor_of_the_settings_is_built_with_the_stm32() {
    let script = "[ \"$1\" != check ] || exit 0; echo \"$*\" > \"${0%/*}/said\"; exit 1";
    let run_with = |words: &[&str], config: &str| {
        // The STM32's comes first, and must not end it.
        let folder = sources(["exit 0", script, script]);
        std::fs::write(folder.path().join("pblink.toml"), config).unwrap();
        let output = run(folder.path(), &[&["build"], words].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let said = |name: &str| folder.path().join(name).join("said").exists();
        (said("firmware-esp8266"), said("firmware-esp32c3"))
    };
    let c3 = "[board]\ncoprocessor = \"esp32c3\"\n";
    assert_eq!(run_with(&["all"], ""), (true, false));
    assert_eq!(run_with(&["all"], c3), (false, true));
    assert_eq!(run_with(&["all", "--coprocessor", "esp32c3"], ""), (false, true));
    assert_eq!(run_with(&["all", "--coprocessor", "esp8266"], c3), (true, false));
    assert_eq!(run_with(&["esp32c3"], ""), (false, true));
    assert_eq!(run_with(&["esp8266"], c3), (true, false));
}

#[test]
fn what_is_wrong_is_said_before_anything_is_erased() {
    let folder = files();
    let here = folder.path();
    let esp8266 = pblink_fakes::esp8266::image(&[7; 100]);
    std::fs::write(here.join("esp8266.bin"), esp8266).unwrap();
    std::fs::write(here.join("notes.txt"), "hello").unwrap();
    let app = std::fs::read(here.join("app.bin")).unwrap();
    std::fs::write(here.join("cut.bin"), &app[..5000]).unwrap();
    std::fs::write(here.join("wrong.elf"), b"\x7fELF and nothing else").unwrap();
    let board = Board::with([]);
    let yes = "--yes";
    for (words, code, cause, remedy) in [
        (&["--image", "esp8266.bin", yes][..], 1, "an image for an ESP8266", "nothing was erased"),
        (&["--image", "notes.txt", yes], 1, "no ESP32-C3 program", "nothing was erased"),
        (&["--image", "boot.bin", "--image", "cut.bin@0x10000", yes], 1, "cut off", "again"),
        (&["--image", "wrong.elf", yes], 1, "no image for an ESP32-C3", "pblink build esp32c3"),
        (&["--image", "app.bin@0x10000", yes], 1, "nothing would start", "--no-erase"),
        (&["--image", "gone.bin", yes], 1, "gone.bin", "--image"),
        (&[yes, "--source", "."], 2, "not the source folder", "firmware-stm32"),
        (&IMAGES, 2, "all of the board's flash would be erased", "--yes"),
    ] {
        let output = flash(here, &board, words);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(cause) && said.contains(remedy), "{words:?}: {said}");
    }
    assert!(untouched(&board));
    // Nor does its image go onto an ESP8266, whatever runs there.
    let other = pblink_fakes::esp8266::Board::with([]);
    let pty = other.pty();
    let words = [
        "flash",
        "esp8266",
        "--serial",
        pty.path(),
        "--image",
        "boot.bin",
        "--before",
        "no-reset",
        yes,
    ];
    let output = run(here, &words);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("another chip"), "{}", stderr(&output));
    assert!(other.erased().iter().all(|&count| count == 0));
}

#[test]
fn another_chip_is_named_and_left_alone() {
    let folder = files();
    let yes = [&IMAGES[..], &["--yes"]].concat();
    let s3 = Board::new(Options { chip_id: 9, ..Options::default() });
    let output = flash(folder.path(), &s3, &yes);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("this is an ESP32-S3, not an ESP32-C3"),
        "{}",
        stderr(&output)
    );
    assert!(untouched(&s3));
    let esp8266 = pblink_fakes::esp8266::Board::with([]);
    let pty = esp8266.pty();
    let words = ["flash", "esp32c3", "--serial", pty.path(), "--before", "no-reset"];
    let output = run(folder.path(), &[&words[..], &yes].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`pblink flash esp8266` is for this one"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn another_program_may_say_what_it_likes() {
    let folder = files();
    let yes = [&IMAGES[..], &["--yes"]].concat();
    let board =
        Board::new(Options { says: b"MicroPython v1.26\r\n>>> ".to_vec(), ..Options::default() });
    let output = flash(folder.path(), &board, &yes);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("app.bin") && said.contains("written, every byte verified"), "{said}");
    assert!(said.contains("the board says: MicroPython v1.26"), "{said}");
    // A cable that goes at the very end is no failure: all of it is in flash.
    let board = Board::with([Fault::VanishAtStart]);
    let output = flash(folder.path(), &board, &yes);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("could not be heard"), "{}", stderr(&output));
}

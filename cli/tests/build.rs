//! `pblink build`, with the real compilers where they are installed.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

fn build(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.arg("build").args(args).current_dir(std::env::temp_dir());
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder that looks like the sources, with these scripts.
fn sources(stm32: &str, esp8266: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [("firmware-stm32", stm32), ("firmware-esp8266", esp8266)] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("build.sh"), script).unwrap();
    }
    folder
}

#[test]
fn both_firmwares_become_images_with_a_manifest() {
    let output = build(&["--json"]);
    let said = stderr(&output);
    if output.status.code() == Some(3) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{said}");
        assert!(said.contains("install"), "what is missing is named: {said}");
        eprintln!("SKIPPED, this test needs more programs:\n{said}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let folder = source().join("target/pblink");
    let written = std::fs::read(folder.join("manifest.json")).unwrap();
    assert_eq!(printed, serde_json::from_slice::<Value>(&written).unwrap());
    let images = printed["images"].as_array().unwrap();
    assert_eq!(images.len(), 2, "{printed}");
    for image in images {
        let bytes = std::fs::read(folder.join(image["file"].as_str().unwrap())).unwrap();
        assert_eq!(image["size"], bytes.len());
        let sha256: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(image["sha256"], sha256);
    }
    let stm32 = &images[0];
    assert_eq!((&stm32["address"], &stm32["flashable"]), (&"0x08000000".into(), &true.into()));
    let bytes = std::fs::read(folder.join("stm32.bin")).unwrap();
    assert!(bytes.len() <= 64 * 1024, "{} bytes", bytes.len());
    // A vector table: the end of the stack in RAM, the reset handler in flash, with the Thumb bit.
    let word = |n: usize| u32::from_le_bytes(bytes[4 * n..4 * n + 4].try_into().unwrap());
    assert!((0x2000_0000..=0x2002_0000).contains(&word(0)), "{:#x}", word(0));
    assert!((0x0800_0000..0x080e_0000).contains(&word(1)) && word(1) & 1 == 1, "{:#x}", word(1));
    assert_eq!(images[1]["flashable"], false);
}

#[test]
fn missing_tools_are_named_for_both_boards_at_once() {
    let folder =
        sources("echo 'missing: an assembler' >&2; exit 3", "echo 'missing: a linker' >&2; exit 3");
    let output = build(&["--source", folder.path().to_str().unwrap()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("an assembler") && said.contains("a linker"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_does_not_compile_is_code_1_and_names_the_script() {
    let folder = sources("echo 'error: no such thing' >&2; exit 101", "exit 0");
    let output = build(&["stm32", "--source", folder.path().to_str().unwrap()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: no such thing") && said.contains("build.sh failed"), "{said}");
}

#[test]
fn a_script_that_makes_nothing_or_nonsense_is_an_error() {
    let folder = sources("exit 0", "exit 0");
    let source = folder.path().to_str().unwrap();
    let said = stderr(&build(&["stm32", "--source", source]));
    assert!(said.contains("the build made no"), "{said}");
    let release = folder.path().join("firmware-stm32/target/thumbv7em-none-eabihf/release");
    std::fs::create_dir_all(&release).unwrap();
    std::fs::write(release.join("demo"), "no ELF").unwrap();
    let output = build(&["stm32", "--source", source]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("cannot be flashed: it is no 32-bit ELF"), "{said}");
    assert!(!folder.path().join("target/pblink/manifest.json").exists());
}

#[test]
fn a_folder_without_sources_is_a_wrong_flag() {
    let folder = tempfile::tempdir().unwrap();
    let output = build(&["--source", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not the source folder of pblink"));
}

//! The STM32's tests, and those of both chips' machine code on one bus, which live in workspaces of their own: this runs them, so that one command runs
//! everything. They are not members of this workspace because the bench depends on unicorn-engine, which
//! needs cmake and libclang, and is GPL-2.0.

use std::path::{Path, PathBuf};
use std::process::Command;

use pblink_emulation::image::with_tools;

/// Exit status of `build.sh` when a tool is missing.
const MISSING: i32 = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns a command that does not know that a cargo started it: the nested one chooses its own compiler.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    for name in ["RUSTC", "RUSTDOC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    command
}

/// Runs the tests of a crate, and shows what they say.
fn cargo_test(manifest: &str) {
    let output = command("cargo")
        .args(["test", "--locked", "--manifest-path", manifest, "--", "--nocapture"])
        // One for all workspaces of rigs and boards: what they share is built once.
        .env("CARGO_TARGET_DIR", root().join("target/rigs"))
        .output()
        .expect("cargo started this");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the tests of {manifest} failed:\n{said}");
}

/// Returns what is missing for the bench, with the commands that install it.
fn missing() -> Option<String> {
    let mut missing = String::new();
    // With the SDK in ESP8266_NONOS_SDK it is the program that goes onto the chip; without, the same code with the SDK's
    // functions left out. The bench makes them either way.
    for script in
        [&["firmware-stm32/build.sh", "release", "all"][..], &["firmware-esp8266/build.sh", "sdk"]]
    {
        let mut build = command("sh");
        build.args(script);
        let built = build.output().expect("there is a shell");
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        match built.status.code() {
            Some(0) => println!("{}", String::from_utf8_lossy(&built.stdout)),
            Some(MISSING) => missing += &said,
            _ => panic!("{} failed:\n{said}", script.join(" ")),
        }
    }
    let cmake = Command::new("cmake").arg("--version").output().is_ok();
    let clang = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].iter().any(|dir| has_libclang(dir, 3));
    if !(cmake && clang) && std::env::var_os("LIBCLANG_PATH").is_none() {
        missing += "missing: cmake and libclang\n    install them with: \
                    sudo apt-get install cmake libclang-dev\n";
    }
    (!missing.is_empty()).then_some(missing)
}

fn has_libclang(dir: impl AsRef<Path>, depth: u32) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("libclang") && name.to_string_lossy().contains(".so")
            || depth > 0
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
                && has_libclang(entry.path(), depth - 1)
    })
}

/// Not a member either, for what it depends on: `exclude` in `Cargo.toml` says why.
#[test]
fn no_order_of_a_few_faults_breaks_either_link_but_as_listed() {
    cargo_test("rigs/model/Cargo.toml");
}

#[test]
fn the_library_of_the_stm32_works_on_the_host() {
    cargo_test("firmware-stm32/Cargo.toml");
}

#[test]
fn the_library_of_the_esp32c3_works_on_the_host() {
    cargo_test("firmware-esp32c3/Cargo.toml");
}

#[test]
fn the_release_images_of_the_stm32_work_on_an_emulated_chip() {
    let tools = with_tools(|missing_tools| missing_tools.push_str(&missing().unwrap_or_default()));
    if tools.is_some() {
        cargo_test("rigs/unicorn/Cargo.toml");
    }
}

//! The images for the emulator: the ESP8266's firmware, and the one that answers questions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The emulator's program.
pub const QEMU: &str = "qemu-system-xtensa";

/// The line that installs the emulator: the QEMU 10 with which this was tried.
const INSTALL_QEMU: &str = "sudo apt-get install -t bookworm-backports qemu-system-misc";

/// Exit status of `build.sh` when a tool is missing.
const MISSING: i32 = 3;

/// The ESP8266's firmware, built if need be. `None` means that compiler or emulator is missing and that the test
/// cannot run: on a desk that is told and the test skipped.
///
/// # Panics
/// If the build fails; also if something is missing and the variable `CI` is set, since a test that
/// is always skipped proves nothing.
pub fn esp8266() -> Option<&'static Path> {
    static IMAGE: Built = OnceLock::new();
    find(&IMAGE, "emulator")
}

/// The image that answers [`pblink_esp8266::vectors`], otherwise like [`esp8266`].
///
/// # Panics
/// Like [`esp8266`].
pub fn vectors() -> Option<&'static Path> {
    static IMAGE: Built = OnceLock::new();
    find(&IMAGE, "vectors")
}

/// The chip's program, linked against the list of the SDK's functions that it may use. It is not run.
///
/// # Panics
/// Like [`esp8266`].
pub fn chip() -> Option<&'static Path> {
    static IMAGE: Built = OnceLock::new();
    find(&IMAGE, "sdk")
}

/// What stands in for the chip's ROM when the flasher stub runs. Otherwise like [`esp8266`].
///
/// # Panics
/// Like [`esp8266`].
pub fn stub_bench() -> Option<&'static Path> {
    static IMAGE: Built = OnceLock::new();
    found(IMAGE.get_or_init(|| build_in("flash-stub", "emulator", "bench/bench.elf")))
}

/// The flasher stub, built anew; `stub.toml` beside it says with what. Otherwise like [`esp8266`].
///
/// # Panics
/// Like [`esp8266`].
pub fn stub() -> Option<&'static Path> {
    static IMAGE: Built = OnceLock::new();
    found(IMAGE.get_or_init(|| build_in("flash-stub", "chip", "chip/stub.bin")))
}

type Built = OnceLock<Result<PathBuf, String>>;

fn find(image: &'static Built, name: &str) -> Option<&'static Path> {
    found(image.get_or_init(|| build(name)))
}

fn found(image: &'static Result<PathBuf, String>) -> Option<&'static Path> {
    match image {
        Ok(image) => Some(image),
        Err(missing) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{missing}");
            eprintln!("SKIPPED, this test needs more programs:\n{missing}");
            None
        }
    }
}

fn build(name: &str) -> Result<PathBuf, String> {
    build_in("firmware-esp8266", name, &format!("{name}/pblink-esp8266.elf"))
}

/// Runs the `build.sh` of a folder; `product` is in its `target`.
fn build_in(folder: &str, name: &str, product: &str) -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let output = Command::new("sh")
        .arg(path.join("build.sh"))
        .arg(name)
        // With or without the SDK on this machine: the same check.
        .env_remove("ESP8266_NONOS_SDK")
        .output()
        .expect("there is a shell");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut missing = String::new();
    if output.status.code() == Some(MISSING) {
        missing += &errors;
    } else {
        assert!(output.status.success(), "{folder}/build.sh failed:\n{errors}");
    }
    if Command::new(QEMU).arg("--version").output().is_err() {
        missing += &format!("missing: the emulator {QEMU}\n    install it with: {INSTALL_QEMU}\n");
    }
    if missing.is_empty() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        Ok(path.join("target").join(product))
    } else {
        Err(missing)
    }
}

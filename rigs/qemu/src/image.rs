//! The images for the emulators: the firmwares, and those that answer questions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::chip::Core;

/// Exit status of `build.sh` when a tool is missing.
const MISSING: i32 = 3;

/// An image for each board.
#[derive(Debug, Clone)]
pub struct Images {
    /// For [`Core::CortexM4`].
    pub stm32: PathBuf,
    /// For the coprocessor.
    pub coprocessor: PathBuf,
    /// The coprocessor's core.
    pub core: Core,
}

/// A chip that has the coprocessor's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoprocessorKind {
    /// With [`Core::Lx106`].
    Esp8266,
    /// With [`Core::Rv32`].
    Esp32c3,
}

impl CoprocessorKind {
    fn core(self) -> Core {
        match self {
            Self::Esp8266 => Core::Lx106,
            Self::Esp32c3 => Core::Rv32,
        }
    }
}

/// Both firmwares, built if need be. `None` means that a compiler or emulator is missing and that the
/// test cannot run: on a desk it reports so and is skipped.
///
/// # Panics
/// If a build fails; also if something is missing and the variable `CI` is set, since a test that is
/// always skipped proves nothing.
pub fn firmwares(coprocessor: CoprocessorKind) -> Option<Images> {
    static IMAGES: [Built<Images>; 2] = [const { OnceLock::new() }; 2];
    find(&IMAGES[coprocessor as usize], coprocessor, "emulator")
}

/// Returns the images that answer [`questions`](pblink_emulated_board::questions), otherwise like
/// [`firmwares`].
///
/// # Panics
/// Like [`firmwares`].
pub fn vectors(coprocessor: CoprocessorKind) -> Option<Images> {
    static IMAGES: [Built<Images>; 2] = [const { OnceLock::new() }; 2];
    find(&IMAGES[coprocessor as usize], coprocessor, "vectors")
}

/// Returns the ESP8266's program for the chip, linked against the list of the SDK's functions that it
/// may use. It is not run, but else it is as in [`firmwares`].
///
/// # Panics
/// Like [`firmwares`].
pub fn chip() -> Option<PathBuf> {
    with_tools(|missing| esp8266("sdk", missing))
}

/// Returns the ESP32-C3's program for the chip, with its radio. Otherwise like [`chip`].
///
/// # Panics
/// Like [`firmwares`].
pub fn esp32c3_chip() -> Option<PathBuf> {
    with_tools(|missing| {
        let folder = build("firmware-esp32c3", "chip", missing);
        folder.join("target/riscv32imc-unknown-none-elf/release/pblink-esp32c3")
    })
}

/// Returns the program that stands in for the chip's ROM when the flasher stub runs. Otherwise like
/// [`firmwares`].
///
/// # Panics
/// Like [`firmwares`].
pub fn stub_bench() -> Option<PathBuf> {
    static BENCH: Built<PathBuf> = OnceLock::new();
    let bench = BENCH.get_or_init(|| {
        with_tools(|missing| {
            emulator(Core::Lx106, missing);
            build("flash/stub", "emulator", missing).join("target/bench/bench.elf")
        })
    });
    bench.clone()
}

/// Returns the flasher stub, built anew; `stub.toml` beside it says with what. Otherwise like
/// [`firmwares`].
///
/// # Panics
/// Like [`firmwares`].
pub fn stub() -> Option<PathBuf> {
    static STUB: Built<PathBuf> = OnceLock::new();
    let stub = STUB.get_or_init(|| {
        with_tools(|missing| build("flash/stub", "chip", missing).join("target/chip/stub.bin"))
    });
    stub.clone()
}

/// Something that is built once by each program of tests.
type Built<T> = OnceLock<Option<T>>;

fn find(built: &'static Built<Images>, coprocessor: CoprocessorKind, name: &str) -> Option<Images> {
    let images = built.get_or_init(|| {
        with_tools(|missing| {
            let core = coprocessor.core();
            for core in [Core::CortexM4, core] {
                emulator(core, missing);
            }
            let stm32 = stm32(name, missing);
            let coprocessor = match coprocessor {
                CoprocessorKind::Esp8266 => esp8266(name, missing),
                CoprocessorKind::Esp32c3 => esp32c3(name, missing),
            };
            Images { stm32, coprocessor, core }
        })
    });
    images.clone()
}

/// Returns what `make` makes, if it adds nothing to the list of missing tools. Otherwise installs them
/// where that is allowed, and retries; else reports them and returns `None`.
///
/// # Panics
/// If something is missing and the variable `CI` is set, since a test that is always skipped proves
/// nothing.
pub fn with_tools<T>(mut make: impl FnMut(&mut String) -> T) -> Option<T> {
    let mut missing = String::new();
    let mut made = make(&mut missing);
    if !missing.is_empty() && install() {
        missing.clear();
        made = make(&mut missing);
    }
    if missing.is_empty() {
        return Some(made);
    }
    assert!(!in_ci(), "{missing}");
    eprintln!("SKIPPED, this test needs more programs (on Debian, `sudo rigs/install.sh`):");
    eprintln!("{missing}");
    None
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty())
}

/// Installs the missing Debian packages, once, and only in CI and as root. Returns whether it did.
fn install() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        if !in_ci() || !root || !Path::new("/etc/debian_version").exists() {
            return false;
        }
        eprintln!("installing compilers and emulators");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../install.sh");
        Command::new("bash").arg(script).status().is_ok_and(|status| status.success())
    })
}

fn emulator(core: Core, missing: &mut String) {
    if Command::new(core.qemu()).arg("--version").output().is_err() {
        *missing += &format!("missing: the emulator {}\n", core.qemu());
        *missing += &format!("    install it with: {}\n", core.install());
    }
}

fn stm32(name: &str, missing: &mut String) -> PathBuf {
    let folder = build("firmware-stm32", name, missing);
    folder.join("target/thumbv7em-none-eabihf/release").join(name)
}

fn esp8266(name: &str, missing: &mut String) -> PathBuf {
    let folder = build("firmware-esp8266", name, missing);
    folder.join("target").join(name).join("pblink-esp8266.elf")
}

fn esp32c3(name: &str, missing: &mut String) -> PathBuf {
    let folder = build("firmware-esp32c3", name, missing);
    folder.join("target/riscv32imc-unknown-none-elf/release").join(name)
}

/// Runs a firmware's script, and adds to what is missing. The firmware's folder.
fn build(firmware: &str, name: &str, missing: &mut String) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(firmware);
    let mut command = Command::new("sh");
    command.arg(folder.join("build.sh")).arg(name);
    // The cargo that runs this test must not decide which compiler the script's uses. With or without
    // the SDK on this machine: the same check.
    for variable in [
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "ESP8266_NONOS_SDK",
    ] {
        command.env_remove(variable);
    }
    let output = command.output().expect("there is a shell");
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(MISSING) {
        *missing += &errors;
    } else {
        assert!(output.status.success(), "{firmware}/build.sh {name} failed:\n{errors}");
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
    folder
}

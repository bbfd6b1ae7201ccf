//! The ESP8266's flasher stub as machine code on QEMU's lx106 core: the very bytes that `pblink flash`
//! loads into chips.
//!
//! The tests are those of `flash/stub/tests/common`, which also run on the host. What stands in for the
//! chip's ROM and UART is in `flash/stub/src/bench`.

#[path = "../../../../flash/stub/tests/common/mod.rs"]
mod common;
mod peers;
mod rom;

use std::process::Command;

use common::host::Host;
use common::scenarios::{image, noise};
use pblink_emulation::image;
use pblink_flash::esp8266::Stub;
use pblink_flash_stub::protocol::command;

/// The record of the tools and sources that made the bytes that are loaded into chips.
const RECORDED: &str = include_str!("../../../../flash/src/esp8266/loader/stub.toml");
const COMMITTED: &[u8] = include_bytes!("../../../../flash/src/esp8266/loader/stub.bin");

/// Returns the value of a key.
fn value<'a>(toml: &'a str, key: &str) -> &'a str {
    let line = toml.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    line.unwrap_or_else(|| panic!("no {key} in {toml}"))
}

/// Returns the stub anew, and what made it.
fn rebuilt() -> Option<(Vec<u8>, String)> {
    let path = image::stub()?;
    let bytes = std::fs::read(&path).expect("the stub");
    Some((bytes, std::fs::read_to_string(path.with_extension("toml")).expect("what made it")))
}

/// Runs a test on the committed stub, and on that of this machine's compiler if it is another.
fn run(scenario: fn(&mut Host)) {
    let (Some(bench), Some((rebuilt, _))) = (image::stub_bench(), rebuilt()) else { return };
    let mut stubs = vec![Stub::builtin().expect("the committed one")];
    if rebuilt != COMMITTED {
        stubs.push(Stub::from_image(&rebuilt).expect("the rebuilt one"));
    }
    for stub in stubs {
        let (core, mut host) = rom::start(&bench, stub);
        scenario(&mut host);
        host.board.with(|board| assert_eq!(board.crash, None));
        drop(core);
    }
}

crate::scenarios!(run);

#[test]
fn the_recorded_tools_rebuild_the_same_bytes() {
    let Some((bytes, made)) = rebuilt() else { return };
    for key in ["compiler", "assembler"] {
        if value(&made, key) != value(RECORDED, key) {
            eprintln!(
                "NOT COMPARED: the committed stub was made with the {key} {}, here is {}. The tests \
                 run with both.",
                value(RECORDED, key),
                value(&made, key)
            );
            return;
        }
    }
    assert_eq!(value(&made, "sha256"), value(RECORDED, "sha256"), "{MISMATCH}");
    assert!(bytes == COMMITTED, "{MISMATCH}");
}

const MISMATCH: &str =
    "the committed stub is not what its source makes: flash/stub/build.sh commit";

/// The stack is painted before the stub starts. All commands that go deep have run when it is looked at.
#[test]
fn the_stack_never_comes_near_the_buffers() {
    run(|host| {
        const TOP: u32 = 0x3fff_c000;
        let bytes = image(0x2_0000);
        host.write(0, &bytes, true);
        host.write(0x4_0000, &noise(1, 0x4001), false);
        host.read(1, 0x2001, 0x1000, 8);
        host.digest(0, 0x2_0000);
        let mut at = TOP;
        let mut untouched = 0;
        // As far as 2 KB were never touched.
        while untouched < 512 {
            at -= 4;
            let word = host.command(command::READ_REG, &[at]).value;
            untouched = if word == 0xa5a5_a5a5 { untouched + 1 } else { 0 };
        }
        let deepest = TOP - at - 4 * untouched;
        println!("the stack needs {deepest} bytes");
        assert!(deepest < 0x3c00 - 0x400, "{deepest} bytes: stub.ld guarantees 15 KB");
    });
}

/// The same tests with the source on the host, where it says more when it fails.
#[test]
fn the_commands_on_the_host() {
    let mut command = Command::new("cargo");
    for name in ["RUSTC", "RUSTDOC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../flash/stub/Cargo.toml");
    let output = command.args(["test", "--locked", "--manifest-path", manifest]).output();
    let output = output.expect("cargo started this");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

//! Gives the linker the memory of the chip, and compiles settings in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use pblink_image::map::{ALL, Map, MemoryX, PYBOARD};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    settings();
    // Without its programs, as applications have this crate, nothing is linked here.
    if !Path::new("src/bin").is_dir() {
        return;
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        let memory = MemoryX(map()).to_string();
        fs::write(out.join("memory.x"), memory).expect("cargo's folder can be written to");
        println!("cargo:rustc-link-search={}", out.display());
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
        // Sections need not begin at pages of 64 KB.
        println!("cargo:rustc-link-arg-bins=--nmagic");
    }
}

/// Returns the memory of the board whose feature is on; without any, that of the Pyboard, whose chip is the emulator's.
fn map() -> &'static Map {
    let has = |name: &str| {
        let name = name.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };
    let maps: Vec<_> = ALL.into_iter().filter(|map| has(map.board)).collect();
    match maps[..] {
        [] if has("board") => {
            panic!("name the board by its feature, for example `--features pyboard`")
        }
        [] => &PYBOARD,
        [map] => map,
        _ => panic!("a program is for one board: give only one of its features"),
    }
}

/// `PBLINK_SETTINGS` names a file with settings (`image/src/settings.rs`), as `pblink build` makes it
/// from `pblink.toml`. Without it there are none, and the program uses its built-in ones.
fn settings() {
    println!("cargo:rerun-if-env-changed=PBLINK_SETTINGS");
    let file = env::var_os("PBLINK_SETTINGS").filter(|file| !file.is_empty());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("settings.bin");
    // What an earlier build left may be closed to others, or not: begin afresh.
    let _ = fs::remove_file(&out);
    let done = match file.as_deref().map(Path::new) {
        Some(file) => {
            println!("cargo:rerun-if-changed={}", file.display());
            if !file.is_absolute() {
                panic!("PBLINK_SETTINGS must be an absolute path, not {}", file.display());
            }
            if !fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"PBLK")) {
                panic!("PBLINK_SETTINGS: {} holds no settings", file.display());
            }
            // With its mode: there may be a password in it.
            fs::copy(file, &out).map(|_| ())
        }
        None => fs::write(&out, []),
    };
    if let Err(why) = done {
        panic!("cannot copy the settings that PBLINK_SETTINGS names: {why}");
    }
}

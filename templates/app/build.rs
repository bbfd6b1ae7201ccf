//! Gives the linker the memory of the chip.

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        fs::copy("memory.x", out.join("memory.x")).expect("memory.x is beside build.rs");
        println!("cargo:rustc-link-search={}", out.display());
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
        // Sections need not begin at pages of 64 KB.
        println!("cargo:rustc-link-arg-bins=--nmagic");
    }
}

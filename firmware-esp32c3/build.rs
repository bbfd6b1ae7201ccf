//! Gives each program its linker script.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=emulator.ld");
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    // On the host, for the tests, none of these is linked.
    println!("cargo::rustc-link-arg-bin=pblink-esp32c3=-Tlinkall.x");
    for program in ["emulator", "vectors"] {
        println!("cargo::rustc-link-arg-bin={program}=-T{folder}/emulator.ld");
    }
}

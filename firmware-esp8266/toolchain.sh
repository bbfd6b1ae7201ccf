# The tools for programs of the ESP8266, for the build scripts that source this: rustup's nightly with
# rust-src, or Debian's rustc-web, and GNU's assembler and linker. Sets `RUSTC` and `cargo`; what is missing is
# named, and counted in `missing`.

missing=0
need() { # what is missing, the line that installs it
    echo "missing: $1" >&2
    echo "    install it with: $2" >&2
    missing=1
}

# A cargo that runs this script (a test, say) must not decide which compiler this one uses.
unset RUSTC RUSTDOC RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTUP_TOOLCHAIN CARGO_TARGET_DIR \
    CARGO_BUILD_TARGET_DIR RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER || :
has_src() { [ -n "$1" ] && [ -f "$1/lib/rustlib/src/rust/library/core/Cargo.toml" ]; }
cargo=
if command -v rustup >/dev/null 2>&1 && has_src "$(rustup run nightly rustc --print sysroot 2>/dev/null)"; then
    RUSTC=$(rustup which --toolchain nightly rustc)
    cargo=$(rustup which --toolchain nightly cargo)
elif [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && has_src "$(/usr/bin/rustc --print sysroot)"; then
    RUSTC=/usr/bin/rustc
    cargo=/usr/bin/cargo
elif command -v rustup >/dev/null 2>&1 && [ ! -f /etc/debian_version ]; then
    need "a nightly Rust compiler with its sources" "rustup toolchain install nightly --component rust-src"
else
    need "a Rust compiler with its sources" "rustup toolchain install nightly --component rust-src
        or, on Debian: sudo apt-get install rustc-web cargo-web rust-web-src"
fi
if ! command -v xtensa-lx106-elf-gcc >/dev/null 2>&1; then
    need "assembler and linker for the lx106" "sudo apt-get install gcc-xtensa-lx106 binutils-xtensa-lx106"
fi

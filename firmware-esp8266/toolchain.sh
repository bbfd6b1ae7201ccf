# The tools for programs of the ESP8266, for the build scripts that source this: rustup's nightly with
# rust-src, or Debian's rustc-web, and GNU's assembler and linker. Sets `RUSTC` and `cargo`; what is missing is
# named, and counted in `missing`. `firmware` has to be this file's folder.

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

# LLVM's own object writer puts the literals of this target into the wrong section. Its assembly is right, so every
# crate is compiled to assembly and assembled by GNU as. See docs/FIRMWARE.md.
triple=xtensa-lx106-none-elf
# One folder for what all programs are made of: `core` takes most of the time, and is the same for each.
made=$firmware/target/made

# Compiles a library and what it consists of to assembly. Sets `own`, the library's name with its hash, and `crates`,
# those of all others in the order of their names, since the hash differs from folder to folder; their assembly is in
# the folder `deps`.
compile() { # library, its feature, folder for the result, features of compiler_builtins
    artifacts=$(RUSTC_BOOTSTRAP=1 RUSTFLAGS="--emit=asm -Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none" \
        "$cargo" build --quiet --locked --release --lib \
        --features "$2" --target "$firmware/$triple.json" --target-dir "$3" --config "build.build-dir='$made'" \
        -Zbuild-std=core -Zbuild-std-features="$4" -Zjson-target-spec \
        --message-format=json-render-diagnostics)
    deps=$made/$triple/release/deps
    # Cargo names the crates that this build consists of, but not ours; older ones may lie beside them.
    crates=$(printf '%s\n' "$artifacts" | grep -o '"[^"]*/'"$triple"'/release/deps/lib[^"]*\.rlib"' |
        sed 's/.*\/lib\(.*\)\.rlib"/\1/' | LC_ALL=C sort -u)
    own=
    for library in "$deps/lib$1"-*.rlib; do
        ! cmp -s "$library" "$3/$triple/release/lib$1.rlib" || own=$(basename "${library#"$deps/lib"}" .rlib)
    done
    [ -n "$own" ] || { echo "$1 is not in $deps: delete $made, and build again" >&2; return 1; }
}

# Assembles a file, unless that is done, and adds the object to `objects`.
objects=
assemble() { # source, object
    if [ ! "$2" -nt "$1" ]; then
        mkdir -p "$(dirname "$2")"
        xtensa-lx106-elf-gcc -mlongcalls -c -x assembler-with-cpp "$1" -o "$2.$$"
        mv "$2.$$" "$2"
    fi
    objects="$objects $2"
}

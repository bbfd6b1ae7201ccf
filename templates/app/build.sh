#!/bin/sh
# Builds the application and prints its sizes.
#
#   ./build.sh            # target/thumbv7em-none-eabihf/release/NAME, ELF
#   ./build.sh check      # only whether the tools are there
#
# `pblink build stm32 --app .` does the same, compiles the settings of pblink.toml in, and makes the image
# to flash.
#
# Exit status: 0 built, 3 a tool is missing (it is named with the line that installs it), else what failed.
#
# Uses rustup's target if it is there, else Debian's compiler and linker. Stack is what remains of RAM.
set -eu
cd "$(dirname "$0")"
target=thumbv7em-none-eabihf
# The name of the package: the first one in Cargo.toml.
name=$(sed -n '/^name = /{s/^name = "\(.*\)"$/\1/p;q;}' Cargo.toml)

has() { command -v "$1" >/dev/null 2>&1; }

if has rustup && rustup target list --installed 2>/dev/null | grep -qx "$target"; then
    [ "${1:-}" != check ] || exit 0
    echo "compiler: rustup, $(rustc --version)" >&2
    cargo build --release --target "$target"
elif [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ] \
    && has arm-none-eabi-ld; then
    [ "${1:-}" != check ] || exit 0
    echo "compiler: Debian, $(/usr/bin/rustc --version)" >&2
    # `core` is built too. Only a nightly compiler does that; RUSTC_BOOTSTRAP lets this one do it.
    RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc /usr/bin/cargo build --release --target "$target" \
        -Zbuild-std=core,alloc \
        --config "target.$target.linker='arm-none-eabi-ld'" \
        --config "target.$target.rustflags=['-C', 'linker-flavor=ld']"
else
    cat >&2 <<MISSING
missing: a Rust compiler for $target
    install it with: rustup target add $target
        or, on Debian: sudo apt-get install rustc-web cargo-web rust-web-src binutils-arm-none-eabi
MISSING
    exit 3
fi

# Sizes from the ELF itself, so that no binutils are needed: p_filesz of what goes into flash, and
# p_memsz of what lies in RAM. That all of it fits is the linker's business: see memory.x.
elf=${CARGO_TARGET_DIR:-target}/$target/release/$name
od -An -v -tu4 -w4 -N4096 "$elf" | awk -v elf="$elf" '
    { word[NR - 1] = $1 }
    END {
        table = word[7] / 4                  # e_phoff
        count = word[11] % 65536             # e_phnum; a header has 8 words
        flash = ram = 0
        for (n = 0; n < count; n++) {
            at = table + n * 8
            if (word[at] != 1) continue
            if (word[at + 2] >= 536870912 && word[at + 2] < 537001984) ram += word[at + 5]
            if (word[at + 3] < 536870912) flash += word[at + 4]
        }
        printf "%s: flash %d bytes, static RAM %d bytes\n", elf, flash, ram
        exit !(flash > 0 && ram > 0)
    }'

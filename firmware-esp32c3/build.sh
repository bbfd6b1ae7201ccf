#!/bin/sh
# Builds the ESP32-C3's firmware: ./build.sh [check] [chip|emulator|vectors]
#
#   chip      the chip's program (default)
#   emulator  the image for QEMU's RV32 core
#   vectors   the image that answers the tests' questions, for the same
#   check     in front of one of these: only whether the tools are there
#
# ELF files in target/riscv32imc-unknown-none-elf/release/, each with the name of its program.
#
# Example:   firmware-esp32c3/build.sh chip
#
# Exit status: 0 built, 3 a tool is missing (it is named with the line that installs it), else what failed.
#
# Uses rustup's target if it is there, else Debian's compiler and the linker of rustup's own.
set -eu
cd "$(dirname "$0")"
target=riscv32imc-unknown-none-elf
check=
[ "${1:-}" != check ] || { check=1; shift; }
board=${1:-chip}
feature=emulator bin=$board
case $board in
chip) feature=chip bin=pblink-esp32c3 ;;
emulator | vectors) ;;
*) sed -n '2,15s/^# \{0,1\}//p' build.sh >&2; exit 2 ;;
esac

# A cargo that runs this script (a test, say) must not decide which compiler this one uses.
unset RUSTC RUSTDOC RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR \
    RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER || :
has() { command -v "$1" >/dev/null 2>&1; }
lld=
! has rustup || lld=$(find "$(rustc --print sysroot)/lib/rustlib" -path '*/bin/rust-lld' 2>/dev/null | head -n 1)

if has rustup && rustup target list --installed 2>/dev/null | grep -qx "$target"; then
    [ -z "$check" ] || exit 0
    echo "compiler: rustup, $(rustc --version)" >&2
    build() { cargo build "$@"; }
elif [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ] \
    && [ -n "$lld" ]; then
    [ -z "$check" ] || exit 0
    echo "compiler: Debian, $(/usr/bin/rustc --version)" >&2
    # `core` is built too. Only a nightly compiler does that; RUSTC_BOOTSTRAP lets this one do it.
    build() {
        unset RUSTUP_TOOLCHAIN || :
        RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS="-Clinker=$lld" /usr/bin/cargo build "$@" -Zbuild-std=core,alloc
    }
else
    cat >&2 <<EOF
missing: a Rust compiler for $target
    install it with: rustup target add $target
        or, on Debian with rustup: sudo apt-get install rustc-web cargo-web rust-web-src
EOF
    exit 3
fi
build --locked --release --features "$feature" --bin "$bin" --target "$target" --target-dir target
elf=target/$target/release/$bin
if [ "$feature" != chip ]; then
    echo "image (for QEMU only, it cannot be flashed): firmware-esp32c3/$elf"
    exit 0
fi
# From the ELF itself, so that no binutils are needed: its program headers. Addresses: ESP32-C3 Technical Reference, 3.3.
# RAM is there twice, for code from 0x40380000 and for data from 0x3fc80000. What has nothing in the file and cannot be
# written is the stack, or the other view of the code.
od -An -v -tu4 -w4 -N4096 "$elf" | awk '
    { word[NR - 1] = $1 }
    END {
        table = word[7] / 4                  # e_phoff
        count = word[11] % 65536             # e_phnum; a header has 8 words
        for (n = 0; n < count; n++) {
            at = table + n * 8
            if (word[at] != 1) continue
            from = word[at + 2]; file = word[at + 4]; size = word[at + 5]
            flash += file
            if (file && (from >= 1077411840 && from < 1077805056 || from >= 1070071808 && from < 1070465024)) ram += size
            if (!file && from > 1070071808 && from < 1070465024 && int(word[at + 6] / 2) % 2 == 0) stack = size
        }
        printf "flash %d bytes, static RAM %d bytes (with 102400 for the radio), stack %d bytes\n", flash, ram, stack
        exit !(flash > 0 && flash <= 1000000 && stack >= 32768)
    }
' || { echo "build.sh: more than 1 MB of flash, or less than 32 KB for the stack" >&2; exit 1; }
echo "image (never tried on a chip): firmware-esp32c3/$elf"

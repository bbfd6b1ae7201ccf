#!/bin/sh
# Builds the firmware of the STM32 and prints its sizes: ./build.sh [check] [release|examples|emulator|vectors] [KIND]
#
#   release   the images for a board: demo and echo (default). Fails if one needs more than 96 KB of
#             flash or 40 KB of static RAM
#   examples  the programs of examples/pyboard/
#   emulator  the tests' program, for QEMU's STM32F405
#   vectors   the program that answers the tests' questions, for the same
#   check     in front of one of these: only whether the tools are there
#
#   KIND      the board of release and examples: pyboard (default), black-pill, nucleo-f446; or all
#
# ELF files in target/thumbv7em-none-eabihf/release/, each with the name of its program; those for other boards than
# the Pyboard in target/KIND/thumbv7em-none-eabihf/release/.
#
# Example:   firmware-stm32/build.sh release black-pill
#
# Exit status: 0 built, 3 a tool is missing (it is named with the line that installs it), else what failed.
#
# Uses rustup's target if it is there, else Debian's compiler and linker. Stack is what remains of RAM.
set -eu
cd "$(dirname "$0")"
usage() { sed -n '2,22s/^# \{0,1\}//p' build.sh >&2; exit 2; }
target=thumbv7em-none-eabihf
flash_limit=$((96 * 1024))
ram_limit=$((40 * 1024))
check=
[ "${1:-}" != check ] || { check=1; shift; }
what=${1:-release}
kinds=${2:-pyboard}
case $kinds in all | pyboard | black-pill | nucleo-f446) ;; *) usage ;; esac
case $what in
release) names="demo echo" ;;
examples) names=sensor ;;
emulator | vectors) names=$what kinds=emulator ;;
*) usage ;;
esac
[ "$kinds" != all ] || kinds="black-pill nucleo-f446 pyboard"
programs=
for name in $names; do programs="$programs --bin $name"; done

has() { command -v "$1" >/dev/null 2>&1; }

if has rustup && rustup target list --installed 2>/dev/null | grep -qx "$target"; then
    [ -z "$check" ] || exit 0
    echo "compiler: rustup, $(rustc --version)" >&2
    build() { cargo build "$@"; }
elif [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ] \
    && has arm-none-eabi-ld; then
    [ -z "$check" ] || exit 0
    echo "compiler: Debian, $(/usr/bin/rustc --version)" >&2
    # `core` is built too. Only a nightly compiler does that; RUSTC_BOOTSTRAP lets this one do it.
    build() {
        RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc /usr/bin/cargo build "$@" -Zbuild-std=core,alloc \
            --config "target.$target.linker='arm-none-eabi-ld'" \
            --config "target.$target.rustflags=['-C', 'linker-flavor=ld']"
    }
else
    cat >&2 <<EOF
missing: a Rust compiler for $target
    install it with: rustup target add $target
        or, on Debian: sudo apt-get install rustc-web cargo-web rust-web-src binutils-arm-none-eabi
EOF
    exit 3
fi

# Sizes from the ELF itself, so that no binutils are needed: p_filesz of what goes into flash, and
# p_memsz of what lies in RAM.
sizes() {
    od -An -v -tu4 -w4 -N4096 "$1" | awk -v name="$2" -v fl="$flash_limit" -v rl="$ram_limit" '
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
            printf "%-18s flash %6d bytes of at most %d, static RAM %6d bytes of at most %d\n", name, flash, fl, ram, rl
            exit !(flash > 0 && flash <= fl && ram > 0 && ram <= rl)
        }'
}

for kind in $kinds; do
    folder=target
    case $kind in pyboard | emulator) ;; *) folder=target/$kind ;; esac
    # The programs have a folder for each kind; what they are made of is built once.
    # shellcheck disable=SC2086
    build --locked --release --features "$kind" $programs --target "$target" \
        --target-dir "$folder" --config "build.build-dir='target'"
    for name in $names; do
        label=$name
        [ "$folder" = target ] || label="$name ($kind)"
        if ! sizes "$folder/$target/release/$name" "$label" && [ "$what" = release ]; then
            echo "build.sh: $name is too large: see what grew with 'arm-none-eabi-nm --size-sort'" >&2
            exit 1
        fi
    done
done

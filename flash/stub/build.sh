#!/bin/sh
# Builds the ESP8266's flasher stub: ./build.sh [chip|emulator|commit]
#
#   chip      the stub: target/chip/stub.bin, and stub.toml with what made it (default)
#   emulator  what stands in for the chip's ROM in QEMU, for the tests: target/bench/bench.elf
#   commit    like chip, and puts both files to where pblink takes them from: flash/src/esp8266/loader/
#
# Example:   flash/stub/build.sh chip
#
# Exit status: 0 built, 3 something is missing that has to be installed, else what failed.
#
# The same compiler makes the same bytes, wherever it runs. How the tool chain works: docs/FIRMWARE.md.
set -eu
cd "$(dirname "$0")"
what=${1:-chip}
firmware=../../firmware-esp8266
case $what in
chip | commit) image=chip ;;
emulator) image=bench ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

# ---- the tools ----
. "$firmware/toolchain.sh"
[ $missing = 0 ] || exit 3
export RUSTC

# ---- Rust to assembly ----
out=target/$image
version=$("$RUSTC" -V)
echo "compiling with $version" >&2
mkdir -p "$out"
# A panic is a jump to `abort`, without text and place, which no one could read: so no path gets into the bytes.
compile pblink_flash_stub "$image" "$out" compiler-builtins-mem,optimize_for_size

# ---- assemble and link ----
case $image in
chip) assemble src/board/start.S "$out/start.o" ;;
bench) assemble src/bench/rom.S "$out/rom.o" ;;
esac
for crate in $own $crates; do assemble "$deps/$crate.s" "$made/obj/$crate.s.o"; done
case $image in
chip) elf=$out/stub.elf script=stub.ld ;;
bench) elf=$out/bench.elf script=bench.ld ;;
esac
# shellcheck disable=SC2086 # a list
xtensa-lx106-elf-gcc -nostdlib -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--fatal-warnings $objects \
    -T "$script" -lgcc -Wl,-Map="$out/link.map" -o "$elf.$$"
mv "$elf.$$" "$elf"
if [ $image = bench ]; then
    echo "the stand-in for the ROM: flash/stub/$elf"
    exit 0
fi

# ---- the bytes: an image of the kind that the ROM loader takes into RAM ----
size() { xtensa-lx106-elf-size -A "$elf" | awk -v name="$1" '$1 == name { print $2 }'; }
address() { xtensa-lx106-elf-size -A "$elf" | awk -v name="$1" '$1 == name { print $3 }'; }
word() { # a number, as four bytes
    # shellcheck disable=SC2059 # octal escapes
    printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"
}
entry=$((0x$(xtensa-lx106-elf-nm "$elf" | awk '$3 == "_stub_start" { print $1 }')))
{
    printf '\351\002\000\000'
    word $entry
    for section in .text .data; do
        word "$(address $section)"
        word "$(size $section)"
        xtensa-lx106-elf-objcopy -O binary -j $section "$elf" "$out/section.$$"
        cat "$out/section.$$"
    done
} > "$out/stub.bin.$$"
rm -f "$out/section.$$"
# The checksum: all bytes of the segments with exclusive or, in the last byte of a multiple of 16.
sum=$({ xtensa-lx106-elf-objcopy -O binary -j .text "$elf" "$out/section.$$"; cat "$out/section.$$"
    xtensa-lx106-elf-objcopy -O binary -j .data "$elf" "$out/section.$$"; cat "$out/section.$$"; rm -f "$out/section.$$"; } |
    od -An -v -tu1 | awk 'function xor(a, b,   r, bit) { for (bit = 1; bit < 256; bit *= 2) {
            if (a % 2 != b % 2) r += bit; a = int(a / 2); b = int(b / 2) } return r + 0 }
        BEGIN { sum = 239 } { for (n = 1; n <= NF; n++) sum = xor(sum, $n) } END { printf "%03o", sum }')
while [ $(($(wc -c < "$out/stub.bin.$$") % 16)) != 15 ]; do printf '\000' >> "$out/stub.bin.$$"; done
# shellcheck disable=SC2059 # an octal escape
printf "\\$sum" >> "$out/stub.bin.$$"
mv "$out/stub.bin.$$" "$out/stub.bin"
cat > "$out/stub.toml" <<EOF
# What made stub.bin: flash/stub/build.sh commit. The same tools make the same bytes.
compiler = "$version"
assembler = "$(xtensa-lx106-elf-as --version | head -n 1)"
sha256 = "$(sha256sum < "$out/stub.bin" | cut -d ' ' -f 1)"
EOF
if [ "$what" = commit ]; then cp "$out/stub.bin" "$out/stub.toml" ../src/esp8266/loader/; fi
bss=$(size .bss)
printf 'code %d of 32768 bytes; constants %d, buffers %d, stack at most %d: data RAM %d of 81664 bytes\n' \
    "$(size .text)" "$(size .data)" "$bss" $((81664 - $(size .data) - bss)) $(($(size .data) + bss))
echo "stub (never ran on a chip): flash/stub/$out/stub.bin, $(wc -c < "$out/stub.bin") bytes"

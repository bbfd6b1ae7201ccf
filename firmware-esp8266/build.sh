#!/bin/sh
# Builds the ESP8266's firmware: ./build.sh [check] [emulator|vectors|sdk]
#
#   emulator  the image for QEMU's lx106 core: target/emulator/pblink-esp8266.elf (default)
#   vectors   the image that answers the tests' questions: target/vectors/pblink-esp8266.elf
#   sdk       the chip's program. Without the folder of ESP8266_NONOS_SDK 3.x in the variable of this
#             name it is only linked against sdk-symbols.txt, as a check
#   check     in front of one of these: only whether the tools are there
#
# Example:   firmware-esp8266/build.sh emulator
#
# Exit status: 0 built, 3 something is missing that has to be installed, else what failed.
set -eu
cd "$(dirname "$0")"
check=
[ "${1:-}" != check ] || { check=1; shift; }
board=${1:-emulator}
case $board in
emulator | vectors | sdk) ;;
*) sed -n '2,12s/^# \{0,1\}//p' build.sh >&2; exit 2 ;;
esac

# ---- the tools ----
firmware=.
. ./toolchain.sh
# picolibc-xtensa-lx106-elf installs it beside the other libraries of this target.
libc=$(dirname "$(command -v xtensa-lx106-elf-gcc || echo /usr/bin/-)")/../lib/xtensa-lx106-elf/lib/release/libc.a
if [ "$board" = sdk ] && [ -n "${ESP8266_NONOS_SDK:-}" ] && [ ! -f "$libc" ]; then
    need "the C library that the SDK wants" "sudo apt-get install picolibc-xtensa-lx106-elf"
fi
[ $missing = 0 ] || exit 3
[ -z "$check" ] || exit 0
export RUSTC

# ---- Rust to assembly ----
out=target/$board
# The chip has memcpy and the like, and division, in its ROM.
builtins=compiler-builtins-mem,optimize_for_size
[ "$board" != sdk ] || builtins=optimize_for_size
echo "compiling with $("$RUSTC" -V)" >&2
mkdir -p "$out"
compile pblink_esp8266 "$board" "$out" "$builtins"
sources="$deps/$own.s"
for crate in $crates; do
    case $board/$crate in sdk/compiler_builtins-*) ;; *) sources="$sources $deps/$crate.s" ;; esac
done
echo "$sources" > "$out/sources"

# ---- assemble and link ----
case $board in
sdk) assemble src/sdk/assembly.S "$out/assembly.S.o" ;;
*) assemble src/emulator.S "$out/emulator.S.o" ;;
esac
for source in $sources; do assemble "$source" "$made/obj/$(basename "$source").o"; done
elf=$out/pblink-esp8266.elf
link() { # options
    # shellcheck disable=SC2086 # a list
    xtensa-lx106-elf-gcc -nostdlib -Wl,-z,noexecstack -Wl,--gc-sections $objects "$@" \
        -Wl,-Map="$out/pblink-esp8266.map" -o "$elf.$$"
    mv "$elf.$$" "$elf"
}
note="for QEMU only, it cannot be flashed"
if [ "$board" != sdk ]; then
    link -Wl,--fatal-warnings -T emulator.ld -lgcc
elif [ -z "${ESP8266_NONOS_SDK:-}" ]; then
    note="a check only, it cannot be flashed: set ESP8266_NONOS_SDK to the SDK's folder"
    # Each at an address of its own, in the ROM, so that whoever runs it knows which is called.
    # shellcheck disable=SC2046 # a list
    link -Wl,--fatal-warnings -T sdk-check.ld \
        $(awk '/^[A-Za-z_]/ { printf "-Wl,--defsym=%s=0x%x\n", $1, 1073745920 + 16 * n++ }' sdk-symbols.txt)
else
    note="linked with the SDK, never tried on a chip"
    sdk=$ESP8266_NONOS_SDK
    # The SDK's own map, but with our code and libc in the flash, and that part first: some of our
    # literals are in sections that the part for constants would take.
    awk '
        { sub(/\.\.\/ld\//, sdk "/ld/") }
        /^ *\.irom0\.text :/ { inside = 1 }
        inside {
            block = block $0 "\n"
            if (/libm\.a:/) block = block "*.s.o(.literal .literal.* .rodata.*.literal .text .text.*)\n" \
                "*libc.a:(.literal .text .literal.* .text.*)\n"
            if (/} *>irom0_0_seg/) inside = 0
            next
        }
        /^ *\*\(\.entry\.text\)/ { $0 = $0 "\n*(.iram.pblink)" }
        { rest = rest $0 "\n" }
        END { sub(/SECTIONS\n{\n/, "SECTIONS\n{\n" block, rest); printf "%s", rest }
    ' sdk="$sdk" "$sdk/ld/eagle.app.v6.ld" > "$out/sdk.ld"
    # memcpy and the like from the ROM: the SDK calls them also while the flash cannot be read.
    # shellcheck disable=SC2046 # a list
    link -T "$out/sdk.ld" -Wl,-u,call_user_start -Wl,-e,call_user_start -Wl,--no-check-sections -L"$sdk/lib" -Wl,--start-group -lmain -lnet80211 \
        -lpp -lphy -lwpa -llwip -lcrypto -lhal -lgcc "$libc" -Wl,--end-group \
        -Wl,--defsym=__ctype_ptr__=0 -Wl,--no-warn-rwx-segments \
        $(sed -n 's/^PROVIDE ( \(mem[a-z]*\) = \(0x[0-9a-f]*\) );/-Wl,--defsym=\1=\2/p' \
            "$sdk/ld/eagle.rom.addr.v6.ld")
fi

# ---- sizes ----
size() { # sections, as a regular expression
    xtensa-lx106-elf-size -A "$elf" | awk -v sections="$1" '$1 ~ sections { sum += $2 } END { print sum + 0 }'
}
constants=$(size '^\.(ro)?data$')
zeroed=$(size '^\.bss$')
dram=$((constants + zeroed))
echo "code $(size irom) bytes in flash, $(size '^\.(text|lit4)$') in RAM;" \
    "constants and data $constants, zeroed $zeroed: DRAM $dram of 81920 bytes"
fail() {
    echo "build.sh: $*" >&2
    exit 1
}
if [ "$board" = sdk ]; then
    # WiFi and TCP need about half of this; what is missing shows as lost connections.
    wanted=40960
    if [ -n "${ESP8266_NONOS_SDK:-}" ]; then
        # The SDK's pvPortMalloc has what is between these two.
        start=$(xtensa-lx106-elf-nm "$elf" | sed -n 's/ . _heap_start$//p')
        heap=$((0x3fffc000 - 0x$start))
        echo "heap $heap bytes, at least $wanted wanted"
        [ "$heap" -ge "$wanted" ] ||
            fail "only $heap bytes are left for the heap: see firmware-esp8266/$out/pblink-esp8266.map for what takes the DRAM"
    else
        # Our part of what leaves as much, beside 26 KB of the SDK's own (3.x has 25.5).
        most=$((81920 - wanted - 26 * 1024))
        echo "heap with the SDK about $((81920 - 26 * 1024 - dram)) bytes, at least $wanted wanted"
        [ "$dram" -le "$most" ] ||
            fail "$dram bytes of DRAM are more than $most: see firmware-esp8266/$out/pblink-esp8266.map for what takes it"
    fi
    # The SDK calls us on the chip's stack of 4 KB, of which it has used some by then.
    ./frames.sh "$board" | awk '
        { last = $0 }
        END {
            split(last, n, " ")
            printf "stack: largest frame %d bytes, deepest calls %d\n", n[2], n[4]
            exit !(n[2] > 0 && n[2] <= 512 && n[4] <= 1536)
        }
    ' || fail "the stack needs more than 512 bytes in one frame or 1536 in all: see firmware-esp8266/frames.sh $board"
fi
echo "image ($note): firmware-esp8266/$elf"

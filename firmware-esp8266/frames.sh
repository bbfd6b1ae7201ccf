#!/bin/sh
# The largest stack frames of the build: ./frames.sh BOARD. Bytes, then the function.
#
# The chip has a stack of a few KB only, and no guard below it.
set -eu
cd "$(dirname "$0")"
for source in target/"$1"/xtensa-lx106-none-elf/release/deps/*.s; do
    awk '
        /^_?[A-Za-z_$.][A-Za-z0-9_$.]*:/ && !/^\.L/ { name = $1; frame = 0; n = 0 }
        # The prologue is the first arithmetic on a1: movi, addmi, add, or.
        n == 0 && $1 == "movi" { gsub(",", ""); low[$2] = $3; high[$2] = 0 }
        n == 0 && $1 == "l32r" { gsub(",", ""); low[$2] = 0; high[$2] = 0 }
        n == 0 && $1 == "addmi" { gsub(",", ""); if ($2 == $3) high[$2] = $4 }
        n == 0 && $1 == "addi" && $3 == "a1," { gsub(",", ""); low[$2] = $4; high[$2] = 0 }
        n == 0 && $1 == "or" && $2 == "a1," {
            gsub(",", ""); frame = -(low[$3] + high[$3]); n = 1
            if (frame >= 512) print frame, name
        }
    ' "$source"
done | sort -rn | head -n 20

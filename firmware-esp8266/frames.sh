#!/bin/sh
# The stack that the last build needs: ./frames.sh BOARD
#
# Prints the largest frames of the functions that are in the image, and the deepest chain of calls from
# each function that nothing of ours calls: bytes, then the functions from the outermost to the innermost.
# A function whose address is taken counts as called there. The last line is `frame N chain N`.
#
# Not counted: the SDK's own functions, and what the formatting of a number adds by calls over pointers.
set -eu
cd "$(dirname "$0")"
out=target/$1
{
    xtensa-lx106-elf-nm "$out/pblink-esp8266.elf" | sed 's/^[0-9a-f]* *[a-zA-Z] /linked /'
    # shellcheck disable=SC2046 # a list
    cat $(cat "$out/sources")
} | awk '
    $1 == "linked" { linked[$2] = 1; next }
    { gsub(",", "") }
    $1 == ".literal" { literal[$2] = $3; next }
    # A function, or a table of pointers.
    /^[A-Za-z_.$][A-Za-z0-9_.$]*:/ && !/^\.L(BB|func|tmp|CPI)/ {
        name = $1; sub(/:$/, "", name); searching = 1
        split("", low)
        next
    }
    $1 == ".long" || ($1 == "l32r" && ($3 in literal)) {
        target = $1 == ".long" ? $2 : literal[$3]
        if (target !~ /^[-0-9]/ && !((name, target) in seen)) {
            seen[name, target] = 1; calls[name] = calls[name] " " target
        }
    }
    # The prologue is the first arithmetic on a1: a constant, added to it.
    searching && $1 == "movi" { low[$2] = $3 }
    searching && $1 == "l32r" { low[$2] = literal[$3] }
    searching && $1 == "addmi" && $2 == $3 { low[$2] += $4 }
    searching && $1 == "addi" && $3 == "a1" { low[$2] = $4 }
    searching && $1 == "or" && $2 == "a1" {
        frame[name] = low[$3] > 2147483647 ? 4294967296 - low[$3] : -low[$3]
        searching = 0
    }
    function short(name) { return substr(name, 1, 110) }
    # The deepest chain below a function; what is being looked at already is recursion.
    function depth(name,    list, n, i, d, most, next_one) {
        if (name in known) return known[name]
        if (name in active) { recursion[name] = 1; return 0 }
        active[name] = 1
        n = split(calls[name], list, " ")
        for (i = 1; i <= n; i++) {
            called[list[i]] = called[list[i]] + (list[i] != name)
            d = depth(list[i])
            if (d > most) { most = d; next_one = list[i] }
        }
        delete active[name]
        below[name] = next_one
        return known[name] = most + frame[name]
    }
    END {
        for (name in frame) if (name in linked) {
            depth(name)
            if (frame[name] > largest) largest = frame[name]
            if (frame[name] >= 128) print frame[name], short(name) | "sort -rn"
        }
        close("sort -rn")
        for (name in frame) if ((name in linked) && !called[name]) {
            if (known[name] > deepest) deepest = known[name]
            line = known[name] " chain:"
            for (at = name; at != ""; at = below[at]) line = line "\n      " frame[at] + 0 " " short(at)
            print line
        }
        for (name in recursion) if (name in linked) print "recursion:", short(name)
        printf "frame %d chain %d\n", largest, deepest
    }
'

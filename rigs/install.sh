#!/usr/bin/env bash
# Installs what Debian 12 lacks for all tests: compilers for both boards, emulators, Python for esptool, MicroPython and
# the board of the secure link among the examples.
# Needs root; does nothing if all of it is there. Rust itself comes from rustup.
#
# Example:   sudo rigs/install.sh
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
# script: a terminal for some tests. systemd: its judgement of our units. rustc-web and its friends: a compiler with the sources of core and with
# Xtensa. cmake, libclang: unicorn-engine. mosquitto, openssl: a broker, and its certificates. chromium: a
# browser for the page of the server. faketime: wall clocks that tests set. valgrind: counts instructions. QEMU 10, for both chips, is in the backports.
packages="bsdutils gcc g++ make libc6-dev rustc-web cargo-web rust-web-src gcc-xtensa-lx106 binutils-xtensa-lx106
    binutils-arm-none-eabi cmake libclang-dev python3 python3-venv
    python3-cryptography mosquitto mosquitto-clients openssl systemd chromium chromium-driver faketime valgrind"
emulators="qemu-system-misc qemu-system-arm"
# shellcheck disable=SC2086 # lists
wanted=$(printf '%s\n' $packages $emulators | wc -l)
# A package that was removed is still known to dpkg, but not as installed.
# shellcheck disable=SC2086
there=$(dpkg-query -W -f '${Status}\n' $packages $emulators 2>/dev/null | grep -cx 'install ok installed' || :)
if [ "$there" -lt "$wanted" ]; then
    if ! grep -rqs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d; then
        # The same mirror as the release itself.
        mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
            sed -nE 's#^(URIs:|deb) +([a-z]+://[^ ]*/debian)/?( .*)?$#\2#p' | head -n 1 || true)
        echo "deb $mirror bookworm-backports main" >/etc/apt/sources.list.d/backports.list
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends $packages >/dev/null
    apt-get install -y -qq --no-install-recommends -t bookworm-backports $emulators >/dev/null
fi

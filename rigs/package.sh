#!/bin/sh
# Packages every crate that is to be published, and builds each package as whoever downloads it would:
#
#   rigs/package.sh [argument of `cargo package`]...
#
# Nothing is published. A package that needs a file from outside its folder, or a crate that is not
# published, does not build. Crates of the root workspace are taken unless their Cargo.toml says
# `publish = false`; they find each other's packages, not those of a registry. What is built is in a target
# folder of its own, target/packages/, which all packages share.
#
# Example:   rigs/package.sh --allow-dirty     also with changes that are not committed
#
# Exit status: that of `cargo package`.
set -eu
cd "$(dirname "$0")/.."
packages=
for manifest in $(git ls-files '*/Cargo.toml'); do
    # Of a workspace of its own, or for tests only.
    grep -q '^version\.workspace = true$' "$manifest" || continue
    ! grep -q '^publish = false$' "$manifest" || continue
    packages="$packages --package $(sed -n '/^name = /{s/^name = "\(.*\)"$/\1/p;q;}' "$manifest")"
done
echo "packages:$packages" >&2
target=${CARGO_TARGET_DIR:-target}/packages
# To cargo, a package of the same version is the same package: what an earlier run unpacked and compiled
# would be taken instead of what is packaged now.
rm -rf "$target/package" "$target"/debug/.fingerprint/pblink* \
    "${CARGO_HOME:-$HOME/.cargo}"/registry/src/-*/pblink*
# All features, since what is optional has to build as well. Without debug information it takes less time
# and disk.
# shellcheck disable=SC2086
CARGO_PROFILE_DEV_DEBUG=0 exec cargo package --target-dir "$target" --locked --no-metadata --all-features \
    $packages "$@"

# The usual names for the usual work. `just` alone lists them.
# Needs `just` (https://just.systems); every recipe is also a command that you can type.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the recipes.
default:
    @just --list --unsorted

# Formats and lints everything that compiles without a board's tool chain, as CI does.
check:
    .ci/lint

# Runs the tests of the workspace's crates that need no emulator.
test *ARGS:
    cargo test --workspace --exclude pblink-emulation {{ ARGS }}

# Runs all tests: the README's command. Emulators and compilers: `sudo rigs/install.sh`.
test-all:
    cargo test --workspace

# Runs what CI runs, from the first line to the last.
ci:
    .ci/run

# Builds all firmwares, as far as their tools are there.
fw:
    firmware-stm32/build.sh release
    firmware-esp8266/build.sh sdk
    firmware-esp32c3/build.sh chip

# Runs long proofs and benchmarks by their names, keeps what they say, and writes docs/PROOF.md; without a name only that.
proof *NAMES:
    cargo run -p pblink-proof -- {{ NAMES }}

# Measures the server beside a raw tokio program and Mosquitto, in one run.
bench *ARGS:
    cargo run --release -p pblink-bench -- {{ ARGS }}

# Measures lines a second against lines in flight and clients, beside other servers, and draws docs/speed.svg.
speed *ARGS:
    cargo run --release -p pblink-bench -- speed docs/speed.json docs/speed.svg {{ ARGS }}

# Measures one gateway of a store under up to 19,500 boards, and draws the picture of docs/SCALE.md (needs nats-server).
curve *ARGS:
    cargo run --release -p pblink-bench -- curve docs/scale.json docs/scale.svg {{ ARGS }}

# Counts the instructions of what is done most, beside those of the last record (needs valgrind).
counts:
    .ci/counts --beside

# Measures well-behaved clients beside each kind of abuse.
abuse *ARGS:
    cargo build --release -p pblink -p pblink-bench
    ${CARGO_TARGET_DIR:-target}/release/pblink-bench abuse {{ ARGS }}

# Measures the speed between the boards in the time of the bus, with both chips' machine code.
wires:
    firmware-stm32/build.sh release all
    firmware-esp8266/build.sh sdk
    cargo run --release --manifest-path rigs/unicorn/Cargo.toml --example speed

# Kills a server under load this often, at random instants: the long form of a test.
kills COUNT="200":
    PBLINK_KILLS={{ COUNT }} cargo test -p pblink-serve --test kills -- --nocapture kills_at

# Breaks servers that share a log, and their store, this often: the long form of a test.
failovers COUNT="100":
    PBLINK_FAILOVERS={{ COUNT }} cargo test -p pblink-serve --test store -- --nocapture fleet

# Kills the gateway that leads each 20 s for this many minutes, while 200 boards with keys write: the long form of a test.
soak-cluster MINUTES="10":
    PBLINK_MINUTES={{ MINUTES }} cargo test -p pblink-serve --test store -- --nocapture --test-threads=1 boards_with_keys

# Runs this many exchanges between both chips' machine code, pin by pin: the long form of a test.
exchanges COUNT="10000":
    PBLINK_EXCHANGES={{ COUNT }} cargo test --manifest-path rigs/unicorn/Cargo.toml --test chip -- --nocapture thousands_of

# Goes through all resets, delays and pauses with both chips' machine code: the long form of some tests.
chips:
    PBLINK_LONG=1 cargo test --manifest-path rigs/unicorn/Cargo.toml --test chip

# Asks three back ends of the compiler for this many stories of whole links: the long form of a test.
stories COUNT="100":
    PBLINK_STORIES={{ COUNT }} cargo test -p pblink-emulation -- --nocapture whole_links

# Runs the models in their long form, with at most this many million states each. With a name only those that have it in theirs.
model MILLIONS="2" NAME="":
    cargo run --release --manifest-path rigs/model/Cargo.toml -- {{ MILLIONS }} "{{ NAME }}"

# Changes the protocol's code in some 2,600 places, one at a time, and names those that no test notices. A later run goes on.
mutants *ARGS:
    cargo run --release -p pblink-mutants -- {{ ARGS }}

# Fuzzes both links and the wires for this long for each target; without names, all of them. A later run goes on.
fuzz-long SECONDS="600" *TARGETS:
    rigs/fuzz/run -r -s {{ SECONDS }} {{ TARGETS }}

# Kills a board's ESP8266 every few seconds for this many simulated hours, and accounts for every line.
hours COUNT="10":
    PBLINK_HOURS={{ COUNT }} cargo test -p pblink-simulator --test all -- --nocapture killed_every_few_seconds

# Runs boards, classic and secure, with faults by chance for this many simulated hours, and goes on where it was ended.
nightly HOURS="10000" FROM="0":
    cargo run --release -p pblink-simulator --example nightly -- {{ HOURS }} {{ FROM }} target/nightly-{{ HOURS }}-{{ FROM }}.jsonl

# Runs the real server in simulated time through these seeds, with all faults of boards, network and application.
served SEEDS="0..4000":
    PBLINK_SEEDS={{ SEEDS }} cargo test --release -p pblink-simulator --test all -- --nocapture served::nothing

# Runs a real server under load and all faults for this many minutes, and accounts for every line.
soak MINUTES="10" *ARGS:
    cargo run --release -- soak --for {{ MINUTES }}min {{ ARGS }}

# Runs the flow of templates/ in Node-RED (needs Node.js 20 and npm).
node-red:
    cargo test -p pblink --test node_red

# Checks licences, advisories and sources of all dependencies (needs cargo-deny).
deny:
    cargo deny check

# Packs every crate that ships and compiles it from the package.
package:
    .ci/package

# Makes Debian's package, installs it in a folder with a system of its own, and removes it (needs root and debootstrap).
package-test:
    .ci/package-test

# Makes the documentation a book of web pages, in target/book/html.
book:
    .ci/book

# Checks the workflows (needs actionlint).
workflows:
    actionlint .github/workflows/*.yml

# Draws the picture of the README from the real screen.
picture:
    cargo run -p pblink --example screen > docs/screen.svg

# Makes the picture of the README from the real page, in Chromium.
page:
    cargo test -p pblink --test all web::picture
    cp "${CARGO_TARGET_DIR:-target}/web/readme.png" docs/page.png

# Shows snapshots that have changed, and takes those that you accept (needs cargo-insta).
snapshots:
    cargo insta review

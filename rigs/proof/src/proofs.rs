//! The proofs: what each shows, and the command that runs it.

use Part::{Correctness, Speed};

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Attempts to break it.
    Correctness,
    /// Figures.
    Speed,
}

/// A command whose output is kept.
#[derive(Debug)]
pub struct Proof {
    /// Its name on the command line, and that of its record.
    pub name: &'static str,
    /// The part of the page where it stands.
    pub part: Part,
    /// Its title there.
    pub title: &'static str,
    /// The meaning of its figures.
    pub shows: &'static str,
    /// The reason to believe that it finds faults.
    pub planted: &'static str,
    /// The command, for bash, at the root of the tree.
    pub command: &'static str,
    /// Lines of the output that have one of these in them are kept; all, if there is none.
    pub keep: &'static [&'static str],
    /// The output is Markdown.
    pub markdown: bool,
    /// A run that was ended goes on: the time of the last one says little.
    pub resumes: bool,
}

/// All of them, in the order of the page.
pub const PROOFS: [Proof; 18] = [
    Proof {
        name: "nightly",
        part: Correctness,
        title: "Boards with faults by chance, in simulated time",
        shows: "Whole boards, wires, WiFi, TCP and a server that is killed, with several faults a minute; half of the hours for each link. A ledger has \
                every line that was written: `missing` and `duplicated` are those that the exceptions of \
                [PROTOCOL.md](PROTOCOL.md) allow, by name, and anything else is in `failed`, with the command that makes a small scene of it.",
        planted: "`simulator/scenarios/`: each scene names a flaw, and a test runs it with that flaw and without.",
        command: "cargo run --release -p pblink-simulator --example nightly -- 10000 0 target/nightly-10000-0.jsonl",
        keep: &[],
        markdown: false,
        resumes: true,
    },
    Proof {
        name: "served",
        part: Correctness,
        title: "The server that ships, in simulated time",
        shows: "The server itself with whole boards of both links, hostile guests and an application whose store outlives kills, on a network in memory.",
        planted: "Four flaws of server and store, each found within three runs (`served::planted`).",
        command: "PBLINK_SEEDS=0..1600 cargo test --release -p pblink-simulator --test all -- --nocapture served::nothing",
        keep: &["seeds,"],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "model",
        part: Correctness,
        title: "Both links in all orders of a few faults",
        shows: "The machines of both ends, a store and a network as one state, and every state that can follow. What is broken is one of the listed exceptions.",
        planted: "Each rule that is taken out is found, with the shortest way to it (`rigs/model/tests/`).",
        command: "cargo run --release --manifest-path rigs/model/Cargo.toml -- 2",
        keep: &["states"],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "fuzz",
        part: Correctness,
        title: "Fuzzing of every parser and machine",
        shows: "libFuzzer, ten minutes for each target, with the inputs of `rigs/fuzz/corpus/` to begin with. A target that finds something is fuzzed anew when that is mended: each has its commit.",
        planted: "Faults in what is fuzzed are found by the corpora and their mutations, in every test run (`rigs/fuzz/tests/`).",
        command: "rigs/fuzz/run -r -j 2 -s 600",
        keep: &["==", "DONE", "executed_units", "panicked"],
        markdown: false,
        resumes: true,
    },
    Proof {
        name: "mutants",
        part: Correctness,
        title: "Changes of the protocol's code that a test has to notice",
        shows: "cargo-mutants names small changes of `protocol/`: another operator, an arm or a guard that goes, a function that does nothing. Each runs with the tests that reach it. What none \
                notices is explained (`rigs/mutants/explained.txt`), or a test is missing.",
        planted: "A small crate whose tests have holes is judged in every test run (`rigs/mutants/tests/`).",
        command: "cargo run --release -p pblink-mutants",
        keep: &[],
        markdown: false,
        resumes: true,
    },
    Proof {
        name: "kills",
        part: Correctness,
        title: "A server with its log on disk, killed at any instant",
        shows: "Forty clients write while the server is killed at random instants: acknowledged lines are in the log, once.",
        planted: "A server that acknowledges before it commits is found (`serve/tests/kills/`).",
        command: "PBLINK_KILLS=200 cargo test -p pblink-serve --test kills -- --nocapture kills_at",
        keep: &["kills,", "lines in the log", "found:", "test result"],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "soak",
        part: Correctness,
        title: "Real processes, real sockets, for hours",
        shows: "`pblink serve` with boards of both links, kills, halts, cuts, a full disk and clock steps; memory and descriptors stay where they are.",
        planted: "A server that forgets a line is found (`rigs/soak/tests/`).",
        command: "cargo run --release -- soak --hours 2",
        keep: &[],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "cluster",
        part: Correctness,
        title: "Gateways that share a log, one killed each 20 s",
        shows: "200 boards with keys write through a balancer to three gateways and three NATS servers.",
        planted: "A gateway that acknowledges before the stream has a line is found (`serve/tests/store/`): the first seed below, with its lost lines, is that one's.",
        command: "PBLINK_MINUTES=10 cargo test -p pblink-serve --test store -- --nocapture --test-threads=1 boards_with_keys",
        keep: &[
            "boards with keys",
            "killed:",
            "memory in MB",
            "PBLINK_SEED",
            "lines pass",
            "lines in the log",
            "test result",
        ],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "abuse",
        part: Correctness,
        title: "What abuse does to others",
        shows: "Fifty well-behaved clients beside each kind of abuse.",
        planted: "Rows that are promises have tests of their own (`server-core/tests/`, `serve/tests/`).",
        command: "cargo build --release -p pblink -p pblink-bench && ${CARGO_TARGET_DIR:-target}/release/pblink-bench abuse",
        keep: &["|"],
        markdown: true,
        resumes: false,
    },
    Proof {
        name: "bench",
        part: Speed,
        title: "Beside what one would use instead",
        shows: "All servers of a table in turns, three rounds; the median, and in brackets the median of the ratios of a round. `raw` is a tokio program that acknowledges what \
                it reads in one write, and does nothing else; `library` the server as a library, `memory` and `disk` the server with its log there; Mosquitto with QoS 1. \
                The processor's share is that of one core. `p50_by_fdatasync` is the time to the acknowledgement beside one `fdatasync` of this disk: where that takes \
                less than the way through two sockets, which `raw` has too, no server comes near it.",
        planted: "It measures, and promises nothing: no test asserts a time.",
        command: "cargo build --release -p pblink -p pblink-bench && ${CARGO_TARGET_DIR:-target}/release/pblink-bench --markdown --rounds 3 flood single steady print paced down accept",
        keep: &["|", "####"],
        markdown: true,
        resumes: false,
    },
    Proof {
        name: "idle",
        part: Speed,
        title: "Clients that only keep alive",
        shows: "The processor time and memory of a server with 1,000 to 19,500 clients, each with a sign of life each half second, which the server has to answer with its own. \
                20,000 descriptors are the limit of one process here. `bytes_each_afterwards` is what is left when all have gone.",
        planted: "As above.",
        command: "cargo build --release -p pblink-bench && for n in 1000 10000 19500; do \
                  cargo run --release -p pblink-bench -- --markdown --rounds 3 --clients $n idle; done",
        keep: &["|", "####"],
        markdown: true,
        resumes: false,
    },
    Proof {
        name: "outages",
        part: Speed,
        title: "A server that is killed, and cables that are pulled",
        shows: "`restart`: 1,000 clients keep alive while the server is killed by SIGKILL and started again; the time from the kill to the acknowledgement of a client's next line, of the \
                median client and the last one, 1 s at most. `lost` and `twice` are lines of both sides of the kill, in the log or as they were printed: 0. `outage`: 100 clients fall silent and close \
                nothing; the time until the server closes their connections, which is its time-out of 2 s (Mosquitto: a keep alive of 2 s), and from a new connection to the acknowledgement of the \
                next line. `raw` and Mosquitto have a queue of connections that is too short for 1,000 clients at a time: the rest tries again after 1 s.",
        planted: "No time is asserted. A test of the table counts lines that are missing or there twice, and a short form with the log on disk, in which neither may happen, runs in every test run.",
        command: "cargo build --release -p pblink -p pblink-bench && ${CARGO_TARGET_DIR:-target}/release/pblink-bench --markdown --rounds 3 restart outage",
        keep: &["|", "####"],
        markdown: true,
        resumes: false,
    },
    Proof {
        name: "speed",
        part: Speed,
        title: "More lines in flight, more clients, packets that are lost",
        shows: "![Speed of the server](speed.svg)\n\n\
                [The figures](speed.json) of the first three panels, whose axes have powers of ten, are of this run; where fewer lines are in flight, each costs the kernel's work for a \
                packet of its own. The last panel is of one board in simulated time, by the tables that the simulator's tests hold, with packets that travel 5 ms at most: blue with lines that are not \
                waited for, green to the board, orange with each line waited for, violet the same with keys.",
        planted: "As above.",
        command: "cargo build --release -p pblink-bench && cargo run --release -p pblink-bench -- speed docs/speed.json docs/speed.svg",
        keep: &["server ", "library", "memory", "disk", "mosquitto", "raw"],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "clients",
        part: Speed,
        title: "One client, and a thousand",
        shows: "The flood of the tables above with another number of clients, 64 lines in flight each.",
        planted: "As above.",
        command: "cargo build --release -p pblink-bench && for n in 1 1000; do \
                  cargo run --release -p pblink-bench -- --markdown --rounds 3 --clients $n --servers raw,library,memory,disk,jetstream,mosquitto flood; done",
        keep: &["|", "####"],
        markdown: true,
        resumes: false,
    },
    Proof {
        name: "jetstream",
        part: Speed,
        title: "On disk, beside NATS JetStream",
        shows: "Durable lines: 100 clients with 64 in flight each beside a program that publishes the same lines in atomic batches to three NATS servers with \
                `sync_interval: always`. More in [SCALE.md](SCALE.md), with the curve up to 19,500 boards (`just curve`).",
        planted: "As above.",
        command: "cargo run --release -p pblink-bench -- --markdown --rounds 3 --servers jetstream,shared,gateways,disk flood",
        keep: &["|", "####"],
        markdown: true,
        resumes: false,
    },
    Proof {
        name: "wires",
        part: Speed,
        title: "Between the boards, in the time of the bus",
        shows: "Both chips' machine code, pin by pin, at 100 kHz: the bus limit is 11.1 KB a second.",
        planted: "A chip that answers late or never is found by the tests of `rigs/unicorn/`.",
        command: "firmware-stm32/build.sh release all && firmware-esp8266/build.sh sdk && cargo run --release --manifest-path rigs/unicorn/Cargo.toml --example speed",
        keep: &["bytes/s", "link idle"],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "instructions",
        part: Speed,
        title: "Instructions for each line",
        shows: "Of the processor, in the build of the tests, so that a change shows on a machine that is busy: CI prints its own beside these, and judges nothing. \
                A board with its ESP8266 exchanges over the wires also while it has nothing to say.",
        planted: "As above.",
        command: ".ci/counts",
        keep: &[],
        markdown: false,
        resumes: false,
    },
    Proof {
        name: "sizes",
        part: Speed,
        title: "First build, size and start",
        shows: "The command as it is released, with all default features, and others that one may have in its place: espflash writes ESP32s, Mosquitto and NATS are brokers.",
        planted: "As above.",
        command: "rigs/bench/sizes",
        keep: &["bytes:", " s first build", " s start"],
        markdown: false,
        resumes: false,
    },
];

//! Fuzzing of both links and of the wires: for each target what an input means, and what must hold whatever it is.
//!
//! | target | fed with | must hold |
//! |---|---|---|
//! | [`line`](mod@line) | lines of the classic link, in segments | what the standard library would cut; what is read is written the same |
//! | [`endpoint`] | lines, times and an application, to an end of the classic link whose peer may say anything | whole lines leave, only what is kept is acknowledged, it neither sends for ever nor waits for the past |
//! | [`pair`] | cuts, delays, kills of the server and slow commits between two honest ends | each guaranteed line once and in order, others at most once |
//! | [`wires`] | both machines of the exchange, with a bus that fails and an ESP8266 that dies | bytes in order and once until the next reset; afterwards they find each other again |
//! | [`packet`] | lines of the carrier | what is read is written the same; no other line means it |
//! | [`frames`] | contents of a sealed packet | the same, frame by frame |
//! | [`hello`] | `~h`, by the server's machine with real keys | nobody but the board gets a reply, or costs a multiplication without the shared key |
//! | [`sealed`] | `~t`, by real keys of both ends | what was changed does not open; what was not does |
//! | [`board`] | lines, times and an application, to a board whose server may say anything | texts are texts, numbers only rise, it neither sends for ever nor waits for the past |
//! | [`server`] | the same to a server whose board may say anything | lines in order, the mark never falls, strangers get challenges only |
//!
//! An input that breaks a rule panics. The corpora in `corpus/` are inputs that libFuzzer has found, one for each way
//! through the code; the tests of this crate run them, and mutations of them, with any compiler. `fuzz/` has the programs for
//! libFuzzer.

pub mod board;
pub mod endpoint;
pub mod frames;
pub mod hello;
mod input;
pub mod line;
pub mod mutate;
pub mod packet;
pub mod pair;
#[path = "../../../protocol/tests/common/rng.rs"]
mod rng;
mod schedule;
pub mod sealed;
pub mod server;
#[path = "../../../protocol/tests/secure_seeds/suite.rs"]
mod suite;
pub mod wires;

/// A target: takes an input, and panics if what must hold does not.
pub type Target = fn(&[u8]);

/// The targets by their names: those of their folders in `corpus/` and of their programs.
pub const TARGETS: [(&str, Target); 10] = [
    ("line", line::run),
    ("endpoint", endpoint::run),
    ("pair", pair::run),
    ("wires", wires::run),
    ("packet", packet::run),
    ("frames", frames::run),
    ("hello", hello::run),
    ("sealed", sealed::run),
    ("board", board::run),
    ("server", server::run),
];

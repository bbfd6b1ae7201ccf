//! Fuzzing of the links, of the wires, and of what is read from files, disks and networks: for each target what an input means,
//! and what must hold whatever it is.
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
//! | [`store`] (`record`) | messages of the stream that gateways share | parts make the record that they were cut from, and no other; what is read is written the same |
//! | [`session`] | sessions as a store keeps them | what is read is written the same; no other check fits |
//! | [`image`] | files for flashing, and what flash holds | an image that passes has its check sum; what is made passes; what is read is written the same |
//! | [`loader`] | answers of an ESP8266's boot loader, changed | a program that is said to be there is there; half of one does not start |
//! | [`dfu`] | names of memories and answers of an STM32's boot loader, changed | the same; sectors are in order |
//! | [`request`] | the bytes of a connection to the control API | HTTP with statuses and errors that are documented; nobody without the token writes |
//! | [`settings`] | `pblink.toml`, changes of it, both files of keys | what is wrong has its line, and shows no key; what is written can be read |
//! | [`answer`] | answers to the control API's client, and streams | no answer stops it; messages are the same however they come |
//!
//! An input that breaks a rule panics. The corpora in `corpus/` are inputs that libFuzzer has found, one for each way
//! through the code; the tests of this crate run them, and mutations of them, with any compiler. `fuzz/` has the programs for
//! libFuzzer.

pub mod answer;
pub mod board;
pub mod dfu;
pub mod endpoint;
pub mod frames;
pub mod hello;
pub mod image;
mod input;
mod liar;
pub mod line;
pub mod loader;
pub mod mutate;
pub mod packet;
pub mod pair;
pub mod request;
#[path = "../../../protocol/tests/common/rng.rs"]
mod rng;
mod schedule;
pub mod sealed;
pub mod server;
pub mod session;
pub mod settings;
pub mod store;
#[path = "../../../protocol/tests/secure_seeds/suite.rs"]
mod suite;
pub mod wires;

/// Parts of the server's log, under the names that its records know them by.
mod log {
    pub mod model {
        pub use pblink_serve::log::{Commit, Loaded, LogName};
    }
}

/// A target: takes an input, and panics if what must hold does not.
pub type Target = fn(&[u8]);

/// The targets by their names: those of their folders in `corpus/` and of their programs.
pub const TARGETS: [(&str, Target); 18] = [
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
    ("record", store::run),
    ("session", session::run),
    ("image", image::run),
    ("loader", loader::run),
    ("dfu", dfu::run),
    ("request", request::run),
    ("settings", settings::run),
    ("answer", answer::run),
];

//! Everything that the two ends of a pblink link must agree on, as sans-io state machines.
//!
//! ```text
//!  application          exchange           coprocessor             endpoint
//! [AppBase: lines] ── [Initiator ══I2C══ Responder] ── [Coprocessor: frames]  ── [Endpoint ══TCP══ Endpoint]
//!      STM32               two wires and a bus               ESP8266                           server
//! ```
//!
//! | module | what it is | used by |
//! |---|---|---|
//! | [`tcp::line`] | the lines of the TCP side: codec, ids, cutting a stream into lines | server, ESP8266 |
//! | [`tcp::window`] | the messages that were received already | (endpoint) |
//! | [`tcp::lobby`] | hello and admission: who gets a session | server |
//! | [`tcp::endpoint`] | one end of the TCP side: keepalives, repetition, duplicates, outages | server, ESP8266 |
//! | [`i2c`] | the I2C side: initiator and responder | STM32, ESP8266 |
//! | [`i2c::frame`] | the lines that both boards say to each other | STM32, ESP8266 |
//! | [`delivery`] | the promise with which a line is sent | all |
//! | [`config`] | the configuration, as it goes from STM32 to ESP8266 | both, tools |
//! | [`mdns`] | questions for the address of a name that ends in `.local` | ESP8266 |
//! | [`coprocessor`] | the program of the ESP8266 | ESP8266 |
//! | [`app`] | the application base of the STM32; with keys: [`app::secure`] | STM32 |
//! | [`report`] | the ESP8266's report about itself | all |
//! | [`secure`] | both ends of the secure link | STM32, server |
//! | [`inband`] | lines that a board itself sends to the server | STM32, server |
//! | [`layer`] | the parts of a link, of which one is named when it is down | server, simulator |
//! | [`time`] | instants and spans in microseconds | all |
//!
//! No machine here reads a clock, sleeps, allocates, or knows a peripheral. Bytes, edges and `now` go
//! in; bytes, levels, lines and the time of the next look come out. The server, both firmwares, the
//! simulator and the tests run the same machines, so a fault is reproduced by a seed, not by a sleep.
//!
//! The wire is that of the published micropython-iot (`docs/PROTOCOL.md`), with which every machine
//! here interoperates.

#![no_std]

pub mod app;
pub mod config;
pub mod coprocessor;
pub mod delivery;
mod fifo;
mod hex;
pub mod i2c;
pub mod inband;
mod json;
pub mod layer;
mod lines;
pub mod mdns;
pub mod report;
pub mod secure;
pub mod tcp;
pub mod time;

/// The longest text of a line between an STM32 and its server, in bytes. The reference's boards die
/// of more than 198.
pub const MAX_TEXT: usize = 1024;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

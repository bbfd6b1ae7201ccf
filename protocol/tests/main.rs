//! Tests of the machines in one program: linking one for each file took minutes.

mod app;
mod board;
mod commit;
mod commit_seeds;
mod common;
mod config;
mod coprocessor;
mod crashes;
mod endpoint;
mod endpoint_pair;
mod exchange;
mod frame;
mod held;
mod host_name;
mod inband;
mod initiator;
mod line;
mod lobby;
mod machines;
mod mdns;
mod pace;
mod replay_tcp;
mod replay_wires;
mod responder;
mod rest;
mod room;
mod secure_app;
mod secure_frame;
mod secure_packet;
mod secure_resolve;
mod secure_waits;
mod secure_world;
mod settled;
// Also that of the seeds, of the models and of the fuzz targets.
#[path = "secure_seeds/suite.rs"]
mod suite;
mod window;
mod window_bytes;
mod words;

// As the suite knows it.
use common::rng;

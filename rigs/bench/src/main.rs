//! The speed of the server beside simpler programs and other brokers: see README.md.
//!
//! Server and clients are processes of their own, which this program starts from itself, so that the processor
//! time shown is the server's alone. Nothing is asserted: a loaded machine is slow.

mod abuse;
mod command;
mod curve;
mod disk;
mod figures;
mod histogram;
mod lines;
mod load;
mod mqtt;
mod outages;
mod picture;
mod process;
mod pump;
mod report;
mod servers;
mod speed;
mod wire;
mod workloads;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some(process::SERVER) => servers::main(&args[1..]),
        Some(process::GATEWAY) => servers::gateways::main(&args[1..]),
        Some(process::LOAD) => load::main(&args[1..]),
        Some(process::ABUSE) => abuse::main(&args[1..]),
        first => {
            let chosen = match first {
                Some(curve::CURVE) => curve::parse(&args[1..]).map(|options| curve::run(&options)),
                Some(speed::SPEED) => speed::parse(&args[1..]).map(|options| speed::run(&options)),
                Some(speed::DRAW) => speed::parse(&args[1..]).map(|options| speed::draw(&options)),
                Some(abuse::ABUSE) => abuse::parse(&args[1..]).map(|options| abuse::run(&options)),
                Some(curve::DRAW) => curve::parse(&args[1..]).map(|options| curve::draw(&options)),
                _ => command::parse(&args).map(|options| report::run(&options)),
            };
            chosen.unwrap_or_else(|why| {
                eprintln!("{why}\n\n{}", command::USAGE);
                std::process::exit(2);
            })
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pblink-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

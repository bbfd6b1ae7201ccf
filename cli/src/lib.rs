//! The `pblink` command: one file per verb under [`commands`], the terminal screens under
//! [`monitor`]. The server itself is in `pblink_serve`.
//!
//! Results go to stdout, diagnostics to stderr; [`exit::Exit`] lists the exit codes.

pub mod address;
pub mod boards;
pub mod commands;
mod duration;
pub mod exit;
pub mod global;
pub mod hardware;
pub mod monitor;
pub mod output;
pub mod settings;
mod signals;

use std::process::ExitCode;

use clap::Parser;

/// Parses the command line, runs the verb, prints an error if there is one.
pub fn run() -> ExitCode {
    let cli = commands::Cli::parse();
    global::start_tracing(&cli.global);
    match commands::dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("pblink: {error:#}");
            exit::Exit::of(&error).into()
        }
    }
}

//! The `pblink` command: one file per verb under [`commands`], the terminal screens under
//! [`monitor`]. The server itself is in `pblink_serve`.
//!
//! Results go to stdout, diagnostics to stderr; [`exit::Exit`] lists the exit codes.

// They panic when nobody reads: results go through `output::stdout`, the rest through `output::diagnostics`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[cfg(not(unix))]
compile_error!(
    "pblink needs the signals and terminals of Unix: Linux is supported, macOS is built and tested by the \
     workflow only; on Windows, use it in WSL"
);

pub mod address;
pub mod boards;
#[cfg(feature = "mqtt")]
mod broker;
mod child;
pub mod commands;
mod completion;
mod descriptors;
mod duration;
pub mod exit;
#[cfg(feature = "sqlite")]
mod folder;
mod git;
pub mod global;
pub mod hardware;
pub mod keys;
mod log_place;
mod look;
mod manual;
pub mod monitor;
pub mod output;
mod runtime;
pub mod server;
pub mod settings;
mod signals;
pub mod state;
#[cfg(feature = "nats")]
mod store;
mod typed;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use output::diagnostics;

/// Answers a shell that completes a command line; else parses the command line, runs the verb, prints an error if there is
/// one.
pub fn run() -> ExitCode {
    match completion::answer(commands::Cli::command) {
        Ok(false) => {}
        Ok(true) => return exit::Exit::Ok.into(),
        Err(error) => return diagnostics::command_line(&error),
    }
    let cli = match commands::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return diagnostics::command_line(&error),
    };
    match diagnostics::start(&cli.global).and_then(|()| commands::dispatch(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            diagnostics::error(format_args!("{error:#}"));
            exit::Exit::of(&error).into()
        }
    }
}

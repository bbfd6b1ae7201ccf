//! The verbs, one file each. Only this file knows all of them: a verb never uses another verb.

pub mod config;
pub mod consumers;
pub mod demo;
pub mod doctor;
pub mod extras;
pub mod firmware;
pub mod flash;
mod groups;
pub mod history;
pub mod keys;
pub mod micropython;
pub mod monitor;
pub mod new;
pub mod outages;
pub mod provision;
pub mod send;
pub mod serve;
pub mod service;
pub mod simulate;
#[cfg(feature = "soak")]
pub mod soak;
#[cfg(feature = "sqlite")]
pub mod state;
pub mod status;
#[cfg(feature = "nats")]
pub mod store;
pub mod tail;
pub mod up;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::global::Global;

/// Boards without a network talk to your server, through an ESP8266.
#[derive(Debug, Parser)]
#[command(name = "pblink", version, propagate_version = true, arg_required_else_help = true,
    help_template = groups::template())]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch simulated boards talk to a real server, and break things.
    Demo(demo::Args),
    /// Check, build, flash both boards, configure, serve and watch: all steps in one go.
    Up(up::Args),
    /// Run the server that boards connect to.
    Serve(serve::Args),
    /// Run the server as a service of systemd.
    Service(service::Args),
    /// Run one simulated board against any server.
    Simulate(simulate::Args),
    /// Kill, halt and cut off a server under load on this machine, and account for every line.
    #[cfg(feature = "soak")]
    Soak(soak::Args),
    /// Show links, reports and outages of a running server.
    Monitor(monitor::Args),
    /// Back up, restore, check or clean the log of a server.
    #[cfg(feature = "sqlite")]
    State(state::Args),
    /// Make and check the stream in which several servers share a log.
    #[cfg(feature = "nats")]
    Store(store::Args),
    /// List lines that wait for boards, and decide on those that a restore has left undetermined.
    #[cfg(feature = "sqlite")]
    Outbox(state::OutboxArgs),
    /// List, rename and remove the consumers of lines; pass over a line on which one fails.
    Consumers(consumers::Args),
    /// Send lines to a board, and wait for its acknowledgement.
    Send(send::Args),
    /// Print the lines of boards, from the server's log on.
    Tail(tail::Args),
    /// Print the state of each link in one line.
    Status(status::Args),
    /// Print the outages of links.
    Outages(outages::Args),
    /// Print what happened to one link, in order.
    History(history::Args),
    /// Build the firmwares of both boards.
    Build(firmware::Args),
    /// Put a program onto a board.
    Flash(flash::Args),
    /// Put micropython-iot onto a board that keeps its MicroPython, and run it there.
    Micropython(micropython::Args),
    /// Check tools, configuration, server, ports and board; name a remedy for what is wrong.
    Doctor(doctor::Args),
    /// Make a folder with an application of your own for the STM32.
    New(new::Args),
    /// Write, show and check pblink.toml.
    Config(config::Args),
    /// Give program, settings and keys to one board after the other, from a list of ids.
    Provision(provision::Args),
    /// List the keys of boards; make, exchange and revoke them.
    Keys(keys::Args),
    /// Print a completion script for a shell.
    Completions(extras::CompletionsArgs),
    /// Print the manual page, or write one per verb into a folder.
    Man(extras::ManArgs),
}

/// Runs the verb.
pub fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Demo(args) => demo::run(args, &cli.global),
        Command::Serve(args) => serve::run(args, &cli.global),
        Command::Service(args) => service::run(args),
        Command::Simulate(args) => simulate::run(args, &cli.global),
        #[cfg(feature = "soak")]
        Command::Soak(args) => soak::run(args),
        Command::Monitor(args) => monitor::run(args, &cli.global),
        #[cfg(feature = "sqlite")]
        Command::State(args) => state::run(args),
        #[cfg(feature = "sqlite")]
        Command::Outbox(args) => state::outbox(args),
        #[cfg(feature = "nats")]
        Command::Store(args) => store::run(args),
        Command::Consumers(args) => consumers::run(args),
        Command::Send(args) => send::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Status(args) => status::run(args),
        Command::Outages(args) => outages::run(args),
        Command::History(args) => history::run(args),
        Command::Build(args) => firmware::run(args, &cli.global),
        Command::Flash(args) => flash::run(args, &cli.global),
        Command::Micropython(args) => micropython::run(args, &cli.global),
        Command::Doctor(args) => doctor::run(args, &cli.global),
        Command::Up(args) => up::run(args, &cli.global),
        Command::New(args) => new::run(args),
        Command::Config(args) => config::run(args, &cli.global),
        Command::Provision(args) => provision::run(args, &cli.global),
        Command::Keys(args) => keys::run(args),
        Command::Completions(args) => extras::completions(args),
        Command::Man(args) => extras::man(args),
    }
}

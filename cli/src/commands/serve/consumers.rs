//! The consumers that flags and `pblink.toml` ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pblink_serve::consumers::{App, Consumer, Exec, Kind};

use super::Args;
use crate::settings::Settings;

/// Flags that choose what takes the lines.
#[derive(Debug, Default, clap::Args)]
pub struct ProgramArgs {
    /// Run this command by `sh -c` for each board, when it has sent a line: its lines on standard input, and lines on
    /// standard output go back to it. A line counts as done when the program has read it.
    #[arg(long, value_name = "CMD", conflicts_with = "app", group = "program")]
    pub exec: Option<String>,
    /// Run this command once for all boards, with lines as JSON on standard input and output.
    #[arg(long, value_name = "CMD", conflicts_with = "app", group = "program")]
    pub exec_all: Option<String>,
    /// The program prints {"pblink":"done"} after each line that it has processed; with --exec-all {"done":OFFSET}. Then
    /// nothing is lost or doubled between board and board, whatever is killed.
    #[arg(long, requires = "program")]
    pub exec_ack: bool,
}

impl ProgramArgs {
    fn program(&self) -> Option<Exec> {
        let all = self.exec_all.is_some();
        let command = self.exec_all.as_ref().or(self.exec.as_ref())?;
        Some(Exec { all, ack: self.exec_ack, ..Exec::new(command) })
    }
}

/// Returns the consumers.
pub(super) fn choose(args: &Args, settings: &Settings) -> Vec<Consumer> {
    let kind = match args.program.program() {
        Some(exec) => Kind::Exec(exec),
        None => Kind::App(args.app.unwrap_or(settings.server.app)),
    };
    vec![Consumer::new(kind, true)]
}

/// Adds what is known once the server runs. `printing`: lines are kept until they are printed. `control`: address of
/// the control API, for programs.
pub(super) fn complete(consumers: &mut [Consumer], printing: bool, control: Option<SocketAddr>) {
    for consumer in consumers {
        match &mut consumer.kind {
            Kind::App(App::Echo) => {}
            Kind::App(App::Print | App::Demo) => consumer.required &= printing,
            Kind::Exec(exec) => exec.server = control.map(url),
        }
    }
}

/// Returns the URL for programs on this machine.
fn url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

/// Returns the consumers' names, for people.
pub(super) fn names(consumers: &[Consumer]) -> String {
    let names: Vec<_> = consumers.iter().map(|consumer| consumer.name.as_str()).collect();
    names.join(", ")
}

//! The consumers that flags and `pblink.toml` ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pblink_serve::consumers::{App, Consumer, Exec, Kind};
use pblink_serve::log::From;

use super::Args;
use crate::settings::{self, Settings};

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

/// Returns the consumers: what flags want, else the sections `[[consumer]]`, else `server.app`.
pub(super) fn choose(args: &Args, settings: &Settings) -> Vec<Consumer> {
    let kind = match (args.program.program(), args.app) {
        (Some(exec), _) => Kind::Exec(exec),
        (None, Some(app)) => Kind::App(app),
        (None, None) if !settings.consumers.is_empty() => {
            return settings.consumers.iter().map(of_section).collect();
        }
        (None, None) => Kind::App(settings.server.app),
    };
    vec![Consumer::new(kind, true)]
}

fn of_section(section: &settings::Consumer) -> Consumer {
    let (all, ack) = (section.kind == "exec-all", section.ack);
    let kind = match section.kind.parse() {
        Ok(app) => Kind::App(app),
        Err(_) => Kind::Exec(Exec { all, ack, ..Exec::new(&section.command) }),
    };
    Consumer {
        name: section.name().to_owned(),
        clients: section.clients.clone(),
        from: if section.from_oldest { From::Oldest } else { From::Now },
        ..Consumer::new(kind, section.required)
    }
}

/// Adds what is known once the server runs. `printing`: lines are kept until they are printed. `control`: address of
/// the control API, for programs. `descriptors`: those that the server was started with, which programs get.
pub(super) fn complete(
    consumers: &mut [Consumer],
    printing: bool,
    control: Option<SocketAddr>,
    descriptors: Option<u64>,
) {
    for consumer in consumers {
        match &mut consumer.kind {
            Kind::App(App::Echo) => {}
            Kind::App(App::Print | App::Demo) => consumer.required &= printing,
            #[cfg(feature = "mqtt")]
            Kind::Mqtt(_) => {}
            Kind::Exec(exec) => {
                (exec.server, exec.descriptors) = (control.map(url), descriptors);
            }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: Args,
    }

    fn chosen(flags: &[&str], text: &str) -> Vec<Consumer> {
        let args = Flags::parse_from([&["serve"], flags].concat()).args;
        let (settings, problems) = settings::read("pblink.toml".as_ref(), text);
        assert_eq!(problems, []);
        choose(&args, &settings)
    }

    #[test]
    fn flags_override_sections_and_these_override_the_app() {
        let text = "[server]\napp = \"echo\"\n";
        assert_eq!(chosen(&[], text)[0].name, "echo");
        let sections = "[[consumer]]\n[[consumer]]\nname = \"store\"\nkind = \"exec-all\"\n\
            command = \"./all\"\nack = true\nclients = [\"1\"]\nrequired = false\nfrom = \"oldest\"\n";
        let both = chosen(&[], &format!("{text}{sections}"));
        assert_eq!(both[0], Consumer::new(Kind::App(App::Print), true));
        let exec = Exec { all: true, ack: true, ..Exec::new("./all") };
        assert_eq!(
            both[1],
            Consumer {
                name: "store".into(),
                clients: vec!["1".into()],
                from: From::Oldest,
                ..Consumer::new(Kind::Exec(exec), false)
            }
        );
        assert_eq!(both.len(), 2);
        assert_eq!(chosen(&["--app", "demo"], sections)[0].name, "demo");
        let exec = chosen(&["--exec", "cat", "--exec-ack"], sections);
        assert_eq!(exec, [Consumer::new(Kind::Exec(Exec { ack: true, ..Exec::new("cat") }), true)]);
    }

    #[test]
    fn sections_that_do_not_agree_are_problems() {
        for (section, why) in [
            ("kind = \"exec\"", "give its `command`"),
            ("command = \"x\"", "`command` is for the kinds exec"),
            ("ack = true", "`ack` is for the kinds exec"),
            ("[[consumer]]", "two consumers with the name \"print\""),
            ("name = \"a b\"", "1 to 64 letters"),
            ("kind = \"log\"", "must be \"print\""),
        ] {
            let text = format!("[[consumer]]\n{section}\n");
            let (_, problems) = settings::read("pblink.toml".as_ref(), &text);
            assert!(problems.len() == 1 && problems[0].to_string().contains(why), "{problems:?}");
        }
    }
}

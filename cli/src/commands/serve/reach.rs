//! The clients that may connect, and the addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Args;
use crate::settings::Settings;

/// Address to listen on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) address: SocketAddr,
    /// Reason why other machines cannot connect although nobody has asked for that.
    pub(super) local_because: Option<&'static str>,
}

/// Returns the address to listen on, and the clients that are expected; none means any.
///
/// A server that anybody may connect to is for this machine only, unless the user wants it otherwise: with
/// `--listen`, `--any-client`, a certain address in `server.listen`, or a list of clients in pblink.toml.
pub(super) fn choose<'a>(args: &'a Args, settings: &'a Settings) -> (Reach, &'a [String]) {
    let config = &settings.server;
    let configured = settings.is_configured();
    let clients: &[String] = match (&args.clients[..], configured) {
        // Nobody has said who is expected.
        ([], false) => &[],
        ([], true) => &config.clients,
        (named, _) => named,
    };
    let listen = args.listen.unwrap_or_default();
    let local_because = if listen.has_ip() || args.any_client || !config.listen.is_unspecified() {
        None
    } else if !configured {
        Some(
            "there is no pblink.toml: only this machine can connect; `pblink config init` makes one, and \
             --listen 0.0.0.0:8123 lets others in",
        )
    } else if clients.is_empty() {
        Some(
            "no clients are listed, so only this machine can connect; list them in server.clients, or let \
             anybody in with --any-client",
        )
    } else {
        None
    };
    let ip = if local_because.is_some() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { config.listen };
    let address = listen.or(SocketAddr::new(ip, config.port));
    (Reach { address, local_because }, clients)
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

    fn chosen(flags: &[&str], file: Option<&str>) -> (String, bool, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pblink.toml");
        let settings = match file {
            None => Settings::default(),
            Some(text) => {
                std::fs::write(&path, text).unwrap();
                Settings::load(Some(&path)).unwrap()
            }
        };
        let args = Flags::try_parse_from([&["serve"], flags].concat()).unwrap().args;
        let (listen, clients) = choose(&args, &settings);
        (listen.address.to_string(), listen.local_because.is_some(), clients.to_vec())
    }

    #[test]
    fn only_this_machine_can_connect_unless_the_user_wants_it_otherwise() {
        let here = ("127.0.0.1:8123".to_owned(), true);
        let there = ("0.0.0.0:8123".to_owned(), false);
        let cases: [(&[&str], Option<&str>, _); 10] = [
            (&[], None, &here),
            (&["--client", "1"], None, &here),
            (&["--any-client"], None, &there),
            (&["--listen", "0.0.0.0:8123"], None, &there),
            (&["--listen", "8123"], None, &here),
            (&[], Some("[server]\nclients = []\n"), &here),
            (&[], Some("[server]\nclients = [\"1\"]\n"), &there),
            (&["--client", "1"], Some("[server]\nclients = []\n"), &there),
            (&["--any-client"], Some("[server]\nclients = []\n"), &there),
            (&[], Some("[server]\nclients = []\nlisten = \"0.0.0.0\"\n"), &here),
        ];
        let certain = chosen(&[], Some("[server]\nclients = []\nlisten = \"10.0.0.1\"\n"));
        assert_eq!((&*certain.0, certain.1), ("10.0.0.1:8123", false));
        for (flags, file, expected) in cases {
            let (address, local, _) = chosen(flags, file);
            assert_eq!(&(address, local), expected, "{flags:?} {file:?}");
        }
    }

    #[test]
    fn flags_override_the_clients_of_the_file_and_without_it_nobody_is_expected() {
        let file = "[server]\nclients = [\"1\"]\n";
        assert_eq!(chosen(&[], None).2, [""; 0]);
        assert_eq!(chosen(&[], Some(file)).2, ["1"]);
        assert_eq!(chosen(&["--client", "a"], Some(file)).2, ["a"]);
        assert_eq!(chosen(&["--client", "a"], None).2, ["a"]);
    }
}

//! Addresses as users write them: for `--listen` and `--control`, and of a server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// An address to listen on, of which either part may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listen {
    ip: Option<IpAddr>,
    port: Option<u16>,
}

impl Listen {
    /// Returns true if it says at which address of this machine.
    pub(crate) fn has_ip(self) -> bool {
        self.ip.is_some()
    }

    /// Returns the whole address, with what was left out taken from `default`.
    pub fn or(self, default: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip.unwrap_or(default.ip()), self.port.unwrap_or(default.port()))
    }
}

impl FromStr for Listen {
    type Err = String;

    /// Reads `0.0.0.0:8123`, `[::]:8123`, `localhost:8123`, and either part alone.
    fn from_str(text: &str) -> Result<Self, String> {
        if zone(text).is_some() {
            return Err(NO_ZONE_HERE.to_owned());
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: Some(address.ip()), port: Some(address.port()) });
        }
        if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
            return Ok(Self { ip: None, port: Some(port) });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) if host == LOCALHOST => (host, Some(port.parse().ok())),
            _ => (text, None),
        };
        match (parse_ip(host), port) {
            (Some(ip), None) => Ok(Self { ip: Some(ip), port: None }),
            (Some(ip), Some(Some(port))) => Ok(Self { ip: Some(ip), port: Some(port) }),
            _ => Err("write an IP address of this machine and a port, such as 0.0.0.0:8123, \
                      localhost:8123 or [::]:8123, or only the port, such as 8123"
                .to_owned()),
        }
    }
}

const LOCALHOST: &str = "localhost";

/// Reads an IP address; `localhost` is one, without asking any name server.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if text == LOCALHOST {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text).parse().ok()
}

/// Address of the control API, if it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control(pub Option<SocketAddr>);

impl FromStr for Control {
    type Err = String;

    /// Reads `off`, or an address as [`Listen`] does; a port alone is one of 127.0.0.1, since there is
    /// no password.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let listen: Listen = text.parse().map_err(|why: String| match zone(text) {
            Some(_) => why,
            None => "write an IP address and a port, such as 127.0.0.1:8124, or only the port, such as 8124, \
             or off"
                .to_owned(),
        })?;
        Ok(Self(Some(listen.or(pblink_serve::control::DEFAULT_ADDRESS))))
    }
}

/// Address at which the other servers that share a log reach this one, if they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayAddress(pub Option<Listen>);

impl FromStr for GatewayAddress {
    type Err = String;

    /// Reads `off`, nothing for what the server chooses, or an address as [`Listen`] does.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            "" => Ok(Self(Some(Listen::default()))),
            _ => text.parse().map(|listen| Self(Some(listen))).map_err(|why: String| {
                match zone(text) {
                    Some(_) => why,
                    None => "write the address and port at which the other gateways reach this one, such as 10.0.0.5:8125, \
                             or only one of them, such as 8125, or off"
                        .to_owned(),
                }
            }),
        }
    }
}

/// The remedy for an address to listen on that has a zone.
pub(crate) const NO_ZONE_HERE: &str = "a server does not listen at an address with a zone; listen at [::], which includes all of them";

/// Returns the zone in an address or in `[address]:port`: the interface behind the `%` of a link-local one.
pub(crate) fn zone(text: &str) -> Option<&str> {
    let text = text.strip_prefix('[').unwrap_or(text);
    let (ip, zone) = text.split_once('%')?;
    ip.parse::<Ipv6Addr>().ok()?;
    Some(zone.split(']').next().unwrap_or(zone))
}

/// Checks the address of a server: `HOST:PORT`, with an IPv6 address in brackets. A link-local one may have a zone.
///
/// # Errors
/// The form, with examples.
pub(crate) fn parse_server(text: &str) -> Result<String, String> {
    let error =
        || "write HOST:PORT, such as 127.0.0.1:8123, [::1]:8123 or [fe80::1%eth0]:8123".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match bare.map(|bare| (bare, bare.split_once('%'))) {
        Some((_, Some((ip, zone)))) => {
            let ip = ip.parse::<Ipv6Addr>().map_err(|_| error())?;
            if !ip.is_unicast_link_local() {
                return Err(format!(
                    "only a link-local address, such as fe80::1, has a zone, and {ip} is none"
                ));
            }
            // No name of an interface is longer.
            (1..16).contains(&zone.len()) && zone.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        }
        Some((ip, None)) => ip.parse::<Ipv6Addr>().is_ok(),
        None => !host.contains(':') && is_host(host),
    };
    if port.is_some() && fits { Ok(text.to_owned()) } else { Err(error()) }
}

/// Returns true for an IP address or name that a client can connect to.
pub(crate) fn is_host(text: &str) -> bool {
    if let Ok(ip) = text.parse::<IpAddr>() {
        // A board cannot connect to "any address".
        return !ip.is_unspecified();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    // Digits and dots only: a mistyped IPv4 address, which no name server knows.
    let mistyped = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    name.len() <= 253 && !mistyped && name.split('.').all(label)
}

/// Writes the address of a server that [`parse_server`] takes.
pub(crate) fn host_port(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_part_of_an_address_may_be_left_out() {
        let default: SocketAddr = "10.0.0.1:1".parse().unwrap();
        for (text, expected) in [
            ("0.0.0.0:8123", "0.0.0.0:8123"),
            ("[::]:8123", "[::]:8123"),
            ("localhost:8123", "127.0.0.1:8123"),
            ("localhost", "127.0.0.1:1"),
            ("8123", "10.0.0.1:8123"),
            (":8123", "10.0.0.1:8123"),
            ("::1", "[::1]:1"),
            ("[::1]", "[::1]:1"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.or(default), expected.parse().unwrap(), "{text}");
        }
        for wrong in
            ["", "kitchen", "kitchen:8123", "localhost:", "localhost:x", "1.2.3:4", "70000"]
        {
            let error = wrong.parse::<Listen>().expect_err(wrong);
            assert!(error.contains("such as 8123"), "{error}");
        }
    }

    #[test]
    fn an_address_with_a_zone_is_no_place_to_listen_and_the_message_says_where() {
        // The system would take the second one, and the bind would fail.
        for text in ["[fe80::1%eth0]:8123", "[fe80::1%2]:8123", "fe80::1%eth0"] {
            let why = [text.parse::<Listen>().unwrap_err(), text.parse::<Control>().unwrap_err()];
            assert!(why.iter().all(|why| why.contains("listen at [::]")), "{why:?}");
        }
        assert_eq!(zone("[fe80::1%eth0]:1"), Some("eth0"));
        for none in ["fe80::1", "a%b", "1.2.3.4%eth0"] {
            assert_eq!(zone(none), None);
        }
    }

    #[test]
    fn a_port_alone_keeps_the_control_api_on_this_machine() {
        let control = |text: &str| text.parse::<Control>().map(|control| control.0);
        assert_eq!(control("off"), Ok(None));
        assert_eq!(control("9000"), Ok(Some("127.0.0.1:9000".parse().unwrap())));
        assert_eq!(control("localhost:9000"), Ok(Some("127.0.0.1:9000".parse().unwrap())));
        assert_eq!(control("0.0.0.0:9000"), Ok(Some("0.0.0.0:9000".parse().unwrap())));
        assert!(control("on").unwrap_err().contains("127.0.0.1:8124"));
    }

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for good in ["127.0.0.1:8123", "[::1]:8123", "pi:1", "my-server.local:8123", "localhost:80"]
        {
            assert_eq!(parse_server(good).as_deref(), Ok(good));
        }
        for wrong in ["", "pi", "pi:", ":1", "pi:0", "pi:70000", "http://h:1", "a b:1", "::1:8123"]
        {
            assert!(parse_server(wrong).is_err(), "{wrong}");
        }
        for good in ["[fe80::1%eth0]:8123", "[fe80::1%2]:1", "[fe80::a:b%enp0s31f6.100]:1"] {
            assert_eq!(parse_server(good).as_deref(), Ok(good));
        }
        for wrong in [
            "[fe80::1%]:1",
            "[fe80::1%a b]:1",
            "fe80::1%eth0:1",
            "[kitchen%eth0]:1",
            "1.2.3.4%eth0:1",
        ] {
            assert!(parse_server(wrong).unwrap_err().contains("HOST:PORT"), "{wrong}");
        }
        let why = parse_server("[2001:db8::1%eth0]:1").unwrap_err();
        assert!(why.contains("only a link-local address"), "{why}");
        assert_eq!(host_port("fe80::1", 1), "[fe80::1]:1");
        assert_eq!(host_port("pi", 1), "pi:1");
    }

    #[test]
    fn hosts_are_addresses_or_names() {
        for good in ["192.168.0.42", "fe80::1", "pi", "my-server.local", "a.example.", "my_pc"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "0.0.0.0", "::", "192.168.0.420", "a b", "-a", "a..b", "http://x", "x:1"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}

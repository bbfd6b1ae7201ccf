//! The address of a broker.

use std::fmt;
use std::str::FromStr;

/// Ports that brokers have by custom, without TLS and with it.
const PORTS: (u16, u16) = (1883, 8883);

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Host name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS, if it is spoken.
    pub tls: Option<Tls>,
}

/// Certificates for TLS, all as PEM. `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of whoever signs the broker's; `None`: those that the system trusts.
    pub ca: Option<Vec<u8>>,
    /// Certificate and private key of this server, if the broker wants them.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// A text is no URL of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is none.
    #[error("give mqtt://HOST, mqtt://HOST:PORT, or mqtts:// for TLS")]
    Form,
    /// It has a password, which others could read in the list of processes.
    #[error(
        "user and password do not belong into the URL, where others can read them: give mqtt.user and \
         mqtt.password_file in pblink.toml"
    )]
    Login,
}

impl FromStr for Broker {
    type Err = BadUrl;

    fn from_str(url: &str) -> Result<Self, BadUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(BadUrl::Form)?;
        let tls = match scheme {
            "mqtt" => None,
            "mqtts" => Some(Tls::default()),
            _ => return Err(BadUrl::Form),
        };
        if rest.contains('@') {
            return Err(BadUrl::Login);
        }
        let place = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match place.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or(BadUrl::Form)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| BadUrl::Form)?;
                (host, if port.is_empty() { None } else { port.strip_prefix(':').or(Some("")) })
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let name = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
        if host.is_empty() || !host.chars().all(name) {
            return Err(BadUrl::Form);
        }
        let usual = if tls.is_some() { PORTS.1 } else { PORTS.0 };
        let port = match port {
            None => usual,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|&port| port != 0).ok_or(BadUrl::Form)?
            }
            Some(_) => return Err(BadUrl::Form),
        };
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "mqtts" } else { "mqtt" };
        let (host, port) = (&self.host, self.port);
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_url() {
        for (url, shown) in [
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtt://pi.local:2000/", "mqtt://pi.local:2000"),
            ("mqtts://[::1]", "mqtts://[::1]:8883"),
            ("mqtts://[fe80::1]:99", "mqtts://[fe80::1]:99"),
            ("mqtt://10.0.0.1", "mqtt://10.0.0.1:1883"),
        ] {
            assert_eq!(url.parse::<Broker>().unwrap().to_string(), shown);
        }
        for url in [
            "",
            "localhost",
            "http://a",
            "mqtt://",
            "mqtt://a:",
            "mqtt://a:0",
            "mqtt://a:65536",
            "mqtt://a:+1",
            "mqtt://[x]",
            "mqtt://[::1",
            "mqtt://[::1]1",
            "mqtt://a/b",
            "mqtt://a b",
        ] {
            assert_eq!(url.parse::<Broker>(), Err(BadUrl::Form), "{url:?}");
        }
        assert_eq!("mqtt://me:secret@a".parse::<Broker>(), Err(BadUrl::Login));
    }

    #[test]
    fn nothing_shows_a_key() {
        let tls = Tls { ca: None, client: Some((b"CERT".to_vec(), b"KEY".to_vec())) };
        let broker = Broker { host: "a".into(), port: 1, tls: Some(tls) };
        assert_eq!(format!("{broker:?}"), "Broker { host: \"a\", port: 1, tls: Some(Tls { .. }) }");
    }
}

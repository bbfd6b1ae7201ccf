//! The announcement of the server on its network: DNS-SD over multicast DNS (RFC 6763, RFC 6762), as `_pblink._tcp`.
//!
//! Whoever looks for servers finds this one with its address and port, and the name of this machine with `.local` behind
//! it has an address: boards can use it as their server's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mdns_sd::{IfKind, MDNS_PORT, ServiceDaemon, ServiceInfo};
use pblink_protocol::config::DEFAULT_PORT;

/// The kind of the service.
pub const SERVICE: &str = "_pblink._tcp.local.";

/// The longest wait for the messages that end an announcement.
const GOODBYE: Duration = Duration::from_secs(1);

/// The longest label of a name, in bytes.
const MAX_LABEL: usize = 63;

/// Where announcements go. The default is what the RFCs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// The UDP port.
    pub port: u16,
    /// Also announce on this machine's own interface, where only its own programs hear it.
    pub loopback: bool,
}

impl Default for Ground {
    fn default() -> Self {
        Self { port: MDNS_PORT, loopback: false }
    }
}

/// The reason why a server cannot be announced.
#[derive(Debug, thiserror::Error)]
#[error("the server is not announced on the network: {0}")]
pub struct AnnounceError(#[from] mdns_sd::Error);

/// An announcement. It ends without a goodbye if it is dropped: others then believe in the server for some minutes.
pub struct Announcement {
    daemon: ServiceDaemon,
    name: String,
    host: String,
}

impl Announcement {
    /// Announces a server that listens on this address; `None` if no other machine can connect there. It goes on on a
    /// thread of its own, follows the addresses of the machine, and takes another name if it is in use.
    ///
    /// # Errors
    /// If the system gives no socket or thread for it.
    pub fn start(listen: SocketAddr, ground: Ground) -> Result<Option<Self>, AnnounceError> {
        if listen.ip().is_loopback() && !ground.loopback {
            return Ok(None);
        }
        let (host, name) = names(&machine(), listen.port());
        let daemon = ServiceDaemon::new_with_port(ground.port)?;
        daemon.disable_interface(IfKind::All)?;
        let properties = [("txtvers", "1"), ("version", env!("CARGO_PKG_VERSION"))];
        let service = |addresses: &[IpAddr]| {
            ServiceInfo::new(SERVICE, &name, &host, addresses, listen.port(), &properties[..])
        };
        let service = match listen.ip() {
            ip if !ip.is_unspecified() => {
                daemon.enable_interface(IfKind::Addr(ip))?;
                service(&[ip])?
            }
            ip => {
                daemon.enable_interface(IfKind::IPv4)?;
                // A socket for all IPv6 addresses takes IPv4 as well.
                if ip.is_ipv6() {
                    daemon.enable_interface(IfKind::IPv6)?;
                }
                if !ground.loopback {
                    daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
                }
                service(&[])?.enable_addr_auto()
            }
        };
        daemon.register(service)?;
        Ok(Some(Self { daemon, name, host }))
    }

    /// Returns the name of the server, before any conflict.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of this machine on its network, with `.local` at its end.
    pub fn host(&self) -> &str {
        self.host.trim_end_matches('.')
    }

    /// Takes the announcement back, so that nobody looks for the server any more. Takes at most two seconds.
    pub async fn stop(self) {
        let Self { daemon, name, .. } = self;
        let ended = tokio::task::spawn_blocking(move || {
            // An answer that cannot be sent is not asked for again.
            if let Ok(sent) = daemon.unregister(&format!("{name}.{SERVICE}")) {
                let _ = sent.recv_timeout(GOODBYE);
            }
            if let Ok(ended) = daemon.shutdown() {
                let _ = ended.recv_timeout(GOODBYE);
            }
        });
        let _ = ended.await;
    }
}

/// Returns the name that this machine has.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the machine's name on the network, and the server's: several servers of a machine differ in their ports.
fn names(machine: &str, port: u16) -> (String, String) {
    let first = machine.split('.').next().unwrap_or_default();
    let good = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let label: String = first.chars().map(good).take(MAX_LABEL - "-65535".len()).collect();
    let label = match label.trim_matches('-') {
        "" => "pblink",
        label => label,
    };
    let name = if port == DEFAULT_PORT { label.to_owned() } else { format!("{label}-{port}") };
    (format!("{label}.local."), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_of_dns() {
        for (machine, port, host, name) in [
            ("pi", 8123, "pi.local.", "pi"),
            ("pi.example.org", 9000, "pi.local.", "pi-9000"),
            ("my_pc", 8123, "my-pc.local.", "my-pc"),
            ("-", 8123, "pblink.local.", "pblink"),
            ("", 1, "pblink.local.", "pblink-1"),
        ] {
            assert_eq!(names(machine, port), (host.to_owned(), name.to_owned()), "{machine}");
        }
        assert_eq!(names(&"x".repeat(300), 65_535).1.len(), MAX_LABEL);
    }

    #[test]
    fn a_server_for_this_machine_only_is_not_announced() {
        for listen in ["127.0.0.1:8123", "127.1.2.3:8123", "[::1]:8123"] {
            let listen = listen.parse().unwrap();
            assert!(Announcement::start(listen, Ground::default()).unwrap().is_none());
        }
    }
}

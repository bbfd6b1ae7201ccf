//! Checks of the server: boards can reach it, and it agrees with pblink.toml.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};

use pblink_serve::control::{Client, ServerInfo};
use pblink_server::{LinkState, LinkStatus};

use super::finding::{Finding, Group};
use crate::output::events;
use crate::settings::Settings;

/// Checks the server that runs, else that one could run.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut group = Group::new("server");
    let running = match settings.control_url() {
        Ok(url) => running(&url).await,
        // Without a control API there is no telling.
        Err(_) => None,
    };
    match running {
        Some((info, links)) => {
            agrees(&mut group, settings, &info);
            open(&mut group, settings, &info, &links);
        }
        None => {
            can_listen(&mut group, settings);
            can_control(&mut group, settings);
        }
    }
    address(&mut group, settings);
    group.done()
}

async fn running(url: &str) -> Option<(ServerInfo, Vec<LinkStatus>)> {
    let client = Client::connect(url).await.ok()?;
    let info = client.info().await.ok()?;
    Some((info, client.links().await.unwrap_or_default()))
}

/// Checks that the running server is the one that pblink.toml describes.
fn agrees(group: &mut Group, settings: &Settings, info: &ServerInfo) {
    let server = &settings.server;
    group.ok(format!(
        "a server of version {} runs at {}, {} of {} links are up",
        info.version, info.listen, info.links_up, info.links_total
    ));
    if info.version != env!("CARGO_PKG_VERSION") {
        group.warning(
            format!(
                "the server has version {}, this is {}",
                info.version,
                env!("CARGO_PKG_VERSION")
            ),
            "restart the server with this program",
        );
    }
    if info.timeout_ms == u64::from(server.timeout_ms) {
        group.ok(format!("its time-out is that of pblink.toml, {} ms", info.timeout_ms));
    } else {
        group.error(
            format!(
                "the server's time-out is {} ms, the boards get {} ms from pblink.toml",
                info.timeout_ms, server.timeout_ms
            ),
            "restart the server without --timeout, so that both ends have the same",
        );
    }
    let port = info.listen.parse::<SocketAddr>().map(|address| address.port());
    if port.is_ok_and(|port| port != server.port) {
        group.error(
            format!(
                "the server listens at {}, the boards look for port {}",
                info.listen, server.port
            ),
            "restart the server without --listen, or change server.port",
        );
    }
}

/// Reports what the running server leaves open: boards that it serves without keys.
fn open(group: &mut Group, settings: &Settings, info: &ServerInfo, links: &[LinkStatus]) {
    let up = links.iter().filter(|link| link.state == LinkState::Up && link.key.is_none());
    let open: Vec<_> = up.map(|link| link.id.as_str()).collect();
    if !open.is_empty() {
        group.warning(
            format!(
                "connected without keys: {}; anyone in the network can read and change such lines",
                events::ids(&open)
            ),
            "pblink config push   gives a board keys",
        );
    }
    let address = info.listen.parse::<SocketAddr>();
    let reached = address.is_ok_and(|address| !address.ip().is_loopback());
    // With a pblink.toml the configuration has said so.
    if reached && !settings.is_configured() {
        group.warning(
            format!(
                "without pblink.toml boards need no keys, and the server that runs listens at {}",
                info.listen
            ),
            "pblink config init   makes one, with which boards have keys",
        );
    }
}

/// Checks that `pblink serve` could listen, where no server runs.
fn can_listen(group: &mut Group, settings: &Settings) {
    let listen = SocketAddr::new(settings.server.listen, settings.server.port);
    match TcpListener::bind(listen) {
        Ok(_) => group.ok(format!("no server runs; `pblink serve` can listen at {listen}")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let find = format!("`ss -ltnp sport = :{}` names it", listen.port());
            match settings.server.control {
                Some(control) => group.error(
                    format!("another program listens at {listen}: no pblink server answers at {control}"),
                    format!("{find}; stop it, or change server.port"),
                ),
                None => group.warning(
                    format!("a program listens at {listen}: perhaps a pblink server, without its control API"),
                    format!("{find}; `pblink config set server.control 127.0.0.1:8124` lets it be seen"),
                ),
            }
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => group.error(
            format!("you may not listen at port {}", listen.port()),
            "pblink config set server.port 8123   or another one above 1023",
        ),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => group.error(
            format!("server.listen = {} is not an address of this machine", listen.ip()),
            "pblink config set server.listen 0.0.0.0   listens at all of them",
        ),
        Err(error) => group.error(
            format!("cannot listen at {listen}: {error}"),
            "change server.listen or server.port",
        ),
    }
}

/// Checks that the control API could listen, where no server runs: without it `pblink serve` does not start.
fn can_control(group: &mut Group, settings: &Settings) {
    let Some(control) = settings.server.control else { return };
    match TcpListener::bind(control) {
        Ok(_) => group.ok(format!("its control API can listen at {control}")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => group.error(
            format!(
                "another program listens at {control}, where the control API is to be: it does not answer as a \
                 pblink server"
            ),
            format!(
                "`ss -ltnp sport = :{}` names it; stop it, or change server.control",
                control.port()
            ),
        ),
        Err(error) => group.error(
            format!("the control API cannot listen at {control}: {error}"),
            "pblink config set server.control 127.0.0.1:8124   or another one, or off",
        ),
    }
}

/// Checks that the address that the boards get is one of this machine's.
fn address(group: &mut Group, settings: &Settings) {
    let host = &settings.server.host;
    let found: Vec<IpAddr> = match (host.as_str(), settings.server.port).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => {
            group.error(
                format!("server.host {host:?} has no address: {error}"),
                "use an IP address: the ESP8266 asks the name server of its WiFi network",
            );
            return;
        }
    };
    // Only an address of this machine can be bound.
    match found.iter().find(|ip| UdpSocket::bind((**ip, 0)).is_ok()) {
        // Such an address is reported among the notes of the configuration.
        Some(ip) if ip.is_loopback() && host.parse::<IpAddr>().is_ok() => {}
        Some(ip) if ip.is_loopback() => group.warning(
            format!("server.host {host} is {ip} here, where no board can reach it"),
            match own_address() {
                Some(own) => {
                    format!("`pblink config set server.host {own}`, which boards can reach")
                }
                None => "use the address that this machine has in the WiFi network".to_owned(),
            },
        ),
        Some(ip) => group.ok(format!("server.host {host} is this machine ({ip})")),
        None => {
            let own = own_address().map_or_else(String::new, |ip| {
                format!(", or `pblink config set server.host {ip}` if it runs here")
            });
            group.warning(
                format!("server.host {host} is not this machine: boards will look elsewhere"),
                format!("right if the server runs there{own}"),
            );
        }
    }
}

/// Returns the address that this machine has towards others. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    // Any address that is not ours will do (RFC 5737): the kernel then chooses the way out.
    socket.connect(("192.0.2.1", 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Level;

    fn info(listen: &str) -> ServerInfo {
        ServerInfo {
            version: "0.0.1".into(),
            listen: listen.into(),
            timeout_ms: 2000,
            app: "demo".into(),
            started_at_ms: 0,
            uptime_ms: 0,
            links_up: 1,
            links_total: 2,
            recalled: 0,
            gateways: Vec::new(),
        }
    }

    #[test]
    fn a_server_of_another_version_is_pointed_out() {
        let mut group = Group::new("server");
        agrees(&mut group, &Settings::default(), &info("0.0.0.0:8123"));
        let found = group.done();
        assert_eq!(
            found[0].message,
            "a server of version 0.0.1 runs at 0.0.0.0:8123, 1 of 2 links are up"
        );
        assert_eq!(found[1].level, Level::Warning);
        assert!(found[1].message.contains("0.0.1, this is"), "{found:?}");
        assert_eq!((found.len(), found[2].level), (3, Level::Ok), "time-out and port agree");
    }
}

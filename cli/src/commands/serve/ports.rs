//! Ports of a server that shares its log. They are open as long as the process, whichever gateway leads: what comes while
//! this one begins to lead, or ends, waits in them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use pblink_serve::gateways::{Door, Entrance};
use pblink_serve::log::store::{Leader, Store, Way};
use pblink_serve::service::Sockets;
use pblink_server::open_socket;
use tokio::sync::watch;

use super::station::MAX_CONNECTIONS;
use super::{Args, api, reach};
use crate::address::GatewayAddress;
use crate::descriptors;
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{note, say};
use crate::settings::Settings;

/// Distance of the port for other gateways from that for boards, unless it is chosen. The control API's is between them.
const ABOVE: u16 = 2;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Ports {
    boards: TcpListener,
    control: Option<TcpListener>,
    entrance: TcpListener,
    /// Address for the other gateways; `None`: the one at which NATS sees this machine.
    ip: Option<IpAddr>,
}

impl Ports {
    /// Opens them, those excepted that the service manager has opened. `None`: the user wants no connections to be passed on.
    ///
    /// # Errors
    /// [`Exit::Network`] if one cannot be opened.
    pub(super) fn open(
        args: &Args,
        settings: &Settings,
        given: &mut Sockets,
    ) -> anyhow::Result<Option<Self>> {
        let chosen =
            args.gateway_address.or_else(|| GatewayAddress::from_str(&settings.store.address).ok());
        let Some(chosen) = chosen.and_then(|GatewayAddress(chosen)| chosen) else {
            return Ok(None);
        };
        let wanted = reach::choose(args, settings).0.address;
        let network = |why: String| Failed::with(Exit::Network, why);
        let boards = match given.boards.take() {
            Some(boards) => boards,
            None => open_socket(wanted).map_err(|error| network(error.to_string()))?,
        };
        let control = match given.control.take() {
            Some(control) => Some(control),
            None => api::listen(args, settings)?,
        };
        let listen = boards.local_addr().context("the port for boards")?;
        // The system chooses both, or none.
        let above = if wanted.port() == 0 { 0 } else { listen.port().saturating_add(ABOVE) };
        let others = chosen.or(SocketAddr::new(listen.ip(), above));
        let at = SocketAddr::new(listen.ip(), others.port());
        let entrance = open_socket(at).map_err(|error| {
            network(format!(
                "{error}: it is the port by which other gateways pass connections on to this one; choose another one with \
                 --gateway-address PORT, or --gateway-address off"
            ))
        })?;
        let ip = Some(others.ip()).filter(|ip| !ip.is_unspecified());
        Ok(Some(Self { boards, control, entrance, ip }))
    }

    /// Passes on what comes to them, as long as another gateway leads and `way` says where.
    pub(super) fn pass_on(
        &self,
        (args, settings): (&Args, &Settings),
        (gateway, folder): (&str, &Path),
        way: &watch::Receiver<Option<Way>>,
    ) -> anyhow::Result<Vec<Door>> {
        let sockets = self.sockets()?;
        let boards = sockets.boards.map(tokio::net::TcpListener::from_std).transpose()?;
        let control = sockets.control.map(tokio::net::TcpListener::from_std).transpose()?;
        let mut doors = Vec::new();
        if let Some(boards) = boards {
            // Each takes two descriptors.
            let limit = descriptors::for_boards(descriptors::raise()) / 2;
            let to = (gateway, way.clone());
            doors.push(Door::for_boards(boards, to, limit.min(MAX_CONNECTIONS)));
        }
        if let Some(control) = control {
            let address = control.local_addr()?;
            // If it cannot be made, whoever opens the copy in it has more to say.
            let _ = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder);
            let access = api::access(args, settings, address, Some(folder))?;
            doors.push(Door::for_control(control, (gateway, way.clone()), &access)?);
        }
        Ok(doors)
    }

    /// Returns clones of those for boards and the control API.
    pub(super) fn sockets(&self) -> anyhow::Result<Sockets> {
        let nonblocking = |socket: &TcpListener| -> std::io::Result<TcpListener> {
            socket.set_nonblocking(true)?;
            socket.try_clone()
        };
        let boards = nonblocking(&self.boards).context("the port for boards")?;
        let control = self.control.as_ref().map(nonblocking).transpose();
        Ok(Sockets { boards: Some(boards), control: control.context("the control API's port")? })
    }

    /// Returns the entrance for other gateways, and tells them the way to it.
    pub(super) fn entrance(&self, store: &Store, leader: &Leader) -> anyhow::Result<Entrance> {
        let at = self.entrance.local_addr().context("the port for other gateways")?;
        let seen = || match at.ip() {
            ip if ip.is_unspecified() => store.own_ip().unwrap_or(Ipv4Addr::LOCALHOST.into()),
            ip => ip,
        };
        let address = SocketAddr::new(self.ip.unwrap_or_else(seen), at.port());
        if address.ip().is_loopback() && at.ip().is_unspecified() {
            note(
                "NATS sees this machine as itself: only gateways on it can pass connections on to this one; \
                 --gateway-address (store.address) says where others reach it",
            );
        }
        let socket = self.entrance.try_clone().and_then(tokio::net::TcpListener::from_std);
        let socket = socket.context("the port for other gateways")?;
        let entrance = Entrance::new(socket, address).context("a key for other gateways")?;
        leader.tell_way(entrance.way());
        say(format_args!("other gateways pass their connections on to {address}"));
        Ok(entrance)
    }
}

//! The control API of `pblink serve`, and the token for it.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pblink_serve::control::{Access, BindError, ControlServer, Source, Token, TokenError};
use pblink_serve::hub::Hub;
use tokio::net::TcpListener;

use super::Args;
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::note;
use crate::server::TOKEN_ENV;
use crate::settings::{Settings, credential};

/// Name of the token among the secrets that systemd gives a service.
const CREDENTIAL: &str = "control.token";

/// Starts the control API, unless it is off. `state`: the folder of the log, if it is on disk; `socket`: one that the service
/// manager has opened for it.
///
/// # Errors
/// [`Exit::Network`] if its address cannot be listened on, [`Exit::Config`] for a token that cannot be used.
pub(super) async fn start(
    args: &Args,
    settings: &Settings,
    hub: &Arc<Hub>,
    state: Option<&Path>,
    socket: Option<std::net::TcpListener>,
) -> anyhow::Result<Option<ControlServer>> {
    let Some(address) = address(args, settings) else { return Ok(None) };
    let failed = |error| Failed::with(Exit::Network, BindError { address, error }.to_string());
    let listener = match socket {
        Some(socket) => socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)),
        None => TcpListener::bind(address).await,
    };
    let listener = listener.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let access = access(args, settings, bound, state)?;
    let source: Arc<dyn Source> = hub.clone();
    ControlServer::serve(listener, source, access).map(Some).map_err(failed)
}

/// Returns the address of the control API; `None`: it is off.
fn address(args: &Args, settings: &Settings) -> Option<SocketAddr> {
    args.control.map_or(settings.server.control, |control| control.0)
}

/// Opens the control API's port, unless it is off.
///
/// # Errors
/// [`Exit::Network`] if it cannot be listened on.
#[cfg(feature = "nats")]
pub(super) fn listen(
    args: &Args,
    settings: &Settings,
) -> anyhow::Result<Option<std::net::TcpListener>> {
    let Some(address) = address(args, settings) else { return Ok(None) };
    let failed = |error| Failed::with(Exit::Network, BindError { address, error }.to_string());
    std::net::TcpListener::bind(address).map(Some).map_err(failed)
}

/// Returns who may use the control API at `address`.
///
/// # Errors
/// [`Exit::Config`] for a token that cannot be used.
pub(super) fn access(
    args: &Args,
    settings: &Settings,
    address: SocketAddr,
    state: Option<&Path>,
) -> anyhow::Result<Access> {
    let failed = |error: TokenError| Failed::with(Exit::Config, error.to_string());
    let hosts = settings.control.hosts.clone();
    if args.token_file.is_none()
        && let Ok(token) = std::env::var(TOKEN_ENV)
    {
        let token = Token::parse(&token)
            .map_err(|error| Failed::with(Exit::Config, format!("{TOKEN_ENV}: {error}")))?;
        return Ok(Access { token: Some(token), token_file: None, hosts });
    }
    if args.token_file.is_none()
        && let Some(token) = credential(CREDENTIAL)?
    {
        let token = Token::parse(&token).map_err(|error| {
            Failed::with(Exit::Config, format!("the credential {CREDENTIAL}: {error}"))
        })?;
        return Ok(Access { token: Some(token), token_file: None, hosts });
    }
    let named = args.token_file.clone().or_else(|| settings.token_path());
    let file = match named.or_else(|| state.map(|folder| folder.join("token"))) {
        Some(file) => file,
        None => match runtime_file(address.port()) {
            Some(file) => file,
            None => {
                note(
                    "the control API only reads: there is no token for writing; name a file for one with \
                     --token-file FILE",
                );
                return Ok(Access { token: None, token_file: None, hosts });
            }
        },
    };
    let token = Token::read_or_create(&file).map_err(failed)?;
    // Others look for it from their own folders.
    let file = std::path::absolute(&file).unwrap_or(file);
    Ok(Access { token: Some(token), token_file: Some(file), hosts })
}

/// Returns the file for the token of a server that keeps nothing, in this user's folder for what ends with the
/// session.
fn runtime_file(port: u16) -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty())?;
    let folder = Path::new(&folder).join("pblink");
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder);
    made.is_ok().then(|| folder.join(format!("{port}.token")))
}

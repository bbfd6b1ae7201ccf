//! The server, with its log and those who use it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pblink_serve::consumers::Consumer;
use pblink_serve::hub::Hub;
use pblink_serve::log::{EngineError, Keep, Log, Memory, Opened};
use pblink_server::{BindError, Server};

use super::reach::{self, Reach};
#[cfg(feature = "nats")]
use super::standby::Lead;
use super::standby::Led;
use super::{Args, consumers, keys, mqtt, place};
use crate::descriptors;
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::note;
#[cfg(feature = "sqlite")]
use crate::output::diagnostics::say;
use crate::settings::Settings;
use crate::state::State;

/// Connections that boards may have, if the system has descriptors for them.
pub(super) const MAX_CONNECTIONS: usize = 32 * 1024;

/// A running server with its log.
pub(super) struct Station {
    pub(super) hub: Arc<Hub>,
    pub(super) log: Log,
    pub(super) consumers: Vec<Consumer>,
    /// The folder of the log, if it is on disk.
    pub(super) state: Option<PathBuf>,
    /// The keys of boards with which it was started.
    pub(super) loaded: keys::Loaded,
}

/// Opens the log, and starts the server with the sessions in it.
pub(super) async fn open(
    args: &Args,
    settings: &Settings,
    descriptors: u64,
    (socket, lead): (Option<TcpListener>, Option<Led>),
) -> anyhow::Result<Station> {
    let config = &settings.server;
    let link_timeout = Duration::from_millis(args.timeout_ms.unwrap_or(config.timeout_ms).into());
    let (mut listen, clients) = reach::choose(args, settings);
    if let Some(socket) = &socket {
        let address = socket.local_addr().context("the socket that was opened before")?;
        // Why others cannot connect is known of the address that was chosen here, and of no other.
        let local_because = listen.local_because.filter(|_| address.ip() == listen.address.ip());
        listen = Reach { address, local_because };
    }
    let mut consumers = consumers::choose(args, settings);
    consumers.extend(mqtt::consumer(args, settings, listen.address.port())?);
    let (opened, state) = open_log(args, settings, listen.address.port(), lead)?;
    let Opened { log, sessions, past } = opened;
    let mut builder = Server::builder().listen(listen.address).timeout(link_timeout);
    builder = builder.commits(true).restore_states(sessions).gate(log.gate());
    builder = builder.max_connections(descriptors::for_boards(descriptors).min(MAX_CONNECTIONS));
    if let Some(socket) = socket {
        builder = builder.listener(socket);
    }
    if !clients.is_empty() {
        builder =
            builder.expected(clients.iter().map(String::as_str)).allow_unknown(args.any_client);
    }
    let mut loaded = keys::load(settings)?;
    if let Some(keys) = loaded.keys.take() {
        builder = builder.keys(keys);
    }
    let server = builder.bind().await.map_err(|error| {
        let exit = match error {
            BindError::Listen { .. } | BindError::Adopt { .. } => Exit::Network,
            // pblink.toml was checked when it was read, so it is a flag.
            _ => Exit::Usage,
        };
        Failed::with(exit, error.to_string())
    })?;
    if let Some(why) = listen.local_because {
        note(why);
    }
    let reachable = !listen.address.ip().is_loopback();
    let anybody = args.any_client || clients.is_empty();
    keys::warn(settings, &loaded, keys::Clients { expected: clients, anybody, reachable });
    let app = consumers::names(&consumers);
    let hub = Hub::resume(server, log.clone(), past, link_timeout, app).await;
    let hub = hub.map_err(|error| Failed::with(Exit::Failure, error.to_string()))?;
    Ok(Station { hub, log, consumers, state, loaded })
}

/// Opens the log where flags and `pblink.toml` want it.
fn open_log(
    args: &Args,
    settings: &Settings,
    port: u16,
    lead: Option<Led>,
) -> anyhow::Result<(Opened, Option<PathBuf>)> {
    let server = &settings.server;
    let keep = Keep {
        age: Duration::from_secs(u64::from(server.keep_days) * 24 * 3600),
        bytes: u64::from(server.keep_mb) * 1_000_000,
        commit_every: Duration::from_millis(server.commit_every_ms.into()),
    };
    if let Some(lead) = lead {
        return shared(lead, keep);
    }
    let folder = place::folder(args, settings, port)?;
    if folder.is_none() && *place::state(args, settings) == State::Usual {
        note(
            "the system chooses the port, so that there is no folder for it: lines are kept in memory only (--state DIR \
             keeps them)",
        );
    }
    let opened = match &folder {
        None => Log::open(Memory::new(run_id()), keep),
        Some(folder) => on_disk(folder, keep),
    };
    let opened = opened.map_err(|error| {
        let what = match (&error, &folder) {
            // A start needs little, and even what was set aside for it is used up.
            (EngineError::Full, Some(folder)) => format!(
                "the disk of the log in {} is full: free some space (64 MB, or lines wait), and start again",
                folder.display()
            ),
            _ => error.to_string(),
        };
        Failed::with(Exit::Failure, what)
    })?;
    Ok((opened, folder))
}

/// Opens the log that this server leads.
#[cfg(feature = "nats")]
fn shared(lead: Led, keep: Keep) -> anyhow::Result<(Opened, Option<PathBuf>)> {
    let Lead { leader, folder } = *lead;
    let opened = Log::open(leader, keep);
    let opened = opened.map_err(|error| Failed::with(Exit::Failure, error.to_string()))?;
    Ok((opened, Some(folder)))
}

#[cfg(not(feature = "nats"))]
fn shared(lead: Led, _: Keep) -> anyhow::Result<(Opened, Option<PathBuf>)> {
    match lead {}
}

/// Returns a name that no other run has: offsets of a log in memory mean nothing to the next one.
fn run_id() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(feature = "sqlite")]
fn on_disk(folder: &Path, keep: Keep) -> Result<Opened, EngineError> {
    let engine = pblink_serve::log::Sqlite::open(folder)?;
    say(format_args!("the log is in {}", folder.display()));
    Log::open(engine, keep)
}

#[cfg(not(feature = "sqlite"))]
fn on_disk(folder: &Path, _: Keep) -> Result<Opened, EngineError> {
    Err(EngineError::Io {
        path: folder.display().to_string(),
        why:
            "this pblink was built without the feature sqlite, and cannot keep a log on disk: use \
              --state off"
                .to_owned(),
    })
}

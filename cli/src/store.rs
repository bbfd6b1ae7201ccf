//! The store that flags and settings name: a log that several servers share.

use pblink_serve::log::store::{Store, StoreError, StoreOptions};

use crate::exit::{Exit, Failed};
use crate::settings::{Settings, private_text};

/// Word that turns a store of `pblink.toml` off.
const OFF: &str = "off";

/// Returns the way to the store; `None`: there is none. `flag`: URLs of the command line.
///
/// # Errors
/// [`Exit::Config`]: a file of credentials cannot be read, or others can read it.
pub(crate) fn options(
    settings: &Settings,
    flag: Option<&str>,
) -> anyhow::Result<Option<StoreOptions>> {
    let section = &settings.store;
    let urls = match flag {
        Some(OFF) => return Ok(None),
        Some(urls) => urls,
        None if section.url.is_empty() => return Ok(None),
        None => &section.url,
    };
    let credentials = settings.path_of("store.credentials_file", &section.credentials_file);
    Ok(Some(StoreOptions {
        urls: urls.to_owned(),
        name: section.name.clone(),
        credentials: credentials.map(|path| private_text(&path)).transpose()?,
        authorities: settings.path_of("store.ca_file", &section.ca_file),
    }))
}

/// Connects to the store.
///
/// # Errors
/// [`Exit::Network`] if no server of it answers, [`Exit::Config`] for URLs, names or credentials that cannot be used.
pub(crate) async fn connect(options: &StoreOptions, gateway: &str) -> anyhow::Result<Store> {
    Store::connect(options, gateway).await.map_err(|error| failed(&error))
}

/// Returns the name of this server at the store: given, else made of the machine's name and the port.
pub(crate) fn gateway(settings: &Settings, flag: Option<&str>, port: u16) -> String {
    match flag.unwrap_or(&settings.store.gateway) {
        "" => {
            let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let plain = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
            format!("{}-{port}", plain.take(40).collect::<String>())
        }
        given => given.to_owned(),
    }
}

/// Returns an error of the store as one of the command.
pub(crate) fn failed(error: &StoreError) -> anyhow::Error {
    let exit = match error {
        StoreError::Unreachable { .. } | StoreError::Failed { .. } => Exit::Network,
        StoreError::BadName { .. } | StoreError::BadUrl { .. } | StoreError::Credentials { .. } => {
            Exit::Config
        }
        _ => Exit::Failure,
    };
    Failed::with(exit, error.to_string())
}

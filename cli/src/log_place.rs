//! The log that a verb works on: at the server that runs, else in its folder.

use std::path::{Path, PathBuf};

use pblink_serve::control::{Client, ClientError, LogInfo};

use crate::exit::{Exit, Failed};
use crate::server::{ServerArgs, to_error};
use crate::settings::Settings;
use crate::state::State;

/// The folder that a verb is about.
#[derive(Debug, Clone, clap::Args)]
pub struct FolderArgs {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Folder of the log. Without it: what pblink.toml says, else $XDG_STATE_HOME/pblink/PORT.
    #[arg(long, value_name = "DIR", global = true)]
    pub state: Option<State>,
}

impl FolderArgs {
    /// Returns the folder of the log.
    ///
    /// # Errors
    /// If the configuration is wrong, or says that there is none.
    pub(crate) fn find(&self) -> anyhow::Result<PathBuf> {
        let settings = Settings::load(self.config.as_deref())?;
        let server = &settings.server;
        let folder = match &self.state {
            Some(state) => state.folder(server.port, &PathBuf::new())?,
            None => server.state.folder(server.port, settings.folder_of("server.state"))?,
        };
        folder.ok_or_else(|| {
            Failed::with(
                Exit::Usage,
                "lines are kept in memory only (server.state is \"off\"): name a folder with --state DIR",
            )
        })
    }

    /// The same, if there is a log.
    ///
    /// # Errors
    /// Also if there is none.
    #[cfg(feature = "sqlite")]
    pub(crate) fn with_log(&self) -> anyhow::Result<PathBuf> {
        let path = self.find()?;
        match has_log(&path) {
            true => Ok(path),
            false => Err(Failed::with(Exit::Failure, no_log(&path))),
        }
    }
}

#[cfg(feature = "sqlite")]
fn has_log(folder: &Path) -> bool {
    folder.join("log.db").exists()
}

#[cfg(feature = "sqlite")]
fn no_log(folder: &Path) -> String {
    format!("there is no log in {}: name its folder with --state DIR", folder.display())
}

/// Flags that say how to reach the server.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReachArgs {
    /// Address of the server's control API, such as `http://127.0.0.1:8124`. Default: `server.control` of the
    /// configuration.
    #[arg(long, value_name = "URL", global = true, conflicts_with = "state")]
    pub url: Option<String>,
    /// File with the token of the server. Default: PBLINK_TOKEN, then `control.token_file` of the configuration, then
    /// the file that a server of the same user has made.
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
}

/// The place of a log.
#[derive(Debug)]
pub(crate) enum Place {
    /// A server that runs has it.
    Server(Client),
    /// It is in a folder.
    #[cfg(feature = "sqlite")]
    Folder(Folder),
}

/// A folder for whose log no server answers.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
pub(crate) struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// The reason why no server was asked, in words.
    pub alone: String,
}

/// Returns the place of the log: the server that runs on it, else its folder. With `--url` it is that server, with
/// `--state` the folder, or the server that has this one.
///
/// # Errors
/// [`Exit::Network`] if no server answers and there is no folder to look for it in, [`Exit::Config`] for a token that
/// is not the server's, or a configuration that is wrong.
pub(crate) async fn find(folder: &FolderArgs, reach: &ReachArgs) -> anyhow::Result<Place> {
    let ReachArgs { url, token_file } = reach.clone();
    let named = url.is_some();
    if !named && Settings::load(folder.config.as_deref())?.server.control.is_none() {
        return in_folder(folder, "`server.control` is \"off\", so that no server answers".into());
    }
    let server = ServerArgs { config: folder.config.clone(), url, token_file };
    match server.reach().await? {
        Ok((client, answer)) => match has(folder, answer.log.as_ref())? {
            true => Ok(Place::Server(client)),
            false => in_folder(folder, format!("the server at {} has another log", client.url())),
        },
        // It is one, and something is wrong with the token.
        Err(error @ ClientError::Refused { .. }) => Err(to_error(&error)),
        Err(error) if named => Err(to_error(&error)),
        Err(error) => in_folder(folder, error.to_string()),
    }
}

/// Returns true unless the user has named a folder, and its log is not that of the server.
fn has(folder: &FolderArgs, served: Option<&LogInfo>) -> anyhow::Result<bool> {
    if folder.state.is_none() {
        return Ok(true);
    }
    let path = folder.find()?;
    Ok(name(&path).is_some_and(|name| served.is_some_and(|log| log.name == name)))
}

#[cfg(feature = "sqlite")]
fn name(folder: &Path) -> Option<String> {
    pblink_serve::log::Sqlite::name(folder).ok().map(|name| name.to_string())
}

#[cfg(not(feature = "sqlite"))]
fn name(_: &Path) -> Option<String> {
    None
}

/// Takes the log in its folder, since no server answers for it.
#[cfg(feature = "sqlite")]
fn in_folder(folder: &FolderArgs, alone: String) -> anyhow::Result<Place> {
    let path = folder.find()?;
    if has_log(&path) {
        return Ok(Place::Folder(Folder { path, alone }));
    }
    let why = no_log(&path);
    Err(match folder.state {
        Some(_) => Failed::with(Exit::Failure, why),
        None => {
            Failed::with(Exit::Network, format!("{alone}, and {why}, or a server with --url URL"))
        }
    })
}

#[cfg(not(feature = "sqlite"))]
fn in_folder(_: &FolderArgs, alone: String) -> anyhow::Result<Place> {
    let why = format!("{alone}; this pblink was built without the log on disk");
    Err(Failed::with(Exit::Network, why))
}

#[cfg(feature = "sqlite")]
impl Folder {
    /// Opens the log. No server may have it.
    ///
    /// # Errors
    /// If one has it, with the reason why that one was not asked; if the log is damaged.
    pub(crate) fn open(&self) -> anyhow::Result<pblink_serve::log::Sqlite> {
        use pblink_serve::log::{EngineError, Sqlite};
        let mut holder = None;
        let opened = crate::folder::patiently("opening the log", || {
            let opened = Sqlite::open(&self.path);
            if let Err(EngineError::InUse { pid, .. }) = &opened {
                holder = Some(*pid);
            }
            opened
        });
        let Some(pid) = holder else { return opened };
        let pid = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let (path, alone) = (self.path.display(), &self.alone);
        Err(Failed::with(
            Exit::Failure,
            format!(
                "{path} is in use by a pblink serve{pid}, and {alone}: name the control API of that one with --url \
                 URL, or stop it first"
            ),
        ))
    }
}

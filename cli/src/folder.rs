//! The folder of a server's log, for the verbs that work on it.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use pblink_serve::log::{EngineError, Sqlite};

use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{prompt, say};
use crate::settings::Settings;
use crate::state::State;

/// Time after which a user wants to know that something goes on.
const LONG: Duration = Duration::from_secs(1);

/// The folder that a verb is about.
#[derive(Debug, Clone, clap::Args)]
pub struct FolderArgs {
    /// Configuration file. Without it ./pblink.toml is used if it exists.
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
            None => server.state.folder(server.port, settings.folder())?,
        };
        folder.ok_or_else(|| {
            Failed::with(
                Exit::Usage,
                "lines are kept in memory only (server.state is \"off\"): name a folder with --state DIR",
            )
        })
    }
}

/// Opens the log in a folder, which must be there.
///
/// # Errors
/// If there is none, or a server uses it, or it is damaged.
pub(crate) fn open(folder: &Path) -> anyhow::Result<Sqlite> {
    // The engine would make one.
    if !folder.join("log.db").exists() {
        let folder = folder.display();
        let why = format!("there is no log in {folder}: name its folder with --state DIR");
        return Err(Failed::with(Exit::Failure, why));
    }
    patiently("opening the log", || Sqlite::open(folder))
}

/// Does something that may take long, and says so then.
///
/// # Errors
/// Those of `work`.
pub(crate) fn patiently<T: Send>(
    what: &str,
    work: impl FnOnce() -> Result<T, EngineError> + Send,
) -> anyhow::Result<T> {
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut seconds = 0;
            while waiting.recv_timeout(LONG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                seconds += 1;
                // Rarer and rarer: a log of a gigabyte takes minutes.
                if u64::is_power_of_two(seconds) {
                    say(format_args!("{what}: {seconds} s so far"));
                }
            }
        });
        let result = work();
        drop(done);
        result
    });
    result.map_err(|error| Failed::with(Exit::Failure, error.to_string()))
}

/// Asks whether to do what cannot be undone.
///
/// # Errors
/// If the user does not want it, or cannot be asked.
pub(crate) fn confirm(yes: bool, what: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !(stdin().is_terminal() && stderr().is_terminal()) {
        let why = format!("this would {what}, and there is no terminal to ask on: add --yes");
        return Err(Failed::with(Exit::Usage, why));
    }
    prompt(format_args!("{what}? Type yes: "));
    stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("cannot read the answer")?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failed::with(Exit::Interrupted, "nothing was changed")),
    }
}

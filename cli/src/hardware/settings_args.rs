//! Flags that choose the settings of a board.

use std::path::{Path, PathBuf};

use crate::settings::{BoardArg, Secret, Settings};

/// Settings of a board: where they come from.
#[derive(Debug, Clone, clap::Args)]
pub struct SettingsArgs {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which of several boards.
    #[command(flatten)]
    pub board: BoardArg,
    /// The board's id, instead of board.id: for several boards with one `[board]`.
    #[arg(long, value_name = "ID", conflicts_with = "board")]
    pub client: Option<String>,
    /// A file with nothing but the WiFi password; `-` is standard input. Without it:
    /// PBLINK_WIFI_PASSWORD, else the file that wifi.secrets names.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

impl SettingsArgs {
    /// Reads the settings; `other` is the file where no flag names one.
    ///
    /// # Errors
    /// If there are mistakes in the file, the id is not valid, or one of several boards has to be named.
    pub(crate) fn settings(&self, other: Option<&Path>) -> anyhow::Result<Settings> {
        let mut settings = Settings::load(self.config.as_deref().or(other))?;
        match &self.client {
            Some(id) => settings.choose_client(Some(id))?,
            None => settings.choose_board(self.board.board.as_deref())?,
        }
        Ok(settings)
    }

    /// Returns the WiFi password for `settings`, if the board needs one.
    ///
    /// # Errors
    /// If it cannot be read, or is not one.
    pub(crate) fn password(&self, settings: &Settings) -> anyhow::Result<Option<Secret>> {
        settings.board_password(self.password_file.as_deref())
    }
}

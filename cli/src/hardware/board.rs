//! The contents of a board: its program, its settings and its keys.

use pblink_flash::stm32::{Target, read_settings};
use pblink_image::settings::{MAX_SIZE, Settings as BoardSettings, SettingsError};

use super::keys::BoardKey;
use crate::exit::{Exit, Failed};
use crate::settings::log_name;

/// Contents of the board at hand, for those who compare it with pblink.toml.
pub(crate) struct Board {
    /// Its program, if that reports its identity.
    pub(crate) program: Option<Program>,
    /// Its settings, or why it has none.
    pub(crate) settings: Result<BoardSettings, SettingsError>,
    /// Its keys, if it has some.
    pub(crate) key: Option<BoardKey>,
}

/// Program that a board runs.
pub(crate) struct Program {
    app: String,
    /// The version of pblink that it was built with.
    pub(crate) pblink: String,
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pblink {})", self.app, self.pblink)
    }
}

impl Board {
    /// Reads program, settings and keys.
    pub(crate) fn read(target: &mut dyn Target) -> pblink_flash::Result<Self> {
        use pblink_image::identity;
        let bytes = read_settings(target)?;
        let mut head = [0; identity::WITHIN + identity::SIZE];
        let start = target.layout().start();
        target.read(start, &mut head)?;
        let program = identity::find(&head).map(|found| Program {
            app: format!("{} {}", found.app, found.version),
            pblink: found.pblink.to_owned(),
        });
        let key = BoardKey::read(target)?;
        Ok(Self { program, settings: BoardSettings::read(&bytes), key })
    }

    /// Returns the differences between the board and `settings`, one sentence each, without passwords.
    pub(crate) fn differences(&self, settings: &BoardSettings) -> Vec<String> {
        let board = match &self.settings {
            Ok(board) => board,
            Err(why) => return vec![format!("the board: {why}")],
        };
        let mut found: Vec<_> = (table(settings).into_iter().zip(table(board)))
            .filter(|(file, board)| file.1 != board.1)
            .map(|((key, file), (_, board))| {
                format!("{key}: the file has {file}, the board {board}")
            })
            .collect();
        let passwords = (&settings.config.password, &board.config.password);
        if passwords.0 != passwords.1 && !passwords.0.is_empty() && !passwords.1.is_empty() {
            found.push("wifi.password: the board has another one".to_owned());
        }
        found
    }
}

/// Returns the settings of a board as it keeps them.
pub(crate) fn encoded(board: &BoardSettings) -> anyhow::Result<Vec<u8>> {
    let mut bytes = [0; MAX_SIZE];
    let len = board.write(&mut bytes).map_err(|why| Failed::with(Exit::Config, why.to_string()))?;
    Ok(bytes[..len].to_vec())
}

/// Returns the keys of pblink.toml and a board's values of them.
pub(crate) fn table(board: &BoardSettings) -> Vec<(&'static str, String)> {
    let config = &board.config;
    let password = if config.password.is_empty() { "not set" } else { "********" };
    vec![
        ("server.host", config.server.to_string()),
        ("server.port", config.port.to_string()),
        ("server.timeout_ms", config.timeout_ms.to_string()),
        ("wifi.ssid", format!("{:?}", config.ssid.as_str())),
        ("wifi.password", password.to_owned()),
        ("board.id", config.id.to_string()),
        ("board.report_s", config.report_s.to_string()),
        ("board.forward_reports", board.forward_reports.to_string()),
        ("board.log", log_name(board.log).to_owned()),
    ]
}

pub(crate) fn json(board: &BoardSettings) -> serde_json::Value {
    let config = &board.config;
    serde_json::json!({
        "id": config.id.as_str(),
        "server": config.server.as_str(),
        "port": config.port,
        "timeout_ms": config.timeout_ms,
        "report_s": config.report_s,
        "ssid": config.ssid.as_str(),
        "password_set": !config.password.is_empty(),
        "forward_reports": board.forward_reports,
        "log": log_name(board.log),
    })
}

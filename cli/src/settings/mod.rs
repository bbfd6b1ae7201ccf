//! `pblink.toml`: the one source of truth for board, server and tools.
//!
//! [`Settings::load`] reads it, [`Settings::password`] finds the WiFi password, which never stands
//! in it. `schema` lists the keys, `reader` turns text into settings and problems, `secrets`
//! guards the password, `writer` changes files without losing comments.

mod reader;
mod schema;
mod secrets;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use pblink_image::settings::{LogLevel, Settings as BoardSettings};
use pblink_protocol::config::{Config, ConfigError};
use pblink_protocol::tcp::line::BadId;
pub use pblink_serve::consumers::App;

use crate::exit::{Exit, Failed};

pub(crate) use reader::{Problem, read};
pub(crate) use schema::{Entry, KEYS, Value, entry, log_name, unknown_key};
pub use secrets::{PASSWORD_ENV, PasswordSource, Secret};
pub(crate) use secrets::{check_password, find as find_password, is_password_key, read_password};
pub(crate) use writer::{
    create_new, create_secrets, filled_template, replace, replace_secrets, with_value,
};

/// The file that is used when no path is given, if it exists.
pub const DEFAULT_FILE: &str = "pblink.toml";

/// The ESP8266 takes its configuration as one payload: the most bytes of that line.
pub const CONFIG_LINE_MAX: usize = pblink_protocol::i2c::MAX_PAYLOAD;

/// What `pblink.toml` says, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[wifi]`
    pub wifi: Wifi,
    /// `[board]`
    pub board: Board,
    /// `[link]`
    pub link: Link,
    /// `[build]`
    pub build: Build,
    /// The file that was read.
    file: Option<PathBuf>,
    /// The line of each key that the file gives.
    lines: BTreeMap<&'static str, usize>,
}

/// `[server]`: what boards and `pblink serve` must agree on, and what the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address that boards connect to: an IP address or a host name.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
    /// The address that the server binds.
    pub listen: IpAddr,
    /// Silence of so many milliseconds is an outage: 100 to 60000.
    pub timeout_ms: u32,
    /// The connection ids that the server expects; empty means any.
    pub clients: Vec<String>,
    /// What the server does with lines.
    pub app: App,
    /// Where the control API listens; `None` is "off".
    pub control: Option<SocketAddr>,
}

/// `[wifi]`: the network that the ESP8266 joins. The password is apart: [`Settings::password`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// At most 32 bytes; empty means the network that the ESP8266 remembers.
    pub ssid: String,
    /// The secrets file as written; [`Settings::secrets_path`] resolves it.
    pub secrets: PathBuf,
}

/// `[board]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The connection id: not empty, no control characters.
    pub id: String,
    /// Seconds between reports of the ESP8266: 0 (never) to 86400.
    pub report_s: u32,
    /// Whether the board passes reports on to the server.
    pub forward_reports: bool,
    /// What the board's console shows.
    pub log: LogLevel,
}

/// `[link]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// How both ends talk.
    pub protocol: Protocol,
}

/// `[build]`: what `pblink build` needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The folder of the ESP8266_NONOS_SDK as written, empty for none; [`Settings::sdk_path`] resolves it.
    pub esp8266_sdk: PathBuf,
}

/// How both ends of a link talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// As the published micropython-iot code does.
    Classic,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: Server {
                host: "192.168.0.42".into(),
                port: 8123,
                listen: Ipv4Addr::UNSPECIFIED.into(),
                timeout_ms: 2000,
                clients: vec!["1".into()],
                app: App::Demo,
                control: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8124))),
            },
            wifi: Wifi { ssid: String::new(), secrets: "pblink.secrets.toml".into() },
            board: Board {
                id: "1".into(),
                report_s: 10,
                forward_reports: true,
                log: LogLevel::default(),
            },
            link: Link { protocol: Protocol::Classic },
            build: Build { esp8266_sdk: PathBuf::new() },
            file: None,
            lines: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Reads `path`, which must exist; without a path `./pblink.toml` if it exists, else defaults.
    ///
    /// # Errors
    /// [`Exit::Config`] with every problem of the file, one `file:line: what` per line.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let path = match path {
            Some(path) => path,
            None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
            None => return Ok(Self::default()),
        };
        let (settings, problems) = read(path, &read_text(path)?);
        if problems.is_empty() { Ok(settings) } else { Err(failed(&problems)) }
    }

    /// Takes another id for the board, as `--client` gives it.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it cannot be one.
    pub(crate) fn set_id(&mut self, id: &str) -> anyhow::Result<()> {
        let entry = entry("board.id").expect("it is a key");
        entry.apply(self, &id.into()).map_err(|problem| {
            Failed::with(Exit::Usage, problem.replace("`board.id`", "the id of --client"))
        })
    }

    /// The file that was read; `None` when everything is a default.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The line of the file that gives `key` (as in `server.port`); `None` for a default.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.lines.get(key).copied()
    }

    /// The secrets file: relative to the folder of `pblink.toml`.
    pub fn secrets_path(&self) -> PathBuf {
        self.folder().join(&self.wifi.secrets)
    }

    /// The folder of the ESP8266_NONOS_SDK, if one is named: relative to the folder of `pblink.toml`.
    pub fn sdk_path(&self) -> Option<PathBuf> {
        let sdk = &self.build.esp8266_sdk;
        (!sdk.as_os_str().is_empty()).then(|| self.folder().join(sdk))
    }

    /// The folder of `pblink.toml`.
    fn folder(&self) -> &Path {
        self.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// The WiFi password: from `password_file`, else PBLINK_WIFI_PASSWORD, else the secrets file.
    /// `None` when none of them has one: right for an open or a remembered network.
    ///
    /// # Errors
    /// [`Exit::Config`] when a source cannot be read, when others can read the secrets file, when
    /// the password is not 8 to 63 bytes long, or when the line for the ESP8266 gets too long.
    pub fn password(&self, password_file: Option<&Path>) -> anyhow::Result<Option<Secret>> {
        Ok(self.password_and_source(password_file)?.map(|(secret, _)| secret))
    }

    /// As [`password`](Self::password), and where it was found.
    ///
    /// # Errors
    /// As [`password`](Self::password).
    pub fn password_and_source(
        &self,
        password_file: Option<&Path>,
    ) -> anyhow::Result<Option<(Secret, PasswordSource)>> {
        let found = secrets::find(self, password_file)?;
        match self.config_line_problem(found.as_ref().map(|(secret, _)| secret)) {
            Some(problem) => Err(failed(&[problem])),
            None => Ok(found),
        }
    }

    /// The password that goes onto a board: none without a network of its own, which nothing would be
    /// opened with, unless it is named on purpose.
    ///
    /// # Errors
    /// As [`password`](Self::password).
    pub(crate) fn board_password(
        &self,
        password_file: Option<&Path>,
    ) -> anyhow::Result<Option<Secret>> {
        if self.wifi.ssid.is_empty() && password_file.is_none() {
            return Ok(None);
        }
        self.password(password_file)
    }

    /// What the board gets: the configuration that its STM32 sends to its ESP8266.
    ///
    /// # Errors
    /// When the ESP8266 could not use it: mostly because the line gets too long.
    pub fn board_config(&self, password: Option<&Secret>) -> Result<Config, ConfigError> {
        let config = Config {
            id: text(&self.board.id, ConfigError::Id(BadId::TooLong))?,
            port: self.server.port,
            server: text(&self.server.host, ConfigError::Server)?,
            timeout_ms: self.server.timeout_ms,
            report_s: self.board.report_s,
            ssid: text(&self.wifi.ssid, ConfigError::Ssid)?,
            password: text(password.map_or("", Secret::expose), ConfigError::Password)?,
        };
        config.check().map(|()| config)
    }

    /// What the board's STM32 keeps in flash.
    ///
    /// # Errors
    /// As [`board_config`](Self::board_config).
    pub fn board_settings(&self, password: Option<&Secret>) -> Result<BoardSettings, ConfigError> {
        let Board { log, forward_reports, .. } = self.board;
        Ok(BoardSettings { config: self.board_config(password)?, log, forward_reports })
    }

    /// Why the ESP8266 could not use these settings.
    pub(crate) fn config_line_problem(&self, password: Option<&Secret>) -> Option<Problem> {
        let hint = match self.board_config(password).err()? {
            ConfigError::TooLong(len) => format!(
                "the settings make a line of {len} bytes for the ESP8266, which takes \
                 {CONFIG_LINE_MAX}; shorten `server.host`, `board.id`, `wifi.ssid` or the password"
            ),
            other => other.to_string(),
        };
        let file = self.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
        Some(Problem { file, line: None, message: hint })
    }

    /// What is allowed but probably not meant; `password` says whether there is one.
    pub(crate) fn notes(&self, password: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.wifi.ssid.is_empty() && !password {
            notes.push(
                "`wifi.ssid` has no password: right only for an open network; `pblink config set \
                 wifi.password` adds one"
                    .to_owned(),
            );
        }
        if !self.server.clients.is_empty() && !self.server.clients.contains(&self.board.id) {
            notes.push(format!(
                "`server.clients` does not list this board's id {:?}: the server will refuse it",
                self.board.id
            ));
        }
        match self.server.host.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => notes.push(
                "`server.host` is this machine itself: simulated boards reach it, real ones do not"
                    .to_owned(),
            ),
            Ok(IpAddr::V6(_)) => notes.push(
                "`server.host` is an IPv6 address: simulated boards reach it, but the ESP8266 \
                 speaks only IPv4"
                    .to_owned(),
            ),
            _ => {}
        }
        if let Some(control) = self.server.control
            && !control.ip().is_loopback()
        {
            notes.push(format!(
                "`server.control` = {control} has no password: whoever reaches that address can \
                 watch and disturb the server"
            ));
        }
        notes
    }
}

/// A text of bounded length, as boards keep it.
fn text<const N: usize>(
    text: &str,
    error: ConfigError,
) -> Result<heapless::String<N>, ConfigError> {
    heapless::String::try_from(text).map_err(|_| error)
}

/// Reads a configuration file.
pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("; `pblink config init --path {}` writes one", shell_word(path))
            }
            std::io::ErrorKind::InvalidData => "; it must be UTF-8 text".to_owned(),
            _ => String::new(),
        };
        Failed::with(Exit::Config, format!("cannot read {}: {error}{hint}", path.display()))
    })
}

/// One error of all problems.
pub(crate) fn failed(problems: &[Problem]) -> anyhow::Error {
    let message = match problems {
        [one] => one.to_string(),
        many => {
            many.iter().fold(format!("{} problems", many.len()), |all, p| format!("{all}\n{p}"))
        }
    };
    Failed::with(Exit::Config, message)
}

/// A path as a word that can be pasted into a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
        })
    }
}

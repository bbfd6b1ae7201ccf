//! `pblink.toml`: the one source of truth for board, server and tools.
//!
//! [`Settings::load`] reads it, [`Settings::password`] finds the WiFi password, which never stands
//! in it.
//!
//! | module | what is in it |
//! |---|---|
//! | `keys` | the keys of `pblink.toml`: one table for reading, `config`, the template and the schema |
//! | `sections` | the sections, as the tools use them |
//! | `boards` | which of several boards is meant |
//! | `files` | where a file is looked for |
//! | `environment` | keys from variables |
//! | `pins` | the pins of a board with MicroPython |
//! | `limits` | ranges and defaults of numbers, for keys and flags |
//! | `key`, `value` | what a key allows; values in files, on command lines, in messages |
//! | `shape`, `names` | what may stand where in a file; "did you mean" |
//! | `reader`, `problem` | from a text to settings and problems, each shown with its line |
//! | `remarks` | what is allowed but probably not meant |
//! | `secrets` | the password, and whom it is kept from |
//! | `edits` | changes the text of a file without losing comments |
//! | `writer` | changes files in one step |
//! | `change` | edits a file: checked before it is replaced |
//! | `json_schema` | the schema for editors |

mod boards;
mod change;
mod edits;
mod environment;
mod files;
mod json_schema;
mod key;
mod keys;
pub(crate) mod limits;
mod lists;
mod names;
mod pins;
mod problem;
mod reader;
mod remarks;
mod secrets;
mod sections;
mod shape;
mod value;
mod writer;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use pblink_image::settings::Settings as BoardSettings;
use pblink_protocol::config::{Config, ConfigError};
use pblink_protocol::tcp::line::BadId;
pub use pblink_serve::consumers::{App, Entity};
use tracing::Level;

use crate::address::host_port;
use crate::exit::{Exit, Failed};
use crate::state::State;
use environment::Environment;

pub use boards::BoardArg;
pub(crate) use boards::numbered;
pub(crate) use change::{add_classic, change};
pub(crate) use edits::{filled_template, with_value_at, without_former, without_value_at};
pub(crate) use environment::variable;
pub(crate) use files::{candidates, default_file, search};
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "mqtt"))]
pub(crate) use json_schema::documented as documented_keys;
pub(crate) use json_schema::text as json_schema;
pub(crate) use keys::{Entry, KEYS, entry, log_name};
pub(crate) use names::is_former;
pub use pins::Pins;
pub(crate) use problem::{Lines, Place, Problem};
pub(crate) use reader::read;
#[cfg(feature = "mqtt")]
pub(crate) use secrets::of_broker;
#[cfg(any(feature = "mqtt", feature = "nats"))]
pub(crate) use secrets::private_text;
pub(crate) use secrets::{CREDENTIALS, MQTT_PASSWORD_ENV, credential};
pub use secrets::{PASSWORD_ENV, PasswordSource, Secret};
pub(crate) use secrets::{check_password, find as find_password, is_password_key, read_password};
pub use sections::{
    Board, BoardKind, Build, Consumer, Control, CoprocessorKind, Link, Mqtt, Server, Store, Wifi,
};
pub(crate) use value::Value;
pub(crate) use writer::{
    create_new, create_private, create_secrets, put, put_private, remove_secrets, replace,
    replace_secrets,
};

/// No file that pblink reads its settings from is longer, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The file that is used when no path is given, if it exists.
pub const DEFAULT_FILE: &str = "pblink.toml";

/// The server's file of keys, beside `pblink.toml` and among the credentials of a service.
pub(crate) const KEYS_FILE: &str = "pblink.keys.toml";

/// The ESP8266 takes its configuration as one payload: the most bytes of that line.
pub const CONFIG_LINE_MAX: usize = pblink_protocol::i2c::MAX_PAYLOAD;

/// The keys that make this line long.
const LINE: [&str; 3] = ["server.host", "board.id", "wifi.ssid"];

/// The settings of `pblink.toml`, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[control]`
    pub control: Control,
    /// `[store]`
    pub store: Store,
    /// `[mqtt]`
    pub mqtt: Mqtt,
    /// `[wifi]`
    pub wifi: Wifi,
    /// `[board]`; of several `[[board]]` the one that was chosen, at first the first.
    pub board: Board,
    /// `[[board]]`, in the order of the file; none for `[board]`.
    boards: Vec<Board>,
    /// `[link]`
    pub link: Link,
    /// `[build]`
    pub build: Build,
    /// `[[consumer]]`, in the order of the file; none: [`Server::app`] is the only one.
    pub consumers: Vec<Consumer>,
    /// `[[entity]]`, in the order of the file: values in lines that a broker gets one by one.
    pub entities: Vec<Entity>,
    /// The file that was read.
    file: Option<PathBuf>,
    /// Place of each key in the file: line and column, and the bytes of name and value.
    places: BTreeMap<String, (Place, Range<usize>)>,
    /// Keys that the environment gives, and the variable of each.
    variables: BTreeMap<&'static str, String>,
}

/// The settings of a board that was given none, and for the rest the defaults of the server.
impl Default for Settings {
    fn default() -> Self {
        let BoardSettings { config, log, forward_reports } = BoardSettings::built_in();
        Self {
            server: Server {
                host: config.server.as_str().into(),
                port: config.port,
                listen: Ipv4Addr::UNSPECIFIED.into(),
                timeout_ms: config.timeout_ms,
                clients: vec![config.id.as_str().into()],
                app: App::Print,
                log: Level::WARN,
                control: Some(pblink_serve::control::DEFAULT_ADDRESS),
                state: State::Usual,
                keep_days: limits::KEEP_DAYS.default,
                keep_mb: limits::KEEP_MB.default,
                commit_every_ms: limits::COMMIT_EVERY.default,
            },
            control: Control { token_file: PathBuf::new(), hosts: Vec::new() },
            store: Store::default(),
            mqtt: Mqtt::default(),
            wifi: Wifi { ssid: config.ssid.as_str().into(), secrets: "pblink.secrets.toml".into() },
            board: Board {
                id: config.id.as_str().into(),
                kind: BoardKind::Pyboard,
                coprocessor: CoprocessorKind::Esp8266,
                report_s: config.report_s,
                forward_reports,
                log,
                pins: Pins::default(),
            },
            boards: Vec::new(),
            link: Link { keys: KEYS_FILE.into(), classic: Vec::new() },
            build: Build { esp8266_sdk: PathBuf::new() },
            consumers: Vec::new(),
            entities: Vec::new(),
            file: None,
            places: BTreeMap::new(),
            variables: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Reads `path`, which must exist; without a path the file that is found, if there is one. Variables of keys
    /// override what it has.
    ///
    /// # Errors
    /// [`Exit::Config`] when the file cannot be read, or with its problems, each with its line.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let (settings, problems) = look(path)?;
        if problems.is_empty() { Ok(settings) } else { Err(failed(&problems)) }
    }

    /// Reads `path`, which must exist, and nothing of the environment: for those who change the file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(crate) fn load_file(path: &Path) -> anyhow::Result<Self> {
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

    /// Returns the file that was read; `None` when everything is a default.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the line of the file that gives `key` (as in `server.port`); `None` for a default.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.places.get(key).map(|(place, _)| place.line)
    }

    /// Returns the variable that gives `key`, if one does; that of `board.log` is that of each `board[N].log`.
    pub(crate) fn variable_of(&self, key: &str) -> Option<&str> {
        let of_each = numbered(key).map(|(_, path)| path);
        self.variables.get(of_each.as_deref().unwrap_or(key)).map(String::as_str)
    }

    /// Returns true if file or environment give `key`.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.variable_of(key).is_some() || self.places.contains_key(key)
    }

    /// Returns true if the environment gives any key.
    pub(crate) fn has_variables(&self) -> bool {
        !self.variables.is_empty()
    }

    /// Returns the server's address for a client on this machine or, when `server.host` is given,
    /// where boards look for it.
    pub(crate) fn server_address(&self) -> String {
        let here = self.server.listen;
        if self.is_given("server.host") {
            host_port(&self.server.host, self.server.port)
        } else if here.is_unspecified() {
            host_port("127.0.0.1", self.server.port)
        } else {
            host_port(&here.to_string(), self.server.port)
        }
    }

    /// Returns the URL of the control API for a client on this machine.
    ///
    /// # Errors
    /// [`Exit::Config`] when the server has none.
    pub(crate) fn control_url(&self) -> anyhow::Result<String> {
        let Some(mut address) = self.server.control else {
            let file = self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE)).display();
            return Err(Failed::with(
                Exit::Config,
                format!(
                    "`server.control` is \"off\" in {file}, so that nothing can reach the server; give it \
                     an address, or name one with --url"
                ),
            ));
        };
        // Any address of this machine: one that can be connected to.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(format!("http://{address}"))
    }

    /// Returns the file with the control API's token, if one is named.
    pub fn token_path(&self) -> Option<PathBuf> {
        let file = &self.control.token_file;
        (!file.as_os_str().is_empty()).then(|| self.folder_of("control.token_file").join(file))
    }

    /// Returns the place of a file that `[mqtt]` or `[store]` names; `None`: it names none.
    #[cfg(any(feature = "mqtt", feature = "nats"))]
    pub(crate) fn path_of(&self, key: &str, file: &Path) -> Option<PathBuf> {
        (!file.as_os_str().is_empty()).then(|| self.folder_of(key).join(file))
    }

    /// Returns the secrets file.
    pub fn secrets_path(&self) -> PathBuf {
        self.folder_of("wifi.secrets").join(&self.wifi.secrets)
    }

    /// Returns true if somebody has said which boards there are: by a file, or by a variable that lists clients.
    pub(crate) fn is_configured(&self) -> bool {
        self.file.is_some() || self.is_given("server.clients")
    }

    /// Returns the server's file of keys. `None`: boards get none, for want of a configuration, or since `link.keys` is empty.
    pub fn keys_path(&self) -> Option<PathBuf> {
        let keys = &self.link.keys;
        let wanted = self.is_configured() || self.is_given("link.keys");
        (wanted && !keys.as_os_str().is_empty()).then(|| self.folder_of("link.keys").join(keys))
    }

    /// Returns true if boards with this id get keys: there is a file for keys, and the id is not listed as classic.
    pub fn is_keyed(&self, id: &str) -> bool {
        self.keys_path().is_some() && !self.link.classic.iter().any(|classic| classic == id)
    }

    /// Returns the folder of the ESP8266_NONOS_SDK, if one is named.
    pub fn sdk_path(&self) -> Option<PathBuf> {
        let sdk = &self.build.esp8266_sdk;
        (!sdk.as_os_str().is_empty()).then(|| self.folder_of("build.esp8266_sdk").join(sdk))
    }

    /// Returns the folder that a path in this key is relative to: that of the file which says it. A variable is
    /// meant as it is typed, from the current folder.
    pub(crate) fn folder_of(&self, key: &str) -> &Path {
        let file = self.file.as_deref().filter(|_| !self.variables.contains_key(key));
        file.and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// Returns the WiFi password: from `password_file`, else PBLINK_WIFI_PASSWORD, else the secrets
    /// file. `None` when none of them has one: right for an open or a remembered network.
    ///
    /// # Errors
    /// [`Exit::Config`] when a source cannot be read, when others can read the secrets file, when
    /// the password is neither 8 to 63 bytes long nor a key of 64 hex digits, or when the line for the ESP8266 gets too long.
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

    /// Returns the password that goes onto a board: none without a network of its own, which
    /// nothing would be opened with, unless it is named on purpose.
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

    /// Returns the board's configuration, which its STM32 sends to its ESP8266.
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

    /// Returns the settings that the board's STM32 keeps in flash.
    ///
    /// # Errors
    /// As [`board_config`](Self::board_config).
    pub fn board_settings(&self, password: Option<&Secret>) -> Result<BoardSettings, ConfigError> {
        let Board { log, forward_reports, .. } = &self.board;
        let (log, forward_reports) = (*log, *forward_reports);
        Ok(BoardSettings { config: self.board_config(password)?, log, forward_reports })
    }

    /// Reports why the ESP8266 could not use these settings.
    pub(crate) fn config_line_problem(&self, password: Option<&Secret>) -> Option<Problem> {
        let hint = match self.board_config(password).err()? {
            ConfigError::TooLong(len) => format!(
                "the settings make a line of {len} bytes for the ESP8266, which takes \
                 {CONFIG_LINE_MAX}; shorten `server.host`, `board.id`, `wifi.ssid` or the password"
            ),
            other => other.to_string(),
        };
        // The file may be right by itself.
        let variable = LINE.iter().find_map(|key| self.variable_of(key));
        Some(Problem::of_file(self.origin(variable), hint))
    }

    /// Returns the origin of what is wrong: a variable, else the file.
    fn origin<'a>(&'a self, variable: Option<&'a str>) -> &'a Path {
        let file = || self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        variable.map_or_else(file, Path::new)
    }
}

/// Returns a text of bounded length, as boards keep it.
fn text<const N: usize>(
    text: &str,
    error: ConfigError,
) -> Result<heapless::String<N>, ConfigError> {
    heapless::String::try_from(text).map_err(|_| error)
}

/// Reads the configuration as all verbs do, from the file that is named or found, and from the environment: the settings
/// as far as they could be understood, and the problems.
///
/// # Errors
/// [`Exit::Config`] when the file cannot be read.
pub(crate) fn look(named: Option<&Path>) -> anyhow::Result<(Settings, Vec<Problem>)> {
    let path = named.map(Path::to_owned).or_else(files::search);
    let text = path.as_deref().map(read_text).transpose()?.unwrap_or_default();
    Ok(reader::read_in(path.as_deref(), &text, &Environment::of_process()))
}

/// Reads a configuration file.
///
/// # Errors
/// [`Exit::Config`] with the reason, and what to do.
pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| {
        let n = file.take(MAX_FILE + 1).read_to_string(&mut text)?;
        if n as u64 > MAX_FILE { Err(ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    });
    let Err(error) = read else { return Ok(text) };
    let why = match error.kind() {
        ErrorKind::NotFound => match path.read_link() {
            Ok(target) => format!("it is a link to {}, which does not exist", target.display()),
            Err(_) => {
                format!("{error}; `pblink config init --config {}` writes one", shell_word(path))
            }
        },
        ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        ErrorKind::InvalidData => "it must be UTF-8 text".to_owned(),
        ErrorKind::FileTooLarge => {
            format!("it is longer than {} MB, so it is not a pblink.toml", MAX_FILE >> 20)
        }
        _ => error.to_string(),
    };
    Err(Failed::with(Exit::Config, format!("cannot read {}: {why}", path.display())))
}

/// Says that there is no such key, and which one was probably meant.
pub(crate) fn unknown_key(given: &str) -> String {
    names::Names::new(lists::all_keys().map(|key| key.path)).unknown_key(given)
}

/// Returns one error of all problems.
pub(crate) fn failed(problems: &[Problem]) -> anyhow::Error {
    let message = match problems {
        [one] => one.to_string(),
        many => {
            many.iter().fold(format!("{} problems", many.len()), |all, p| format!("{all}\n{p}"))
        }
    };
    Failed::with(Exit::Config, message)
}

/// Returns a path as a word that can be pasted into a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_a_board_does_without_settings() {
        let settings = Settings::default();
        assert_eq!(settings.board_settings(None), Ok(BoardSettings::built_in()));
        // And so are those of the file that users begin with.
        let (template, problems) = read(Path::new(DEFAULT_FILE), edits::TEMPLATE);
        assert_eq!(problems, []);
        assert_eq!(template.board_settings(None), Ok(BoardSettings::built_in()));
    }
}

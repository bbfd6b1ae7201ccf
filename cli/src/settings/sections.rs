//! The sections of `pblink.toml`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::ValueEnum;
use pblink_flash::Chip;
use pblink_image::map::{self, Map};
use pblink_image::settings::LogLevel;
use pblink_serve::consumers::App;
use tracing::Level;

use super::Pins;
use crate::state::State;

/// `[server]`: what boards and `pblink serve` must agree on, and what the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address that boards connect to: an IP address or a host name.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
    /// The address that the server binds.
    pub listen: IpAddr,
    /// Milliseconds without data after which a link counts as down: 100 to 60000.
    pub timeout_ms: u32,
    /// The ids of the boards that the server expects; empty means any.
    pub clients: Vec<String>,
    /// The server's use of lines.
    pub app: App,
    /// The least level of what the server reports on stderr.
    pub log: Level,
    /// Address of the control API; `None` is "off".
    pub control: Option<SocketAddr>,
    /// Place of the log, as written.
    pub state: State,
    /// Days for which lines are kept.
    pub keep_days: u32,
    /// Megabytes of lines that are kept.
    pub keep_mb: u32,
    /// The least time between two commits of the log, in milliseconds.
    pub commit_every_ms: u32,
}

/// `[[consumer]]`: a use of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The name under which the log keeps its place; empty: its kind.
    pub name: String,
    /// `print`, `echo`, `demo`, `exec` or `exec-all`.
    pub kind: String,
    /// The clients whose lines it takes; empty: all.
    pub clients: Vec<String>,
    /// Lines are kept until it has them.
    pub required: bool,
    /// The command of an exec, for `sh -c`.
    pub command: String,
    /// The program acknowledges lines.
    pub ack: bool,
    /// A new one begins with the oldest line.
    pub from_oldest: bool,
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: "print".into(),
            clients: Vec::new(),
            required: true,
            command: String::new(),
            ack: false,
            from_oldest: false,
        }
    }
}

impl Consumer {
    /// Returns its name.
    pub fn name(&self) -> &str {
        if self.name.is_empty() { &self.kind } else { &self.name }
    }
}

/// `[control]`: who may use the control API, whose address is in `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The file with the token as written, empty for the one in the state folder; [`Settings::token_path`](super::Settings::token_path)
    /// resolves it.
    pub token_file: PathBuf,
    /// Names of hosts that are answered, beside this machine's for itself and addresses.
    pub hosts: Vec<String>,
}

/// `[mqtt]`: a broker that gets the lines of boards, and that boards get messages from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt {
    /// URL of the broker; empty for none.
    pub url: String,
    /// First levels of all topics.
    pub prefix: String,
    /// Name of the server at the broker; empty for one made of this machine's name and the port.
    pub client_id: String,
    /// User at the broker; empty for none.
    pub user: String,
    /// The file with the password as written, empty for none. Like all files here, relative to that of the settings.
    pub password_file: PathBuf,
    /// Certificates of the authority that has signed the broker's; empty for those that the system trusts.
    pub ca_file: PathBuf,
    /// The server's own certificate, if the broker wants one.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Lines are published as JSON.
    pub json: bool,
    /// Boards are made known to Home Assistant.
    pub home_assistant: bool,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            url: String::new(),
            prefix: "pblink".to_owned(),
            client_id: String::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            json: false,
            home_assistant: false,
        }
    }
}

/// `[store]`: a log that several servers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// URLs of its NATS servers, with commas between; empty for none: the log is this server's own.
    pub url: String,
    /// Name of its stream.
    pub name: String,
    /// Name of this server among those that share it; empty for this machine's with the port.
    pub gateway: String,
    /// Address at which the others reach it, as written: see [`GatewayAddress`](crate::address::GatewayAddress).
    pub address: String,
    /// The file with the credentials as written, empty for none.
    pub credentials_file: PathBuf,
    /// Certificates of the authority that has signed the servers'; empty for those that the system trusts.
    pub ca_file: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: String::new(),
            name: "PBLINK".to_owned(),
            gateway: String::new(),
            address: String::new(),
            credentials_file: PathBuf::new(),
            ca_file: PathBuf::new(),
        }
    }
}

/// `[wifi]`: the network that the ESP8266 joins. The password is apart: [`Settings::password`](super::Settings::password).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// At most 32 bytes; empty means the network that the ESP8266 remembers.
    pub ssid: String,
    /// The secrets file as written; [`Settings::secrets_path`](super::Settings::secrets_path) resolves it.
    pub secrets: PathBuf,
}

/// `[board]`, or one of several `[[board]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The id by which the server knows the board: not empty, nothing invisible in it.
    pub id: String,
    /// The board that its STM32 is on.
    pub kind: BoardKind,
    /// The chip that gives it a network.
    pub coprocessor: CoprocessorKind,
    /// Seconds between reports of the ESP8266: 0 (never) to 86400.
    pub report_s: u32,
    /// True if the board passes reports on to the server.
    pub forward_reports: bool,
    /// The messages that the board's console shows.
    pub log: LogLevel,
    /// The pins of a board with MicroPython.
    pub pins: Pins,
}

/// The board that an STM32 is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BoardKind {
    /// A Pyboard v1.x, with an STM32F405RG.
    Pyboard,
    /// A Black Pill, with an STM32F411CE.
    BlackPill,
    /// A Nucleo-F446RE.
    NucleoF446,
}

impl BoardKind {
    /// All kinds, with the names that `board.kind` has for them.
    pub(super) const NAMES: [&str; 3] = ["pyboard", "black-pill", "nucleo-f446"];

    /// Returns the name that `board.kind` has for it.
    pub fn name(self) -> &'static str {
        self.map().board
    }

    /// Returns the kind of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|kind| kind.name() == name)
    }

    /// Returns the memory of its chip, and its names.
    pub fn map(self) -> &'static Map {
        match self {
            Self::Pyboard => &map::PYBOARD,
            Self::BlackPill => &map::BLACK_PILL,
            Self::NucleoF446 => &map::NUCLEO_F446,
        }
    }
}

/// The chip that gives a board its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CoprocessorKind {
    /// An ESP8266, with our program or the published one.
    Esp8266,
    /// An ESP32-C3, with our program.
    Esp32c3,
}

impl CoprocessorKind {
    /// All kinds, with the names that `board.coprocessor` has for them.
    pub(super) const NAMES: [&str; 2] = ["esp8266", "esp32c3"];

    /// Returns the name that `board.coprocessor` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esp8266 => "esp8266",
            Self::Esp32c3 => "esp32c3",
        }
    }

    /// Returns the kind of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|kind| kind.name() == name)
    }

    /// Returns the chip.
    pub fn chip(self) -> Chip {
        match self {
            Self::Esp8266 => Chip::Esp8266,
            Self::Esp32c3 => Chip::Esp32c3,
        }
    }
}

/// `[link]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The server's file of keys as written, empty for none; [`Settings::keys_path`](super::Settings::keys_path) resolves it.
    pub keys: PathBuf,
    /// The ids of boards that get no keys.
    pub classic: Vec<String>,
}

/// `[build]`: what `pblink build` needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The folder of the ESP8266_NONOS_SDK as written, empty for none; [`Settings::sdk_path`](super::Settings::sdk_path) resolves it.
    pub esp8266_sdk: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_board_has_one_name_for_flags_file_and_program() {
        let kinds = BoardKind::value_variants();
        let names = |of: fn(&BoardKind) -> String| Vec::from_iter(kinds.iter().map(of));
        assert_eq!(names(|kind| kind.name().to_owned()), BoardKind::NAMES);
        let flags = names(|kind| kind.to_possible_value().unwrap().get_name().to_owned());
        assert_eq!(flags, BoardKind::NAMES);
        assert!(kinds.iter().all(|kind| BoardKind::named(kind.name()) == Some(*kind)));
    }

    #[test]
    fn a_kind_of_coprocessor_has_one_name_for_flags_file_and_manifest() {
        use pblink_image::manifest::{ESP32C3, ESP8266};
        let kinds = CoprocessorKind::value_variants();
        let names = |of: fn(&CoprocessorKind) -> String| Vec::from_iter(kinds.iter().map(of));
        assert_eq!(names(|kind| kind.name().to_owned()), CoprocessorKind::NAMES);
        assert_eq!(CoprocessorKind::NAMES, [ESP8266, ESP32C3]);
        let flags = names(|kind| kind.to_possible_value().unwrap().get_name().to_owned());
        assert_eq!(flags, CoprocessorKind::NAMES);
        assert!(kinds.iter().all(|kind| CoprocessorKind::named(kind.name()) == Some(*kind)));
    }
}

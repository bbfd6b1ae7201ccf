//! The configuration that the STM32 sends to the ESP8266 before anything else.
//!
//! On the wire it is a JSON list in one line (micropython-iot: `pb_link/config.py`, `app_base.py`):
//! `["1\n", 8123, "192.168.0.42", 2000, 10, "ssid", "password", "cfg"]`.

use core::fmt;
use core::ops::RangeInclusive;

use heapless::String;

use crate::i2c::MAX_PAYLOAD;
use crate::json::{Reader, Writer};
use crate::tcp::line::{BadId, MAX_ID, check_id};

/// Port that the reference's server listens on.
pub const DEFAULT_PORT: u16 = 8123;

/// The id of a board that was given none.
pub const DEFAULT_ID: &str = "1";

/// The address of the server for a board that was given none.
pub const DEFAULT_SERVER: &str = "192.168.0.42";

/// The time-outs in ms that both ends take.
pub const TIMEOUT_MS: RangeInclusive<u32> = 100..=60_000;

/// The time-out in ms that both ends use by default.
pub const DEFAULT_TIMEOUT_MS: u32 = 2000;

/// Seconds between reports of an ESP8266 by default.
pub const DEFAULT_REPORT_S: u32 = 10;

/// The longest name of a network (SSID), in bytes.
pub const MAX_SSID: usize = 32;

/// The longest password of a network, in bytes: a key of 64 hex digits. The ESP8266 keeps it in 64 bytes, without a
/// zero behind it.
pub const MAX_PASSWORD: usize = 64;

/// The longest server name or address, in bytes.
pub const MAX_SERVER: usize = 160;

/// The configuration of a board: all that it must know to reach its server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Config {
    /// The id by which the server knows the board: see [`check_id`].
    pub id: String<MAX_ID>,
    /// The server's TCP port.
    pub port: u16,
    /// The server's address or name.
    pub server: String<MAX_SERVER>,
    /// The time-out in ms, the same as the server's, within [`TIMEOUT_MS`].
    pub timeout_ms: u32,
    /// The seconds between two reports of the ESP8266; 0 for none.
    pub report_s: u32,
    /// The network's name, at most 32 bytes. Empty: the network that the ESP8266 remembers.
    pub ssid: String<MAX_SSID>,
    /// Its password: see [`is_password`], or empty.
    pub password: String<MAX_PASSWORD>,
}

impl fmt::Debug for Config {
    /// Does not show the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("id", &self.id)
            .field("port", &self.port)
            .field("server", &self.server)
            .field("timeout_ms", &self.timeout_ms)
            .field("report_s", &self.report_s)
            .field("ssid", &self.ssid)
            .finish_non_exhaustive()
    }
}

/// The reason why a configuration cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigError {
    /// The id is not a valid one.
    Id(BadId),
    /// The port is 0.
    Port,
    /// The server's address is empty, longer than [`MAX_SERVER`] bytes or holds control characters.
    Server,
    /// The time-out is not in the allowed range.
    Timeout,
    /// The network's name is longer than 32 bytes.
    Ssid,
    /// The password is neither empty nor one that [`is_password`] takes.
    Password,
    /// The line is longer than 200 bytes, which is all that passes at once.
    TooLong(usize),
    /// It is not the JSON list that is expected.
    Syntax,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(why) => write!(f, "{why}"),
            Self::Port => f.write_str("the port is 0; the usual one is 8123"),
            Self::Server => {
                write!(f, "the server's address must have 1 to {MAX_SERVER} printable bytes")
            }
            Self::Timeout => {
                write!(f, "the time-out must be {} to {} ms", TIMEOUT_MS.start(), TIMEOUT_MS.end())
            }
            Self::Ssid => f.write_str("the network's name (SSID) is longer than 32 bytes"),
            Self::Password => f.write_str(
                "the WiFi password must have 8 to 63 bytes, or be a key of 64 hex digits, or empty",
            ),
            Self::TooLong(n) => write!(
                f,
                "id, server, SSID and password are too long together: the line for the ESP8266 has \
                 {n} bytes of at most {MAX_PAYLOAD}"
            ),
            Self::Syntax => f.write_str("this is not a configuration line"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Returns true for what opens a protected network: a password of 8 to 63 bytes or, instead of it, the network's
/// key (PSK) as 64 hex digits.
pub fn is_password(text: &str) -> bool {
    match text.len() {
        8..MAX_PASSWORD => true,
        MAX_PASSWORD => text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    }
}

/// The last element of the list.
const MARKER: &str = "cfg";

impl Config {
    /// Checks every value, and the length of the line.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.encode(&mut [0; MAX_PAYLOAD]).map(|_| ())
    }

    fn check_values(&self) -> Result<(), ConfigError> {
        if self.port == 0 {
            return Err(ConfigError::Port);
        }
        if self.server.is_empty() || self.server.chars().any(char::is_control) {
            return Err(ConfigError::Server);
        }
        if !TIMEOUT_MS.contains(&self.timeout_ms) {
            return Err(ConfigError::Timeout);
        }
        Ok(())
    }

    /// Writes the line, with its `\n`, into `out` and returns its length.
    ///
    /// # Errors
    /// If a value cannot be used, or the line does not fit into [`MAX_PAYLOAD`] bytes or `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, ConfigError> {
        check_id(&self.id).map_err(ConfigError::Id)?;
        self.check_values()?;
        if !self.password.is_empty() && !is_password(&self.password) {
            return Err(ConfigError::Password);
        }
        let mut list = Writer::open(out);
        // The reference wants the id with the newline that ends the hello.
        list.string(&[&self.id, "\n"]);
        list.number(u32::from(self.port));
        list.string(&[&self.server]);
        list.number(self.timeout_ms);
        list.number(self.report_s);
        list.string(&[&self.ssid]);
        list.string(&[&self.password]);
        list.string(&[MARKER]);
        let total = list.close();
        if total > MAX_PAYLOAD || total > out.len() {
            return Err(ConfigError::TooLong(total));
        }
        Ok(total)
    }

    /// Reads the line, with or without its `\n`. A password that is not a valid one passes if it has at most 64 bytes:
    /// published boards do not check it, and an ESP8266 that ignored the line would look dead. The network refuses it, and
    /// the ESP8266 reports that to the board. An id that looks like another one passes, too: the server
    /// refuses it.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] if it is not such a list, else the first value that cannot be used.
    pub fn decode(line: &[u8]) -> Result<Self, ConfigError> {
        let mut config = Self::empty();
        config.read(line)?;
        Ok(config)
    }

    pub(crate) const fn empty() -> Self {
        Self {
            id: String::new(),
            port: 0,
            server: String::new(),
            timeout_ms: 0,
            report_s: 0,
            ssid: String::new(),
            password: String::new(),
        }
    }

    /// Reads the line as [`decode`](Self::decode) does. `self` must be empty; after an error it is
    /// incomplete.
    pub(crate) fn read(&mut self, line: &[u8]) -> Result<(), ConfigError> {
        let mut id: String<{ MAX_ID + 1 }> = String::new();
        let mut marker: String<{ MARKER.len() }> = String::new();
        let mut elements = || {
            let mut list = Reader::open(line)?;
            list.string(id.as_mut_view())?;
            self.port = u16::try_from(list.number()?).ok()?;
            list.string(self.server.as_mut_view())?;
            self.timeout_ms = list.number()?;
            self.report_s = list.number()?;
            list.string(self.ssid.as_mut_view())?;
            list.string(self.password.as_mut_view())?;
            list.string(marker.as_mut_view())?;
            list.close()
        };
        if elements().is_none() || marker != MARKER {
            return Err(ConfigError::Syntax);
        }
        let id = id.strip_suffix('\n').unwrap_or(&id);
        self.id.push_str(id).map_err(|_| ConfigError::Id(BadId::TooLong))?;
        match check_id(id) {
            Ok(()) | Err(BadId::Invisible | BadId::OuterBlank) => self.check_values(),
            Err(why) => Err(ConfigError::Id(why)),
        }
    }
}

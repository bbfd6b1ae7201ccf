//! The settings of an STM32, as bytes: in a flash sector of their own, and compiled into its program.
//!
//! The sector is written by a tool (over SWD or DFU), never by the program, so that new firmware keeps
//! the settings and new settings keep the firmware. What is compiled in counts while the sector is
//! empty. All numbers are little-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `PBLK` |
//! | 4 | 2 | version: 1 |
//! | 6 | 2 | length of what follows the CRC, 3 to 202 bytes |
//! | 8 | 4 | CRC-32 (as in zip and Ethernet) of version, length and what follows |
//! | 12 | 1 | log level: 0 nothing, 1 errors, 2 link state, 3 all lines |
//! | 13 | 1 | bit 0: pass reports on to the server; other bits 0 |
//! | 14 | n | the configuration line, as it goes to the ESP8266, with its `\n` |

use core::fmt;

use pblink_protocol::config::{
    Config, ConfigError, DEFAULT_ID, DEFAULT_PORT, DEFAULT_REPORT_S, DEFAULT_SERVER,
    DEFAULT_TIMEOUT_MS,
};
use pblink_protocol::i2c::MAX_PAYLOAD;

use crate::crc::crc32;

/// The most bytes that settings take.
pub const MAX_SIZE: usize = HEAD + FIXED + MAX_PAYLOAD;

const MAGIC: [u8; 4] = *b"PBLK";
const VERSION: u16 = 1;
const HEAD: usize = 12;
const FIXED: usize = 2;

/// The amount that the console shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    /// Nothing at all.
    Off,
    /// Failures.
    Errors,
    /// Also the state of the link, and reports.
    #[default]
    Link,
    /// Also every line.
    Lines,
}

/// The settings of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Server, network and id.
    pub config: Config,
    /// The amount that the console shows.
    pub log: LogLevel,
    /// True if the ESP8266's reports are passed on to the server.
    pub forward_reports: bool,
}

/// The reason why there are no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsError {
    /// The sector is erased: no settings were written.
    Empty,
    /// Something else is written there.
    Magic,
    /// They were written by another version of the tool.
    Version(u16),
    /// The length is impossible.
    Length(u16),
    /// The check sum is wrong: writing them was interrupted.
    Crc,
    /// A value cannot be used.
    Value,
    /// The configuration cannot be used.
    Config(ConfigError),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no settings are written"),
            Self::Magic => f.write_str("the sector holds something else than settings"),
            Self::Version(v) => write!(f, "the settings have version {v}, this program reads 1"),
            Self::Length(n) => write!(f, "the settings have an impossible length ({n} bytes)"),
            Self::Crc => f.write_str("the settings are damaged: write them again"),
            Self::Value => f.write_str("the settings hold an unknown value: write them again"),
            Self::Config(why) => write!(f, "settings: {why}"),
        }
    }
}

impl core::error::Error for SettingsError {}

impl Settings {
    /// Returns the settings of a board that was given none. The defaults of `pblink.toml` are made from them.
    pub fn built_in() -> Self {
        let config = Config {
            id: heapless::String::try_from(DEFAULT_ID).unwrap_or_default(),
            port: DEFAULT_PORT,
            server: heapless::String::try_from(DEFAULT_SERVER).unwrap_or_default(),
            timeout_ms: DEFAULT_TIMEOUT_MS,
            report_s: DEFAULT_REPORT_S,
            ssid: heapless::String::new(),
            password: heapless::String::new(),
        };
        Self { config, log: LogLevel::default(), forward_reports: true }
    }

    /// Reads the settings at the beginning of `sector`, which may be longer.
    ///
    /// # Errors
    /// See [`SettingsError`].
    ///
    /// ```
    /// use pblink_image::settings::{MAX_SIZE, Settings, SettingsError};
    ///
    /// let mut sector = [0xff; 1024];
    /// assert_eq!(Settings::read(&sector), Err(SettingsError::Empty));
    /// let mut bytes = [0; MAX_SIZE];
    /// let len = Settings::built_in().write(&mut bytes)?;
    /// sector[..len].copy_from_slice(&bytes[..len]);
    /// assert_eq!(Settings::read(&sector)?, Settings::built_in());
    /// # Ok::<(), SettingsError>(())
    /// ```
    pub fn read(sector: &[u8]) -> Result<Self, SettingsError> {
        let Some((head, rest)) = sector.split_first_chunk::<HEAD>() else {
            return Err(SettingsError::Length(0));
        };
        if head.iter().all(|&b| b == 0xff) {
            return Err(SettingsError::Empty);
        }
        let &[m0, m1, m2, m3, v0, v1, l0, l1, c0, c1, c2, c3] = head;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(SettingsError::Magic);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return Err(SettingsError::Version(version));
        }
        let len = u16::from_le_bytes([l0, l1]);
        let Some(body) = rest.get(..usize::from(len)).filter(|b| b.len() <= FIXED + MAX_PAYLOAD)
        else {
            return Err(SettingsError::Length(len));
        };
        if crc32(&[&head[4..8], body]) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(SettingsError::Crc);
        }
        let [log, flags, line @ ..] = body else {
            return Err(SettingsError::Length(len));
        };
        let log = match log {
            0 => LogLevel::Off,
            1 => LogLevel::Errors,
            2 => LogLevel::Link,
            3 => LogLevel::Lines,
            _ => return Err(SettingsError::Value),
        };
        if flags & !1 != 0 {
            return Err(SettingsError::Value);
        }
        let config = Config::decode(line).map_err(SettingsError::Config)?;
        // Decoding is lenient where encoding is not: what cannot be sent is not to be used.
        config.check().map_err(SettingsError::Config)?;
        Ok(Self { config, log, forward_reports: flags & 1 != 0 })
    }

    /// Writes the settings into `out` and returns their length. Round it up with `0xff` as your flash
    /// needs it.
    ///
    /// # Errors
    /// [`SettingsError::Config`] if the configuration cannot be used.
    pub fn write(&self, out: &mut [u8; MAX_SIZE]) -> Result<usize, SettingsError> {
        let (head, body) = out.split_at_mut(HEAD);
        body[0] = self.log as u8;
        body[1] = u8::from(self.forward_reports);
        let len = self.config.encode(&mut body[FIXED..]).map_err(SettingsError::Config)? + FIXED;
        head[..4].copy_from_slice(&MAGIC);
        head[4..6].copy_from_slice(&VERSION.to_le_bytes());
        head[6..8].copy_from_slice(&(len as u16).to_le_bytes());
        let crc = crc32(&[&head[4..8], &body[..len]]);
        head[8..12].copy_from_slice(&crc.to_le_bytes());
        Ok(HEAD + len)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn written(settings: &Settings) -> Vec<u8> {
        let mut out = [0; MAX_SIZE];
        let len = settings.write(&mut out).expect("good settings");
        let mut sector = vec![0xff; 1024];
        sector[..len].copy_from_slice(&out[..len]);
        sector
    }

    #[test]
    fn what_is_written_is_read() {
        let mut settings = Settings::built_in();
        for (log, forward) in [(LogLevel::Off, true), (LogLevel::Lines, false)] {
            settings.log = log;
            settings.forward_reports = forward;
            settings.config.ssid = heapless::String::try_from("net \"7\"").expect("short");
            settings.config.password = heapless::String::try_from("secret\\word").expect("short");
            assert_eq!(Settings::read(&written(&settings)), Ok(settings.clone()));
            let key = "0123456789abcdef".repeat(4);
            settings.config.password = heapless::String::try_from(&*key).expect("64 digits");
            assert_eq!(Settings::read(&written(&settings)), Ok(settings.clone()));
        }
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let settings = Settings::built_in();
        let good = written(&settings);
        let len = usize::from(u16::from_le_bytes([good[6], good[7]])) + HEAD;
        for bit in 0..len * 8 {
            let mut sector = good.clone();
            sector[bit / 8] ^= 1 << (bit % 8);
            assert!(Settings::read(&sector).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_settings_is_named() {
        let good = written(&Settings::built_in());
        assert_eq!(Settings::read(&[0xff; 1024]), Err(SettingsError::Empty));
        assert_eq!(Settings::read(&[0; 1024]), Err(SettingsError::Magic));
        assert_eq!(Settings::read(&[]), Err(SettingsError::Length(0)));
        for cut in 0..HEAD {
            assert_eq!(Settings::read(&good[..cut]), Err(SettingsError::Length(0)), "{cut}");
        }
        let mut newer = good.clone();
        newer[4] = 2;
        assert_eq!(Settings::read(&newer), Err(SettingsError::Version(2)));
        let mut long = good.clone();
        long[7] = 1;
        assert!(matches!(Settings::read(&long), Err(SettingsError::Length(_))));
        let len = usize::from(u16::from_le_bytes([good[6], good[7]])) + HEAD;
        assert!(matches!(Settings::read(&good[..len - 1]), Err(SettingsError::Length(_))));
    }

    #[test]
    fn values_that_a_good_check_sum_covers_are_still_checked() {
        let reject = |change: &dyn Fn(&mut [u8])| {
            let mut sector = written(&Settings::built_in());
            change(&mut sector);
            let len = usize::from(u16::from_le_bytes([sector[6], sector[7]])) + HEAD;
            let crc = crc32(&[&sector[4..8], &sector[HEAD..len]]);
            sector[8..12].copy_from_slice(&crc.to_le_bytes());
            Settings::read(&sector)
        };
        assert_eq!(reject(&|s| s[12] = 4), Err(SettingsError::Value));
        assert_eq!(reject(&|s| s[13] = 3), Err(SettingsError::Value));
        assert_eq!(reject(&|s| s[14] = b'x'), Err(SettingsError::Config(ConfigError::Syntax)));
    }
}

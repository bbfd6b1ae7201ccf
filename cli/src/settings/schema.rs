//! The keys of `pblink.toml`: what each allows, how it gets into [`Settings`] and out again.
//!
//! One table drives reading, `config show` and `config set`, so that they cannot disagree.

use std::fmt;
use std::net::IpAddr;

use pblink_image::settings::LogLevel;

use super::{App, Protocol, Settings};

/// A value of the file, as far as any key needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Value>),
    /// A kind of value that no key takes, such as a date.
    Other(String),
}

/// What a word on the command line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Bool,
    List,
}

/// One key.
pub(crate) struct Entry {
    /// Section and name, as in `server.port`.
    pub key: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
    /// Completes "must be …".
    pub allowed: &'static str,
    /// Puts a value into the settings; `None` when it is not allowed.
    apply: fn(&mut Settings, &Value) -> Option<()>,
    /// The value that the settings have.
    get: fn(&Settings) -> Value,
}

/// All keys, in the order of the template.
pub(crate) static KEYS: [Entry; 15] = [
    Entry {
        key: "server.host",
        kind: Kind::Text,
        allowed: "the IP address or host name that boards connect to, such as \"192.168.0.42\"",
        apply: |s, v| set(&mut s.server.host, v.text().filter(|t| is_host(t))?.to_owned()),
        get: |s| s.server.host.as_str().into(),
    },
    Entry {
        key: "server.port",
        kind: Kind::Integer,
        allowed: "a whole number from 1 to 65535",
        apply: |s, v| set(&mut s.server.port, u16::try_from(v.within(1, 65535)?).ok()?),
        get: |s| Value::Integer(s.server.port.into()),
    },
    Entry {
        key: "server.listen",
        kind: Kind::Text,
        allowed: "an IP address of this machine, \"0.0.0.0\" (any IPv4) or \"::\" (any)",
        apply: |s, v| set(&mut s.server.listen, v.text()?.parse().ok()?),
        get: |s| s.server.listen.to_string().into(),
    },
    Entry {
        key: "server.timeout_ms",
        kind: Kind::Integer,
        allowed: "a whole number of milliseconds from 100 to 60000 (keepalives go out four times \
                  as often: less would flood the WiFi, more would hide an outage)",
        apply: |s, v| set(&mut s.server.timeout_ms, u32::try_from(v.within(100, 60_000)?).ok()?),
        get: |s| Value::Integer(s.server.timeout_ms.into()),
    },
    Entry {
        key: "server.clients",
        kind: Kind::List,
        allowed: "a list of different connection ids of 1 to 64 bytes, such as [\"1\", \"2\"]; [] is any",
        apply: |s, v| set(&mut s.server.clients, ids(v)?),
        get: |s| Value::List(s.server.clients.iter().map(|c| c.as_str().into()).collect()),
    },
    Entry {
        key: "server.app",
        kind: Kind::Text,
        allowed: "\"demo\", \"echo\" or \"log\"",
        apply: |s, v| {
            let app = match v.text()? {
                "demo" => App::Demo,
                "echo" => App::Echo,
                "log" => App::Log,
                _ => return None,
            };
            set(&mut s.server.app, app)
        },
        get: |s| s.server.app.to_string().into(),
    },
    Entry {
        key: "server.control",
        kind: Kind::Text,
        allowed: "an IP address and port, such as \"127.0.0.1:8124\", or \"off\"",
        apply: |s, v| {
            let control = match v.text()? {
                "off" => None,
                address => Some(address.parse().ok()?),
            };
            set(&mut s.server.control, control)
        },
        get: |s| s.server.control.map_or("off".into(), |a| a.to_string().into()),
    },
    Entry {
        key: "wifi.ssid",
        kind: Kind::Text,
        allowed: "the network's name: text of at most 32 bytes without control characters; \"\" \
                  is the network that the ESP8266 remembers",
        apply: |s, v| {
            let ssid = v.text().filter(|t| t.len() <= 32 && !t.contains(char::is_control))?;
            set(&mut s.wifi.ssid, ssid.to_owned())
        },
        get: |s| s.wifi.ssid.as_str().into(),
    },
    Entry {
        key: "wifi.secrets",
        kind: Kind::Text,
        allowed: "the path of the secrets file, such as \"pblink.secrets.toml\"",
        apply: |s, v| {
            let path = v.text().filter(|t| !t.is_empty() && !t.contains(char::is_control))?;
            set(&mut s.wifi.secrets, path.into())
        },
        get: |s| s.wifi.secrets.display().to_string().into(),
    },
    Entry {
        key: "board.id",
        kind: Kind::Text,
        allowed: "a connection id: text of 1 to 64 bytes without newlines and control characters",
        apply: |s, v| set(&mut s.board.id, v.text().filter(|t| is_id(t))?.to_owned()),
        get: |s| s.board.id.as_str().into(),
    },
    Entry {
        key: "board.report_s",
        kind: Kind::Integer,
        allowed: "a whole number of seconds from 0 (never) to 86400 (once a day)",
        apply: |s, v| set(&mut s.board.report_s, u32::try_from(v.within(0, 86_400)?).ok()?),
        get: |s| Value::Integer(s.board.report_s.into()),
    },
    Entry {
        key: "board.forward_reports",
        kind: Kind::Bool,
        allowed: "true or false",
        apply: |s, v| match v {
            Value::Bool(forward) => set(&mut s.board.forward_reports, *forward),
            _ => None,
        },
        get: |s| Value::Bool(s.board.forward_reports),
    },
    Entry {
        key: "board.log",
        kind: Kind::Text,
        allowed: "\"off\", \"errors\", \"link\" or \"lines\"",
        apply: |s, v| {
            let (level, _) = LOG_LEVELS.into_iter().find(|(_, name)| v.text() == Some(name))?;
            set(&mut s.board.log, level)
        },
        get: |s| log_name(s.board.log).into(),
    },
    Entry {
        key: "link.protocol",
        kind: Kind::Text,
        allowed: "\"classic\"",
        apply: |s, v| match v.text()? {
            "classic" => set(&mut s.link.protocol, Protocol::Classic),
            _ => None,
        },
        get: |s| s.link.protocol.to_string().into(),
    },
    Entry {
        key: "build.esp8266_sdk",
        kind: Kind::Text,
        allowed: "the path of the ESP8266_NONOS_SDK's folder; \"\" is none",
        apply: |s, v| {
            let path = v.text().filter(|t| !t.contains(char::is_control))?;
            set(&mut s.build.esp8266_sdk, path.into())
        },
        get: |s| s.build.esp8266_sdk.display().to_string().into(),
    },
];

/// The levels of a board's console, and what they are called.
const LOG_LEVELS: [(LogLevel, &str); 4] = [
    (LogLevel::Off, "off"),
    (LogLevel::Errors, "errors"),
    (LogLevel::Link, "link"),
    (LogLevel::Lines, "lines"),
];

/// What `board.log` calls a level.
pub(crate) fn log_name(level: LogLevel) -> &'static str {
    LOG_LEVELS.into_iter().find(|(other, _)| *other == level).map_or("", |(_, name)| name)
}

/// The key with that name.
pub(crate) fn entry(key: &str) -> Option<&'static Entry> {
    KEYS.iter().find(|entry| entry.key == key)
}

impl Entry {
    /// The section and the name in it.
    pub(crate) fn split(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').expect("every key stands in a section")
    }

    /// Puts a value into the settings.
    ///
    /// # Errors
    /// What is allowed, and what was given.
    pub(crate) fn apply(&self, settings: &mut Settings, value: &Value) -> Result<(), String> {
        (self.apply)(settings, value).ok_or_else(|| self.refusal(value))
    }

    /// The value that the settings have.
    pub(crate) fn get(&self, settings: &Settings) -> Value {
        (self.get)(settings)
    }

    /// The value that words of the command line stand for. A word that is no number where one is
    /// needed stays text: [`apply`](Self::apply) then says what is allowed.
    ///
    /// # Errors
    /// How many words the key takes.
    pub(crate) fn value_of(&self, words: &[String]) -> Result<Value, String> {
        if self.kind == Kind::List {
            return match words {
                [] => Err(format!("`{}` needs a value; [] makes the list empty", self.key)),
                [empty] if empty == "[]" => Ok(Value::List(Vec::new())),
                words => Ok(Value::List(words.iter().map(|w| w.as_str().into()).collect())),
            };
        }
        let [word] = words else {
            return Err(format!("`{}` takes one value, not {}", self.key, words.len()));
        };
        Ok(match self.kind {
            Kind::Integer => word.parse().map_or_else(|_| word.as_str().into(), Value::Integer),
            Kind::Bool => word.parse().map_or_else(|_| word.as_str().into(), Value::Bool),
            Kind::Text | Kind::List => word.as_str().into(),
        })
    }

    /// The words of an answer: a list takes several, everything else is one.
    pub(crate) fn words(&self, answer: &str) -> Vec<String> {
        match self.kind {
            Kind::List => answer.split_whitespace().map(str::to_owned).collect(),
            _ if answer.is_empty() => Vec::new(),
            _ => vec![answer.to_owned()],
        }
    }

    fn refusal(&self, value: &Value) -> String {
        let hint = match value {
            Value::Text(text) if self.kind == Kind::Integer && text.parse::<i64>().is_ok() => {
                " (write it without quotes)"
            }
            Value::Integer(_) if self.kind == Kind::Text => " (write it with quotes)",
            _ => "",
        };
        format!("`{}` must be {}, not {value}{hint}", self.key, self.allowed)
    }
}

impl Value {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn within(&self, least: i64, most: i64) -> Option<i64> {
        match self {
            Self::Integer(n) if (least..=most).contains(n) => Some(*n),
            _ => None,
        }
    }

    /// The value as it is typed: the inverse of [`Entry::words`].
    pub(crate) fn typed(&self) -> String {
        match self {
            Self::Text(text) | Self::Other(text) => text.clone(),
            Self::List(list) if list.is_empty() => "[]".to_owned(),
            Self::List(list) => list.iter().map(Self::typed).collect::<Vec<_>>().join(" "),
            other => other.to_string(),
        }
    }

    /// The value in JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) | Self::Other(text) => text.as_str().into(),
            Self::Integer(n) => (*n).into(),
            Self::Bool(b) => (*b).into(),
            Self::List(list) => list.iter().map(Self::to_json).collect(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// As in TOML. A long text is cut, since it stands in error messages; `{:#}` shows all of it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        match self {
            Self::Text(text) if !f.alternate() && text.chars().count() > SHOWN => {
                let start: String = text.chars().take(SHOWN).collect();
                write!(f, "{start:?}... ({} bytes)", text.len())
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Other(what) => f.write_str(what),
            Self::List(list) => {
                f.write_str("[")?;
                for (i, value) in list.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    fmt::Display::fmt(value, f)?;
                }
                f.write_str("]")
            }
        }
    }
}

fn set<T>(place: &mut T, value: T) -> Option<()> {
    *place = value;
    Some(())
}

/// Connection ids are the first line that a client sends, so they cannot hold a newline.
fn is_id(text: &str) -> bool {
    pblink_protocol::tcp::line::check_id(text).is_ok()
}

fn ids(value: &Value) -> Option<Vec<String>> {
    let Value::List(list) = value else {
        return None;
    };
    let mut ids: Vec<String> = Vec::with_capacity(list.len());
    for value in list {
        let id = value.text().filter(|id| is_id(id) && !ids.iter().any(|known| known == id))?;
        ids.push(id.to_owned());
    }
    Some(ids)
}

fn is_host(text: &str) -> bool {
    if let Ok(ip) = text.parse::<IpAddr>() {
        // A board cannot connect to "any address".
        return !ip.is_unspecified();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    // Digits and dots only: a mistyped IPv4 address, which no name server knows.
    let mistyped = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    name.len() <= 253 && !mistyped && name.split('.').all(label)
}

/// Says that there is no such key, and which one was probably meant.
pub(crate) fn unknown_key(given: &str) -> String {
    if let Some(near) = nearest_key(given) {
        return format!("unknown key `{given}`; did you mean `{near}`?");
    }
    let section = given.split_once('.').map_or("", |(section, _)| section);
    let names: Vec<_> =
        KEYS.iter().map(Entry::split).filter(|(s, _)| *s == section).map(|(_, n)| n).collect();
    if names.is_empty() {
        format!("unknown key `{given}`; the sections are {}", sections().join(", "))
    } else {
        format!("unknown key `{given}`; the keys of [{section}] are {}", names.join(", "))
    }
}

/// Says that there is no such section, and which one was probably meant.
pub(crate) fn unknown_section(given: &str) -> String {
    let near = sections().into_iter().map(|s| (strsim::damerau_levenshtein(given, s), s)).min();
    match near {
        Some((distance, near)) if distance <= 2 => {
            format!("unknown section `{given}`; did you mean `{near}`?")
        }
        _ => format!("unknown section `{given}`; the sections are {}", sections().join(", ")),
    }
}

/// The sections, in the order of the template.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = KEYS.iter().map(|entry| entry.split().0).collect();
    sections.dedup();
    sections
}

/// The key whose spelling is nearest, in whichever section.
fn nearest_key(given: &str) -> Option<&'static str> {
    let leaf = given.rsplit('.').next().unwrap_or(given);
    let score = |entry: &Entry| {
        let (_, name) = entry.split();
        let whole = strsim::damerau_levenshtein(given, entry.key);
        // The right name in the wrong section is as near as one wrong letter.
        let moved = 1 + strsim::damerau_levenshtein(leaf, name);
        let tolerance = 1 + name.len() / 3;
        let score = whole.min(moved);
        (score <= tolerance).then_some((score, entry.key))
    };
    KEYS.iter().filter_map(score).min_by_key(|(score, _)| *score).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_across_typos_and_sections() {
        for (given, near) in [
            ("server.prot", Some("server.port")),
            ("port", Some("server.port")),
            ("wifi.port", Some("server.port")),
            ("server.timeout", Some("server.timeout_ms")),
            ("server.timeoutms", Some("server.timeout_ms")),
            ("board.report", Some("board.report_s")),
            ("wifi.sid", Some("wifi.ssid")),
            ("server.client", Some("server.clients")),
            ("server.colour", None),
        ] {
            assert_eq!(nearest_key(given), near, "{given}");
        }
        assert!(unknown_key("server.colour").contains("the keys of [server] are host, port"));
        assert!(unknown_key("colour").contains("the sections are server, wifi, board, link"));
    }

    #[test]
    fn hosts_are_addresses_or_names() {
        for good in ["192.168.0.42", "fe80::1", "pi", "my-server.local", "a.example.", "my_pc"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "0.0.0.0", "::", "192.168.0.420", "a b", "-a", "a..b", "http://x", "x:1"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn every_default_is_allowed_by_its_own_key() {
        let mut settings = Settings::default();
        for entry in &KEYS {
            let value = entry.get(&settings);
            entry.apply(&mut settings, &value).unwrap();
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn limits_hold_at_both_ends() {
        let mut settings = Settings::default();
        let mut allowed = |key, value| entry(key).unwrap().apply(&mut settings, &value).is_ok();
        for (key, least, most) in [
            ("server.port", 1, 65535),
            ("server.timeout_ms", 100, 60_000),
            ("board.report_s", 0, 86_400),
        ] {
            assert!(allowed(key, Value::Integer(least)) && allowed(key, Value::Integer(most)));
            assert!(!allowed(key, Value::Integer(least - 1)), "{key}");
            assert!(!allowed(key, Value::Integer(most + 1)), "{key}");
        }
        // 32 bytes, not 32 characters.
        assert!(allowed("wifi.ssid", "é".repeat(16).into()));
        assert!(!allowed("wifi.ssid", "é".repeat(17).into()));
        assert!(!allowed("board.id", "a\nb".into()));
        assert!(!allowed("board.id", "".into()));
        assert!(!allowed("server.clients", Value::List(vec!["1".into(), "1".into()])));
    }
}

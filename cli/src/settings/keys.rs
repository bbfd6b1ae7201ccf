//! The keys of `pblink.toml` that stand in it once.

use pblink_image::settings::LogLevel;
use pblink_protocol::config::MAX_SSID;
use pblink_protocol::tcp::line::check_id;

use super::key::{Key, Rule};
use super::limits;
use super::value::Value;
use super::{App, Board, BoardKind, CoprocessorKind, Pins, Settings};
use crate::address::{Control, GatewayAddress, is_host, parse_ip};

/// A key of `pblink.toml`.
pub(crate) type Entry = Key<Settings>;

/// All of them, in the order of the template.
pub(crate) static KEYS: [Entry; 42] = [
    Key {
        path: "server.host",
        rule: Rule::Text,
        allowed: "the IP address or host name that boards connect to, such as \"192.168.0.42\"",
        put: |s, _, v| set(&mut s.server.host, v.text().filter(|t| is_host(t))?.to_owned()),
        get: |s| s.server.host.as_str().into(),
    },
    Key {
        path: "server.port",
        rule: Rule::Number(limits::PORT),
        allowed: "",
        put: |s, _, v| set(&mut s.server.port, v.number()?),
        get: |s| Value::Integer(s.server.port.into()),
    },
    Key {
        path: "server.listen",
        rule: Rule::Text,
        allowed: "an IP address of this machine, \"0.0.0.0\" (any IPv4), \"::\" (any) or \"localhost\"",
        put: |s, _, v| set(&mut s.server.listen, parse_ip(v.text()?)?),
        get: |s| s.server.listen.to_string().into(),
    },
    Key {
        path: "server.timeout_ms",
        rule: Rule::Number(limits::TIMEOUT),
        allowed: " (keepalives go out four times as often: less would flood the WiFi, more would hide \
                  an outage)",
        put: |s, _, v| set(&mut s.server.timeout_ms, v.number()?),
        get: |s| Value::Integer(s.server.timeout_ms.into()),
    },
    Key {
        path: "server.clients",
        rule: Rule::Ids,
        allowed: "a list of different ids of 1 to 64 bytes without invisible characters, such as \
                  [\"1\", \"2\"]; [] is any",
        put: |s, _, v| set(&mut s.server.clients, ids(v)?),
        get: |s| Value::List(s.server.clients.iter().map(|c| c.as_str().into()).collect()),
    },
    Key {
        path: "server.app",
        rule: Rule::Choice(
            &[App::Print.name(), App::Echo.name(), App::Demo.name()],
            &[(App::OLD_PRINT, App::Print.name())],
        ),
        allowed: "",
        put: |s, _, v| set(&mut s.server.app, v.text()?.parse().ok()?),
        get: |s| s.server.app.to_string().into(),
    },
    Key {
        path: "server.log",
        rule: Rule::Choice(&["error", "warn", "info", "debug", "trace"], &[]),
        allowed: "",
        put: |s, _, v| set(&mut s.server.log, v.text()?.parse().ok()?),
        get: |s| s.server.log.as_str().to_ascii_lowercase().into(),
    },
    Key {
        path: "server.control",
        rule: Rule::Text,
        allowed: "an IP address and port, such as \"127.0.0.1:8124\", or \"off\"",
        put: |s, _, v| set(&mut s.server.control, v.text()?.parse::<Control>().ok()?.0),
        get: |s| s.server.control.map_or("off".into(), |a| a.to_string().into()),
    },
    Key {
        path: "server.state",
        rule: Rule::Text,
        allowed: "a folder for the log of lines, \"off\" (in memory only), or \"\" (the usual folder of this user \
                  or service)",
        put: |s, _, v| {
            let text = v.text().filter(|text| !text.contains(char::is_control))?;
            set(&mut s.server.state, text.parse().ok()?)
        },
        get: |s| s.server.state.to_string().into(),
    },
    Key {
        path: "server.keep_days",
        rule: Rule::Number(limits::KEEP_DAYS),
        allowed: "",
        put: |s, _, v| set(&mut s.server.keep_days, v.number()?),
        get: |s| Value::Integer(s.server.keep_days.into()),
    },
    Key {
        path: "server.keep_mb",
        rule: Rule::Number(limits::KEEP_MB),
        allowed: "",
        put: |s, _, v| set(&mut s.server.keep_mb, v.number()?),
        get: |s| Value::Integer(s.server.keep_mb.into()),
    },
    Key {
        path: "server.commit_every_ms",
        rule: Rule::Number(limits::COMMIT_EVERY),
        allowed: "",
        put: |s, _, v| set(&mut s.server.commit_every_ms, v.number()?),
        get: |s| Value::Integer(s.server.commit_every_ms.into()),
    },
    Key {
        path: "control.token_file",
        rule: Rule::Text,
        allowed: "the path of the file with the token; \"\" is one in the state folder",
        put: |s, _, v| set(&mut s.control.token_file, path(v)?),
        get: |s| s.control.token_file.display().to_string().into(),
    },
    Key {
        path: "control.hosts",
        rule: Rule::Ids,
        allowed: "a list of different host names of this machine, such as [\"pi.local\"]",
        put: |s, _, v| set(&mut s.control.hosts, hosts(v)?),
        get: |s| Value::List(s.control.hosts.iter().map(|h| h.as_str().into()).collect()),
    },
    Key {
        path: "store.url",
        rule: Rule::Url,
        allowed: "URLs of NATS servers such as \"nats://10.0.0.5:4222\", with commas between, or \"tls://\" for TLS; \"\" is \
                  none. Credentials have a key of their own, store.credentials_file",
        put: |s, _, v| set(&mut s.store.url, v.text().filter(|t| is_store(t))?.to_owned()),
        get: |s| s.store.url.as_str().into(),
    },
    Key {
        path: "store.name",
        rule: Rule::Text,
        allowed: "the stream's name: 1 to 64 letters, digits, - and _",
        put: |s, _, v| set(&mut s.store.name, v.text().filter(|t| is_plain(t))?.to_owned()),
        get: |s| s.store.name.as_str().into(),
    },
    Key {
        path: "store.gateway",
        rule: Rule::Text,
        allowed: "this server's name: 1 to 64 letters, digits, - and _; \"\" is this machine's with the port",
        put: |s, _, v| {
            let fits = |t: &&str| t.is_empty() || is_plain(t);
            set(&mut s.store.gateway, v.text().filter(fits)?.to_owned())
        },
        get: |s| s.store.gateway.as_str().into(),
    },
    Key {
        path: "store.address",
        rule: Rule::Text,
        allowed: "the address and port at which the other gateways reach this one, such as \"10.0.0.5:8125\", or one of them; \
                  \"\" is chosen by the server, \"off\" passes no connections on",
        put: |s, _, v| {
            let fits = |t: &&str| t.parse::<GatewayAddress>().is_ok();
            set(&mut s.store.address, v.text().filter(fits)?.to_owned())
        },
        get: |s| s.store.address.as_str().into(),
    },
    Key {
        path: "store.credentials_file",
        rule: Rule::Text,
        allowed: "the path of a file with credentials: a .creds file of NATS, or one line USER:PASSWORD; \"\" is none",
        put: |s, _, v| set(&mut s.store.credentials_file, path(v)?),
        get: |s| s.store.credentials_file.display().to_string().into(),
    },
    Key {
        path: "store.ca_file",
        rule: Rule::Text,
        allowed: "the path of a file with certificates (PEM); \"\" is those that the system trusts",
        put: |s, _, v| set(&mut s.store.ca_file, path(v)?),
        get: |s| s.store.ca_file.display().to_string().into(),
    },
    Key {
        path: "mqtt.url",
        rule: Rule::Url,
        allowed: "the URL of a broker, such as \"mqtt://localhost\" or, with TLS, \"mqtts://broker.example:8883\"; \"\" is \
                  none. User and password have keys of their own, mqtt.user and mqtt.password_file",
        put: |s, _, v| set(&mut s.mqtt.url, v.text().filter(|t| is_broker(t))?.to_owned()),
        get: |s| s.mqtt.url.as_str().into(),
    },
    Key {
        path: "mqtt.prefix",
        rule: Rule::Text,
        allowed: "the first levels of all topics: 1 to 64 bytes, such as \"pblink\" or \"site/pblink\", without + and #",
        put: |s, _, v| set(&mut s.mqtt.prefix, v.text().filter(|t| is_prefix(t))?.to_owned()),
        get: |s| s.mqtt.prefix.as_str().into(),
    },
    Key {
        path: "mqtt.client_id",
        rule: Rule::Text,
        allowed: "the server's name at the broker, at most 64 bytes; \"\" is one made of this machine's name and the port",
        put: |s, _, v| set(&mut s.mqtt.client_id, name(v)?),
        get: |s| s.mqtt.client_id.as_str().into(),
    },
    Key {
        path: "mqtt.user",
        rule: Rule::Text,
        allowed: "the user at the broker, at most 64 bytes; \"\" is none",
        put: |s, _, v| set(&mut s.mqtt.user, name(v)?),
        get: |s| s.mqtt.user.as_str().into(),
    },
    Key {
        path: "mqtt.password_file",
        rule: Rule::Text,
        allowed: "the path of the file with the broker's password; \"\" is none",
        put: |s, _, v| set(&mut s.mqtt.password_file, path(v)?),
        get: |s| s.mqtt.password_file.display().to_string().into(),
    },
    Key {
        path: "mqtt.ca_file",
        rule: Rule::Text,
        allowed: "the path of a file with certificates (PEM); \"\" are those that the system trusts",
        put: |s, _, v| set(&mut s.mqtt.ca_file, path(v)?),
        get: |s| s.mqtt.ca_file.display().to_string().into(),
    },
    Key {
        path: "mqtt.cert_file",
        rule: Rule::Text,
        allowed: "the path of the server's certificate (PEM); \"\" is none",
        put: |s, _, v| set(&mut s.mqtt.cert_file, path(v)?),
        get: |s| s.mqtt.cert_file.display().to_string().into(),
    },
    Key {
        path: "mqtt.key_file",
        rule: Rule::Text,
        allowed: "the path of that certificate's private key (PEM); \"\" is none",
        put: |s, _, v| set(&mut s.mqtt.key_file, path(v)?),
        get: |s| s.mqtt.key_file.display().to_string().into(),
    },
    Key {
        path: "mqtt.payload",
        rule: Rule::Choice(&["text", "json"], &[]),
        allowed: "",
        put: |s, _, v| set(&mut s.mqtt.json, v.text()? == "json"),
        get: |s| if s.mqtt.json { "json".into() } else { "text".into() },
    },
    Key {
        path: "mqtt.home_assistant",
        rule: Rule::Bool,
        allowed: "",
        put: |s, _, v| set(&mut s.mqtt.home_assistant, flag(v)?),
        get: |s| Value::Bool(s.mqtt.home_assistant),
    },
    Key {
        path: "wifi.ssid",
        rule: Rule::Verbatim,
        allowed: "the network's name: text of at most 32 bytes without control characters; \"\" \
                  is the network that the ESP8266 remembers",
        put: |s, _, v| {
            let fits = |t: &&str| t.len() <= MAX_SSID && !t.contains(char::is_control);
            set(&mut s.wifi.ssid, v.text().filter(fits)?.to_owned())
        },
        get: |s| s.wifi.ssid.as_str().into(),
    },
    Key {
        path: "wifi.secrets",
        rule: Rule::Text,
        allowed: "the path of the secrets file, such as \"pblink.secrets.toml\"",
        put: |s, _, v| {
            let path = v.text().filter(|t| !t.is_empty() && !t.contains(char::is_control))?;
            set(&mut s.wifi.secrets, path.into())
        },
        get: |s| s.wifi.secrets.display().to_string().into(),
    },
    Key {
        path: "board.id",
        rule: Rule::Text,
        allowed: "an id: text of 1 to 64 bytes without invisible characters, and without blanks at its \
                  beginning and end",
        put: |s, at, v| {
            set(&mut board(s, at)?.id, v.text().filter(|t| check_id(t).is_ok())?.to_owned())
        },
        get: |s| s.board.id.as_str().into(),
    },
    Key {
        path: "board.kind",
        rule: Rule::Choice(&BoardKind::NAMES, &[]),
        allowed: "",
        put: |s, at, v| set(&mut board(s, at)?.kind, BoardKind::named(v.text()?)?),
        get: |s| s.board.kind.name().into(),
    },
    Key {
        path: "board.coprocessor",
        rule: Rule::Choice(&CoprocessorKind::NAMES, &[]),
        allowed: "",
        put: |s, at, v| set(&mut board(s, at)?.coprocessor, CoprocessorKind::named(v.text()?)?),
        get: |s| s.board.coprocessor.name().into(),
    },
    Key {
        path: "board.report_s",
        rule: Rule::Number(limits::REPORT),
        allowed: "; 0 is never",
        put: |s, at, v| set(&mut board(s, at)?.report_s, v.number()?),
        get: |s| Value::Integer(s.board.report_s.into()),
    },
    Key {
        path: "board.forward_reports",
        rule: Rule::Bool,
        allowed: "",
        put: |s, at, v| set(&mut board(s, at)?.forward_reports, flag(v)?),
        get: |s| Value::Bool(s.board.forward_reports),
    },
    Key {
        path: "board.log",
        rule: Rule::Choice(&["off", "errors", "link", "lines"], &[]),
        allowed: "",
        put: |s, at, v| {
            let (level, _) = LOG_LEVELS.into_iter().find(|(_, name)| v.text() == Some(name))?;
            set(&mut board(s, at)?.log, level)
        },
        get: |s| log_name(s.board.log).into(),
    },
    Key {
        path: "board.pins",
        rule: Rule::Ids,
        allowed: "a list of five different pins of the Pyboard, for scl, sda, syn, reset and ack, such as \
                  [\"X9\", \"X10\", \"X11\", \"X12\", \"Y8\"]; scl and sda are X9 and X10, or Y9 and Y10, where \
                  MicroPython has an I2C that can be a slave",
        put: |s, at, v| set(&mut board(s, at)?.pins, Pins::read(v)?),
        get: |s| s.board.pins.value(),
    },
    Key {
        path: "link.keys",
        rule: Rule::Text,
        allowed: "the path of the server's file of keys, such as \"pblink.keys.toml\"; \"\" is none",
        put: |s, _, v| set(&mut s.link.keys, path(v)?),
        get: |s| s.link.keys.display().to_string().into(),
    },
    Key {
        path: "link.classic",
        rule: Rule::Ids,
        allowed: "a list of different ids of boards that get no keys; [] is none",
        put: |s, _, v| set(&mut s.link.classic, ids(v)?),
        get: |s| Value::List(s.link.classic.iter().map(|c| c.as_str().into()).collect()),
    },
    Key {
        path: "build.esp8266_sdk",
        rule: Rule::Text,
        allowed: "the path of the ESP8266_NONOS_SDK's folder; \"\" is none",
        put: |s, _, v| set(&mut s.build.esp8266_sdk, path(v)?),
        get: |s| s.build.esp8266_sdk.display().to_string().into(),
    },
];

/// Returns the board that a key is one of: of `[board]`, or of the `[[board]]` of this number.
fn board<'a>(settings: &'a mut Settings, at: &[usize]) -> Option<&'a mut Board> {
    match at {
        [] => Some(&mut settings.board),
        [n, ..] => settings.boards.get_mut(*n),
    }
}

/// The levels of a board's console, and their names.
const LOG_LEVELS: [(LogLevel, &str); 4] = [
    (LogLevel::Off, "off"),
    (LogLevel::Errors, "errors"),
    (LogLevel::Link, "link"),
    (LogLevel::Lines, "lines"),
];

/// Returns the name that `board.log` has for a level.
pub(crate) fn log_name(level: LogLevel) -> &'static str {
    LOG_LEVELS.into_iter().find(|(other, _)| *other == level).map_or("", |(_, name)| name)
}

/// Returns the key with that path.
pub(crate) fn entry(path: &str) -> Option<&'static Entry> {
    KEYS.iter().find(|entry| entry.path == path)
}

pub(super) fn set<T>(place: &mut T, value: T) -> Option<()> {
    *place = value;
    Some(())
}

pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        _ => None,
    }
}

/// Returns a path; an empty one is none.
fn path(value: &Value) -> Option<std::path::PathBuf> {
    value.text().filter(|text| !text.contains(char::is_control)).map(Into::into)
}

/// Returns the name of somebody at a broker; an empty one is none.
fn name(value: &Value) -> Option<String> {
    let fits = |text: &&str| text.len() <= 64 && !text.contains(char::is_control);
    value.text().filter(fits).map(str::to_owned)
}

fn is_broker(url: &str) -> bool {
    #[cfg(feature = "mqtt")]
    let known = url.parse::<pblink_serve::consumers::mqtt::Broker>().is_ok();
    #[cfg(not(feature = "mqtt"))]
    let known = url.starts_with("mqtt") && !url.contains('@');
    url.is_empty() || known
}

/// Returns true for URLs that name no user: a password in them would stand where everybody may read.
fn is_store(urls: &str) -> bool {
    let is_one = |url: &str| {
        let host = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
        host.is_some_and(|host| {
            !host.is_empty() && !host.contains(|c: char| c == '@' || c == '/' || c.is_whitespace())
        })
    };
    urls.is_empty() || urls.split(',').all(is_one)
}

/// Returns true for a name that can be part of a subject of NATS.
fn is_plain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

fn is_prefix(prefix: &str) -> bool {
    #[cfg(feature = "mqtt")]
    let fits = pblink_serve::consumers::mqtt::check_prefix(prefix).is_ok();
    #[cfg(not(feature = "mqtt"))]
    let fits = !prefix.is_empty();
    fits
}

pub(super) fn ids(value: &Value) -> Option<Vec<String>> {
    let Value::List(list) = value else {
        return None;
    };
    let mut known = std::collections::BTreeSet::new();
    let ids = list.iter().map(|value| {
        let id = value.text().filter(|id| check_id(id).is_ok() && known.insert(*id))?;
        Some(id.to_owned())
    });
    ids.collect()
}

fn hosts(value: &Value) -> Option<Vec<String>> {
    let Value::List(list) = value else {
        return None;
    };
    let mut known = std::collections::BTreeSet::new();
    let hosts = list.iter().map(|value| {
        let host = value.text().filter(|host| is_host(host) && known.insert(*host))?;
        Some(host.to_owned())
    });
    hosts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn every_number_has_the_default_of_its_limits() {
        for entry in &KEYS {
            if let Rule::Number(limits) = entry.rule {
                let default = Value::Integer(limits.default.into());
                assert_eq!(entry.get(&Settings::default()), default, "{}", entry.path);
            }
        }
    }

    #[test]
    fn an_address_with_a_zone_is_refused_with_the_reason() {
        let refused = |key: &str| {
            let value = "fe80::1%eth0".into();
            entry(key).unwrap().apply(&mut Settings::default(), &value).unwrap_err()
        };
        assert!(refused("server.host").ends_with("pblink simulate --server)"));
        for key in ["server.listen", "server.control"] {
            assert!(
                refused(key).ends_with("(listen at \"::\", which includes addresses with a zone)")
            );
        }
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

    #[test]
    fn times_may_have_units() {
        let mut settings = Settings::default();
        let mut put = |key, text: &str| entry(key).unwrap().apply(&mut settings, &text.into());
        put("server.timeout_ms", "1500ms").unwrap();
        put("board.report_s", "2min").unwrap();
        for wrong in ["2000", "2", "50ms", "2min", "banana"] {
            let problem = put("server.timeout_ms", wrong).unwrap_err();
            assert!(problem.contains("or a time such as \"2s\""), "{problem}");
        }
        put("board.report_s", "500ms").unwrap_err();
        assert_eq!((settings.server.timeout_ms, settings.board.report_s), (1500, 120));
    }

    #[test]
    fn ids_can_be_told_apart() {
        let mut settings = Settings::default();
        let mut put = |key, value| entry(key).unwrap().apply(&mut settings, &value);
        for id in ["kitchen\u{a0}1", "kitchen ", " kitchen", "a\u{2028}b", "a\u{2800}", "\u{202e}a"]
        {
            let problem = put("board.id", id.into()).unwrap_err();
            assert!(problem.contains("without invisible characters"), "{problem}");
            assert!(!problem.contains(['\u{a0}', '\u{2028}', '\u{2800}', '\u{202e}']), "{problem}");
            put("server.clients", Value::List(vec![id.into()])).unwrap_err();
        }
        put("board.id", "küche 厨房".into()).unwrap();
    }
}

//! Turns the text of `pblink.toml` into settings and a list of *all* its problems, with lines.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::{Value, entry, sections, unknown_key, unknown_section};
use super::{Settings, is_password_key};

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// The line, from 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Reads the text of `file`. With problems, the settings are what could be understood.
pub(crate) fn read(file: &Path, text: &str) -> (Settings, Vec<Problem>) {
    let mut reader = Reader { file, text, problems: Vec::new(), settings: Settings::default() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for (key, value) in document.get_ref() {
        reader.section(key.get_ref(), key.span(), value);
    }
    // What was understood of a line with a syntax error is a guess: only the error counts.
    let (mut problems, guesses) = (Vec::<Problem>::new(), std::mem::take(&mut reader.problems));
    for error in errors {
        reader.problem(error.span().unwrap_or_default(), error.message().to_owned());
        let problem = reader.problems.remove(0);
        if !problems.iter().any(|p| p.line == problem.line) {
            problems.push(problem);
        }
    }
    let broken: Vec<_> = problems.iter().map(|p| p.line).collect();
    problems.extend(guesses.into_iter().filter(|p| !broken.contains(&p.line)));
    let mut settings = reader.settings;
    settings.file = Some(file.to_owned());
    if let Some(control) = settings.server.control
        && control.port() == settings.server.port
        && (control.ip() == settings.server.listen || settings.server.listen.is_unspecified())
    {
        problems.push(Problem {
            file: file.to_owned(),
            line: settings.line_of("server.control"),
            message: "`server.control` has the port of `server.port`: give it one of its own"
                .to_owned(),
        });
    }
    problems.extend(settings.config_line_problem(None));
    problems.sort_by_key(|p| p.line.unwrap_or(usize::MAX));
    (settings, problems)
}

/// The line of a byte, from 1.
pub(super) fn line_at(text: &str, byte: usize) -> usize {
    1 + text.as_bytes().iter().take(byte).filter(|b| **b == b'\n').count()
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
    settings: Settings,
}

impl Reader<'_> {
    fn problem(&mut self, span: Range<usize>, message: String) {
        let line = Some(line_at(self.text, span.start));
        self.problems.push(Problem { file: self.file.to_owned(), line, message });
    }

    fn section(&mut self, name: &str, at: Range<usize>, content: &Spanned<DeValue<'_>>) {
        let known = sections().contains(&name);
        match content.get_ref() {
            DeValue::Table(table) if known => {
                for (key, value) in table {
                    self.key(&format!("{name}.{}", key.get_ref()), key.span(), value);
                }
            }
            _ if known => {
                self.problem(
                    at,
                    format!("`{name}` is a section: write [{name}] on a line of its own"),
                );
            }
            DeValue::Table(_) => self.problem(at, unknown_section(name)),
            _ => self.unknown(name, at),
        }
    }

    fn key(&mut self, key: &str, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let Some(entry) = entry(key) else {
            return self.unknown(key, at);
        };
        self.settings.lines.insert(entry.key, line_at(self.text, at.start));
        if let Err(message) = entry.apply(&mut self.settings, &value_of(value.get_ref())) {
            self.problem(at, message);
        }
    }

    /// The value of an unknown key is never shown: it may be a password.
    fn unknown(&mut self, key: &str, at: Range<usize>) {
        let message = if is_password_key(key) {
            format!(
                "`{key}` must not stand here, since this file is copied and shared: write \
                 `wifi_password = \"...\"` into the file that `wifi.secrets` names (mode 0600), or \
                 set {}",
                super::PASSWORD_ENV
            )
        } else {
            unknown_key(key)
        };
        self.problem(at, message);
    }
}

fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .map_or_else(|_| Value::Other(n.to_string()), Value::Integer),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Array(list) => Value::List(list.iter().map(|v| value_of(v.get_ref())).collect()),
        DeValue::Float(n) => Value::Other(n.to_string()),
        DeValue::Datetime(date) => Value::Other(format!("the date {date}")),
        DeValue::Table(_) => Value::Other("a section".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let (_, problems) = read(Path::new("pblink.toml"), text);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn the_template_gives_the_defaults_and_comments_every_key() {
        let text = super::super::writer::TEMPLATE;
        let (mut settings, problems) = read(Path::new("pblink.toml"), text);
        assert_eq!(problems, []);
        for entry in &super::super::KEYS {
            let line = settings.line_of(entry.key).expect(entry.key);
            let above = text.lines().nth(line - 2).unwrap();
            assert!(above.starts_with("# "), "{}: no comment above line {line}", entry.key);
        }
        settings.lines.clear();
        settings.file = None;
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let (settings, problems) = read(Path::new("x"), "");
        assert_eq!(problems, []);
        assert_eq!(settings.server, Settings::default().server);
    }

    #[test]
    fn every_problem_is_reported_in_the_order_of_lines() {
        insta::assert_snapshot!(problems(concat!(
            "port = 1\n",
            "wifi_password = \"hunter2hunter2\"\n",
            "[server]\n",
            "prot = 8123\n",
            "port = 70000\n",
            "timeout_ms = \"2000\"\n",
            "host = 12\n",
            "clients = [\"1\", 2]\n",
            "app = 1979-05-27\n",
            "listen = 99999999999999999999\n",
            "[wifi]\n",
            "password = \"hunter2hunter2\"\n",
            "ssid = { a = 1 }\n",
            "[sever]\n",
            "port = 1\n",
            "[[board]]\n",
            "id = \"1\"\n",
        )).join("\n"), @r#"
        pblink.toml:1: unknown key `port`; did you mean `server.port`?
        pblink.toml:2: `wifi_password` must not stand here, since this file is copied and shared: write `wifi_password = "..."` into the file that `wifi.secrets` names (mode 0600), or set PBLINK_WIFI_PASSWORD
        pblink.toml:4: unknown key `server.prot`; did you mean `server.port`?
        pblink.toml:5: `server.port` must be a whole number from 1 to 65535, not 70000
        pblink.toml:6: `server.timeout_ms` must be a whole number of milliseconds from 100 to 60000 (keepalives go out four times as often: less would flood the WiFi, more would hide an outage), not "2000" (write it without quotes)
        pblink.toml:7: `server.host` must be the IP address or host name that boards connect to, such as "192.168.0.42", not 12 (write it with quotes)
        pblink.toml:8: `server.clients` must be a list of different connection ids of 1 to 64 bytes, such as ["1", "2"]; [] is any, not ["1", 2]
        pblink.toml:9: `server.app` must be "demo", "echo" or "log", not the date 1979-05-27
        pblink.toml:10: `server.listen` must be an IP address of this machine, "0.0.0.0" (any IPv4) or "::" (any), not 99999999999999999999
        pblink.toml:12: `wifi.password` must not stand here, since this file is copied and shared: write `wifi_password = "..."` into the file that `wifi.secrets` names (mode 0600), or set PBLINK_WIFI_PASSWORD
        pblink.toml:13: `wifi.ssid` must be the network's name: text of at most 32 bytes without control characters; "" is the network that the ESP8266 remembers, not a section
        pblink.toml:14: unknown section `sever`; did you mean `server`?
        pblink.toml:16: `board` is a section: write [board] on a line of its own
        "#);
    }

    #[test]
    fn syntax_errors_have_lines_and_do_not_hide_the_rest() {
        insta::assert_snapshot!(problems(concat!(
            "[server]\n",
            "port = \n",
            "host = \"a\n",
            "listn = \"::\"\n",
            "port = 1\n",
            "[wifi]\n",
            "password = \"hunter2\n",
        )).join("\n"), @r#"
        pblink.toml:2: string values must be quoted, expected literal string
        pblink.toml:3: invalid basic string, expected `"`
        pblink.toml:4: unknown key `server.listn`; did you mean `server.listen`?
        pblink.toml:5: duplicate key
        pblink.toml:7: invalid basic string, expected `"`
        "#);
    }

    #[test]
    fn inline_and_dotted_sections_count_too() {
        let (settings, problems) = read(
            Path::new("x"),
            "server = { port = 1 }\nboard.id = \"b\"\r\nlink.protocol=\"classic\"",
        );
        assert_eq!(problems, []);
        assert_eq!((settings.server.port, settings.board.id.as_str()), (1, "b"));
        assert_eq!(settings.line_of("link.protocol"), Some(3));
    }

    #[test]
    fn one_port_cannot_serve_both_boards_and_control() {
        let both = "[server]\nport = 8124\n";
        assert!(problems(both)[0].contains("`server.control` has the port of `server.port`"));
        assert_eq!(problems("[server]\nport = 8124\nlisten = \"10.0.0.1\"\n"), [""; 0]);
        assert_eq!(problems("[server]\nport = 8124\ncontrol = \"off\"\n"), [""; 0]);
    }

    #[test]
    fn a_configuration_too_long_for_the_esp8266_is_refused() {
        let mut settings = Settings::default();
        settings.wifi.ssid = "s".repeat(32);
        let used = settings.board_config(None).unwrap().encode(&mut [0; 200]).unwrap();
        let room = 200 - used + settings.server.host.len();
        let host = |len: usize| {
            let name = "abcdefghi.".repeat(len / 10 + 1);
            format!(
                "[server]\nhost = \"{}\"\n[wifi]\nssid = \"{}\"\n",
                &name[..len],
                "s".repeat(32)
            )
        };
        assert_eq!(problems(&host(room)), [""; 0]);
        let problems = problems(&host(room + 1));
        assert_eq!(problems.len(), 1);
        let start =
            "pblink.toml: the settings make a line of 201 bytes for the ESP8266, which takes 200";
        assert!(problems[0].starts_with(start), "{problems:?}");
    }
}

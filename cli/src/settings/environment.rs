//! Keys from the environment: `PBLINK_SERVER_PORT` is `server.port`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::names::Names;
use super::{Entry, KEYS, Problem, Settings, is_password_key};

/// Variables of the process that may be keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment(Vec<(String, OsString)>);

const PREFIX: &str = "PBLINK_";

/// Returns the variable that overrides a key.
pub(crate) fn variable(key: &str) -> String {
    PREFIX.to_owned() + &key.replace('.', "_").to_ascii_uppercase()
}

impl Environment {
    /// Returns that of this process.
    pub(crate) fn of_process() -> Self {
        Self::of(std::env::vars_os())
    }

    /// Returns that of these variables; an empty one counts as not set.
    pub(crate) fn of(all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let ours = all.filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let is_ours = name.starts_with(PREFIX) && !value.is_empty();
            (is_ours && !is_of_a_service(&name, &value)).then_some((name, value))
        });
        Self(ours.collect())
    }

    /// Puts the values of all keys that are set into the settings, those of a board into each board.
    pub(super) fn apply(&self, settings: &mut Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, value) in &self.0 {
            let done = match KEYS.iter().find(|entry| variable(entry.path) == *name) {
                Some(entry) => put(settings, entry, value).map(|()| {
                    settings.variables.insert(entry.path, name.clone());
                }),
                None => unknown(name).map_or(Ok(()), Err),
            };
            problems.extend(done.err().map(|why| Problem::of_file(Path::new(name), why)));
        }
        problems
    }
}

fn put(settings: &mut Settings, entry: &Entry, value: &OsStr) -> Result<(), String> {
    let text = value.to_str().ok_or_else(|| format!("`{}` must be UTF-8 text", entry.path))?;
    let value = entry.value_of(&entry.words(text))?;
    let boards = if entry.path.starts_with("board.") { settings.boards.len() } else { 0 };
    if boards > 1 && entry.path == "board.id" {
        return Err(format!(
            "`board.id` cannot be the same for {boards} boards; --board chooses one of them"
        ));
    }
    entry.apply(settings, &value)?;
    (0..boards).try_for_each(|n| entry.apply_at(settings, &[n], &value))
}

/// Says that a variable is none of ours although it has the name of a section.
fn unknown(name: &str) -> Option<String> {
    let (section, key) = name.strip_prefix(PREFIX)?.split_once('_')?;
    let path = format!("{section}.{key}").to_ascii_lowercase();
    let section = path.split('.').next()?;
    let is_section = KEYS.iter().any(|entry| entry.path.split('.').next() == Some(section));
    // Passwords have their own rules.
    let known = !is_section || name == super::PASSWORD_ENV || is_password_key(&path);
    (!known).then(|| Names::new(KEYS.iter().map(|entry| entry.path)).unknown_key(&path))
}

/// Returns true for a variable by which Docker and Kubernetes tell each container of a service named `pblink-server`:
/// such a one is not meant for this program.
fn is_of_a_service(name: &str, value: &OsStr) -> bool {
    let url = value.to_str().and_then(|value| value.split_once("://"));
    let is_url = url.is_some_and(|(scheme, _)| matches!(scheme, "tcp" | "udp" | "sctp"));
    let part_of_one = name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|mark| {
            let mut after = name.split(mark).skip(1);
            after.any(|rest| matches!(rest, "" | "_PORT" | "_PROTO" | "_ADDR"))
        });
    is_url || part_of_one
}

#[cfg(test)]
mod tests {
    use super::super::reader::read_in;
    use super::*;

    fn read(file: &str, variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let all = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let (settings, problems) =
            read_in(Some(Path::new("pblink.toml")), file, &Environment::of(all));
        (settings, problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn every_key_has_a_variable_of_its_own_that_overrides_the_file() {
        let mut names: Vec<_> = KEYS.iter().map(|entry| variable(entry.path)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
        let (settings, problems) = read(
            "[server]\nport = 1\nhost = \"a\"\n[board]\nid = \"1\"\n",
            &[
                ("PBLINK_SERVER_PORT", "9000"),
                ("PBLINK_SERVER_TIMEOUT_MS", "1s"),
                ("PBLINK_SERVER_CLIENTS", "kitchen,attic"),
                ("PBLINK_BOARD_FORWARD_REPORTS", "false"),
                ("PBLINK_SERVER_HOST", ""),
                ("PBLINK_WIFI_PASSWORD", "no key"),
                ("PBLINK_LOG", "info"),
                ("PBLINK_SERVER", "no key either"),
                ("OTHER_SERVER_PROT", "1"),
            ],
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!((settings.server.port, settings.server.timeout_ms), (9000, 1000));
        assert_eq!(settings.server.clients, ["kitchen", "attic"]);
        assert!(!settings.board.forward_reports);
        // Empty counts as not set.
        assert_eq!(settings.server.host, "a");
        assert_eq!(settings.variable_of("server.port"), Some("PBLINK_SERVER_PORT"));
        assert!(settings.is_given("server.clients") && settings.is_given("server.host"));
        assert!(!settings.is_given("server.listen"));
    }

    #[test]
    fn pins_from_a_variable_need_a_board_that_has_some() {
        let pins = ("PBLINK_BOARD_PINS", "Y9,Y10,X1,X2,X3");
        let small = "[[board]]\nid = \"b\"\nkind = \"black-pill\"\n";
        let (_, said) =
            read(&format!("{small}[[board]]\nid = \"c\"\nkind = \"black-pill\"\n"), &[pins]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("PBLINK_BOARD_PINS: `board.pins` is for a Pyboard"),
            "{said:?}"
        );
        let (settings, said) = read(&format!("[[board]]\nid = \"a\"\n{small}"), &[pins]);
        assert_eq!((said, settings.board.pins.scl.as_str()), (Vec::new(), "Y9"));
        // The kind may be the variable, too.
        let kind = ("PBLINK_BOARD_KIND", "nucleo-f446");
        let (_, said) =
            read("[board]\npins = [\"Y9\", \"Y10\", \"X1\", \"X2\", \"X3\"]\n", &[kind]);
        assert!(said[0].starts_with("pblink.toml:2:1: `board.pins`"), "{said:?}");
    }

    #[test]
    fn mistakes_name_the_variable() {
        let (_, problems) = read("", &[("PBLINK_SERVER_PROT", "1"), ("PBLINK_SERVER_PORT", "x")]);
        assert_eq!(
            problems,
            [
                "PBLINK_SERVER_PROT: unknown key `server.prot`; did you mean `server.port`?",
                "PBLINK_SERVER_PORT: `server.port` must be a whole number from 1 to 65535, not \"x\"",
            ]
        );
        // What the file and a variable say together is checked, too.
        let (_, problems) = read("", &[("PBLINK_SERVER_PORT", "8124")]);
        assert_eq!(
            problems,
            [
                "PBLINK_SERVER_PORT: `server.control` has the port of `server.port`: give it one of its own"
            ]
        );
        let host = "h".repeat(63);
        let host = format!("{host}.{host}");
        let (_, problems) = read(
            &format!("[board]\nid = \"{}\"\n", "i".repeat(64)),
            &[("PBLINK_SERVER_HOST", &host)],
        );
        assert!(
            problems.len() == 1 && problems[0].contains("shorten `server.host`"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_key_of_a_board_is_that_of_each_board() {
        let two =
            "[server]\nclients = []\n[[board]]\nid = \"a\"\nlog = \"off\"\n[[board]]\nid = \"b\"\n";
        let (settings, problems) = read(two, &[("PBLINK_BOARD_LOG", "lines")]);
        assert_eq!(problems, [""; 0]);
        let lines = pblink_image::settings::LogLevel::Lines;
        assert!(
            settings.board.log == lines && settings.all_boards().iter().all(|b| b.log == lines)
        );
        let (_, problems) = read(two, &[("PBLINK_BOARD_ID", "c")]);
        assert_eq!(
            problems,
            [
                "PBLINK_BOARD_ID: `board.id` cannot be the same for 2 boards; --board chooses one of them"
            ]
        );
        let (settings, _) = read("[[board]]\nid = \"a\"\n", &[("PBLINK_BOARD_ID", "c")]);
        assert_eq!((settings.board.id.as_str(), settings.all_boards()[0].id.as_str()), ("c", "c"));
    }

    #[test]
    fn a_path_in_a_variable_is_relative_to_the_current_folder_and_one_in_the_file_to_that_of_the_file()
     {
        let file = "[wifi]\nsecrets = \"w\"\n[control]\ntoken_file = \"t\"\n[build]\nesp8266_sdk = \"s\"\n";
        let paths = |variables: &[(&str, &str)]| {
            let all = variables.iter().map(|(name, value)| (name.into(), value.into()));
            let (settings, problems) =
                read_in(Some(Path::new("conf/pblink.toml")), file, &Environment::of(all));
            assert_eq!(problems, []);
            [Some(settings.secrets_path()), settings.token_path(), settings.sdk_path()]
                .map(|path| path.unwrap().display().to_string())
        };
        assert_eq!(paths(&[]), ["conf/w", "conf/t", "conf/s"]);
        let variables = [
            ("PBLINK_WIFI_SECRETS", "a"),
            ("PBLINK_CONTROL_TOKEN_FILE", "b"),
            ("PBLINK_BUILD_ESP8266_SDK", "c"),
        ];
        assert_eq!(paths(&variables), ["a", "b", "c"]);
        assert_eq!(paths(&variables[1..]), ["conf/w", "b", "c"]);
    }

    /// Each container of a Kubernetes pod beside a service `pblink-server` has these.
    #[test]
    fn variables_of_a_service_of_that_name_are_nobodys() {
        let (settings, problems) = read(
            "",
            &[
                ("PBLINK_SERVER_SERVICE_HOST", "10.0.0.1"),
                ("PBLINK_SERVER_SERVICE_PORT", "8123"),
                ("PBLINK_SERVER_SERVICE_PORT_BOARDS", "8123"),
                ("PBLINK_SERVER_PORT", "tcp://10.0.0.1:8123"),
                ("PBLINK_SERVER_PORT_8123_TCP", "tcp://10.0.0.1:8123"),
                ("PBLINK_SERVER_PORT_8123_TCP_PROTO", "tcp"),
                ("PBLINK_SERVER_PORT_8123_TCP_PORT", "8123"),
                ("PBLINK_SERVER_PORT_8123_TCP_ADDR", "10.0.0.1"),
            ],
        );
        assert_eq!(problems, [""; 0]);
        assert!(!settings.is_given("server.port"));
    }
}

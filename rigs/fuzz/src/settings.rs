//! Files of a user: `pblink.toml`, its keys as `pblink config set` changes them, and both files of keys.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pblink_cli::commands::config::{SetArgs, set};
use pblink_cli::keys::{BoardFile, Store};
use pblink_cli::settings::Settings;

use crate::input::Input;

/// Keys that are changed: at least one of each kind of value.
const KEYS: [&str; 14] = [
    "server.port",
    "server.host",
    "server.clients",
    "server.timeout_ms",
    "server.control",
    "server.log",
    "wifi.ssid",
    "board.id",
    "board.report_s",
    "board.forward_reports",
    "board.pins",
    "board[1].kind",
    "control.hosts",
    "link.keys",
];

/// Reads `pblink.toml`.
pub type Load = fn(&Path) -> anyhow::Result<Settings>;

/// Changes a key of it.
pub type Set = fn(&SetArgs) -> anyhow::Result<String>;

/// Runs an input: which file, what to do with it, and its text.
pub fn run(data: &[u8]) {
    run_with(data, |path| Settings::load(Some(path)), set);
}

/// Runs it with another reader and another writer.
pub fn run_with(data: &[u8], load: Load, set: Set) {
    let folder = tempfile::tempdir().expect("there is a folder for what is temporary");
    let mut input = Input::new(data);
    match input.byte() % 5 {
        0 | 1 => read(&file(folder.path(), "pblink.toml", input.rest()), load),
        2 => change(&mut input, folder.path(), (load, set)),
        3 => {
            let path = file(folder.path(), "pblink.keys.toml", input.rest());
            match Store::at(&path).read() {
                Ok(keys) => {
                    let keys = keys.expect("there is a file");
                    assert!(keys.server_keys().count() <= input.rest().len());
                    assert!(keys.revoked().all(|id| !id.is_empty()));
                }
                Err(error) => says_where(&error, &path, input.rest()),
            }
        }
        _ => board(&file(folder.path(), "board.toml", input.rest()), input.rest()),
    }
}

/// Reads a file of a board's keys: what is kept in it is read again.
fn board(path: &Path, text: &[u8]) {
    let file = BoardFile::at(path);
    match file.read() {
        Ok(contents) => {
            let contents = contents.expect("there is a file");
            assert!(file.keep(&contents.keys, contents.before.as_ref()));
            let again = file.read().expect("it was written by us").expect("there is a file");
            assert_eq!(again.keys.id, contents.keys.id);
            assert_eq!(again.keys.generation, contents.keys.generation);
            assert_eq!(again.keys.private.expose(), contents.keys.private.expose());
            assert_eq!(again.seed.expose(), contents.seed.expose());
            assert_eq!(again.before.is_some(), contents.before.is_some());
        }
        Err(error) => says_where(&error, path, text),
    }
}

fn read(path: &Path, load: Load) {
    let text = fs::read(path).expect("it was just written");
    match load(path) {
        Ok(settings) => {
            let again = load(path).expect("it was read before");
            assert_eq!(again, settings);
        }
        Err(error) => says_where(&error, path, &text),
    }
}

/// Changes a key, and reads what is there then.
fn change(input: &mut Input<'_>, folder: &Path, (load, set): (Load, Set)) {
    let key = match input.byte() {
        255 => String::from_utf8_lossy(input.counted()).into_owned(),
        n => KEYS[usize::from(n) % KEYS.len()].to_owned(),
    };
    let count = input.byte() % 4;
    let value: Vec<_> =
        (0..count).map(|_| String::from_utf8_lossy(input.counted()).into_owned()).collect();
    let old = input.rest();
    let path = file(folder, "pblink.toml", old);
    // It would ask for it, or take it from standard input.
    if key.contains("password") {
        return;
    }
    let args = SetArgs { key, value, config: Some(path.clone()), password_file: None };
    match set(&args) {
        Ok(_) => {
            let settings = load(&path).expect("nothing that cannot be read is written");
            assert!(settings.file() == Some(&*path));
            let new = fs::read(&path).expect("it is there");
            set(&args).expect("a second time it changes nothing");
            assert_eq!(fs::read(&path).expect("it is there"), new);
            assert_eq!(load(&path).expect("it was read before"), settings);
        }
        Err(error) => {
            assert!(!format!("{error:#}").is_empty());
            assert_eq!(fs::read(&path).expect("it is there"), old, "it stays as it was");
        }
    }
}

/// Checks the words about a file: they name it, with a line that it has, show nothing that a terminal would obey, and no key.
fn says_where(error: &anyhow::Error, path: &Path, text: &[u8]) {
    let words = format!("{error:#}");
    let name = path.display().to_string();
    assert!(words.contains(&name), "{words:?}");
    assert!(!words.contains(|c: char| c.is_control() && c != '\n'), "{words:?}");
    let places: Vec<_> = words.match_indices(&format!("{name}:")).collect();
    let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    for (at, part) in &places {
        let digits: String =
            words[at + part.len()..].chars().take_while(char::is_ascii_digit).collect();
        assert!(digits.is_empty() || (1..=lines).contains(&digits.parse().expect("digits")));
    }
    // All that can be wrong stands in a line, but for a file that is no text, and for what all of it lacks.
    let whole = str::from_utf8(text).is_err()
        || places.iter().any(|(at, part)| words[at + part.len()..].starts_with(' '));
    let placed = places
        .iter()
        .any(|(at, part)| words[at + part.len()..].starts_with(|c: char| c.is_ascii_digit()));
    assert!(whole || placed, "{words:?}");
    let is_key = |word: &&str| word.len() >= 43;
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if name.ends_with("keys.toml") || name.ends_with("board.toml") {
        let text = String::from_utf8_lossy(text);
        let shown = text.split(word).filter(is_key).find(|key| words.contains(*key));
        assert_eq!(shown, None, "{words:?}");
    }
}

/// Writes a file that only its owner can read.
fn file(folder: &Path, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let file = file.as_mut().expect("the folder is empty");
    file.write_all(text).expect("there is room");
    file.set_permissions(Permissions::from_mode(0o600)).expect("it is ours");
    path
}

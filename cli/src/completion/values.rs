//! Values that depend on configuration, server and machine. Nothing here fails or speaks: what cannot be found is not
//! offered.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use pblink_flash::Chip;
use pblink_flash::coprocessor::{Adapter, adapters as adapters_of};
use pblink_flash::micropython;
use pblink_serve::control::Client;
use pblink_server::LinkState;
use pblink_simulator::scene::BUILT_IN;

use crate::keys::Store;
use crate::runtime;
use crate::server::ServerArgs;
use crate::settings::{self, KEYS, Settings};

/// Longest wait for a server. One that hangs must not make Tab hang.
const PATIENCE: Duration = Duration::from_millis(400);

/// Returns the keys of `pblink.toml`.
pub(super) fn keys() -> Vec<CompletionCandidate> {
    let paths = KEYS.iter().map(|entry| entry.path.to_owned());
    let boards = settings().map_or(0, |settings| match settings.has_list_of_boards() {
        true => settings.all_boards().len(),
        false => 0,
    });
    let of_boards = KEYS.iter().filter_map(|entry| entry.path.strip_prefix("board."));
    let numbered = of_boards.flat_map(|key| (0..boards).map(move |n| format!("board[{n}].{key}")));
    // `board.log` does not say whose, where there are several.
    let paths = paths.filter(|path| boards == 0 || !path.starts_with("board."));
    paths
        .chain(numbered)
        .chain(["wifi.password".to_owned()])
        .map(CompletionCandidate::new)
        .collect()
}

/// Returns the values of the key that the command line names.
pub(super) fn values_of_key() -> Vec<CompletionCandidate> {
    let words = words();
    let texts = words.iter().filter_map(|word| word.to_str());
    let Some(entry) = texts.filter_map(|word| settings::entry(&plain(word))).next() else {
        return Vec::new();
    };
    match entry.path {
        "board.id" | "server.clients" | "link.classic" => ids(),
        _ => entry.words_allowed().iter().map(CompletionCandidate::new).collect(),
    }
}

/// Returns a key without the number of a board.
fn plain(key: &str) -> String {
    match key.strip_prefix("board[").and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => format!("board{rest}"),
        None => key.to_owned(),
    }
}

/// Returns the ids that server, configuration and keys know, with their states.
pub(super) fn ids() -> Vec<CompletionCandidate> {
    let mut ids = BTreeMap::<String, Option<&str>>::new();
    if let Some(settings) = settings() {
        // Not defaults, which nobody has given.
        if settings.is_given("server.clients") {
            ids.extend(settings.server.clients.iter().map(|id| (id.to_string(), None)));
        }
        if settings.has_list_of_boards() || settings.is_given("board.id") {
            ids.extend(settings.all_boards().iter().map(|board| (board.id.clone(), None)));
        }
        if let Ok(Some(keys)) = Store::of(None, &settings).read() {
            ids.extend(keys.known().into_iter().map(|known| (known.id, None)));
        }
    }
    let links = ask(async |client| client.links().await.ok());
    for link in links.unwrap_or_default() {
        let state = match link.state {
            LinkState::Waiting => "never connected",
            LinkState::Up => "up",
            LinkState::Down { .. } => "down",
        };
        ids.insert(link.id, Some(state));
    }
    ids.into_iter()
        .map(|(id, state)| CompletionCandidate::new(id).help(state.map(Into::into)))
        .collect()
}

/// Returns the consumers of the server's lines.
pub(super) fn consumers() -> Vec<CompletionCandidate> {
    let list = ask(async |client| client.consumers().await.ok());
    let names = list.map(|list| list.consumers).unwrap_or_default();
    names.into_iter().map(|consumer| CompletionCandidate::new(consumer.name)).collect()
}

/// Returns the serial ports with an adapter as ESP8266 boards have it.
pub(super) fn adapters() -> Vec<CompletionCandidate> {
    // The ESP32-C3 has the ESP8266's, and one more.
    offered(adapters_of(Chip::Esp32c3).unwrap_or_default())
}

/// Returns the serial ports of boards with MicroPython.
pub(super) fn boards() -> Vec<CompletionCandidate> {
    offered(micropython::boards().unwrap_or_default())
}

/// Returns the scenes that are built in.
pub(super) fn scenes() -> Vec<CompletionCandidate> {
    BUILT_IN.iter().map(|(name, _)| CompletionCandidate::new(*name)).collect()
}

fn offered(ports: Vec<Adapter>) -> Vec<CompletionCandidate> {
    let candidate =
        |port: Adapter| CompletionCandidate::new(port.path).help(Some(port.name.into()));
    ports.into_iter().map(candidate).collect()
}

/// Asks the server that the command line means.
fn ask<T>(question: impl AsyncFnOnce(Client) -> Option<T>) -> Option<T> {
    let server = ServerArgs {
        config: value_of("--config").map(PathBuf::from),
        url: value_of("--url").and_then(|url| url.into_string().ok()),
        token_file: value_of("--token-file").map(PathBuf::from),
    };
    let answer = async {
        let (client, _) = server.reach().await.ok()?.ok()?;
        question(client).await
    };
    let answer = runtime::block_on(async { tokio::time::timeout(PATIENCE, answer).await });
    answer.ok()?.ok().flatten()
}

/// Returns the settings, as far as they can be understood.
fn settings() -> Option<Settings> {
    let named = value_of("--config").map(PathBuf::from);
    settings::look(named.as_deref()).ok().map(|(settings, _)| settings)
}

/// Returns the words of the command line that is completed: they stand behind `--`.
fn words() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// Returns the value of a flag on the command line that is completed.
fn value_of(flag: &str) -> Option<OsString> {
    value_in(&words(), flag)
}

fn value_in(words: &[OsString], flag: &str) -> Option<OsString> {
    words.iter().enumerate().find_map(|(n, word)| {
        if word == flag {
            return words.get(n + 1).cloned();
        }
        let rest = word.to_str()?.strip_prefix(flag)?.strip_prefix('=')?;
        Some(rest.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_found_with_a_blank_and_with_an_equals_sign() {
        let words = ["pblink", "send", "--config", "a.toml", "--url=http://[::1]:1", "--url-of=x"]
            .map(OsString::from);
        assert_eq!(value_in(&words, "--config"), Some("a.toml".into()));
        assert_eq!(value_in(&words, "--url"), Some("http://[::1]:1".into()));
        assert_eq!(value_in(&words, "--token-file"), None);
        assert_eq!(value_in(&["--url".into()], "--url"), None);
    }

    #[test]
    fn a_key_of_a_numbered_board_is_that_of_a_board() {
        assert_eq!(plain("board[12].log"), "board.log");
        assert_eq!(plain("server.port"), "server.port");
    }
}

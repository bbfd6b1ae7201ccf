//! `pblink serve` and the keys of boards: who is served without, and what happens to the file while it runs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ChildStderr;

use crate::process::{Serve, output, stderr};

/// A server with a folder of its own, in which pblink.toml is.
struct Rig {
    serve: Serve,
    said: BufReader<ChildStderr>,
    folder: tempfile::TempDir,
}

impl Rig {
    fn start(config: &str, keys: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pblink.toml");
        std::fs::write(&file, config).unwrap();
        for id in keys {
            let board = folder.path().join(format!("{id}.board.toml"));
            let args = ["keys", "issue", id, "--to", path(&board), "--config", path(&file)];
            let said = output(&args);
            assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
        }
        let mut serve = Serve::start(&["--config", path(&file)]);
        let said = BufReader::new(serve.child.stderr.take().unwrap());
        Self { serve, said, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns what it says up to a line with these words.
    fn hear(&mut self, words: &str) -> String {
        let mut all = String::new();
        while !all.lines().last().unwrap_or_default().contains(words) {
            assert!(self.said.read_line(&mut all).unwrap() > 0, "no {words:?} in {all}");
        }
        all
    }

    /// Connects a board that speaks without keys, and lets it write a line.
    fn board(&self, id: &str) -> Board {
        let mut stream = TcpStream::connect(&self.serve.address).unwrap();
        stream.write_all(format!("{id}\n\n00a line\n").as_bytes()).unwrap();
        Board(BufReader::new(stream))
    }

    /// Returns the reason for which a board is refused.
    fn refused(&mut self, id: &str) -> String {
        let board = self.board(id);
        let stream = board.0.get_ref().try_clone().unwrap();
        let alive = std::thread::spawn(move || board.keep_alive());
        let refused = loop {
            let event = self.serve.wait_for("refused");
            if event["client"] == id {
                break event["reason"].as_str().unwrap().to_owned();
            }
        };
        stream.shutdown(std::net::Shutdown::Both).ok();
        alive.join().unwrap();
        refused
    }
}

struct Board(BufReader<TcpStream>);

impl Board {
    /// Returns the next line that is no keepalive.
    fn next(&mut self) -> String {
        let mut line = String::from("\n");
        while line == "\n" {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection ended");
        }
        line.trim_end().to_owned()
    }

    /// Answers each keepalive of the server.
    fn keep_alive(mut self) {
        let mut line = String::new();
        while self.0.read_line(&mut line).is_ok_and(|n| n > 0)
            && self.0.get_mut().write_all(b"\n").is_ok()
        {}
    }
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// Settings say nothing of keys: each board needs some, unless it is listed.
#[test]
fn a_board_without_keys_is_refused_unless_it_is_listed_and_the_list_is_read_again() {
    let config = "[server]\nclients = [\"old\", \"new\"]\n[link]\nclassic = [\"old\"]\n";
    let mut rig = Rig::start(config, &[]);
    let said = rig.hear("link.classic: old");
    assert!(said.contains("warning: new has no keys, and the server refuses it"), "{said}");
    assert!(said.contains("anyone in the network can pass for it"), "{said}");
    assert_eq!(rig.board("old").next(), "00");
    assert_eq!(rig.refused("new"), "not_secure");

    std::fs::write(rig.path("pblink.toml"), config.replace("[\"old\"]", "[\"old\", \"new\"]"))
        .unwrap();
    rig.serve.signal("-HUP");
    rig.hear("was read again");
    assert_eq!(rig.board("new").next(), "00");
}

#[test]
fn settings_that_want_no_keys_serve_boards_without_and_ids_with_keys_stay_closed() {
    let config = "[server]\nclients = [\"kitchen\", \"attic\"]\n[link]\nkeys = \"\"\n";
    let mut rig = Rig::start(config, &["kitchen"]);
    assert_eq!(rig.board("attic").next(), "00");
    assert_eq!(rig.refused("kitchen"), "not_secure");
}

/// A file that is moved away, or that an editor has half replaced, locks nobody out.
#[test]
fn a_file_of_keys_that_is_gone_is_reported_and_takes_nobodys_keys_away() {
    let config = "[server]\nclients = [\"kitchen\"]\n[link]\nclassic = [\"kitchen\"]\n";
    let mut rig = Rig::start(config, &["kitchen"]);
    let (file, away) = (rig.path("pblink.keys.toml"), rig.path("away"));
    std::fs::rename(&file, &away).unwrap();
    let said = rig.hear("no keys have changed");
    assert!(said.contains("pblink.keys.toml is gone") && said.contains("error: "), "{said}");
    // It would be served without by the list, if the server had forgotten that it has keys.
    assert_eq!(rig.refused("kitchen"), "not_secure");
    std::fs::rename(&away, &file).unwrap();
    rig.hear("the keys of boards were read again");
}

/// A file that is named anew is looked at from then on.
#[test]
fn another_file_of_keys_is_watched_once_it_is_named() {
    let mut rig = Rig::start("[server]\nclients = [\"kitchen\"]\n", &[]);
    rig.hear("kitchen has no keys");
    let config = rig.path("pblink.toml");
    std::fs::write(&config, "[server]\nclients = [\"kitchen\"]\n[link]\nkeys = \"k.toml\"\n")
        .unwrap();
    rig.serve.signal("-HUP");
    rig.hear("was read again");
    let board = rig.path("board.toml");
    let said =
        output(&["keys", "issue", "kitchen", "--to", path(&board), "--config", path(&config)]);
    assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
    rig.hear("the keys of boards were read again");
}

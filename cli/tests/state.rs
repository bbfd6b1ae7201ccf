//! A server's folder in use: what is there after a kill, who may open it, and the verbs on it. Real processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use crate::process::{control_address, pblink, stderr};
use serde_json::Value;

/// A running `pblink serve` on a folder, killed when it is dropped.
struct Station {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
    address: String,
    control: String,
}

impl Station {
    fn start(folder: &Path) -> Self {
        let folder = folder.to_str().unwrap();
        let all = ["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--any-client"];
        // Longer than any test: boards say nothing once they have said their lines.
        let more = ["--timeout", "60s", "--state", folder];
        let mut child = pblink(&[&all[..], &more].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut address = String::new();
        while address.is_empty() {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "it starts");
            if let Some((_, rest)) = line.split_once("serving boards at ") {
                rest.split(' ').next().unwrap().clone_into(&mut address);
            }
        }
        let control = control_address(&mut said);
        Self { child, said, address, control }
    }

    /// Connects a client that sends one line, which is in the log when this returns.
    fn board(&self, id: &str, text: &str) -> TcpStream {
        let mut board = TcpStream::connect(&self.address).unwrap();
        write!(board, "{id}\n\n00{text}\n").unwrap();
        let mut answer = BufReader::new(board.try_clone().unwrap());
        loop {
            let mut line = String::new();
            assert!(answer.read_line(&mut line).unwrap() > 0, "it is acknowledged");
            if line == "00\n" {
                return board;
            }
        }
    }

    fn get(&self, path: &str) -> Value {
        let mut http = TcpStream::connect(&self.control).unwrap();
        write!(http, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        http.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    /// Returns the outages once there are this many, all of which `fit`.
    fn outages(&self, number: usize, fit: impl Fn(&Value) -> bool) -> Vec<Value> {
        loop {
            let list = self.get("/api/v1/outages");
            let outages = list["outages"].as_array().unwrap();
            if outages.len() >= number && outages.iter().all(&fit) {
                return outages.clone();
            }
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn end(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        let _ = std::io::copy(&mut self.said, &mut std::io::sink());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(args: &[&str]) -> Output {
    pblink(args).output().unwrap()
}

#[test]
fn last_night_is_known_after_a_kill_with_the_servers_own_absence() {
    let folder = tempfile::tempdir().unwrap();
    let first = Station::start(folder.path());
    let mut boards = Vec::new();
    for (n, client) in ["kitchen", "garden"].into_iter().enumerate() {
        drop(first.board(client, "hello"));
        first.outages(n + 1, |_| true);
        boards.push(first.board(client, "I am back"));
    }
    let before = first.outages(2, |outage| outage["end"] == "reconnected");
    // Events are on the disk with the next line, at the latest.
    boards.push(first.board("porch", "good night"));
    assert_eq!(first.end("-KILL"), None);

    let second = Station::start(folder.path());
    let outages = second.outages(4, |_| true);
    assert_eq!(outages[..2], before);
    for (outage, client) in outages[2..].iter().zip(["garden", "kitchen"]) {
        let [who, cause, layer, end] =
            ["client", "cause", "layer", "end"].map(|key| outage[key].as_str().unwrap());
        assert_eq!((who, cause, layer, end), (client, "server_died", "server", "open"));
    }
    let mut monitor = pblink(&["monitor", "--json", "--connect", &second.control])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let events = BufReader::new(monitor.stdout.take().unwrap()).lines().map(|line| {
        serde_json::from_str::<Value>(&line.unwrap()).unwrap()["event"].as_str().unwrap().to_owned()
    });
    let mut seen: Vec<String> = Vec::new();
    for event in events {
        let listens = event == "listening" && !seen.is_empty();
        seen.push(event);
        if listens {
            break;
        }
    }
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert_eq!(seen[seen.len() - 2..], ["server_was_down", "listening"], "{seen:?}");
    assert!(seen.contains(&"outage_ended".to_owned()), "{seen:?}");

    let _board = second.board("kitchen", "once more");
    let ended = |outage: &Value| outage["client"] != "kitchen" || outage["end"] == "reconnected";
    second.outages(4, ended);
    assert_eq!(second.end("-TERM"), Some(0));
}

#[test]
fn a_folder_in_use_is_refused_with_the_process_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Station::start(folder.path());
    let path = folder.path().to_str().unwrap();
    let second = run(&["serve", "--listen", "0", "--control", "off", "--state", path]);
    let said = stderr(&second);
    assert_eq!(second.status.code(), Some(1), "{said}");
    let pid = format!("process {}", first.child.id());
    assert!(said.contains(&pid) && said.contains("--state"), "{said}");
}

#[test]
fn a_newer_log_and_a_damaged_one_are_refused_and_what_to_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Station::start(folder.path()).end("-TERM"), Some(0));
    let file = folder.path().join("log.db");
    let path = folder.path().to_str().unwrap();
    let serve = ["serve", "--listen", "0", "--control", "off", "--state", path];
    let whole = std::fs::read(&file).unwrap();
    let mut newer = whole.clone();
    // `user_version`, in the header of an SQLite file.
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let mut damaged = whole.clone();
    damaged[..16].copy_from_slice(b"something else!!");
    for (contents, words) in [(newer, "newer pblink (schema 99"), (damaged, "restore a backup")] {
        std::fs::write(&file, contents).unwrap();
        let refused = run(&serve);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
    std::fs::write(&file, whole).unwrap();
    Station::start(folder.path());
}

#[test]
fn a_log_or_a_copy_that_is_not_there_is_named_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let [nowhere, copy, file] = ["nowhere", "copy.db", "file"].map(|name| folder.path().join(name));
    std::fs::write(&file, "").unwrap();
    let inside = file.join("log");
    let [state, copy, inside] = [&nowhere, &copy, &inside].map(|path| path.to_str().unwrap());
    for (verb, words) in [
        (&["state", "check", "--state", state][..], "there is no log in"),
        (&["state", "backup", copy, "--state", state], "there is no log in"),
        (&["state", "restore", copy, "--state", state], "copy.db: there is no such file"),
        (&["serve", "--listen", "0", "--control", "off", "--state", inside], "cannot be made"),
    ] {
        let refused = run(verb);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{verb:?}: {said}");
        assert!(said.contains(words), "{verb:?}: {said}");
        assert!(!nowhere.exists() && !Path::new(copy).exists(), "{verb:?}");
    }
}

#[test]
fn a_copy_is_made_while_the_server_runs_and_put_back_when_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (state, copy) = (folder.path().join("state"), folder.path().join("copy.db"));
    let server = Station::start(&state);
    let _board = server.board("kitchen", "hello");
    let (state, copy) = (state.to_str().unwrap(), copy.to_str().unwrap());
    let done = run(&["state", "backup", copy, "--state", state]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let again = run(&["state", "backup", copy, "--state", state]);
    assert_eq!(again.status.code(), Some(1), "a copy is never overwritten: {}", stderr(&again));
    let check = run(&["state", "check", "--json", "--state", state]);
    let report: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!((check.status.code(), &report["lines"]), (Some(0), &1.into()), "{report}");
    let pid = format!("process {}", server.child.id());
    for verb in [&["restore", copy][..], &["purge", "kitchen", "--yes"]] {
        let refused = run(&[&["state"], verb, &["--state", state]].concat());
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{verb:?}: {said}");
        assert!(said.contains(&pid), "{verb:?}: {said}");
    }
    assert_eq!(server.end("-TERM"), Some(0));

    let nowhere = folder.path().join("nowhere");
    let missing =
        run(&["state", "purge", "kitchen", "--yes", "--state", nowhere.to_str().unwrap()]);
    assert_eq!(missing.status.code(), Some(1), "{}", stderr(&missing));
    assert!(!nowhere.exists() && stderr(&missing).contains("no log"), "{}", stderr(&missing));
    let asked = run(&["state", "purge", "kitchen", "--state", state]);
    assert_eq!(asked.status.code(), Some(2), "{}", stderr(&asked));
    assert!(stderr(&asked).contains("--yes"), "{}", stderr(&asked));
    let lines = |wanted: u64| {
        let check = run(&["state", "check", "--json", "--state", state]);
        let report: Value = serde_json::from_slice(&check.stdout).unwrap();
        assert_eq!((check.status.code(), &report["lines"]), (Some(0), &wanted.into()), "{report}");
        report["generation"].as_u64().unwrap()
    };
    let purged = run(&["state", "purge", "kitchen", "--yes", "--state", state]);
    assert_eq!(purged.status.code(), Some(0), "{}", stderr(&purged));
    let before = lines(0);
    let restored = run(&["state", "restore", copy, "--state", state]);
    assert_eq!(restored.status.code(), Some(0), "{}", stderr(&restored));
    assert_eq!(Station::start(Path::new(state)).end("-TERM"), Some(0));
    assert_eq!(lines(1), before + 1, "it is another log for whoever has an offset");
    for verb in [&["list"][..], &["send"], &["drop", "--yes"]] {
        let done = run(&[&["outbox"], verb, &["--state", state]].concat());
        assert_eq!((done.status.code(), &*done.stdout), (Some(0), &b""[..]), "{}", stderr(&done));
    }
}

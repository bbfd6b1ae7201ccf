//! SIGHUP as processes: `serve` reads pblink.toml again and drops nobody who may stay; other verbs end cleanly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use crate::process::{Serve, control_address, ledger_of, pblink};
use serde_json::Value;
use tempfile::TempDir;

/// Boards of these tests have no keys.
const CLASSIC: &str = "[link]\nkeys = \"\"\n";

/// A server with a configuration of its own.
struct Rig {
    serve: Serve,
    said: BufReader<ChildStderr>,
    file: PathBuf,
    _folder: TempDir,
}

impl Rig {
    fn start(text: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pblink.toml");
        std::fs::write(&file, format!("{text}{CLASSIC}")).unwrap();
        let named = ["--config", file.to_str().unwrap()];
        let mut serve = Serve::start(&[&named, args].concat());
        let said = BufReader::new(serve.child.stderr.take().unwrap());
        Self { serve, said, file, _folder: folder }
    }

    fn reload(&self, text: &str) {
        std::fs::write(&self.file, format!("{text}{CLASSIC}")).unwrap();
        self.serve.signal("-HUP");
    }

    /// Returns what it says up to a line with these words.
    fn hear(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "no {words:?} in {all}");
            all += &line;
            if line.contains(words) {
                return all;
            }
        }
    }

    fn board(&self, id: &str) -> Board {
        let mut stream = TcpStream::connect(&self.serve.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(format!("{id}\n\n").as_bytes()).unwrap();
        Board(BufReader::new(stream))
    }

    /// Returns the next event of a kind about this client.
    fn wait_for(&mut self, kind: &str, client: &str) -> Value {
        loop {
            let event = self.serve.wait_for(kind);
            if event["client"] == client {
                return event;
            }
        }
    }

    fn stop(self) {
        self.serve.signal("-TERM");
        let Self { mut serve, .. } = self;
        while serve.next().is_some() {}
        assert_eq!(serve.child.wait().unwrap().code(), Some(0));
    }
}

struct Board(BufReader<TcpStream>);

impl Board {
    /// Says a line, and waits for its acknowledgement.
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::from("\n");
        while answer == "\n" {
            answer.clear();
            assert!(self.0.read_line(&mut answer).unwrap() > 0, "the connection ended");
        }
        assert_eq!(answer.trim_end(), &line[..2]);
    }

    fn expect_end(mut self) {
        // A reset is an end, too.
        let _ = self.0.read_to_end(&mut Vec::new());
    }
}

#[test]
fn the_list_of_clients_and_the_level_take_effect_and_nobody_who_may_stay_is_dropped() {
    let text = "[server]\ntimeout_ms = \"60s\"\nclients = [\"1\", \"2\"]\n";
    let mut rig = Rig::start(text, &[]);
    let (mut stays, mut goes) = (rig.board("1"), rig.board("2"));
    stays.say("00a");
    goes.say("00b");
    let new = "[server]\ntimeout_ms = \"30s\"\nclients = [\"1\", \"3\"]\nlog = \"debug\"\nkeep_days = 9\n\
        port = 9000\n[[consumer]]\nkind = \"echo\"\n";
    rig.reload(new);
    let said = rig.hear("was read again: 2 clients are expected");
    // The port is that of a flag, whatever the file says.
    let warning = "pblink.toml: `server.timeout_ms`, `server.keep_days`, `[[consumer]]` are not what the server was \
        started with, and cannot change while it runs: start it again to use them\n";
    assert!(said.contains(warning), "{said}");
    assert_eq!(said.matches("pblink: warning: ").count(), 1, "{said}");
    let outage = rig.wait_for("outage_began", "2");
    assert_eq!(outage["cause"], "not_expected");
    goes.expect_end();
    rig.board("2").expect_end();
    let refused = rig.serve.wait_for("refused");
    assert_eq!((&refused["client"], &refused["reason"]), (&"2".into(), &"unknown_id".into()));
    stays.say("01c");
    rig.board("3").say("00d");
    rig.hear("pblink: debug: pblink_server");
    // A change that needs a new start is said each time; who is listed again is there again.
    rig.reload(&new.replace("\"3\"", "\"2\"").replace("debug", "warn"));
    let said = rig.hear("start it again to use them");
    assert!(said.contains("`server.keep_days`"), "{said}");
    rig.board("2").say("01e");
    stays.say("02f");
    rig.stop();
}

#[test]
fn a_client_that_is_not_listed_any_more_is_no_reason_for_an_alarm() {
    let text = "[server]\ntimeout_ms = \"60s\"\nclients = [\"1\", \"2\"]\n";
    let mut rig = Rig::start(text, &["--control", "127.0.0.1:0"]);
    let url = format!("http://{}", control_address(&mut rig.said));
    let status = |args: &[&str]| {
        let output = pblink(&[&["status", "--url", &url], args].concat()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (mut stays, mut goes) = (rig.board("1"), rig.board("2"));
    stays.say("00a");
    goes.say("00b");
    assert_eq!(status(&[]).0, Some(0));
    rig.reload(&text.replace(", \"2\"", ""));
    rig.wait_for("outage_began", "2");
    rig.hear("1 client is expected");
    let (code, out) = status(&[]);
    assert!(code == Some(0) && out.contains("not expected"), "{code:?} {out}");
    assert_eq!(status(&["2"]).0, Some(6), "whoever asks for it gets to know");
    rig.stop();
}

#[test]
fn a_file_with_a_fault_changes_nothing_and_the_server_goes_on() {
    let text = "[server]\nclients = [\"1\"]\ntimeout_ms = \"60s\"\n";
    let mut rig = Rig::start(text, &[]);
    let mut board = rig.board("1");
    board.say("00a");
    for (text, why) in [
        ("[server]\nclients = [\"2\"]\ntimeout_ms = 5\n", "pblink.toml:3"),
        ("[server]\nclients = [\"2\", \"a\u{a0}b\"]\n", "without invisible characters"),
        ("[server\n", "pblink.toml:1"),
    ] {
        rig.reload(text);
        let said = rig.hear("nothing has changed");
        assert!(said.contains("pblink: error: ") && said.contains(why), "{said}");
    }
    std::fs::remove_file(&rig.file).unwrap();
    rig.serve.signal("-HUP");
    rig.hear("cannot read");
    rig.board("2").expect_end();
    board.say("01b");
    rig.stop();
}

#[test]
fn a_server_for_other_machines_is_not_opened_to_anybody_by_an_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pblink.toml");
    let free = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let text = |clients: &str| format!("[server]\nport = {free}\nclients = [{clients}]\n");
    std::fs::write(&file, text("\"1\"")).unwrap();
    let args = ["serve", "--control", "off", "--config", file.to_str().unwrap()];
    let mut child = pblink(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    said.find(|line| line.contains("serving boards at 0.0.0.0:")).unwrap();
    std::fs::write(&file, text("")).unwrap();
    kill(&child, "-HUP");
    let error = said.find(|line| line.contains("error: ")).unwrap();
    assert!(error.contains("anybody could connect"), "{error}");
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_file_there_is_nothing_to_read_and_one_that_has_come_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--control", "off"];
    let mut child = pblink(&args)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    said.find(|line| line.contains("serving boards at")).unwrap();
    kill(&child, "-HUP");
    said.find(|line| line.contains("there is no pblink.toml")).unwrap();
    std::fs::write(folder.path().join("pblink.toml"), "[server]\nclients = [\"1\"]\n").unwrap();
    kill(&child, "-HUP");
    said.find(|line| line.contains("pblink.toml was read again: 1 client is expected")).unwrap();
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn kill(child: &Child, signal: &str) {
    let status =
        std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn demo_simulate_and_monitor_end_cleanly() {
    let mut serve = Serve::start(&["--any-client", "--control", "127.0.0.1:0"]);
    let mut said = BufReader::new(serve.child.stderr.take().unwrap());
    let url = format!("http://{}", control_address(&mut said));
    let simulate = ["simulate", "--server", &serve.address, "--client", "1", "--json"];
    for (args, begun) in [
        (&["demo", "--boards", "1", "--calm", "--for", "1h", "--json"][..], "connected"),
        (&simulate, "wrote"),
        (&["monitor", "--json", "--url", &url], "listening"),
    ] {
        let mut child = pblink(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let begun = format!("\"event\":\"{begun}\"");
        lines.find(|line| line.contains(&begun)).unwrap_or_else(|| panic!("{args:?}"));
        kill(&child, "-HUP");
        let last = lines.last();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
        if args[0] != "monitor" {
            assert_eq!(ledger_of(&last.unwrap())["event"], "ledger", "{args:?}");
        }
    }
}

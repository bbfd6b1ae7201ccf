//! `send`, `tail`, `status`, `outages` and `history` as processes, against a real `pblink serve` and boards by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::process::{Serve, control_address, output, pblink, stderr};
use serde_json::Value;

/// A server with its control API.
struct Rig {
    serve: Serve,
    url: String,
}

impl Rig {
    fn start(args: &[&str]) -> Self {
        let mut serve = Serve::start(&[&["--control", "127.0.0.1:0"], args].concat());
        let mut said = BufReader::new(serve.child.stderr.take().unwrap());
        let url = format!("http://{}", control_address(&mut said));
        // Nobody reads the rest, and nobody waits for it.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { serve, url }
    }

    /// Returns a verb that speaks to this server.
    fn verb(&self, args: &[&str]) -> Command {
        let mut all = args.to_vec();
        all.extend(["--url", &self.url]);
        pblink(&all)
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = self.verb(args).output().unwrap();
        let out = String::from_utf8(output.stdout.clone()).unwrap();
        (output.status.code(), out, stderr(&output))
    }

    fn board(&mut self, id: &str) -> Board {
        let mut stream = TcpStream::connect(&self.serve.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(format!("{id}\n\n").as_bytes()).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        self.serve.wait_for("connected");
        Board { stream, lines }
    }
}

struct Board {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Board {
    /// Closes the connection in order.
    fn leave(self) -> Self {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
        self
    }

    fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Returns the next line that is not a keepalive.
    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the connection ended");
            if line != "\n" {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Acknowledges each line of the server from now on, and returns it here.
    fn obey(mut self) -> std::sync::mpsc::Receiver<String> {
        let (heard, lines) = std::sync::mpsc::channel();
        thread::spawn(move || {
            loop {
                let mut line = String::new();
                if self.lines.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if line.trim_end().len() > 2 {
                    self.say(&line[..2]);
                    let _ = heard.send(line.trim_end()[2..].to_owned());
                }
                // It shows that it lives, too.
                let _ = self.stream.write_all(b"\n");
            }
        });
        lines
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Long: no board here sends keepalives by itself.
const PATIENT: [&str; 3] = ["--any-client", "--timeout", "60s"];

#[test]
fn a_line_is_sent_and_its_acknowledgement_waited_for() {
    let mut rig = Rig::start(&PATIENT);
    let heard = rig.board("kitchen").obey();
    let (code, out, err) = rig.run(&["send", "kitchen", "light on"]);
    assert_eq!((code, &*out), (Some(0), ""), "{err}");
    assert_eq!(heard.recv().unwrap(), "light on");
    let (code, out, err) = rig.run(&["send", "kitchen", "light off", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["row"], &answer["acknowledged"]), (&2.into(), &true.into()));
    assert_eq!(heard.recv().unwrap(), "light off");

    // A request that comes again with its key is one.
    for _again in 0..2 {
        assert_eq!(rig.run(&["send", "kitchen", "once", "--key", "k"]).0, Some(0));
    }
    assert_eq!(rig.run(&["send", "kitchen", "last"]).0, Some(0));
    assert_eq!([heard.recv().unwrap(), heard.recv().unwrap()], ["once", "last"]);
}

#[test]
fn lines_of_standard_input_are_sent_in_order_more_than_wait_at_a_time() {
    let mut rig = Rig::start(&PATIENT);
    let heard = rig.board("kitchen").obey();
    let mut send = rig.verb(&["send", "kitchen", "-", "--timeout", "2min"]);
    let mut send = send.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = send.stdin.take().unwrap();
    for n in 0..1500 {
        writeln!(stdin, "line {n}").unwrap();
    }
    drop(stdin);
    for n in 0..1500 {
        let line = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(line, format!("line {n}"));
    }
    assert_eq!(send.wait().unwrap().code(), Some(0));
}

#[test]
fn a_board_that_does_not_acknowledge_is_not_waited_for_longer_than_asked() {
    let mut rig = Rig::start(&PATIENT);
    let mut board = rig.board("kitchen");
    let (code, _, err) = rig.run(&["send", "kitchen", "on", "--timeout", "100ms"]);
    assert_eq!(code, Some(7), "{err}");
    assert!(
        err.contains("\"kitchen\" has not acknowledged") && err.contains("pblink status"),
        "{err}"
    );
    assert_eq!(rig.run(&["send", "kitchen", "off", "--no-wait"]).0, Some(0));
    assert_eq!(board.hear(), "00on");
    board.say("00");
    assert_eq!(board.hear(), "01off");
    let (code, out, _) = rig.run(&["status", "kitchen"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("1 line to it"), "{out}");
}

#[test]
fn what_cannot_be_sent_says_what_to_do() {
    let mut rig = Rig::start(&PATIENT);
    let _board = rig.board("kitchen");
    let (code, _, err) = rig.run(&["send", "nobody", "x"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("no client \"nobody\"") && err.contains("config set server.clients"),
        "{err}"
    );
    let (code, _, err) = rig.run(&["send", "kitchen", ""]);
    assert!(code == Some(1) && err.contains("empty line"), "{err}");
    let (code, _, err) = rig.run(&["send", "kitchen", "-"]);
    assert!(code == Some(2) && err.contains("standard input has no line"), "{err}");

    let output =
        rig.verb(&["send", "kitchen", "x"]).env("PBLINK_TOKEN", "not-this-server's").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("--token-file"), "{}", stderr(&output));
}

#[test]
fn a_token_comes_from_a_file_the_environment_or_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let named = file.to_str().unwrap();
    let mut rig = Rig::start(&[&PATIENT[..], &["--token-file", named]].concat());
    let _heard = rig.board("kitchen").obey();
    // The server has made it, for this user only, and tells where it is.
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(rig.run(&["send", "kitchen", "a"]).0, Some(0));
    assert_eq!(rig.run(&["send", "kitchen", "b", "--token-file", named]).0, Some(0));
    let token = std::fs::read_to_string(&file).unwrap();
    let output = rig.verb(&["send", "kitchen", "c"]).env("PBLINK_TOKEN", token).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // Without it nobody writes.
    std::fs::remove_file(&file).unwrap();
    let (code, _, err) = rig.run(&["send", "kitchen", "d"]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains(named), "it says where the token is: {err}");
    assert_eq!(rig.run(&["status"]).0, Some(0), "reading is free");
}

#[test]
fn a_server_in_memory_has_its_token_in_the_users_runtime_folder_or_says_how_to_set_one() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
        "--any-client",
        "--state",
        "off",
    ];
    let start = |runtime: &str| {
        let mut serve = pblink(&args);
        serve.env("XDG_RUNTIME_DIR", runtime).stdout(Stdio::null()).stderr(Stdio::piped());
        serve.spawn().unwrap()
    };
    let mut child = start(folder.path().to_str().unwrap());
    let address = control_address(&mut BufReader::new(child.stderr.take().unwrap()));
    let port = address.rsplit(':').next().unwrap();
    assert!(folder.path().join(format!("pblink/{port}.token")).exists());
    child.kill().unwrap();
    child.wait().unwrap();

    let mut child = start("");
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut all = String::new();
    while !all.contains("--token-file FILE") {
        assert!(said.read_line(&mut all).unwrap() > 0, "{all}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tail_prints_what_is_there_and_what_comes() {
    let mut rig = Rig::start(&PATIENT);
    let mut kitchen = rig.board("kitchen");
    let mut attic = rig.board("attic");
    kitchen.say("00hot");
    attic.say("00cold");
    rig.serve.wait_for("line_in");
    rig.serve.wait_for("line_in");
    let (code, out, err) = rig.run(&["tail", "--since", "1h", "--no-follow", "--utc"]);
    assert_eq!((code, out.lines().count()), (Some(0), 2), "{out}{err}");
    assert!(out.contains("Z kitchen → hot\n"), "{out}");
    // In a pipe a time is one word with its date, whatever day it is.
    let mut local = rig.verb(&["tail", "--since", "1h", "--no-follow"]);
    let out = local.env("TZ", "XYZ-3").output().unwrap().stdout;
    let out = String::from_utf8(out).unwrap();
    let time = out.split(' ').next().unwrap();
    assert!(time.len() == 25 && time.ends_with("+03:00"), "{out}");
    let (_, out, _) = rig.run(&["tail", "attic", "--no-follow", "--json"]);
    let [line] = &json_lines(&out)[..] else { panic!("{out}") };
    assert_eq!(
        (&line["v"], &line["event"], &line["client"]),
        (&1.into(), &"line_in".into(), &"attic".into())
    );
    assert!(line["time"].as_str().unwrap().ends_with('Z') && line["at_ms"].is_u64());
    assert_eq!(
        (&line["seq"], &line["text"], line["offset"].is_u64()),
        (&1.into(), &"cold".into(), true)
    );

    let mut tail = rig.verb(&["tail", "--since", "1h", "kitchen", "attic"]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.by_ref().take(2).for_each(drop);
    attic.say("01warm");
    assert!(lines.next().unwrap().ends_with("attic → warm"));
    // Ctrl-C is how it ends, and nothing is wrong with that.
    let pid = tail.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut err = String::new();
    tail.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((tail.wait().unwrap().code(), &*err), (Some(0), ""));
}

#[test]
fn a_reader_of_tail_that_goes_away_ends_it_quietly() {
    let mut rig = Rig::start(&PATIENT);
    let mut kitchen = rig.board("kitchen");
    kitchen.say("00one");
    let mut tail = rig.verb(&["tail", "--since", "1h"]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.ends_with("one\n"), "{line}");
    drop(out);
    kitchen.say("01two");
    let mut err = String::new();
    tail.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((tail.wait().unwrap().code(), &*err), (Some(0), ""));
}

#[test]
fn status_is_one_line_a_link_and_its_code_says_whether_all_are_up() {
    let mut rig = Rig::start(&["--client", "kitchen", "--client", "attic", "--timeout", "60s"]);
    let mut kitchen = rig.board("kitchen");
    kitchen.say("00hot");
    rig.serve.wait_for("line_in");
    let (code, out, _) = rig.run(&["status", "kitchen"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with("kitchen  up for ") && out.ends_with("ago: hot\n"), "{out}");
    let (code, out, _) = rig.run(&["status"]);
    assert_eq!((code, out.lines().count()), (Some(6), 2), "{out}");
    assert!(out.contains("never connected") && out.contains("no line yet"), "{out}");
    let _gone = kitchen.leave();
    rig.serve.wait_for("outage_began");
    let (code, out, _) = rig.run(&["status", "kitchen"]);
    assert_eq!(code, Some(6), "{out}");
    assert!(
        out.contains("closed by the other side for ") && out.contains(", likely ESP8266"),
        "{out}"
    );
    let (_, out, _) = rig.run(&["status", "--json"]);
    let links = json_lines(&out);
    assert!(links.iter().all(|link| link["event"] == "status" && link["v"] == 1), "{out}");
    let (code, _, err) = rig.run(&["status", "nobody"]);
    assert!(code == Some(1) && err.contains("nobody"), "{err}");
}

#[test]
fn outages_and_history_say_what_happened() {
    let mut rig = Rig::start(&PATIENT);
    let (code, out, _) = rig.run(&["outages"]);
    assert_eq!((code, &*out), (Some(0), "no outages since 24h\n"));
    let _gone = rig.board("kitchen").leave();
    rig.serve.wait_for("outage_began");
    let mut again = TcpStream::connect(&rig.serve.address).unwrap();
    again.write_all(b"kitchen\n\n").unwrap();
    rig.serve.wait_for("outage_ended");
    again.write_all(b"00hello\n").unwrap();
    rig.serve.wait_for("line_in");
    let (code, out, _) = rig.run(&["outages", "kitchen", "--utc"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{out}");
    assert!(out.contains("Z kitchen: lasted ") && out.contains("closed by the client"), "{out}");
    let (_, out, _) = rig.run(&["outages", "--json"]);
    let outage = &json_lines(&out)[0];
    assert_eq!(
        (&outage["event"], &outage["client"], &outage["end"]),
        (&"outage".into(), &"kitchen".into(), &"reconnected".into())
    );
    let (_, out, _) = rig.run(&["outages", "--csv"]);
    assert!(out.starts_with("number,client,began,"), "{out}");
    let (code, _, err) = rig.run(&["outages", "--since", "later"]);
    assert!(code == Some(2) && err.contains("--since is \"later\""), "{err}");

    // Events reach the log within a second.
    let out = loop {
        let (code, out, err) = rig.run(&["history", "kitchen"]);
        assert_eq!(code, Some(0), "{err}");
        if out.contains("outage ended") {
            break out;
        }
    };
    let place = |words: &str| out.find(words).unwrap_or_else(|| panic!("no {words:?} in {out}"));
    let order = [
        place("connected from"),
        place("outage began"),
        place("outage ended"),
        place("kitchen: up"),
    ];
    assert!(order.is_sorted(), "{out}");
    assert!(out.contains("2 connects, 1 outages, 1 line from it"), "{out}");
    let (_, out, _) = rig.run(&["history", "kitchen", "--json"]);
    let all = json_lines(&out);
    assert!(
        all.iter()
            .all(|one| one["v"] == 1 && one["client"] == "kitchen" && one["time"].is_string())
    );
    assert_eq!(all.last().unwrap()["event"], "summary");
    assert_eq!(rig.run(&["history", "nobody"]).0, Some(1));
}

#[test]
fn without_a_server_each_verb_fails_with_code_4_and_says_what_to_do() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("127.0.0.1:{port}");
    for verb in [&["send", "a", "x"][..], &["tail"], &["status"], &["outages"], &["history", "a"]] {
        let output = output(&[verb, &["--url", &url]].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(4), "{verb:?}: {said}");
        assert!(said.contains("pblink serve") && said.contains("--url"), "{verb:?}: {said}");
    }
    let wrong = output(&["status", "--url", "https://x"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
}

#[test]
fn a_server_that_does_not_answer_at_once_is_waited_for_and_the_verb_says_so() {
    for verb in [&["status"][..], &["outages"], &["history", "1"], &["tail", "--no-follow"]] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let all = [verb, &["--url", &url]].concat();
        let mut child = pblink(&all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let (connection, _) = listener.accept().unwrap();
        assert_eq!(
            said.next().unwrap(),
            format!("pblink: waiting for the server at {url} to answer")
        );
        drop((connection, listener));
        assert!(said.next().unwrap().contains("no server answers"), "{verb:?}");
        assert_eq!(child.wait().unwrap().code(), Some(4), "{verb:?}");
    }
}

#[test]
fn the_server_is_found_through_the_configuration() {
    let mut rig = Rig::start(&PATIENT);
    let _heard = rig.board("kitchen").obey();
    let folder = tempfile::tempdir().unwrap();
    let address = rig.url.strip_prefix("http://").unwrap();
    std::fs::write(
        folder.path().join("pblink.toml"),
        format!("[server]\ncontrol = \"{address}\"\n"),
    )
    .unwrap();
    for verb in [&["send", "kitchen", "x"][..], &["status"], &["tail", "--no-follow"]] {
        let output = pblink(verb).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb:?}: {}", stderr(&output));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_server_takes_as_many_descriptors_as_the_system_gives() {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -S -n 200 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pblink")])
        .args(["serve", "--listen", "127.0.0.1:0", "--control", "off", "--any-client", "--json"])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<_> = files.split_whitespace().collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(words[3], words[4], "{files}");
}

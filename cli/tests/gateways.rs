//! Servers that share a log, as processes: each of them takes boards and questions, whichever leads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pblink_soak::nats::{Cluster, Wanted};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{free_port, ledger_of, output, pblink, stderr};

/// Nothing here takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Lines of a board: it writes for as long as everything else here takes.
const LINES: u32 = 600;

/// A running `pblink serve` with a store, killed when it is dropped.
struct Gateway {
    child: Child,
    said: Receiver<String>,
    boards: String,
    control: String,
    token: String,
}

impl Gateway {
    /// Starts one.
    fn start(urls: &str, folder: &Path, name: &str) -> Self {
        Self::start_at(urls, folder, folder, name)
    }

    /// Starts one in `place`, with its copy of the log in `folder`.
    fn start_at(urls: &str, folder: &Path, place: &Path, name: &str) -> Self {
        let address = || format!("127.0.0.1:{}", free_port());
        let (boards, control) = (address(), address());
        let state = folder.join(name);
        let mut command = pblink(&["serve", "--store", urls, "--gateway", name]);
        command.args(["--listen", &boards, "--control", &control, "--gateway-address", "0"]);
        command.args(["--app", "echo", "--any-client", "--no-mdns"]).arg("--state").arg(&state);
        command.current_dir(place).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody may listen any more.
                let _ = sender.send(line);
            }
        });
        let token = state.join("token").to_str().unwrap().to_owned();
        Self { child, said, boards, control, token }
    }

    /// Waits until it says something with this in it.
    fn until(&self, what: &str) {
        let mut before = Vec::new();
        loop {
            match self.said.recv_timeout(HANGS) {
                Ok(line) if line.contains(what) => return,
                Ok(line) => before.push(line),
                Err(_) => panic!("{what:?} was not said: {before:#?}"),
            }
        }
    }

    /// Runs a verb against its control API.
    fn verb(&self, args: &[&str]) -> std::process::Output {
        output(&[args, &["--url", &format!("http://{}", self.control)]].concat())
    }

    /// Asks its control API, and returns status and JSON.
    fn get(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.control).unwrap();
        stream.set_read_timeout(Some(HANGS)).unwrap();
        let host = &self.control;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A simulated board.
struct Board {
    child: Child,
    events: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Board {
    /// Lets a board write this many lines to a server.
    fn start(server: &str, id: &str, lines: u32) -> Self {
        let count = lines.to_string();
        let args = ["simulate", "--server", server, "--client", id, "--count", &count];
        let mut command: Command = pblink(&[&args[..], &["--every", "20ms", "--json"]].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, events }
    }

    /// Waits until it has read this many lines.
    fn read(&mut self, lines: usize) {
        let mut read = 0;
        while read < lines {
            let event = self.events.next().expect("it goes on").unwrap();
            read += usize::from(event.contains("\"event\":\"read\""));
        }
    }

    /// Waits until it has written all of its lines, and has all of them back, each once and in order.
    fn finish(mut self, lines: u32) {
        let last = self.events.by_ref().map(Result::unwrap).last().unwrap();
        let ledger = ledger_of(&last);
        for way in ["to_server", "returned"] {
            let expected = json!({ "written": lines, "arrived": lines, "missing": 0, "duplicated": 0, "reordered": 0,
                                   "unknown": 0 });
            assert_eq!(ledger[way], expected, "{way}");
        }
        assert!(self.child.wait().unwrap().success());
    }
}

/// Makes a store on NATS servers of its own, and a folder for gateways. `None`: there is no NATS server.
fn store() -> Option<(Cluster, String, TempDir)> {
    let cluster = Cluster::start(Wanted::default())?;
    let urls = cluster.urls();
    assert!(output(&["store", "init", &urls]).status.success());
    Some((cluster, urls, tempfile::tempdir().unwrap()))
}

#[test]
fn each_gateway_takes_boards_and_questions_and_another_one_leads_when_it_has_to() {
    let Some((_cluster, urls, folder)) = store() else { return };
    let folder = folder.path();
    let mut first = Gateway::start(&urls, folder, "first");
    first.until("other gateways pass their connections on to 127.0.0.1");
    first.until("control API at");
    let others = ["second", "third"].map(|name| Gateway::start(&urls, folder, name));
    for other in &others {
        other.until("standing by: gateway first leads");
    }
    let [second, third] = &others;
    // A board at each of those that stand by, and questions to the one that has not its board.
    let mut boards =
        [Board::start(&second.boards, "b2", LINES), Board::start(&third.boards, "b3", LINES)];
    boards.iter_mut().for_each(|board| board.read(10));
    let (status, links) = third.get("/api/v1/links");
    let gateways = links.as_array().unwrap().iter().map(|link| (&link["id"], &link["gateway"]));
    let gateways: Vec<_> = gateways.collect();
    assert_eq!(status, 200);
    for expected in [(&json!("b2"), &json!("second")), (&json!("b3"), &json!("third"))] {
        assert!(gateways.contains(&expected), "{links}");
    }
    let sent = third.verb(&["send", "b2", "hello", "--token-file", &third.token]);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    // Found by itself, as on the leader's machine.
    let sent = second.verb(&["send", "b3", "hello"]);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    let sent = second.verb(&["send", "b3", "hello", "--token-file", &third.token]);
    assert_eq!(sent.status.code(), Some(3), "{}", stderr(&sent));

    let checked = output(&["store", "check", &urls]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(text.contains("  gateway first leads\n  gateway second stands by"), "{text}");
    let config = folder.join("pblink.toml");
    std::fs::write(&config, format!("[store]\nurl = \"{urls}\"\n")).unwrap();
    let config = config.to_str().unwrap();
    let doctor = output(&["doctor", "--config", config, "--only", "server", "--json"]);
    let findings: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let of_store = findings["findings"].as_array().unwrap().iter();
    let of_store: Vec<_> = of_store.filter(|finding| finding["group"] == "store").collect();
    assert!(of_store.iter().all(|finding| finding["level"] == "ok"), "{of_store:#?}");
    assert_eq!(of_store[1]["message"], "gateway first leads, 2 more stand by", "{of_store:#?}");

    first.child.kill().unwrap();
    first.child.wait().unwrap();
    for board in boards {
        board.finish(LINES);
    }
    for gateway in &others {
        let (_, server) = gateway.get("/api/v1/server");
        let leading: Vec<&Value> = server["gateways"].as_array().unwrap().iter().collect();
        assert_eq!(leading[0]["leads"], true);
        assert!(["second", "third"].contains(&leading[0]["name"].as_str().unwrap()), "{server}");
        let tail = gateway.verb(&["tail", "b2", "--since", "1h", "--no-follow", "--json"]);
        assert_eq!(
            String::from_utf8_lossy(&tail.stdout).lines().count(),
            LINES as usize,
            "{tail:?}"
        );
    }
}

#[test]
fn a_gateway_says_when_it_cannot_be_reached_by_others() {
    let Some((_cluster, urls, folder)) = store() else { return };
    let folder = folder.path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let state = folder.join("state").to_str().unwrap().to_owned();
    let serve = |address: &str| {
        let args = ["serve", "--store", &urls, "--listen", "127.0.0.1:0", "--control", "off"];
        output(&[&args[..], &["--state", &state, "--gateway-address", address]].concat())
    };
    let refused = serve(&port);
    assert_eq!(refused.status.code(), Some(4));
    assert!(stderr(&refused).contains("choose another one with --gateway-address PORT"));
    let refused = serve("somewhere");
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("such as 10.0.0.5:8125"), "{}", stderr(&refused));
}

/// A board may be served by any of them, so each has to have its keys.
#[test]
fn a_gateway_with_other_keys_is_told_from_the_others() {
    let Some((_cluster, urls, folder)) = store() else { return };
    let folder = folder.path();
    let places = ["here", "there"].map(|place| folder.join(place));
    for place in &places {
        std::fs::create_dir(place).unwrap();
        std::fs::write(place.join("pblink.toml"), format!("[store]\nurl = \"{urls}\"\n")).unwrap();
    }
    let [here, there] = &places;
    let keys = |place: &Path, args: &[&str]| {
        let done = pblink(&[&["keys"], args].concat()).current_dir(place).output().unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
    };
    let copy = || {
        let name = "pblink.keys.toml";
        // As `scp` and `mv` do it: a gateway that reads it meanwhile sees the old one, or all of the new one.
        std::fs::copy(here.join(name), there.join("new")).unwrap();
        std::fs::rename(there.join("new"), there.join(name)).unwrap();
    };
    keys(here, &["issue", "cellar", "--to", "cellar.key"]);
    copy();
    let first = Gateway::start_at(&urls, folder, here, "first");
    first.until("control API at");
    let second = Gateway::start_at(&urls, folder, there, "second");
    second.until("standing by: gateway first leads");
    // One that is revoked on one machine only would be served by the other.
    keys(here, &["revoke", "cellar", "--yes"]);
    first.until("gateway second has other keys of boards than this one");
    second.until("gateway first has other keys of boards than this one");
    let check = || {
        let checked = output(&["store", "check", &urls]);
        assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
        String::from_utf8(checked.stdout).unwrap()
    };
    let text = check();
    assert!(text.contains("  gateway second stands by, WITH OTHER KEYS OF BOARDS"), "{text}");
    let doctor = pblink(&["doctor", "--only", "server"]).current_dir(here).output().unwrap();
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned() + &stderr(&doctor);
    assert!(text.contains("gateway second has other keys of boards than the one that"), "{text}");
    copy();
    first.until("gateway second has the same keys of boards again");
    assert!(!check().contains("KEYS"));
    // A mistake shows while it can be mended, and not when this gateway is needed.
    std::fs::write(there.join("pblink.keys.toml"), "no keys").unwrap();
    second.until("this gateway cannot lead like that");
}

/// Without passing on, a gateway that stands by is closed, so that whoever looks for an open port finds the leader.
#[test]
fn a_gateway_that_passes_nothing_on_opens_its_ports_when_it_leads() {
    let Some((_cluster, urls, folder)) = store() else { return };
    let folder = folder.path();
    std::fs::write(folder.join("pblink.toml"), "[store]\naddress = \"off\"\n").unwrap();
    let start = |name: &str| {
        let (boards, state) = (format!("127.0.0.1:{}", free_port()), folder.join(name));
        let mut command = pblink(&["serve", "--config", "pblink.toml", "--store", &urls]);
        command.args(["--gateway", name, "--listen", &boards, "--control", "off"]);
        command.arg("--state").arg(state).current_dir(folder);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        (boards, BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap), child)
    };
    let (_, mut said, mut first) = start("first");
    assert!(said.any(|line| line.contains("serving boards")));
    let (boards, mut said, mut second) = start("second");
    assert!(said.any(|line| line.contains("standing by: gateway first leads")));
    assert!(TcpStream::connect(&boards).is_err());
    first.kill().unwrap();
    assert!(said.any(|line| line.contains("serving boards")));
    assert!(TcpStream::connect(&boards).is_ok());
    second.kill().unwrap();
    first.wait().unwrap();
    second.wait().unwrap();
}

//! The examples that talk to `pblink serve`, as processes: with real servers and simulated boards, and what is killed
//! at times.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::group::Group;
use crate::process::network::Network;
use crate::process::{Serve, config_with_keys, free_port, issue_keys, output, pblink, stderr};
use serde_json::Value;

/// Answers after which something is killed, and how often.
const PART: u64 = 25;
const KILLS: u64 = 3;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples")
}

/// A folder with a log, and the addresses of the servers that run on it, one after the other.
struct Place {
    folder: tempfile::TempDir,
    boards: String,
    control: String,
}

impl Place {
    fn new() -> Self {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let folder = tempfile::tempdir().unwrap();
        Self { folder, boards: at(free_port()), control: at(free_port()) }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn url(&self) -> String {
        format!("http://{}", self.control)
    }

    fn serve(&self, args: &[&str]) -> Serve {
        let log = self.path("log");
        let mut all = vec!["--client", "kitchen", "--state", &log];
        all.extend(["--listen", &self.boards, "--control", &self.control]);
        all.extend(args);
        Serve::start(&all)
    }

    fn board(&self) -> Board {
        let args = ["simulate", "--server", &self.boards, "--client", "kitchen", "--every", "10ms"];
        let mut command = pblink(&args);
        Board(Group::start(command.args(["--count", "100000", "--json"])))
    }
}

/// A simulated board that writes lines without end.
struct Board(Group);

impl Board {
    /// Waits for the next line that the board has read.
    fn read(&mut self) -> String {
        loop {
            let event: Value = serde_json::from_str(&self.0.line()).unwrap();
            if event["event"] == "read" {
                return event["value"].as_str().unwrap().to_owned();
            }
        }
    }
}

#[test]
fn the_python_program_of_a_board_answers_each_line_once_although_the_server_is_killed() {
    let place = Place::new();
    let program = format!("python3 '{}'", examples().join("python/board.py").display());
    let mut serve = Some(place.serve(&["--exec", &program, "--exec-ack"]));
    let mut board = place.board();
    for number in 0..PART * (KILLS + 1) {
        if number > 0 && number % PART == 0 {
            // Killed at once, and away before the next one listens there.
            serve = None;
        }
        if serve.is_none() {
            serve = Some(place.serve(&["--exec", &program, "--exec-ack"]));
        }
        let answer: Value = serde_json::from_str(&board.read()).unwrap();
        assert_eq!(answer["number"], number, "{answer}");
        assert_eq!(answer["board"], "kitchen");
    }
}

#[test]
fn the_client_over_http_answers_each_line_once_although_it_and_the_server_are_killed() {
    let program = pblink_soak::process::build("pblink-examples", "answer");
    let place = Place::new();
    let cursor = place.path("cursor");
    let answer = || {
        let mut command = Command::new(&program);
        Group::start(command.args([&cursor, &place.url()]).env_remove("PBLINK_TOKEN"))
    };
    let mut serve = Some(place.serve(&[]));
    let mut client = Some(answer());
    let mut board = place.board();
    let mut answered = Vec::new();
    for number in 1..=PART * (KILLS + 1) {
        let line = board.read();
        let offset = line.split(' ').nth(1).and_then(|offset| offset.parse::<u64>().ok());
        answered.push(offset.unwrap_or_else(|| panic!("{line}")));
        if number % PART == 0 {
            // The server, the client, both.
            let kind = number / PART;
            if kind % 2 == 1 {
                serve = None;
            }
            if kind >= 2 {
                client = None;
            }
            serve.get_or_insert_with(|| place.serve(&[]));
            client.get_or_insert_with(answer);
        }
    }
    let tail = output(&["tail", "--url", &place.url(), "--since", "1h", "--no-follow", "--json"]);
    let lines = String::from_utf8(tail.stdout).unwrap();
    let offsets = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["offset"].as_u64().unwrap_or_else(|| panic!("{line}"))
    });
    assert_eq!(answered, offsets.take(answered.len()).collect::<Vec<_>>());
}

#[test]
fn the_shell_follows_a_board() {
    let place = Place::new();
    let _serve = place.serve(&[]);
    let _board = place.board();
    let mut script = Command::new("sh");
    script.arg(examples().join("shell/follow.sh")).args(["kitchen", &place.url()]);
    let mut follow = Group::start(&mut script);
    for number in 0..20 {
        let line: Value = serde_json::from_str(&follow.line()).unwrap();
        let text = line["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("[{number}, ")), "line {number} is {line}");
    }
}

/// A package of Python that an example needs. False: it is not there, and the test cannot run; where the variable `CI` is set,
/// that is a failure.
fn has_cryptography() -> bool {
    let has = Command::new("python3").args(["-c", "import cryptography, tomllib"]).output();
    let missing = match has {
        Ok(run) if run.status.success() => return true,
        Ok(run) => stderr(&run),
        Err(why) => why.to_string(),
    };
    let missing = format!(
        "missing: Python 3.11 with the package cryptography
    install it with: sudo apt install python3-cryptography, or python3 -m pip install cryptography
({missing})"
    );
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{missing}");
    eprintln!("SKIPPED, this test needs more programs:\n{missing}");
    false
}

/// A Python program among the examples, which leaves no compiled one there.
fn python(program: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-B").arg(examples().join("python").join(program));
    command
}

#[test]
fn the_secure_link_in_python_is_as_the_vectors_have_it() {
    if !has_cryptography() {
        return;
    }
    let vectors = examples().join("../secure-suite/tests/vectors");
    let checked = python("secure_vectors.py").arg(vectors).output().unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
}

/// Lines of one kind: short ones, and some of several packets.
fn burst(kind: &str, round: u64) -> Vec<String> {
    let padding = |n: u64| "ü".repeat(if n % 5 == 4 { 500 } else { 10 });
    (0..PART).map(|n| format!("{kind} {round} {n} {}", padding(n))).collect()
}

#[test]
fn the_secure_board_in_python_has_each_line_once_although_connections_are_cut_and_the_server_is_killed()
 {
    if !has_cryptography() {
        return;
    }
    let place = Place::new();
    let (keys, _) = issue_keys(place.folder.path());
    let config = config_with_keys(place.folder.path());
    let start = || place.serve(&["--config", config.to_str().unwrap()]);
    let network = Network::to(&place.boards);
    let board = || {
        let mut program = python("secure_board.py");
        program.arg(&keys).arg(&network.address);
        program
    };
    let mut serve = start();
    let mut first = Group::start_reader(&mut board());
    let mut written = Vec::new();
    for round in 0..2 * KILLS {
        let (up, down) = (burst("up", round), burst("down", round));
        let send = ["send", "kitchen", "-", "--no-wait", "--url", &place.url()];
        let mut send = Group::start_reader(&mut pblink(&send));
        send.write(&down);
        send.finish();
        first.write(&up);
        written.extend(up);
        for (n, line) in down.iter().enumerate() {
            assert_eq!(first.line(), *line);
            // Others are on their way, both ways.
            if n == 3 && round % 2 == 0 {
                network.cut();
            } else if n == 3 {
                drop(serve);
                serve = start();
            }
        }
    }
    assert_eq!(first.finish(), [""; 0]);
    let tail = output(&["tail", "--url", &place.url(), "--since", "1h", "--no-follow", "--json"]);
    let lines = String::from_utf8(tail.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<_> = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, written);
    let numbers: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=written.len() as u64).collect::<Vec<_>>());
    // A second board has the same keys, and comes when the first is gone.
    let mut last = Group::start_reader(board().arg("--best-effort"));
    let best = burst("best", 0);
    last.write(&best[4..5]);
    last.finish();
    while serve.wait_for("line_in")["text"] != *best[4] {}
}

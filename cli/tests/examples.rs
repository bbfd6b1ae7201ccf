//! The examples that talk to `pblink serve`, as processes: with real servers and simulated boards, and what is killed
//! at times.

mod process;

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use process::{Serve, free_port, output, pblink};
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
        Board(Process::start(command.args(["--count", "100000", "--json"])))
    }
}

/// A process in a group of its own: all of it is killed when this is dropped.
struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    fn line(&mut self) -> String {
        self.said.next().expect("it goes on").unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A simulated board that writes lines without end.
struct Board(Process);

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
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "pblink-examples", "--bin", "answer"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(examples())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(build.status.success());
    let built = String::from_utf8(build.stdout).unwrap();
    let program = (built.lines())
        .filter_map(|line| {
            serde_json::from_str::<Value>(line).ok()?["executable"].as_str().map(str::to_owned)
        })
        .next()
        .expect("cargo names the program");

    let place = Place::new();
    let cursor = place.path("cursor");
    let answer = || {
        let mut command = Command::new(&program);
        Process::start(command.args([&cursor, &place.url()]).env_remove("PBLINK_TOKEN"))
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
    let mut follow = Process::start(&mut script);
    for number in 0..20 {
        let line: Value = serde_json::from_str(&follow.line()).unwrap();
        let text = line["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("[{number}, ")), "line {number} is {line}");
    }
}

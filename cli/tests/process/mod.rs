//! `pblink` as processes, for tests.

pub mod group;
pub mod network;
#[cfg(target_os = "linux")]
pub mod terminal;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// Path of the command.
pub const PBLINK: &str = env!("CARGO_BIN_EXE_pblink");

pub fn pblink(args: &[&str]) -> Command {
    let mut command = Command::new(if cfg!(target_os = "linux") { "env" } else { PBLINK });
    if cfg!(target_os = "linux") {
        // Tests that run under nohup hand an ignored SIGHUP on, and `serve` respects that.
        command.args(["--default-signal=HUP", PBLINK]);
    }
    command.args(args).stdin(Stdio::null()).env_remove("PBLINK_LOG");
    // Where a server in memory keeps its token.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR")).env_remove("PBLINK_TOKEN");
    // No pblink.toml is to be found here, and no log of another server.
    command.current_dir(std::env::temp_dir());
    command.env("XDG_STATE_HOME", state_home()).env_remove("STATE_DIRECTORY");
    command.env("XDG_CONFIG_HOME", state_home()).env_remove("PBLINK_CONFIG");
    command
}

/// Returns a folder for logs that no other server has used.
fn state_home() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("state");
    folder.join(format!("{}-{n}", std::process::id()))
}

/// Returns a port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Copies the command, to be run from there. Another process does it: a file that this one has open for
/// writing is open in the children of its other threads, too, until they run their programs, and a file
/// that is open for writing cannot be run ("text file busy").
pub fn copy_program(to: &Path) {
    assert!(Command::new("cp").arg(PBLINK).arg(to).status().unwrap().success());
}

pub fn output(args: &[&str]) -> Output {
    pblink(args).output().unwrap()
}

/// Runs a command that has this on its standard input.
pub fn output_with(command: &mut Command, stdin: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Less than a pipe holds. Whoever does not want it has closed the pipe.
    let written = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    assert!(written.is_ok() || written.unwrap_err().kind() == ErrorKind::BrokenPipe);
    child.wait_with_output().unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Makes keys for "kitchen" in this folder. Returns the board's file and the server's.
pub fn issue_keys(folder: &Path) -> (PathBuf, PathBuf) {
    let (board, server) = (folder.join("kitchen.toml"), folder.join("server.toml"));
    let mut command = pblink(&["keys", "issue", "kitchen", "--to"]);
    let said = command.arg(&board).arg("--keys").arg(&server).output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
    (board, server)
}

/// Writes a configuration with these keys of a server, for "kitchen" only. Returns its path.
pub fn config_with_keys(folder: &Path) -> PathBuf {
    let config = folder.join("pblink.toml");
    let text = "server.clients = [\"kitchen\"]\nlink.keys = \"server.toml\"\n";
    std::fs::write(&config, text).unwrap();
    config
}

/// Returns the ledger: the last line of `--json`.
pub fn ledger(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    ledger_of(stdout.lines().last().unwrap_or_default())
}

/// Returns the ledger in a line.
pub fn ledger_of(last: &str) -> Value {
    let ledger: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {last}"));
    assert_eq!(ledger["event"], "ledger");
    ledger
}

/// A running `pblink serve`, killed when it is dropped.
pub struct Serve {
    pub child: Child,
    events: std::io::Lines<BufReader<ChildStdout>>,
    pub address: String,
}

impl Serve {
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// Starts it with these variables in its environment.
    pub fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Self::command(args);
        command.envs(variables.iter().copied());
        Self::of(command)
    }

    /// Returns what starts it.
    pub fn command(args: &[&str]) -> Command {
        let mut all = vec!["serve", "--json"];
        if !args.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        if !args.contains(&"--control") {
            all.extend(["--control", "off"]);
        }
        all.extend(args);
        pblink(&all)
    }

    /// Runs this command, and waits until it listens.
    pub fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut serve = Self { child, events, address: String::new() };
        let listening = serve.wait_for("listening");
        serve.address = listening["address"].as_str().unwrap().to_owned();
        serve
    }

    pub fn next(&mut self) -> Option<Value> {
        let line = self.events.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")))
    }

    /// Returns the next event of this kind.
    pub fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("it ended before `{kind}`"));
            if event["event"] == kind {
                return event;
            }
        }
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Returns the code with which it ends, and what it has said on stderr.
    pub fn end(mut self) -> (Option<i32>, String) {
        while self.next().is_some() {}
        let code = self.child.wait().unwrap().code();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (code, said)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Address and port of the control API, from what the server says on stderr.
pub fn control_address(said: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "it names its control API");
        if let Some((_, rest)) = line.split_once("http://") {
            return rest.split('/').next().unwrap().to_owned();
        }
    }
}

//! A server with its page, and boards.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::Value;
use tempfile::TempDir;

use super::browser::HANGS;
use crate::process::{Serve, free_port, pblink};

/// A server on a folder, at ports that it has again after it was killed.
pub struct Rig {
    serve: Option<Child>,
    control: String,
    app: &'static str,
    folder: TempDir,
    /// Where boards connect.
    pub boards: String,
    /// The page, without a slash at its end.
    pub url: String,
}

impl Rig {
    /// Starts a server whose control API is at this address of the machine, and that does this with lines.
    pub fn start(ip: &str, app: &'static str) -> Self {
        let (boards, port) = (format!("127.0.0.1:{}", free_port()), free_port());
        let control = format!("{ip}:{port}");
        let url = format!("http://{control}");
        let folder = tempfile::tempdir().unwrap();
        let mut rig = Self { serve: None, control, app, folder, boards, url };
        rig.restart();
        rig
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        let state = self.folder.path().join("state");
        let args = ["--any-client", "--no-mdns", "--state", state.to_str().unwrap()];
        let places = ["--listen", &self.boards, "--control", &self.control, "--app", self.app];
        let mut command = Serve::command(&[&args[..], &places].concat());
        let mut serve = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(serve.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(said.any(|line| line.contains("\"listening\"")), "the server listens");
        // Nobody reads the rest, and nobody waits for it.
        std::thread::spawn(move || said.for_each(drop));
        self.serve = Some(serve);
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut serve) = self.serve.take() {
            serve.kill().unwrap();
            serve.wait().unwrap();
        }
    }

    /// Empties its folder but for the token.
    pub fn forget(&mut self) {
        let token = self.token();
        let state = self.folder.path().join("state");
        for file in std::fs::read_dir(&state).unwrap() {
            let path = file.unwrap().path();
            if !path.ends_with("token") {
                std::fs::remove_file(path).unwrap();
            }
        }
        assert_eq!(self.token(), token);
    }

    /// Returns the token of the API.
    pub fn token(&self) -> String {
        let file = self.folder.path().join("state/token");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Connects a board that is a plain socket.
    pub fn board(&self, id: &str) -> Plain {
        let mut socket = TcpStream::connect(&self.boards).unwrap();
        write!(socket, "{id}\n\n").unwrap();
        let mut board = Plain { socket, next: 0 };
        board.live();
        board
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A board that says what it is told, and is alive.
pub struct Plain {
    socket: TcpStream,
    next: u8,
}

impl Plain {
    /// Answers the server, from a thread of its own.
    fn live(&mut self) {
        let mut socket = self.socket.try_clone().unwrap();
        let mut answers = BufReader::new(self.socket.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut line = String::new();
            while answers.read_line(&mut line).is_ok_and(|n| n > 0) {
                // A line is acknowledged by its number; keepalives are answered with ours: neither side has a timer.
                let number = line.get(..2).filter(|_| line.len() > 3).unwrap_or_default();
                if writeln!(socket, "{number}").is_err() {
                    return;
                }
                line.clear();
            }
        });
    }

    /// Sends a line.
    pub fn say(&mut self, text: &str) {
        writeln!(self.socket, "{:02x}{text}", self.next).unwrap();
        self.next += 1;
    }
}

/// A board of `pblink simulate`; it is gone when this is dropped.
pub struct Simulated {
    child: Child,
    lines: Receiver<String>,
}

impl Simulated {
    pub fn start(server: &str, id: &str, more: &[&str]) -> Self {
        let mut command = pblink(&["simulate", "--json", "--server", server, "--client", id]);
        command.args(["--every", "200ms"].iter().filter(|_| !more.contains(&"--every"))).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let (heard, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap();
                if event["event"] == "read" {
                    // Whoever has enough of them is gone.
                    let _ = heard.send(event["value"].as_str().unwrap().to_owned());
                }
            }
        });
        Self { child, lines }
    }

    /// Returns the next line that it reads from the server.
    pub fn read(&self) -> String {
        self.lines.recv_timeout(HANGS).expect("a line comes")
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an address of this machine that others can reach, if it has one.
pub fn other_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only looks which way it would go.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then(|| ip.to_string())
}

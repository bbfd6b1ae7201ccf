//! A `pblink serve` process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use pblink_soak::process::program;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::rig::LIMIT;

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Serve {
    child: Child,
    events: watch::Receiver<Vec<Value>>,
    /// Its output on stderr, once it has ended.
    said: Option<std::thread::JoinHandle<String>>,
    control: String,
    port: u16,
}

impl Serve {
    /// Starts `pblink serve` with the application `echo` for one client, on this port or, if that is 0,
    /// on any, with its log in this folder. Silence for a second is an outage. Returns when it listens.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(client: &str, port: u16, state: &Path) -> Self {
        Self::start_with(client, port, state, |command| command).await
    }

    /// Starts one with further arguments.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(
        client: &str,
        port: u16,
        state: &Path,
        more: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let mut command = Command::new(block_in_place(program));
        command
            .args(["serve", "--listen", &listen, "--client", client, "--timeout-ms", "1000"])
            .args(["--app", "echo", "--control", "127.0.0.1:0", "--json", "--state"])
            .arg(state)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = more(&mut command).spawn().expect("the server starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (control, before) = block_in_place(|| control_address(&mut stderr));
        let said = std::thread::spawn(move || listen_to(stderr, before));
        let (report, events) = watch::channel(Vec::new());
        let stdout = child.stdout.take().expect("a pipe");
        std::thread::spawn(move || pass_on(stdout, &report));
        let mut serve = Self { child, events, said: Some(said), control, port };
        let listening = serve.wait("listening").await;
        let address = listening["address"].as_str().expect("an address");
        serve.port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        serve
    }

    /// Address that boards connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the first event of this kind since the server was started, and returns it.
    ///
    /// # Panics
    /// If the server ends before, or this never comes.
    pub async fn wait(&self, kind: &str) -> Value {
        let mut events = self.events.clone();
        let find = |events: &Vec<Value>| events.iter().find(|e| e["event"] == kind).cloned();
        let seen = timeout(LIMIT, events.wait_for(|events| find(events).is_some())).await;
        let seen = seen.unwrap_or_else(|_| panic!("`{kind}` never comes"));
        let seen = seen.unwrap_or_else(|_| panic!("the server has ended before `{kind}`"));
        find(&seen).expect("it was there just now")
    }

    /// Returns the number of lines that it has received from the client, repetitions not counted.
    ///
    /// # Panics
    /// If the control API does not answer.
    pub fn received(&self, client: &str) -> u64 {
        let mut http = TcpStream::connect(&self.control).expect("the control API");
        let host = &self.control;
        let request = format!(
            "GET /api/v1/links/{client} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        );
        http.write_all(request.as_bytes()).expect("the control API takes requests");
        let mut answer = String::new();
        block_in_place(|| http.read_to_string(&mut answer)).expect("the control API answers");
        let body = answer.split_once("\r\n\r\n").expect("an answer with a body").1;
        let link: Value = serde_json::from_str(body).expect("JSON");
        link["lines_in"].as_u64().expect("a number")
    }

    /// Kills it, without any warning.
    ///
    /// # Panics
    /// If it has ended before.
    pub fn kill(mut self) {
        assert_eq!(self.child.try_wait().expect("our child"), None, "the server has ended");
        // Dropping it does the rest.
        self.child.kill().expect("our child");
    }

    /// Stops it with SIGTERM.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -TERM {pid}");
        let status = block_in_place(|| self.child.wait()).expect("our child");
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        assert!(status.success(), "the server ended with {status}:\n{said}");
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A test has failed: its words may say why.
        if std::thread::panicking()
            && let Some(said) = self.said.take()
        {
            eprintln!("the server has said:\n{}", said.join().unwrap_or_default());
            for event in &*self.events.borrow() {
                eprintln!("{event}");
            }
        }
    }
}

/// Address and port of the control API, from what the server says on stderr, and all that it has said.
fn control_address(stderr: &mut BufReader<ChildStderr>) -> (String, String) {
    let mut said = String::new();
    loop {
        let from = said.len();
        let read = stderr.read_line(&mut said).expect("text");
        assert!(read > 0, "the server does not name its control API:\n{said}");
        if let Some((_, rest)) = said[from..].split_once("http://") {
            let address = rest.split('/').next().unwrap_or_default().to_owned();
            return (address, said);
        }
    }
}

fn listen_to(mut stderr: BufReader<ChildStderr>, mut said: String) -> String {
    let _ = stderr.read_to_string(&mut said);
    said
}

fn pass_on(stdout: ChildStdout, report: &watch::Sender<Vec<Value>>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // A line may be cut when the server is killed.
        if let Ok(event) = serde_json::from_str(&line) {
            report.send_modify(|events: &mut Vec<Value>| events.push(event));
        }
    }
}

//! The servers among the examples, as processes, against a board whose machines are the real ones.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pblink_protocol::config::Config;
use pblink_simulator::live::{self, Clock};
use pblink_simulator::{Pair, PairOptions, ProgramOptions};
use tokio::sync::mpsc;

const LINES: u64 = 20;
/// Nothing here takes this long, unless it never comes.
const LIMIT: Duration = Duration::from_secs(60);

/// An example that runs until this is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.trim().rsplit(':').next().unwrap().to_owned();
        Self { process, address: format!("127.0.0.1:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets a board write its lines to a server until `done`.
async fn board(address: &str, done: impl Fn(&Pair, &[String]) -> bool) -> Vec<String> {
    let config = Config {
        id: "kitchen".try_into().unwrap(),
        port: 8123,
        server: "server".try_into().unwrap(),
        timeout_ms: 2000,
        report_s: 0,
        ssid: "net".try_into().unwrap(),
        password: Default::default(),
    };
    let program = ProgramOptions {
        every: pblink_protocol::time::Duration::from_millis(10),
        count: Some(LINES),
        ..ProgramOptions::default()
    };
    let clock = Clock::start();
    let pair =
        Pair::new(&config, PairOptions { program, ..PairOptions::default() }, clock.now()).unwrap();
    let (commands, taken) = mpsc::channel(1);
    let mut read = Vec::new();
    // The pair is looked at again and again: an acknowledgement is no event of its own.
    let ask = async {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            if commands.send(live::Command::Look).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let run = live::run(pair, clock, address.to_owned(), taken, |pair, event| {
        if let live::Event::Pair(pblink_simulator::PairEvent::Read(line)) = event {
            read.push(line);
        }
        !done(pair, &read)
    });
    tokio::select! {
        ended = tokio::time::timeout(LIMIT, run) => drop(ended.expect("the board is done in time")),
        () = ask => {}
    }
    read
}

#[tokio::test]
async fn the_echo_server_returns_every_line() {
    let server = Server::start(env!("CARGO_BIN_EXE_echo-server"), &["0"]);
    let read = board(&server.address, |_, read| read.len() as u64 >= LINES).await;
    for (n, line) in read.iter().enumerate() {
        assert!(line.starts_with(&format!("[{n}, ")), "line {n} is {line}");
    }
}

#[tokio::test]
async fn the_sensor_logger_has_every_line_on_disk_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sensors.csv");
    let server = Server::start(env!("CARGO_BIN_EXE_sensor-logger"), &[file.to_str().unwrap(), "0"]);
    board(&server.address, |pair, _| pair.acked() >= LINES).await;
    drop(server);
    let logged = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = logged.lines().collect();
    assert_eq!(lines.len() as u64, LINES, "{logged}");
    for (n, line) in lines.iter().enumerate() {
        assert!(line.contains(&format!(",\"kitchen\",\"[{n}, ")), "line {n} is {line}");
    }
}

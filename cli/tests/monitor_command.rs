//! `pblink monitor` as a program, without a terminal.

mod monitor_fixture;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use monitor_fixture::Fake;
use pblink_serve::control::ControlServer;
use pblink_server::Event;
use tokio::sync::Mutex;

/// A child that another test is just starting shares all pipes until it has executed: a pipe that
/// this test has closed would for that moment still have a reader. So they take turns.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn monitor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.arg("monitor").args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_it_fails_with_code_4_and_says_what_to_do() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let address = "127.0.0.1:0".parse().unwrap();
    let server = ControlServer::bind(address, Fake::new(1, 1)).await.unwrap();
    let url = format!("http://{}", server.address());
    server.shutdown().await;
    let output = monitor(&["--connect", &url]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("pblink serve") && said.contains("--url"), "{said}");
    assert!(output.stdout.is_empty(), "stdout is for results");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_prints_events_as_they_happen_and_ends_when_nobody_reads() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let fake = Fake::new(1, 100);
    fake.note("history");
    let address = "127.0.0.1:0".parse().unwrap();
    let server = ControlServer::bind(address, fake.clone()).await.unwrap();
    let url = server.address().to_string();
    let mut child = monitor(&["--json", "--connect", &url]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Event { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next().kind, monitor_fixture::note("history"));
    fake.note("live");
    assert_eq!(next().seq, 2);

    drop(lines);
    fake.note("nobody reads this");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*said), (Some(0), ""), "it ends quietly");
}

//! `pblink monitor` as a program, without a terminal.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use crate::monitor_fixture::{self, Fake};
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

/// Follows a server with one event, as JSON.
async fn follow(
    arguments: &[&str],
) -> (Arc<Fake>, ControlServer, Child, Lines<BufReader<ChildStdout>>) {
    let fake = Fake::new(1, 100);
    fake.note("history");
    let address = "127.0.0.1:0".parse().unwrap();
    let server = ControlServer::bind(address, fake.clone()).await.unwrap();
    let url = server.address().to_string();
    let arguments = [&["--json", "--connect", &url], arguments].concat();
    let mut child = monitor(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (fake, server, child, lines)
}

fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Event {
    serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_prints_events_as_they_happen_and_ends_when_nobody_reads() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (fake, _server, child, mut lines) = follow(&[]).await;
    let mut next = || next(&mut lines);
    assert_eq!(next().kind, monitor_fixture::note("history"));
    fake.note("live");
    assert_eq!(next().seq, 2);

    drop(lines);
    fake.note("nobody reads this");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*said), (Some(0), ""), "it ends quietly");
}

/// Returns what it prints, as objects.
fn printed(arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = monitor(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*said), (Some(0), ""), "{arguments:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_of_what_was_is_printed_and_then_it_ends() {
    use pblink_server::{Cause, EventKind, Layer};
    let _turn = ONE_AT_A_TIME.lock().await;
    let fake = Fake::new(1, 100);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = now.as_millis() as u64;
    let began = |id: &str| EventKind::OutageBegan {
        id: id.into(),
        cause: Cause::Silent,
        layer: Layer::Wifi,
    };
    let note = |id: &str| EventKind::Note { id: Some(id.into()), text: "x".into() };
    let hour = 3_600_000;
    for (ago, kind) in
        [(48, began("a")), (5, began("a")), (4, note("a")), (3, began("b")), (2, note("b"))]
    {
        fake.history.add_with(now - ago * hour, kind, |_, _| {});
    }
    let address = "127.0.0.1:0".parse().unwrap();
    let server = ControlServer::bind(address, fake.clone()).await.unwrap();
    let url = server.address().to_string();
    let numbers = |arguments: &[&str]| {
        let all = [&["--json", "--no-follow", "--url", &url], arguments].concat();
        printed(&all).iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&[]), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&["--since", "24h"]), [2, 3, 4, 5]);
    assert_eq!(numbers(&["--since", "24h", "--client", "a"]), [2, 3]);
    assert_eq!(numbers(&["--event", "outage_began"]), [1, 2, 4]);
    assert_eq!(numbers(&["--event", "outage_began", "--event", "note", "--client", "b"]), [4, 5]);
    assert_eq!(numbers(&["--event", "refused"]), [0; 0]);
    // Lines for people do the same.
    let output = monitor(&["--no-follow", "--event", "note", "--url", &url]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
    for (wrong, word) in
        [(&["--event", "outage"][..], "outage_began"), (&["--since", "yesterday"], "--since")]
    {
        let output = monitor(&[&["--url", &url], wrong].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(word), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_goes_over_into_what_happens_without_a_gap_and_only_what_is_wanted() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (fake, _server, mut child, mut lines) = follow(&["--since", "1h", "--event", "note"]).await;
    let mut next = || next(&mut lines);
    assert_eq!(next().kind, monitor_fixture::note("history"));
    fake.history.record(pblink_server::EventKind::Stopped);
    fake.note("live");
    assert_eq!(next().seq, 3);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

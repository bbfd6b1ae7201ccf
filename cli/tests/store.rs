//! `pblink store`, and `pblink serve` on a log that several servers share, with a real NATS server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc;

use pblink_soak::nats::{Cluster, Wanted};
use serde_json::Value;

use crate::process::{Serve, free_port, ledger, output, stderr};

/// Starts a gateway, and waits until it leads.
fn lead(urls: &str, folder: &Path, name: &str) -> Serve {
    Serve::of(gateway(urls, folder, name))
}

fn gateway(urls: &str, folder: &Path, name: &str) -> std::process::Command {
    let state = folder.join(name);
    let state = state.to_str().unwrap();
    let mut command = Serve::command(&["--store", urls, "--gateway", name, "--state", state]);
    command.arg("--any-client").current_dir(folder);
    command
}

/// Lets a board write this many lines, each acknowledged.
fn write(serve: &Serve, lines: u32) {
    let count = lines.to_string();
    let args = ["simulate", "--server", &serve.address, "--client", "kitchen", "--count", &count];
    let written = output(&[&args[..], &["--every", "50ms", "--json"]].concat());
    assert!(written.status.success(), "{}", stderr(&written));
    let ledger = ledger(&written);
    assert_eq!(
        (&ledger["to_server"]["written"], &ledger["to_server"]["arrived"]),
        (&lines.into(), &lines.into())
    );
}

fn lines_in(folder: &Path, name: &str) -> Value {
    let state = folder.join(name);
    let checked = output(&["state", "check", "--json", "--state", state.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    serde_json::from_slice::<Value>(&checked.stdout).unwrap()["lines"].clone()
}

#[test]
fn the_first_lines_of_the_page_make_a_server_whose_log_is_shared() {
    let Some(cluster) = Cluster::start(Wanted::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SCALE.md"));
    let page = page.unwrap();
    let block = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let url = "nats://127.0.0.1:4222";
    let lines: Vec<Vec<String>> = block
        .lines()
        .map(|line| line.replace(url, &cluster.urls()).split(' ').map(str::to_owned).collect())
        .collect();
    let [nats, init, serve] = &lines[..] else { panic!("{block}") };
    assert_eq!(nats[..], ["nats-server", "-js", "&"], "which runs on a port of its own here");
    let words = |line: &[String]| -> Vec<String> {
        assert_eq!(line[0], "pblink");
        line[1..].to_vec()
    };
    let made = output(&words(init).iter().map(String::as_str).collect::<Vec<_>>());
    assert!(made.status.success(), "{}", stderr(&made));
    let serve = words(serve);
    assert_eq!(serve[0], "serve");
    let serve: Vec<&str> = serve[1..].iter().map(String::as_str).collect();
    let state = folder.path().join("state");
    let mut command = Serve::command(&[&serve[..], &["--state", state.to_str().unwrap()]].concat());
    command.current_dir(folder.path());
    let server = Serve::of(command);
    write(&server, 3);
}

/// The whole way: two servers, one is killed, the other goes on with its log.
#[test]
fn another_server_goes_on_with_the_log_of_one_that_was_killed() {
    let Some(cluster) = Cluster::start(Wanted::default()) else { return };
    let (urls, folder) = (cluster.urls(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let made = output(&["store", "init", &urls]);
    assert!(made.status.success(), "{}", stderr(&made));
    let mut first = lead(&urls, folder, "first");
    // It waits until it leads.
    let (sender, led) = mpsc::channel();
    let second = gateway(&urls, folder, "second");
    std::thread::spawn(move || sender.send(Serve::of(second)));
    write(&first, 5);
    assert!(led.try_recv().is_err(), "one leads");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = led.recv().expect("the other one leads");
    write(&second, 3);
    second.signal("-TERM");
    let (code, said) = second.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("gateway second leads"), "{said}");
    assert_eq!(lines_in(folder, "second"), 8);
    // It has left: nobody has to be waited for, and the copy is read on from where it was.
    let first = lead(&urls, folder, "first");
    first.signal("-TERM");
    let (code, said) = first.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(lines_in(folder, "first"), 8);
}

/// A server that nobody replaces, because nobody can, is there again with its store.
#[test]
fn a_server_whose_store_was_away_for_long_goes_on_with_it() {
    let Some(mut cluster) = Cluster::start(Wanted::default()) else { return };
    let (urls, folder) = (cluster.urls(), tempfile::tempdir().unwrap());
    assert!(output(&["store", "init", &urls]).status.success());
    let mut server = lead(&urls, folder.path(), "one");
    write(&server, 2);
    let mut said = BufReader::new(server.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    cluster.kill(0);
    let waits =
        said.find(|line| line.contains("no server of the store") && line.contains("trying again"));
    assert!(waits.is_some(), "it ended");
    cluster.restart(0);
    assert!(said.any(|line| line.contains("gateway one leads")), "it ended");
    server.address = server.wait_for("listening")["address"].as_str().unwrap().to_owned();
    write(&server, 3);
    server.signal("-TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert_eq!(lines_in(folder.path(), "one"), 5);
}

#[test]
fn a_store_is_made_once_and_checked() {
    let Some(cluster) = Cluster::start(Wanted::default()) else { return };
    let urls = cluster.urls();
    let missing = output(&["store", "check", &urls]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no stream PBLINK: `pblink store init`"));
    for said in ["made the stream", "was there"] {
        let made = output(&["store", "init", &urls]);
        assert_eq!(made.status.code(), Some(0));
        assert!(stderr(&made).contains(said), "{}", stderr(&made));
    }
    let checked = output(&["store", "check", &urls]);
    assert_eq!(checked.status.code(), Some(0));
    let text = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(
        text,
        "PBLINK: 0 messages, 0.0 MB, 1 of 1 copies are there\n  its settings are safe\n"
    );
    let checked = output(&["store", "check", &urls, "--json"]);
    let state: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&state["last"], &state["replicas"]), (&0.into(), &1.into()));
}

#[test]
fn a_server_that_cannot_share_its_log_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let nobody = format!("nats://127.0.0.1:{}", free_port());
    let serve = |args: &[&str]| {
        let listen = ["serve", "--listen", "127.0.0.1:0", "--control", "off"];
        let ended = output(&[&listen[..], args].concat());
        (ended.status.code(), stderr(&ended))
    };
    let (code, said) = serve(&["--store", &nobody, "--state", state]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
    let (code, said) = serve(&["--store", &nobody, "--state", "off"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--state DIR"), "{said}");
    let (code, said) = serve(&["--store", &nobody, "--state", state, "--gateway", "a b"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("cannot be called \"a b\""), "{said}");
    let which = output(&["store", "check"]);
    assert_eq!(which.status.code(), Some(2));
    assert!(stderr(&which).contains("which store?"));
}

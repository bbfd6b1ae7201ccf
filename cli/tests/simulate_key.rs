//! A simulated board with keys, as a program: against a server of the library, and against `pblink serve`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::process::{
    Serve, config_with_keys, free_port, issue_keys, ledger, output, pblink, stderr,
};
use pblink_serve::log::{Engine, Kind, Sqlite};
use pblink_server::{Delivery, Keys, Server};

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

/// Makes keys for "kitchen": the board's file, and the server's.
fn issue(folder: &Path) -> (PathBuf, Keys) {
    let (board, server) = issue_keys(folder);
    let file = pblink_cli::keys::Store::at(&server).existing().expect("it was written");
    (board, file.server_keys().fold(Keys::new(), Keys::board))
}

/// Runs a server that returns each line, for as long as `client` runs with its address.
fn with_echo<T>(keys: Keys, client: impl FnOnce(SocketAddr) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let bind = async { Server::builder().port(0).keys(keys).bind().await.expect("a port is free") };
    let server = runtime.block_on(bind);
    let address = server.local_addr();
    runtime.spawn(async move {
        let link = server.next_client().await.expect("the server lives");
        while let Ok(line) = link.read_line().await {
            link.write(&line, Delivery::ORDERED).await.expect("the server lives");
        }
    });
    client(SocketAddr::from(([127, 0, 0, 1], address.port())))
}

#[test]
fn a_board_with_keys_has_a_clean_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    let (board, keys) = issue(folder.path());
    let output = with_echo(keys, |address| {
        let server = address.to_string();
        let args = ["simulate", "--server", &server, "--key", path(&board), "--count", "5"];
        output(&[&args[..], &["--every", "10ms", "--json"]].concat())
    });
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let ledger = ledger(&output);
    assert_eq!((&ledger["id"], &ledger["to_server"]["arrived"]), (&"kitchen".into(), &5.into()));
    assert_eq!(
        (&ledger["returned"]["arrived"], &ledger["returned"]["duplicated"]),
        (&5.into(), &0.into())
    );
}

#[test]
fn keys_that_cannot_be_read_and_those_of_another_board_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (board, _) = issue(folder.path());
    let said = output(&["simulate", "--key", path(&board), "--client", "attic"]);
    assert_eq!(said.status.code(), Some(2), "{}", stderr(&said));
    assert!(stderr(&said).contains("those of kitchen, not of attic"), "{}", stderr(&said));
    let missing = folder.path().join("missing.toml");
    let said = output(&["simulate", "--key", path(&missing)]);
    assert_eq!(said.status.code(), Some(3), "{}", stderr(&said));
    assert!(stderr(&said).contains("pblink keys issue ID --to"), "{}", stderr(&said));
}

/// `pblink serve` with a file of keys, killed twice while lines pass. In its log each is once, and in order.
#[test]
fn a_served_board_has_a_clean_ledger_although_the_server_is_killed() {
    const LINES: u64 = 30;
    let folder = tempfile::tempdir().expect("a folder");
    let (board, _) = issue(folder.path());
    let config = config_with_keys(folder.path());
    let (log, address) = (folder.path().join("log"), format!("127.0.0.1:{}", free_port()));
    let serve =
        || Serve::start(&["--config", path(&config), "--listen", &address, "--state", path(&log)]);
    let mut first = serve();
    let count = LINES.to_string();
    let args = ["simulate", "--server", &address, "--key", path(&board), "--count", &count];
    let simulated = pblink(&[&args[..], &["--every", "50ms", "--json"]].concat())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    for _ in 0..5 {
        first.wait_for("line_in");
    }
    drop(first);
    let mut second = serve();
    for _ in 0..5 {
        second.wait_for("line_in");
    }
    drop(second);
    let mut last = serve();
    let said = simulated.wait_with_output().expect("it was started");
    assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
    assert_eq!(ledger(&said)["to_server"]["arrived"], LINES);
    // It is given a new key while it runs, whatever is killed meanwhile.
    let mut again =
        pblink(&["simulate", "--server", &address, "--key", path(&board), "--every", "1h"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
    let mut says = BufReader::new(again.stderr.take().expect("a pipe")).lines();
    while last.wait_for("outage_ended")["id"] != "kitchen" {}
    let rotated = output(&["keys", "rotate", "kitchen", "--config", path(&config)]);
    assert_eq!(rotated.status.code(), Some(0), "{}", stderr(&rotated));
    let shows = |what: &str| {
        let shown = output(&["keys", "show", "kitchen", "--json", "--config", path(&config)]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        shown[what].clone()
    };
    let proven = |event: &serde_json::Value| {
        event["id"] == "kitchen"
            && event["text"].as_str().is_some_and(|it| it.contains("generation 2"))
    };
    while !proven(&last.wait_for("note")) {}
    drop(last);
    // Killed before it could note that, or after.
    let mut last = serve();
    let back = |event: &serde_json::Value| {
        let kinds = ["connected", "outage_ended"];
        event["id"] == "kitchen" && kinds.iter().any(|kind| event["event"] == *kind)
    };
    while !back(&last.next().expect("it runs")) {}
    // The board hears of it once the server's file says so, and then writes its own.
    let forgets = |line: &String| line.contains("generation 2, and has forgotten the one before");
    says.by_ref().map(|line| line.expect("text")).find(forgets).expect("it forgets the old key");
    let file = std::fs::read_to_string(&board).expect("the board's file");
    assert!(shows("next").is_null());
    assert!(file.contains("generation = 2") && !file.contains("[before]"), "{}", file.len());
    assert_eq!(shows("current")["generation"], 2);
    // A board whose keys are taken away is cut at once.
    let revoked = output(&["keys", "revoke", "kitchen", "--yes", "--config", path(&config)]);
    assert_eq!(revoked.status.code(), Some(0), "{}", stderr(&revoked));
    while last.wait_for("outage_began")["cause"] != "keys_changed" {}
    again.kill().expect("it runs");
    again.wait().expect("it was started");
    drop(last);
    let reader = Sqlite::open(&log).expect("nobody else has it").reader();
    let (lines, _) = reader.lines(0, usize::MAX, usize::MAX, None).expect("it can be read");
    let numbers: Vec<_> =
        lines.iter().filter(|line| line.kind == Kind::Line).map(|line| line.seq).collect();
    // The second board's program writes its first line at once.
    assert_eq!(numbers[..LINES as usize], (1..=LINES).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line.written_ms.is_some()));
}

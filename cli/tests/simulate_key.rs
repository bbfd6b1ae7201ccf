//! A simulated board with keys, as a program, against a server of the library.

mod process;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pblink_server::{Delivery, Keys, Server};
use process::{ledger, output, stderr};

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

/// Makes keys for "kitchen": the board's file, and the server's.
fn issue(folder: &Path) -> (PathBuf, Keys) {
    let (board, server) = (folder.join("kitchen.toml"), folder.join("server.toml"));
    let args = ["keys", "issue", "kitchen", "--to", path(&board), "--keys", path(&server)];
    let said = output(&args);
    assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
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

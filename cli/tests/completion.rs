//! Completion by a real bash, against a real server.

use std::io::BufReader;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Serve, control_address};

/// Returns the answers of bash for a line that ends with the word to complete.
fn complete(folder: &Path, line: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_pblink")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let script = "source <(pblink completions bash)
        COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_pblink \"$1\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-uc", script, "bash", "pblink"])
        .args(line)
        .current_dir(folder)
        .env("PATH", path)
        .env("XDG_CONFIG_HOME", folder)
        .env_remove("PBLINK_CONFIG")
        .env_remove("PBLINK_TOKEN")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{line:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().to_owned()).collect()
}

/// As [`complete`], once the server has answered in time: on a machine with much to do it may take several tries.
fn complete_by_server(folder: &Path, line: &[&str], wanted: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let found = complete(folder, line);
        if found.starts_with(&wanted.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()) {
            return;
        }
        assert!(Instant::now() < deadline, "{line:?}: {found:?}, not {wanted:?}");
    }
}

#[test]
fn bash_completes_verbs_flags_and_choices() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(complete(folder.path(), &["outb"]), ["outbox"]);
    assert_eq!(complete(folder.path(), &["send", "--deliv"]), ["--delivery"]);
    let ways = complete(folder.path(), &["send", "--delivery", ""]);
    assert_eq!(ways, ["guaranteed", "unordered", "best_effort"]);
    std::fs::write(folder.path().join("kitchen.toml"), "").unwrap();
    assert_eq!(complete(folder.path(), &["serve", "--config", "kit"]), ["kitchen.toml"]);
}

#[test]
fn bash_completes_the_keys_of_the_configuration_and_their_values() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["get", "set", "unset"] {
        let keys = complete(folder.path(), &["config", verb, "server.ti"]);
        assert_eq!(keys, ["server.timeout_ms"], "{verb}");
        assert_eq!(complete(folder.path(), &["config", verb, "wifi.p"]), ["wifi.password"]);
    }
    assert_eq!(complete(folder.path(), &["config", "set", "server.log", "d"]), ["debug"]);
    let choices = complete(folder.path(), &["config", "set", "board.forward_reports", ""]);
    assert_eq!(choices[..2], ["true", "false"]);
    // Of several boards, the keys are those of each.
    let boards = "[server]\nclients = []\n[[board]]\nid = \"kitchen\"\n[[board]]\nid = \"attic\"\n";
    std::fs::write(folder.path().join("pblink.toml"), boards).unwrap();
    let keys = complete(folder.path(), &["config", "set", "board[1].l"]);
    assert_eq!(keys, ["board[1].log"]);
    assert!(
        !complete(folder.path(), &["config", "set", "board"]).contains(&"board.log".to_owned())
    );
    assert_eq!(
        complete(folder.path(), &["config", "set", "board[1].log", "li"]),
        ["link", "lines"]
    );
}

#[test]
fn bash_completes_links_of_a_running_server_and_ids_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve =
        Serve::start(&["--control", "127.0.0.1:0", "--client", "kitchen", "--client", "attic"]);
    let mut said = BufReader::new(serve.child.stderr.take().unwrap());
    let control = control_address(&mut said);
    let config = format!("[server]\nclients = [\"cellar\"]\ncontrol = \"{control}\"\n");
    std::fs::write(folder.path().join("pblink.toml"), config).unwrap();
    for verb in ["send", "tail", "status", "outages", "history"] {
        complete_by_server(folder.path(), &[verb, "kit"], &["kitchen"]);
    }
    complete_by_server(folder.path(), &["status", ""], &["attic", "cellar", "kitchen"]);
    complete_by_server(folder.path(), &["monitor", "--client", "at"], &["attic"]);
    assert_eq!(complete(folder.path(), &["config", "set", "link.classic", "ce"]), ["cellar"]);
    // The second of several.
    complete_by_server(folder.path(), &["tail", "attic", "kit"], &["kitchen"]);
    let config = folder.path().join("other.toml");
    std::fs::write(&config, format!("[server]\ncontrol = \"{control}\"\n")).unwrap();
    let config = config.to_str().unwrap();
    let line = ["status", "--config", config, ""];
    complete_by_server(folder.path(), &line, &["attic", "kitchen"]);
}

/// It ends: nothing would make a Tab return that waits for this server.
#[test]
fn a_server_that_does_not_answer_does_not_hang_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let accepted = thread::spawn(move || silent.accept().unwrap());
    let config = format!("[server]\nclients = [\"kitchen\"]\ncontrol = \"{address}\"\n");
    std::fs::write(folder.path().join("pblink.toml"), config).unwrap();
    assert_eq!(complete(folder.path(), &["status", "k"]), ["kitchen"]);
    // It was asked.
    drop(accepted.join().unwrap());
}

#[test]
fn a_configuration_with_a_mistake_does_not_keep_a_shell_from_completing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pblink.toml"), "[server\nport =").unwrap();
    assert_eq!(complete(folder.path(), &["config", "set", "server.po"]), ["server.port"]);
    assert_eq!(complete(folder.path(), &["status", "--js"]), ["--json"]);
}

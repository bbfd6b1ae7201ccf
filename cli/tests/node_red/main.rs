//! The flow of `templates/` in a real Node-RED. A program of its own, which `cargo test` passes over, since it needs Node.js 20 and
//! installs 117 MB from npm: `just node-red`, and a job of the workflow.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::group::Group;
use crate::process::{Serve, free_port, pblink};

#[allow(dead_code, reason = "most of it is for the other tests")]
#[path = "../process/mod.rs"]
mod process;

/// Returns the folder with Node-RED, which is installed there the first time.
fn node_red() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/node-red");
    if !folder.join("node_modules/node-red/red.js").is_file() {
        std::fs::create_dir_all(&folder).unwrap();
        // With a package.json of its own, since npm looks for one above.
        std::fs::write(folder.join("package.json"), "{}").unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "node-red@4"]).current_dir(&folder);
        assert!(npm.status().expect("npm: install Node.js 20").success());
    }
    folder.join("node_modules/node-red/red.js")
}

/// Waits for a line that has this in it.
fn says(program: &mut Group, wanted: &str) -> String {
    loop {
        let line = program.line();
        eprintln!("{line}");
        if line.contains(wanted) {
            return line;
        }
    }
}

/// Presses the button of a node, as the editor does.
fn press(port: u16, node: &str) {
    let url = format!("http://127.0.0.1:{port}/inject/{node}");
    let curl = Command::new("curl").args(["--silent", "--fail", "-X", "POST", &url]).status();
    assert!(curl.unwrap().success());
}

#[test]
fn node_red_reads_lines_sends_lines_and_survives_a_server_that_is_killed() {
    let red = node_red();
    let folder = tempfile::tempdir().unwrap();
    let (boards, control) = (free_port(), free_port());
    let (boards, control) = (format!("127.0.0.1:{boards}"), format!("127.0.0.1:{control}"));
    let log = folder.path().join("log");
    let serve = || {
        let mut command = Serve::command(&["--listen", &boards, "--control", &control]);
        command
            .args(["--client", "kitchen", "--state"])
            .arg(&log)
            .env("PBLINK_TOKEN", "t".repeat(32));
        Serve::of(command)
    };
    let server = serve();
    let port = free_port();
    let mut command = Command::new("node");
    command.arg(red).arg("--userDir").arg(folder.path()).args(["--port", &port.to_string()]);
    let flow = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/node-red-flow.json");
    command.arg(std::fs::canonicalize(flow).unwrap());
    command.env("PBLINK_URL", format!("http://{control}")).env("PBLINK_TOKEN", "t".repeat(32));
    let mut node_red = Group::start(&mut command);
    says(&mut node_red, "Started flows");

    press(port, "pblink-inject");
    says(&mut node_red, "202: waits for the board");
    let board = || {
        let args = ["simulate", "--server", &boards, "--client", "kitchen", "--every", "100ms"];
        Group::start(pblink(&args).args(["--count", "100000", "--json"]))
    };
    let mut first = board();
    // The line that has waited.
    says(&mut first, "light on");
    let line = says(&mut node_red, "[debug:lines of boards]");
    assert!(!line.ends_with("[debug:lines of boards]"), "the text is there: {line}");
    press(port, "pblink-inject");
    says(&mut node_red, "200: the board has it");
    says(&mut first, "light on");

    drop(server);
    // It is tried again until there is one.
    press(port, "pblink-inject");
    says(&mut node_red, "ECONNREFUSED");
    let _server = serve();
    says(&mut node_red, "[debug:lines of boards]");
    press(port, "pblink-inject");
    says(&mut node_red, "200: the board has it");
}

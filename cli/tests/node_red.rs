//! The flow of `templates/` for Node-RED.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::group::Group;
use crate::process::{Serve, free_port, pblink};
use serde_json::Value;

fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/node-red-flow.json")
}

fn flow() -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(template()).unwrap()).unwrap()
}

#[test]
fn every_wire_of_the_flow_ends_at_a_node_and_every_output_has_wires() {
    let flow = flow();
    let ids: BTreeSet<_> = flow.iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), flow.len(), "each id once");
    for node in &flow {
        let Some(outputs) = node["wires"].as_array() else { continue };
        for end in outputs.iter().flat_map(|output| output.as_array().unwrap()) {
            assert!(ids.contains(end.as_str().unwrap()), "{}: {end}", node["id"]);
        }
        if node["type"] == "function" {
            assert_eq!(node["outputs"], outputs.len(), "{}", node["id"]);
        }
    }
}

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

/// Presses the button of a node, as the editor does.
fn press(port: u16, node: &str) {
    let url = format!("http://127.0.0.1:{port}/inject/{node}");
    let curl = Command::new("curl").args(["--silent", "--fail", "-X", "POST", &url]).status();
    assert!(curl.unwrap().success());
}

#[test]
#[ignore = "on demand, `just node-red`, and in the workflow: it needs Node.js 20 and installs 117 MB from npm"]
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
    command.arg(std::fs::canonicalize(template()).unwrap());
    command.env("PBLINK_URL", format!("http://{control}")).env("PBLINK_TOKEN", "t".repeat(32));
    let mut node_red = Group::start(&mut command);
    node_red.says("Started flows");

    press(port, "pblink-inject");
    node_red.says("202: waits for the board");
    let board = || {
        let args = ["simulate", "--server", &boards, "--client", "kitchen", "--every", "100ms"];
        Group::start(pblink(&args).args(["--count", "100000", "--json"]))
    };
    let mut first = board();
    // The line that has waited.
    first.says("light on");
    let line = node_red.says("[debug:lines of boards]");
    assert!(!line.ends_with("[debug:lines of boards]"), "the text is there: {line}");
    press(port, "pblink-inject");
    node_red.says("200: the board has it");
    first.says("light on");

    drop(server);
    // It is tried again until there is one.
    press(port, "pblink-inject");
    node_red.says("ECONNREFUSED");
    let _server = serve();
    node_red.says("[debug:lines of boards]");
    press(port, "pblink-inject");
    node_red.says("200: the board has it");
}

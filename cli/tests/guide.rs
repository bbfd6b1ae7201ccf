//! The blocks of docs/SERVER.md, run in order as a reader pastes them.

use crate::process;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the blocks that are marked as `sh`, in order.
fn blocks(guide: &str) -> Vec<&str> {
    let blocks = guide.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().expect("a block ends")).collect()
}

#[test]
fn the_guide_does_what_it_says() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(repository.join("docs/SERVER.md")).unwrap();
    let blocks = blocks(&guide);
    assert!(blocks.len() >= 7, "{} blocks", blocks.len());
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository.join("examples"), folder.path().join("examples"))
        .unwrap();
    // Other tests use ports, too.
    let (boards, control) = (process::free_port().to_string(), process::free_port().to_string());
    let script =
        blocks.join("\necho \"== next\"\n").replace("8123", &boards).replace("8124", &control);
    let program = Path::new(env!("CARGO_BIN_EXE_pblink")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        // Nothing of it outlives the test, whatever fails.
        .arg(format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"))
        .env("PATH", format!("{}:{path}", program.display()))
        .env_remove("PBLINK_TOKEN")
        .env_remove("PBLINK_LOG")
        // Readers have the usual port, which verbs try by themselves, and no pblink.toml.
        .env("PBLINK_SERVER_CONTROL", format!("127.0.0.1:{control}"))
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let server = std::fs::read_to_string(folder.path().join("server.txt")).unwrap_or_default();
    assert!(output.status.success(), "{said}\n{errors}\n{server}");
    // The board was away when the line was sent, and the server was killed before it came.
    assert!(said.contains("[\"valve\", \"open\"]"), "{said}");
    // The Python program has each line once, of both runs of the server.
    let stored: Vec<u64> = (said.lines())
        .filter_map(|line| line.strip_suffix(" lines in all")?.parse().ok())
        .collect();
    assert!(matches!(stored[..], [first, second] if 0 < first && first < second), "{said}");
    // `print` goes on where it was.
    let lines = std::fs::read_to_string(folder.path().join("lines.txt")).unwrap();
    let printed = lines.lines().filter(|line| line.starts_with("kitchen → ")).count() as u64;
    assert!(printed >= stored[0], "{lines}");
}

//! The blocks of docs/SERVER.md and docs/TUTORIAL.md, run in order as a reader pastes them.

use crate::process;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Returns the blocks that are marked as `sh`, in order.
fn blocks(guide: &str) -> Vec<&str> {
    let blocks = guide.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().expect("a block ends")).collect()
}

/// Runs the blocks of a paper, in a folder with the examples. Returns the folder and what was printed.
fn run(paper: &str, least: usize) -> (TempDir, String) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(repository.join("docs").join(paper)).unwrap();
    let blocks = blocks(&guide);
    assert!(blocks.len() >= least, "{} blocks", blocks.len());
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
        .env_remove("PBLINK_CONFIG")
        // Readers have the usual port, which verbs try by themselves, and no pblink.toml.
        .env("PBLINK_SERVER_CONTROL", format!("127.0.0.1:{control}"))
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .env("XDG_CONFIG_HOME", folder.path().join("config"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let server = ["server.txt", "house/server.txt"]
        .map(|file| std::fs::read_to_string(folder.path().join(file)).unwrap_or_default());
    assert!(output.status.success(), "{said}\n{errors}\n{}", server.concat());
    (folder, said)
}

#[test]
fn the_guide_does_what_it_says() {
    let (folder, said) = run("SERVER.md", 7);
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

#[test]
fn the_tutorial_does_what_it_says() {
    let (folder, said) = run("TUTORIAL.md", 8);
    let house = folder.path().join("house");
    let read = |file: &str| std::fs::read_to_string(house.join(file)).unwrap();
    // Both boards have keys, and one of them has read what waited for it.
    assert!(said.contains("kitchen") && said.contains("a link is down"), "{said}");
    assert!(read("attic.txt").contains("light on"), "{}", read("attic.txt"));
    // Each line once, though the server was killed: the heading, and twice ten.
    let table = read("kitchen.csv");
    assert_eq!(table.lines().count(), 21, "{table}");
    let printed = read("lines.txt");
    for id in ["kitchen", "attic"] {
        let lines: Vec<_> =
            printed.lines().filter(|line| line.starts_with(&format!("{id} → "))).collect();
        assert_eq!(lines.len(), 20, "{printed}");
    }
}

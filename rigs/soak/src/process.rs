//! The `pblink` program of this workspace, and servers of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub use pblink_endurance::process::{Server, Signal, Used, memory};

/// Names a program that is to be tested as it is. `.ci/run` sets it to the one that `cargo test` has built: alone it has other
/// features of its dependencies, and half of it would be compiled once more.
const GIVEN: &str = "TESTED_PBLINK";

/// Returns the command's program, built if need be.
///
/// # Panics
/// If the build fails.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os(GIVEN) {
        Some(given) => given.into(),
        None => build("pblink", "pblink"),
    })
}

/// Builds a program of this workspace, and returns it.
///
/// # Panics
/// If the build fails.
pub fn build(package: &str, program: &str) -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--package", package, "--bin", program])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    // Cargo has told this test of its own package by these: build scripts that look at them (that of ring) would run again, and with
    // them the compiler for all that is above, now and when the next `cargo build` does not have them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let output = command.output().expect("cargo runs this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program}` cannot be built:\n{said}");
    let messages = String::from_utf8_lossy(&output.stdout);
    let program = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    program.expect("cargo names the program")
}

/// Starts `pblink serve` with the application `echo` ([`start_with`]).
///
/// # Panics
/// If it does not start.
pub fn start(state: &Path, address: SocketAddr) -> Server {
    start_with(state, address, |command| command.args(["--app", "echo"]))
}

/// Starts `pblink serve` of this workspace with further arguments ([`Server::start`]).
///
/// # Panics
/// If it does not start.
pub fn start_with(
    state: &Path,
    address: SocketAddr,
    more: impl FnOnce(&mut Command) -> &mut Command,
) -> Server {
    Server::start(program(), state, address, more).unwrap_or_else(|why| panic!("{why}"))
}

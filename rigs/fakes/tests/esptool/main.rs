//! The fakes of Espressif's chips satisfy Espressif's own tool: so what our code is tested against is not only our own
//! idea of these chips.

mod esp32c3;
mod esp8266;

use std::path::Path;
use std::process::Command;

use pblink_fakes::esp8266::Pty;

/// Runs esptool on a port; returns whether it succeeded, and what it said. Options stand before the command.
fn run(esptool: &Path, pty: &Pty, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(esptool)
        .args(["--port", pty.path()])
        // A pseudo-terminal has no wires for a reset.
        .args(["--before", "no-reset", "--after", "no-reset"])
        .args(arguments)
        .output()
        .expect("esptool runs");
    let said = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    (output.status.success(), said.concat())
}

//! The command as its users start it, which prints all lines.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{free_address, wait};
use crate::process::Process;

/// Starts it on a free port, with its log on disk or in memory. Returns `None` if it was not built.
pub(super) fn start(disk: bool) -> io::Result<Option<(Process, SocketAddr)>> {
    let Some(program) = program() else { return Ok(None) };
    let address = free_address();
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(program);
    // Nobody's settings.
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path());
    command.arg("serve").arg("--listen").arg(address.to_string()).arg("--control").arg("off");
    command.arg("--any-client").arg("--state");
    if disk {
        command.arg(folder.path().join("state"));
    } else {
        command.arg("off");
    }
    command.stderr(Stdio::null());
    let process = Process::start(command)?;
    wait(address)?;
    Ok(Some((process.with_folder(folder), address)))
}

/// Returns the command that was built with this program.
pub(crate) fn program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("pblink");
    beside.is_file().then_some(beside)
}

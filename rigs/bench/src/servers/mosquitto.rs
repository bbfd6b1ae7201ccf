//! Mosquitto, as it comes, without persistence and without a log.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::{Work, free_address, wait};
use crate::process::Process;

/// Starts it on a free port. Returns `None` if it is not installed. It writes as many lines to a client at a time as `work` says.
pub(super) fn start(work: Work) -> io::Result<Option<(Process, SocketAddr)>> {
    let address = free_address();
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("mosquitto.conf");
    let mut text = format!(
        "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\nset_tcp_nodelay true\n",
        address.port()
    );
    if let Work::Write(lines) = work {
        text += &format!("max_inflight_messages {lines}\n");
    }
    std::fs::write(&settings, text)?;
    // Debian has it where only root looks.
    for program in ["mosquitto", "/usr/sbin/mosquitto"] {
        let mut command = Command::new(program);
        command.arg("-c").arg(&settings).stderr(Stdio::null());
        match Process::start(command) {
            Ok(process) => {
                wait(address)?;
                return Ok(Some((process.with_folder(folder), address)));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

//! `pblink simulate` processes beside the boards of a soak.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::board::TIMEOUT;

/// Returns the id of a simulated board.
pub(super) fn simulated(n: usize) -> String {
    format!("simulated {n}")
}

/// Processes, which are killed when this is dropped.
pub(super) struct Simulators(Vec<Child>);

impl Simulators {
    /// Starts some, in process groups of their own: a terminal's ctrl-C does not reach them.
    ///
    /// # Errors
    /// If one does not start.
    pub(super) fn start(program: &Path, server: SocketAddr, number: usize) -> io::Result<Self> {
        let mut all = Self(Vec::new());
        for n in 0..number {
            let child = Command::new(program)
                .args(["simulate", "--client", &simulated(n), "--every", "50ms", "--timeout"])
                .arg(format!("{}ms", TIMEOUT.as_millis()))
                .args(["--json", "--server", &server.to_string()])
                .current_dir(std::env::temp_dir())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()?;
            all.0.push(child);
        }
        Ok(all)
    }

    /// Ends all in order: each one's own ledger says whether all is well. Returns what is wrong.
    pub(super) fn finish(mut self) -> Vec<String> {
        let mut problems = Vec::new();
        for (n, child) in self.0.iter_mut().enumerate() {
            let pid = Pid::from_raw(child.id().cast_signed());
            let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
            let asked = pid.and_then(|pid| Ok(kill_process(pid, Signal::INT)?));
            match asked.and_then(|()| child.wait()) {
                Ok(status) if status.success() => {}
                Ok(status) => problems.push(format!(
                    "simulated board {n} ended with {status}: its ledger is not clean"
                )),
                Err(error) => problems.push(format!("simulated board {n}: {error}")),
            }
        }
        problems
    }
}

impl Drop for Simulators {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

//! A `pblink serve` process: started, killed, stopped, halted, and watched through `/proc`.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, kill_process};
use serde::Serialize;

pub use rustix::process::Signal;

use crate::board::TIMEOUT;

/// Nothing here takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Bytes of what a server says on stderr that are kept, for whoever has to find out why it ended.
const SAID: usize = 64 * 1024;

/// Words of a server on stderr, to be waited for.
#[derive(Debug, Default)]
struct Said {
    words: Mutex<String>,
    more: Condvar,
}

/// Returns the resident memory of a process in bytes; 0 where there is no `/proc`.
pub fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = memory.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    said: Arc<Said>,
    ears: Option<(JoinHandle<()>, JoinHandle<()>)>,
}

/// Resources that a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Used {
    /// Resident memory in bytes.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Used {
    /// Returns the larger of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            memory: self.memory.max(other.memory),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}

impl Server {
    /// Starts `pblink serve` of this program with further arguments, its log in this folder and the time-out of the [boards].
    /// Port 0 is any. Returns when it listens. It is in a process group of its own: a terminal's ctrl-C does not reach it.
    ///
    /// [boards]: crate::board::Board
    ///
    /// # Errors
    /// If it does not start: why, and what it has said.
    pub fn start(
        program: &Path,
        state: &Path,
        address: SocketAddr,
        more: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self, String> {
        let mut command = Command::new(program);
        command
            .args(["serve", "--any-client", "--json", "--control", "off"])
            .args(["--listen", &address.to_string(), "--timeout"])
            .arg(format!("{}ms", TIMEOUT.as_millis()))
            .arg("--state")
            .arg(state)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = more(&mut command).spawn();
        let mut child = child.map_err(|error| format!("the server does not start: {error}"))?;
        let (report, listening) = mpsc::channel();
        let said = Arc::<Said>::default();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ears = (
            std::thread::spawn(move || {
                hear(stdout.expect("a pipe"), |line| {
                    let event = serde_json::from_str::<serde_json::Value>(line).unwrap_or_default();
                    if let ("listening", Some(address)) =
                        (event["event"].as_str().unwrap_or_default(), event["address"].as_str())
                    {
                        // Whoever waited may have given up.
                        let _ = report.send(address.to_owned());
                    }
                })
            }),
            std::thread::spawn({
                let said = Arc::clone(&said);
                move || {
                    hear(stderr.expect("a pipe"), |line| {
                        let mut words = said.words.lock().unwrap_or_else(PoisonError::into_inner);
                        if words.len() + line.len() < SAID {
                            words.push_str(line);
                            words.push('\n');
                            said.more.notify_all();
                        }
                    })
                }
            }),
        );
        let mut server = Self { child, address, said, ears: Some(ears) };
        server.address = server.listens(&listening)?;
        Ok(server)
    }

    fn listens(&mut self, listening: &Receiver<String>) -> Result<SocketAddr, String> {
        let address = listening.recv_timeout(HANGS).map_err(|error| error.to_string());
        let address = address.and_then(|text| text.parse().map_err(|_| text));
        address.map_err(|why| {
            // It may have ended.
            let _ = self.child.kill();
            self.hear_all();
            format!("the server does not start ({why}):\n{}", self.said())
        })
    }

    /// Returns the number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the address that boards connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what it has said on stderr so far, at most 64 KB.
    pub fn said(&self) -> String {
        self.said.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of times that it has said this on stderr so far.
    pub fn times(&self, words: &str) -> usize {
        self.said().matches(words).count()
    }

    /// Waits until it has said this more often than `before`.
    ///
    /// # Panics
    /// If it has not within two minutes.
    pub fn wait_for(&self, words: &str, before: usize) {
        let said = self.said.words.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |said: &mut String| said.matches(words).count() <= before;
        let waited = self.said.more.wait_timeout_while(said, HANGS, quiet);
        let (said, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "it never says \"{words}\":\n{said}");
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If the system does not send it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.process()?, signal)?)
    }

    /// Sets a limit of the size of its files at which each write fails, as on a full disk, or takes it away.
    ///
    /// # Errors
    /// If the system does not let it be set.
    #[cfg(target_os = "linux")]
    pub fn refuse_writes(&self, refused: bool) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
        // It has ours.
        let ours = getrlimit(Resource::Fsize);
        let limit = if refused { Rlimit { current: Some(0), ..ours } } else { ours };
        prlimit(Some(self.process()?), Resource::Fsize, limit)?;
        Ok(())
    }

    /// Sets a limit of the size of its files: not on this system.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn refuse_writes(&self, _refused: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn process(&self) -> io::Result<Pid> {
        Pid::from_raw(self.child.id().cast_signed()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns how it has ended, if it has.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills it, without any warning.
    ///
    /// # Errors
    /// If it has ended before: how, and what it has said.
    pub fn kill(mut self) -> Result<(), String> {
        self.runs()
        // Dropping it does the rest.
    }

    /// Checks that it runs.
    ///
    /// # Errors
    /// If it has ended: how, and what it has said.
    pub fn runs(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                self.hear_all();
                Err(format!("the server has ended with {status}:\n{}", self.said()))
            }
            Err(error) => Err(format!("the server cannot be asked: {error}")),
        }
    }

    /// Stops it with this signal, and returns what it has said.
    ///
    /// # Errors
    /// If it does not end well: how, and what it has said.
    pub fn stop(mut self, signal: Signal) -> Result<String, String> {
        let status = self.signal(signal).and_then(|()| self.child.wait());
        self.hear_all();
        match status {
            Ok(status) if status.success() => Ok(self.said()),
            Ok(status) => Err(format!("the server ended with {status}:\n{}", self.said())),
            Err(error) => Err(format!("the server does not end: {error}")),
        }
    }

    /// Returns what it uses; zeros where there is no `/proc`.
    pub fn used(&self) -> Used {
        let pid = self.child.id();
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        Used { memory: memory(pid), descriptors }
    }

    fn hear_all(&mut self) {
        if let Some((stdout, stderr)) = self.ears.take() {
            // They end with the pipes.
            let _ = (stdout.join(), stderr.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes on line by line. A line may be cut when its writer is killed.
fn hear(from: impl Read, mut line: impl FnMut(&str)) {
    for text in BufReader::new(from).lines().map_while(Result::ok) {
        line(&text);
    }
}

//! A `pblink serve` process: started, killed, stopped, halted, and watched through `/proc`.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::board::TIMEOUT;

/// Nothing here takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Bytes of what a server says on stderr that are kept, for whoever has to find out why it ended.
const SAID: usize = 64 * 1024;

/// Returns the command's program, built if need be.
///
/// # Panics
/// If the build fails.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "--package", "pblink", "--bin", "pblink"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs this test");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`pblink` cannot be built:\n{said}");
        let messages = String::from_utf8_lossy(&output.stdout);
        let program = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(PathBuf::from(message["executable"].as_str()?))
        });
        program.expect("cargo names the program")
    })
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// Starts `pblink serve` with the application `echo`, its log in this folder and the time-out of the [boards].
    /// Port 0 is any. Returns when it listens.
    ///
    /// [boards]: crate::board::Board
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(state: &Path, address: SocketAddr) -> Self {
        Self::start_with(state, address, |command| command.args(["--app", "echo"]))
    }

    /// Starts `pblink serve` with further arguments.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with(
        state: &Path,
        address: SocketAddr,
        more: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = Command::new(program());
        command
            .args(["serve", "--any-client", "--json", "--control", "off"])
            .args(["--listen", &address.to_string(), "--timeout"])
            .arg(format!("{}ms", TIMEOUT.as_millis()))
            .arg("--state")
            .arg(state)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = more(&mut command).spawn().expect("the server starts");
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
        server.address = server.listens(&listening);
        server
    }

    fn listens(&mut self, listening: &Receiver<String>) -> SocketAddr {
        match listening.recv_timeout(HANGS) {
            Ok(address) => address.parse().expect("an address"),
            Err(error) => {
                let _ = self.child.kill();
                panic!("the server does not start ({error}):\n{}", self.said())
            }
        }
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
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it runs");
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
    /// # Panics
    /// If it has ended before.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("our child");
        assert_eq!(ended, None, "the server has ended:\n{}", self.said());
        // Dropping it does the rest.
    }

    /// Stops it with this signal, and returns what it has said.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(mut self, signal: Signal) -> String {
        self.signal(signal);
        let status = self.child.wait().expect("our child");
        self.hear_all();
        assert!(status.success(), "the server ended with {status}:\n{}", self.said());
        self.said()
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

//! Processes of a measurement: started from this program, talked with by lines, watched through `/proc`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// First argument of a process that serves.
pub const SERVER: &str = "@server";
/// First argument of a process that shares a log with others.
pub const GATEWAY: &str = "@gateway";
/// First argument of a process that is all clients.
pub const LOAD: &str = "@load";

/// First argument of a process that abuses a server.
pub const ABUSE: &str = "@abuse";

/// The kernel's clock ticks for user programs: 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Time that a reader with a pace may be late and still keep it.
const SLACK: Duration = Duration::from_millis(20);

/// A process, which ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    command: Command,
    child: Child,
    stdin: Option<ChildStdin>,
    /// `None` while its lines are [counted](Self::count_bytes) or [collected](Self::collect).
    stdout: Option<BufReader<ChildStdout>>,
    /// Deleted when it has ended.
    folder: Option<TempDir>,
}

impl Process {
    /// Starts this program once more, in another role.
    pub fn role(role: &str, args: &[String]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(role).args(args);
        Self::start(command)
    }

    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { command, child, stdin, stdout, folder: None })
    }

    /// Kills it by SIGKILL, and starts the same program at once with the same arguments.
    pub fn restart(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = self.command.spawn()?;
        self.stdin = self.child.stdin.take();
        self.stdout = self.child.stdout.take().map(BufReader::new);
        Ok(())
    }

    /// Asks it to end by SIGTERM.
    pub fn terminate(&self) -> io::Result<()> {
        let id = Pid::from_raw(self.child.id().cast_signed()).ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(id, Signal::TERM)?)
    }

    /// Deletes a folder of its own after its end.
    pub fn with_folder(mut self, folder: TempDir) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Returns its folder, to whoever keeps that longer.
    pub fn take_folder(&mut self) -> Option<TempDir> {
        self.folder.take()
    }

    /// Reads what it prints from now on, to its end.
    pub fn collect(&mut self) -> JoinHandle<io::Result<String>> {
        let stdout = self.stdout.take();
        std::thread::spawn(move || {
            let mut text = String::new();
            stdout.ok_or(io::ErrorKind::BrokenPipe)?.read_to_string(&mut text)?;
            Ok(text)
        })
    }

    /// Reads what it prints from now on, and counts this byte in it. `pace`: so many of them a second, if it prints that
    /// many; otherwise as fast as it can.
    pub fn count_bytes(&mut self, wanted: u8, pace: Option<u32>) -> Arc<AtomicU64> {
        let count = Arc::new(AtomicU64::new(0));
        if let Some(mut stdout) = self.stdout.take() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                let mut due = Instant::now();
                while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                    let found = buffer[..n].iter().filter(|&&byte| byte == wanted).count();
                    count.fetch_add(found as u64, Ordering::Relaxed);
                    if let Some(pace) = pace {
                        // Time that passed without lines is not made up for.
                        due = due.max(Instant::now() - SLACK)
                            + Duration::from_secs(1) / pace * found as u32;
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                }
            });
        }
        count
    }

    /// Says a line to it.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{line}")
    }

    /// Waits for its next line.
    pub fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        if stdout.read_line(&mut line)? == 0 {
            return Err(io::Error::other("a process of the measurement has ended: see above"));
        }
        Ok(line.trim_end().to_owned())
    }

    /// Asks it to end, and returns its last line.
    pub fn finish(mut self) -> io::Result<String> {
        self.stdin = None;
        self.hear()
    }

    /// Returns its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Returns the processor time of all its threads; zero where there is no `/proc`.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    /// Returns its resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = self.proc("status");
        let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = value.and_then(|v| v.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Returns the number of files that it has open.
    pub fn files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).map_or(0, Iterator::count)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the processor time of all threads of a process; zero where there is no `/proc`.
pub fn cpu_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in brackets may hold spaces; user and system time are 12th and 13th after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|f| f.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// Lets this process open as many files as it ever may. Returns that number.
pub fn open_many_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Returns the load of the last minute; zero where it is not known.
pub fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

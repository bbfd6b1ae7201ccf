//! Real terminals, by util-linux's `script`, which is part of every Debian.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A process in a terminal.
pub struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    output: mpsc::Receiver<Vec<u8>>,
    shown: Vec<u8>,
    /// The output that has been waited for already, in bytes.
    seen: usize,
}

fn forward(mut from: ChildStdout, to: mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.send(buffer[..n].to_vec()).is_err() {
            break;
        }
    }
}

impl Terminal {
    /// Runs a shell line in a terminal; `$PBLINK` is the command.
    pub fn run(folder: &Path, line: &str) -> Self {
        let mut child = std::process::Command::new("script")
            .args(["--quiet", "--return", "--command", line, "/dev/null"])
            .current_dir(folder)
            .env("PBLINK", env!("CARGO_BIN_EXE_pblink"))
            .env("SHELL", "/bin/sh")
            .env_remove("PBLINK_WIFI_PASSWORD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` of util-linux runs");
        let (sender, output) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || forward(stdout, sender));
        let keys = child.stdin.take();
        Self { child, keys, output, shown: Vec::new(), seen: 0 }
    }

    /// Waits until the terminal shows `text` after what was waited for before.
    pub fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let fresh = &self.shown[self.seen..];
            if let Some(at) = fresh.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(wait) {
                Ok(more) => self.shown.extend(more),
                Err(why) => panic!("{why}: {text:?} is not in {:?}", self.text()),
            }
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.press_bytes(keys.as_bytes());
    }

    pub fn press_bytes(&mut self, keys: &[u8]) {
        let stdin = self.keys.as_mut().unwrap();
        stdin.write_all(keys).unwrap();
        stdin.flush().unwrap();
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Waits for the end; everything that was ever shown.
    pub fn finish(mut self) -> String {
        self.expect("<end>");
        drop(self.keys.take());
        self.child.wait().unwrap();
        self.text()
    }
}

/// Runs the line, then reports its exit code and whether the terminal still echoes.
pub fn then_ask(line: &str) -> String {
    format!(
        "{line}; echo code=$?; stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(echo|icanon|isig)'; echo '<end>'"
    )
}

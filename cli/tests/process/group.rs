//! Programs with all that they start.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A process in a group of its own: all of it is killed when this is dropped.
#[derive(Debug)]
pub struct Group {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Group {
    pub fn start(command: &mut Command) -> Self {
        Self::with(command, Stdio::null())
    }

    /// Starts one that gets what is [written](Self::write).
    pub fn start_reader(command: &mut Command) -> Self {
        Self::with(command, Stdio::piped())
    }

    fn with(command: &mut Command, input: Stdio) -> Self {
        let command = command.stdin(input).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    pub fn line(&mut self) -> String {
        self.said.next().expect("it goes on").unwrap()
    }

    pub fn write(&mut self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.child.stdin.as_mut().expect("it reads").write_all(text.as_bytes()).unwrap();
    }

    /// Ends its input, and returns what else it has said when it has ended, successfully.
    pub fn finish(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let rest = self.said.by_ref().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

//! A program of the user as a process: how it is started, fed, heard and ended.

use std::collections::VecDeque;
use std::io::{self, PipeWriter};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pblink_protocol::tcp::line::Escaped;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncWriteExt, Interest};
use tokio::net::unix::pipe;
use tokio::process::{Child as Process, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::output::{Output, Printed};

/// Time for which the output of a program that has ended is read on: another process may hold it.
const DRAIN: Duration = Duration::from_secs(1);

/// Bytes of it that are read then: what the largest pipe holds.
const MAX_DRAIN: usize = 1 << 20;

/// The longest line of stderr that is shown whole, in bytes.
const MAX_STDERR: usize = 1000;

/// Lines of stderr that are shown at once, and how often one more may be.
const STDERR_LINES: u32 = 50;
const STDERR_EVERY: Duration = Duration::from_millis(100);

/// Names of a program: in its environment, and in its diagnostics.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// For `sh -c`.
    pub(super) command: String,
    /// Name of the consumer.
    pub(super) consumer: Arc<str>,
    /// Id and generation of the log.
    pub(super) log: String,
    /// URL of the control API.
    pub(super) server: Option<String>,
    /// Its soft limit of descriptors, unless that is the server's.
    pub(super) descriptors: Option<u64>,
    /// The longest line that it may print, in bytes.
    pub(super) max_line: usize,
    /// See [`Pace`](super::Pace).
    pub(super) pace: super::Pace,
}

/// Its process group: ended at the latest when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    pid: Option<Pid>,
    gone: AtomicBool,
}

impl Group {
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid
            && !self.gone.load(Ordering::Acquire)
        {
            // An error: all of it has ended.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Ends what the process has left behind. Its number is not given away meanwhile: it has just been waited for.
    fn end(&self) {
        self.signal(Signal::KILL);
        self.gone.store(true, Ordering::Release);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Its standard input.
#[derive(Debug)]
pub(super) struct Input {
    pipe: pipe::Sender,
    /// Bytes to be written next.
    rest: Vec<u8>,
    written: u64,
}

/// Its standard output, and its end.
#[derive(Debug)]
pub(super) struct Mouth {
    output: Output<ChildStdout>,
    /// The output has ended.
    closed: bool,
    process: Process,
    pub(super) group: Arc<Group>,
    status: Option<ExitStatus>,
    /// Its end: from then on its output is read for a while only.
    ended: Option<Instant>,
    /// Bytes read since then.
    drained: usize,
    stderr: JoinHandle<()>,
}

impl Launch {
    /// Starts the program, for one client or for all.
    ///
    /// # Errors
    /// If the shell cannot be started.
    pub(super) fn start(&self, client: Option<&str>) -> io::Result<(Input, Mouth)> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new("sh");
        // Between fork and exec only unsafe code could do it; the shell has to be there anyway.
        let text = match self.descriptors {
            Some(most) => format!("ulimit -S -n {most} 2>/dev/null\n{}", self.command),
            None => self.command.clone(),
        };
        command.arg("-c").arg(text).process_group(0).kill_on_drop(true);
        command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::piped());
        // It is for boards only. The server's own user may have set it for other verbs.
        command.env_remove("PBLINK_WIFI_PASSWORD");
        command.env("PBLINK_CONSUMER", &*self.consumer).env("PBLINK_LOG_NAME", &self.log);
        match client {
            Some(client) => command.env("PBLINK_CLIENT", client),
            None => command.env_remove("PBLINK_CLIENT"),
        };
        match &self.server {
            Some(server) => command.env("PBLINK_SERVER", server),
            None => command.env_remove("PBLINK_SERVER"),
        };
        let mut process = command.spawn()?;
        // It holds an end of the pipe.
        drop(command);
        let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = Arc::new(Group { pid, gone: AtomicBool::new(false) });
        let piped = || io::Error::other("it has no output");
        let output = Output::new(process.stdout.take().ok_or_else(piped)?, self.max_line);
        let errors = process.stderr.take().ok_or_else(piped)?;
        let name = match client {
            Some(client) => format!("{} \"{}\"", self.consumer, Escaped(client)),
            None => self.consumer.to_string(),
        };
        let stderr = tokio::spawn(report(errors, move |text| tracing::warn!("{name}: {text}")));
        let (status, ended, drained, closed) = (None, None, 0, false);
        let mouth = Mouth { output, closed, process, group, status, ended, drained, stderr };
        Ok((Input::new(writer)?, mouth))
    }
}

impl Input {
    fn new(writer: PipeWriter) -> io::Result<Self> {
        let pipe = pipe::Sender::from_owned_fd(writer.into())?;
        Ok(Self { pipe, rest: Vec::new(), written: 0 })
    }

    /// Adds a line to what is to be written. Returns the place of its end.
    pub(super) fn put(&mut self, line: &str) -> u64 {
        self.rest.extend_from_slice(line.as_bytes());
        self.rest.push(b'\n');
        self.written + self.rest.len() as u64
    }

    /// Returns true if all was written.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Writes all that was put; if that is done already, waits until nobody can read it any more. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// If the program does not take it any more.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        if self.rest.is_empty() {
            while !self.pipe.ready(Interest::ERROR).await?.is_error() {}
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        while !self.rest.is_empty() {
            let n = self.pipe.write(&self.rest).await?;
            self.written += n as u64;
            self.rest.drain(..n);
        }
        Ok(())
    }

    /// Returns the place up to which the program has read.
    pub(super) fn read(&self) -> u64 {
        // Linux counts the bytes in the pipe at either end. Others may not: written is read there.
        let waiting = match cfg!(target_os = "linux") {
            true => rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0),
            false => 0,
        };
        self.written - waiting.min(self.written)
    }
}

impl Mouth {
    /// Waits for the next line; `None` when the program has ended and all that it has printed was read. Dropping
    /// the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Printed> {
        loop {
            let Self { output, closed, process, status, ended, drained, group, stderr } = self;
            *closed |= *drained > MAX_DRAIN;
            let until = ended.map_or_else(Instant::now, |at| at + DRAIN);
            if *closed && status.is_some() {
                // Its last words are of use to whoever wonders why it has ended, and this process may end next.
                if !stderr.is_finished() {
                    let _ = timeout_at(until, stderr).await;
                }
                return None;
            }
            tokio::select! {
                biased;
                printed = output.next(), if !*closed => match printed {
                    Ok(Some(printed)) => {
                        if let (Some(_), Printed::Line(line)) = (&ended, &printed) {
                            *drained += line.len() + 1;
                        }
                        return Some(printed);
                    }
                    Ok(None) | Err(_) => {
                        *closed = true;
                        return Some(Printed::Closed);
                    }
                },
                waited = process.wait(), if status.is_none() => {
                    *status = Some(waited.unwrap_or_default());
                    *ended = Some(Instant::now());
                    group.end();
                }
                () = sleep_until(until), if ended.is_some() => *closed = true,
            }
        }
    }

    /// Returns the next line if it is there whole already.
    pub(super) fn ready(&mut self) -> Option<Printed> {
        self.output.ready()
    }

    /// Returns in words how it has ended.
    pub(super) fn end(&self) -> String {
        match self.status {
            Some(status) => format!("the program ended with {status}"),
            None => "the program was ended".to_owned(),
        }
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        if self.status.is_none() {
            // Before the process is waited for, so that its number is its own.
            self.group.end();
            self.stderr.abort();
        }
    }
}

/// Ends the program in order: the end of its input should do; SIGTERM and SIGKILL follow. Returns after the latter.
pub(super) async fn end(group: &Group, pace: &super::Pace) {
    let began = Instant::now();
    sleep_until(began + pace.term).await;
    group.signal(Signal::TERM);
    sleep_until(began + pace.kill).await;
    group.signal(Signal::KILL);
}

/// Says what a program writes to stderr, line by line; too many lines are counted.
async fn report(errors: impl AsyncRead + Unpin, mut say: impl FnMut(String)) {
    let mut output = Output::new(errors, MAX_STDERR);
    let mut recent: VecDeque<Instant> = VecDeque::new();
    let mut left_out = 0_u64;
    loop {
        // When one more may be said: those that were left out are told then, should no more come.
        let free = recent.front().map_or_else(Instant::now, |&at| at + STDERR_EVERY * STDERR_LINES);
        let printed = tokio::select! {
            biased;
            printed = output.next() => printed,
            () = sleep_until(free), if left_out > 0 => {
                say(not_shown(&mut left_out));
                continue;
            }
        };
        let Ok(Some(printed)) = printed else { break };
        let now = Instant::now();
        while recent.front().is_some_and(|&at| at + STDERR_EVERY * STDERR_LINES <= now) {
            recent.pop_front();
        }
        if recent.len() as u32 >= STDERR_LINES {
            left_out += 1;
            continue;
        }
        recent.push_back(now);
        if left_out > 0 {
            say(not_shown(&mut left_out));
        }
        match printed {
            Printed::Line(line) => say(clean(&line)),
            Printed::TooLong => say(format!("(a line of more than {MAX_STDERR} bytes)")),
            Printed::NotText => say("(a line that is not valid UTF-8)".to_owned()),
            Printed::Torn | Printed::Closed => {}
        }
    }
    if left_out > 0 {
        say(not_shown(&mut left_out));
    }
}

/// Returns how many lines were left out, in words, and begins to count anew.
fn not_shown(left_out: &mut u64) -> String {
    match std::mem::take(left_out) {
        1 => "1 line of its stderr is not shown".to_owned(),
        count => format!("{count} lines of its stderr are not shown"),
    }
}

/// Escapes what a terminal would obey.
fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => clean.push_str("    "),
            c if c.is_control() => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_of_stderr_that_are_left_out_are_told_though_no_more_come() {
        let (errors, mut program) = tokio::io::duplex(1 << 16);
        let (say, mut said) = unbounded_channel();
        let reporting = tokio::spawn(report(errors, move |text| say.send(text).unwrap()));
        program.write_all(&b"noise\n".repeat(60)).await.unwrap();
        for _ in 0..STDERR_LINES {
            assert_eq!(said.recv().await.unwrap(), "noise");
        }
        assert_eq!(said.recv().await.unwrap(), "10 lines of its stderr are not shown");
        // At its end, too.
        program.write_all(&b"noise\n".repeat(51)).await.unwrap();
        drop(program);
        reporting.await.unwrap();
        let mut last = String::new();
        while let Some(text) = said.recv().await {
            last = text;
        }
        assert_eq!(last, "1 line of its stderr is not shown");
    }

    #[tokio::test]
    async fn a_program_is_gone_only_when_its_last_words_were_told() {
        let launch = Launch {
            command: "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo noise >&2; done".to_owned(),
            consumer: "exec".into(),
            log: String::new(),
            server: None,
            descriptors: None,
            max_line: 100,
            pace: super::super::Pace::default(),
        };
        let (_input, mut mouth) = launch.start(None).unwrap();
        while mouth.next().await.is_some() {}
        assert!(mouth.stderr.is_finished());
    }
}

//! A board behind a serial port: what drives the machine of [`Repl`].

use std::io;
use std::time::{Duration, Instant};

use super::repl::{Event, Fault, LONGEST_ENTRY, Repl};
use crate::serial::port::Port;
use crate::{Error, Kind, Progress, Result, Step};

/// The functions that the board gets to do its part of the work.
const AGENT: &str = include_str!("agent.py");

/// The longest wait for bytes before the user's wishes are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Silence that is allowed to work on files: flash may have to be erased.
const WORK: Duration = Duration::from_secs(30);
/// The most bytes of an answer: the longest is a line for each module.
const ANSWER: usize = 64 << 10;
/// Attempts to interrupt a program that does not end, and the time between two of them.
const INTERRUPTS: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(5);

/// The oldest MicroPython that `pb_link` runs on.
pub const OLDEST: [u32; 3] = [1, 13, 0];

/// The interpreter of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The version of MicroPython.
    pub version: String,
    /// Its port: `pyboard`, `linux`.
    pub platform: String,
}

/// End of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The user has interrupted it.
    Interrupted,
    /// It came to its end.
    ByItself,
    /// An error, as Python shows it.
    Failed(String),
}

/// A board that takes code.
#[derive(Debug)]
pub struct Board<P> {
    port: P,
    path: String,
    repl: Repl,
    began: Instant,
    /// Time that has passed only for the port: a test's board needs none.
    passed: Duration,
}

impl<P: Port> Board<P> {
    /// Brings the board at this port into its raw REPL; a program that runs is interrupted. `path` is the port's name
    /// for messages.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`] if no MicroPython answers, [`Kind::Busy`] if its program cannot be interrupted,
    /// [`Kind::Vanished`], [`Kind::Cancelled`].
    pub fn connect(port: P, path: &str, progress: &mut dyn Progress) -> Result<Self> {
        let mut board = Self {
            port,
            path: path.to_owned(),
            repl: Repl::default(),
            began: Instant::now(),
            passed: Duration::ZERO,
        };
        progress.begin(Step::Wait, &format!("MicroPython at {path}"), LONGEST_ENTRY);
        board.repl.on_enter(board.now());
        board.ready(progress)?;
        progress.end();
        Ok(board)
    }

    /// Returns what runs on the board.
    ///
    /// # Errors
    /// [`Kind::WrongChip`] if it is another Python, [`Kind::Version`] if it is too old; as [`Board::connect`].
    pub fn identity(&mut self) -> Result<Identity> {
        let answer = self.call(&format!("{AGENT}pblink_id()"))?;
        let lines = answer.map_err(|why| {
            Error::new(
                Kind::Version,
                format!("the Python at {} cannot do what pblink needs of it: {why}", self.path),
                format!("put MicroPython {} or newer onto the board", text(OLDEST)),
            )
        })?;
        let words: Vec<_> = lines.first().map_or("", String::as_str).split(' ').collect();
        let [name, version, platform] = words[..] else { return Err(self.garbled("its version")) };
        let identity = Identity { version: version.to_owned(), platform: platform.to_owned() };
        if name != "micropython" {
            return Err(Error::new(
                Kind::WrongChip,
                format!(
                    "{name} {version} runs on the board at {}, and pb_link is for MicroPython",
                    self.path
                ),
                "put MicroPython onto it, or name another board with --serial",
            ));
        }
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        let mut number = || numbers.next().unwrap_or(Some(0));
        let (Some(a), Some(b), Some(c)) = (number(), number(), number()) else {
            return Err(self.garbled("its version"));
        };
        if [a, b, c] < OLDEST {
            return Err(Error::new(
                Kind::Version,
                format!(
                    "the board at {} has MicroPython {version}, and pb_link needs {} or newer",
                    self.path,
                    text(OLDEST)
                ),
                "put a newer one onto it, from https://micropython.org/download",
            ));
        }
        Ok(identity)
    }

    /// Runs code of the agent. Returns the words that it has answered, a line each; or its error.
    pub(super) fn call(&mut self, code: &str) -> Result<Result<Vec<String>, String>> {
        self.repl.on_code(self.now(), code, WORK);
        let mut output = Vec::new();
        loop {
            match self.event()? {
                // Half a file must not stay: who is in the middle of one asks between two calls.
                None => {}
                Some(Event::Output(bytes)) if output.len() + bytes.len() <= ANSWER => {
                    output.extend(bytes);
                }
                Some(Event::Done(error)) if error.is_empty() => {
                    let text = String::from_utf8_lossy(&output);
                    // Others may print, too: an interrupt's handler.
                    let words =
                        text.lines().filter_map(|line| line.trim_end().strip_prefix("pblink "));
                    return Ok(Ok(words.map(str::to_owned).collect()));
                }
                Some(Event::Done(error)) => return Ok(Err(last_line(&error))),
                Some(_) => return Err(self.garbled("an answer")),
            }
        }
    }

    /// Restarts the interpreter: nothing of an interrupted program is left, neither its timers nor its memory. Its main
    /// program does not start.
    ///
    /// # Errors
    /// As [`Board::connect`].
    pub fn restart(&mut self, progress: &mut dyn Progress) -> Result<()> {
        self.repl.on_restart(self.now());
        self.ready(progress)
    }

    /// Restarts the interpreter and runs code, which may take as long as it likes; `print` gets all that it prints, and
    /// returns false when nobody wants to read on. It is interrupted then, and when the user wishes.
    ///
    /// # Errors
    /// As [`Board::connect`]; [`Kind::Busy`] if it does not end when it is interrupted.
    pub fn run(
        &mut self,
        code: &str,
        print: &mut dyn FnMut(&[u8]) -> bool,
        progress: &mut dyn Progress,
    ) -> Result<Ended> {
        self.restart(progress)?;
        self.repl.on_program(self.now(), code);
        let (mut interrupts, mut wanted, mut next) = (0, true, Duration::ZERO);
        loop {
            match self.event()? {
                Some(Event::Output(bytes)) => wanted &= print(&bytes),
                Some(Event::Done(_)) if interrupts > 0 => return Ok(Ended::Interrupted),
                Some(Event::Done(error)) if error.is_empty() => return Ok(Ended::ByItself),
                Some(Event::Done(error)) => {
                    return Ok(Ended::Failed(
                        String::from_utf8_lossy(&error).trim_end().to_owned(),
                    ));
                }
                Some(_) => return Err(self.garbled("an answer")),
                None => {}
            }
            let now = self.now();
            if now >= next && (interrupts > 0 || !wanted || progress.cancelled()) {
                // A program may catch one, and clean up for a while.
                if interrupts == INTERRUPTS {
                    return Err(self.fault(Fault::Late));
                }
                interrupts += 1;
                next = now + PATIENCE;
                self.repl.on_interrupt(now);
            }
        }
    }

    /// Brings the board to its friendly REPL, where a person finds it.
    ///
    /// # Errors
    /// As [`Board::connect`].
    pub fn leave(&mut self) -> Result<()> {
        self.repl.on_leave(self.now());
        loop {
            match self.event()? {
                Some(Event::Left) => return Ok(()),
                Some(Event::Output(_)) | None => {}
                Some(_) => return Err(self.garbled("its prompt")),
            }
        }
    }

    /// Returns the port's name.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn garbled(&self, what: &str) -> Error {
        Error::new(
            Kind::NoAnswer,
            format!("what the board at {} says instead of {what} makes no sense", self.path),
            "press its RST, close other programs that use the port, and run this again",
        )
    }

    /// Waits until the board takes code.
    fn ready(&mut self, progress: &mut dyn Progress) -> Result<()> {
        let began = self.now();
        loop {
            progress.advance((self.now() - began).as_secs().min(LONGEST_ENTRY));
            match self.event()? {
                Some(Event::Ready) => return Ok(()),
                Some(Event::Output(_)) => {}
                Some(_) => return Err(self.garbled("its prompt")),
                None if progress.cancelled() => {
                    return Err(Error::new(
                        Kind::Cancelled,
                        "stopped before anything was changed",
                        "run the command again when you like",
                    ));
                }
                None => {}
            }
        }
    }

    /// Returns the next event, or `None` after a moment without one.
    fn event(&mut self) -> Result<Option<Event>> {
        if let Some(event) = self.repl.event() {
            return self.known(event);
        }
        let bytes = self.repl.transmit();
        if !bytes.is_empty() {
            self.port.write(&bytes).map_err(|error| self.gone(error))?;
        }
        let now = self.now();
        let wait = self.repl.poll_at().map_or(LOOK, |at| at.saturating_sub(now).min(LOOK));
        let mut buffer = [0; 1024];
        let count = match wait.is_zero() {
            true => 0,
            false => self.port.read(&mut buffer, wait).map_err(|error| self.gone(error))?,
        };
        if count == 0 {
            // That much time has passed, by whatever clock the port has.
            let waited = self.now() - now;
            self.passed += wait.saturating_sub(waited);
        }
        let now = self.now();
        self.repl.on_bytes(now, &buffer[..count]);
        self.repl.on_time(now);
        match self.repl.event() {
            Some(event) => self.known(event),
            None => Ok(None),
        }
    }

    fn known(&self, event: Event) -> Result<Option<Event>> {
        match event {
            Event::Failed(fault) => Err(self.fault(fault)),
            event => Ok(Some(event)),
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed() + self.passed
    }

    fn gone(&self, error: io::Error) -> Error {
        Error::new(
            Kind::Vanished,
            format!("the board at {} is gone", self.path),
            "plug it in again and repeat the command: what was on it is still there",
        )
        .from_source(error)
    }

    fn fault(&self, fault: Fault) -> Error {
        let path = &self.path;
        let (kind, cause, remedy) = match fault {
            Fault::Silent => (
                Kind::NoAnswer,
                format!("nothing answers at {path}"),
                "check that MicroPython is on the board and that this is its port, press its RST, and run this again",
            ),
            Fault::NoRepl => (
                Kind::NoAnswer,
                format!(
                    "what comes from {path} is not MicroPython's REPL, or its program cannot be interrupted"
                ),
                "press RST while this waits; if it stays, start the board in safe mode (hold USR, press RST, let go when \
                 only the orange LED is lit)",
            ),
            Fault::NoRawRepl => (
                Kind::NoAnswer,
                format!("the board at {path} has no raw REPL"),
                "put a MicroPython from https://micropython.org/download onto it",
            ),
            Fault::Garbled => return self.garbled("an answer"),
            Fault::Late => (
                Kind::Busy,
                format!("the program on the board at {path} does not end"),
                "press its RST, and run this again",
            ),
        };
        Error::new(kind, cause, remedy)
    }
}

fn text(version: [u32; 3]) -> String {
    let [a, b, _] = version;
    format!("{a}.{b}")
}

/// Returns the line of an error that says what happened.
fn last_line(error: &[u8]) -> String {
    let text = String::from_utf8_lossy(error);
    text.trim_end().lines().last().unwrap_or_default().trim_end().to_owned()
}

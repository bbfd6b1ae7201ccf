//! The raw REPL of MicroPython: the mode in which a program talks to a board's interpreter. A machine without I/O
//! and clock.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

/// Ctrl-A: to the raw REPL. Also the board's word for "one more window of code".
const RAW: u8 = 0x01;
/// Ctrl-B: to the friendly REPL.
const FRIENDLY: u8 = 0x02;
/// Ctrl-C: interrupts the program.
const INTERRUPT: u8 = 0x03;
/// Ctrl-D: ends code, output and error; without code it restarts the interpreter.
const END: u8 = 0x04;

/// The last words of the raw REPL's greeting. The prompt follows.
const GREETING: &[u8] = b"CTRL-B to exit";
/// The prompt of the friendly REPL.
const PROMPT: &[u8] = b">>> ";
/// Asks for raw paste, in which the board says how much code it can take.
const ASK_PASTE: [u8; 3] = [0x05, b'A', RAW];

/// Pause between interrupting a program and asking for the raw REPL: it has to come to its end.
const BREATH: Duration = Duration::from_millis(200);
/// Time from one try to enter to the next.
const TRY: Duration = Duration::from_secs(1);
/// Number of tries: a program may catch some of the interrupts, or the board may still be starting.
const TRIES: u32 = 8;
/// The longest time in which a board is entered, in seconds.
pub const LONGEST_ENTRY: u64 = TRIES as u64 * TRY.as_secs();
/// Silence after which nothing of an earlier try is on its way any more.
const SETTLED: Duration = Duration::from_millis(200);
/// Time for an interpreter that begins anew: `boot.py` may take its time.
const RESTART: Duration = Duration::from_secs(15);
/// Time for an answer of the REPL itself, which has nothing to compute.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes that a board without raw paste takes at once, and the pause after them.
const PIECE: usize = 256;
const PIECE_PAUSE: Duration = Duration::from_millis(10);
/// Bytes of an error that are kept: its end, where the reason stands.
const ERROR: usize = 4096;
/// The error of a program that has restarted the interpreter.
const EXIT: &[u8] = b"SystemExit";
/// Bytes in which a greeting or prompt is searched.
const TAIL: usize = 64;

/// Something that has happened at the board.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// It takes code now.
    Ready,
    /// The code has printed this.
    Output(Vec<u8>),
    /// The code has ended, and it takes code again. The error that ended it, or its last 4096 bytes; empty if it ended
    /// by itself.
    Done(Vec<u8>),
    /// It is at its friendly REPL, for people.
    Left,
    /// It does not do what it should; [`Repl::on_enter`] is the way out.
    Failed(Fault),
}

/// A reason why a board cannot be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing came.
    Silent,
    /// Something came, but nothing that a REPL says.
    NoRepl,
    /// It has the friendly REPL only.
    NoRawRepl,
    /// Something came in place of an answer to code.
    Garbled,
    /// The code has neither printed anything nor ended in time.
    Late,
}

/// State of a conversation. The times in it are those at which it is given up, or continued.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    /// Nothing is known of the board.
    Off,
    /// A program may be running: it is interrupted, then the raw REPL is asked for.
    Entering { tries: u32, at: Duration, asked: bool },
    /// The greeting was there. Until silence.
    Settling { at: Duration, until: Duration },
    /// It waits for code.
    Ready,
    /// Raw paste was asked for.
    Asking { at: Duration },
    /// Code goes out as the board has room. `step`: room for each of its words.
    Pasting { room: usize, step: usize, at: Duration },
    /// All code is out; until the board has heard its end.
    Closing { at: Duration },
    /// Code goes out in pieces, with pauses.
    Feeding { at: Duration },
    /// All code is out; until `OK`.
    Accepting { at: Duration },
    /// The code runs.
    Running { at: Option<Duration> },
    /// Its output has ended, and what follows is its error.
    Error { at: Duration },
    /// All is there but the prompt.
    Prompt { at: Duration },
    /// The friendly REPL was asked for.
    Leaving { at: Duration },
}

/// A conversation with one board. Time is counted from any instant, the same for all calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repl {
    state: State,
    /// The last bytes that came, where words are waited for.
    tail: Vec<u8>,
    /// Something came at all; a friendly prompt came.
    heard: (bool, bool),
    /// Raw paste is known to be there, or not.
    paste: Option<bool>,
    code: VecDeque<u8>,
    /// The silence that is allowed to the code; `None`: any.
    limit: Option<Duration>,
    error: Vec<u8>,
    out: Vec<u8>,
    events: VecDeque<Event>,
}

impl Default for Repl {
    fn default() -> Self {
        Self {
            state: State::Off,
            tail: Vec::new(),
            heard: (false, false),
            paste: None,
            code: VecDeque::new(),
            limit: None,
            error: Vec::new(),
            out: Vec::new(),
            events: VecDeque::new(),
        }
    }
}

impl Repl {
    /// Brings the board into its raw REPL, whatever it does now: [`Event::Ready`] follows, or a fault. A program that
    /// runs is interrupted.
    pub fn on_enter(&mut self, now: Duration) {
        *self = Self { events: mem::take(&mut self.events), ..Self::default() };
        self.try_to_enter(now, 1);
    }

    /// Restarts the interpreter, if the board takes code: its modules and its memory are as after power-on, and its
    /// main program does not run. [`Event::Ready`] follows, or a fault.
    pub fn on_restart(&mut self, now: Duration) {
        self.on_enter(now);
        self.out = vec![END];
        self.state = State::Entering { tries: 0, at: now + RESTART, asked: true };
    }

    /// Runs code on a board that takes some. [`Event::Done`] follows, or a fault. `limit` is the longest silence.
    pub fn on_code(&mut self, now: Duration, code: &str, limit: Duration) {
        self.take(code, Some(limit));
        if self.paste == Some(false) {
            self.feed(now);
        } else {
            self.out.extend(ASK_PASTE);
            self.state = State::Asking { at: now + ANSWER };
        }
    }

    /// Runs code that may be silent as long as it likes, and that can be interrupted. As [`on_code`](Self::on_code),
    /// but without raw paste: after that the port for Unix does not see interrupts. One that calls `sys.exit` restarts
    /// the interpreter: [`on_enter`](Self::on_enter) or [`on_leave`](Self::on_leave) have to come next.
    pub fn on_program(&mut self, now: Duration, code: &str) {
        self.take(code, None);
        self.feed(now);
    }

    fn take(&mut self, code: &str, limit: Option<Duration>) {
        self.code = code.bytes().collect();
        self.limit = limit;
        self.tail.clear();
        self.error.clear();
    }

    /// Interrupts the code that runs, as ctrl-C does: it ends with an error, unless it catches that.
    pub fn on_interrupt(&mut self, now: Duration) {
        if let State::Running { .. } = self.state {
            self.out.push(INTERRUPT);
            self.run(now);
        }
    }

    /// Brings the board from its raw to its friendly REPL. [`Event::Left`] follows, or a fault.
    pub fn on_leave(&mut self, now: Duration) {
        self.tail.clear();
        self.out.extend([b'\r', FRIENDLY]);
        self.state = State::Leaving { at: now + RESTART };
    }

    /// Takes what came from the board.
    pub fn on_bytes(&mut self, now: Duration, bytes: &[u8]) {
        let mut output = Vec::new();
        for &byte in bytes {
            self.on_byte(now, byte, &mut output);
        }
        if !output.is_empty() {
            self.events.push_back(Event::Output(output));
        }
    }

    /// Takes the time: call it when [`poll_at`](Self::poll_at) has come.
    pub fn on_time(&mut self, now: Duration) {
        if self.poll_at().is_none_or(|at| now < at) {
            return;
        }
        match self.state {
            State::Entering { tries, asked: false, .. } => {
                self.out.extend([b'\r', RAW]);
                self.state = State::Entering { tries, at: now + TRY - BREATH, asked: true };
            }
            State::Entering { tries, .. } if tries < TRIES => self.try_to_enter(now, tries + 1),
            State::Entering { .. } => self.fail(match self.heard {
                (_, true) => Fault::NoRawRepl,
                (true, false) => Fault::NoRepl,
                (false, false) => Fault::Silent,
            }),
            State::Settling { .. } => {
                self.state = State::Ready;
                self.events.push_back(Event::Ready);
            }
            State::Feeding { .. } => self.feed(now),
            State::Running { .. } => self.fail(Fault::Late),
            State::Asking { .. } | State::Pasting { .. } if self.tail.is_empty() => {
                self.fail(Fault::Silent);
            }
            _ => self.fail(Fault::Garbled),
        }
    }

    /// Returns the time at which [`on_time`](Self::on_time) has something to do.
    pub fn poll_at(&self) -> Option<Duration> {
        match self.state {
            State::Off | State::Ready => None,
            State::Running { at } => at,
            State::Entering { at, .. }
            | State::Settling { at, .. }
            | State::Asking { at }
            | State::Pasting { at, .. }
            | State::Closing { at }
            | State::Feeding { at }
            | State::Accepting { at }
            | State::Error { at }
            | State::Prompt { at }
            | State::Leaving { at } => Some(at),
        }
    }

    /// Returns what is to be sent to the board now; empty if nothing is.
    pub fn transmit(&mut self) -> Vec<u8> {
        mem::take(&mut self.out)
    }

    /// Returns what has happened, oldest first.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn try_to_enter(&mut self, now: Duration, tries: u32) {
        // Two: the first one may only have ended a line.
        self.out.extend([b'\r', INTERRUPT, INTERRUPT]);
        self.state = State::Entering { tries, at: now + BREATH, asked: false };
    }

    fn fail(&mut self, fault: Fault) {
        self.state = State::Off;
        self.code.clear();
        self.events.push_back(Event::Failed(fault));
    }

    /// Sends the next piece of code to a board that does not say how much it can take.
    fn feed(&mut self, now: Duration) {
        let piece = self.code.len().min(PIECE);
        self.out.extend(self.code.drain(..piece));
        self.state = if self.code.is_empty() {
            self.out.push(END);
            State::Accepting { at: now + ANSWER }
        } else {
            State::Feeding { at: now + PIECE_PAUSE }
        };
    }

    /// Sends as much code as the board has room for.
    fn paste(&mut self, now: Duration, room: usize, step: usize) {
        let piece = self.code.len().min(room);
        self.out.extend(self.code.drain(..piece));
        self.state = if self.code.is_empty() {
            self.out.push(END);
            State::Closing { at: now + ANSWER }
        } else {
            State::Pasting { room: room - piece, step, at: now + ANSWER }
        };
    }

    fn run(&mut self, now: Duration) {
        self.state = State::Running { at: self.limit.map(|limit| now + limit) };
    }

    /// Reports the end of the code, behind its last output.
    fn done(&mut self, output: &mut Vec<u8>) {
        if !output.is_empty() {
            self.events.push_back(Event::Output(mem::take(output)));
        }
        let mut error = mem::take(&mut self.error);
        error.drain(..error.len().saturating_sub(ERROR));
        self.events.push_back(Event::Done(error));
    }

    fn ends_with(&self, words: &[u8]) -> bool {
        self.tail.ends_with(words)
    }

    fn on_byte(&mut self, now: Duration, byte: u8, output: &mut Vec<u8>) {
        self.heard.0 = true;
        if !matches!(self.state, State::Running { .. } | State::Error { .. }) {
            if self.tail.len() == TAIL {
                self.tail.remove(0);
            }
            self.tail.push(byte);
        }
        match self.state {
            State::Off | State::Ready => {}
            State::Entering { tries, .. } => {
                self.heard.1 |= self.ends_with(PROMPT);
                if tries == 0 && self.ends_with(PROMPT) {
                    // It has restarted as after power-on.
                    self.state = State::Entering { tries, at: now, asked: true };
                }
                if self.ends_with(GREETING) {
                    self.state = State::Settling { at: now + SETTLED, until: now + ANSWER };
                }
            }
            State::Settling { until, .. } => {
                self.state = State::Settling { at: (now + SETTLED).min(until), until };
            }
            State::Asking { .. } => self.on_answer(now),
            State::Pasting { room, step, .. } => match byte {
                RAW => self.paste(now, room + step, step),
                // It has seen enough: a mistake in the code, mostly.
                END => {
                    self.code.clear();
                    self.out.push(END);
                    self.run(now);
                }
                _ => self.fail(Fault::Garbled),
            },
            State::Closing { .. } => match byte {
                RAW => {}
                END => self.run(now),
                _ => self.fail(Fault::Garbled),
            },
            // It echoes nothing; what a program has left in the line comes before.
            State::Feeding { .. } => {}
            State::Accepting { .. } => {
                if self.ends_with(b"OK") {
                    self.run(now);
                }
            }
            State::Running { .. } => match byte {
                END => self.state = State::Error { at: now + ANSWER },
                byte => {
                    output.push(byte);
                    self.run(now);
                }
            },
            State::Error { .. } => match byte {
                END => self.state = State::Prompt { at: now + ANSWER },
                byte => {
                    if self.error.len() == 2 * ERROR {
                        self.error.drain(..ERROR);
                    }
                    self.error.push(byte);
                }
            },
            State::Prompt { .. } if byte == b'>' => {
                self.done(output);
                self.state = State::Ready;
            }
            // Instead of the prompt the first words of an interpreter that begins anew.
            State::Prompt { .. } if self.limit.is_none() => {
                if self.error.is_empty() {
                    self.error.extend(EXIT);
                }
                self.done(output);
                self.state = State::Off;
            }
            State::Prompt { .. } => self.fail(Fault::Garbled),
            State::Leaving { .. } => {
                if self.ends_with(PROMPT) {
                    self.state = State::Off;
                    self.events.push_back(Event::Left);
                }
            }
        }
    }

    /// Takes the answer to the question for raw paste: `R`, 1 and the room, or what an older board makes of it.
    fn on_answer(&mut self, now: Duration) {
        match self.tail[..] {
            [.., b'R', 1, low, high] => {
                self.paste = Some(true);
                let step = usize::from(u16::from_le_bytes([low, high]));
                match step {
                    0 => self.fail(Fault::Garbled),
                    step => self.paste(now, step, step),
                }
            }
            // It knows the question, and cannot do it.
            [.., b'R', 0] => self.without_paste(now),
            // It has taken the question for a wish to begin anew.
            _ if self.ends_with(b">")
                && self.tail.windows(GREETING.len()).any(|w| w == GREETING) =>
            {
                self.without_paste(now);
            }
            _ => {}
        }
    }

    fn without_paste(&mut self, now: Duration) {
        self.paste = Some(false);
        self.feed(now);
    }
}

#[cfg(test)]
mod tests;

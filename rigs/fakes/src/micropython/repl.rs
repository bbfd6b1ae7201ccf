//! The REPL, byte by byte, as `shared/runtime/pyexec.c` of MicroPython has it.

use super::fault::Fault;
use super::python::{Python, Ran};

/// The first line of the program that is started.
pub const PROGRAM_SAYS: &str = "the program runs";

const GREETING: &[u8] = b"raw REPL; CTRL-B to exit\r\n>";
const INTERRUPTED: &[u8] =
    b"Traceback (most recent call last):\r\n  File \"<stdin>\", line 1, in <module>\r\nKeyboardInterrupt: \r\n";
/// The code that a board takes before it has room for more.
const WINDOW: usize = 128;

/// State of the board's prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A program that was there before; for so many interrupts.
    Program(u32),
    Friendly,
    Raw,
    Paste,
    /// Code that was sent; for so many interrupts.
    Code(u32),
    /// Code that never ends.
    Hangs,
}

#[derive(Debug)]
pub struct Chip {
    pub python: Python,
    pub output: Vec<u8>,
    pub gone: bool,
    mode: Mode,
    line: Vec<u8>,
    ticks: bool,
}

impl Chip {
    pub fn new(faults: Vec<Fault>) -> Self {
        let mode = faults.iter().find_map(|fault| match fault {
            Fault::Program(interrupts) => Some(Mode::Program(*interrupts)),
            Fault::Stubborn => Some(Mode::Program(u32::MAX)),
            _ => None,
        });
        let mode = mode.unwrap_or(Mode::Friendly);
        let ticks = faults.contains(&Fault::Timer);
        Self {
            python: Python::new(faults),
            output: Vec::new(),
            gone: false,
            mode,
            line: Vec::new(),
            ticks,
        }
    }

    pub fn at_prompt(&self) -> bool {
        self.mode == Mode::Friendly && self.line.is_empty()
    }

    fn say(&mut self, bytes: &[u8]) {
        self.output.extend(bytes);
    }

    pub fn feed(&mut self, byte: u8) {
        let garbage = self.python.faults.iter().find_map(|fault| match fault {
            Fault::Silent => Some(Vec::new()),
            Fault::Garbage(bytes) => Some(bytes.clone()),
            _ => None,
        });
        if let Some(garbage) = garbage {
            return self.say(&garbage);
        }
        match (self.mode, byte) {
            (Mode::Program(u32::MAX), _) => self.say(b"42\r\n"),
            (Mode::Program(0 | 1), 3) => {
                self.say(INTERRUPTED);
                self.say(b">>> ");
                self.mode = Mode::Friendly;
            }
            (Mode::Program(left), 3) => {
                self.say(b"not now\r\n");
                self.mode = Mode::Program(left - 1);
            }
            (Mode::Code(0 | 1), 3) => self.end(INTERRUPTED),
            (Mode::Code(left), 3) => {
                self.say(b"not now\r\n");
                self.mode = Mode::Code(left - 1);
            }
            (Mode::Program(_) | Mode::Code(_) | Mode::Hangs, _) => {}
            (Mode::Friendly, 1) if !self.python.has(&Fault::NoRawRepl) => {
                self.line.clear();
                self.say(GREETING);
                self.mode = Mode::Raw;
            }
            (Mode::Friendly, 3 | b'\r') => {
                self.line.clear();
                self.say(b"\r\n>>> ");
            }
            (Mode::Friendly, byte) if byte >= b' ' => {
                self.line.push(byte);
                self.say(&[byte]);
            }
            (Mode::Friendly, _) => {}
            (Mode::Raw, 1) => {
                let asked = std::mem::take(&mut self.line) == b"\x05A";
                if asked && !self.python.has(&Fault::NoPaste) {
                    self.say(&[b'R', 1, WINDOW as u8, 0, 1]);
                    self.mode = Mode::Paste;
                } else {
                    self.say(GREETING);
                }
            }
            (Mode::Raw, 2) => {
                self.line.clear();
                self.say(
                    b"\r\nMicroPython v1.22.0 on 2023-12-27; PYBv1.1 with STM32F405RG\r\n>>> ",
                );
                self.mode = Mode::Friendly;
            }
            (Mode::Raw, 3) => self.line.clear(),
            (Mode::Raw, 4) if self.line.is_empty() => {
                self.say(b"OK\r\nMPY: soft reboot\r\n");
                self.say(GREETING);
                self.python.restart();
                self.ticks = false;
            }
            (Mode::Raw, 4) => {
                self.say(b"OK");
                self.execute();
            }
            (Mode::Paste, 4) => {
                self.say(b"\x04");
                self.execute();
            }
            (Mode::Raw, byte) => self.line.push(byte),
            (Mode::Paste, byte) => {
                self.line.push(byte);
                if self.ticks {
                    self.say(b"tick\r\n");
                }
                if self.line.len().is_multiple_of(WINDOW) {
                    self.say(&[1]);
                }
            }
        }
    }

    fn execute(&mut self) {
        let code = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        match self.python.run(&code) {
            Ran::Done(output) => {
                self.say(output.as_bytes());
                self.end(b"");
            }
            Ran::Failed(error) => {
                let trace = format!(
                    "Traceback (most recent call last):\r\n  File \"<stdin>\", line 1\r\n{error}\r\n"
                );
                self.end(trace.as_bytes());
            }
            Ran::Program(interrupts) => {
                self.say(format!("{PROGRAM_SAYS}\r\n").as_bytes());
                self.mode = Mode::Code(interrupts);
            }
            Ran::Hangs => self.mode = Mode::Hangs,
            Ran::Gone => self.gone = true,
        }
    }

    fn end(&mut self, error: &[u8]) {
        self.say(b"\x04");
        self.say(error);
        self.say(b"\x04>");
        self.mode = Mode::Raw;
    }
}

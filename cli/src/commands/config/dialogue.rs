//! Asking the user. Prompts go to stderr, so that stdout has results only.

use std::io::{self, Write};

use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{newline, prompt};
use crate::runtime;
use crate::settings::{Entry, Secret, Settings, check_password};
use crate::signals::Signals;
use crate::typed::typed_line;

/// Remark on bytes that a terminal with another encoding sends.
const NOT_TEXT: &str = "that is not UTF-8 text: your terminal has another encoding; answer again, with ASCII letters if \
                        it cannot be changed";

/// Someone who answers; in tests, a text.
pub(super) trait Dialogue {
    /// Shows `text` and reads a line without its newline. `None`: no more answers (ctrl-D). A line that is not text
    /// is `InvalidData`; the next one can be read all the same.
    fn ask(&mut self, text: &str) -> io::Result<Option<String>>;
    /// As [`ask`](Self::ask), without showing what is typed.
    fn ask_hidden(&mut self, text: &str) -> io::Result<Option<String>>;
    /// Shows a line.
    fn say(&mut self, text: &str) -> io::Result<()>;
}

impl<D: Dialogue> Dialogue for &mut D {
    fn ask(&mut self, text: &str) -> io::Result<Option<String>> {
        (**self).ask(text)
    }

    fn ask_hidden(&mut self, text: &str) -> io::Result<Option<String>> {
        (**self).ask_hidden(text)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        (**self).say(text)
    }
}

/// Asks for the value of a key until it is allowed; Enter takes the one that `settings` has.
///
/// # Errors
/// [`Exit::Interrupted`] when the user gives up.
pub(super) fn value(
    dialogue: &mut impl Dialogue,
    settings: &mut Settings,
    entry: &Entry,
    question: &str,
) -> anyhow::Result<()> {
    let default = entry.get(settings).typed();
    let prompt = match default.as_str() {
        "" => format!("{question}: "),
        default => format!("{question} [{default}]: "),
    };
    loop {
        let answer = match dialogue.ask(&prompt) {
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                dialogue.say(NOT_TEXT)?;
                continue;
            }
            answer => answer?.ok_or_else(stopped)?,
        };
        let words = entry.words(&answer);
        if words.is_empty() {
            return Ok(());
        }
        match entry.value_of(&words).and_then(|value| entry.apply(settings, &value)) {
            Ok(()) => return Ok(()),
            Err(problem) => dialogue.say(&problem)?,
        }
    }
}

/// Asks for a password until it is allowed; empty means none.
///
/// # Errors
/// [`Exit::Interrupted`] when the user gives up.
pub(super) fn password(dialogue: &mut impl Dialogue, question: &str) -> anyhow::Result<Secret> {
    let prompt = format!("{question}, not shown while you type (empty = none): ");
    loop {
        let answer = match dialogue.ask_hidden(&prompt) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(stopped()),
            answer => answer?.ok_or_else(stopped)?,
        };
        // rpassword's word for bytes that are none of UTF-8.
        if answer.contains(char::REPLACEMENT_CHARACTER) {
            dialogue.say(NOT_TEXT)?;
            continue;
        }
        match check_password(&answer) {
            Ok(secret) => return Ok(secret),
            Err(problem) => dialogue.say(&problem)?,
        }
    }
}

fn stopped() -> anyhow::Error {
    Failed::with(Exit::Interrupted, "stopped; nothing was written")
}

/// The user at the terminal.
pub(super) struct Terminal;

impl Dialogue for Terminal {
    fn ask(&mut self, text: &str) -> io::Result<Option<String>> {
        io::stderr().write_all(text.as_bytes())?;
        let Some(line) = typed_line()? else {
            // The cursor stands behind the prompt.
            newline();
            return Ok(None);
        };
        let line = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn ask_hidden(&mut self, text: &str) -> io::Result<Option<String>> {
        // On ctrl-C rpassword raises SIGINT while the terminal is still without echo. The signal
        // must not end the process there: caught, rpassword restores the terminal and returns.
        let runtime = runtime::build()?;
        let _context = runtime.enter();
        let _caught = Signals::listen()?;
        let _quiet = Quiet::start()?;
        io::stderr().write_all(text.as_bytes())?;
        match rpassword::read_password() {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                newline();
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{text}")
    }
}

/// The terminal without echo, until dropped. rpassword turns the echo off only when it reads: what
/// is typed between the prompt and that moment would be seen.
struct Quiet;

impl Quiet {
    fn start() -> io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A newline went out raw: the cursor is not yet back in the first column.
        prompt("\r");
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// A dialogue written down: answers in, everything shown out.
#[cfg(test)]
pub(super) struct Script<'a> {
    pub answers: std::str::Lines<'a>,
    pub shown: String,
}

#[cfg(test)]
impl Dialogue for Script<'_> {
    fn ask(&mut self, text: &str) -> io::Result<Option<String>> {
        let answer = self.answers.next();
        self.shown += &format!("{text}{}\n", answer.unwrap_or("^D"));
        match answer {
            Some("not text") => Err(io::ErrorKind::InvalidData.into()),
            answer => Ok(answer.map(str::to_owned)),
        }
    }

    fn ask_hidden(&mut self, text: &str) -> io::Result<Option<String>> {
        self.shown += &format!("{text}\n");
        match self.answers.next() {
            Some("^C") => Err(io::ErrorKind::Interrupted.into()),
            answer => Ok(answer.map(str::to_owned)),
        }
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.shown += &format!("{text}\n");
        Ok(())
    }
}

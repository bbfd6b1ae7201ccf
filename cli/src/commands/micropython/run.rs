//! `pblink micropython run`

use std::io::Write;

use pblink_flash::Progress;
use pblink_flash::micropython::Ended;
use serde_json::{Map, Value, json};

use super::{BoardArgs, connect};
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::hardware::error::failed;
use crate::hardware::progress::Bar;
use crate::output::cells::is_plain;
use crate::output::envelope::{now_ms, wrap};

/// Arguments of `pblink micropython run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink micropython run
  pblink micropython run --module my_program --serial /dev/ttyACM0
  pblink micropython run --json | jq -r .text

The interpreter is restarted first, so that the program finds a fresh board; main.py does not run then. Ctrl-C ends \
the program: the board is at its prompt afterwards.

Exit codes: 0 the program was ended by ctrl-C, or came to its end; 1 it failed, or the board did; 2 wrong flags, 130 \
stopped by a second ctrl-C.")]
pub struct Args {
    /// The module that is the program.
    #[arg(long, value_name = "NAME", default_value = "pb_link.pb_client", value_parser = module)]
    pub module: String,
    /// Way to the board.
    #[command(flatten)]
    pub board: BoardArgs,
    /// Print each line as JSON.
    #[arg(long)]
    pub json: bool,
}

fn module(text: &str) -> Result<String, String> {
    let part = |part: &str| {
        let word = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        word && !part.is_empty() && !part.starts_with(|c: char| c.is_ascii_digit())
    };
    match text.split('.').all(part) && text.len() <= 100 {
        true => Ok(text.to_owned()),
        false => Err("write a module as Python imports it, such as pb_link.pb_client".to_owned()),
    }
}

/// Runs `pblink micropython run`.
pub(super) fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let port = args.board.port()?;
    let mut progress = Bar::new(global);
    let mut printer = Printer { json: args.json, printed: 0, line: Vec::new(), broken: None };
    let ended = work(args, &port, &mut printer, &mut progress).map_err(failed)?;
    printer.end();
    if let Some(error) = printer.broken.filter(|e| e.kind() != std::io::ErrorKind::BrokenPipe) {
        return Err(anyhow::Error::new(error).context("cannot write to stdout"));
    }
    let Ended::Failed(error) = ended else { return Ok(Exit::Ok) };
    let last = error.lines().last().unwrap_or_default().trim_end();
    let remedy = match last.starts_with("ImportError") {
        true => "`pblink micropython install` puts pb_link and what it needs onto the board",
        false => "its output is above; the board is at its prompt",
    };
    Err(Failed::with(
        Exit::Failure,
        format!("the program {} on the board ended with {}\n  {remedy}", args.module, shown(last)),
    ))
}

fn work(
    args: &Args,
    port: &str,
    printer: &mut Printer,
    progress: &mut dyn Progress,
) -> pblink_flash::Result<Ended> {
    let mut board = connect(port, progress)?;
    board.identity()?;
    let mut code = String::new();
    if let Some(folder) = &args.board.to {
        code =
            format!("import sys\nif '{folder}' not in sys.path: sys.path.insert(1, '{folder}')\n");
    }
    code += &format!("import {}\n", args.module);
    let ended = board.run(&code, &mut |bytes| printer.take(bytes), progress)?;
    if let Ended::Failed(error) = &ended {
        printer.take(error.as_bytes());
    }
    board.leave()?;
    Ok(ended)
}

/// Prints what a program on the board prints, line by line.
struct Printer {
    json: bool,
    printed: u64,
    line: Vec<u8>,
    broken: Option<std::io::Error>,
}

impl Printer {
    /// A line that is longer is printed in pieces.
    const LONGEST: usize = 4096;

    /// Takes output; returns false when nobody reads it any more.
    fn take(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
            }
            if byte == b'\n' || self.line.len() >= Self::LONGEST {
                self.print();
            }
        }
        self.broken.is_none()
    }

    /// Prints what is left of a line.
    fn end(&mut self) {
        if !self.line.is_empty() {
            self.print();
        }
    }

    fn print(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.printed += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\r');
        let line = match self.json {
            true => {
                let fields = [("seq", json!(self.printed)), ("text", json!(text))];
                let object: Map<String, Value> =
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                wrap("output", now_ms(), None, object).unwrap_or_default()
            }
            false => shown(text),
        };
        let mut out = std::io::stdout().lock();
        if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
            self.broken.get_or_insert(error);
        }
    }
}

/// Returns a text with nothing in it that a terminal would obey.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            c if is_plain(c) => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_a_board_prints() {
        assert_eq!(shown("a\tb\u{1b}[2Jé\u{9b}"), "a\tb\\u{1b}[2Jé\\u{9b}");
    }

    #[test]
    fn modules_are_names_with_dots() {
        for good in ["pb_link.pb_client", "main", "_a1.b"] {
            module(good).unwrap();
        }
        for wrong in ["", "a.", "a b", "a;b", "1a", "a..b", "a\n"] {
            module(wrong).unwrap_err();
        }
    }
}

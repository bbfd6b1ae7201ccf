//! Diagnostics: all that goes to stderr besides progress and questions, in one dress.
//!
//! ```text
//! pblink: error: cannot listen at 0.0.0.0:8123 …
//! pblink: warning: 3 events were not printed …
//! pblink: note: listening on this machine only …
//! pblink: serving boards at 127.0.0.1:8123 …
//! ```
//!
//! A diagnostic that cannot be written, because nobody reads stderr (any more) or its disk is full, is dropped:
//! it stops no task, holds none up, and changes no exit code.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::exit::{Exit, Failed};
use crate::global::{Colour, Global};
use crate::output::shape::{self, Kind};
use crate::output::stderr::Stderr;

pub use crate::output::shape::LogArgs;

/// The variable that sets a filter instead of `-v` and `-q`.
const FILTER: &str = "PBLINK_LOG";

/// A screen is on the terminal: a diagnostic would end up in the middle of it.
static SCREEN: AtomicBool = AtomicBool::new(false);
/// Only errors are wanted.
static QUIET: AtomicBool = AtomicBool::new(false);
/// The filter of what libraries report, if neither flags nor `PBLINK_LOG` have set it.
static FILTERED: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Reports why the verb failed.
pub(crate) fn error(text: impl Display) {
    let text = text.to_string();
    report(Level::ERROR, None, &text);
    // Whoever has started the verb looks here.
    if shape::has_file() {
        let _ = Stderr.write_all(format!("pblink: error: {text}\n").as_bytes());
    }
}

/// Reports something that is probably wrong, although the verb continues.
pub(crate) fn warning(text: impl Display) {
    if !quiet() {
        report(Level::WARN, None, &text.to_string());
    }
}

/// Reports something that the user may not expect.
pub(crate) fn note(text: impl Display) {
    if !quiet() {
        report(Level::INFO, None, &text.to_string());
    }
}

/// Reports what the verb is doing now.
pub(crate) fn say(text: impl Display) {
    if !quiet() {
        put(&shape::shaped(Kind::Said, None, &text.to_string()));
    }
}

/// Asks: leaves the cursor behind `text`.
pub(crate) fn prompt(text: impl Display) {
    write(format_args!("{text}"));
}

/// Ends the line that a terminal has begun, such as that with the `^C`.
pub(crate) fn newline() {
    if io::stderr().is_terminal() {
        write(format_args!("\n"));
    }
}

/// Holds diagnostics back while a screen is on the terminal that they would go to.
pub(crate) fn screen_is_on(on: bool) {
    SCREEN.store(on && io::stderr().is_terminal(), Ordering::Relaxed);
}

/// Takes the flags, and sends what the libraries report to stderr: warnings, more with `-v`, less with `-q`,
/// or what `PBLINK_LOG` says.
///
/// # Errors
/// [`Exit::Usage`] if `PBLINK_LOG` is not a filter.
pub(crate) fn start(global: &Global) -> anyhow::Result<()> {
    QUIET.store(global.quiet, Ordering::Relaxed);
    shape::start(global.color.enabled(io::stderr().is_terminal()));
    let (filter, is_free) = match std::env::var(FILTER) {
        Ok(text) if !text.trim().is_empty() => {
            let filter = filter(&text).map_err(|why| {
                Failed::with(
                    Exit::Usage,
                    format!(
                        "{FILTER}={text:?} is not a filter: {why}\n  use error, warn, info, debug, trace or \
                         off, or parts such as pblink_server=debug,warn"
                    ),
                )
            })?;
            (filter, false)
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(Failed::with(Exit::Usage, format!("{FILTER} is not valid UTF-8")));
        }
        _ => {
            let level = match (global.quiet, global.verbose) {
                (true, _) => LevelFilter::ERROR,
                (_, 0) => LevelFilter::WARN,
                (_, 1) => LevelFilter::INFO,
                (_, 2) => LevelFilter::DEBUG,
                _ => LevelFilter::TRACE,
            };
            (Targets::new().with_default(level), !global.quiet && global.verbose == 0)
        }
    };
    let (filter, handle) = reload::Layer::new(filter);
    if is_free {
        let _ = FILTERED.set(handle);
    }
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .event_format(Dress)
        .with_writer(|| Output);
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    Ok(())
}

/// Sets what is reported: from `level` on. Flags and `PBLINK_LOG` take precedence.
pub(crate) fn set_level(level: Level) {
    if let Some(filtered) = FILTERED.get() {
        QUIET.store(level == Level::ERROR, Ordering::Relaxed);
        // An error: there is no subscriber any more, and nothing to report.
        let _ = filtered.reload(Targets::new().with_default(level));
    }
}

/// Reports a command line that clap did not take, or prints the help or version that was asked for.
pub(crate) fn command_line(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && error.kind() != HELP {
        let colour = Colour::Auto.enabled(io::stderr().is_terminal());
        let text = error.render();
        match colour {
            true => write(format_args!("pblink: {}", text.ansi())),
            false => write(format_args!("pblink: {text}")),
        }
    } else {
        // It ignores whether anyone reads.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8))
}

/// clap's kind for the help that a command line without a verb gets.
const HELP: clap::error::ErrorKind =
    clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;

/// Returns the filter that `text` describes. `tracing_subscriber` takes any word for the name of a module, and then
/// shows nothing: a word that is neither a level nor a path of modules is a mistake.
fn filter(text: &str) -> Result<Targets, String> {
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    for part in &parts {
        let (target, level) = part.rsplit_once('=').map_or((*part, None), |(t, l)| (t, Some(l)));
        let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
        let is_path = ["pblink", "tracing"].iter().any(|name| target.starts_with(name))
            || target.contains("::");
        match level {
            Some(level) if !is_level(level) => return Err(format!("{level:?} is not a level")),
            None if !is_level(part) && !is_path => return Err(format!("{part:?} is not a level")),
            _ => {}
        }
    }
    parts.join(",").parse::<Targets>().map_err(|_| "its parts are LEVEL or MODULE=LEVEL".to_owned())
}

fn quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

fn report(level: Level, target: Option<&str>, text: &str) {
    put(&shape::shaped(Kind::Level(level), target, text));
}

/// Writes a diagnostic.
fn put(text: &str) {
    let _ = Output.write_all(text.as_bytes());
}

/// Writes in one piece: several threads may report.
fn write(text: fmt::Arguments<'_>) {
    let _ = Output.write_all(text.to_string().as_bytes());
}

/// The file of diagnostics if there is one, else stderr, unless a screen is on it.
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if shape::takes(bytes) {
            return Ok(bytes.len());
        }
        match SCREEN.load(Ordering::Relaxed) {
            true => Ok(bytes.len()),
            false => Stderr.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The dress for what libraries report.
struct Dress;

impl<S, N> FormatEvent<S, N> for Dress
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        // Who reports a warning is of no use to most; who reports details is.
        let target = (level > Level::INFO).then(|| event.metadata().target());
        writer.write_str(&shape::shaped(Kind::Level(level), target, &text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_modules() {
        for text in [
            "debug",
            "WARN",
            "off",
            "pblink_server=debug,warn",
            "hyper::client=trace",
            "pblink_serve",
            " info , ,hyper::client=off,",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["banana", "pblink_server=loud", "debug,banana", "=="] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}

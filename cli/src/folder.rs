//! Patience and questions, as all verbs on the folder of a server's log have them.

use std::io::{Write, stderr};
use std::time::Duration;

use anyhow::Context;
use pblink_serve::log::EngineError;

use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{prompt, say};
use crate::typed::{has_terminal, typed_line};

/// Time after which a user wants to know that something goes on.
const LONG: Duration = Duration::from_secs(1);

/// Does something that may take long, and says so then.
///
/// # Errors
/// Those of `work`.
pub(crate) fn patiently<T: Send>(
    what: &str,
    work: impl FnOnce() -> Result<T, EngineError> + Send,
) -> anyhow::Result<T> {
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut seconds = 0;
            while waiting.recv_timeout(LONG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                seconds += 1;
                // Rarer and rarer: a log of a gigabyte takes minutes.
                if u64::is_power_of_two(seconds) {
                    say(format_args!("{what}: {seconds} s so far"));
                }
            }
        });
        let result = work();
        drop(done);
        result
    });
    result.map_err(|error| Failed::with(Exit::Failure, error.to_string()))
}

/// Asks whether to do what cannot be undone.
///
/// # Errors
/// If the user does not want it, or cannot be asked.
pub(crate) fn confirm(yes: bool, what: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !has_terminal() {
        let why = format!("this would {what}, and there is no terminal to ask on: add --yes");
        return Err(Failed::with(Exit::Usage, why));
    }
    prompt(format_args!("{what}? Type yes: "));
    stderr().flush().context("cannot ask")?;
    let answer = typed_line().context("cannot read the answer")?.unwrap_or_default();
    match String::from_utf8_lossy(&answer).trim() {
        "yes" => Ok(()),
        _ => Err(Failed::with(Exit::Interrupted, "nothing was changed")),
    }
}

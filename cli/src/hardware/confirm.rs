//! The user's consent before what is on a board is replaced: one rule for all boards.
//!
//! `--yes` gives it. Else the user is asked on the terminal; where there is none, the verb refuses before it waits for
//! anything or touches a board.

use std::io;

use crate::exit::{Exit, Failed};
use crate::hardware::progress::asking;
use crate::output::diagnostics::prompt;
use crate::typed::{has_terminal, typed_line};

/// The way to the user's consent.
pub enum Consent<'a> {
    /// A flag has given it.
    Given,
    /// The user answers questions.
    Ask(&'a mut dyn FnMut(&str) -> io::Result<bool>),
    /// There is nobody to ask.
    Nobody,
}

impl<'a> Consent<'a> {
    /// Returns the way: `given` by a flag, else `ask` if there is a terminal.
    pub(crate) fn of(given: bool, ask: &'a mut dyn FnMut(&str) -> io::Result<bool>) -> Self {
        match given {
            true => Self::Given,
            false if has_terminal() => Self::Ask(ask),
            false => Self::Nobody,
        }
    }

    /// Checks that there is a way. `change` is what would happen to the board, `instead` what else the user can do.
    ///
    /// # Errors
    /// [`Exit::Usage`] if there is none.
    pub(crate) fn check(&self, change: &str, instead: &str) -> anyhow::Result<()> {
        match self {
            Self::Nobody => Err(Failed::with(
                Exit::Usage,
                format!(
                    "{change}, and there is no terminal to ask on\n  add --yes to do it{instead}"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Asks; returns true for a yes.
    ///
    /// # Errors
    /// The terminal fails.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<bool> {
        match self {
            Self::Given => Ok(true),
            Self::Ask(ask) => asking(|| ask(question)),
            Self::Nobody => Ok(false),
        }
    }

    /// Returns true if the user is asked.
    pub(crate) fn asks(&self) -> bool {
        matches!(self, Self::Ask(_))
    }
}

/// Asks on the terminal. `enter` is the meaning of an empty line; an answer that is neither yes nor no is a no.
pub(crate) fn ask_yes_no(question: &str, enter: bool) -> io::Result<bool> {
    let choice = if enter { "[Y/n]" } else { "[y/N]" };
    prompt(format_args!("{question} {choice} "));
    // The end of the input is not a yes.
    let Some(answer) = typed_line()? else { return Ok(false) };
    Ok(match String::from_utf8_lossy(&answer).trim().to_lowercase().as_str() {
        "" => enter,
        answer => matches!(answer, "y" | "yes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_anybody_to_ask_only_a_flag_is_a_yes() {
        let mut answers = [true, false].into_iter();
        let mut ask = |_: &str| Ok(answers.next().unwrap_or_default());
        let mut asks = Consent::Ask(&mut ask);
        assert!(asks.check("it would be gone", "").is_ok() && asks.asks());
        assert!(asks.ask("Go on?").unwrap() && !asks.ask("Go on?").unwrap());
        assert!(Consent::Given.check("it would be gone", "").is_ok() && !Consent::Given.asks());
        assert!(Consent::Given.ask("Go on?").unwrap());
        let refused = Consent::Nobody.check("it would be gone", ", or --keep it").unwrap_err();
        assert_eq!(Exit::of(&refused), Exit::Usage);
        let said = refused.to_string();
        assert!(said.contains("no terminal to ask on") && said.contains("--yes"), "{said}");
        assert!(said.contains("gone, and") && said.ends_with("or --keep it"), "{said}");
        assert!(!Consent::Nobody.ask("Go on?").unwrap());
    }
}

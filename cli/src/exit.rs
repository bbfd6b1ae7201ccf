//! Exit codes of the `pblink` command. Scripts depend on them: they never change their meaning.

use std::process::ExitCode;

/// End of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It failed for a reason that has no code of its own.
    Failure = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// The configuration is missing or invalid; a tool that is needed, or an image to flash, is missing.
    Config = 3,
    /// An address could not be bound or reached.
    Network = 4,
    /// The ledger is not clean: lines were lost, duplicated or reordered.
    Lines = 5,
    /// A link is down.
    Down = 6,
    /// Lines were not acknowledged in time: the server delivers them later.
    Late = 7,
    /// Interrupted by the user before it was done (128 + SIGINT).
    Interrupted = 130,
}

impl Exit {
    /// All of them, from the least on.
    pub(crate) const ALL: [Self; 9] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::Config,
        Self::Network,
        Self::Lines,
        Self::Down,
        Self::Late,
        Self::Interrupted,
    ];

    /// Returns the meaning of a code, for the manual.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "Done.",
            Self::Failure => "Failed, for a reason that has no code of its own.",
            Self::Usage => "The command line is wrong.",
            Self::Config => {
                "The configuration is missing or has a mistake; or a tool, a token or an image that is needed is \
                 missing."
            }
            Self::Network => "An address could not be listened on, or no server answers there.",
            Self::Lines => "Lines were lost, duplicated or reordered.",
            Self::Down => "A link is down.",
            Self::Late => {
                "Lines were not acknowledged in time. They are in the server's log, which delivers them later."
            }
            Self::Interrupted => "Interrupted by the user before it was done.",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Gives an error an exit code: attach it with `anyhow`'s `context` or build the error from it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// The code.
    pub exit: Exit,
    /// The message: what happened, and what to do.
    pub message: String,
}

impl Failed {
    /// Returns an error whose message is `message` and whose exit code is `exit`.
    pub fn with(exit: Exit, message: impl Into<String>) -> anyhow::Error {
        Self { exit, message: message.into() }.into()
    }
}

impl Exit {
    /// Returns the code of an error: that of the [`Failed`] in its chain, else [`Exit::Failure`].
    pub fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(|e| e.downcast_ref::<Failed>()).map_or(Self::Failure, |f| f.exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_has_each_code_once_in_order() {
        let source = include_str!("exit.rs").split("pub enum Exit {").nth(1).unwrap();
        let source = source.split("\n}").next().unwrap();
        let codes: Vec<u8> = (source.lines())
            .filter_map(|line| line.split_once(" = ")?.1.strip_suffix(',')?.parse().ok())
            .collect();
        assert_eq!(Exit::ALL.map(|exit| exit as u8).to_vec(), codes);
    }
}

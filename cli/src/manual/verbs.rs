//! The verbs that a page, a variable or a file belongs to.

use clap::Command;

/// Verbs that read a variable or use a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verbs {
    /// All of them.
    All,
    /// Those that take a configuration.
    Configured,
    /// These.
    Only(&'static [&'static str]),
}

/// The first word below the program's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb<'a> {
    /// The word.
    pub(super) name: &'a str,
    /// It, or a verb below it, has `--config`.
    configured: bool,
}

impl<'a> Verb<'a> {
    /// Returns that of a command.
    pub(super) fn of(command: &'a Command) -> Self {
        Self { name: command.get_name(), configured: takes_configuration(command) }
    }
}

fn takes_configuration(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some("config"))
        || command.get_subcommands().any(takes_configuration)
}

impl Verbs {
    /// Returns true if the page of a verb, or of the whole command, has what these verbs have.
    pub(super) fn are_of(self, page: Option<Verb>) -> bool {
        page.is_none_or(|verb| match self {
            Self::All => true,
            Self::Configured => verb.configured,
            Self::Only(names) => names.contains(&verb.name),
        })
    }
}

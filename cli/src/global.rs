//! Flags of every verb.

use clap::Args;

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// More diagnostics on stderr; repeat for still more (PBLINK_LOG sets a filter instead).
    #[arg(short, long, global = true, help_heading = "Everywhere", display_order = 1000,
        action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Errors only on stderr: no warnings, notes or greetings.
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Everywhere",
        display_order = 1001,
        conflicts_with = "verbose"
    )]
    pub quiet: bool,
    /// Use of colours. NO_COLOR=1 does the same as `never`.
    #[arg(long, global = true, help_heading = "Everywhere", display_order = 1002, value_enum,
        default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

impl Global {
    /// Returns the flags that mean this, for another run of this program.
    pub(crate) fn words(&self) -> Vec<String> {
        let colour = match self.color {
            Colour::Auto => "auto",
            Colour::Always => "always",
            Colour::Never => "never",
        };
        let verbose = (0..self.verbose).map(|_| "--verbose".to_owned());
        let quiet = self.quiet.then(|| "--quiet".to_owned());
        [format!("--color={colour}")].into_iter().chain(verbose).chain(quiet).collect()
    }
}

/// Use of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Decides on colours for a stream that is (or is not) a terminal.
    pub fn enabled(self, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }
}

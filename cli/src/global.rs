//! Flags of every verb, and where diagnostics go.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// More diagnostics on stderr; repeat for still more (PBLINK_LOG sets a filter instead).
    #[arg(short, long, global = true, help_heading = "Everywhere", display_order = 1000,
        action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colours. NO_COLOR=1 does the same as `never`.
    #[arg(long, global = true, help_heading = "Everywhere", display_order = 1001, value_enum,
        default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

impl Global {
    /// The flags that mean this, for another run of this program.
    pub(crate) fn words(&self) -> Vec<String> {
        let colour = match self.color {
            Colour::Auto => "auto",
            Colour::Always => "always",
            Colour::Never => "never",
        };
        let verbose = (0..self.verbose).map(|_| "--verbose".to_owned());
        [format!("--color={colour}")].into_iter().chain(verbose).collect()
    }
}

/// When to use colours.
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
    /// Whether to colour what goes to a stream that is (or is not) a terminal.
    pub fn enabled(self, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }
}

/// A screen is on the terminal: a diagnostic would end up in the middle of it.
static SCREEN: AtomicBool = AtomicBool::new(false);

/// Holds diagnostics back while a screen is on the terminal that they would go to.
pub(crate) fn screen_is_on(on: bool) {
    SCREEN.store(on && io::stderr().is_terminal(), Ordering::Relaxed);
}

/// Where diagnostics go: to stderr, unless a screen is there.
fn diagnostics() -> Box<dyn Write> {
    if SCREEN.load(Ordering::Relaxed) { Box::new(io::sink()) } else { Box::new(io::stderr()) }
}

/// Sends diagnostics to stderr: warnings by default, more with `-v`, or what PBLINK_LOG says.
pub fn start_tracing(global: &Global) {
    use tracing_subscriber::EnvFilter;
    let level = match global.verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("PBLINK_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(global.color.enabled(io::stderr().is_terminal()))
        .with_writer(diagnostics)
        .try_init();
}

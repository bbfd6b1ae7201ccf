//! `pblink completions` and `pblink man`

use crate::exit::Exit;

/// Arguments of `pblink completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {}

/// Arguments of `pblink man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {}

/// Prints a completion script.
pub fn completions(_args: CompletionsArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}

/// Prints the manual.
pub fn man(_args: ManArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}

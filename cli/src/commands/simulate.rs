//! `pblink simulate`

use super::Global;
use crate::exit::Exit;

/// Arguments of `pblink simulate`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args, _global: &Global) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}

//! `pblink flash esp8266`

use super::{Bar, failed};
use crate::commands::Global;
use crate::exit::Exit;

/// Arguments of `pblink flash esp8266`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args, global: &Global) -> anyhow::Result<Exit> {
    let _progress = Bar::new(global);
    Err(failed(pblink_flash::Error::new(pblink_flash::Kind::Other, "not here yet", "wait")))
}

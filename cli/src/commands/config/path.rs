//! `pblink config path`

use std::path::Path;

use crate::exit::{Exit, Failed};
use crate::output::json::pretty;
use crate::output::stdout::print;
use crate::settings::candidates;

const EXAMPLES: &str = "\
Examples:
  pblink config path
  pblink config path --all
  $EDITOR \"$(pblink config path)\"

One file is used, the first of: that of --config, that of PBLINK_CONFIG (also if it is not there), ./pblink.toml, \
$XDG_CONFIG_HOME/pblink/pblink.toml (~/.config without that variable), /etc/pblink/pblink.toml. Flags override \
variables of keys such as PBLINK_SERVER_PORT, and these the file. Exit code 3 if there is none, with --all and --json, too.";

/// Arguments of `pblink config path`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// All places in which a file is looked for, with what is there.
    #[arg(long)]
    pub all: bool,
    /// All places as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let all = candidates();
    let used = all.iter().position(|candidate| candidate.counts());
    if args.json {
        let places = all.iter().enumerate().map(|(n, place)| {
            serde_json::json!({
                "path": place.path,
                "of": place.of,
                "there": place.counts() && place.path.symlink_metadata().is_ok(),
                "used": used == Some(n),
            })
        });
        let places = Vec::from_iter(places);
        let file = used.map(|n| &all[n].path);
        print(pretty(&serde_json::json!({ "file": file, "places": places })).as_bytes())?;
    } else if args.all {
        let lines = all.iter().enumerate().map(|(n, place)| {
            let state = match used {
                Some(used) if used == n => "used",
                _ if !place.counts() => "not there",
                _ => "not used: the one above takes precedence",
            };
            format!("{:<50} {:<14} {state}\n", absolute(&place.path), place.of)
        });
        print(lines.collect::<String>().as_bytes())?;
    } else if let Some(used) = used {
        print(format!("{}\n", absolute(&all[used].path)).as_bytes())?;
    }
    if used.is_some() {
        return Ok(Exit::Ok);
    }
    let places: Vec<_> = all.iter().map(|place| place.path.display().to_string()).collect();
    Err(Failed::with(
        Exit::Config,
        format!(
            "there is no configuration file, the defaults apply; `pblink config init` writes one here; looked \
             for: {}",
            places.join(", ")
        ),
    ))
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

//! `pblink service install`

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pblink_templates::SOCKET;

use super::UnitArgs;
use super::unit::Unit;
use crate::child::without_secrets;
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{note, say};
use crate::settings::Settings;

/// The folder for units that no package brings.
const FOLDER: &str = "etc/systemd/system";
/// The unit.
pub(super) const UNIT: &str = "pblink.service";

/// Arguments of `pblink service install`.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// The unit.
    #[command(flatten)]
    pub unit: UnitArgs,
    /// Do not start the service now; it starts with the machine.
    #[arg(long)]
    pub no_start: bool,
    /// Write below this folder, the root of a system that does not run, such as an image; nothing is started.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(args: InstallArgs) -> anyhow::Result<Exit> {
    let settings = Settings::load(args.unit.config.as_deref())?;
    let unit = Unit::of(&settings, args.unit.program)?;
    let root = args.root.as_deref().unwrap_or(Path::new("/"));
    if args.root.is_none() {
        unit.check()?;
    }
    unit.warn(&settings);
    let folder = root.join(FOLDER);
    let file = folder.join(UNIT);
    let text = unit.text();
    let is_same = std::fs::read_to_string(&file).is_ok_and(|old| old == text);
    write(&folder, UNIT, &text)?;
    write(&folder, "pblink.socket", SOCKET)?;
    say(format_args!("{} {}", file.display(), if is_same { "is as it was" } else { "written" }));
    if args.root.is_some() {
        note("nothing is started: enable it in that system with `systemctl enable pblink`");
        return Ok(Exit::Ok);
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", UNIT])?;
    if args.no_start {
        say("the service starts with the machine; now: `systemctl start pblink`");
        return Ok(Exit::Ok);
    }
    // Also if it runs already, by an older program or unit.
    systemctl(&["restart", UNIT])?;
    say(
        "the service runs: `pblink service status` shows it, `journalctl -u pblink` what it has to say",
    );
    Ok(Exit::Ok)
}

/// Writes a file in one step.
fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let begun = folder.join(format!(".{name}.new"));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::File::create(&begun))
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&begun, &path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&begun);
        let hint = match error.kind() {
            ErrorKind::PermissionDenied => "\n  units belong to root: run it with sudo",
            _ => "",
        };
        Failed::with(Exit::Failure, format!("cannot write {}: {error}{hint}", path.display()))
    })
}

/// Runs systemctl; what it has to say goes to stderr.
///
/// # Errors
/// [`Exit::Config`] if there is none, [`Exit::Failure`] if it fails.
fn systemctl(words: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("systemctl");
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let status = without_secrets(&mut command).status().map_err(|error| no_systemctl(&error))?;
    if status.success() {
        return Ok(());
    }
    let mut hint = "";
    if words[0] == "restart" {
        hint = "\n  its reason: journalctl -u pblink -n 20";
    }
    let what = format!("`systemctl {}` failed ({status}){hint}", words.join(" "));
    Err(Failed::with(Exit::Failure, what))
}

/// Returns the error of a machine without systemd.
pub(super) fn no_systemctl(error: &std::io::Error) -> anyhow::Error {
    let what = format!(
        "cannot run systemctl ({error}): is this a machine with systemd? For other service managers, docs/SERVICE.md has \
         what `pblink serve` needs"
    );
    Failed::with(Exit::Config, what)
}

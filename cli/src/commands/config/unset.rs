//! `pblink config unset`

use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failed};
use crate::output::diagnostics;
use crate::output::stdout::print;
use crate::settings::{self, PASSWORD_ENV, Settings};

const EXAMPLES: &str = "\
Examples:
  pblink config unset server.timeout_ms
  pblink config unset 'board[1].log'
  pblink config unset wifi.password";

/// Arguments of `pblink config unset`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Section and name, as in server.port. `wifi.password` removes the secrets file.
    pub key: String,
    /// The file to change. Without it the one that `pblink config path` prints.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let path = super::file_to_change(args.config.as_ref());
    if settings::is_password_key(&args.key) {
        return unset_password(&path);
    }
    if settings::is_former(&args.key) {
        return unset_former(&path, &args.key);
    }
    let usage = |message: String| Failed::with(Exit::Usage, message);
    let (entry, n) = super::named(&args.key)?;
    let old = settings::read_text(&path)?;
    let (given, _) = settings::read(&path, &old);
    if n.is_none() && super::is_of_board(entry) && given.has_list_of_boards() {
        let boards = super::name_the_board(entry, given.all_boards().len());
        return Err(usage(format!("{} has {boards}", path.display())));
    }
    let default = entry.get(&Settings::default());
    let Some(new) = settings::without_value_at(&old, &given, &args.key) else {
        return print(
            format!("{} does not give {}: its default is {default:#}\n", path.display(), args.key)
                .as_bytes(),
        );
    };
    settings::change(&path, new)?;
    super::note_override(entry);
    print(
        format!(
            "{}: {} is not given any more: its default is {default:#}\n",
            path.display(),
            args.key
        )
        .as_bytes(),
    )
}

/// Removes a key that an older version had, which no verb takes in a file.
fn unset_former(path: &Path, key: &str) -> anyhow::Result<Exit> {
    let old = settings::read_text(path)?;
    let Some(new) = settings::without_former(&old, key) else {
        return print(format!("{} does not give {key}\n", path.display()).as_bytes());
    };
    settings::change(path, new)?;
    print(format!("{}: {key} is not given any more\n", path.display()).as_bytes())
}

/// Removes the secrets file, in which nothing else stands.
fn unset_password(path: &Path) -> anyhow::Result<Exit> {
    let secrets = Settings::load_file(path)?.secrets_path();
    let removed = settings::remove_secrets(&secrets).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidInput => {
            Failed::with(Exit::Config, format!("{}: {e}", secrets.display()))
        }
        _ => Failed::with(Exit::Failure, format!("cannot remove {}: {e}", secrets.display())),
    })?;
    if std::env::var_os(PASSWORD_ENV).is_some_and(|value| !value.is_empty()) {
        diagnostics::note(format_args!("{PASSWORD_ENV} is set and has a password all the same"));
    }
    let text = match removed {
        true => format!("removed {}, which held the WiFi password\n", secrets.display()),
        false => format!("there is no {}\n", secrets.display()),
    };
    print(text.as_bytes())
}

//! `pblink config edit`

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::Context;

use super::cannot_write;
use crate::child::without_secrets;
use crate::exit::{Exit, Failed};
use crate::hardware::confirm::ask_yes_no;
use crate::output::diagnostics;
use crate::output::stdout::print;
use crate::runtime;
use crate::settings;
use crate::signals::Signals;
use crate::typed::has_terminal;

const EXAMPLES: &str = "\
Examples:
  pblink config edit
  EDITOR='code --wait' pblink config edit

The editor is $VISUAL, else $EDITOR, else vi. It works on a copy beside the file: a text with a mistake never takes \
the file's place.";

/// Arguments of `pblink config edit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to edit. Without it the one that `pblink config path` prints.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let path = super::file_to_change(args.config.as_ref());
    let old = settings::read_text(&path)?;
    let copy = copy_of(&path);
    settings::create_private(&copy, &old).map_err(|e| cannot_write(&copy, &e))?;
    let kept = |why: String| {
        let left =
            if copy.exists() { "what you wrote is in" } else { "the editor has left nothing in" };
        let (path, copy) = (path.display(), settings::shell_word(&copy));
        Failed::with(Exit::Config, format!("{why}\n  {path} stays as it was; {left} {copy}"))
    };
    let new = loop {
        let status = edit(&copy)?;
        if !status.success() {
            let _ = std::fs::remove_file(&copy);
            let why = match status.code() {
                Some(127) => {
                    "the editor could not be run: name another with VISUAL or EDITOR".to_owned()
                }
                _ => format!("the editor failed ({status})"),
            };
            return Err(Failed::with(
                Exit::Failure,
                format!("{why}; {} stays as it was", path.display()),
            ));
        }
        if !copy.exists() {
            return Err(kept("there is no text to check".to_owned()));
        }
        let new = settings::read_text(&copy).map_err(|error| kept(error.to_string()))?;
        if new == old {
            let _ = std::fs::remove_file(&copy);
            return print(format!("{}: nothing has changed\n", path.display()).as_bytes());
        }
        let (_, problems) = settings::read(&path, &new);
        if problems.is_empty() {
            break new;
        }
        let wrong = settings::failed(&problems);
        if !has_terminal() {
            return Err(kept(wrong.to_string()));
        }
        diagnostics::error(format_args!("{wrong:#}"));
        match ask_yes_no("Edit it again?", true) {
            Ok(true) => {}
            Ok(false) => return Err(kept("there are mistakes in it".to_owned())),
            Err(error) => return Err(kept(format!("cannot read the answer: {error}"))),
        }
    };
    if settings::read_text(&path).map_err(|error| kept(error.to_string()))? != old {
        return Err(kept(format!("{} was changed meanwhile", path.display())));
    }
    settings::replace(&path, &new).map_err(|e| kept(cannot_write(&path, &e).to_string()))?;
    let _ = std::fs::remove_file(&copy);
    print(format!("wrote {}\n", path.display()).as_bytes())
}

/// Returns the name of a copy, beside the file so that paths in it lead to the same places.
fn copy_of(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{stem}.edit-{}.toml", std::process::id()))
}

/// Runs the user's editor. It may be several words, as in `code --wait`: a shell takes them apart.
fn edit(copy: &Path) -> anyhow::Result<ExitStatus> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // Ctrl-C is for the editor, which shares the terminal.
    let runtime = runtime::build()?;
    let _context = runtime.enter();
    let _caught = Signals::listen()?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(copy);
    without_secrets(&mut command).status().with_context(|| format!("cannot run `{editor}`"))
}

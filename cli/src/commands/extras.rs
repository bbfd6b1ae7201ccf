//! `pblink completions` and `pblink man`

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use crate::completion;
use crate::exit::Exit;
use crate::manual;
use crate::output::stdout::print;

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  pblink completions bash > ~/.local/share/bash-completion/completions/pblink
  pblink completions zsh > ~/.zfunc/_pblink
  pblink completions fish > ~/.config/fish/completions/pblink.fish

The script asks `pblink`, which has to be in PATH, at each Tab: it then knows the keys of pblink.toml, the ids of links, \
consumers and serial ports. A server that does not answer within 0.4 s is passed over. Write the script again after an \
update.";

const MAN_EXAMPLES: &str = "\
Examples:
  pblink man | man -l -
  pblink man --dir ~/.local/share/man/man1";

/// Arguments of `pblink completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell that will read the script.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `pblink man`.
#[derive(Debug, clap::Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Write one page per verb into this folder, which is created if need be; pages of an older
    /// version are replaced.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Prints a completion script.
pub fn completions(args: CompletionsArgs) -> anyhow::Result<Exit> {
    print(&completion::script(args.shell)?)
}

/// Prints the manual.
pub fn man(args: ManArgs) -> anyhow::Result<Exit> {
    if let Some(dir) = args.dir {
        return write_pages(&dir);
    }
    print(&manual::page(Cli::command())?)
}

fn write_pages(dir: &Path) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(dir)
        .and_then(|()| manual::write(Cli::command(), dir))
        .with_context(|| format!("cannot write manual pages into {}", dir.display()))?;
    print(format!("wrote pblink.1 and one page per verb into {}\n", dir.display()).as_bytes())
}

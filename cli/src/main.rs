//! The `pblink` command. Everything that it does lives in the library beside this file.

use std::process::ExitCode;

fn main() -> ExitCode {
    pblink_cli::run()
}

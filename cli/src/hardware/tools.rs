//! Compilers and other tools: the build scripts know what they need, and are asked.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::sdk;
use crate::child::without_secrets;

/// The scripts' code for "a tool is missing".
pub(crate) const TOOLS_MISSING: i32 = 3;

/// Answer of a build script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tools {
    /// All that it needs is there.
    Complete,
    /// These are missing: each with the way to install it.
    Missing(Vec<(String, String)>),
    /// It could not answer, for this reason.
    Broken(String),
}

/// Readers of what a script makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Whoever the user's umask lets.
    Usual,
    /// The user alone: compiler and linker know nothing of a password in what they write.
    Owner,
}

/// Returns the command that runs the script of this folder, to which arguments can be added. It gets no secrets:
/// compilers, and build scripts of whoever, have no use for them.
pub(crate) fn script(folder: &Path, readers: Readers) -> Command {
    let mut command = Command::new("sh");
    if readers == Readers::Owner {
        command.args(["-c", "umask 077 && exec sh \"$@\"", "sh"]);
    }
    command.arg(path(folder));
    without_secrets(&mut command);
    command
}

/// Returns the path of the script of a folder.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("build.sh")
}

/// Asks the script of this folder, with an SDK or without one.
pub(crate) fn ask(folder: &Path, arguments: &[&str], sdk: Option<&Path>) -> Tools {
    let mut command = script(folder, Readers::Usual);
    command.args(arguments).stdin(Stdio::null());
    let script = path(folder);
    match sdk {
        Some(sdk) => command.env(sdk::VARIABLE, sdk),
        None => command.env_remove(sdk::VARIABLE),
    };
    match command.output() {
        Ok(output) if output.status.success() => Tools::Complete,
        Ok(output) if output.status.code() == Some(TOOLS_MISSING) => {
            Tools::Missing(missing(&String::from_utf8_lossy(&output.stderr)))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Tools::Broken(format!("{} failed: {}", script.display(), said.trim()))
        }
        Err(error) => Tools::Broken(format!("cannot run {}: {error}", script.display())),
    }
}

/// Returns what a script has named as missing, and the way to install it. The script says
///
/// ```text
/// missing: WHAT
///     install it with: LINE
///         or, on Debian: LINE
/// ```
fn missing(said: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in said.lines() {
        if let Some(what) = line.strip_prefix("missing: ") {
            found.push((what.to_owned(), String::new()));
        } else if let Some((_, remedy)) = found.last_mut() {
            let line = line.trim();
            if !remedy.is_empty() {
                remedy.push('\n');
            }
            remedy.push_str(line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_tool_has_its_lines() {
        let said = "missing: a compiler\n    install it with: rustup x\n        or, on Debian: apt y\n\
                    missing: a linker\n    install it with: apt z\n";
        let expected = [
            ("a compiler", "install it with: rustup x\nor, on Debian: apt y"),
            ("a linker", "install it with: apt z"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(missing(said), expected);
    }
}

//! Checks of the compilers and the SDK that `pblink build` needs.

use std::path::Path;
use std::process::{Command, Stdio};

use super::finding::{Finding, Group};
use crate::child::without_secrets;
use crate::hardware::{checkout, sdk, sources};
use crate::settings::Settings;

/// The scripts' code for "a tool is missing".
const TOOLS_MISSING: i32 = 3;

/// Asks the build scripts, which know what they need.
pub(super) fn check(settings: &Settings, named: Option<&Path>) -> Vec<Finding> {
    let mut group = Group::new("tools");
    let source = match checkout::find(named) {
        Ok(source) => source,
        // An application of `pblink new` has all that it needs, but a compiler.
        Err(_) if named.is_none() && is_application(Path::new("")) => {
            script(&mut group, "STM32", Path::new(""), &["check"], None);
            return group.done();
        }
        Err(error) => {
            group.error(
                format!("{error:#}"),
                "git clone pblink's sources, or name them with --source DIR",
            );
            return group.done();
        }
    };
    let sdk = sdk::find(settings);
    for (board, name, arguments) in [
        ("STM32", checkout::STM32, &["check"][..]),
        ("ESP8266", checkout::ESP8266, &["check", "emulator"]),
    ] {
        script(&mut group, board, &source.join(name), arguments, None);
    }
    match &sdk {
        Ok(Some(folder)) => {
            group.ok(format!("Espressif's SDK is at {}", folder.display()));
            script(
                &mut group,
                "ESP8266, with the SDK",
                &source.join(checkout::ESP8266),
                &["check", "sdk"],
                Some(folder),
            );
        }
        Ok(None) => group.warning(
            "Espressif's SDK is not there: what is built for the ESP8266 cannot be flashed",
            format!(
                "`{}`, then `pblink config set build.esp8266_sdk DIR`; or flash another firmware with \
                 `pblink flash esp8266 --image FILE@0`",
                sdk::DOWNLOAD
            ),
        ),
        Err(error) => {
            group.error(format!("{error:#}"), format!("get it with `{}`", sdk::DOWNLOAD));
        }
    }
    group.done()
}

/// Returns true if the folder is one that `pblink new` has made.
fn is_application(folder: &Path) -> bool {
    let library = Path::new(sources::FOLDER).join(checkout::STM32).join("Cargo.toml");
    [Path::new("build.sh"), &library].iter().all(|file| folder.join(file).is_file())
}

/// Adds one script's answer.
fn script(group: &mut Group, board: &str, folder: &Path, arguments: &[&str], sdk: Option<&Path>) {
    let script = folder.join("build.sh");
    let mut command = Command::new("sh");
    command.arg(&script).args(arguments).stdin(Stdio::null());
    match sdk {
        Some(sdk) => command.env(sdk::VARIABLE, sdk),
        None => command.env_remove(sdk::VARIABLE),
    };
    let again = "see whether the sources are whole";
    match without_secrets(&mut command).output() {
        Ok(output) if output.status.success() => {
            group.ok(format!("what builds the {board}'s program is there"));
        }
        Ok(output) if output.status.code() == Some(TOOLS_MISSING) => {
            let said = String::from_utf8_lossy(&output.stderr);
            for (what, install) in missing(&said) {
                group.error(format!("for the {board}: {what} is missing"), install);
            }
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            group.error(format!("{} failed: {}", script.display(), said.trim()), again);
        }
        Err(error) => group.error(format!("cannot run {}: {error}", script.display()), again),
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

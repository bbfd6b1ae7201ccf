//! Checks of the compilers and the SDK that `pblink build` needs.

use std::path::Path;

use super::finding::{Finding, Group};
use crate::hardware::tools::{self, Tools};
use crate::hardware::{checkout, sdk, sources};
use crate::settings::Settings;

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
    let again = "see whether the sources are whole";
    match tools::ask(folder, arguments, sdk) {
        Tools::Complete => group.ok(format!("what builds the {board}'s program is there")),
        Tools::Missing(all) => {
            for (what, install) in all {
                group.error(format!("for the {board}: {what} is missing"), install);
            }
        }
        Tools::Broken(why) => group.error(why, again),
    }
}

//! Checks of the compilers and the SDK that `pblink build` needs.

use std::path::{Path, PathBuf};

use super::finding::{Finding, Group};
use crate::hardware::tools::{self, Tools};
use crate::hardware::{checkout, sdk, sources};
use crate::settings::{CoprocessorKind, Settings};

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
    script(&mut group, "STM32", &source.join(checkout::STM32), &["check"], None);
    match settings.board.coprocessor {
        CoprocessorKind::Esp8266 => esp8266(&mut group, &source, sdk::find(settings)),
        CoprocessorKind::Esp32c3 => {
            let folder = source.join(checkout::ESP32C3);
            script(&mut group, "ESP32-C3", &folder, &["check", "chip"], None);
        }
    }
    group.done()
}

/// Adds what the ESP8266's program needs.
fn esp8266(group: &mut Group, source: &Path, sdk: anyhow::Result<Option<PathBuf>>) {
    let folder = source.join(checkout::ESP8266);
    script(group, "ESP8266", &folder, &["check", "emulator"], None);
    match &sdk {
        Ok(Some(sdk)) => {
            group.ok(format!("Espressif's SDK is at {}", sdk.display()));
            script(group, "ESP8266, with the SDK", &folder, &["check", "sdk"], Some(sdk));
        }
        Ok(None) => group.warning(
            "Espressif's SDK is not there: what is built for the ESP8266 cannot be flashed",
            format!(
                "`{}`, then `pblink config set build.esp8266_sdk DIR`; or flash another firmware with \
                 `pblink flash esp8266 --image FILE@0`; or take an ESP32-C3, which needs none",
                sdk::DOWNLOAD
            ),
        ),
        Err(error) => {
            group.error(format!("{error:#}"), format!("get it with `{}`", sdk::DOWNLOAD));
        }
    }
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

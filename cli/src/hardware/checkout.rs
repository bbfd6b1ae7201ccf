//! The folder with the sources of the firmwares.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::exit::{Exit, Failed};

/// The folder of the STM32's firmware and library, in the source folder.
pub(crate) const STM32: &str = "firmware-stm32";
/// The folder of the ESP8266's firmware, in the source folder.
pub(crate) const ESP8266: &str = "firmware-esp8266";

/// The folder of the ESP32-C3's firmware, in the source folder.
pub(crate) const ESP32C3: &str = "firmware-esp32c3";

/// Returns the folder with the sources: the one that is named, else the first one around the current folder. Never the one
/// that this program was compiled in: nobody has said that it is to be used, and it may be gone.
///
/// # Errors
/// [`Exit::Usage`] if the named one is no such folder, [`Exit::Config`] if there is none.
pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let has = |folder: &Path| {
        [STM32, ESP8266].iter().all(|name| folder.join(name).join("build.sh").is_file())
    };
    if let Some(named) = named {
        return has(named).then(|| named.to_owned()).ok_or_else(|| {
            Failed::with(
                Exit::Usage,
                format!(
                    "{} is not the source folder of pblink\n  \
                     name a clone of it: the folder with {STM32} and {ESP8266}",
                    named.display()
                ),
            )
        });
    }
    let here = std::env::current_dir().context("cannot find the current folder")?;
    here.ancestors().find(|folder| has(folder)).map(Path::to_owned).ok_or_else(|| {
        Failed::with(
            Exit::Config,
            "the sources of the firmwares are not here: run this in a clone of pblink, or name \
                 one with --source DIR",
        )
    })
}

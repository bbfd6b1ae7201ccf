//! Espressif's ESP8266_NONOS_SDK, which the user downloads: where it is, and whether it is whole.

use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failed};
use crate::settings::Settings;

/// The variable that names its folder.
pub(crate) const VARIABLE: &str = "ESP8266_NONOS_SDK";

/// Command that downloads it.
pub(crate) const DOWNLOAD: &str = "git clone https://github.com/espressif/ESP8266_NONOS_SDK";

/// File that is written to flash besides the program.
pub(crate) const INIT_DATA: &str = "bin/esp_init_data_default_v08.bin";
/// The same.
pub(crate) const BLANK: &str = "bin/blank.bin";

/// All that the build takes from it.
const FILES: [&str; 13] = [
    "ld/eagle.app.v6.ld",
    "ld/eagle.rom.addr.v6.ld",
    "lib/libmain.a",
    "lib/libnet80211.a",
    "lib/libpp.a",
    "lib/libphy.a",
    "lib/libwpa.a",
    "lib/liblwip.a",
    "lib/libcrypto.a",
    "lib/libhal.a",
    "lib/libgcc.a",
    INIT_DATA,
    BLANK,
];

/// Returns the SDK's folder as an absolute path, if one is named; the variable overrides `pblink.toml`.
///
/// # Errors
/// [`Exit::Config`] if what is named is not the SDK, not version 3, or not whole.
pub(crate) fn find(settings: &Settings) -> anyhow::Result<Option<PathBuf>> {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let (folder, named_by) = match (variable, settings.sdk_path()) {
        (Some(folder), _) => (PathBuf::from(folder), VARIABLE.to_owned()),
        (None, Some(folder)) => (folder, "`build.esp8266_sdk`".to_owned()),
        (None, None) => return Ok(None),
    };
    check(&folder).map(Some).map_err(|what| {
        Failed::with(
            Exit::Config,
            format!(
                "{named_by} names {}, which {what}; name the folder of the ESP8266_NONOS_SDK 3.x \
                 (`{DOWNLOAD}`), or none to build without it",
                folder.display()
            ),
        )
    })
}

fn check(folder: &Path) -> Result<PathBuf, String> {
    let absolute = folder.canonicalize().map_err(|why| format!("cannot be read ({why})"))?;
    if let Some(missing) = FILES.iter().find(|file| !absolute.join(file).is_file()) {
        return Err(format!("has no {missing}"));
    }
    // Partitions came with version 3, and our program registers them.
    let version = std::fs::read_to_string(absolute.join("include/version.h")).unwrap_or_default();
    let major = version.lines().find_map(|line| {
        line.strip_prefix("#define ESP_SDK_VERSION_MAJOR")?.trim().parse::<u32>().ok()
    });
    match major {
        Some(3) => Ok(absolute),
        Some(other) => Err(format!("is version {other} of the SDK")),
        None => Err("does not name its version in include/version.h".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_is_taken_only_when_it_is_whole_and_version_3() {
        let folder = tempfile::tempdir().unwrap();
        let refused = || check(folder.path()).unwrap_err();
        for file in FILES {
            assert_eq!(refused(), format!("has no {file}"));
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert!(refused().contains("does not name its version"));
        std::fs::create_dir(folder.path().join("include")).unwrap();
        for (major, taken) in [(2, false), (3, true), (4, false)] {
            let text = format!("#define X\n#define ESP_SDK_VERSION_MAJOR   {major}\n");
            std::fs::write(folder.path().join("include/version.h"), text).unwrap();
            assert_eq!(check(folder.path()).is_ok(), taken, "{major}");
        }
        assert!(check(&folder.path().join("none")).unwrap_err().contains("cannot be read"));
    }
}

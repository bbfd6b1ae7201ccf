//! The settings that are compiled into the STM32's program: they count while its flash holds none.

use std::path::{Path, PathBuf};

use pblink_image::manifest::{self, Summary, sha256};

use super::{Args, Target};
use crate::exit::{Exit, Failed};
use crate::hardware::board::encoded;
use crate::output::diagnostics;
use crate::settings::{self, Settings};

/// Settings to compile in.
pub(super) struct Compiled {
    /// As [`BoardSettings::write`] encodes them; `None` for the defaults, which are there anyhow.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) summary: Summary,
}

impl Compiled {
    /// Returns true if the image will hold a WiFi password.
    pub(super) fn secret(&self) -> bool {
        self.summary.password
    }
}

/// Reads `pblink.toml` for a build.
pub(super) fn read(args: &Args) -> anyhow::Result<Settings> {
    let of_app = args.app.as_deref().and_then(settings::default_file);
    if matches!(args.target, Target::Esp8266 | Target::Esp32c3) {
        // The same for all boards.
        return Settings::load(args.settings.config.as_deref().or(of_app.as_deref()));
    }
    args.settings.settings(of_app.as_deref())
}

/// Compiles these settings for a board.
pub(super) fn compile(settings: &Settings, args: &Args) -> anyhow::Result<Compiled> {
    let password = args.settings.password(settings)?;
    let mut board = settings
        .board_settings(password.as_ref())
        .map_err(|why| Failed::with(Exit::Config, why.to_string()))?;
    let bytes = encoded(&board)?;
    for note in settings.notes(password.as_ref()) {
        diagnostics::note(note);
    }
    let has_password = !board.config.password.is_empty();
    board.config.password.clear();
    let public = encoded(&board)?;
    let without = if settings.has_variables() { "environment" } else { "defaults" };
    let source = settings.file().map_or(without.into(), |file| file.display().to_string());
    let given = settings.file().is_some()
        || settings.has_variables()
        || args.settings.client.is_some()
        || has_password;
    Ok(Compiled {
        bytes: given.then_some(bytes),
        summary: Summary {
            source,
            id: settings.board.id.clone(),
            server: settings.server.host.clone(),
            port: settings.server.port,
            timeout_ms: settings.server.timeout_ms,
            ssid: settings.wifi.ssid.clone(),
            password: has_password,
            sha256: sha256(&public),
        },
    })
}

/// Puts the settings where the compiler finds them, and returns that place; `None` for the defaults.
pub(super) fn hand_over(compiled: &Compiled, folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let path = folder.join("settings.bin");
    let Some(bytes) = &compiled.bytes else {
        let _ = std::fs::remove_file(&path);
        return Ok(None);
    };
    // The same bytes are left alone: the compiler looks at the time of the file.
    if std::fs::read(&path).ok().as_ref() != Some(bytes) {
        manifest::write(&path, bytes, compiled.secret())?;
    }
    Ok(Some(path))
}

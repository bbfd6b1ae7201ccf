//! Keys of boards: read at the start, by SIGHUP, and whenever their file has changed, so that a board which was given keys a
//! moment ago is served.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pblink_server::Keys;
use tokio::time::sleep;

use crate::keys::Store;
use crate::output::diagnostics::warning;
use crate::settings::Settings;

/// Interval of the looks at the file.
const LOOK: Duration = Duration::from_secs(1);

/// Returns the keys of boards, and who may do without. `None`: there are no keys, and pblink.toml wants none.
///
/// # Errors
/// If others can read the file, or it has a mistake.
pub(super) fn load(settings: &Settings) -> anyhow::Result<Option<Keys>> {
    let wanted = settings.keys_path().is_some();
    let file = Store::of(None, settings).read()?;
    if file.is_none() && !wanted {
        return Ok(None);
    }
    // Boards get their keys one by one where pblink.toml does not say that all have some.
    let mut keys = Keys::new().classic(&settings.link.classic).others_classic(!wanted);
    if let Some(file) = file {
        keys = file.revoked().fold(keys, |keys, id| keys.revoked(id));
        keys = file.server_keys().fold(keys, Keys::board);
    }
    Ok(Some(keys))
}

/// Reports which clients may be anyone: the classic link knows no keys.
pub(super) fn warn(settings: &Settings) {
    let classic = &settings.link.classic;
    if settings.keys_path().is_some() && !classic.is_empty() {
        let (ids, have) = match &classic[..] {
            [id] => (id.clone(), "has"),
            ids => (ids.join(", "), "have"),
        };
        warning(format_args!(
            "link.classic: {ids} {have} no keys, and anyone in the network can pass for it"
        ));
    }
}

/// The file of keys, as it was when it was last looked at.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
}

/// Properties that change with a file that is written or replaced.
type Stamp = (SystemTime, u64);

impl Watched {
    pub(super) fn new(settings: &Settings) -> Self {
        let path = Store::of(None, settings).path().to_owned();
        Self { seen: stamp(&path), path }
    }

    /// Waits until it has changed. Dropping the future loses no change.
    pub(super) async fn changed(&mut self) {
        loop {
            sleep(LOOK).await;
            let now = stamp(&self.path);
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let file = meta.len();
    Some((meta.modified().ok()?, file))
}

//! The folder in which a server keeps its log.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::exit::{Exit, Failed};

/// Folder that systemd makes for a service, from `StateDirectory=`.
const SYSTEMD: &str = "STATE_DIRECTORY";

/// The user's folder for what programs keep, from the XDG Base Directory Specification.
const XDG: &str = "XDG_STATE_HOME";

/// Place of a server's log, as `--state` and `server.state` have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// The usual folder of this service, or of this user and port.
    #[default]
    Usual,
    /// In memory.
    Off,
    /// This folder.
    Folder(PathBuf),
}

impl FromStr for State {
    type Err = Infallible;

    /// Reads a folder, `off`, or nothing for the usual one.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "" => Self::Usual,
            "off" => Self::Off,
            folder => Self::Folder(folder.into()),
        })
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usual => Ok(()),
            Self::Off => f.write_str("off"),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl State {
    /// Returns the folder for a server on this port; `None`: its log is in memory. A relative folder is below
    /// `base`.
    ///
    /// # Errors
    /// If this user has no usual folder.
    pub(crate) fn folder(&self, port: u16, base: &Path) -> anyhow::Result<Option<PathBuf>> {
        match self {
            Self::Off => Ok(None),
            Self::Folder(folder) => Ok(Some(base.join(folder))),
            Self::Usual => match usual(port, |name| std::env::var_os(name)) {
                Some(folder) => Ok(Some(folder)),
                None => Err(Failed::with(
                    Exit::Usage,
                    "this user has no home folder in which the server could keep its log: name a folder with \
                     --state DIR, or keep lines in memory only with --state off",
                )),
            },
        }
    }
}

/// Returns the usual folder: systemd's, else the user's, one for each port.
fn usual(port: u16, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(folders) = set(SYSTEMD) {
        // Several are divided by colons; the first is ours.
        return std::env::split_paths(&folders).next();
    }
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let home = || Some(PathBuf::from(set("HOME")?).join(".local/state"));
    let base = set(XDG).map(PathBuf::from).and_then(absolute).or_else(home)?;
    Some(base.join("pblink").join(port.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<PathBuf> {
        usual(8123, |name| {
            let value = variables.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_usual_folder_is_that_of_the_service_else_of_user_and_port() {
        let home = ("HOME", "/home/me");
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[home]), Some("/home/me/.local/state/pblink/8123".into()));
        assert_eq!(found(&[home, (XDG, "/data")]), Some("/data/pblink/8123".into()));
        // The specification: a path that is not absolute is to be ignored.
        let relative = found(&[home, (XDG, "data"), (SYSTEMD, "")]);
        assert_eq!(relative, Some("/home/me/.local/state/pblink/8123".into()));
        let service = found(&[home, (XDG, "/data"), (SYSTEMD, "/var/lib/pblink:/var/lib/b")]);
        assert_eq!(service, Some("/var/lib/pblink".into()));
    }

    #[test]
    fn off_and_folders_are_read_as_they_are_written() {
        for text in ["", "off", "some/folder"] {
            assert_eq!(text.parse::<State>().unwrap().to_string(), text);
        }
        let base = Path::new("/project");
        let folder = State::Folder("state".into()).folder(1, base).unwrap();
        assert_eq!(folder, Some("/project/state".into()));
        let folder = State::Folder("/var/state".into()).folder(1, base).unwrap();
        assert_eq!(folder, Some("/var/state".into()));
        assert_eq!(State::Off.folder(1, base).unwrap(), None);
    }
}

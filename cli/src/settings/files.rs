//! The places where a configuration file is looked for.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::DEFAULT_FILE;

/// The variable that names the configuration file, as `--config` does; empty counts as not set.
const CONFIG_ENV: &str = "PBLINK_CONFIG";

/// A place for a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// Whose it is, in words.
    pub(crate) of: &'static str,
    /// True if the file is used without looking whether it is there: somebody has named it.
    named: bool,
}

/// Returns the places, the one that takes precedence first.
pub(crate) fn candidates() -> Vec<Candidate> {
    candidates_of(|name| std::env::var_os(name))
}

fn candidates_of(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Candidate> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let place = |path: PathBuf, of| Candidate { path: path.join(DEFAULT_FILE), of, named: false };
    // A relative one is to be ignored, says the XDG Base Directory Specification.
    let absolute = |path: &PathBuf| path.is_absolute();
    let user = set("XDG_CONFIG_HOME").filter(absolute);
    let user = user.or_else(|| Some(set("HOME").filter(absolute)?.join(".config")));
    let named = set(CONFIG_ENV).map(|path| Candidate { path, of: CONFIG_ENV, named: true });
    let mut all = Vec::from_iter(named);
    all.push(place(PathBuf::new(), "this folder"));
    all.extend(user.map(|folder| place(folder.join("pblink"), "this user")));
    all.push(place(PathBuf::from("/etc/pblink"), "this machine"));
    all
}

impl Candidate {
    /// Returns true if this file is used where no other takes precedence: also one that cannot be read, since
    /// continuing with defaults would admit anyone.
    pub(crate) fn counts(&self) -> bool {
        self.named || is_there(&self.path)
    }
}

/// Returns the file that is used where no flag names one, if there is one.
pub(crate) fn search() -> Option<PathBuf> {
    candidates().into_iter().find(Candidate::counts).map(|candidate| candidate.path)
}

/// Returns the `pblink.toml` of a folder, if something is there, be it something that cannot be read.
pub(crate) fn default_file(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(DEFAULT_FILE);
    is_there(&path).then_some(path)
}

fn is_there(path: &Path) -> bool {
    match path.symlink_metadata() {
        // A file in place of a folder on the way.
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        Ok(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(variables: &[(&str, &str)]) -> Vec<String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name)?;
            Some(OsString::from(found.1))
        };
        let all = candidates_of(value);
        all.into_iter().map(|candidate| candidate.path.display().to_string()).collect()
    }

    #[test]
    fn the_nearest_file_takes_precedence() {
        let etc = "/etc/pblink/pblink.toml";
        let home = "/home/u/.config/pblink/pblink.toml";
        assert_eq!(paths(&[]), ["pblink.toml", etc]);
        assert_eq!(paths(&[("HOME", "/home/u")]), ["pblink.toml", home, etc]);
        assert_eq!(
            paths(&[("PBLINK_CONFIG", "a.toml"), ("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/x")]),
            ["a.toml", "pblink.toml", "/x/pblink/pblink.toml", etc]
        );
        // Neither a relative nor an empty one counts.
        for other in ["x", ""] {
            let all = paths(&[("XDG_CONFIG_HOME", other), ("HOME", "/home/u")]);
            assert_eq!(all, ["pblink.toml", home, etc]);
        }
    }

    #[test]
    fn a_file_that_is_named_counts_even_if_it_is_not_there() {
        let at = |path: &Path, named| Candidate { path: path.to_owned(), of: "", named };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.toml");
        assert!(at(&path, true).counts() && !at(&path, false).counts());
        std::fs::write(&path, "").unwrap();
        assert!(at(&path, false).counts());
        assert!(!at(&path.join("pblink.toml"), false).counts());
    }
}

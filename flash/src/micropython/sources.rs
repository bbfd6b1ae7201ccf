//! The files that go onto a board: `pb_link` of a clone of micropython-iot, `primitives` of one of micropython-async,
//! and a configuration of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::python;
use crate::{Error, Kind, Result};

/// The package of the Pyboard's side, and the one that it uses.
const PB_LINK: &str = "pb_link";
const PRIMITIVES: &str = "primitives";
/// The module of `pb_link` that every program begins with.
const BASE: &str = "pb_link.app_base";
/// The program of `pb_link`, which users change.
pub const PROGRAM: &str = "pb_link/pb_client.py";
/// The configuration that a program prefers to `config.py`, if it is there.
pub const OTHER_CONFIG: &str = "pb_link/my_config.py";
/// Where the configuration goes.
const CONFIG: &str = "pb_link/config.py";
/// The module that has left `primitives` for another folder beside it.
const MESSAGE: &str = "primitives/message.py";

/// The largest file that is taken, in bytes: a board's flash has some 100 KB.
const LARGEST: u64 = 256 << 10;
/// The most files that are taken.
const MOST: usize = 200;

/// A file for a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name below the folder on the board: `pb_link/config.py`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A module that the files need and that the board has to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Its name.
    pub module: String,
    /// The file that imports it.
    pub by: String,
}

/// All that goes onto a board, and what is to be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The files; what others import comes first.
    pub files: Vec<File>,
    /// The modules that the board has to have.
    pub needs: Vec<Need>,
    /// The id that the program gives, if it is a literal there.
    pub client_id: Option<String>,
    /// Notes of things that the user may not expect, one sentence each.
    pub notes: Vec<String>,
}

impl Sources {
    /// Reads both folders. `source` is a clone of micropython-iot, `primitives` the folder of that name, or a clone of
    /// micropython-async; `config` becomes `config.py`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if a folder is not what it should be, or a module that is imported is missing;
    /// [`Kind::Image`] if a file is too large, has a name that a board may not take, or cannot be read.
    pub fn read(source: &Path, primitives: &Path, config: &str) -> Result<Self> {
        let pb_link = folder(source, &[PB_LINK, ""], "app_base.py").ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                format!("{} has no folder pb_link with app_base.py", source.display()),
                "name a clone of https://github.com/peterhinch/micropython-iot with --source",
            )
        })?;
        let async_ = folder(primitives, &["v3/primitives", PRIMITIVES, ""], "delay_ms.py").ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                format!("{} is not the folder primitives of micropython-async: it has no delay_ms.py", primitives.display()),
                "name v3/primitives of a clone of https://github.com/peterhinch/micropython-async with --primitives",
            )
        })?;
        let mut files = BTreeMap::new();
        read_folder(&async_, PRIMITIVES, &mut files)?;
        read_folder(&pb_link, PB_LINK, &mut files)?;
        let mut notes = Vec::new();
        if !files.contains_key(MESSAGE)
            && let Ok(bytes) = std::fs::read(async_.join("../threadsafe/message.py"))
        {
            // It has moved there in December 2022; pb_link still looks for it here.
            files.insert(MESSAGE.to_owned(), bytes);
            notes.push(format!(
                "threadsafe/message.py becomes {MESSAGE}, where pb_link imports it from"
            ));
        }
        if files.remove(OTHER_CONFIG).is_some() {
            notes.push(format!(
                "{OTHER_CONFIG} stays off the board: it would override the configuration from pblink.toml"
            ));
        }
        files.insert(CONFIG.to_owned(), config.as_bytes().to_vec());
        if files.len() > MOST {
            return Err(Error::new(
                Kind::Image,
                format!(
                    "there are {} files in both folders, and a board takes at most {MOST}",
                    files.len()
                ),
                "name the clones as they are, without files of yours in these folders",
            ));
        }
        let needs = needs(&files)?;
        let program = files.get(PROGRAM).map(|bytes| String::from_utf8_lossy(bytes));
        let client_id = program.and_then(|program| python::client_id(&program));
        // A module is there before those that import it, should it be interrupted.
        let mut files: Vec<_> =
            files.into_iter().map(|(name, bytes)| File { name, bytes }).collect();
        files.sort_by_key(|file| (!file.name.starts_with(PRIMITIVES), file.name == PROGRAM));
        Ok(Self { files, needs, client_id, notes })
    }
}

/// Returns the first of some folders below `dir` that has this file.
fn folder(dir: &Path, below: &[&str], with: &str) -> Option<PathBuf> {
    below.iter().map(|name| dir.join(name)).find(|folder| folder.join(with).is_file())
}

/// Reads the modules of a folder, without those in folders below it, such as tests.
fn read_folder(folder: &Path, package: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Error::new(
            Kind::Image,
            format!("cannot read {}: {error}", path.display()),
            "check its permissions, or clone it again",
        )
        .from_source(error)
    };
    for entry in std::fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
        let path = entry.map_err(|e| unreadable(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !(name.ends_with(".py") || name.ends_with(".mpy")) || !path.is_file() {
            continue;
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)) {
            return Err(Error::new(
                Kind::Image,
                format!("{} has a name that a board may not take", path.display()),
                "give it a name of letters, digits and _, or move it away",
            ));
        }
        let size = path.metadata().map_err(|e| unreadable(&path, e))?.len();
        if size > LARGEST {
            return Err(Error::new(
                Kind::Image,
                format!("{} has {size} bytes, too many for a board", path.display()),
                format!("a file may have up to {LARGEST}: move it away"),
            ));
        }
        let bytes = std::fs::read(&path).map_err(|e| unreadable(&path, e))?;
        files.insert(format!("{package}/{name}"), bytes);
    }
    Ok(())
}

/// Returns the modules that `pb_link` needs of the board; the user's program is left out.
///
/// # Errors
/// [`Kind::NotFound`] if it needs one of both packages that is not there.
fn needs(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<Need>> {
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut queue = vec![(BASE.to_owned(), PROGRAM.to_owned())];
    while let Some((module, by)) = queue.pop() {
        let top = module.split('.').next().unwrap_or_default();
        if ![PB_LINK, PRIMITIVES].contains(&top) {
            found.entry(top.to_owned()).or_insert(by);
            continue;
        }
        let path = module.replace('.', "/");
        let names = [format!("{path}.py"), format!("{path}.mpy"), format!("{path}/__init__.py")];
        let Some(file) = names.into_iter().find(|name| files.contains_key(name)) else {
            return Err(Error::new(
                Kind::NotFound,
                format!("{by} imports {module}, and there is no {path}.py"),
                "check out versions of both clones that belong together: pb_link wants delay_ms and message of \
                 primitives",
            ));
        };
        if !seen.insert(file.clone()) || file.ends_with(".mpy") {
            continue;
        }
        let text = String::from_utf8_lossy(&files[&file]);
        let package = file.rsplit_once('/').map_or("", |(package, _)| package).replace('/', ".");
        for import in python::imports(&text) {
            let dots = import.module.len() - import.module.trim_start_matches('.').len();
            let name = &import.module[dots..];
            let module = match (dots, name) {
                (0, name) => name.to_owned(),
                (1, "") => package.clone(),
                (1, name) => format!("{package}.{name}"),
                // Above these packages nothing of ours lies.
                _ => continue,
            };
            // A name may be a module or stand in one: only modules are followed.
            let modules = import.names.iter().map(|name| format!("{module}.{name}"));
            let is_file =
                |module: &String| files.contains_key(&format!("{}.py", module.replace('.', "/")));
            queue.extend(modules.filter(is_file).map(|module| (module, file.clone())));
            queue.push((module, file.clone()));
        }
    }
    Ok(found.into_iter().map(|(module, by)| Need { module, by }).collect())
}

#[cfg(test)]
mod tests;

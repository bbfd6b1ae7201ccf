//! The sources that an application of `pblink new` is built with: they travel with it, so that it builds on any
//! machine. They are part of this program, if that was built from a clone; or those of a clone that is named.

use anyhow::Context;
use toml_edit::{Array, DocumentMut, Item};

use super::checkout;
use crate::exit::{Exit, Failed};

include!("sources/list.rs");
// `SOURCES`: build.rs writes them, empty where there is no clone around it.
include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// The folder of the sources in that of the application.
pub(crate) const FOLDER: &str = "pblink";

/// The crates that are copied with the workspace around them.
const MEMBERS: [&str; 3] = ["protocol", "image", "secure-suite"];

/// A file: its path in [`FOLDER`], and what is in it.
pub(crate) type File = (String, String);

/// Returns the sources of the folder that is named, else those in this program, else those around the current folder.
///
/// # Errors
/// [`Exit::Usage`] if the named one is no such folder; [`Exit::Config`] if there are none, or files are missing.
pub(crate) fn for_application(named: Option<&Path>) -> anyhow::Result<Vec<File>> {
    if named.is_none() && !SOURCES.is_empty() {
        let own = SOURCES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        return trimmed(own.collect());
    }
    let root = checkout::find(named)?;
    let damaged = |what: &dyn std::fmt::Display, why: &std::io::Error| {
        let message = format!("cannot read {what}: {why}; is the clone of pblink whole?");
        Failed::with(Exit::Config, message)
    };
    let paths = list(&root).map_err(|why| damaged(&root.display(), &why))?;
    let files = paths.into_iter().map(|path| {
        let file = root.join(&path);
        let text = std::fs::read_to_string(&file).map_err(|why| damaged(&file.display(), &why))?;
        Ok((path, text))
    });
    trimmed(files.collect::<anyhow::Result<_>>()?)
}

/// Takes out of the manifests what is not copied.
fn trimmed(mut files: Vec<File>) -> anyhow::Result<Vec<File>> {
    for (path, text) in &mut files {
        let trim = match path.as_str() {
            "Cargo.toml" => workspace,
            "firmware-stm32/Cargo.toml" => firmware,
            path if path.ends_with("/Cargo.toml") => library,
            _ => continue,
        };
        let mut manifest: DocumentMut = text
            .parse()
            .with_context(|| format!("{path} of pblink's sources cannot be understood"))?;
        trim(&mut manifest);
        *text = manifest.to_string();
    }
    Ok(files)
}

/// The workspace of the copied crates.
fn workspace(manifest: &mut DocumentMut) {
    let copied = |path: &str| MEMBERS.contains(&path);
    let workspace = &mut manifest["workspace"];
    workspace["members"] = toml_edit::value(MEMBERS.into_iter().collect::<Array>());
    workspace["exclude"] = toml_edit::value(Array::from_iter([checkout::STM32]));
    if let Some(table) = workspace.as_table_like_mut() {
        table.remove("default-members");
    }
    if let Some(all) = workspace.get_mut("dependencies").and_then(Item::as_table_like_mut) {
        let missing =
            |item: &Item| item.get("path").and_then(Item::as_str).is_some_and(|path| !copied(path));
        let names = all.iter().filter(|(_, item)| missing(item)).map(|(name, _)| name.to_owned());
        for name in names.collect::<Vec<_>>() {
            all.remove(&name);
        }
    }
    manifest.remove("profile");
    manifest.decor_mut().set_prefix(
        "# The parts of pblink that the application is made of, as `pblink new` has found them. To take newer ones, make a\n\
         # new application with a newer pblink, and copy this folder from there.\n",
    );
}

/// A library without its tests.
fn library(manifest: &mut DocumentMut) {
    for key in ["bin", "dev-dependencies", "test", "example", "bench"] {
        manifest.remove(key);
    }
}

/// The STM32's library without its programs, its tests and its emulator.
fn firmware(manifest: &mut DocumentMut) {
    library(manifest);
    // The feature stays, with nothing in it: the code names it.
    manifest["features"]["emulator"] = toml_edit::value(Array::new());
    if let Some(all) = manifest["dependencies"].as_table_like_mut() {
        for name in ["embassy-time-driver", "embassy-time-queue-utils", "pblink-emulated-board"] {
            all.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Built from a clone, as here, the program has them; and they are those of the clone.
    #[test]
    fn what_is_part_of_this_program_is_what_the_clone_has() {
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let own = for_application(None).unwrap();
        assert_eq!(own, for_application(Some(clone)).unwrap());
        let names: Vec<_> = own.iter().map(|(path, _)| path.as_str()).collect();
        for name in
            ["Cargo.toml", "protocol/src/lib.rs", "image/src/map.rs", "firmware-stm32/Cargo.lock"]
        {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!names.iter().any(|name| name.contains("/bin/") || name.contains("emulator")));
    }

    #[test]
    fn manifests_name_nothing_that_is_not_copied() {
        let files = for_application(None).unwrap();
        let (_, workspace) = files.iter().find(|(path, _)| path == "Cargo.toml").unwrap();
        let workspace: toml::Table = workspace.parse().unwrap();
        for (path, text) in &files {
            if !path.ends_with("Cargo.toml") {
                continue;
            }
            let manifest: toml::Table = text.parse().unwrap();
            assert!(!manifest.contains_key("bin"), "{path}");
            assert!(!manifest.contains_key("dev-dependencies"), "{path}");
            let none = toml::Table::new();
            let wanted =
                manifest.get("dependencies").and_then(toml::Value::as_table).unwrap_or(&none);
            for (name, _) in wanted.iter().filter(|(_, value)| value.get("workspace").is_some()) {
                assert!(
                    workspace["workspace"]["dependencies"].get(name).is_some(),
                    "{path}: {name}"
                );
            }
            for place in text.split("path = \"").skip(1).map(|rest| rest.split('"').next().unwrap())
            {
                let name = place.trim_start_matches("../");
                assert!(MEMBERS.contains(&name), "{path}: {place}");
            }
        }
    }
}

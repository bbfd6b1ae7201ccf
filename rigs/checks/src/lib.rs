//! Checks of the tree itself, run by its tests: no file imports a sibling that imports it back, no verb imports a
//! verb, no dependency has a licence or a compiler version that users could not live with, and the paths that the
//! papers name exist.

pub mod imports;

use std::path::{Path, PathBuf};

/// Returns the folder of the whole project.
pub fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().unwrap_or(folder)
}

/// Returns the folders of all crates of the tree, whichever workspace they belong to.
pub fn crates() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(root(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let built = name == "target" || name.to_string_lossy().starts_with('.');
            if path.is_dir() && !built && depth < 2 {
                if path.join("Cargo.toml").is_file() {
                    found.push(path.clone());
                }
                folders.push((path, depth + 1));
            }
        }
    }
    found.sort();
    found
}

// The files of pblink's sources that an application is built with. `build.rs` of the command includes this, too.

use std::path::Path;

/// The folders of the crates that an application needs, and the files of each beside its `src`.
const CRATES: [(&str, &[&str]); 4] = [
    ("protocol", &["Cargo.toml", "README.md"]),
    ("image", &["Cargo.toml", "README.md"]),
    ("secure-suite", &["Cargo.toml", "README.md"]),
    ("firmware-stm32", &["Cargo.toml", "Cargo.lock", "README.md", "build.rs"]),
];

/// The programs of the firmware, and the emulator of the tests, are not the library's.
const WITHOUT: [&str; 2] = ["firmware-stm32/src/bin", "firmware-stm32/src/emulator"];

/// Returns the paths of the files, in order, from the folder with the sources on, with `/` between their parts.
fn list(root: &Path) -> std::io::Result<Vec<String>> {
    let mut files = vec!["Cargo.toml".to_owned()];
    for (name, beside) in CRATES {
        files.extend(beside.iter().map(|file| format!("{name}/{file}")));
        walk(root, format!("{name}/src"), &mut files)?;
    }
    files.sort();
    Ok(files)
}

/// Adds all that lies in a folder, and below.
fn walk(root: &Path, folder: String, files: &mut Vec<String>) -> std::io::Result<()> {
    if WITHOUT.contains(&&*folder) {
        return Ok(());
    }
    for entry in std::fs::read_dir(root.join(&folder))? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(root, path, files)?;
        } else if path.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}

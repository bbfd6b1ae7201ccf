//! Finds the scenes in `scenarios/`: all of them are built in, and each is a test of its own name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let folder =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("scenarios");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut scenes: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    scenes.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    scenes.sort();
    let (mut built_in, mut tests) = (String::from("&[\n"), String::new());
    for path in &scenes {
        let name =
            path.file_stem().and_then(|name| name.to_str()).unwrap_or_else(|| panic!("{path:?}"));
        let _ = writeln!(built_in, "    ({name:?}, include_str!({path:?})),");
        let test = name.replace('-', "_");
        let _ = writeln!(tests, "#[test]\nfn {test}() {{\n    passes({name:?});\n}}\n");
    }
    built_in += "]\n";
    for (file, text) in [("built_in.rs", built_in), ("scene_tests.rs", tests)] {
        fs::write(out.join(file), text).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

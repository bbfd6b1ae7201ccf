//! Puts images of boards into the command: with the feature `embedded-images` those in the folder that the variable
//! PBLINK_EMBED names, as `pblink build` has left them. Without the variable there are none.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=PBLINK_EMBED");
    println!("cargo::rerun-if-changed=build.rs");
    let (mut manifest, mut files) = ("\"\"".to_owned(), String::new());
    if env::var_os("CARGO_FEATURE_EMBEDDED_IMAGES").is_some()
        && let Some(folder) = env::var_os("PBLINK_EMBED").map(PathBuf::from)
    {
        println!("cargo::rerun-if-changed={}", folder.display());
        let folder = folder.canonicalize().expect("PBLINK_EMBED names a folder");
        let path = folder.join("manifest.json");
        let text =
            fs::read_to_string(&path).expect("PBLINK_EMBED names a folder with a manifest.json");
        // Whoever gets the program could read it.
        assert!(
            !text.contains("\"password\": true"),
            "{}: an image has a WiFi password",
            path.display()
        );
        manifest = format!("include_str!({:?})", path.display().to_string());
        for entry in fs::read_dir(&folder).expect("it can be read").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".bin") {
                let path = entry.path().display().to_string();
                let _ = writeln!(files, "    ({name:?}, include_bytes!({path:?})),");
            }
        }
    }
    let text = format!(
        "/// The manifest of the images in this program; empty without any.\n\
         static MANIFEST: &str = {manifest};\n\
         /// The images, by name.\n\
         static FILES: &[(&str, &[u8])] = &[\n{files}];\n"
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("embedded.rs"), text).expect("cargo has made the folder");
}

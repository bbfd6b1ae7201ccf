//! Puts images of boards and sources of applications into the command. Sources: those of the clone that it is built in, if
//! it is one (`cli/src/hardware/sources.rs`). Images: with the feature `embedded-images` those in the folder that the variable
//! PBLINK_EMBED names, as `pblink build` has left them. Without the variable there are none.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

// `list`, the files of the sources.
include!("src/hardware/sources/list.rs");

fn main() {
    sources();
    images();
}

/// Writes the list of all sources with their contents.
fn sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("cargo::rerun-if-changed=src/hardware/sources/list.rs");
    let mut text = "/// The sources that applications are built with; empty if this was built without a clone.\n\
                    static SOURCES: &[(&str, &str)] = &[\n"
        .to_owned();
    // A package of a registry has nothing around it.
    if let Ok(root) = root.canonicalize()
        && let Ok(files) = list(&root)
        && files.iter().all(|file| root.join(file).is_file())
    {
        for (name, _) in CRATES {
            println!("cargo::rerun-if-changed={}", root.join(name).display());
        }
        println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
        for file in files {
            let path = root.join(&file).display().to_string();
            let _ = writeln!(text, "    ({file:?}, include_str!({path:?})),");
        }
    }
    text += "];\n";
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("sources.rs"), text).expect("cargo has made the folder");
}

fn images() {
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

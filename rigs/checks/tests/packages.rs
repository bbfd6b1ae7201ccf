//! The fields that packagers read in `cli/Cargo.toml` fit the tree: Debian's package, and the archive of `cargo binstall`.

use std::process::Command;

use cargo_metadata::{MetadataCommand, Package};
use pblink_checks::root;

fn command() -> Package {
    let mut metadata = MetadataCommand::new();
    metadata.manifest_path(root().join("cli/Cargo.toml")).no_deps();
    let packages = metadata.exec().unwrap().packages;
    packages.into_iter().find(|package| package.name == "pblink").unwrap()
}

/// Returns a text of `package.metadata`.
fn text<'a>(package: &'a Package, section: &str, key: &str) -> &'a str {
    package.metadata[section][key].as_str().unwrap_or_else(|| panic!("no {section}.{key}"))
}

/// Returns the names that `.ci/release` gives an archive and the folder in it, for a version and a target.
fn released(version: &str, target: &str) -> String {
    let script = std::fs::read_to_string(root().join(".ci/release")).unwrap();
    let name = script.lines().find_map(|line| line.strip_prefix("command=")).expect("command=");
    name.replace("$version", version).replace("$host", target).replace("$dry", "")
}

#[test]
fn binstall_asks_for_the_archive_that_a_release_has() {
    let (package, target) = (command(), "aarch64-unknown-linux-gnu");
    let version = package.version.to_string();
    let filled = |text: &str| {
        let text = text.replace("{ name }", "pblink").replace("{ bin }", "pblink");
        text.replace("{ version }", &version).replace("{ target }", target)
    };
    let name = released(&version, target);
    assert!(name.contains(&version) && name.contains(target) && !name.contains('$'), "{name}");
    let url = filled(text(&package, "binstall", "pkg-url"));
    let tag = format!("/releases/download/v{version}/");
    assert_eq!(url, format!("{{ repo }}{tag}{name}.tar.gz"));
    assert_eq!(filled(text(&package, "binstall", "bin-dir")), format!("{name}/pblink"));
    assert_eq!(text(&package, "binstall", "pkg-fmt"), "tgz");
}

/// The package is made on demand only: a file that has moved would be noticed late.
#[test]
fn what_the_package_of_debian_holds_is_in_the_tree() {
    let package = command();
    let assets = package.metadata["deb"]["assets"].as_array().unwrap();
    let mut places = Vec::new();
    for asset in assets {
        let [from, to, mode] = [0, 1, 2].map(|n| asset[n].as_str().unwrap());
        places.push(to);
        assert!(!to.starts_with('/') && ["644", "755"].contains(&mode), "{asset}");
        // The compiler's, and what the command writes about itself.
        if from.starts_with("target/") || from.starts_with("../target/deb/") {
            continue;
        }
        let path = root().join("cli").join(from.split('*').next().unwrap());
        assert!(path.exists(), "{from}");
    }
    assert!(places.contains(&"etc/pblink/pblink.toml"), "{places:?}");
    let unit = &package.metadata["deb"]["systemd-units"][0];
    assert_eq!((&unit["enable"], &unit["start"]), (&false.into(), &false.into()));
    for unit in ["pblink.service", "pblink.socket"] {
        assert!(root().join("templates").join(unit).is_file(), "{unit}");
    }
}

/// A mistake in one of them leaves a machine with a package that can neither be installed nor removed.
#[test]
fn the_scripts_of_the_package_are_scripts() {
    let folder = root().join("cli/debian");
    for name in ["postinst", "postrm"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{name}");
        // Where the parts for the units go.
        assert!(text.contains("\n#DEBHELPER#\n"), "{name}");
        assert!(Command::new("sh").arg("-n").arg(folder.join(name)).status().unwrap().success());
    }
}

//! Dependencies that users of a shipped crate can live with: licences and compiler versions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use pblink_checks::root;
use spdx::{Expression, LicenseReq, ParseMode};

/// Licences that may be linked into a program under MIT or Apache-2.0. `deny.toml` has the same list.
const LICENCES: [&str; 15] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "WTFPL",
    "MPL-2.0",
    "NCSA",
];

/// The targets of our crates. Others would bring in packages that are never compiled.
const TARGETS: [&str; 6] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "aarch64-apple-darwin",
    "thumbv7em-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// The workspaces, and whether the GPL is allowed in them.
const WORKSPACES: [(&str, bool); 8] = [
    (".", false),
    ("firmware-stm32", false),
    ("firmware-esp8266", false),
    ("firmware-esp32c3", false),
    ("flash/stub", false),
    ("rigs/fuzz/fuzz", false),
    ("rigs/model", false),
    ("rigs/unicorn", true),
];

fn metadata(folder: &str) -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join(folder).join("Cargo.toml"))
        .features(cargo_metadata::CargoOpt::AllFeatures)
        .other_options(
            std::iter::once("--locked".to_owned())
                .chain(TARGETS.map(|t| format!("--filter-platform={t}")))
                .collect::<Vec<_>>(),
        )
        .exec()
        .unwrap_or_else(|e| panic!("{folder}: {e}"))
}

fn permissive(licence: &str) -> bool {
    let allowed = |req: &LicenseReq| LICENCES.contains(&req.to_string().as_str());
    Expression::parse_mode(licence, ParseMode::LAX)
        .is_ok_and(|expression| expression.evaluate(allowed))
}

/// Returns what `start` needs to run or to be built, itself included; with what tests need too if `tests`.
fn needs(metadata: &Metadata, start: &[PackageId], tests: bool) -> BTreeSet<PackageId> {
    let nodes: BTreeMap<_, _> =
        metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    let mut queue: VecDeque<_> = start.iter().cloned().collect();
    while let Some(id) = queue.pop_front() {
        if !found.insert(id.clone()) {
            continue;
        }
        for dependency in &nodes[&id].deps {
            let ours = metadata.workspace_members.contains(&id);
            let wanted = |kind| kind != DependencyKind::Development || (tests && ours);
            if dependency.dep_kinds.iter().any(|info| wanted(info.kind)) {
                queue.push_back(dependency.pkg.clone());
            }
        }
    }
    found
}

/// Packages of a workspace that are published, or whose program goes onto a board.
fn shipped(metadata: &Metadata) -> Vec<PackageId> {
    let ships = |package: &Package| {
        package.publish.as_ref().is_none_or(|to| !to.is_empty())
            || package.name.starts_with("pblink-stm32")
            || package.name.starts_with("pblink-esp8266")
            || package.name.starts_with("pblink-flash-stub")
    };
    metadata.workspace_packages().into_iter().filter(|p| ships(p)).map(|p| p.id.clone()).collect()
}

#[test]
fn licences_are_permissive_and_the_gpl_stays_in_its_rig() {
    let mut wrong = Vec::new();
    for (folder, gpl) in WORKSPACES {
        let metadata = metadata(folder);
        for id in needs(&metadata, &metadata.workspace_members, true) {
            let package = &metadata[&id];
            let licence = package.license.clone().unwrap_or_default();
            let excused =
                gpl && (licence.contains("GPL-2.0") || package.name.starts_with("unicorn"));
            if !permissive(&licence) && !excused {
                wrong.push(format!(
                    "{folder}: {} {} is under \"{licence}\"",
                    package.name, package.version
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn shipped_crates_build_with_the_oldest_compiler_that_they_name() {
    let mut wrong = Vec::new();
    for (folder, _) in WORKSPACES {
        let metadata = metadata(folder);
        let ours = metadata.workspace_packages();
        let msrv = ours
            .iter()
            .filter_map(|package| package.rust_version.clone())
            .min()
            .expect("a rust-version");
        for id in needs(&metadata, &shipped(&metadata), false) {
            let package = &metadata[&id];
            if let Some(wanted) = &package.rust_version
                && *wanted > msrv
            {
                wrong.push(format!(
                    "{folder}: {} {} wants {wanted}, ours is {msrv}",
                    package.name, package.version
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn nothing_outside_its_workspace_reaches_the_gpl_rig() {
    for (folder, gpl) in WORKSPACES {
        let found: Vec<_> = metadata(folder)
            .packages
            .into_iter()
            .filter(|p| p.name.starts_with("unicorn"))
            .map(|p| p.name)
            .collect();
        assert_eq!(!found.is_empty(), gpl, "{folder}: {found:?}");
    }
}

#[test]
fn a_licence_that_is_not_permissive_is_found() {
    assert!(permissive("MIT OR GPL-3.0-only"));
    assert!(permissive("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(permissive("MIT/Apache-2.0"));
    for licence in ["GPL-2.0", "MIT AND GPL-2.0-only", "LGPL-3.0", "", "Proprietary"] {
        assert!(!permissive(licence), "{licence}");
    }
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    for licence in LICENCES {
        assert!(deny.contains(&format!("\"{licence}\"")), "deny.toml lacks {licence}");
    }
}

//! No two sibling files import each other, and no verb imports a verb.

use std::path::{Path, PathBuf};

use pblink_checks::imports::Crate;
use pblink_checks::root;

/// Returns the roots of all crates: libraries and programs.
fn roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for folder in pblink_checks::crates() {
        let src = folder.join("src");
        roots.extend(
            [src.join("lib.rs"), src.join("main.rs")].into_iter().filter(|file| file.is_file()),
        );
        if let Ok(programs) = std::fs::read_dir(src.join("bin")) {
            roots
                .extend(programs.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
        }
    }
    assert!(roots.len() > 12, "only {} crates were found", roots.len());
    roots
}

/// Siblings that may import each other, and why.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

#[test]
fn no_two_sibling_files_import_each_other() {
    let mut wrong = Vec::new();
    for file in roots() {
        for (a, b, files) in Crate::read(&file).circles() {
            if !EXCEPTIONS.iter().any(|(x, y, _)| (*x, *y) == (a.as_str(), b.as_str())) {
                let files: Vec<_> = files
                    .iter()
                    .map(|f| f.strip_prefix(root()).unwrap_or(f).display().to_string())
                    .collect();
                wrong.push(format!("{a} and {b} import each other: {}", files.join(", ")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "\n{}\nPut what both need into a file beneath them, or hand it in as an argument.",
        wrong.join("\n")
    );
}

#[test]
fn no_verb_imports_a_verb() {
    let cli = Crate::read(&root().join("cli/src/lib.rs"));
    let wrong: Vec<_> = cli
        .edges()
        .into_iter()
        .filter(|edge| {
            edge.from.len() == 2 && edge.from[0] == "commands" && edge.to[0] == "commands"
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{wrong:#?}\nPut what both verbs need beneath them: cli/src/output, hardware, settings …"
    );
}

#[test]
fn a_circle_is_found_behind_a_re_export_and_in_code() {
    let folder = tempfolder("circle");
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    file(
        "lib.rs",
        "mod a; mod b; mod c; pub use b::Thing; #[cfg(test)] mod tests { use super::c; }",
    );
    file("a.rs", "use super::Thing; pub struct Other;");
    file("b.rs", "pub struct Thing; fn f() { let _ = crate::a::Other; }");
    file("c.rs", "use crate::a::Other; // use crate::b");
    let circles = Crate::read(&folder.join("lib.rs")).circles();
    std::fs::remove_dir_all(&folder).unwrap();
    let pairs: Vec<_> = circles.iter().map(|(a, b, _)| (a.as_str(), b.as_str())).collect();
    assert_eq!(pairs, [("a", "b")]);
}

fn tempfolder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

//! Everything that the papers name exists: files, folders, and the places that they link to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use pblink_checks::root;

/// Files of the tree that end like this.
fn files(ending: &str) -> Vec<PathBuf> {
    let listed =
        Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let found: Vec<_> = listed
        .split('\0')
        .filter(|name| name.ends_with(ending))
        .map(|name| root().join(name))
        .collect();
    assert!(!found.is_empty(), "this is no clone: git lists no file that ends with {ending}");
    found
}

/// Returns the text without fenced blocks, in which brackets mean other things.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Returns the targets of links: of Markdown in a line, of Markdown below a text (`[name]: target`), and of HTML.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let between = |begin: &str, end: char| {
        let pieces = prose.split(begin).skip(1).filter_map(move |rest| rest.split_once(end));
        pieces.map(|(to, _)| to.to_owned()).collect::<Vec<_>>()
    };
    let below = prose.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    let below = below.filter_map(|(_, to)| to.split_whitespace().next()).map(str::to_owned);
    let in_lines = between("](", ')').into_iter().map(|to| {
        // A title may stand behind the target.
        to.split_whitespace().next().unwrap_or_default().to_owned()
    });
    in_lines.chain(between("href=\"", '"')).chain(between("src=\"", '"')).chain(below).collect()
}

/// Returns a heading as it is shown: of a link only its text.
fn shown(heading: &str) -> String {
    let mut out = String::new();
    let mut rest = heading;
    while let Some((before, after)) = rest.split_once("](") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// Returns the names by which headings are linked to, as GitHub makes them: a name that is there already gets a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let mut seen = BTreeMap::<String, u32>::new();
    let mut numbered = |name: String| {
        let times = seen.entry(name.clone()).and_modify(|times| *times += 1).or_default();
        if *times == 0 { name } else { format!("{name}-{times}") }
    };
    headings
        .map(|line| {
            let words = shown(line.trim_start_matches('#').trim()).to_lowercase();
            let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            numbered(kept.collect::<String>().replace(' ', "-"))
        })
        .collect()
}

#[test]
fn every_link_of_every_paper_leads_somewhere() {
    let mut wrong = Vec::new();
    for file in files(".md") {
        // What a user gets to change has links of its own, from where it will lie.
        if file.starts_with(root().join("templates/app")) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (to, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if to.is_empty() { file.clone() } else { file.parent().unwrap().join(to) };
            let found = target.exists()
                && (anchor.is_empty()
                    || std::fs::read_to_string(&target)
                        .is_ok_and(|text| anchors(&text).contains(anchor)));
            if !found {
                wrong.push(format!("{}: {link}", file.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

/// Words in backquotes that look like paths of this tree.
fn paths(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let quoted = text.split('`').skip(1).step_by(2);
    let looks = |word: &&str| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        plain && word.contains('/') && !word.starts_with('/') && !word.starts_with("target/")
    };
    quoted.flat_map(str::split_whitespace).filter(looks).map(str::to_owned).collect()
}

#[test]
fn every_path_that_contributing_and_architecture_name_exists() {
    let mut wrong = Vec::new();
    for paper in ["CONTRIBUTING.md", "docs/ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root().join(paper)).unwrap();
        let found = paths(&text);
        assert!(found.len() > 8, "{paper} names only {found:?}");
        for path in found {
            let first = path.split('/').next().unwrap_or_default();
            // `src/x.rs` belongs to a crate that the sentence names; `MIT/Apache` is not a path.
            let of_this_tree =
                root().join(first).is_dir() || path.ends_with('/') || path.ends_with(".rs");
            if of_this_tree && first != "src" && !root().join(&path).exists() {
                wrong.push(format!("{paper}: {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "paths that do not exist:\n{}", wrong.join("\n"));
}

#[test]
fn contributing_has_a_row_for_all_that_is_added_often() {
    let text = std::fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let table = text.split("## How to add").nth(1).and_then(|t| t.split("\n## ").next()).unwrap();
    for row in ["verb", "setting", "message", "fault", "consumer", "board", "frame"] {
        let line = table.lines().find(|line| line.starts_with(&format!("| a {row}")));
        let cells = line.unwrap_or_else(|| panic!("no row for a {row}")).matches('|').count();
        assert_eq!(cells, 5, "the row for a {row} has files, rig and command");
    }
}

#[test]
fn decisions_are_all_in_their_index() {
    let index = std::fs::read_to_string(root().join("docs/decisions/README.md")).unwrap();
    for file in files(".md").iter().filter(|f| f.starts_with(root().join("docs/decisions"))) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(name), "{name} is not in the index");
    }
}

#[test]
fn each_paper_of_docs_is_in_the_book_once() {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let links = links(&summary);
    let docs = root().join("docs");
    for file in files(".md").iter().filter(|file| file.starts_with(&docs)) {
        let name = file.strip_prefix(&docs).unwrap().to_str().unwrap();
        let times = links.iter().filter(|link| *link == name).count();
        assert!(name == "SUMMARY.md" || times == 1, "{name} is in docs/SUMMARY.md {times} times");
    }
}

#[test]
fn links_of_the_book_stay_in_it() {
    let docs = root().join("docs").canonicalize().unwrap();
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let resolve = |from: &Path, to: &str| from.join(to).canonicalize().expect(to);
    let papers: BTreeSet<_> = links(&summary).iter().map(|to| resolve(&docs, to)).collect();
    // `.ci/book` lays these beside the pages.
    let beside = ["docs", "examples", "templates", "LICENSE-MIT", "LICENSE-APACHE"];
    let beside = beside.map(|name| root().join(name).canonicalize().unwrap());
    let mut wrong = Vec::new();
    for paper in &papers {
        let text = std::fs::read_to_string(paper).unwrap();
        for link in links(&text) {
            let to = link.split('#').next().unwrap_or_default();
            if to.is_empty() || link.contains("://") {
                continue;
            }
            let target = resolve(paper.parent().unwrap(), to);
            let found = match target.extension().is_some_and(|ending| ending == "md") {
                true => papers.contains(&target),
                false => target.is_file() && beside.iter().any(|name| target.starts_with(name)),
            };
            if !found {
                wrong.push(format!("{}: {link}", paper.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not in docs/SUMMARY.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "# A `b/` c\n[x](y.md#z) `a/b.rs`\n```\n[no](link)\n```\n";
    assert_eq!(links(text), ["y.md#z"]);
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["a-b-c"]);
    assert!(paths(text).contains("a/b.rs"));
    let text = "![a](b.svg \"title\") <img src=\"c.png\"> <a href=\"d.md\">d</a>\n[e]: f.md\n";
    assert_eq!(links(text), ["b.svg", "d.md", "c.png", "f.md"]);
    let text = "## [A](x.md) (b)\n### Do\n## Do\n## Do\n";
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["a-b", "do", "do-1", "do-2"]);
    assert!(!Path::new("y.md").exists());
}

/// Returns the rows of the tables under a heading, as their cells.
fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split_once(&format!("\n## {heading}\n")).expect(heading).1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// Returns why a row does not name a test that is there: the last cell has its file and its name.
fn test_is_missing(row: &[String]) -> Option<String> {
    let cell = row.last()?;
    let names: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
    let Some(file) = names.iter().find(|name| name.ends_with(".rs")) else {
        return Some(format!("no file of a test in: {cell}"));
    };
    let Ok(source) = std::fs::read_to_string(root().join(file)) else {
        return Some(format!("there is no {file}"));
    };
    let mut tests = names.iter().filter(|name| source.contains(&format!("#[test]\nfn {name}(")));
    tests.next().is_none().then(|| format!("no test of {file} in: {cell}"))
}

/// An open point may leave the list only with a test.
#[test]
fn what_is_settled_about_the_hardware_names_its_test() {
    let paper = std::fs::read_to_string(root().join("docs/HARDWARE.md")).unwrap();
    let rows = rows(&paper, "Settled");
    assert!(rows.len() >= 9 && rows.iter().all(|row| row.len() == 3), "{rows:?}");
    let missing: Vec<_> = rows.iter().filter_map(|row| test_is_missing(row)).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

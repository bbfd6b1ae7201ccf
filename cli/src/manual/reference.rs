//! docs/REFERENCE.md, from what the program itself knows.

use std::fmt::Write;

use clap::{Command, CommandFactory};
use pblink_server::EventKind;

use super::files::FILES;
use super::variables::{OF_KEYS, VARIABLES};
use super::verbs::Verbs;
use crate::commands::Cli;
use crate::exit::Exit;
use crate::settings::documented_keys;

/// Returns the page.
fn page() -> String {
    let mut out = String::from(
        "# Reference\n\nA test writes this page from the sources: it is what this version knows. `pblink VERB --help` and `man \
         pblink-VERB` say the rest, [SETTINGS.md](SETTINGS.md) how the sources of a setting go together.\n",
    );
    keys(&mut out);
    verbs(&mut out);
    section(&mut out, "Exit codes", ["code", "meaning"]);
    for exit in Exit::ALL {
        row(&mut out, &[&(exit as u8).to_string(), exit.meaning()]);
    }
    section(&mut out, "Variables of the environment", ["variable", "effect", "read by"]);
    row(&mut out, &[&code(OF_KEYS.0), OF_KEYS.1, &words(Verbs::Configured)]);
    for variable in VARIABLES {
        row(&mut out, &[&code(variable.name), variable.about, &words(variable.verbs)]);
    }
    section(&mut out, "Files", ["file", "content", "used by"]);
    for file in FILES {
        row(&mut out, &[&code(file.path), file.about, &words(file.verbs)]);
    }
    section(&mut out, "Events", ["event", "meaning"]);
    for name in EventKind::NAMES {
        row(&mut out, &[&code(name), &meaning(name)]);
    }
    out.push_str(
        "\nThey are in the log of a server, in `/api/v1/events` ([API.md](API.md)), and in what `pblink monitor`, `history` and \
         `serve --json` print.\n",
    );
    out
}

fn keys(out: &mut String) {
    let mut last = "";
    for (path, default, about) in documented_keys() {
        let (header, _) = path.rsplit_once('.').unwrap();
        if header != last {
            let shown = header.strip_suffix("[]").map_or_else(
                || format!("`[{header}]` of pblink.toml"),
                |list| format!("`[[{list}]]` of pblink.toml"),
            );
            section(out, &shown, ["key", "default", "meaning"]);
            last = header;
        }
        row(out, &[&code(path), &default.map(|text| code(&text)).unwrap_or_default(), &about]);
    }
}

fn verbs(out: &mut String) {
    section(out, "Verbs", ["verb", "effect"]);
    for verb in Cli::command().get_subcommands() {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        row(out, &[&code(&format!("pblink {}", verb.get_name())), &about]);
        for below in verb.get_subcommands().filter(|below| !Command::is_hide_set(below)) {
            let name = code(&format!("pblink {} {}", verb.get_name(), below.get_name()));
            row(out, &[&name, &below.get_about().map(ToString::to_string).unwrap_or_default()]);
        }
    }
}

/// Returns the comment of an event's kind, from the source of its type.
fn meaning(name: &str) -> String {
    const SOURCE: &str = include_str!("../../../server-core/src/event.rs");
    let kinds = SOURCE.split_once("pub enum EventKind {").unwrap().1;
    let camel: String =
        (name.split('_')).map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    let mut comment = Vec::new();
    for line in kinds.lines() {
        if let Some(text) = line.strip_prefix("    /// ") {
            comment.push(text);
        } else if line.trim_end_matches([' ', '{', ',']) == format!("    {camel}") {
            return comment.join(" ");
        } else {
            comment.clear();
        }
    }
    panic!("{name} is not in event.rs");
}

fn section<const N: usize>(out: &mut String, title: &str, columns: [&str; N]) {
    let _ = writeln!(out, "\n## {title}\n");
    row(out, &columns);
    let _ = writeln!(out, "|{}", "---|".repeat(N));
}

fn row(out: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn words(verbs: Verbs) -> String {
    match verbs {
        Verbs::All => "all".to_owned(),
        Verbs::Configured => "each verb that takes a configuration".to_owned(),
        Verbs::Only(names) => names.join(", "),
    }
}

/// `INSTA_UPDATE=always` writes the file, as it writes snapshots.
#[test]
fn the_reference_in_the_docs_is_that_of_this_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/REFERENCE.md");
    let page = page();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(path, &page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap();
    assert!(there == page, "docs/REFERENCE.md is old: run this test with INSTA_UPDATE=always");
}

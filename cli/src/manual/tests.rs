use clap::CommandFactory;

use super::*;
use crate::commands::Cli;
use crate::settings::{KEYS, variable};

/// Returns the pages by name.
fn pages() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    write(Cli::command(), folder.path()).unwrap();
    let page = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    };
    let mut pages: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(page).collect();
    pages.sort();
    assert!(pages.len() > 30, "{}", pages.len());
    pages
}

/// Returns a section of a page.
fn section<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let after = page.split_once(&format!(".SH {name}\n"))?.1;
    Some(after.split_once("\n.SH ").map_or(after, |(section, _)| section))
}

#[test]
fn each_page_has_the_sections_that_a_manual_has() {
    for (name, page) in pages() {
        for wanted in
            ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "ENVIRONMENT"]
        {
            assert!(
                section(&page, wanted).is_some_and(|text| !text.is_empty()),
                "{name}: {wanted}\n{page}"
            );
        }
        assert!(!page.contains("Examples:") && !page.contains("Exit codes:"), "{name}\n{page}");
        assert!(
            name == "pblink.1" || section(&page, "EXAMPLES").is_some(),
            "{name} has no example"
        );
        assert!(page.contains("\n.TH "), "{name}\n{page}");
    }
}

#[test]
fn exit_codes_of_the_command_are_all_there_and_those_of_a_verb_are_among_them() {
    let all: Vec<String> = Exit::ALL.map(|exit| (exit as u8).to_string()).to_vec();
    for (name, page) in pages() {
        let text = section(&page, "\"EXIT STATUS\"").unwrap();
        let codes =
            text.split("\\fB").skip(1).map(|rest| rest.split_once("\\fR").unwrap().0.to_owned());
        let codes: Vec<String> = codes.collect();
        if name == "pblink.1" {
            assert_eq!(codes, all);
        }
        assert_eq!(codes.first().map(String::as_str), Some("0"), "{name}: {text}");
        assert!(codes.iter().all(|code| all.contains(code)), "{name}: {codes:?}");
    }
}

/// A verb's own words name its codes; none of them may get lost on the way to its page.
#[test]
fn the_codes_in_a_verbs_help_are_those_of_its_page() {
    fn check(command: &Command, seen: &mut usize) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let found = parts(command).codes;
        if let Some((_, text)) = help.split_once("Exit codes: ") {
            *seen += 1;
            let known = Exit::ALL.map(|exit| exit as u8);
            let words = text.split([' ', '\n']).filter_map(|word| word.parse::<u8>().ok());
            let words: Vec<u8> = words.filter(|code| known.contains(code)).collect();
            assert_eq!(found.iter().map(|(code, _)| *code).collect::<Vec<_>>(), words, "{text}");
        }
        command.get_subcommands().for_each(|below| check(below, seen));
    }
    let mut seen = 0;
    check(&built(Cli::command()), &mut seen);
    assert!(seen > 15, "{seen}");
}

#[test]
fn verbs_of_variables_and_files_exist_and_each_variable_is_there_once() {
    let command = Cli::command();
    let of_features = ["state", "outbox"];
    let verbs: Vec<&str> =
        command.get_subcommands().map(Command::get_name).chain(of_features).collect();
    let rows = variables::VARIABLES.iter().map(|row| (row.name, row.verbs));
    for (name, of) in rows.chain(files::FILES.iter().map(|row| (row.path, row.verbs))) {
        if let Verbs::Only(of) = of {
            assert!(!of.is_empty() && of.iter().all(|verb| verbs.contains(verb)), "{name}: {of:?}");
        }
    }
    let mut names: Vec<&str> = variables::VARIABLES.iter().map(|row| row.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    // The rule covers these; a row for one would be said twice.
    for key in KEYS.iter().map(|entry| variable(entry.path)) {
        assert!(!names.contains(&key.as_str()), "{key}");
    }
}

#[test]
fn a_page_of_a_verb_has_its_own_variables_and_files_only() {
    let pages = pages();
    let page = |name: &str| &pages.iter().find(|(known, _)| known == name).unwrap().1;
    let environment = |name| section(page(name), "ENVIRONMENT").unwrap();
    assert!(environment("pblink.1").contains("VISUAL"));
    assert!(environment("pblink-config-edit.1").contains("VISUAL"));
    assert!(!environment("pblink-serve.1").contains("VISUAL"));
    assert!(environment("pblink-serve.1").contains("NOTIFY_SOCKET"));
    assert!(section(page("pblink-serve.1"), "FILES").unwrap().contains("/var/lib/pblink"));
    assert!(section(page("pblink-completions.1"), "FILES").is_none());
    // A verb that takes no configuration reads none of its variables.
    for (name, reads) in
        [("pblink-serve.1", true), ("pblink-keys-list.1", true), ("pblink-flash.1", false)]
    {
        assert_eq!(environment(name).contains("PBLINK_CONFIG"), reads, "{name}");
    }
}

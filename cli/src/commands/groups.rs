//! The help of the whole command: its verbs in groups, as people look for them.

use std::fmt::Write;

use clap::Subcommand;
use clap::builder::StyledStr;
use clap::builder::styling::Styles;

use super::Command;

/// The groups, and the verbs of each in the order in which they are used. Some builds lack some of them.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "Boards",
        &["up", "doctor", "config", "build", "flash", "new", "micropython", "keys", "provision"],
    ),
    ("Server", &["serve", "service", "demo", "simulate", "soak"]),
    ("Data", &["send", "tail", "consumers", "outbox", "state", "store"]),
    ("Fleet", &["monitor", "status", "outages", "history"]),
    ("This command", &["completions", "man", "help"]),
];

/// Lines are not longer: what is shown here does not know the terminal.
const WIDTH: usize = 80;

/// Returns the template of the command's help.
pub(super) fn template() -> StyledStr {
    let styles = Styles::styled();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let verbs = verbs();
    let column = verbs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 4;
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (group, names) in GROUPS {
        let _ = writeln!(text, "\n{header}{group}:{header:#}");
        for name in names {
            let Some((_, about)) = verbs.iter().find(|(verb, _)| verb == name) else { continue };
            let _ = write!(text, "  {literal}{name}{literal:#}");
            let mut at = 2 + name.len();
            let mut start = column;
            for word in about.split(' ') {
                if at > column && at + 1 + word.len() > WIDTH {
                    text.push('\n');
                    (at, start) = (0, column);
                }
                let _ = write!(text, "{:1$}{word}", "", start.saturating_sub(at).max(1));
                at = start.max(at + 1) + word.len();
                start = 0;
            }
            text.push('\n');
        }
    }
    let _ = write!(text, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    text.into()
}

/// Returns the verbs of this build, each with what it does, without a dot at the end.
fn verbs() -> Vec<(String, String)> {
    let command = Command::augment_subcommands(clap::Command::new("pblink"));
    let verb = |verb: &clap::Command| {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        (verb.get_name().to_owned(), about)
    };
    let help = ("help".to_owned(), "Print this message, or the help of a verb".to_owned());
    command.get_subcommands().map(verb).chain([help]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_is_in_one_group() {
        let verbs = verbs();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        for (verb, about) in &verbs {
            let times = grouped.iter().filter(|name| *name == verb).count();
            assert_eq!(times, 1, "put `{verb}` into one of the groups");
            assert!(!about.is_empty(), "{verb}");
        }
        for name in grouped {
            let absent = cfg!(not(feature = "sqlite")) && ["state", "outbox"].contains(&name)
                || cfg!(not(feature = "nats")) && name == "store"
                || cfg!(not(feature = "soak")) && name == "soak";
            assert!(absent || verbs.iter().any(|(verb, _)| verb == name), "there is no `{name}`");
        }
    }

    #[test]
    fn no_line_is_too_long() {
        for line in template().to_string().lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }
}

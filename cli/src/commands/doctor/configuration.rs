//! Checks of pblink.toml.

use std::path::Path;

use super::finding::{Finding, Group};
use crate::settings::{self, DEFAULT_FILE, Settings};

/// Returns the settings, as far as they can be used, and the findings about them.
pub(super) fn check(named: Option<&Path>) -> (Settings, Vec<Finding>) {
    let mut group = Group::new("configuration");
    let (settings, problems) = match settings::look(named) {
        Ok(looked) => looked,
        Err(error) => {
            group.error(format!("{error:#}"), "pblink config init   writes one");
            return (Settings::default(), group.done());
        }
    };
    let Some(file) = settings.file().map(Path::to_owned) else {
        group.warning(
            format!("there is no {DEFAULT_FILE} here: the defaults apply"),
            "pblink config init   writes one",
        );
        for problem in &problems {
            group.error(problem.to_string(), "correct the variable, or unset it");
        }
        return (settings, group.done());
    };
    for problem in &problems {
        group.error(problem.to_string(), "pblink config check   after each change");
    }
    let password = match settings::find_password(&settings, None) {
        Ok(found) => found.map(|(secret, _)| secret),
        Err(error) => {
            group.error(format!("{error:#}"), "pblink config set wifi.password   writes a new one");
            None
        }
    };
    if problems.is_empty() {
        match settings.config_line_problem(password.as_ref()) {
            Some(problem) => group.error(problem.to_string(), "shorten one of them"),
            None => group.ok(format!("{} has no mistakes", file.display())),
        }
        for remark in settings.remarks(password.as_ref()) {
            let note = &remark.message;
            let (what, remedy) = note.split_once(": ").unwrap_or((note, ""));
            match remark.fatal {
                true => group.error(what, remedy),
                false => group.warning(what, remedy),
            }
        }
    }
    (settings, group.done())
}

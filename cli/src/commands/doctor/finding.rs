//! Findings of the checks, and their presentation.

use crate::output::json::pretty;
use serde::Serialize;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It may be what the user wants.
    Warning,
    /// It is in the way of another verb.
    Error,
}

/// Finding of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The group of checks.
    pub(super) group: &'static str,
    pub(super) level: Level,
    /// The fact that was found.
    pub(super) message: String,
    /// The remedy, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// Makes the findings of one group.
#[derive(Debug)]
pub(super) struct Group {
    name: &'static str,
    findings: Vec<Finding>,
}

impl Group {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, findings: Vec::new() }
    }

    fn add(&mut self, level: Level, message: impl Into<String>, remedy: Option<String>) {
        let message = message.into();
        self.findings.push(Finding { group: self.name, level, message, remedy });
    }

    pub(super) fn ok(&mut self, message: impl Into<String>) {
        self.add(Level::Ok, message, None);
    }

    pub(super) fn warning(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Warning, message, Some(remedy.into()));
    }

    pub(super) fn error(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Error, message, Some(remedy.into()));
    }

    pub(super) fn done(self) -> Vec<Finding> {
        self.findings
    }
}

/// Returns one line for each finding, remedies below, and a summary.
pub(super) fn table(findings: &[Finding], colour: bool) -> String {
    let mut text = String::new();
    let mut group = "";
    for finding in findings {
        if finding.group != group {
            group = finding.group;
            text += &format!("{group}\n");
        }
        let (word, code) = match finding.level {
            Level::Ok => ("ok  ", "32"),
            Level::Warning => ("warn", "33"),
            Level::Error => ("FAIL", "31"),
        };
        let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
        text += &format!("  {word} {}\n", finding.message.replace('\n', "\n       "));
        if let Some(remedy) = &finding.remedy {
            text += &format!("       {}\n", remedy.replace('\n', "\n       "));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    text += &match (count(Level::Error), count(Level::Warning)) {
        (0, 0) => "all is well\n".to_owned(),
        (0, warnings) => format!("nothing is in the way; {warnings} to look at\n"),
        (errors, warnings) => format!("{errors} in the way, {warnings} to look at\n"),
    };
    text
}

/// Returns the same for programs.
pub(super) fn json(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let all = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "errors": count(Level::Error),
        "warnings": count(Level::Warning),
        "findings": findings,
    });
    pretty(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        let mut group = Group::new("server");
        group.ok("port 8123 is free");
        group.warning("nobody is there", "call somebody");
        let mut other = Group::new("tools");
        other.error("a compiler is missing", "install it");
        group.done().into_iter().chain(other.done()).collect()
    }

    #[test]
    fn the_table_groups_and_counts() {
        let expected = "server\n  ok   port 8123 is free\n  warn nobody is there\n       call \
                        somebody\ntools\n  FAIL a compiler is missing\n       install it\n1 in the \
                        way, 1 to look at\n";
        assert_eq!(table(&findings(), false), expected);
        assert!(table(&findings(), true).contains("\x1b[31mFAIL\x1b[0m"));
        assert!(table(&findings()[..1], false).ends_with("all is well\n"));
    }

    #[test]
    fn json_has_levels_and_counts() {
        let all: serde_json::Value = serde_json::from_str(&json(&findings())).unwrap();
        assert_eq!((&all["errors"], &all["warnings"]), (&1.into(), &1.into()));
        assert_eq!(all["findings"][2]["level"], "error");
        assert_eq!(all["findings"][2]["remedy"], "install it");
        assert!(all["findings"][0].get("remedy").is_none());
    }
}

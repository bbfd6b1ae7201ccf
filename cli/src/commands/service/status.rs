//! `pblink service status`

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::json;

use super::install::{UNIT, no_systemctl};
use crate::child::without_secrets;
use crate::exit::{Exit, Failed};
use crate::output::events::clean;
use crate::output::{json, stdout};

/// Properties that are asked for: org.freedesktop.systemd1(5).
const PROPERTIES: &str = "LoadState,ActiveState,SubState,StatusText,MainPID,NRestarts,ActiveEnterTimestamp,Result,UnitFileState";

/// Arguments of `pblink service status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub(super) fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let mut command = Command::new("systemctl");
    command.args(["show", UNIT, &format!("--property={PROPERTIES}")]).stdin(Stdio::null());
    let output = without_secrets(&mut command).output().map_err(|error| no_systemctl(&error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("systemctl does not know the state of {UNIT}: {}", words(&said));
        return Err(Failed::with(Exit::Failure, what));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let state = State::of(&text);
    let line = if args.json { json::line(&state.object())? } else { state.line() };
    stdout::print((line + "\n").as_bytes())?;
    Ok(if state.runs() { Exit::Ok } else { Exit::Failure })
}

/// Returns what a program has said, its lines as one.
fn words(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(|line| clean(line.trim())).collect();
    lines.join("; ")
}

/// The state of the unit, by systemd's names.
struct State<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> State<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once('=')).collect())
    }

    fn get(&self, name: &str) -> &'a str {
        self.0.get(name).copied().unwrap_or_default()
    }

    fn runs(&self) -> bool {
        self.get("ActiveState") == "active"
    }

    fn line(&self) -> String {
        if self.get("LoadState") == "not-found" {
            return format!("{UNIT} is not installed: sudo pblink service install");
        }
        let mut line = format!("{UNIT} {} ({})", self.get("ActiveState"), self.get("SubState"));
        let since = self.get("ActiveEnterTimestamp");
        if self.runs() && !since.is_empty() {
            line += &format!(", since {since}");
        }
        if !self.get("StatusText").is_empty() {
            line += &format!(": {}", clean(self.get("StatusText")));
        }
        match self.get("NRestarts") {
            "" | "0" => {}
            "1" => line += "; started anew once",
            n => line += &format!("; started anew {n} times"),
        }
        if !self.runs() && !matches!(self.get("Result"), "" | "success") {
            line += &format!("; it ended with: {}", self.get("Result"));
        }
        if self.get("UnitFileState") == "disabled" {
            line += "; it does not start with the machine";
        }
        line
    }

    fn object(&self) -> serde_json::Value {
        let number = |name: &str| self.get(name).parse::<u64>().ok();
        json!({
            "unit": UNIT,
            "installed": self.get("LoadState") != "not-found",
            "active": self.get("ActiveState"),
            "state": self.get("SubState"),
            "status": self.get("StatusText"),
            "pid": number("MainPID").filter(|pid| *pid > 0),
            "restarts": number("NRestarts"),
            "result": self.get("Result"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_runs_shows_what_it_has_reported() {
        let text = "LoadState=loaded\nActiveState=active\nSubState=running\nStatusText=2 of 3 boards connected\n\
                    MainPID=17\nNRestarts=2\nActiveEnterTimestamp=Fri 2026-11-27 10:00:00 UTC\nResult=success\n";
        let state = State::of(text);
        assert!(state.runs());
        assert_eq!(
            state.line(),
            "pblink.service active (running), since Fri 2026-11-27 10:00:00 UTC: 2 of 3 boards connected; started anew 2 times"
        );
        assert_eq!(state.object()["pid"], 17);
    }

    #[test]
    fn words_of_several_lines_are_one_line() {
        assert_eq!(
            words("Can't operate.\nFailed to connect\x1b\n"),
            "Can't operate.; Failed to connect\u{fffd}"
        );
    }

    #[test]
    fn one_that_is_not_there_or_has_failed_says_so() {
        let gone = State::of("LoadState=not-found\nActiveState=inactive\nSubState=dead\n");
        assert!(!gone.runs() && gone.line().contains("pblink service install"));
        let failed = State::of(
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=watchdog\nNRestarts=1\n",
        );
        assert!(
            failed.line().ends_with("started anew once; it ended with: watchdog"),
            "{}",
            failed.line()
        );
        assert_eq!(failed.object()["pid"], serde_json::Value::Null);
    }
}

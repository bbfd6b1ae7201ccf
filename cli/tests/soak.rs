//! `pblink soak` as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{output, pblink, stderr};

fn soak(folder: &Path, more: &[&str]) -> Command {
    let mut command = pblink(&[&["soak", "--boards", "4"], more].concat());
    command.arg("--folder").arg(folder);
    command
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_short_soak_has_each_fault_accounts_for_each_line_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = soak(folder.path(), &["--for", "6s", "--seed", "7", "--json"]).output().unwrap();
    let said = stderr(&ran);
    assert_eq!(ran.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&ran.stdout));
    assert!(said.contains("4 boards for 6.0 s, log in ") && said.contains("seed 7"), "{said}");
    let outcome: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&outcome["event"], &outcome["seed"]), (&"soak".into(), &7.into()));
    assert_eq!(
        (&outcome["clean"], &outcome["version"]),
        (&true.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(outcome["ledger"]["lost"], Value::Array(Vec::new()), "{outcome}");
    for some in ["lines", "kills", "halts"] {
        assert!(outcome[some].as_u64().unwrap() > 0, "{some}: {outcome}");
    }
    if cfg!(target_os = "linux") {
        assert!(outcome["most"]["memory"].as_u64().unwrap() > 1 << 20, "{outcome}");
        assert!(outcome["most"]["descriptors"].as_u64().unwrap() > 4, "{outcome}");
    }
    assert!(is_empty(folder.path()), "the log is left");
}

/// Runs a soak of hours, and sends it signals once it has begun.
fn interrupted(folder: &Path, signals: &[(&str, Signal)]) -> (Option<i32>, String, String) {
    let mut command = soak(folder, &["--hours", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said = String::new();
    for (after, signal) in signals {
        let line =
            lines.find(|line| line.contains(after)).unwrap_or_else(|| panic!("no {after:?}"));
        said += &line;
        kill_process(pid, *signal).unwrap();
    }
    said.extend(lines);
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    (child.wait().unwrap().code(), said, printed)
}

#[test]
fn ctrl_c_ends_it_with_the_account_so_far() {
    let folder = tempfile::tempdir().unwrap();
    // The first words of progress come when boards have written.
    let signals = [(" lines have passed; ", Signal::INT)];
    let (code, said, printed) = interrupted(folder.path(), &signals);
    assert_eq!(code, Some(0), "{said}{printed}");
    assert!(said.contains("2 h 0 min"), "{said}");
    assert!(printed.contains(" lines in ") && !printed.starts_with("0 lines"), "{printed}");
    assert!(printed.trim_end().ends_with(": clean"), "{printed}");
    assert!(is_empty(folder.path()), "the log is left");
}

#[test]
fn a_second_signal_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let signals = [("4 boards", Signal::TERM), ("ctrl-C again", Signal::INT)];
    let (code, said, printed) = interrupted(folder.path(), &signals);
    // All may have arrived before it came.
    assert!(matches!(code, Some(0 | 130)), "{code:?} {said}{printed}");
    assert!(is_empty(folder.path()), "the log is left");
}

#[test]
fn mistakes_are_named_before_anything_starts() {
    for (flags, why) in [
        (&["--for", "20"][..], "500ms, 2s or 2min"),
        (&["--hours", "0"], "a whole number from 1 to 8760"),
        (&["--boards", "0"], "a whole number from 1 to 1000"),
        (&["--hours", "1", "--for", "1h"], "cannot be used with"),
    ] {
        let ran = output(&[&["soak"], flags].concat());
        assert_eq!(ran.status.code(), Some(2), "{flags:?}");
        assert!(stderr(&ran).contains(why), "{flags:?}: {}", stderr(&ran));
    }
    let ran = output(&["soak", "--folder", "/nowhere/at/all"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(stderr(&ran).contains("cannot make /nowhere/at/all/pblink-soak-"), "{}", stderr(&ran));
}

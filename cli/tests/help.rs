//! The words of the command line: help texts, completion scripts, manual pages. Users and scripts
//! rely on them, so a change has to be seen in a review.

use std::process::{Command, Output, Stdio};

use crate::process::{PBLINK, output_with};

fn pblink(args: &[&str]) -> Output {
    Command::new(PBLINK)
        .args(args)
        // Help is wrapped to the width of the terminal, which a test does not have.
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(args: &[&str]) -> String {
    let output = pblink(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

/// Compares the help with one snapshot per verb, in `snapshots/help__VERB.snap`.
fn check_help(verb: &[&str]) {
    let help = text(&[verb, &["--help"]].concat());
    assert!(help.contains("\nExamples:\n  pblink "), "{verb:?} has no example");
    insta::assert_snapshot!(verb.join("-"), help);
}

#[test]
fn help_of_the_command_has_its_verbs_in_groups() {
    let help = text(&["--help"]);
    insta::assert_snapshot!("pblink", help);
    assert_eq!(text(&["help"]), help);
    assert!(text(&["-h"]).contains("\nFleet:\n"));
}

#[test]
fn config_help() {
    check_help(&["config"]);
    check_help(&["config", "init"]);
    check_help(&["config", "show"]);
    check_help(&["config", "get"]);
    check_help(&["config", "set"]);
    check_help(&["config", "unset"]);
    check_help(&["config", "edit"]);
    check_help(&["config", "path"]);
    check_help(&["config", "check"]);
    check_help(&["config", "push"]);
    check_help(&["config", "pull"]);
    check_help(&["config", "export"]);
    check_help(&["config", "schema"]);
}

#[test]
fn service_help() {
    check_help(&["service"]);
    check_help(&["service", "print"]);
    check_help(&["service", "install"]);
    check_help(&["service", "status"]);
}

#[test]
fn keys_help() {
    check_help(&["provision"]);
    check_help(&["keys"]);
    check_help(&["keys", "list"]);
    check_help(&["keys", "show"]);
    check_help(&["keys", "issue"]);
    check_help(&["keys", "rotate"]);
    check_help(&["keys", "revoke"]);
    check_help(&["keys", "export-public"]);
}

#[test]
fn completions_and_man_help() {
    check_help(&["completions"]);
    check_help(&["man"]);
}

#[test]
fn help_of_the_verbs_of_the_link() {
    check_help(&["up"]);
    check_help(&["doctor"]);
    check_help(&["new"]);
    check_help(&["demo"]);
    check_help(&["serve"]);
    check_help(&["simulate"]);
    #[cfg(feature = "soak")]
    check_help(&["soak"]);
    check_help(&["monitor"]);
}

#[test]
fn help_of_the_verbs_that_speak_to_a_server() {
    check_help(&["send"]);
    check_help(&["tail"]);
    check_help(&["status"]);
    check_help(&["outages"]);
    check_help(&["history"]);
}

#[test]
fn help_of_the_verbs_on_consumers() {
    check_help(&["consumers"]);
    for verb in ["list", "rm", "rename", "skip"] {
        check_help(&["consumers", verb]);
    }
}

#[test]
#[cfg(feature = "sqlite")]
fn help_of_the_verbs_on_a_log() {
    check_help(&["state"]);
    for verb in ["backup", "restore", "check", "purge"] {
        check_help(&["state", verb]);
    }
    check_help(&["outbox"]);
    for verb in ["list", "send", "drop"] {
        check_help(&["outbox", verb]);
    }
}

#[test]
fn help_of_building_and_flashing() {
    check_help(&["build"]);
    check_help(&["flash"]);
    check_help(&["flash", "esp32c3"]);
    check_help(&["flash", "esp8266"]);
    check_help(&["flash", "stm32"]);
    check_help(&["micropython"]);
    check_help(&["micropython", "install"]);
    check_help(&["micropython", "run"]);
}

#[test]
fn every_shell_gets_a_script_that_asks_the_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&["completions", shell]);
        assert!(script.contains("PBLINK_COMPLETE") && script.contains(shell), "{shell}: {script}");
        let answer = Command::new(PBLINK)
            .args(["--", "pblink", "sim"])
            .env("PBLINK_COMPLETE", shell)
            .env("_CLAP_COMPLETE_INDEX", "1")
            .output()
            .unwrap();
        assert!(answer.status.success() && answer.stderr.is_empty(), "{shell}: {answer:?}");
        let answer = String::from_utf8(answer.stdout).unwrap();
        assert!(answer.contains("simulate"), "{shell}: {answer}");
    }
    assert_eq!(pblink(&["completions", "csh"]).status.code(), Some(2));
    let unknown = Command::new(PBLINK).env("PBLINK_COMPLETE", "csh").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

#[test]
fn bash_accepts_its_script() {
    let status = output_with(Command::new("bash").arg("-n"), &text(&["completions", "bash"]));
    assert!(status.status.success() && status.stderr.is_empty(), "{status:?}");
}

#[test]
fn the_manual_is_one_page_or_one_per_verb() {
    let page = text(&["man"]);
    assert!(page.contains(".TH pblink 1") && page.contains("pblink\\-config"), "{page}");

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("share/man1");
    for _again in 0..2 {
        text(&["man", "--dir", dir.to_str().unwrap()]);
    }
    assert_eq!(std::fs::read_to_string(dir.join("pblink.1")).unwrap(), page);
    for verb in ["config", "config-init", "completions", "serve"] {
        let page = std::fs::read_to_string(dir.join(format!("pblink-{verb}.1"))).expect(verb);
        assert!(page.contains(".SH SYNOPSIS"), "{verb}");
    }
    let page = std::fs::read_to_string(dir.join("pblink-config-set.1")).unwrap();
    assert!(page.contains(".SH EXAMPLES") && page.contains("pblink config set"), "{page}");
}

/// Runs a formatter of manual pages over all pages with all its warnings, if there is one.
#[test]
fn formatters_have_nothing_to_say_about_the_pages() {
    let folder = tempfile::tempdir().unwrap();
    text(&["man", "--dir", folder.path().to_str().unwrap()]);
    for formatter in
        [&["groff", "-man", "-Tutf8", "-ww", "-z"][..], &["mandoc", "-Tlint", "-Wwarning"]]
    {
        let mut pages = std::fs::read_dir(folder.path()).unwrap();
        let all_sound = pages.all(|page| {
            let path = page.unwrap().path();
            match std::process::Command::new(formatter[0]).args(&formatter[1..]).arg(&path).output()
            {
                Ok(output) => {
                    let said = [output.stdout.as_slice(), &output.stderr].concat();
                    assert!(output.status.success() && said.is_empty(), "{path:?}: {said:?}");
                    true
                }
                Err(error) => {
                    eprintln!("SKIPPED {}: {error}", formatter[0]);
                    false
                }
            }
        });
        eprintln!("{}: {all_sound}", formatter[0]);
    }
}

#[test]
fn a_manual_that_cannot_be_written_is_an_error_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = pblink(&["man", "--dir", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cannot write manual pages into") && error.contains("file"), "{error}");
}

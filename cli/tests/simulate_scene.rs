//! Scenes of the simulator, as a program.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{output, pblink, stderr};

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const HEAD: &str = "name = \"mine\"\nprotects = \"a test of the command line\"\nfor = \"10s\"\n";

fn run(text: &str, more: &[&str]) -> std::process::Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("UTF-8");
    output(&[&["simulate", "--scenario", file], more].concat())
}

#[test]
fn the_list_has_each_scene_with_what_it_protects_and_a_built_in_one_runs_by_its_name() {
    let list = output(&["simulate", "--scenario", "list"]);
    assert_eq!(list.status.code(), Some(0), "{}", stderr(&list));
    let text = stdout(&list);
    assert!(
        text.contains("hang-costs-one-reset\n    An ESP8266 that hangs for a minute"),
        "{text}"
    );
    let ran = output(&["simulate", "--scenario", "hang-costs-one-reset"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert!(stdout(&ran).ends_with(": as the scene asks\n"), "{}", stdout(&ran));
}

#[test]
fn a_scene_that_fails_says_seed_and_time_and_exits_with_5() {
    // Nothing resets this board.
    let text = format!("{HEAD}seed = 9\n[must]\nresets = [1, 1]\n");
    let ran = run(&text, &[]);
    assert_eq!(ran.status.code(), Some(5), "{}", stderr(&ran));
    let said = stdout(&ran);
    assert!(said.contains("seed 9: board 1: 0 resets, and 1 to 1 must be\nat "), "{said}");
    assert!(said.ends_with(": NOT AS THE SCENE ASKS\n"), "{said}");
    let ran = run(&text, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(stdout(&ran).trim()).expect("JSON");
    assert_eq!((&json["event"], &json["scenario"]), (&"ledger".into(), &"mine".into()));
    assert_eq!(json["failure"]["seed"], 9);
}

#[test]
fn a_file_with_a_mistake_and_a_scene_that_is_not_there_are_named() {
    let ran = run(&format!("{HEAD}seeds = 0\n"), &[]);
    assert_eq!(ran.status.code(), Some(3));
    let said = stderr(&ran);
    assert!(said.contains("mine.toml:4:9: `seeds`: 0 must be a number from 1 to 1000"), "{said}");
    let ran = output(&["simulate", "--scenario", "not-there"]);
    assert_eq!(ran.status.code(), Some(3));
    assert!(stderr(&ran).contains("--scenario list"), "{}", stderr(&ran));
}

/// By chance, with a fault that is planted: the scene that is left of it fails by itself, and only with that.
#[test]
fn a_seed_that_fails_becomes_a_scene_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    let file = file.to_str().unwrap();
    let seed = ["simulate", "--seed", "1", "--for", "6min", "--flaw", "forgets"];
    let ran = output(&seed);
    assert_eq!(ran.status.code(), Some(5), "{}", stderr(&ran));
    let ran = output(&[&seed[..], &["--minimise", file]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert!(stdout(&ran).contains(&format!("{file}: 1 fault in ")), "{}", stdout(&ran));
    let ran = output(&["simulate", "--scenario", file, "--flaw", "forgets"]);
    assert_eq!(ran.status.code(), Some(5), "{}", stderr(&ran));
    let ran = output(&["simulate", "--scenario", file]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    // Nothing is written over, and nothing made of a seed that does not fail.
    let again = output(&[&seed[..], &["--minimise", file]].concat());
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("this file is there already"), "{}", stderr(&again));
    let well = folder.path().join("well.toml");
    let fine = ["simulate", "--seed", "1", "--for", "1min", "--minimise"];
    let ran = output(&[&fine[..], &[well.to_str().unwrap()]].concat());
    assert_eq!(ran.status.code(), Some(1));
    assert!(stderr(&ran).contains("it does not fail: there is nothing to minimise"));
    assert!(!well.exists());
}

#[test]
fn ctrl_c_leaves_the_smallest_scene_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    let file = file.to_str().unwrap();
    let seed = ["simulate", "--seed", "1", "--for", "1h", "--flaw", "forgets", "--minimise", file];
    let mut child =
        pblink(&seed).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = lines.find(|line| line.contains(" runs: the smallest that fails has "));
    assert!(told.is_some(), "no progress");
    kill_process(pid, Signal::INT).unwrap();
    let rest = lines.collect::<Vec<_>>().join("\n");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{rest}");
    assert!(rest.contains("ending with the smallest scene so far"), "{rest}");
    assert!(rest.contains("it was interrupted: a smaller scene may exist"), "{rest}");
    let ran = output(&["simulate", "--scenario", file, "--flaw", "forgets"]);
    assert_eq!(ran.status.code(), Some(5), "{}", stderr(&ran));
}

//! `pblink micropython` as a process: on the real MicroPython, and on a board with faults; what is on it afterwards, and
//! what the user reads when it goes wrong.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::process;
use pblink_fakes::micropython::{Board, Fault, Unix, micropython};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A Pyboard's flash, in pieces of 512 bytes.
const FLASH: usize = 192;
/// A network whose name is hard for a program that writes Python.
const SSID: &str = r#"it's "{{password}}" \ {厨}"#;

/// A program of the user's as pb_link has one, with words of our own.
const CLIENT: &str = r#"
import json, time
from . import config as cfg
CONN_ID = 'attic\n'
print(json.dumps(cfg.config))
print('esc \x1b[2J')
try:
    while True:
        time.sleep_ms(20)
finally:
    print('closed')
"#;

/// A folder with both clones and pblink.toml.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (name, text) in [
            ("iot/pb_link/__init__.py", ""),
            ("iot/pb_link/app_base.py", "import ujson\nfrom primitives.delay_ms import launch\n"),
            ("iot/pb_link/pb_client.py", CLIENT),
            ("iot/pb_link/config.py", "config = 'theirs'\n"),
            ("async/v3/primitives/__init__.py", ""),
            ("async/v3/primitives/delay_ms.py", "import asyncio\ndef launch(): pass\n"),
        ] {
            desk.write(name, text);
        }
        let ssid = SSID.replace('\\', r"\\").replace('"', "\\\"");
        desk.write(
            "pblink.toml",
            &format!(
                "[server]\nhost = \"10.0.0.7\"\nclients = [\"attic\"]\n[wifi]\nssid = \"{ssid}\"\n"
            ),
        );
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn pblink(&self, args: &[&str]) -> Command {
        let mut command = process::pblink(&[&["micropython"], args].concat());
        command.current_dir(self.0.path()).env("PBLINK_WIFI_PASSWORD", "hunter2hunter2");
        command
    }

    fn install(&self, port: &str, args: &[&str]) -> Output {
        let all = ["install", "--source", "iot", "--primitives", "async", "--port", port];
        self.pblink(&[&all[..], args].concat()).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    let text = process::stderr(output);
    assert!(!text.contains("hunter2"), "{text}");
    text
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
}

#[test]
fn pb_link_is_installed_runs_with_the_configuration_and_is_ended_by_ctrl_c() {
    let Some(python) = micropython() else { return };
    let desk = Desk::new();
    let board = Unix::start(python, FLASH, "");
    let output = desk.install(board.path(), &[]);
    assert_code(&output, 0);
    assert!(stdout(&output).contains("is in /flash of the board at"), "{}", stdout(&output));
    assert!(stdout(&output).contains("id \"attic\"): 6 files written, 0 unchanged\nnext: `pblink"));
    let said = stderr(&output);
    assert!(said.contains("wrote 6 files to /flash: ") && !said.contains("warning"), "{said}");
    assert!(board.at_prompt());

    for json in [false, true] {
        let mut run = desk.pblink(&["run", "--port", board.path()]);
        if json {
            run.arg("--json");
        }
        let mut child =
            run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seq = 0;
        let mut next = || {
            let line = lines.next().expect("a line").unwrap();
            if !json {
                return line;
            }
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&value["v"], &value["event"]), (&1.into(), &"output".into()));
            seq += 1;
            assert_eq!(value["seq"], seq);
            value["text"].as_str().unwrap().to_owned()
        };
        let config: Value = serde_json::from_str(&next()).unwrap();
        assert_eq!(
            config,
            serde_json::json!([8123, "10.0.0.7", 2000, 10, SSID, "hunter2hunter2"]),
            "the list in the order of pb_link"
        );
        let escape = next();
        assert_eq!(escape, if json { "esc \u{1b}[2J" } else { r"esc \u{1b}[2J" });
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(next(), "closed");
        let output = child.wait_with_output().unwrap();
        assert_code(&output, 0);
        assert!(board.at_prompt());
    }
}

#[test]
fn what_was_done_is_there_as_json() {
    let desk = Desk::new();
    desk.write("iot/pb_link/my_config.py", "");
    let board = Board::with([Fault::Sd]);
    board.put("/sd/pb_link/my_config.py", b"");
    let pty = board.pty();
    let output = desk.install(pty.path(), &["--json", "--quiet"]);
    assert_code(&output, 0);
    assert_eq!(stderr(&output), "");
    let done: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&done["folder"], &done["client"], &done["micropython"]),
        (&"/sd".into(), &"attic".into(), &"1.22.0".into())
    );
    let files = done["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["primitives/__init__.py", "primitives/delay_ms.py"]);
    assert_eq!((names.len(), names[5]), (6, "pb_link/pb_client.py"));
    assert!(files.iter().all(|file| file["written"] == true && file["sha256"].is_string()));
    let notes = done["notes"].to_string();
    assert!(notes.contains("stays off the board") && notes.contains("is on the board"), "{notes}");
    assert!(board.files()["/sd/pb_link/config.py"].ends_with(b"]\n"));
}

#[test]
fn an_id_that_the_server_would_refuse_is_a_warning() {
    let desk = Desk::new();
    let board = Board::with([]);
    let pty = board.pty();
    desk.write("iot/pb_link/pb_client.py", "CONN_ID = 'kitchen\\n'\n");
    let output = desk.install(pty.path(), &[]);
    assert_code(&output, 0);
    let said = stderr(&output);
    assert!(
        said.contains("warning: `server.clients` does not list \"kitchen\"")
            && said.contains("pblink config set server.clients"),
        "{said}"
    );
    desk.write("iot/pb_link/pb_client.py", "CONN_ID = name()\n");
    let output = desk.install(pty.path(), &[]);
    assert_code(&output, 0);
    assert!(stderr(&output).contains("is not a literal"), "{}", stderr(&output));
}

/// pb_link speaks without keys, and the server serves only ids that are listed so.
#[test]
fn the_id_is_listed_as_one_without_keys_and_one_with_keys_is_refused() {
    let desk = Desk::new();
    let board = Board::with([]);
    let pty = board.pty();
    let config = || std::fs::read_to_string(desk.path("pblink.toml")).unwrap();
    let before = config();
    assert_code(&desk.install("/dev/null", &[]), 1);
    assert_eq!(config(), before, "nothing was installed");
    let output = desk.install(pty.path(), &[]);
    assert_code(&output, 0);
    assert!(stderr(&output).contains("note: link.classic in pblink.toml lists attic now"));
    assert_eq!(config(), format!("{before}\n[link]\nclassic = [\"attic\"]\n"));
    let output = desk.install(pty.path(), &["--json"]);
    assert!(!stdout(&output).contains("link.classic"), "it is there: {}", stdout(&output));

    // The list of a variable is changed in no file.
    desk.write("pblink.toml", &before);
    let all = ["install", "--source", "iot", "--primitives", "async", "--port", pty.path()];
    let output = desk.pblink(&all).env("PBLINK_LINK_CLASSIC", "hall").output().unwrap();
    assert_code(&output, 0);
    let said = stderr(&output);
    assert!(said.contains("warning: PBLINK_LINK_CLASSIC does not list attic"), "{said}");
    assert_eq!(config(), before);

    let keys = |args: &[&str]| {
        let mut command = process::pblink(&[&["keys"], args].concat());
        assert_code(&command.current_dir(desk.path(".")).output().unwrap(), 0);
    };
    keys(&["issue", "attic", "--to", "attic.toml"]);
    let refused = |why: &str| {
        // Before anything is asked of the board.
        let output = desk.install("/dev/null", &[]);
        assert_code(&output, 3);
        let said = stderr(&output);
        assert!(said.contains(why) && said.contains("CONN_ID in pb_link/pb_client.py"), "{said}");
    };
    refused("the id attic belongs to a board with keys");
    keys(&["revoke", "attic", "--yes"]);
    refused("the id attic had keys, which were revoked at ");
    assert_eq!(config(), before);
}

#[test]
fn a_board_with_a_fault_is_an_error_with_what_to_do() {
    let desk = Desk::new();
    for (fault, words) in [
        (Fault::Is("micropython 1.12.0 pyboard"), "and pb_link needs 1.13 or newer"),
        (Fault::Is("circuitpython 9.0.0 stm"), "put MicroPython onto it"),
        (Fault::Lacks("asyncio"), "MicroPython 1.21 or newer"),
        (Fault::Free(3), "nothing was changed"),
        (Fault::FullAt(1), "the old file is still there"),
        (Fault::Wear("config.py"), "its hash is another one"),
        (Fault::VanishAt(2), "is gone"),
        (Fault::NoRawRepl, "has no raw REPL"),
        (Fault::GarbleSum, "makes no sense"),
        (Fault::NoFolder, "no folder /sd or /flash"),
    ] {
        let board = Board::with([fault.clone()]);
        let pty = board.pty();
        let output = desk.install(pty.path(), &[]);
        assert_code(&output, 1);
        let said = stderr(&output);
        assert!(said.contains(words), "{fault:?}: {said}");
        let error = said.split("error: ").nth(1).expect("an error");
        assert_eq!(error.trim_end().lines().count(), 2, "cause and remedy: {said}");
        assert!(board.at_prompt() || matches!(fault, Fault::VanishAt(_)), "{fault:?}");
    }
}

#[test]
fn wrong_folders_files_and_flags_are_told_before_a_board_is_looked_for() {
    let desk = Desk::new();
    let run = |args: &[&str]| desk.pblink(args).output().unwrap();
    let install = |source: &str, primitives: &str| {
        run(&["install", "--source", source, "--primitives", primitives, "--port", "/dev/null"])
    };
    for (output, code, words) in [
        (install("nowhere", "async"), 3, "name a clone of"),
        (install("iot", "iot"), 3, "it has no delay_ms.py"),
        (run(&["install", "--source", "iot"]), 2, "--primitives"),
        (install("iot", "async"), 1, "/dev/null is not a serial port"),
        (run(&["run", "--port", ""]), 2, "name a port"),
        (run(&["run", "--port", "/dev/no-such-port"]), 1, "there is no port /dev/no-such-port"),
        (run(&["run", "--to", "flash"]), 2, "begins with /"),
        (run(&["run", "--module", "a b"]), 2, "as Python imports it"),
        (run(&["run", "--bananas"]), 2, "--bananas"),
    ] {
        assert_code(&output, code);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    desk.write("pblink.toml", "[server]\nport = 0\n");
    let output = install("iot", "async");
    assert_code(&output, 3);
    assert!(stderr(&output).contains("pblink.toml:2:"), "{}", stderr(&output));
    desk.write("pblink.toml", "[board]\nkind = \"black-pill\"\n");
    let output = install("iot", "async");
    assert_code(&output, 3);
    assert!(stderr(&output).contains("pb_link runs on a Pyboard"), "{}", stderr(&output));
    std::fs::remove_file(desk.path("pblink.toml")).unwrap();
    let output = install("iot", "async");
    assert_code(&output, 3);
    assert!(stderr(&output).contains("`pblink config init` makes one"), "{}", stderr(&output));
}

#[test]
fn a_line_for_the_esp8266_that_gets_too_long_with_the_programs_id_is_told() {
    let desk = Desk::new();
    let id = "i".repeat(64);
    desk.write("iot/pb_link/pb_client.py", &format!("CONN_ID = '{id}'\n"));
    let host = format!("{}.example.org", "h".repeat(50));
    desk.write(
        "pblink.toml",
        &format!("[server]\nhost = \"{host}\"\n[wifi]\nssid = \"{}\"\n", "s".repeat(32)),
    );
    let board = Board::with([]);
    let output = desk.install(board.pty().path(), &[]);
    assert_code(&output, 3);
    assert!(stderr(&output).contains("pb_client.py"), "{}", stderr(&output));
    assert!(board.files().is_empty());
}

#[test]
fn a_program_that_fails_is_an_error_and_its_words_are_shown() {
    let desk = Desk::new();
    let board = Board::with([Fault::ProgramFails("OSError: No initial WiFi connection.")]);
    let pty = board.pty();
    let output = desk.pblink(&["run", "--serial", pty.path()]).output().unwrap();
    assert_code(&output, 1);
    assert!(stdout(&output).contains("Traceback"), "{}", stdout(&output));
    assert!(stderr(&output).contains("ended with OSError: No initial WiFi"), "{}", stderr(&output));
    assert!(board.at_prompt());

    let board = Board::with([]);
    let pty = board.pty();
    let output = desk.pblink(&["run", "--serial", pty.path()]).output().unwrap();
    assert_code(&output, 1);
    assert!(stderr(&output).contains("pblink micropython install"), "{}", stderr(&output));
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_program() {
    let desk = Desk::new();
    let board = Board::with([]);
    board.put("/flash/pb_link/pb_client.py", b"");
    let pty = board.pty();
    let mut child =
        desk.pblink(&["run", "--serial", pty.path()]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(board.at_prompt());
    assert!(Path::new(pty.path()).exists());
}

#[test]
fn ctrl_c_stops_before_anything_was_changed() {
    let desk = Desk::new();
    let board = Board::with([Fault::Silent]);
    let pty = board.pty();
    let all = ["install", "--source", "iot", "--primitives", "async", "--port", pty.path()];
    let mut child = desk.pblink(&all).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    // It listens to ctrl-C from then on.
    while !said.next().expect("a line").unwrap().contains("waiting for MicroPython at") {}
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let rest: String = said.map(|line| line.unwrap() + "\n").collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("stopped before anything was changed"), "{rest}");
}

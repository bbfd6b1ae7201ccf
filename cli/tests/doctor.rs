//! `pblink doctor` as a program: real files, real ports, a real server.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn doctor(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.arg("doctor").args(args).current_dir(folder).env_remove("PBLINK_WIFI_PASSWORD");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{said}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Returns the findings of a group, as `level: message / remedy`.
fn findings(folder: &Path, group: &str) -> Vec<String> {
    let (code, text) = doctor(folder, &["--json"]);
    let all: Value = serde_json::from_str(&text).unwrap();
    let expected = if all["errors"] == 0 { 0 } else { 1 };
    assert_eq!(code, Some(expected), "{all}");
    let of_group = |finding: &&Value| finding["group"] == group;
    let text = |finding: &Value| {
        let part = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        format!("{}: {} / {}", part("level"), part("message"), part("remedy"))
    };
    all["findings"].as_array().unwrap().iter().filter(of_group).map(text).collect()
}

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pblink.toml"), config).unwrap();
    folder
}

#[track_caller]
fn has(findings: &[String], start: &str, part: &str) {
    assert!(findings.iter().any(|f| f.starts_with(start) && f.contains(part)), "{findings:#?}");
}

/// A running `pblink serve`, and where its control API is.
struct Serve(Child, String);

impl Serve {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pblink"))
            .args(["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let control = said.lines().map(Result::unwrap).find_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            Some(rest.split('/').next().unwrap_or_default().to_owned())
        });
        Self(child, control.expect("it names its control API"))
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_configuration_it_says_so_and_how_to_write_one() {
    let folder = tempfile::tempdir().unwrap();
    has(&findings(folder.path(), "configuration"), "warning:", "pblink config init");
    let (_, text) = doctor(folder.path(), &[]);
    assert!(text.starts_with("configuration\n  warn there is no pblink.toml here"), "{text}");
    assert!(!text.contains('\x1b'), "no colours without a terminal: {text:?}");
}

/// An application of `pblink new` is built without a clone: only a compiler may be missing.
#[test]
fn in_the_folder_of_an_application_no_sources_are_missing() {
    let folder = folder("");
    has(&findings(folder.path(), "tools"), "error", "the sources of the firmwares are not here");
    std::fs::create_dir_all(folder.path().join("pblink/firmware-stm32")).unwrap();
    std::fs::write(folder.path().join("pblink/firmware-stm32/Cargo.toml"), "").unwrap();
    std::fs::write(folder.path().join("build.sh"), "[ \"$1\" = check ]").unwrap();
    let found = findings(folder.path(), "tools");
    has(&found, "ok", "what builds the STM32's program is there");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn mistakes_of_the_configuration_are_named_with_their_lines() {
    let folder = folder("[server]\nport = 0\ntimeout_ms = 5\n");
    let found = findings(folder.path(), "configuration");
    has(&found, "error: pblink.toml:2", "65535");
    has(&found, "error: pblink.toml:3", "60000");
}

#[test]
fn an_ssid_without_password_is_pointed_out() {
    let folder = folder("[wifi]\nssid = \"home\"\n");
    let found = findings(folder.path(), "configuration");
    has(&found, "ok:", "no mistakes");
    has(&found, "warning:", "open network");
}

#[test]
fn a_time_out_that_differs_between_server_and_boards_is_an_error() {
    let folder = folder("");
    let serve = Serve::start(folder.path(), &["--timeout-ms", "1000"]);
    let config = |timeout: u32| {
        let text = format!("[server]\ncontrol = \"{}\"\ntimeout_ms = {timeout}\n", serve.1);
        std::fs::write(folder.path().join("pblink.toml"), text).unwrap();
        findings(folder.path(), "server")
    };
    let differs = config(2000);
    has(&differs, "error: the server's time-out is 1000 ms, the boards get 2000", "restart");
    let same = config(1000);
    has(&same, "ok: its time-out is that of pblink.toml", "1000 ms");
    // It got a port from the system.
    has(&same, "error: the server listens at 127.0.0.1:", "server.port");
}

#[test]
fn a_port_that_another_program_has_is_an_error_and_a_free_one_is_not() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    // Nobody's control API: port 1 of this machine.
    let config = |control: &str| {
        format!("[server]\nlisten = \"127.0.0.1\"\nport = {port}\ncontrol = \"{control}\"\n")
    };
    let folder = folder(&config("127.0.0.1:1"));
    has(&findings(folder.path(), "server"), "error: another program listens", "ss -ltnp");
    // Without a control API it may be one of ours.
    std::fs::write(folder.path().join("pblink.toml"), config("off")).unwrap();
    has(
        &findings(folder.path(), "server"),
        "warning: a program listens",
        "perhaps a pblink server",
    );
    drop(other);
    has(&findings(folder.path(), "server"), "ok: no server runs", &port.to_string());
}

#[test]
fn a_control_port_that_another_program_has_is_an_error() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    // It answers nothing: whoever asks it is sent away at once.
    std::thread::spawn(move || other.incoming().for_each(drop));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = folder(&format!(
        "[server]\nlisten = \"127.0.0.1\"\nport = {free}\ncontrol = \"127.0.0.1:{port}\"\n"
    ));
    let found = findings(folder.path(), "server");
    has(&found, "ok: no server runs", &free.to_string());
    has(&found, "error: another program listens at 127.0.0.1:", "server.control");
}

#[test]
fn only_what_a_machine_is_for_is_checked() {
    let folder =
        folder("[server]\nlisten = \"127.0.0.1\"\nhost = \"127.0.0.1\"\ncontrol = \"off\"\n");
    let groups = |only: &[&str]| -> Vec<String> {
        // No compiler is there.
        let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
        command.arg("doctor").args(only).arg("--json").current_dir(folder.path());
        let output = command.env("PATH", folder.path()).output().unwrap();
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let groups = all["findings"].as_array().unwrap().iter();
        let mut groups: Vec<_> = groups.map(|f| f["group"].as_str().unwrap().to_owned()).collect();
        groups.dedup();
        groups
    };
    assert_eq!(groups(&["--only", "server"]), ["configuration", "server"]);
    assert_eq!(groups(&["--only", "build"]), ["configuration", "tools"]);
    assert_eq!(groups(&["--only", "flash"]), ["configuration", "devices"]);
    assert_eq!(groups(&["--only", "flash,server"]), ["configuration", "server", "devices"]);
    assert_eq!(groups(&[]), ["configuration", "tools", "server", "devices"]);
}

#[test]
fn a_machine_that_only_serves_is_well_without_compilers() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = "[server]\nlisten = \"127.0.0.1\"\nhost = \"127.0.0.1\"\ncontrol = \"off\"\n";
    let folder = folder(&format!("{server}port = {free}\n"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.args(["doctor", "--only", "server"]).current_dir(folder.path());
    let output = command.env("PATH", folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("nothing is in the way"), "{said}");
}

#[test]
fn where_boards_will_look_for_the_server_is_checked() {
    // An address that is nobody's (RFC 5737).
    let elsewhere = folder("[server]\nhost = \"203.0.113.9\"\ncontrol = \"off\"\n");
    has(&findings(elsewhere.path(), "server"), "warning:", "not this machine");
    let nowhere = folder("[server]\nhost = \"no-such-host.invalid\"\ncontrol = \"off\"\n");
    has(&findings(nowhere.path(), "server"), "error:", "has no address");
}

#[test]
fn a_host_name_that_is_this_machine_only_for_itself_is_pointed_out() {
    let folder = folder("[server]\nhost = \"localhost\"\ncontrol = \"off\"\n");
    has(
        &findings(folder.path(), "server"),
        "warning: server.host localhost is",
        "no board can reach",
    );
}

#[test]
fn a_listen_address_of_another_machine_is_an_error() {
    let folder = folder("[server]\nlisten = \"203.0.113.9\"\ncontrol = \"off\"\n");
    has(&findings(folder.path(), "server"), "error:", "pblink config set server.listen 0.0.0.0");
}

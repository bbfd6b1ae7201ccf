//! Flags as users write them, and what `pblink.toml` gives where there is no flag.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn pblink(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.args(args).stdin(Stdio::null()).env_remove("PBLINK_LOG").current_dir(folder);
    command.env("XDG_STATE_HOME", folder.join("state")).env_remove("STATE_DIRECTORY");
    command
}

/// Returns a folder with a `pblink.toml`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pblink.toml"), text).unwrap();
    folder
}

/// A running `pblink serve`, killed when it is dropped.
struct Serve {
    child: Child,
    /// Its stderr up to the line of its control API, that line included.
    said: String,
}

impl Serve {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = pblink(folder, &[&["serve", "--json"], args].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said = String::new();
        for line in lines.by_ref() {
            said += &format!("{line}\n");
            if line.contains("http://") {
                break;
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, said }
    }

    /// Returns the word behind `before`, up to a blank or slash.
    fn word(&self, before: &str) -> String {
        let (_, rest) = self.said.split_once(before).unwrap_or_else(|| panic!("{}", self.said));
        rest.split([' ', '/', '\n']).next().unwrap_or_default().to_owned()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn times_may_have_units_and_addresses_may_lack_a_part() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, timeout) in [
        (["--timeout", "1s", "--listen", "127.0.0.1:0"], "1000"),
        (["--timeout", "1500", "--listen", "localhost:0"], "1500"),
        // As it was called before.
        (["--timeout-ms", "900", "--listen", "[::1]:0"], "900"),
    ] {
        let serve = Serve::start(folder.path(), &[&flags[..], &["--control", "0"]].concat());
        assert_eq!(serve.word("time-out "), timeout, "{}", serve.said);
        assert!(serve.word("http://").starts_with("127.0.0.1:"), "{}", serve.said);
        let ip = if timeout == "900" { "[::1]:" } else { "127.0.0.1:" };
        assert!(serve.word("boards at ").starts_with(ip), "{}", serve.said);
    }
}

#[test]
fn what_is_not_a_number_or_time_is_refused_in_words_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["demo", "--boards", "many"][..], "a whole number from 1 to 1000"),
        (&["demo", "--boards", "1001"], "a whole number from 1 to 1000"),
        (&["demo", "--for", "20"], "a number with its unit, such as 500ms, 2s or 2min"),
        (&["simulate", "--count", "-0x1"], "unexpected argument"),
        (&["simulate", "--count", "1.5"], "a whole number from 0"),
        (&["simulate", "--padding", "901"], "a whole number from 0 to 900"),
        (&["simulate", "--every", "banana"], "a time from 1ms to 1h, such as 1s"),
        (&["simulate", "--report", "500ms"], "a time of whole seconds from 0s to 1d"),
        // More than a clock can hold.
        (&["simulate", "--for", "18446744073709551615s"], "at most 3650d"),
        (&["flash", "stm32", "--wait", "18446744073709551615"], "at most 3650d"),
        (&["flash", "stm32", "--wait", "soon"], "such as 500ms, 2s or 2min; a plain number is"),
        (&["flash", "esp8266", "--baud", "fast"], "a whole number from 9600 to 4000000"),
        (&["up", "--dry-run", "--wait", "soon"], "such as 500ms, 2s or 2min"),
    ] {
        let output = pblink(folder.path(), args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.starts_with("pblink: error: ") && said.contains(words), "{args:?}: {said}");
        assert!(!said.contains("digit") && !said.contains("..="), "{args:?}: {said}");
    }
    // Each verb takes each unit.
    for wait in ["500ms", "2s", "1min", "0"] {
        let args = ["flash", "stm32", "--image", "none", "--wait", wait];
        let output = pblink(folder.path(), &args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "it only lacks the image: {output:?}");
        let args = ["up", "--dry-run", "--wait", wait];
        let output = pblink(folder.path(), &args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[test]
fn simulate_takes_server_id_and_time_out_from_the_configuration() {
    let server = tempfile::tempdir().unwrap();
    let serve = Serve::start(
        server.path(),
        &["--listen", "127.0.0.1:0", "--control", "0", "--client", "attic", "--timeout", "1s"],
    );
    let address = serve.word("boards at ");
    let (_, port) = address.rsplit_once(':').unwrap();
    let folder = folder(&format!(
        "[server]\nhost = \"localhost\"\nport = {port}\ntimeout_ms = 1000\n[board]\nid = \"attic\"\n"
    ));
    let args = ["simulate", "--count", "2", "--every", "50ms", "--json", "--for", "60s"];
    let output = pblink(folder.path(), &args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let ledger: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&ledger["id"], &ledger["to_server"]["arrived"]), (&"attic".into(), &2.into()));

    // A flag overrides it: this id is not expected.
    let args = [&args[..6], &["--for", "1s", "--client", "cellar"]].concat();
    let output = pblink(folder.path(), &args).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let ledger: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&ledger["id"], &ledger["to_server"]["arrived"]), (&"cellar".into(), &0.into()));
}

#[test]
fn monitor_takes_the_address_from_the_configuration() {
    let server = tempfile::tempdir().unwrap();
    let serve = Serve::start(server.path(), &["--listen", "127.0.0.1:0", "--control", "0"]);
    let folder = folder(&format!("[server]\ncontrol = \"{}\"\n", serve.word("http://")));
    let mut child =
        pblink(folder.path(), &["monitor", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["event"], "listening");
    child.kill().unwrap();
    child.wait().unwrap();

    std::fs::write(folder.path().join("off.toml"), "[server]\ncontrol = \"off\"\n").unwrap();
    let output = pblink(folder.path(), &["monitor", "--config", "off.toml"]).output().unwrap();
    let mut said = String::new();
    output.stderr.as_slice().read_to_string(&mut said).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("\"off\" in off.toml") && said.contains("--url"), "{said}");
}

#[test]
fn monitor_and_simulate_refuse_a_configuration_that_is_wrong() {
    let folder = folder("[server]\nport = 0\n");
    for args in [&["monitor"][..], &["simulate"]] {
        let output = pblink(folder.path(), args).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("pblink.toml:2"), "{args:?}");
    }
}

#[test]
fn names_of_the_file_are_answered_by_the_control_api_and_others_are_not() {
    let folder = folder("[server]\nclients = [\"1\"]\n[control]\nhosts = [\"box.lan\"]\n");
    let args = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let serve = Serve::start(folder.path(), &args);
    let address = serve.word("http://");
    let status = |host: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    };
    for (host, answer) in [("box.lan", "200"), ("BOX.LAN:8124", "200"), ("evil.example", "403")] {
        assert!(status(host).contains(answer), "{host}: {}", status(host));
    }
}

//! Tests of `pblink serve --exec`: real servers, real programs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{Serve, output, stderr};

/// A board by hand: it says its id, then lines.
struct Board(BufReader<TcpStream>);

impl Board {
    fn connect(address: &str, id: &str) -> Self {
        let mut board = Self(BufReader::new(TcpStream::connect(address).unwrap()));
        board.say(&format!("{id}\n"));
        board
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits for this line.
    fn expect(&mut self, expected: &str) {
        let mut line = String::new();
        while line.trim_end() != expected {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "no {expected:?}");
        }
    }
}

/// Makes a pipe with a name, and returns its path.
fn pipe(path: PathBuf) -> PathBuf {
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn a_program_answers_its_board_and_its_stderr_is_reported() {
    let text = "echo \"hello $PBLINK_CLIENT\" >&2; printf 'tab\\there\\033[2J\\n' >&2; \
                while read -r l; do echo \"$l.\"; done";
    let serve = Serve::start(&["--any-client", "--exec", text]);
    let mut board = Board::connect(&serve.address, "a b");
    board.say("00one");
    board.expect("00one.");
    board.say("00");
    serve.signal("-TERM");
    let (code, said) = serve.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("app exec"), "{said}");
    assert!(said.contains("warning: exec \"a b\": hello a b\n"), "{said}");
    assert!(said.contains("exec \"a b\": tab    here\\u{1b}[2J\n"), "{said}");
}

#[test]
fn the_wifi_password_is_not_in_the_environment_of_a_program() {
    let text = "read -r l; echo \"${PBLINK_WIFI_PASSWORD-none} ${OTHER-none}\"; cat";
    let variables = [("PBLINK_WIFI_PASSWORD", "hunter2hunter2"), ("OTHER", "stays")];
    let serve = Serve::start_with(&["--any-client", "--exec", text], &variables);
    let mut board = Board::connect(&serve.address, "1");
    board.say("00x");
    board.expect("00none stays");
}

#[test]
fn a_program_gets_the_descriptors_that_the_server_was_started_with() {
    // More than any test here needs, and less than the server gives itself.
    let few = 500;
    let pblink = Serve::command(&["--any-client", "--exec", "read -r l; ulimit -S -n; cat"]);
    // In a process of its own: the limit of this one holds for all other tests.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -S -n {few} && exec \"$@\"")).arg("sh");
    command.arg(pblink.get_program()).args(pblink.get_args());
    for (name, value) in pblink.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(pblink.get_current_dir().unwrap());
    let serve = Serve::of(command);
    let mut board = Board::connect(&serve.address, "1");
    board.say("00x");
    board.expect(&format!("00{few}"));
    board.say("00");
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}

#[test]
fn stderr_without_end_is_bounded() {
    let text = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo \"noise $i\" >&2; done; cat";
    let serve = Serve::start(&["--any-client", "--exec", text]);
    let mut board = Board::connect(&serve.address, "1");
    board.say("00x");
    board.expect("00x");
    board.say("00");
    serve.signal("-TERM");
    let (_, said) = serve.end();
    assert!(
        said.contains("noise 1\n") && said.contains("lines of its stderr are not shown"),
        "{said}"
    );
    assert!(said.lines().count() < 2000, "{}", said.lines().count());
}

#[test]
fn a_server_that_is_killed_leaves_no_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let begin = pipe(path("begin"));
    let text = format!(
        "echo begin >'{}'; cat >/dev/null; echo end >'{}'",
        path("begin").display(),
        path("end").display()
    );
    let serve = Serve::start(&["--any-client", "--exec", &text]);
    let mut board = Board::connect(&serve.address, "1");
    board.say("00x");
    assert_eq!(std::fs::read_to_string(begin).unwrap(), "begin\n");
    assert!(!path("end").exists());
    let end = pipe(path("end"));
    serve.signal("-KILL");
    assert_eq!(serve.end().0, None);
    // It has seen the end of its input.
    assert_eq!(std::fs::read_to_string(end).unwrap(), "end\n");
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for args in [
        &["--exec", "a", "--exec-all", "b"][..],
        &["--exec", "a", "--app", "print"],
        &["--exec-ack"],
        &["--exec-all", "b", "--app", "echo"],
    ] {
        let output = output(&[&["serve"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    }
}

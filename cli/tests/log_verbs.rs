//! `consumers`, `outbox` and `state purge` as processes: at a server that runs, and on the folder of its log.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;

use crate::process::{Serve, control_address, output, stderr};
use serde_json::Value;

/// Code, standard output and standard error of a verb.
type Ran = (Option<i32>, String, String);

fn run(args: &[&str]) -> Ran {
    let output = output(args);
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code(), out, stderr(&output))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server with its control API, on a folder.
struct Rig {
    serve: Serve,
    url: String,
}

impl Rig {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let folder = folder.to_str().unwrap();
        // Longer than any test: boards say nothing once they have said their lines.
        let all =
            ["--any-client", "--timeout", "60s", "--control", "127.0.0.1:0", "--state", folder];
        let mut serve = Serve::start(&[&all, args].concat());
        let mut said = BufReader::new(serve.child.stderr.take().unwrap());
        let url = format!("http://{}", control_address(&mut said));
        // Nobody reads the rest, and nobody waits for it.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { serve, url }
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(&[args, &["--url", &self.url]].concat())
    }

    /// Connects a board that sends one line, which is in the log when this returns.
    fn board(&self, id: &str, text: &str) -> TcpStream {
        let mut board = TcpStream::connect(&self.serve.address).unwrap();
        write!(board, "{id}\n\n00{text}\n").unwrap();
        let mut answer = BufReader::new(board.try_clone().unwrap());
        let mut line = String::new();
        while line != "00\n" {
            line.clear();
            assert!(answer.read_line(&mut line).unwrap() > 0, "it is acknowledged");
        }
        board
    }

    fn stop(mut self) {
        self.serve.signal("-TERM");
        assert!(self.serve.child.wait().unwrap().success());
    }
}

#[test]
fn the_line_on_which_a_program_ends_is_shown_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path(), &["--exec", "exit 7"]);
    let (code, _, said) = rig.run(&["consumers", "skip", "exec"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("fails on no line"), "{said}");
    let _board = rig.board("kitchen", "poison");
    let exec = loop {
        let (code, out, said) = rig.run(&["consumers", "list", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let exec = lines(&out).remove(0);
        if exec["failing_clients"] == 1 {
            break exec;
        }
    };
    assert_eq!(
        (&exec["event"], &exec["v"], &exec["name"]),
        (&"consumer".into(), &1.into(), &"exec".into())
    );
    assert_eq!((&exec["offset"], &exec["head"], &exec["lag"]), (&0.into(), &1.into(), &1.into()));
    assert_eq!(
        (&exec["failing"][0]["client"], &exec["failing"][0]["offset"]),
        (&"kitchen".into(), &1.into())
    );
    let (_, out, _) = rig.run(&["consumers", "list"]);
    assert!(out.starts_with("exec  at 0 of 1, 1 line behind; runs, required\n"), "{out}");
    assert!(out.contains("\n      fails at 1, a line of kitchen, since 20"), "{out}");
    let (code, out, said) =
        rig.run(&["consumers", "skip", "exec", "--client", "kitchen", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let skips = lines(&out).remove(0);
    assert_eq!(
        (&skips["event"], &skips["consumer"], &skips["client"], &skips["offset"]),
        (&"consumer_skips".into(), &"exec".into(), &"kitchen".into(), &1.into())
    );
    while rig.run(&["consumers", "list"]).1 != "exec  at 1 of 1; runs, required\n" {}
    for (verb, words) in [
        (&["rm", "exec"][..], "goes with its configuration"),
        (&["rename", "exec", "store"], "stop the server first"),
        (&["rm", "nobody"], "no consumer \"nobody\""),
        (&["skip", "nobody"], "no consumer \"nobody\""),
    ] {
        let (code, _, said) = rig.run(&[&["consumers"], verb].concat());
        assert_eq!(code, Some(1), "{verb:?}: {said}");
        assert!(said.contains(words), "{verb:?}: {said}");
    }
}

#[test]
fn consumers_of_a_folder_are_renamed_and_removed_while_no_server_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let rig = Rig::start(folder.path(), &["--exec", "cat"]);
    drop(rig.board("kitchen", "hello"));
    rig.stop();
    let on_folder = |verb: &[&str]| run(&[&["consumers"], verb, &["--state", path]].concat());
    let (code, out, said) = on_folder(&["list"]);
    assert_eq!((code, &*out), (Some(0), "exec  at 1 of 1\n"), "{said}");
    for (verb, code, words) in [
        (&["skip", "exec"][..], 4, "only a server that runs knows"),
        (&["rm", "nobody"], 1, "no consumer \"nobody\""),
        (&["rename", "exec", "a b"], 2, "1 to 64 letters"),
    ] {
        let (got, _, said) = on_folder(verb);
        assert_eq!(got, Some(code), "{verb:?}: {said}");
        assert!(said.contains(words), "{verb:?}: {said}");
    }
    let (code, _, said) = on_folder(&["rename", "exec", "store"]);
    assert_eq!((code, said.contains("exec is store now")), (Some(0), true), "{said}");

    // Gone from the configuration of this one: it is shown, and holds nothing back.
    let rig = Rig::start(folder.path(), &["--app", "echo"]);
    let (_, out, _) = rig.run(&["consumers", "list"]);
    let gone = "store  at 1 of 1; not in the configuration, holds nothing back\n";
    assert_eq!(out, format!("echo   at 1 of 1; runs, required\n{gone}"));
    // By the folder it is the same server, if that one's address is known.
    let (code, _, said) = on_folder(&["rm", "store"]);
    let pid = format!("process {}", rig.serve.child.id());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&pid) && said.contains("--url"), "{said}");
    let config = folder.path().join("pblink.toml");
    let control = rig.url.strip_prefix("http://").unwrap();
    std::fs::write(&config, format!("[server]\ncontrol = \"{control}\"\n")).unwrap();
    let config = ["--config", config.to_str().unwrap()];
    let (code, out, said) = on_folder(&[&["rm", "store", "--json"], &config[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let removed = lines(&out).remove(0);
    assert_eq!(
        (&removed["event"], &removed["name"]),
        (&"consumer_removed".into(), &"store".into())
    );
    assert_eq!(rig.run(&["consumers", "list"]).1, "echo  at 1 of 1; runs, required\n");
    // Another folder is not that of this server.
    let other = folder.path().join("other");
    Rig::start(&other, &["--app", "print"]).stop();
    let other = ["--state", other.to_str().unwrap()];
    let (code, _, said) = run(&[&["consumers", "rm", "print"], &other[..], &config].concat());
    assert_eq!(code, Some(0), "{said}");
    let (_, out, _) = run(&[&["consumers", "list"], &other[..], &config].concat());
    assert!(out.starts_with("no consumers"), "{out}");
    rig.stop();
}

#[test]
fn without_a_server_and_a_folder_it_is_said_where_they_were_looked_for() {
    let (code, _, said) = run(&["consumers", "list", "--url", "127.0.0.1:1"]);
    assert_eq!(code, Some(4), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pblink.toml");
    for (control, words) in
        [("127.0.0.1:1", "no server answers at http://127.0.0.1:1/"), ("off", "\"off\"")]
    {
        std::fs::write(&config, format!("[server]\ncontrol = \"{control}\"\n")).unwrap();
        let (code, _, said) = run(&["outbox", "list", "--config", config.to_str().unwrap()]);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains(words) && said.contains("there is no log in"), "{said}");
    }
}

#[test]
fn lines_to_boards_are_listed_and_a_client_is_purged_while_the_server_runs_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let rig = Rig::start(folder.path(), &[]);
    let board = rig.board("kitchen", "hello");
    let (code, _, said) = rig.run(&["state", "purge", "kitchen", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is connected"), "{said}");
    drop(board);
    drop(rig.board("garden", "hello"));
    for (id, text) in [("kitchen", "light on"), ("kitchen", "a\tb"), ("garden", "water")] {
        let (code, _, said) = rig.run(&["send", id, text, "--no-wait"]);
        assert_eq!(code, Some(0), "{said}");
    }
    let all = "garden\t1\twaits\twater\nkitchen\t1\twaits\tlight on\nkitchen\t2\twaits\ta\\tb\n";
    let list = |more: &[&str]| rig.run(&[&["outbox", "list"], more].concat());
    assert_eq!(list(&[]).1, all);
    let (_, out, _) = list(&["garden", "--json"]);
    let line = lines(&out).remove(0);
    assert_eq!(
        (&line["event"], &line["client"], &line["text"], &line["undetermined"]),
        (&"line_waits".into(), &"garden".into(), &"water".into(), &false.into())
    );
    assert_eq!(list(&["nobody"]).0, Some(1));
    // The board has gone before this is asked, and the server may not have seen it.
    let (code, _, said) = loop {
        let ran = rig.run(&["state", "purge", "kitchen", "--yes"]);
        if !ran.2.contains("is connected") {
            break ran;
        }
    };
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(list(&[]).1, "garden\t1\twaits\twater\n");
    let (code, _, said) = rig.run(&["outbox", "send"]);
    assert_eq!((code, said.contains("0 lines will be sent")), (Some(0), true), "{said}");

    // A copy, put back: what waited in it is undetermined.
    let copy = folder.path().join("copy");
    let copy = copy.to_str().unwrap();
    assert_eq!(run(&["state", "backup", copy, "--state", path]).0, Some(0));
    rig.stop();
    assert_eq!(run(&["state", "restore", copy, "--state", path]).0, Some(0));
    let rig = Rig::start(folder.path(), &[]);
    let undetermined = "garden\t1\tundetermined\twater\n";
    assert_eq!(rig.run(&["outbox", "list"]).1, undetermined);
    rig.stop();
    let on_folder = |verb: &[&str]| run(&[&["outbox"], verb, &["--state", path]].concat());
    assert_eq!(on_folder(&["list"]).1, undetermined);
    let rig = Rig::start(folder.path(), &[]);
    let (code, _, said) = rig.run(&["outbox", "drop", "--yes"]);
    assert_eq!((code, said.contains("1 line dropped")), (Some(0), true), "{said}");
    assert_eq!(rig.run(&["outbox", "list"]).1, "");
    rig.stop();
}

//! Tests of `pblink serve` when its outputs cannot be written, when it is asked to end, and without
//! pblink.toml. Real processes and real sockets.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::process::{Serve, output, pblink, stderr};

/// Returns a client that says its id, and may say more.
fn client(address: &str, first: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(first.as_bytes()).unwrap();
    client
}

/// Starts `pblink serve` whose stdout and stderr are these; stderr is a pipe if `None`.
fn start(stdout: impl Into<Stdio>, stderr: Option<Stdio>, args: &[&str]) -> Child {
    let all = [&["serve", "--listen", "127.0.0.1:0", "--control", "off"], args].concat();
    let stderr = stderr.unwrap_or_else(Stdio::piped);
    pblink(&all).stdout(stdout).stderr(stderr).spawn().unwrap()
}

/// Reads until a line contains `words`, and returns it.
fn line_with(reader: &mut impl BufRead, words: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "no {words:?} in {all}");
        if line.contains(words) {
            return line;
        }
        all += &line;
    }
}

/// Returns the address on which a server listens, from its greeting.
fn address(said: &mut impl BufRead) -> String {
    let line = line_with(said, "serving boards at ");
    line.split("at ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Returns a pipe whose reader is gone.
fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_of_stdout_that_goes_away_stops_the_server_with_an_error() {
    let mut child = start(Stdio::piped(), None, &["--any-client"]);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let address = address(&mut said);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    line_with(&mut out, "server listens");
    drop(out);
    let mut client = client(&address, "1\n\n00hello\n");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut answer = String::new();
    // The server may have left bytes of ours unread: a reset is as good as an end.
    let _ = client.read_to_string(&mut answer);
    assert_eq!(answer.trim(), "", "what was not printed is not acknowledged");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("pblink: error: whoever read standard output"), "{rest}");
    assert!(!rest.contains("panicked"), "{rest}");
}

#[test]
fn a_pipe_that_does_not_wait_is_written_as_one_that_does() {
    use rustix::fs::{OFlags, fcntl_setfl};
    let (reader, writer) = full_pipe();
    // Whoever shares a terminal or a pipe with others may find it so.
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    let mut child = start(writer, None, &["--any-client"]);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut client = client(&address(&mut said), "1\n\n00hello\n");
    client.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    // Keepalives come, and nothing else: the server lives, and has printed nothing.
    let mut early = [0; 3];
    client.read_exact(&mut early).unwrap();
    assert_eq!(early, *b"\n\n\n");
    let mut out = BufReader::new(reader);
    line_with(&mut out, "1 → hello");
    line_with(&mut BufReader::new(client), "00");
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_once_and_holds_everything_until_there_is_room() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    // The limit of a file's size stands in for a disk: it can be raised while the server runs.
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -S -f 1 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pblink")])
        .args(["serve", "--listen", "127.0.0.1:0", "--control", "off", "--any-client"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(File::create(&path).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let address = address(&mut said);
    let mut client = client(&address, "1\n\n");
    let text = "x".repeat(300);
    for n in 0..10 {
        writeln!(client, "{n:02x}{n} {text}").unwrap();
    }
    let full = line_with(&mut said, "full");
    assert!(full.starts_with("pblink: warning: standard output cannot be written"), "{full}");
    // What is not written is not acknowledged.
    let written = std::fs::read_to_string(&path).unwrap().matches("x\n").count();
    client.set_nonblocking(true).unwrap();
    let mut early = Vec::new();
    let _ = client.read_to_end(&mut early);
    client.set_nonblocking(false).unwrap();
    let mut acked = String::from_utf8(early).unwrap().lines().filter(|l| !l.is_empty()).count();
    assert!(acked <= written, "{acked} acknowledged, {written} written");
    let mut acks = BufReader::new(client.try_clone().unwrap()).lines().map(Result::unwrap);
    let pid = Pid::from_raw(child.id().cast_signed());
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    let again = line_with(&mut said, "pblink: ");
    assert!(again.contains("written again"), "said once: {again}");
    while acked < 10 {
        acked += usize::from(!acks.next().unwrap().is_empty());
    }
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let printed = std::fs::read_to_string(&path).unwrap();
    for n in 0..10 {
        let line = format!("1 → {n} {text}\n");
        assert_eq!(printed.matches(&line).count(), 1, "{n} in {printed}");
    }
}

#[test]
fn diagnostics_that_cannot_be_written_change_nothing() {
    for broken in [broken_pipe(), File::options().write(true).open("/dev/full").unwrap().into()] {
        let mut child =
            start(Stdio::piped(), Some(broken), &["--any-client", "--app", "echo", "-vvv"]);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let line = line_with(&mut out, "server listens at ");
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        // A line that is too long to be returned is worth a warning, which ends no task.
        let long = "y".repeat(1100);
        let mut client = client(&address, &format!("1\n\n00{long}\n01short\n"));
        client.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let mut back = BufReader::new(client.try_clone().unwrap());
        line_with(&mut back, "short");
        client.write_all(b"00\n").unwrap();
        kill(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

/// Returns a pipe that is full, and its reader.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    use rustix::fs::{OFlags, fcntl_setfl};
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 512]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

#[test]
fn diagnostics_that_nobody_reads_hold_nothing_up_and_are_counted() {
    let (reader, writer) = full_pipe();
    let mut child =
        start(Stdio::piped(), Some(writer.into()), &["--any-client", "--app", "echo", "-vv"]);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (listens, listening) = std::sync::mpsc::channel();
    std::thread::spawn(move || listens.send((line_with(&mut out, "server listens at "), out)));
    let (line, _out) =
        listening.recv_timeout(std::time::Duration::from_secs(60)).expect("it starts");
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    let mut client = client(&address, "1\n\n00hello\n");
    client.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let mut back = BufReader::new(client.try_clone().unwrap());
    line_with(&mut back, "hello");
    client.write_all(b"00\n").unwrap();
    // Whoever reads again learns how much is missing.
    let mut said = BufReader::new(reader);
    let (sender, lost) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(line_with(&mut said, "warning: ")));
    let lost = loop {
        // Each connection is worth a diagnostic.
        drop(TcpStream::connect(&address));
        if let Ok(line) = lost.recv_timeout(std::time::Duration::from_millis(20)) {
            break line;
        }
    };
    assert!(lost.contains("diagnostics were lost: standard error was not read"), "{lost}");
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_error_that_cannot_be_written_keeps_its_exit_code() {
    for (args, code) in [
        (&["serve", "--config", "none.toml"][..], 3),
        (&["serve", "--control", "on"], 2),
        (&["config", "set", "no.key", "1"], 2),
        (&["monitor", "--connect", "127.0.0.1:1"], 4),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        for broken in [broken_pipe(), full.into()] {
            let status = pblink(args).stdout(Stdio::null()).stderr(broken).status().unwrap();
            assert_eq!(status.code(), Some(code), "{args:?}");
        }
    }
}

#[test]
fn each_signal_lets_what_has_come_be_printed() {
    for signal in ["-INT", "-TERM"] {
        let mut serve = Serve::start(&["--any-client"]);
        let mut client = client(&serve.address, "1\n\n");
        for n in 0..50 {
            writeln!(client, "{n:02x}{n}").unwrap();
        }
        let mut acks = BufReader::new(client.try_clone().unwrap());
        line_with(&mut acks, "31");
        serve.signal(signal);
        for n in 0..50 {
            assert_eq!(serve.wait_for("line_in")["line"], n.to_string(), "{signal}");
        }
        let (code, said) = serve.end();
        assert_eq!(code, Some(0), "{signal}: {said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_lost_terminal_does_not_stop_the_server() {
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pblink")])
        .args(["serve", "--listen", "127.0.0.1:0", "--control", "off", "--any-client"])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = address(&mut BufReader::new(child.stderr.take().unwrap()));
    kill(&child, "-HUP");
    let _client = client(&address, "1\n\n00still here\n");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    line_with(&mut out, "1 → still here");
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_configuration_it_prints_lines_of_this_machine_only_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // A port alone says nothing about who may connect.
    let mut child = pblink(&["serve", "--listen", "0", "--control", "off"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let note = line_with(&mut said, "only this machine can connect");
    assert!(note.starts_with("pblink: note: ") && note.contains("pblink config init"), "{note}");
    let greeting = line_with(&mut said, "serving boards at 127.0.0.1:");
    assert!(greeting.contains("app print"), "{greeting}");
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// That it is found is tested with the library: `serve/tests/announce.rs`.
#[test]
#[cfg(feature = "mdns")]
fn a_server_that_others_reach_is_announced_unless_it_is_not_to_be() {
    let said = |args: &[&str]| {
        let serve = Serve::start(&[args, &["--any-client"]].concat());
        serve.signal("-TERM");
        let (code, said) = serve.end();
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let port = crate::process::free_port();
    let listen = format!("0.0.0.0:{port}");
    let open = said(&["--listen", &listen]);
    let line = open.lines().find(|line| line.contains("_pblink._tcp")).expect(&open);
    assert!(line.starts_with("pblink: announced on the network as "), "{line}");
    assert!(line.contains(&format!("-{port} (")) && line.ends_with(".local"), "{line}");
    let quiet = said(&["--listen", &listen, "--no-mdns"]);
    assert!(!quiet.contains("announced"), "{quiet}");
    let here = said(&["--listen", "127.0.0.1:0"]);
    assert!(!here.contains("announced"), "{here}");
}

#[test]
fn the_old_name_of_print_is_still_taken() {
    let mut serve = Serve::start(&["--any-client", "--app", "log"]);
    let _client = client(&serve.address, "1\n\n00hello\n");
    assert_eq!(serve.wait_for("line_in")["line"], "hello");
}

#[test]
fn quiet_keeps_all_but_errors_off_stderr() {
    let mut child = start(Stdio::piped(), None, &["--any-client", "--quiet"]);
    line_with(&mut BufReader::new(child.stdout.as_mut().unwrap()), "server listens");
    kill(&child, "-TERM");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), &*said), (Some(0), ""));
    let failed = output(&["serve", "-q", "--config", "none.toml"]);
    assert!(stderr(&failed).starts_with("pblink: error: "), "{}", stderr(&failed));
}

#[test]
fn all_diagnostics_wear_one_dress() {
    for args in [&["serve", "--no-such-flag"][..], &["serve", "--config", "none.toml"]] {
        let said = stderr(&output(args));
        assert!(said.starts_with("pblink: error: "), "{args:?}: {said}");
    }
}

#[test]
fn a_filter_that_makes_no_sense_is_an_error() {
    for nonsense in ["banana", "pblink_server=loud", "=="] {
        let output = pblink(&["config", "check"]).env("PBLINK_LOG", nonsense).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{nonsense}: {said}");
        assert!(said.starts_with("pblink: error: PBLINK_LOG"), "{said}");
    }
    let sense = pblink(&["config", "check"]).env("PBLINK_LOG", "pblink_server=debug,warn").output();
    assert_eq!(sense.unwrap().status.code(), Some(0));
}

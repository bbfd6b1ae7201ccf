//! `demo`, `serve` and `simulate` as programs: real processes, real sockets, real time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::process::{Serve, control_address, ledger, output, pblink, stderr};
use serde_json::Value;

#[test]
fn the_demo_ends_by_itself_with_a_clean_ledger_although_network_and_server_went_away() {
    let output = output(&["demo", "--boards", "2", "--for", "14s", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let ledger = ledger(&output);
    assert_eq!((&ledger["boards"], &ledger["clean"]), (&2.into(), &true.into()), "{ledger}");
    for way in ["to_server", "to_boards"] {
        assert!(ledger[way]["written"].as_u64() > Some(0), "{ledger}");
        assert_eq!(ledger[way]["written"], ledger[way]["arrived"], "{ledger}");
    }
    let events = String::from_utf8_lossy(&output.stdout);
    for event in ["outage_began", "outage_ended", "stopped", "report"] {
        assert!(events.contains(&format!("\"event\":\"{event}\"")), "no {event}: {events}");
    }
}

#[test]
fn the_demo_prints_lines_for_people_when_nobody_looks_at_a_screen() {
    let output = output(&["demo", "--boards", "1", "--for", "4s", "--calm"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("1: connected from 127.0.0.1"), "{text}");
    assert!(text.ends_with("every line arrived once and in order\n"), "{text}");
    assert!(!text.contains('\x1b'), "no colours, no cursor movements: {text:?}");
}

#[test]
fn a_demo_that_is_stopped_while_its_server_restarts_still_loses_nothing() {
    // Many boards, so that some of the server's lines fall into its last moments.
    let mut demo = pblink(&["demo", "--boards", "20", "--for", "10s", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"event\":\"stopped\"")), "the server never stops");
    let kill = Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let ledger = lines.last().unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(0), "{ledger}");
    assert!(ledger.contains("\"clean\":true"), "{ledger}");
}

#[test]
fn a_simulated_board_and_the_server_exchange_lines() {
    let mut serve = Serve::start(&["--client", "board", "--app", "echo"]);
    let address = serve.address.clone();
    let simulate = std::thread::spawn(move || {
        let args = ["--count", "25", "--every", "60", "--report-s", "1", "--json"];
        output(&[&["simulate", "--server", &address, "--client", "board"], &args[..]].concat())
    });
    assert_eq!(serve.wait_for("connected")["id"], "board");
    let output = simulate.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let ledger = ledger(&output);
    assert_eq!(ledger["to_server"]["arrived"], 25, "{ledger}");
    assert_eq!(ledger["returned"]["arrived"], 25, "{ledger}");
    assert_eq!(ledger["returned"]["duplicated"], 0, "{ledger}");
    let began = serve.wait_for("outage_began");
    assert_eq!((&began["id"], &began["cause"]), (&"board".into(), &"closed_by_peer".into()));
    serve.signal("-INT");
    serve.wait_for("stopped");
    let (code, said) = serve.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn lines_of_clients_are_printed_and_reports_are_taken_out() {
    let mut serve = Serve::start(&["--any-client", "--app", "log"]);
    let mut client = TcpStream::connect(&serve.address).unwrap();
    client.write_all(b"a board\n\n00[1, 2, 3]\n01{\"pblink\":{\"report\":[4,5,6]}}\n").unwrap();
    let line = serve.wait_for("line_in");
    assert_eq!((&line["id"], &line["line"]), (&"a board".into(), &"[1, 2, 3]".into()));
    // Keepalives may stand between them.
    let acks = BufReader::new(&client).lines().map(Result::unwrap).filter(|line| !line.is_empty());
    // The report is taken at once, the line when it is printed.
    let acks: std::collections::BTreeSet<_> = acks.take(2).collect();
    assert!(acks.iter().eq(["00", "01"]), "{acks:?}");
    // The two kinds of news come by different ways; the report may have been printed before.
    drop(client);
    serve.wait_for("outage_began");
}

#[test]
fn clients_that_are_not_expected_are_refused() {
    let mut serve = Serve::start(&["--client", "1"]);
    let mut stranger = TcpStream::connect(&serve.address).unwrap();
    stranger.write_all(b"stranger\n").unwrap();
    let refused = serve.wait_for("refused");
    let expected = (&"stranger".into(), &"unknown_id".into());
    assert_eq!((&refused["id"], &refused["reason"]), expected);
    let mut rest = Vec::new();
    stranger.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "closed without a byte");
}

#[test]
fn clients_that_are_not_expected_may_be_let_in() {
    let mut serve = Serve::start(&["--client", "1", "--any-client"]);
    let mut stranger = TcpStream::connect(&serve.address).unwrap();
    stranger.write_all(b"stranger\n").unwrap();
    assert_eq!(serve.wait_for("connected")["id"], "stranger");
}

#[test]
fn the_monitor_and_curl_see_the_same_server() {
    let mut serve = Serve::start(&["--any-client", "--app", "log", "--control", "127.0.0.1:0"]);
    let mut said = BufReader::new(serve.child.stderr.take().unwrap());
    let url = control_address(&mut said);
    let mut client = TcpStream::connect(&serve.address).unwrap();
    client.write_all(b"1\n\n00hello\n").unwrap();
    serve.wait_for("line_in");
    let mut http = TcpStream::connect(&url).unwrap();
    write!(http, "GET /api/v1/links/1 HTTP/1.1\r\nHost: {url}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let link: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&link["state"], &link["lines_in"]), (&"up".into(), &1.into()), "{link}");
    serve.child.stderr = Some(said.into_inner());
    serve.signal("-TERM");
    let (code, _) = serve.end();
    assert_eq!(code, Some(0));
}

#[test]
fn a_reader_that_hangs_does_not_keep_the_server_from_stopping() {
    let mut serve = Serve::start(&["--any-client", "--app", "log", "--control", "127.0.0.1:0"]);
    let mut said = BufReader::new(serve.child.stderr.take().unwrap());
    let url = control_address(&mut said);
    let mut http = TcpStream::connect(&url).unwrap();
    write!(http, "GET /api/v1/events HTTP/1.1\r\nHost: {url}\r\n\r\n").unwrap();
    // From here on nobody reads stdout. Lines come until the application cannot pass them on.
    let mut client = TcpStream::connect(&serve.address).unwrap();
    client.write_all(b"1\n\n").unwrap();
    let text = "x".repeat(300);
    for n in 0..4000 {
        writeln!(client, "{:02x}{n} {text}", if n == 0 { 0 } else { (n - 1) % 255 + 1 }).unwrap();
    }
    let mut events = BufReader::new(http).lines().map(Result::unwrap);
    assert!(events.any(|line| line.contains("queue_full")), "the events ended");
    serve.signal("-TERM");
    // Its stderr is closed when it has ended.
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut rest = String::new();
        ended.send(said.read_to_string(&mut rest).map(|_| rest))
    });
    end.recv_timeout(std::time::Duration::from_secs(60)).expect("it ends").unwrap();
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
}

#[test]
fn whoever_reads_the_first_lines_only_ends_the_program() {
    let serve = Serve::start(&["--any-client", "--app", "echo"]);
    let simulate = ["simulate", "--server", &serve.address, "--client", "1", "--every", "100"];
    // Both would continue for ever, or nearly.
    for args in [&simulate[..], &["demo", "--boards", "1", "--for", "1h", "--calm"]] {
        let mut child = pblink(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.next().unwrap().unwrap();
        drop(lines);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
}

/// Returns the first thing that a board says about its server.
fn complaint(server: &str, client: &str) -> String {
    let args = ["simulate", "--server", server, "--client", client, "--json"];
    let mut child = pblink(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut events = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
    let found = events.find(|event| event["event"] == "board" && event["layer"] == "server");
    child.kill().unwrap();
    child.wait().unwrap();
    found.unwrap()["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_board_says_why_it_does_not_reach_its_server() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = complaint(&closed.to_string(), "1");
    assert_eq!(
        said,
        format!(
            "cannot reach the server at {closed} (connection refused: nobody listens at this port); retrying"
        )
    );
    let said = complaint("no-such-host.invalid:8123", "1");
    assert_eq!(
        said,
        "cannot reach the server at no-such-host.invalid:8123 (no such name); retrying"
    );
    let serve = Serve::start(&["--client", "kitchen"]);
    let said = complaint(&serve.address, "attic");
    assert!(said.contains("refuses the id \"attic\" (not in its list of clients"), "{said}");
    // One that is connected already is refused in the same way.
    let mut first = TcpStream::connect(&serve.address).unwrap();
    first.write_all(b"kitchen\n").unwrap();
    // It answers each keepalive of the server.
    let alive = std::thread::spawn(move || {
        while first.read(&mut [0]).is_ok_and(|n| n > 0) && first.write_all(b"\n").is_ok() {}
    });
    let said = complaint(&serve.address, "kitchen");
    assert!(said.contains("or connected already"), "{said}");
    drop(serve);
    alive.join().unwrap();
}

/// Case 7: only what is the same to the last byte is an echo.
/// Returns a link-local address of this machine, with its zone.
fn link_local() -> Option<String> {
    let all = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    all.lines().find_map(|line| {
        let bits = u128::from_str_radix(line.get(..32)?, 16).ok()?;
        let ip = std::net::Ipv6Addr::from_bits(bits);
        let zone = line.split_whitespace().last()?;
        ip.is_unicast_link_local().then(|| format!("{ip}%{zone}"))
    })
}

#[test]
fn a_server_is_reached_at_a_link_local_address_with_its_zone() {
    let Some(here) = link_local() else {
        return eprintln!("passed over: no interface has a link-local IPv6 address");
    };
    let mut serve = Serve::start(&["--any-client", "--listen", "[::]:0", "--control", "[::]:0"]);
    let (_, port) = serve.address.rsplit_once(':').unwrap();
    let server = format!("[{here}]:{port}");
    let args = ["simulate", "--server", &server, "--client", "1", "--count", "3", "--every", "60"];
    let simulate = output(&[&args[..], &["--for", "60s", "--json"]].concat());
    assert_eq!(simulate.status.code(), Some(0), "{}", stderr(&simulate));
    assert_eq!(ledger(&simulate)["to_server"]["arrived"], 3);
    let mut said = BufReader::new(serve.child.stderr.take().unwrap());
    let control = control_address(&mut said);
    let (_, port) = control.rsplit_once(':').unwrap();
    // From there a token is needed: the server itself says so.
    let status = output(&["status", "--url", &format!("http://[{here}]:{port}")]);
    assert!(status.status.code() == Some(3), "{}", stderr(&status));
    assert!(stderr(&status).contains("token"), "{}", stderr(&status));

    let (address, _) = here.split_once('%').unwrap();
    let elsewhere = complaint(&format!("[{address}%no-such-if]:1"), "1");
    assert!(elsewhere.contains("this machine has no interface no-such-if"), "{elsewhere}");
}

#[test]
fn a_server_that_sends_lists_of_its_own_is_not_taken_for_one_that_returns_lines() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // As the published demo's server does: its own numbers, and what it has received last.
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        lines.next().unwrap().unwrap();
        stream.write_all(b"\n").unwrap();
        let mut sent = 0;
        while let Some(Ok(line)) = lines.next() {
            let Some((id, text)) = line.split_at_checked(2).filter(|(_, text)| !text.is_empty())
            else {
                continue;
            };
            // Acknowledged, and answered by a list with the same number and another time.
            let list = text.replacen(", ", ", 1", 1);
            let answer = format!("{id}\n{sent:02x}{list}\n");
            sent += 1;
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let output = output(&[
        "simulate", "--server", &address, "--client", "1", "--every", "60", "--count", "10",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let ledger = ledger(&output);
    assert_eq!(
        (&ledger["returned"], &ledger["to_server"]["arrived"]),
        (&serde_json::Value::Null, &10.into())
    );
    assert!(ledger["other_lines"].as_u64() > Some(0), "{ledger}");
    assert_eq!((&ledger["v"], &ledger["client"]), (&1.into(), &"1".into()));
    server.join().unwrap();
}

#[test]
fn when_its_time_is_over_a_board_waits_for_what_is_on_its_way() {
    let serve = Serve::start(&["--app", "echo"]);
    let server = serve.address.to_string();
    // Each waits for the acknowledgement of the one before, so that some are always on their way.
    let output = output(&[
        "simulate", "--server", &server, "--client", "1", "--every", "50ms", "--for", "4s",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let ledger = ledger(&output);
    assert!(ledger["to_server"]["arrived"].as_u64() > Some(10), "{ledger}");
    assert_eq!(ledger["returned"]["missing"], 0, "{ledger}");
}

#[test]
fn lines_that_never_arrived_are_code_5() {
    // A port on which nobody listens: bound, but not accepting.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = free.to_string();
    let output = output(&[
        "simulate", "--server", &server, "--client", "1", "--every", "100", "--for", "3s", "--json",
    ]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let ledger = ledger(&output);
    assert!(ledger["to_server"]["missing"].as_u64() > Some(0), "{ledger}");
    assert_eq!(ledger["to_server"]["arrived"], 0, "{ledger}");
}

#[test]
fn wrong_input_is_named_and_nothing_is_started() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], i32, &str); 14] = [
        (&["serve", "--listen", "kitchen"], 2, "localhost:8123"),
        (&["serve", "--listen", "127.0.0.1:0", "--client", ""], 2, "the id is empty"),
        (&["serve", "--control", "on"], 2, "off"),
        (&["serve", "--timeout-ms", "10"], 2, "100"),
        (&["serve", "--config", "none.toml"], 3, "none.toml"),
        (&["serve", "--listen", &taken, "--control", "off"], 4, "another program"),
        (&["simulate", "--server", "here", "--client", "1"], 2, "HOST:PORT"),
        (&["simulate", "--server", "127.0.0.1:1", "--client", "a\nb"], 2, "control character"),
        (&["simulate", "--server", "http://pi:1", "--client", "1"], 2, "HOST:PORT"),
        (&["simulate", "--server", "a b:1", "--client", "1"], 2, "HOST:PORT"),
        (&["simulate", "--server", "::1:8123", "--client", "1"], 2, "[::1]:8123"),
        (&["simulate", "--timeout", "2 apples"], 2, "a time from 100ms to 1min, such as 2s"),
        (&["demo", "--for", "soon"], 2, "soon"),
        (&["demo", "--for", "banana"], 2, "500ms, 2s or 2min"),
    ];
    for (args, code, word) in cases {
        let output = output(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(word), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}: stdout is for results");
    }
}

/// The system stops the process (SIGSTOP, a laptop's lid) and continues it: what has come meanwhile is
/// read before silence counts.
#[test]
fn a_server_that_was_stopped_and_goes_on_takes_no_living_link_for_dead() {
    let mut serve = Serve::start(&["--app", "log", "--timeout-ms", "2000"]);
    let mut client = TcpStream::connect(&serve.address).unwrap();
    client.write_all(b"1\n\n").unwrap();
    serve.wait_for("connected");
    // Another server with the same time-out shows when it has passed.
    let mut witness = Serve::start(&["--app", "log", "--timeout-ms", "2000"]);
    let mut answers = BufReader::new(client.try_clone().unwrap()).lines();
    for n in 0..2 {
        serve.signal("-STOP");
        let mut silent = TcpStream::connect(&witness.address).unwrap();
        silent.write_all(b"1\n\n").unwrap();
        witness.wait_for("outage_began");
        client.write_all(b"\n").unwrap();
        serve.signal("-CONT");
        client.write_all(format!("0{n}alive\n").as_bytes()).unwrap();
        let ack = format!("0{n}");
        assert!(answers.by_ref().any(|line| line.unwrap() == ack), "the link was closed");
    }
    serve.signal("-TERM");
    while let Some(event) = serve.next() {
        let own_fault = event["event"] == "outage_began" && event["cause"] != "shutdown";
        assert!(!own_fault && event["event"] != "refused", "{event}");
    }
}

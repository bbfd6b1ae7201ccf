//! The points at which the reference's server breaks, and ours must not: one test for each.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::pin;

use crate::common::{
    App, PATIENT, Peer, SHORT, is_ready, read, refused_times, server, soon, start, until,
};
use pblink_server::{BadText, Cause, Delivery, EventKind, Refusal, Server, WriteError};
use tokio::net::TcpSocket;

/// Shows that the server serves: a client of its own gets a line through, both ways.
async fn still_serves(server: &Server) {
    let mut peer = Peer::hello(server, "witness").await;
    let connection = soon(server.client("witness")).await;
    peer.tell(&connection, "00still there").await;
    let write = connection.write("yes", Delivery::ORDERED);
    let (written, ()) = soon(async { tokio::join!(write, peer.answer("00yes")) }).await;
    written.unwrap();
}

fn refused(event: &EventKind) -> Option<Refusal> {
    match event {
        EventKind::Refused { reason, .. } => Some(*reason),
        _ => None,
    }
}

fn outage(event: &EventKind) -> Option<Cause> {
    match event {
        EventKind::OutageBegan { cause, .. } => Some(*cause),
        _ => None,
    }
}

#[tokio::test]
async fn w01_hello_of_invalid_utf8_does_not_stop_the_server() {
    let server = server(PATIENT).await;
    let mut events = server.events();
    for (n, hello) in [&b"\xff\xfe\n"[..], b"\n", b"a\tb\n"].into_iter().enumerate() {
        let mut peer = Peer::silent(server.local_addr()).await;
        peer.send(hello).await;
        assert_eq!(peer.rest().await, b"");
        refused_times(&server, Refusal::BadHello, n as u64 + 1).await;
    }
    let event = until(&mut events, |e| refused(e).is_some()).await;
    assert_eq!(refused(&event.kind), Some(Refusal::BadHello));
    still_serves(&server).await;
}

#[tokio::test]
async fn w02_lines_that_are_none_are_ignored_now_and_after_a_reconnect() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut events = server.events();
    for round in 0..2 {
        let mut peer = Peer::hello(&server, "1").await;
        peer.send(b"zz\nhello world\n05\xff\xfe\n5\n").await;
        for start in ["zz", "hello world", "05\\xff\\xfe", "5"] {
            let event = until(&mut events, |e| matches!(e, EventKind::InvalidLine { .. })).await;
            let expected = EventKind::InvalidLine { id: "1".into(), start: start.into() };
            assert_eq!(event.kind, expected);
        }
        peer.say(&format!("0{}fine", round + 1)).await;
        drop(peer);
        until(&mut events, |e| outage(e).is_some()).await;
    }
    let connection = server.link("1").unwrap();
    assert_eq!(connection.status().invalid_lines, 8);
    for _ in 0..2 {
        assert_eq!(app.read("1").await, "fine");
    }
}

#[tokio::test]
async fn w03_a_character_may_be_split_over_two_segments() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut peer = Peer::hello(&server, "1").await;
    // The acknowledgement shows that the server has read the first half.
    peer.send(b"00a\n01caf\xc3").await;
    peer.expect(&["00"]).await;
    peer.send(b"\xa9\n").await;
    peer.expect(&["01"]).await;
    assert_eq!(app.read("1").await, "a");
    assert_eq!(app.read("1").await, "café");
}

#[tokio::test]
async fn w04_half_a_line_is_forgotten_when_the_connection_ends() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut events = server.events();
    let mut peer = Peer::hello(&server, "1").await;
    peer.send(b"04a\n05{\"v\": 1").await;
    peer.expect(&["04"]).await;
    drop(peer);
    until(&mut events, |e| outage(e).is_some()).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.say("05{\"v\": 123}").await;
    assert_eq!(app.read("1").await, "a");
    assert_eq!(app.read("1").await, "{\"v\": 123}");
}

/// Connects, sends, waits until the server has taken all, and cuts: the acknowledgements are lost.
async fn say_and_lose_the_acks(server: &Server, messages: &[&str]) {
    let mut events = server.events();
    let mut peer = Peer::hello(server, "1").await;
    for message in messages {
        peer.send(format!("{message}\n")).await;
        peer.line().await.expect("an acknowledgement");
    }
    drop(peer);
    until(&mut events, |e| outage(e).is_some()).await;
}

#[tokio::test]
async fn w05_message_0_is_delivered_once_when_its_acknowledgement_is_lost() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    say_and_lose_the_acks(&server, &["00first"]).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.say("00first").await;
    peer.say("01second").await;
    // Over the same connection it is a repetition however much came in between.
    peer.say("00first").await;
    let connection = soon(server.client("1")).await;
    assert_eq!(app.read("1").await, "first");
    assert_eq!(app.read("1").await, "second");
    let status = connection.status();
    assert_eq!((status.lines_in, status.duplicates, app.unread("1")), (2, 2, 0));
}

#[tokio::test]
async fn w05_exception_a_repeated_start_with_several_lines_looks_like_a_reboot() {
    // These two look alike on the wire: a board that repeats 00 and 01 after an outage, and one that
    // was rebooted and begins with the same words. Losing what is new would be worse than doubling.
    let server = server(PATIENT).await;
    let app = App::start(&server);
    say_and_lose_the_acks(&server, &["00boot", "01hello"]).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.say("00boot").await;
    peer.say("01hello").await;
    for line in ["boot", "hello", "boot", "hello"] {
        assert_eq!(app.read("1").await, line);
    }
}

#[tokio::test]
async fn w06_after_a_reboot_messages_may_come_before_number_0() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    say_and_lose_the_acks(&server, &["00old0", "01old1", "02old2"]).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.say("01new1").await;
    peer.say("00new0").await;
    peer.say("01new1").await; // repeated
    for line in ["old0", "old1", "old2", "new1", "new0"] {
        assert_eq!(app.read("1").await, line);
    }
    assert_eq!(app.unread("1"), 0);
}

#[tokio::test]
async fn w06_exception_the_same_words_before_number_0_are_taken_for_a_repetition() {
    // What comes before 00 has only its text to show that it is new.
    let server = server(PATIENT).await;
    let app = App::start(&server);
    say_and_lose_the_acks(&server, &["00old0", "01same"]).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.say("01same").await;
    let connection = soon(server.client("1")).await;
    assert_eq!(app.read("1").await, "old0");
    assert_eq!(app.read("1").await, "same");
    let status = connection.status();
    assert_eq!((app.unread("1"), status.duplicates), (0, 1));
}

#[tokio::test]
async fn w07_numbers_that_never_came_do_not_make_later_messages_duplicates() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut peer = Peer::hello(&server, "1").await;
    // Best-effort lines of the client that were lost: 20 numbers in the first round. The text is
    // always the same, so that only the numbers can tell.
    let first = (0..=255).filter(|n| !(40..60).contains(n));
    let numbers: Vec<_> = first.chain(1..=255).chain(1..=30).collect();
    for n in &numbers {
        peer.say(&format!("{n:02x}same")).await;
    }
    let status = soon(server.client("1")).await.status();
    assert_eq!(status.duplicates, 0);
    assert_eq!(app.unread("1"), numbers.len());
}

#[tokio::test]
async fn w07_exception_after_a_gap_of_half_the_numbers_the_same_words_count_as_repeated() {
    // Numbers 2 to 200 are lost, and 01 comes round again. A number more than 127 ahead of the
    // newest looks like an old one, so the window still remembers the first 01.
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut peer = Peer::hello(&server, "1").await;
    for message in ["00a", "01same", "c9b", "01same"] {
        peer.say(message).await;
    }
    let connection = soon(server.client("1")).await;
    let status = connection.status();
    assert_eq!((app.unread("1"), status.duplicates), (3, 1));
    // Other words show that it is new.
    peer.say("01other").await;
    assert_eq!(app.unread("1"), 4);
}

#[tokio::test]
async fn w08_only_two_lower_case_hex_digits_are_a_number() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut peer = Peer::hello(&server, "1").await;
    peer.say("00a").await;
    peer.say("01b").await;
    peer.send(b" 9x\n+7x\n-1x\n0Ax\n0xx\n -\n").await;
    // The reference has now forgotten what it has seen.
    peer.say("01b").await;
    let connection = soon(server.client("1")).await;
    let status = connection.status();
    assert_eq!((app.unread("1"), status.duplicates, status.invalid_lines), (2, 1, 6));
}

#[tokio::test]
async fn w09_an_unacknowledged_best_effort_line_blocks_nothing() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("\n").await;
    let connection = soon(server.client("1")).await;
    // Number 0 is guaranteed whatever was asked for.
    let write = connection.write("first", Delivery::BestEffort);
    let (written, ()) = soon(async { tokio::join!(write, peer.answer("00first")) }).await;
    written.unwrap();
    soon(connection.write("lost", Delivery::BestEffort)).await.unwrap();
    let write = connection.write("kept", Delivery::ORDERED);
    let client = async {
        peer.expect(&["01lost"]).await;
        peer.answer("02kept").await;
    };
    let (written, ()) = soon(async { tokio::join!(write, client) }).await;
    written.unwrap();
}

#[tokio::test]
async fn w10_only_what_can_be_one_line_is_written() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("\n").await;
    let connection = soon(server.client("1")).await;
    for (text, why) in [
        ("", BadText::Empty),
        ("\n", BadText::Empty),
        ("a\nb", BadText::Newline),
        ("a\n\n", BadText::Newline),
    ] {
        let result = soon(connection.write(text, Delivery::ORDERED)).await;
        assert_eq!(result, Err(WriteError::Text(why)), "{text:?}");
    }
    let long = "x".repeat(1025);
    let result = soon(connection.write(&long, Delivery::ORDERED)).await;
    let expected = WriteError::TooLong { len: 1025, max: 1024 };
    assert_eq!(result, Err(expected));
    let write = connection.write("a\n", Delivery::ORDERED);
    let (written, ()) = soon(async { tokio::join!(write, peer.answer("00a")) }).await;
    written.unwrap();
}

#[tokio::test]
async fn w11_silent_connections_hold_nobody_up() {
    let server = server(PATIENT).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Peer::silent(server.local_addr()).await);
    }
    still_serves(&server).await;
    // They are still there: none of them had to go first.
    assert!(server.link("witness").is_some());
    for peer in &mut silent {
        peer.send("witness-").await;
    }
}

#[tokio::test]
async fn w11_who_sends_no_hello_is_closed_after_the_time_out() {
    let server = server(SHORT).await;
    let mut events = server.events();
    let mut silent = Peer::silent(server.local_addr()).await;
    let mut slow = Peer::silent(server.local_addr()).await;
    slow.send("half an i").await;
    refused_times(&server, Refusal::HelloTimeout, 2).await;
    let event = until(&mut events, |e| refused(e).is_some()).await;
    assert_eq!(refused(&event.kind), Some(Refusal::HelloTimeout));
    assert_eq!(silent.rest().await, b"");
    assert_eq!(slow.rest().await, b"");
}

#[tokio::test]
async fn w12_an_endless_hello_is_cut() {
    let server = server(PATIENT).await;
    let mut events = server.events();
    for (n, hello) in [vec![b'x'; 1 << 20], vec![b'x'; 65]].into_iter().enumerate() {
        let mut peer = Peer::silent(server.local_addr()).await;
        // The server closes before it has all of the long one.
        let _ = soon(tokio::io::AsyncWriteExt::write_all(&mut peer.write, &hello)).await;
        refused_times(&server, Refusal::HelloTooLong, n as u64 + 1).await;
        peer.rest().await;
    }
    let event = until(&mut events, |e| refused(e).is_some()).await;
    assert_eq!(refused(&event.kind), Some(Refusal::HelloTooLong));
    still_serves(&server).await;
    // The longest id that is allowed.
    let id = "x".repeat(64);
    let mut peer = Peer::hello(&server, &id).await;
    peer.tell(&soon(server.client(&id)).await, "00a").await;
    assert!(server.link(&id).is_some());
}

#[tokio::test]
async fn w13_an_endless_line_is_cut_with_its_cause() {
    // Once in many segments, once in one.
    for (limit, line) in [(64 * 1024, vec![b'0'; 1 << 20]), (100, vec![b'0'; 120])] {
        let server = start(Server::builder().timeout(PATIENT).max_line(limit)).await;
        let mut events = server.events();
        let mut peer = Peer::hello(&server, "1").await;
        let _ = soon(tokio::io::AsyncWriteExt::write_all(&mut peer.write, &line)).await;
        let _ = soon(tokio::io::AsyncWriteExt::write_all(&mut peer.write, b"\n")).await;
        let event = until(&mut events, |e| outage(e).is_some()).await;
        assert_eq!(outage(&event.kind), Some(Cause::LineTooLong));
        let mut peer = Peer::hello(&server, "1").await;
        // As long as is allowed.
        let connection = soon(server.client("1")).await;
        peer.tell(&connection, &format!("00{}", "x".repeat(limit - 2))).await;
    }
}

#[tokio::test]
async fn w14_a_flooding_client_neither_starves_others_nor_fills_the_memory() {
    let server = start(Server::builder().timeout(PATIENT).queue(100, 10_000)).await;
    let mut flood = Peer::hello(&server, "flood").await;
    let flooding = tokio::spawn(async move {
        let text = "x".repeat(50);
        let lines: String = (0..=255).map(|n| format!("{n:02x}{text}\n")).collect();
        loop {
            flood.send(&lines).await;
        }
    });
    let connection = soon(server.client("flood")).await;
    soon(connection.read_line()).await.unwrap();
    for n in 0..50 {
        let id = format!("quiet {n}");
        let mut peer = Peer::hello(&server, &id).await;
        peer.tell(&soon(server.client(&id)).await, "00a").await;
    }
    assert!(connection.status().unread <= 100);
    flooding.abort();
}

#[tokio::test]
async fn w15_what_does_not_fit_is_not_acknowledged_and_comes_again() {
    let server = start(Server::builder().timeout(PATIENT).queue(4, 1000)).await;
    let mut events = server.events();
    let mut peer = Peer::hello(&server, "1").await;
    for n in 0..6 {
        peer.send(&format!("0{n}line {n}\n")).await;
    }
    until(&mut events, |e| matches!(e, EventKind::QueueFull { .. })).await;
    let connection = soon(server.client("1")).await;
    for n in 0..4 {
        assert_eq!(read(&connection).await, format!("line {n}"));
    }
    peer.expect(&["00", "01", "02", "03"]).await;
    // The next acknowledgements are those of the repetitions: the first were swallowed.
    peer.tell(&connection, "04line 4").await;
    peer.tell(&connection, "05line 5").await;
    assert_eq!(connection.status().duplicates, 0);
    // Full once, reported once; and a new episode is reported again.
    for n in 6..11 {
        peer.send(format!("{n:02x}line {n}\n")).await;
    }
    let event = until(&mut events, |e| matches!(e, EventKind::QueueFull { .. })).await;
    assert_eq!(event.kind.id(), Some("1"));
    assert_eq!(connection.status().unread, 4);
}

#[tokio::test]
async fn w16_a_client_that_does_not_read_is_cut_and_loses_nothing() {
    const LONG: usize = 1 << 20;
    let server = start(Server::builder().timeout(SHORT).max_written_line(LONG)).await;
    let mut events = server.events();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = soon(socket.connect(server.local_addr())).await.unwrap();
    let mut peer = Peer::from_stream(stream);
    peer.send("1\n\n").await;
    let connection = soon(server.client("1")).await;
    let line = "x".repeat(LONG);
    let writer = {
        let (connection, line) = (connection.clone(), line.clone());
        tokio::spawn(async move { connection.write(&line, Delivery::ORDERED).await })
    };
    // Alive, but does not read.
    let mut pace = tokio::time::interval(SHORT / 6);
    let cut = until(&mut events, |e| outage(e).is_some());
    let mut cut = pin!(cut);
    let event = loop {
        tokio::select! {
            event = &mut cut => break event,
            _ = pace.tick() => { let _ = peer.write.try_write(b"\n"); }
        }
    };
    assert_eq!(outage(&event.kind), Some(Cause::SlowReader));
    assert!(!writer.is_finished());
    let mut peer = Peer::hello(&server, "1").await.alive();
    peer.send("\n").await;
    assert_eq!(peer.line().await.as_deref(), Some(format!("00{line}").as_str()));
    peer.send("00\n").await;
    soon(writer).await.unwrap().unwrap();
}

#[tokio::test]
async fn w17_what_comes_with_the_hello_is_not_lost_or_delayed() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut events = server.events();
    for text in ["first", "second"] {
        let mut peer = Peer::silent(server.local_addr()).await;
        peer.send(format!("1\n\n01{text}\n02half")).await;
        peer.expect(&["01"]).await;
        peer.send(" a line\n").await;
        peer.expect(&["02"]).await;
        assert_eq!(app.read("1").await, text);
        let half = "half a line";
        if text == "first" {
            assert_eq!(app.read("1").await, half);
        }
        drop(peer);
        until(&mut events, |e| outage(e).is_some()).await;
    }
    // More than the server reads while it waits for the hello.
    let mut peer = Peer::silent(server.local_addr()).await;
    let long = "y".repeat(5000);
    peer.send(format!("2\n00{long}\n")).await;
    peer.expect(&["00"]).await;
    assert_eq!(app.read("2").await, long);
}

/// A test cannot set the machine's clock. It can show that the code does not read it: the only reader of
/// the wall clock is the stamp of events.
#[test]
fn w18_nothing_is_timed_by_the_wall_clock() {
    fn visit(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                if source.contains("SystemTime") {
                    found.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
    }
    let mut found = Vec::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    visit(&root.join("src"), &mut found);
    visit(&root.join("../protocol/src"), &mut found);
    assert_eq!(found, ["world.rs"]);
}

#[tokio::test]
async fn w19_wait_all_waits_for_all() {
    let server = start(Server::builder().timeout(PATIENT).expected(["1", "2", "3"])).await;
    let mut all = pin!(server.wait_expected());
    let mut two = pin!(server.wait_all(["1", "3"]));
    assert!(!is_ready(all.as_mut()).await);
    let mut peers = vec![Peer::hello(&server, "1").await];
    soon(server.client("1")).await;
    assert!(!is_ready(all.as_mut()).await);
    assert!(!is_ready(two.as_mut()).await);
    peers.push(Peer::hello(&server, "3").await);
    soon(two).await.unwrap();
    assert!(!is_ready(all.as_mut()).await);
    peers.push(Peer::hello(&server, "2").await);
    soon(all).await.unwrap();
}

#[tokio::test]
async fn w20_many_clients_connect_at_once() {
    // At the reference's five a second this would take longer than any test here may.
    const MANY: usize = 300;
    let server = server(PATIENT).await;
    let _app = App::start(&server);
    let address = server.local_addr();
    let clients = (0..MANY).map(|n| {
        tokio::spawn(async move {
            let mut peer = Peer::silent(address).await;
            peer.send(format!("client {n}\n00hello\n")).await;
            peer.expect(&["00"]).await;
            peer
        })
    });
    let mut peers = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        peers.push(soon(client).await.unwrap());
    }
    assert_eq!(server.links().iter().filter(|l| l.lines_in == 1).count(), MANY);
}

#[tokio::test]
async fn w20_ipv4_and_ipv6_on_one_listener() {
    let server = Server::builder().port(0).timeout(PATIENT).bind().await.unwrap();
    let _app = App::start(&server);
    let port = server.local_addr().port();
    let mut peer = Peer::silent((Ipv4Addr::LOCALHOST, port).into()).await;
    peer.send("four\n").await;
    peer.say("00a").await;
    let status = server.link("four").unwrap().status();
    assert!(status.peer.unwrap().starts_with("127.0.0.1:"));
    if server.local_addr().is_ipv4() {
        eprintln!("this machine has no IPv6: only IPv4 was tested");
        return;
    }
    let mut peer = Peer::silent((Ipv6Addr::LOCALHOST, port).into()).await;
    peer.send("six\n").await;
    peer.say("00a").await;
    let status = server.link("six").unwrap().status();
    assert!(status.peer.unwrap().starts_with("[::1]:"));
}

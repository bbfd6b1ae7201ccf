//! The control API over real sockets.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use crate::fixture::{Fake, HANGS, NASTY, link, until};
use eventsource_stream::{Event as Message, Eventsource};
use futures::{Stream, StreamExt};
use pblink_serve::control::{
    Access, Client, ClientError, ControlServer, Notice, ServerInfo, Update, follow_source,
};
use pblink_server::{Cause, Event, EventKind, Layer, LinkState, LinkStatus, Report};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn get(server: &ControlServer, path: &str) -> reqwest::Response {
    reqwest::get(format!("http://{}{path}", server.address())).await.unwrap()
}

async fn events(
    server: &ControlServer,
    query: &str,
    last_id: Option<&str>,
) -> impl Stream<Item = Message> + Unpin + use<> {
    let url = format!("http://{}/api/v1/events{query}", server.address());
    let mut request = reqwest::Client::new().get(url);
    if let Some(id) = last_id {
        request = request.header("Last-Event-ID", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Box::pin(response.bytes_stream().eventsource().map(Result::unwrap))
}

async fn next(stream: &mut (impl Stream<Item = Message> + Unpin)) -> Message {
    tokio::time::timeout(HANGS, stream.next()).await.unwrap().expect("the stream goes on")
}

#[tokio::test]
async fn events_are_the_history_and_then_live() {
    let fake = Fake::new(1, 100);
    fake.note("one");
    let began =
        EventKind::OutageBegan { id: NASTY.into(), cause: Cause::Silent, layer: Layer::Wifi };
    fake.history.record(began.clone());
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let mut stream = events(&server, "", None).await;

    let first = next(&mut stream).await;
    assert_eq!((&*first.id, &*first.event), ("1", "note"));
    let second = next(&mut stream).await;
    assert_eq!((&*second.id, &*second.event), ("2", "outage_began"));
    let event: Event = serde_json::from_str(&second.data).unwrap();
    assert_eq!((event.seq, event.kind), (2, began));

    for number in 3..50_u64 {
        fake.note("live");
        assert_eq!(next(&mut stream).await.id, number.to_string());
    }
}

#[tokio::test]
async fn events_that_never_reached_the_history_are_told_of() {
    let fake = Fake::new(1, 100);
    fake.note("one");
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let mut stream = events(&server, "", None).await;
    assert_eq!(next(&mut stream).await.id, "1");
    fake.history.lose(3);
    let told = next(&mut stream).await;
    assert_eq!((&*told.event, &*told.data), ("lagged", r#"{"missed":3}"#));
    fake.note("five");
    assert_eq!(next(&mut stream).await.id, "5");
    // A follower that comes back after the loss learns of it, too.
    let mut late = events(&server, "?since=1", None).await;
    let told = next(&mut late).await;
    assert_eq!((&*told.event, &*told.data), ("lagged", r#"{"missed":3}"#));
    assert_eq!(next(&mut late).await.id, "5");
}

#[tokio::test]
async fn since_and_last_event_id_leave_out_what_was_seen() {
    let fake = Fake::new(1, 100);
    (0..5).for_each(|_| fake.note("x"));
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    for (query, header, first) in [
        ("", None, "1"),
        ("?since=0", None, "1"),
        ("?since=3", None, "4"),
        ("", Some("4"), "5"),
        // A browser repeats its first URL: the header is newer.
        ("?since=1", Some("3"), "4"),
        // A number of an earlier run: all is new.
        ("?since=900", None, "1"),
    ] {
        let mut stream = events(&server, query, header).await;
        assert_eq!(next(&mut stream).await.id, first, "{query} {header:?}");
    }
    let mut stream = events(&server, "?since=5", None).await;
    fake.note("six");
    assert_eq!(next(&mut stream).await.id, "6");
}

#[tokio::test]
async fn a_reader_who_comes_too_late_is_told_how_many_events_are_gone() {
    let fake = Fake::new(1, 4);
    (0..10).for_each(|_| fake.note("x"));
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let mut stream = events(&server, "?since=2", None).await;
    let lagged = next(&mut stream).await;
    assert_eq!((&*lagged.event, &*lagged.data), ("lagged", r#"{"missed":4}"#));
    assert_eq!(next(&mut stream).await.id, "7");
}

#[tokio::test]
async fn a_reader_who_is_too_slow_never_holds_the_server_up() {
    let fake = Fake::new(1, 4);
    let mut slow = fake.history.subscribe();
    (0..10).for_each(|_| fake.note("x"));
    assert_eq!(slow.next().await, Some(Notice::Lagged(6)));
    let Some(Notice::Event(event)) = slow.next().await else { panic!("no event") };
    assert_eq!(event.seq, 7);
}

#[tokio::test]
async fn a_flood_of_reports_does_not_push_outages_out_of_the_history() {
    let fake = Fake::new(1, 10);
    fake.note("outage");
    for number in 0..100 {
        let id = "1".into();
        let report = Report { connects: 1, number, mem_free: 1 };
        fake.history.record(EventKind::Report { id, report });
    }
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let mut stream = events(&server, "", None).await;
    let mut kept = Vec::new();
    for _ in 0..10 {
        kept.push(next(&mut stream).await.id);
    }
    assert_eq!(kept, ["1", "93", "94", "95", "96", "97", "98", "99", "100", "101"]);

    // Ten other events need all of the room; of what followed 100, only 101 is gone.
    (0..10).for_each(|_| fake.note("x"));
    let mut stream = events(&server, "?since=100", None).await;
    assert_eq!(next(&mut stream).await.data, r#"{"missed":1}"#);
    for number in 102..=111_u64 {
        assert_eq!(next(&mut stream).await.id, number.to_string());
    }
}

#[tokio::test]
async fn the_server_and_its_links_are_json() {
    let fake = Fake::new(1, 100);
    let state = LinkState::Down { layer: Layer::Coprocessor, cause: Cause::Reset };
    *fake.links.lock().unwrap() = vec![link("1", LinkState::Up), link("a/b ü", state)];
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();

    assert_eq!(get(&server, "/healthz").await.text().await.unwrap(), "ok");
    let info: ServerInfo = get(&server, "/api/v1/server").await.json().await.unwrap();
    assert_eq!(info, fake.info);
    let links: Vec<LinkStatus> = get(&server, "/api/v1/links").await.json().await.unwrap();
    assert_eq!(links, *fake.links.lock().unwrap());
    let one: LinkStatus = get(&server, "/api/v1/links/a%2Fb%20%C3%BC").await.json().await.unwrap();
    assert_eq!(one, links[1]);
}

#[tokio::test]
async fn errors_are_json_with_a_sentence() {
    let server = ControlServer::bind(anywhere(), Fake::new(1, 1)).await.unwrap();
    for (path, status) in [
        ("/api/v1/links/nobody", 404),
        ("/api/v1/nothing", 404),
        ("/api", 404),
        ("/api/v1/events?since=later", 400),
    ] {
        let response = get(&server, path).await;
        assert_eq!(response.status(), status, "{path}");
        let body: HashMap<String, String> = response.json().await.unwrap();
        assert!(!body["error"].is_empty(), "{path}");
    }
    let url = format!("http://{}/api/v1/links", server.address());
    let response = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(response.status(), 405);
    let body: HashMap<String, String> = response.json().await.unwrap();
    assert!(body["error"].contains("GET"));
}

/// Reads Prometheus' text format strictly: name, labels (unescaped), value.
fn parse_metrics(text: &str) -> Vec<(String, HashMap<String, String>, f64)> {
    let mut known = HashSet::new();
    let mut samples = Vec::new();
    let mut helped = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split(' ').next().unwrap().to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP stands before TYPE");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(known.insert(name.to_owned()), "{name} comes once");
        } else {
            let end = line.find(['{', ' ']).unwrap();
            let (name, mut rest) = line.split_at(end);
            assert_eq!(name, helped, "samples follow their own HELP");
            let mut labels = HashMap::new();
            while let Some(label) = rest.strip_prefix(['{', ',']) {
                let (key, value) = label.split_once("=\"").unwrap();
                let mut text = String::new();
                let mut chars = value.char_indices();
                rest = loop {
                    match chars.next().unwrap() {
                        (_, '\\') => text.push(match chars.next().unwrap().1 {
                            'n' => '\n',
                            c => c,
                        }),
                        (i, '"') => break &value[i + 1..],
                        (_, c) => text.push(c),
                    }
                };
                labels.insert(key.to_owned(), text);
            }
            let value = rest.trim_start_matches('}').trim().parse().unwrap();
            samples.push((name.to_owned(), labels, value));
        }
    }
    samples
}

#[tokio::test]
async fn metrics_are_prometheus_text_with_escaped_labels() {
    let fake = Fake::new(1, 1);
    for lasted_ms in [2_000, 500] {
        let (id, peer) = ("1".into(), String::new());
        fake.history.record(EventKind::OutageEnded { id, peer, lasted_ms, connects: 2 });
    }
    let mut up = link("1", LinkState::Up);
    (up.lines_in, up.write_ack_us, up.mem_free) = (7, Some(1500), Some(23_456));
    let state = LinkState::Down { layer: Layer::Wifi, cause: Cause::Silent };
    let mut down = link(NASTY, state);
    down.since_ms = 1_250;
    *fake.links.lock().unwrap() = vec![up, down];
    let server = ControlServer::bind(anywhere(), fake).await.unwrap();
    let response = get(&server, "/metrics").await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let samples = parse_metrics(&response.text().await.unwrap());
    let value = |name: &str, label: &str, text: &str| {
        let found = samples.iter().find(|(n, labels, _)| {
            n == name && labels.get(label).map(String::as_str) == Some(text)
        });
        found.map(|(_, _, value)| *value)
    };
    assert_eq!(value("pblink_link_lines_received_total", "id", "1"), Some(7.0));
    assert_eq!(value("pblink_link_write_ack_seconds", "id", "1"), Some(0.0015));
    assert_eq!(value("pblink_link_write_ack_seconds", "id", NASTY), None);
    assert_eq!(value("pblink_link_up", "id", NASTY), Some(0.0));
    assert_eq!(value("pblink_link_down", "layer", "wifi"), Some(1.0));
    assert_eq!(value("pblink_links", "state", "down"), Some(1.0));
    assert_eq!(value("pblink_info", "app", "echo"), Some(1.0));
    assert_eq!(value("pblink_outage_seconds_total", "id", "1"), Some(2.5));
    assert_eq!(value("pblink_outage_seconds_total", "id", NASTY), Some(1.25), "it lasts");
    let refused = |reason| value("pblink_refused_connections_total", "reason", reason);
    assert_eq!((refused("unknown_id"), refused("duplicate")), (Some(1005.0), Some(0.0)));
    assert!(samples.iter().any(|(name, _, n)| name == "pblink_outages_total" && *n == 2.0));
}

#[tokio::test]
async fn ids_of_strangers_never_become_labels() {
    let fake = Fake::new(1, 1);
    *fake.links.lock().unwrap() = vec![link("1", LinkState::Up), link("stranger", LinkState::Up)];
    fake.history.expect(["1"]);
    let server = ControlServer::bind(anywhere(), fake).await.unwrap();
    let text = get(&server, "/metrics").await.text().await.unwrap();
    assert!(!text.contains("stranger") && text.contains(r#"pblink_link_up{id="1"} 1"#), "{text}");
    assert!(text.contains(r#"pblink_links{state="up"} 2"#), "it is counted: {text}");
}

/// Sends a request as it is and returns the status.
async fn raw(address: SocketAddr, request: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_web_page_cannot_read_a_local_api_through_its_own_host_name() {
    let server = ControlServer::bind(anywhere(), Fake::new(1, 1)).await.unwrap();
    let address = server.address();
    for path in ["/api/v1/links", "/metrics", "/healthz", "/nothing"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: evil.example:8124\r\n\r\n");
        assert_eq!(raw(address, &request).await, 403, "{path}");
    }
    assert_eq!(raw(address, "GET /healthz HTTP/1.0\r\n\r\n").await, 403);
    for host in ["localhost", "LocalHost:8124", "127.0.0.1:1", "[::1]:8124"] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(raw(address, &request).await, 200, "{host}");
    }
    let request = "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(raw(address, request).await, 403);

    let everywhere = "0.0.0.0:0".parse().unwrap();
    let access = Access { hosts: vec!["box.lan".into()], ..Access::default() };
    let server = ControlServer::bind_with(everywhere, Fake::new(1, 1), access).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
    for (host, status) in [("box.lan", 200), ("10.0.0.1:8124", 200), ("evil.example", 403)] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(raw(address, &request).await, status, "{host}");
    }
}

#[tokio::test]
async fn an_open_event_stream_does_not_hold_up_the_stop() {
    let fake = Fake::new(1, 100);
    fake.note("one");
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let address = server.address();
    let mut stream = events(&server, "", None).await;
    next(&mut stream).await;

    tokio::time::timeout(HANGS, server.shutdown()).await.expect("it stops");
    let end = tokio::time::timeout(HANGS, stream.next()).await.expect("the stream ends");
    assert_eq!(end, None);
    ControlServer::bind(address, fake).await.expect("the port is free");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_does_not_hold_up_the_stop() {
    let fake = Fake::new(1, 10_000);
    let text = "x".repeat(1000);
    // Far more than the sockets' buffers take.
    (0..10_000).for_each(|_| fake.note(&text));
    let server = ControlServer::bind(anywhere(), fake).await.unwrap();
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stuck.write_all(request).await.unwrap();
    stuck.read_exact(&mut [0; 12]).await.unwrap();
    tokio::time::timeout(HANGS, server.shutdown()).await.expect("it stops");
}

#[tokio::test]
async fn a_bound_address_is_an_error_that_says_what_to_do() {
    let server = ControlServer::bind(anywhere(), Fake::new(1, 1)).await.unwrap();
    let error = ControlServer::bind(server.address(), Fake::new(1, 1)).await.unwrap_err();
    assert!(error.to_string().contains("--control ADDR:PORT"), "{error}");
}

fn seq(update: Update) -> Option<u64> {
    match update {
        Update::Event(event) => Some(event.seq),
        _ => None,
    }
}

#[tokio::test]
async fn the_client_goes_on_where_it_was_when_the_server_comes_back() {
    let fake = Fake::new(1, 100);
    *fake.links.lock().unwrap() = vec![link("1", LinkState::Up)];
    (0..3).for_each(|_| fake.note("before"));
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let address = server.address();
    let client = Client::connect(&address.to_string()).await.unwrap();
    let mut updates = client.follow();
    for number in 1..=3 {
        assert_eq!(until(&mut updates, seq).await, number);
    }
    let links = |update| match update {
        Update::Links(links) => Some(links),
        _ => None,
    };
    assert_eq!(until(&mut updates, links).await[0].id, "1");

    // The API goes away; the server behind it goes on.
    server.shutdown().await;
    let lost = |update| matches!(update, Update::Lost { .. }).then_some(());
    until(&mut updates, lost).await;
    fake.note("meanwhile");
    let server = ControlServer::bind(address, fake.clone()).await.unwrap();
    let mut reached = false;
    let number = until(&mut updates, |update| {
        reached |= matches!(update, Update::Server(_));
        seq(update)
    })
    .await;
    assert_eq!((reached, number), (true, 4), "no event twice, none left out");

    // Another run of the server counts its events anew.
    server.shutdown().await;
    until(&mut updates, lost).await;
    let fake = Fake::new(2, 100);
    (0..9).for_each(|_| fake.note("new run"));
    let _server = ControlServer::bind(address, fake).await.unwrap();
    for number in 1..=9 {
        assert_eq!(until(&mut updates, seq).await, number);
    }
}

#[tokio::test]
async fn the_client_says_what_is_wrong_at_the_start() {
    let server = ControlServer::bind(anywhere(), Fake::new(1, 1)).await.unwrap();
    let address = server.address().to_string();
    server.shutdown().await;
    let error = Client::connect(&address).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    for url in ["", "https://127.0.0.1:1", "http://", "nonsense here"] {
        let error = Client::connect(url).await.unwrap_err();
        assert!(matches!(error, ClientError::Url(_)), "{url}: {error}");
    }

    let other = axum::Router::new().fallback(|| async { "hello" });
    let listener = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, other).await });
    let error = Client::connect(&address).await.unwrap_err();
    assert!(matches!(error, ClientError::NotPblink { .. }), "{error}");
}

#[tokio::test]
async fn a_source_in_the_same_process_gives_the_same_updates() {
    let fake = Fake::new(1, 100);
    *fake.links.lock().unwrap() = vec![link("1", LinkState::Up)];
    fake.note("one");
    let mut updates = follow_source(fake.clone());
    assert_eq!(until(&mut updates, seq).await, 1);
    fake.note("two");
    assert_eq!(until(&mut updates, seq).await, 2);
    let up = |update| match update {
        Update::Links(links) => Some(links[0].state),
        _ => None,
    };
    assert_eq!(until(&mut updates, up).await, LinkState::Up);
}

/// Starts a server that answers each request with these bytes, and closes the connection.
async fn answering(answer: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let _ = peer.read(&mut [0; 4096]).await;
            let _ = peer.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn the_client_speaks_its_own_words_and_not_those_of_its_libraries() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", "the connection was cut"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", "the connection was cut"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "its answer is not one of the control API",
        ),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
        ("", "the connection was cut"),
    ] {
        let error = Client::connect(&answering(answer).await).await.unwrap_err();
        assert_eq!(error.reason(), expected, "{answer:?}: {error}");
    }
    let server = ControlServer::bind(anywhere(), Fake::new(1, 1)).await.unwrap();
    let address = server.address().to_string();
    server.shutdown().await;
    let error = Client::connect(&address).await.unwrap_err();
    assert_eq!(error.reason(), "connection refused");
}

/// Starts a server that never ends its answer, and counts what was taken of it.
async fn endless(head: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = peer.read(&mut [0; 4096]).await;
                let _ = peer.write_all(head.as_bytes()).await;
                while peer.write_all(&[b' '; 65_536]).await.is_ok() {}
            });
        }
    });
    address
}

#[tokio::test]
async fn an_answer_without_end_is_not_waited_for() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2200000000\r\n\r\n",
        "HTTP/1.1 500 Oh\r\n\r\n",
    ] {
        let error = Client::connect(&endless(head).await).await.unwrap_err();
        assert!(matches!(error, ClientError::NotPblink { .. }), "{head}: {error}");
    }
    // Nor a head without end.
    Client::connect(&endless("HTTP/1.1 200 OK\r\nX: ").await).await.unwrap_err();
}

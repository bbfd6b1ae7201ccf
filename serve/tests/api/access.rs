//! Who may read and write, and how much at a time.

use std::net::SocketAddr;

use pblink_serve::control::{Access, routes};
use pblink_serve::log::Memory;
use reqwest::{Method, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Rig, TOKEN, access, answer};
use crate::board::{Station, soon};

/// Sends a request as it is, and returns status and head.
async fn raw(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = soon(TcpStream::connect(address)).await.unwrap();
    soon(stream.write_all(request.as_bytes())).await.unwrap();
    head(&mut stream).await
}

async fn head(stream: &mut TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        soon(stream.read_exact(&mut byte)).await.unwrap();
        text.extend(byte);
    }
    let text = String::from_utf8(text).unwrap();
    (text[9..12].parse().unwrap(), text)
}

/// Returns the address of this machine by which it is not known to be itself, if it has one.
pub(super) fn other_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only looks which way it would go.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[tokio::test]
async fn writing_needs_the_token_on_each_path_that_writes() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &[]).await;
    let mut writes = 0;
    for (path, methods) in routes() {
        let path = path.replace("{id}", "a").replace("{name}", "mine");
        for method in methods.iter().filter(|method| **method != "GET") {
            let method: Method = method.parse().unwrap();
            let (status, body) =
                answer(rig.http.request(method.clone(), rig.url(&path)).body("x")).await;
            assert_eq!(status, 401, "{method} {path}: {body}");
            let wrong = rig.http.request(method.clone(), rig.url(&path)).bearer_auth("wrong");
            assert_eq!(answer(wrong).await.0, 401, "{method} {path}");
            writes += 1;
        }
    }
    assert!(writes >= 5, "{writes}");
    assert_eq!(rig.station.log.status().waiting, 0);
    assert_eq!(rig.get("/api/v1/lines").await.0, 200, "reading is free on this machine");
    let wrong = rig.http.get(rig.url("/api/v1/lines")).bearer_auth("wrong");
    assert_eq!(answer(wrong).await.0, 401, "but a wrong token is one");
}

#[tokio::test]
async fn without_a_token_nobody_writes() {
    let station = Station::start(Memory::new("abc")).await;
    let rig = Rig::around(station, "127.0.0.1:0".parse().unwrap(), Access::default()).await;
    let _a = rig.board("a", &[]).await;
    let (status, body) = answer(rig.request(Method::POST, "/api/v1/links/a/lines").body("x")).await;
    assert_eq!(status, 403);
    assert!(body["error"].as_str().unwrap().contains("--token-file"), "{body}");
}

#[tokio::test]
async fn from_another_machine_reading_needs_the_token_too() {
    let Some(ip) = other_address() else {
        // A machine without a network has no others.
        return;
    };
    let station = Station::start(Memory::new("abc")).await;
    let rig = Rig::around(station, "0.0.0.0:0".parse().unwrap(), access()).await;
    let url = format!("http://{ip}:{}/api/v1/server", rig.control.address().port());
    let (status, body) = answer(rig.http.get(&url)).await;
    assert_eq!(status, 401, "{body}");
    let (status, body) = answer(rig.http.get(&url).bearer_auth(TOKEN)).await;
    assert_eq!((status.as_u16(), &body["program"]), (200, &"pblink".into()));
}

#[tokio::test]
async fn a_browser_trades_the_token_for_a_cookie_that_writes_from_the_servers_own_pages_only() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &[]).await;
    let address = rig.control.address();
    let login = |token: &str| {
        let body = serde_json::json!({ "token": token }).to_string();
        rig.http.post(rig.url("/api/v1/session")).body(body).send()
    };
    assert_eq!(soon(login("wrong")).await.unwrap().status(), 401);
    let response = soon(login(TOKEN)).await.unwrap();
    assert_eq!(response.status(), 204);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert!(!cookie.contains(TOKEN));
    let own = format!("http://{address}");
    let post = async |origin: Option<&str>, cookie: &str| {
        let url = rig.url("/api/v1/links/a/lines");
        let mut request = rig.http.post(url).header("Cookie", cookie).body("x");
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        answer(request).await.0.as_u16()
    };
    assert_eq!(post(Some(&own), &cookie).await, 202);
    assert_eq!(post(None, &cookie).await, 403);
    assert_eq!(post(Some("http://evil.example"), &cookie).await, 403);
    assert_eq!(post(Some("null"), &cookie).await, 403);
    assert_eq!(post(Some(&own), "pblink_session=made-up").await, 401);
    // It ends when it is told to.
    let end = rig.http.delete(rig.url("/api/v1/session"));
    let (status, _) = answer(end.header("Cookie", &cookie).header("Origin", &own)).await;
    assert_eq!(status, 204);
    assert_eq!(post(Some(&own), &cookie).await, 401);
    // A page of another site cannot even open streams.
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nOrigin: http://evil.example\r\n\r\n"
    );
    assert_eq!(raw(address, &request).await.0, 403);
}

/// Logs in, and returns status and cookie.
async fn log_in(rig: &Rig, login: impl FnOnce(RequestBuilder) -> RequestBuilder) -> (u16, String) {
    let request = login(rig.http.post(rig.url("/api/v1/session")));
    let response = soon(request.send()).await.unwrap();
    let cookie = response.headers().get("set-cookie").map_or("", |cookie| cookie.to_str().unwrap());
    (response.status().as_u16(), cookie.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_session_is_opened_by_the_header_too_and_by_nothing_else() {
    let rig = Rig::start().await;
    for (body, status) in [
        ("", 401),
        (TOKEN, 401),
        ("{\"token\":1}", 401),
        ("{\"token\":\"a-token-for-these-tests\",\"more\":1}", 401),
        ("{\"token\":\"a-token-for-these-tests\"}", 204),
    ] {
        let (got, cookie) = log_in(&rig, |request| request.body(body)).await;
        assert_eq!((got, cookie.is_empty()), (status, status != 204), "{body}");
    }
    let (status, cookie) = log_in(&rig, |request| request.bearer_auth(TOKEN)).await;
    assert_eq!(status, 204);
    let own = format!("http://{}", rig.control.address());
    let show = |cookie: &str, origin: &str| {
        let request = rig.http.get(rig.url("/api/v1/session"));
        answer(request.header("Cookie", cookie).header("Origin", origin))
    };
    let (status, body) = show(&cookie, &own).await;
    assert_eq!((status.as_u16(), &body["may_write"]), (200, &true.into()));
    assert_eq!(show("", &own).await.0, 401);
    assert_eq!(show(&cookie, "https://evil.example").await.0, 403);
}

#[tokio::test]
async fn the_oldest_session_ends_when_there_are_too_many() {
    let rig = Rig::start().await;
    let mut cookies = Vec::new();
    for _ in 0..65 {
        let (status, cookie) = log_in(&rig, |request| request.bearer_auth(TOKEN)).await;
        assert_eq!(status, 204);
        cookies.push(cookie);
    }
    let own = format!("http://{}", rig.control.address());
    for (n, status) in [(0, 401), (1, 200), (64, 200)] {
        let request = rig.http.get(rig.url("/api/v1/session"));
        let request = request.header("Cookie", &cookies[n]).header("Origin", &own);
        assert_eq!(answer(request).await.0, status, "{n}");
    }
}

/// A proxy with TLS in front hands on the name by which it was asked.
#[tokio::test]
async fn a_page_behind_a_listed_name_writes_with_its_cookie_and_one_behind_another_does_not() {
    let station = Station::start(Memory::new("abc")).await;
    let access = Access { hosts: vec!["box.lan".into()], ..access() };
    let rig = Rig::around(station, "127.0.0.1:0".parse().unwrap(), access).await;
    let _a = rig.board("a", &[]).await;
    let (_, cookie) = log_in(&rig, |request| request.bearer_auth(TOKEN)).await;
    for (host, origin, status) in [
        ("box.lan", "https://box.lan", 202),
        ("BOX.lan:8124", "http://box.lan:8124", 202),
        ("box.lan", "https://box.lan:444", 403),
        ("box.lan", "https://evil.example", 403),
        ("evil.example", "https://evil.example", 403),
    ] {
        let request = rig.http.post(rig.url("/api/v1/links/a/lines")).body("x");
        let headers = [("Host", host), ("Origin", origin), ("Cookie", &cookie)];
        let request = headers.into_iter().fold(request, |r, (name, value)| r.header(name, value));
        assert_eq!(answer(request).await.0, status, "{host} {origin}");
    }
}

#[tokio::test]
async fn the_token_file_is_named_to_this_machine() {
    let station = Station::start(Memory::new("abc")).await;
    let mut access = access();
    access.token_file = Some("/run/pblink/token".into());
    let rig = Rig::around(station, "127.0.0.1:0".parse().unwrap(), access).await;
    let (_, server) = rig.get("/api/v1/server").await;
    assert_eq!(server["token_file"], "/run/pblink/token");
    assert_eq!((&server["api"], &server["log"]["name"]), (&1.into(), &"abc.1".into()));
    assert_eq!(rig.hub.log().map(|log| log.name().id.clone()).as_deref(), Some("abc"));
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_are_told_so() {
    let rig = Rig::start().await;
    let address = rig.control.address();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut stream = soon(TcpStream::connect(address)).await.unwrap();
        soon(stream.write_all(request.as_bytes())).await.unwrap();
        assert_eq!(head(&mut stream).await.0, 200);
        open.push(stream);
    }
    let (status, text) = raw(address, &request).await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("Retry-After: 1"), "{text}");
    // One that goes makes room for another.
    open.pop();
    soon(async { while raw(address, &request).await.0 != 200 {} }).await;
}

#[tokio::test]
async fn more_streams_than_there_is_room_for_are_told_so() {
    let rig = Rig::start().await;
    let mut open = Vec::new();
    for n in 0..16 {
        let path = if n % 2 == 0 { "/api/v1/events" } else { "/api/v1/lines" };
        let request = rig.http.get(rig.url(path)).header("Accept", "text/event-stream");
        let response = soon(request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    let request = || rig.http.get(rig.url("/api/v1/lines")).header("Accept", "text/event-stream");
    let (status, body) = answer(request()).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(rig.get("/api/v1/lines").await.0, 200, "a page is no stream");
    open.pop();
    soon(async { while request().send().await.unwrap().status() != 200 {} }).await;
}

#[tokio::test]
async fn a_head_without_end_is_refused_and_answers_have_a_date() {
    let rig = Rig::start().await;
    let address = rig.control.address();
    let filler = format!("X-Filler: {}\r\n", "x".repeat(1000)).repeat(100);
    let mut stream = soon(TcpStream::connect(address)).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n{filler}");
    // It may be closed while it is still being written.
    let _ = soon(stream.write_all(request.as_bytes())).await;
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 431"), "{rest}");
    let (_, text) =
        raw(address, &format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    assert_eq!(text.to_lowercase().matches("date: ").count(), 1, "{text}");
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    tokio::time::pause();
    let rig = Rig::start().await;
    tokio::time::resume();
    let mut idle = soon(TcpStream::connect(rig.control.address())).await.unwrap();
    soon(idle.write_all(b"GET /heal")).await.unwrap();
    // Half a head is all that comes; the server's time passes at once.
    tokio::time::pause();
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

//! Connections that another gateway has accepted, over real sockets: boards and questions.

use std::net::SocketAddr;

use pblink_serve::control::{Notice, Source};
use pblink_serve::gateways::{Door, Entrance, OpenEntrance};
use pblink_serve::log::store::{Fellows, Way};
use pblink_server::EventKind;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Access, Rig, TOKEN, Token, answer};
use crate::board::{Board, soon};

/// The token of the gateway that stands by.
const OTHER: &str = "the-token-of-the-other-gateway";

/// A gateway that leads, and another one that passes on to it.
struct Pair {
    rig: Rig,
    fellows: Fellows,
    way: watch::Sender<Option<Way>>,
    entrance: Option<OpenEntrance>,
    boards: (SocketAddr, Door),
    control: (SocketAddr, Door),
}

async fn socket() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

impl Pair {
    async fn start() -> Self {
        let rig = Rig::start().await;
        let (way, fellows) = (watch::Sender::default(), Fellows::new("a"));
        let to = || ("b", way.subscribe());
        let (socket_of_boards, address) = socket().await;
        let boards = (address, Door::for_boards(socket_of_boards, to(), 10));
        let (socket_of_control, address) = socket().await;
        let access = Access {
            token: Some(Token::parse(OTHER).unwrap()),
            token_file: Some("/other/token".into()),
            ..Access::default()
        };
        let control = (address, Door::for_control(socket_of_control, to(), &access).unwrap());
        rig.hub.share_with(fellows.clone());
        let mut pair = Self { rig, fellows, way, entrance: None, boards, control };
        pair.lead().await;
        pair
    }

    /// Lets the first gateway lead, once more.
    async fn lead(&mut self) {
        let (socket, address) = socket().await;
        let entrance = Entrance::new(socket, address).unwrap();
        self.way.send_replace(Some(entrance.way().clone()));
        let (server, visitors) = (self.rig.station.server.clone(), self.rig.control.visitors());
        self.entrance = Some(entrance.open(server, Some(visitors), self.fellows.clone()));
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.control.0)
    }

    async fn ask(&self, method: Method, path: &str, token: &str) -> (u16, Value) {
        let request = self.rig.http.request(method, self.url(path)).bearer_auth(token);
        let (status, body) = answer(request.body("hello")).await;
        (status.as_u16(), body)
    }
}

#[tokio::test]
async fn a_board_that_has_come_to_another_gateway_is_served_under_its_own_address() {
    let pair = Pair::start().await;
    let mut board = Board::connect_to(pair.boards.0, "kitchen").await;
    board.say("00hello").await;
    assert!(soon(pair.rig.station.log.wait_beyond(0)).await);
    let link = pair.rig.hub.link("kitchen").unwrap();
    assert_eq!(link.peer.as_deref(), Some(&*board.address().to_string()));
    assert_eq!(pair.fellows.way_of(board.address()), "b");
    let (_, links) = answer(pair.rig.http.get(pair.url("/api/v1/links"))).await;
    assert_eq!(links[0]["gateway"], "b");
    // One that came to the leader itself.
    let direct = pair.rig.board("hall", &["hello"]).await;
    assert_eq!(pair.fellows.way_of(direct.address()), "a");
    // What the server has for it goes the same way.
    let (status, _) = pair.ask(Method::POST, "/api/v1/links/kitchen/lines", OTHER).await;
    assert_eq!(status, 202);
    let heard = [board.hear().await.unwrap(), board.hear().await.unwrap()];
    assert!(heard.contains(&"00".to_owned()), "its line is acknowledged: {heard:?}");
    assert!(heard.contains(&"00hello".to_owned()), "it gets a line: {heard:?}");
    // And its end.
    let mut events = pair.rig.hub.history().subscribe();
    drop(board);
    loop {
        let Some(Notice::Event(event)) = soon(events.next()).await else { panic!("no end") };
        if matches!(&event.kind, EventKind::OutageBegan { id, .. } if id == "kitchen") {
            break;
        }
    }
}

#[tokio::test]
async fn questions_have_the_rights_of_the_gateway_that_was_asked() {
    let pair = Pair::start().await;
    let _board = pair.rig.board("kitchen", &["hello"]).await;
    let lines = "/api/v1/links/kitchen/lines";
    assert_eq!(pair.ask(Method::POST, lines, OTHER).await.0, 202);
    assert_eq!(pair.ask(Method::POST, lines, TOKEN).await.0, 401, "that of the leader itself");
    let unasked = pair.rig.http.post(pair.url(lines)).body("x");
    assert_eq!(answer(unasked).await.0, 401);
    assert_eq!(pair.rig.station.log.status().waiting, 1);
    // Reading is free on the other gateway's machine, and the token is said to be in its own file.
    let (status, server) = answer(pair.rig.http.get(pair.url("/api/v1/server"))).await;
    assert_eq!((status.as_u16(), &server["token_file"]), (200, &json!("/other/token")));
    assert_eq!(
        server["gateways"][0],
        json!({ "name": "a", "leads": true, "behind": 0, "heard_ms": 0, "other_keys": false })
    );
    let foreign = pair.rig.http.get(pair.url("/api/v1/server")).header("host", "evil.example");
    assert_eq!(answer(foreign).await.0, 403);
    // A browser's session is good for that gateway only.
    let session = pair.rig.http.post(pair.url("/api/v1/session")).bearer_auth(OTHER);
    let response = soon(session.send()).await.unwrap();
    assert_eq!(response.status(), 204);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let origin = format!("http://{}", pair.control.0);
    let with = |url: String, origin: &str| {
        let request = pair.rig.http.get(url).header("cookie", cookie);
        answer(request.header("origin", origin.to_owned()))
    };
    assert_eq!(with(pair.url("/api/v1/session"), &origin).await.0, 200);
    let own = format!("http://{}", pair.rig.control.address());
    assert_eq!(with(pair.rig.url("/api/v1/session"), &own).await.0, 401);
}

/// A stream of events stays open, and what is larger than one message between gateways arrives whole.
#[tokio::test]
async fn long_answers_and_streams_come_through() {
    let pair = Pair::start().await;
    let long = "x".repeat(1000);
    let lines: Vec<&str> = (0..200).map(|_| &*long).collect();
    let _board = pair.rig.board("kitchen", &lines).await;
    let (_, page) = answer(pair.rig.http.get(pair.url("/api/v1/lines?after=0&limit=1000"))).await;
    assert_eq!(page["lines"].as_array().unwrap().len(), 200);
    let request = pair.rig.http.get(pair.url("/api/v1/lines?after=200"));
    let mut stream = soon(request.header("accept", "text/event-stream").send()).await.unwrap();
    let mut hall = pair.rig.board("hall", &[]).await;
    hall.say("00at last").await;
    let mut heard = String::new();
    while !heard.contains("at last") {
        heard.push_str(std::str::from_utf8(&soon(stream.chunk()).await.unwrap().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn nobody_comes_in_without_the_key() {
    let mut pair = Pair::start().await;
    let way = serde_json::to_value(pair.way.borrow().clone()).unwrap();
    let entrance: SocketAddr = way["address"].as_str().unwrap().parse().unwrap();
    // Neither boards nor browsers, nor who makes a handshake of another key.
    let strange = [b"kitchen\n00hello\n".as_slice(), b"GET / HTTP/1.1\r\n\r\n", &[0, 48]];
    let tries = strange.map(|bytes| async move {
        let mut stream = TcpStream::connect(entrance).await.unwrap();
        soon(stream.write_all(bytes)).await.unwrap();
        soon(stream.write_all(&[7; 256])).await.unwrap();
        let mut said = Vec::new();
        // Closed with bytes unread, it may be an error.
        let _ = soon(stream.read_to_end(&mut said)).await;
        said
    });
    assert_eq!(futures::future::join_all(tries).await, [b""; 3]);
    let mut wrong = way.clone();
    wrong["key"] = json!("00".repeat(32));
    assert_ne!(wrong, way);
    pair.way.send_replace(serde_json::from_value(wrong).unwrap());
    let (status, body) = answer(pair.rig.http.get(pair.url("/api/v1/server"))).await;
    assert_eq!(status.as_u16(), 503, "{body}");
    assert!(body["error"].as_str().unwrap().contains("stands by"), "{body}");
    assert!(pair.rig.hub.links().is_empty());
    // The key is new each time that it leads.
    pair.lead().await;
    let (status, _) = answer(pair.rig.http.get(pair.url("/api/v1/server"))).await;
    assert_eq!(status.as_u16(), 200);
    assert_ne!(serde_json::to_value(pair.way.borrow().clone()).unwrap()["key"], way["key"]);
}

/// A leader that stands still closes nothing: boards would wait for it until their time-out, and longer.
#[tokio::test]
async fn connections_end_when_another_gateway_leads() {
    let mut pair = Pair::start().await;
    let mut board = Board::connect_to(pair.boards.0, "kitchen").await;
    board.say("00hello").await;
    board.expect(&["00"]).await;
    let old = pair.entrance.take();
    pair.lead().await;
    assert_eq!(board.hear().await, None);
    drop(old);
    let mut board = Board::connect_to(pair.boards.0, "kitchen").await;
    board.say("01again").await;
    board.expect(&["01"]).await;
    // A gateway that begins to lead itself closes its doors.
    let Pair { boards: (address, door), .. } = pair;
    soon(door.close()).await;
    assert_eq!(board.hear().await, None);
    TcpListener::bind(address).await.expect("the port is free");
}

#[tokio::test]
async fn what_comes_while_nobody_leads_waits_for_whoever_will() {
    let mut pair = Pair::start().await;
    pair.way.send_replace(None);
    let mut board = Board::connect_to(pair.boards.0, "kitchen").await;
    board.say("00hello").await;
    pair.lead().await;
    board.expect(&["00"]).await;
}

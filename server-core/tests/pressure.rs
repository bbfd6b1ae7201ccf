//! Acknowledgements are the credit of a client: it sends as fast as its lines are accepted, and no line
//! is refused. What is kept is bounded, for each client and for all of them.

use crate::common::{App, PATIENT, Peer, SHORT, arrived, read, server, soon, start, until};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::time::{Duration, Instant};
use pblink_server::{EventKind, Server};
use tokio::io::AsyncReadExt;

/// Lines in flight.
const WINDOW: usize = 64;

/// The sending end of a board in virtual time.
struct Board {
    endpoint: Endpoint<heapless::Vec<u8, 64>, String, WINDOW>,
    peer: Peer,
    now: Instant,
    written: usize,
    acked: Acked,
}

#[derive(Default)]
struct Acked(usize);

impl Host<String> for Acked {
    fn deliver(&mut self, _: &str, _: Receipt) -> Disposition {
        Disposition::Taken
    }

    fn acked(&mut self, _: Ticket, _: Option<String>, _: Duration) {
        self.0 += 1;
    }
}

impl Board {
    async fn connect(server: &Server) -> Self {
        let timing = Timing::new(Duration::from_millis(2000));
        let mut endpoint = Endpoint::new(Role::Client, timing, heapless::Vec::new());
        let now = Instant::from_micros(1);
        endpoint.on_connected(now);
        let peer = Peer::hello(server, "1").await;
        let mut board = Self { endpoint, peer, now, written: 0, acked: Acked::default() };
        // It sends nothing before the server has shown that it is there.
        while !board.endpoint.is_up() {
            board.hear().await;
        }
        board
    }

    /// Takes what the server has sent.
    async fn hear(&mut self) {
        let mut bytes = [0; 1024];
        let n = soon(self.peer.read.read(&mut bytes)).await.expect("the server lives");
        assert!(n > 0, "the server has closed the connection");
        self.endpoint.on_bytes(self.now, &bytes[..n], &mut self.acked);
    }

    /// Writes as much as fits, up to `count` lines in all, and sends what is due.
    async fn send(&mut self, count: usize) {
        while self.written < count && self.endpoint.has_room() {
            let line = format!("line {}", self.written);
            let written = self.endpoint.write(self.now, line, Delivery::UNORDERED);
            written.expect("there is room");
            self.written += 1;
        }
        let mut out = [0; 1024];
        loop {
            let n = self.endpoint.transmit(self.now, &mut out);
            if n == 0 {
                return;
            }
            self.peer.send(&out[..n]).await;
        }
    }

    /// Waits until this many lines are acknowledged.
    async fn wait_for(&mut self, acked: usize) {
        while self.acked.0 < acked {
            self.hear().await;
        }
    }
}

#[tokio::test]
async fn a_slow_application_sets_the_pace_and_gets_every_line_once_and_in_order() {
    const LINES: usize = 2000;
    // 200 lines a second, and so few that the client repeats all that it has in flight many times.
    for pause_ms in [5, 100] {
        let server = server(PATIENT).await;
        let mut events = server.events();
        let mut board = Board::connect(&server).await;
        let connection = soon(server.client("1")).await;
        for n in 0..LINES {
            board.send(LINES).await;
            let line = soon(connection.recv()).await.unwrap();
            assert_eq!(line.text(), format!("line {n}"));
            board.now += Duration::from_millis(pause_ms);
            board.send(LINES).await;
            line.accept().unwrap();
            board.wait_for(n + 1).await;
            assert_eq!(board.acked.0, n + 1, "acknowledged before it was accepted");
        }
        let status = connection.status();
        assert_eq!((status.lines_in, status.connects, status.unread), (LINES as u64, 1, 0));
        let repeated = board.endpoint.stats().retransmissions;
        assert_eq!(repeated > 0, pause_ms == 100, "{repeated} at {pause_ms} ms a line");
        // None was refused.
        soon(server.shutdown()).await;
        while let Some(notice) = soon(events.recv()).await {
            let text = format!("{notice:?}");
            assert!(!text.contains("QueueFull") && !text.contains("Lost"), "{text}");
        }
    }
}

#[tokio::test]
async fn beyond_the_sum_only_empty_queues_take_a_line() {
    const CLIENTS: usize = 40;
    let builder = Server::builder().timeout(PATIENT).queue_total(128 * 1024);
    let server = start(builder).await;
    let mut events = server.events();
    let text = "x".repeat(1000);
    let mut peers = Vec::new();
    for n in 0..CLIENTS {
        let mut peer = Peer::hello(&server, &format!("{n}")).await;
        let lines: String = (1..=20).map(|n| format!("{n:02x}{text}\n")).collect();
        peer.send(lines).await;
        peers.push(peer);
    }
    for n in 0..CLIENTS {
        arrived(&soon(server.client(&format!("{n}"))).await, 1).await;
    }
    until(&mut events, |e| matches!(e, EventKind::QueueFull { .. })).await;
    let line = text.len() + 32;
    assert!(server.queued_bytes() <= 128 * 1024 + CLIENTS * line, "{}", server.queued_bytes());
    // What was refused comes again when there is room.
    let app = App::start(&server);
    for (n, peer) in peers.iter_mut().enumerate() {
        let id = format!("{n}");
        let mut missing: Vec<u8> = (1..=20).collect();
        while !missing.is_empty() {
            let lines: String = missing.iter().map(|n| format!("{n:02x}{text}\n")).collect();
            peer.send(lines).await;
            let first = missing[0];
            // Each is acknowledged at least once; those that were accepted already, again.
            while missing.contains(&first) {
                let ack = peer.line().await.expect("an acknowledgement");
                let mid = u8::from_str_radix(&ack, 16).expect("an acknowledgement");
                missing.retain(|&n| n != mid);
            }
        }
        for _ in 0..20 {
            assert_eq!(app.read(&id).await, text);
        }
        assert_eq!(app.unread(&id), 0);
    }
    assert_eq!(server.queued_bytes(), 0);
}

#[tokio::test]
async fn a_client_that_brings_much_in_one_go_lets_others_have_their_turn() {
    let server = server(PATIENT).await;
    let mut greedy = Peer::hello(&server, "greedy").await;
    greedy.send("\n").await;
    let mut modest = Peer::hello(&server, "modest").await;
    modest.send("\n").await;
    let (greedy_link, modest_link) =
        (soon(server.client("greedy")).await, soon(server.client("modest")).await);
    greedy.tell(&greedy_link, "01same").await;
    // The server does not run meanwhile: all that the sockets take is there before it looks.
    let round = "01same\n".repeat(1000);
    let mut brought = 0;
    while let Ok(n) = greedy.write.try_write(round.as_bytes()) {
        brought += n;
    }
    assert!(brought > 512 * 1024, "the sockets took {brought} bytes only");
    modest.write.try_write(b"01line\n").expect("the socket is empty");
    arrived(&modest_link, 1).await;
    let seen = greedy_link.status().duplicates as usize * 7;
    assert!(seen < 512 * 1024, "the other waited for {seen} of {brought} bytes");
    drop(read(&modest_link).await);
}

#[tokio::test]
async fn the_sum_counts_what_is_unaccepted_and_forgets_what_a_stopped_server_gave_away() {
    let first = server(SHORT).await;
    let mut peer = Peer::hello(&first, "1").await;
    peer.send("01four\n02lines\n03are\n04here\n").await;
    let connection = soon(first.client("1")).await;
    arrived(&connection, 4).await;
    let cost = 4 * 32 + "fourlinesarehere".len();
    let lent = soon(connection.recv()).await.unwrap();
    assert_eq!(first.queued_bytes(), cost);
    drop(lent);
    assert_eq!(first.queued_bytes(), cost);
    assert_eq!(read(&connection).await, "four");
    assert_eq!(first.queued_bytes(), cost - 36);
    let saved = soon(first.shutdown()).await;
    assert_eq!((first.queued_bytes(), saved.unread()), (0, 3));
    let second = start(Server::builder().timeout(SHORT).restore(saved)).await;
    assert_eq!(second.queued_bytes(), cost - 36);
}

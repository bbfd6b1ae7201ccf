//! A stall of the server's process, and who gets a link after it. The clock only moves when a test says so.

use std::future::pending;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::secure::{Ram, Sector, Suite, keys, power_up, suite};
use crate::common::{is_ready, start};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::secure::board::{Board, BoardState};
use pblink_protocol::secure::packet::MAX_UP;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::time::{self, Instant};
use pblink_secure_suite::keys::BoardKeys;
use pblink_server::{EventKind, Keys, Notice, Server};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Lets all tasks do what they can do without waiting for time.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A board that does something only when it is told to.
struct Hand {
    link: Board<Suite, Ram>,
    carrier: Endpoint<heapless::Vec<u8, 1200>, Vec<u8>, 8>,
    stream: TcpStream,
    began: tokio::time::Instant,
}

struct Lines(Vec<String>);

impl Host<Vec<u8>> for Lines {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        self.0.push(text.to_owned());
        Disposition::Taken
    }
}

impl Hand {
    fn connect(server: &Server, keys: &BoardKeys) -> Self {
        let mut stream = TcpStream::connect(server.local_addr()).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.write_all(b"1\n").expect("there is room");
        stream.set_nonblocking(true).expect("a TCP socket");
        let timing = Timing::new(time::Duration::from_micros(TIMEOUT.as_micros() as u64));
        let mut carrier = Endpoint::new(Role::Client, timing, heapless::Vec::new());
        let began = tokio::time::Instant::now();
        carrier.on_connected(Instant::ZERO);
        let mut link = Board::new(suite(keys, &Sector::default()), power_up());
        link.on_server(Instant::ZERO, true);
        Self { link, carrier, stream, began }
    }

    /// Takes what has come, and sends what it has to say.
    fn act(&mut self) {
        let now = Instant::from_micros(self.began.elapsed().as_micros() as u64);
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(n) => {
                let mut lines = Lines(Vec::new());
                self.carrier.on_bytes(now, &buffer[..n], &mut lines);
                lines.0.iter().for_each(|line| self.link.on_line(now, line));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        self.link.poll(now);
        self.link.compute(now);
        while self.carrier.unacked() < 4
            && let Some(line) = self.link.transmit(now, &mut [0; MAX_UP]).map(str::to_owned)
        {
            let sent = self.carrier.write(now, line.into_bytes(), Delivery::BestEffort);
            sent.expect("there is room");
        }
        loop {
            match self.carrier.transmit(now, &mut buffer) {
                0 => return,
                n => self.stream.write_all(&buffer[..n]).expect("there is room"),
            }
        }
    }
}

/// Lets a tenth of a second pass, in which these boards act.
async fn pass(boards: &mut [&mut Hand]) {
    for board in &mut *boards {
        board.act();
    }
    settle().await;
    tokio::time::advance(Duration::from_millis(100)).await;
    settle().await;
}

/// Both have the same keys: one of them is a copy. It asks for the link all the time, and the process freezes for longer than a
/// living board is silent.
#[tokio::test(start_paused = true)]
async fn a_copy_of_a_living_board_does_not_get_its_link_by_a_stall() {
    // The clock does not run ahead when all tasks wait for sockets.
    let (_held, released) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || released.recv());
    let issued = keys("1");
    let server =
        start(Server::builder().timeout(TIMEOUT).keys(Keys::new().board(issued.server))).await;
    let mut events = server.events();
    let mut living = Hand::connect(&server, &issued.board);
    let link = server.link("1").expect("it has keys");
    for _ in 0..30 {
        pass(&mut [&mut living]).await;
    }
    assert!(link.is_up());
    let mut copy = Hand::connect(&server, &issued.board);
    let mut left = 100;
    while copy.link.state() != BoardState::Prove {
        // It says something each second.
        living.link.send("here");
        pass(&mut [&mut living, &mut copy]).await;
        left -= 1;
        assert!(left > 0, "it should have made keys by now: {:?}", copy.link.state());
    }
    settle().await;
    let mut goes_on = pin!(timeout(Duration::from_millis(1), pending::<()>()));
    assert!(!is_ready(goes_on.as_mut()).await);
    assert!(!is_ready(pin!(tokio::time::advance(Duration::from_millis(2100)))).await);
    goes_on.await.expect_err("nothing else ends it");
    // Meanwhile both have spoken, the copy first.
    copy.act();
    living.link.send("still here");
    living.act();
    settle().await;
    for _ in 0..5 {
        pass(&mut [&mut living, &mut copy]).await;
    }
    let status = link.status();
    assert_eq!((status.outages, status.connects, link.is_up()), (0, 1, true), "{status:?}");
    assert_ne!(copy.link.state(), BoardState::Up);
    let mut told = false;
    while let Ok(Some(Notice::Event(event))) = timeout(Duration::ZERO, events.recv()).await {
        told |= matches!(event.kind, EventKind::TwoBoards { .. });
    }
    assert!(told, "someone hears of the copy");
}

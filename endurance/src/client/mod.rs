//! A board that speaks the secure link, as its program and an ESP8266 do together: the real machines on a real socket.

#![allow(dead_code, reason = "tests of the server library use the rest, by the path of this file")]

mod ram;
mod sector;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::secure::board::{Board, BoardEvent};
use pblink_protocol::secure::packet::MAX_UP;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::time::{self, Instant};
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{BoardKeys, Id, Secret};
use pblink_secure_suite::random::{Os, Random};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use ram::Ram;
pub use sector::Sector;

pub type Suite = pblink_secure_suite::board::Board<Sector>;

/// Returns keys of a board with this id, and of its server.
pub fn keys(id: &str) -> Issued {
    issue(&Id::new(id).expect("an id"), 1, &Secret::draw(&mut Os), &mut Os)
}

/// Draws an epoch for the memory of a board that has just got its power.
pub fn power_up() -> Ram {
    let mut bytes = [0; 8];
    Os.fill(&mut bytes);
    Ram::power_up(u64::from_le_bytes(bytes), usize::MAX)
}

type Carrier = Endpoint<heapless::Vec<u8, 1200>, Vec<u8>, 8>;

/// Puts received lines aside.
struct Lines(Vec<String>);

impl Host<Vec<u8>> for Lines {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        self.0.push(text.to_owned());
        Disposition::Taken
    }
}

/// See the file's text.
pub struct SecureBoard {
    pub link: Board<Suite, Ram>,
    pub got: Vec<String>,
    pub events: Vec<BoardEvent>,
    /// All bytes that have passed, both ways, while it `keeps` them.
    pub seen: Arc<Mutex<Vec<u8>>>,
    pub keeps: bool,
    /// The longest time for which it waits for bytes.
    pub patience: Duration,
    /// Lines are read as they come.
    pub reads: bool,
    /// The program is done with a line as soon as it has read it.
    pub accepts: bool,
    /// The flash for keys.
    pub flash: Sector,
    keys: BoardKeys,
    server: SocketAddr,
    timing: Timing,
    carrier: Option<(TcpStream, Carrier)>,
    started: tokio::time::Instant,
}

pub fn suite(keys: &BoardKeys, flash: &Sector) -> Suite {
    let seed = Secret::draw(&mut Os);
    flash.open(keys, Drbg::new(&[seed.expose()]))
}

impl SecureBoard {
    pub fn new(keys: &BoardKeys, server: SocketAddr, timeout: Duration) -> Self {
        let timeout = time::Duration::from_micros(timeout.as_micros() as u64);
        let flash = Sector::default();
        Self {
            link: Board::new(suite(keys, &flash), power_up()),
            flash,
            got: Vec::new(),
            events: Vec::new(),
            seen: Arc::default(),
            keeps: true,
            patience: Duration::from_millis(5),
            reads: true,
            accepts: true,
            keys: keys.clone(),
            server,
            timing: Timing::new(timeout),
            carrier: None,
            started: tokio::time::Instant::now(),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(1_000_000 + self.started.elapsed().as_micros() as u64)
    }

    pub fn write(&mut self, line: &str) -> u64 {
        self.link.write(self.now(), line).expect("there is room")
    }

    /// Connects to another server from now on.
    pub fn serve_by(&mut self, server: SocketAddr) {
        self.cut();
        self.server = server;
    }

    /// The connection is gone, or the ESP8266 was reset: lines in it are lost.
    pub fn cut(&mut self) {
        self.carrier = None;
        self.link.on_server(self.now(), false);
    }

    /// Its program begins anew, by a watchdog for instance.
    pub fn restart(&mut self) {
        self.cut();
        let begin = |memory| Board::new(suite(&self.keys, &self.flash), memory);
        let link = std::mem::replace(&mut self.link, begin(power_up()));
        self.link = begin(link.into_memory());
    }

    /// It loses its power.
    pub fn power_cycle(&mut self) {
        self.cut();
        self.link = Board::new(suite(&self.keys, &self.flash), power_up());
    }

    /// Works until `done`, for at most half a minute.
    pub async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let worked = tokio::time::timeout(Duration::from_secs(30), async {
            while !done(self) {
                self.step().await;
            }
        });
        if worked.await.is_err() {
            let (state, stats) = (self.link.state(), self.link.stats());
            panic!("not within 30 s: {state:?}, {stats:?}, {:?}, got {:?}", self.events, self.got);
        }
    }

    /// Works until everything that it wrote is done.
    pub async fn all_done(&mut self) {
        self.until(|board| board.link.memory().lines.is_empty()).await;
    }

    async fn step(&mut self) {
        self.try_step().await.expect("a server that a test names listens");
    }

    /// Does what is to be done, and then waits for something to happen. An error: nobody listens.
    pub async fn try_step(&mut self) -> std::io::Result<()> {
        if self.carrier.is_none() {
            let mut stream = TcpStream::connect(self.server).await?;
            stream.set_nodelay(true)?;
            let hello = format!("{}\n", self.keys.id.as_str());
            if stream.write_all(hello.as_bytes()).await.is_err() {
                return Ok(());
            }
            let mut carrier = Carrier::new(Role::Client, self.timing, heapless::Vec::new());
            carrier.on_connected(self.now());
            self.link.on_server(self.now(), true);
            self.carrier = Some((stream, carrier));
        }
        let now = self.now();
        self.link.poll(now);
        self.link.compute(now);
        while let Some(event) = self.link.next_event() {
            self.events.push(event);
        }
        if self.reads {
            while self.link.read_line(|line| self.got.push(line.to_owned())).is_some() {
                if self.accepts {
                    self.link.accept();
                }
            }
        }
        let alive = self.exchange(now).await;
        if !alive {
            self.cut();
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Sends what is to be sent, and takes what comes. False: the connection is gone.
    async fn exchange(&mut self, now: Instant) -> bool {
        let Some((stream, carrier)) = &mut self.carrier else { return false };
        while carrier.unacked() < 4 {
            let Some(line) = self.link.transmit(now, &mut [0; MAX_UP]).map(str::to_owned) else {
                break;
            };
            carrier.write(now, line.into_bytes(), Delivery::BestEffort).expect("there is room");
        }
        let mut out = [0; 4096];
        loop {
            let n = carrier.transmit(now, &mut out);
            if n == 0 {
                break;
            }
            if self.keeps {
                self.seen.lock().expect("no panic").extend(&out[..n]);
            }
            if stream.write_all(&out[..n]).await.is_err() {
                return false;
            }
        }
        if carrier.outage(now) {
            return false;
        }
        let at = time::earliest(carrier.poll_at(now), self.link.poll_at(now));
        let due = at.map(|at| Duration::from_micros(at.since(now).as_micros()));
        let wait = due.map_or(self.patience, |due| due.min(self.patience));
        let read = tokio::time::timeout(wait, stream.read(&mut out)).await;
        match read {
            Ok(Ok(0) | Err(_)) => false,
            Ok(Ok(n)) => {
                if self.keeps {
                    self.seen.lock().expect("no panic").extend(&out[..n]);
                }
                let mut lines = Lines(Vec::new());
                carrier.on_bytes(now, &out[..n], &mut lines);
                for line in lines.0 {
                    self.link.on_line(now, &line);
                }
                true
            }
            Err(_) => true,
        }
    }
}

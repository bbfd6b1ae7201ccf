//! A board that writes all the time, through any number of connections, and keeps account.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::tcp::line::Mid;
use pblink_protocol::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use crate::account::{Account, Manners, Written};
use crate::pen::{Pen, is_best_effort};

type End = Endpoint<heapless::Vec<u8, 256>, Vec<u8>, 64>;

/// The link's time-out.
pub const TIMEOUT: Duration = Duration::from_millis(1000);

/// Pause between two tries to connect.
pub(crate) const AGAIN: Duration = Duration::from_millis(20);

/// A board.
pub struct Board {
    end: End,
    account: Account,
    pen: Pen,
    began: tokio::time::Instant,
    /// The published client's receiver, and acknowledgements of it.
    bitmap: [u8; 32],
    acks: VecDeque<Mid>,
    partial: Vec<u8>,
    passed: Arc<Passed>,
    /// Time between two bursts of lines, and the time of the next.
    pub(crate) pause: Duration,
    next: tokio::time::Instant,
}

/// Lines that have passed between boards and server, to be waited for.
#[derive(Debug, Default)]
pub struct Passed {
    count: Mutex<u64>,
    more: Condvar,
}

impl Passed {
    pub(crate) fn add(&self, lines: u64) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += lines;
        self.more.notify_all();
    }

    /// Returns their number.
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this many more have passed. Returns false if they have not within `patience`.
    pub fn wait(&self, lines: u64, patience: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = *count + lines;
        let waited = self.more.wait_timeout_while(count, patience, |count| *count < wanted);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Takes lines and acknowledgements, and counts the latter.
struct Received<'a>(&'a mut Vec<String>, &'a mut u64);

impl Host<Vec<u8>> for Received<'_> {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        self.0.push(text.to_owned());
        Disposition::Taken
    }

    fn acked(&mut self, _: Ticket, _: Option<Vec<u8>>, _: pblink_protocol::time::Duration) {
        *self.1 += 1;
    }
}

impl Board {
    /// Returns a board that has written nothing yet. The seed decides what it writes; lines that pass are added to
    /// `passed`.
    pub fn new(id: String, manners: Manners, seed: u64, passed: Arc<Passed>) -> Self {
        let span = pblink_protocol::time::Duration::from_millis(TIMEOUT.as_millis() as u64);
        Self {
            end: End::new(Role::Client, Timing::new(span), heapless::Vec::new()),
            account: Account::new(id, manners),
            pen: Pen::new(seed),
            began: tokio::time::Instant::now(),
            bitmap: [0; 32],
            acks: VecDeque::new(),
            partial: Vec::new(),
            passed,
            pause: Duration::ZERO,
            next: tokio::time::Instant::now(),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.began.elapsed().as_micros() as u64)
    }

    /// Writes until `writing` ends, and then waits until all is acknowledged and every echo is here, or for as
    /// long as nobody tells it to `give_up`.
    pub async fn run(
        mut self,
        server: SocketAddr,
        writing: Arc<AtomicBool>,
        give_up: CancellationToken,
    ) -> Account {
        let ended = give_up.run_until_cancelled_owned(self.work(server, &writing)).await;
        self.account.finished = ended.is_some();
        self.account.unacked = self.end.unacked();
        self.account
    }

    async fn work(&mut self, server: SocketAddr, writing: &AtomicBool) {
        while !self.is_done(writing) {
            match TcpStream::connect(server).await {
                Ok(stream) => {
                    // Each ends somehow: that is what this is about.
                    let _ = self.talk(stream, writing).await;
                    self.end.on_disconnected();
                    self.acks.clear();
                    self.partial.clear();
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    fn is_done(&mut self, writing: &AtomicBool) -> bool {
        // Best-effort lines do not count.
        let counts = self.account.received.first().is_some_and(|text| !is_best_effort(text));
        let again = if counts { self.account.first_again() } else { 0 };
        !writing.load(Ordering::Relaxed)
            && self.end.unacked() == 0
            && self.acks.is_empty()
            && self.pen.has_heard_all(&self.account, again)
    }

    async fn talk(&mut self, mut stream: TcpStream, writing: &AtomicBool) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.write_all(format!("{}\n", self.account.id).as_bytes()).await?;
        self.end.on_connected(self.now());
        self.account.connects += 1;
        let (mut input, mut output) = ([0; 4096], [0; 2048]);
        loop {
            if writing.load(Ordering::Relaxed) {
                self.write_some();
            } else if self.is_done(writing) {
                return Ok(());
            }
            let now = self.now();
            let mut bytes = Vec::new();
            while let Some(mid) = self.acks.pop_front() {
                bytes.extend(mid.digits());
                bytes.push(b'\n');
            }
            loop {
                let n = self.end.transmit(now, &mut output);
                if n == 0 {
                    break;
                }
                bytes.extend(&output[..n]);
            }
            stream.write_all(&bytes).await?;
            if self.end.outage(now) {
                return Ok(());
            }
            let pause = self
                .end
                .poll_at(now)
                .map_or(TIMEOUT, |at| Duration::from_micros(at.since(now).as_micros()));
            // It writes a little at a time.
            match timeout(pause.min(Duration::from_millis(5)), stream.read(&mut input)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(n)) => self.on_bytes(&input[..n]),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn on_bytes(&mut self, bytes: &[u8]) {
        let before = self.account.received.len();
        let acked = match self.account.manners.published {
            true => self.on_bytes_as_published(bytes),
            false => {
                let (now, mut acked) = (self.now(), 0);
                self.end.on_bytes(
                    now,
                    bytes,
                    &mut Received(&mut self.account.received, &mut acked),
                );
                acked
            }
        };
        self.passed.add(acked + (self.account.received.len() - before) as u64);
    }

    /// Returns the number of acknowledgements.
    fn on_bytes_as_published(&mut self, bytes: &[u8]) -> u64 {
        let (now, mut acked) = (self.now(), 0);
        self.partial.extend(bytes);
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let mid = (line.len() > 3).then(|| Mid::parse([line[0], line[1]])).flatten();
            let Some(mid) = mid else {
                self.end.on_bytes(
                    now,
                    &line,
                    &mut Received(&mut self.account.received, &mut acked),
                );
                continue;
            };
            // The endpoint has to know that the server speaks.
            self.end.on_bytes(now, b"\n", &mut Received(&mut self.account.received, &mut acked));
            if self.is_new(mid) {
                let text = String::from_utf8_lossy(&line[2..line.len() - 1]).into_owned();
                self.account.received.push(text);
            }
            self.acks.push_back(mid);
        }
        acked
    }

    /// As micropython-iot's client decides.
    fn is_new(&mut self, mid: Mid) -> bool {
        let byte = usize::from(mid.0 >> 3);
        if mid.0 == 0 {
            self.bitmap = [0; 32];
        }
        let new = self.bitmap[byte] & (1 << (mid.0 & 7)) == 0;
        self.bitmap[byte] |= 1 << (mid.0 & 7);
        self.bitmap[(byte + 16) & 31] = 0;
        new
    }

    fn write_some(&mut self) {
        if tokio::time::Instant::now() < self.next || self.pen.is_far_behind(&self.account) {
            return;
        }
        self.next = tokio::time::Instant::now() + self.pause;
        for _ in 0..self.pen.burst() {
            if !self.end.has_room() {
                return;
            }
            let line = self.pen.compose(true);
            let delivery = match (line.guaranteed, self.account.manners.ordered) {
                (false, _) => Delivery::BestEffort,
                (true, true) => Delivery::ORDERED,
                (true, false) => Delivery::UNORDERED,
            };
            let now = self.now();
            if self.end.write(now, line.text.clone().into_bytes(), delivery).is_err() {
                return;
            }
            self.pen.wrote(&mut self.account, line);
        }
    }
}

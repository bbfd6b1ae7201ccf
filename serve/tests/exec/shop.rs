//! A server with a log and a program as its consumer, and boards that acknowledge.

use std::time::Duration;

use pblink_protocol::tcp::line::Mid;
use pblink_protocol::tcp::window::{Print, Verdict, Window};
use pblink_serve::consumers::{self, Consumer, Exec, Kind, Pace};
use pblink_serve::hub::Hub;
use pblink_serve::log::{ConsumerStatus, Engine};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Station, soon};

/// Pauses that a test can wait for.
pub fn quick() -> Pace {
    Pace {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(50),
        steady: Duration::from_secs(60),
        term: Duration::from_millis(200),
        kill: Duration::from_millis(400),
    }
}

/// Returns a program in the folder of the test, which it finds as `$D`.
pub fn program(folder: &TempDir, text: &str) -> Exec {
    let command = format!("D='{}'; {text}", folder.path().display());
    Exec { pace: quick(), server: Some("http://127.0.0.1:1".into()), ..Exec::new(command) }
}

pub struct Shop {
    pub station: Station,
    ending: CancellationToken,
    consumer: JoinHandle<()>,
}

impl Shop {
    pub async fn open(engine: impl Engine, exec: Exec) -> Self {
        Self::with(engine, Consumer::new(Kind::Exec(exec), true)).await
    }

    pub async fn with(engine: impl Engine, consumer: Consumer) -> Self {
        let station = Station::start(engine).await;
        let (server, log) = (station.server.clone(), station.log.clone());
        consumer.register(&log).await.unwrap();
        let hub = Hub::with_log(server, log.clone(), Duration::from_secs(1200), "exec");
        let (passed, _) = mpsc::channel(8);
        let ending = CancellationToken::new();
        let run = consumers::run(hub, log, vec![consumer], passed, ending.clone());
        Self { station, ending, consumer: tokio::spawn(run) }
    }

    /// Returns the state of the consumer.
    pub fn status(&self) -> ConsumerStatus {
        self.station.log.status().consumers.remove(0)
    }

    /// Waits for this.
    pub async fn until(&self, is_so: impl Fn(&ConsumerStatus) -> bool) -> ConsumerStatus {
        let mut status =
            soon(self.station.log.wait_for(|status| is_so(&status.consumers[0]))).await;
        status.consumers.remove(0)
    }

    /// Stops as `serve` does.
    pub async fn close(self) {
        soon(self.station.server.shutdown()).await;
        self.ending.cancel();
        soon(self.consumer).await.unwrap();
        soon(self.station.log.stop()).await;
    }

    /// Ends at once, as a process does that is killed: nothing more reaches the log.
    pub async fn kill(self) {
        self.consumer.abort();
        let _ = self.consumer.await;
        self.station.stop().await;
    }
}

/// Waits until there is something that gives no sign: a file, or the end of a process.
pub async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    soon(async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// Waits for a file that a program writes in one go, and returns its text.
pub async fn file(folder: &TempDir, name: &str) -> String {
    let path = folder.path().join(name);
    eventually(|| std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))).await
}

/// A board's program: it numbers its lines, and acknowledges what it hears.
pub struct Pen {
    board: Board,
    said: u32,
    /// Lines that it has heard: a server that was killed repeats all whose acknowledgement it had not stored.
    window: Window,
    /// Lines that it heard while it waited for acknowledgements.
    texts: std::collections::VecDeque<String>,
}

impl Pen {
    pub async fn connect(shop: &Shop, id: &str) -> Self {
        let board = Board::connect(&shop.station, id).await;
        Self { board, said: 0, window: Window::new(), texts: Default::default() }
    }

    /// Connects to another server as the same board.
    pub async fn reconnect(&mut self, shop: &Shop, id: &str) {
        self.board = Board::connect(&shop.station, id).await;
        self.window.reconnected();
    }

    /// Sends a line, and waits for its acknowledgement.
    pub async fn say(&mut self, text: &str) {
        assert!(self.try_say(text).await, "the server cut it");
    }

    async fn try_say(&mut self, text: &str) -> bool {
        let n = self.said;
        self.said += 1;
        let number = format!("{:02x}", if n == 0 { 0 } else { 1 + (n - 1) % 255 });
        self.board.say(&format!("{number}{text}")).await;
        while let Some(line) = self.board.hear().await {
            if line == number {
                return true;
            }
            self.take(&line).await;
        }
        false
    }

    async fn take(&mut self, line: &str) {
        if line.len() <= 2 {
            return;
        }
        let (number, text) = line.split_at(2);
        self.board.say(number).await;
        let mid = Mid(u8::from_str_radix(number, 16).unwrap());
        let print = Print::of(text.as_bytes());
        match self.window.judge(mid, print) {
            Verdict::Duplicate => self.window.repeated(mid),
            _ => {
                self.window.accept(mid, print);
                self.texts.push_back(text.to_owned());
            }
        }
    }

    /// Returns the next line from the server.
    pub async fn hear(&mut self) -> String {
        loop {
            if let Some(text) = self.texts.pop_front() {
                return text;
            }
            let line = self.board.hear().await.expect("the server cut it");
            self.take(&line).await;
        }
    }

    /// Returns the next lines.
    pub async fn hear_all(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(self.hear().await);
        }
        all
    }
}

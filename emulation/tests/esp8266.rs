//! The ESP8266's machine code against a real server: nothing lost, nothing doubled, whatever fails.
//!
//! Exceptions, as documented: each crash of the ESP8266 may lose two lines for the server and double
//! one from it.
#![cfg(unix)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pblink_emulation::ledger::{Account, account, line};
use pblink_emulation::rig::{Fault, Rig};
use pblink_emulation::{image, ledger};
use pblink_protocol::app::AppEvent;
use pblink_protocol::config::Config;
use pblink_server::{Connection, Delivery, EventKind, SavedSessions, Server, WriteError};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;

/// Lines each way.
const LINES: usize = 200;

/// One rig at a time: three of them on two cores are slower than one after the other.
static ONE: Mutex<()> = Mutex::const_new(());

/// A rig, its server, and the program of the server.
struct Link {
    rig: Rig,
    server: Server,
    up: watch::Receiver<Vec<String>>,
    tell: Arc<watch::Sender<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
    /// The number of the next line that the server's program writes.
    next: Arc<watch::Sender<usize>>,
    _alone: MutexGuard<'static, ()>,
}

impl Link {
    async fn start(image: &Path) -> Self {
        let alone = ONE.lock().await;
        let server = bind(0, SavedSessions::default()).await;
        let port = server.local_addr().port();
        let config = Config {
            id: "bench".try_into().expect("short"),
            port,
            server: "127.0.0.1".try_into().expect("short"),
            timeout_ms: 1000,
            report_s: 1,
            ssid: "network".try_into().expect("short"),
            password: "password".try_into().expect("short"),
        };
        let rig = Rig::start(image.to_owned(), &config, LINES);
        let (tell, up) = watch::channel(Vec::new());
        let mut link = Self {
            rig,
            server,
            up,
            tell: Arc::new(tell),
            tasks: Vec::new(),
            next: Arc::new(watch::Sender::new(0)),
            _alone: alone,
        };
        link.serve();
        link
    }

    /// Starts the server's program.
    fn serve(&mut self) {
        let server = self.server.clone();
        let (tell, next) = (Arc::clone(&self.tell), Arc::clone(&self.next));
        self.tasks.push(tokio::spawn(async move {
            let connection = server.client("bench").await;
            tokio::join!(read(&connection, &tell), write(&connection, &next));
        }));
    }

    /// Stops the server, and starts another on the same port with the sessions of the old one.
    async fn restart_server(&mut self) {
        let port = self.server.local_addr().port();
        let saved = self.server.shutdown().await;
        for task in self.tasks.drain(..) {
            task.await.expect("the program ends with its server");
        }
        self.server = bind(port, saved).await;
        self.serve();
    }

    /// Waits until so many lines have arrived each way.
    async fn passed(&self, up: usize, down: usize) {
        let mut lines = self.up.clone();
        // The rig's wait has the limit, and tells what was seen.
        tokio::select! {
            arrived = lines.wait_for(|lines| lines.len() >= up) => {
                arrived.expect("the test keeps the sender");
            }
            () = self.rig.wait("lines at the server", |_| false, |_| ()) => {}
        }
        self.rig.wait("lines at the STM32", |seen| seen.down.len() >= down, |_| ()).await;
    }

    /// Prints how long it took from `since` until lines passed again both ways.
    async fn recovered(&self, what: &str, since: Instant) {
        let (up, down) = (self.up.borrow().len(), self.rig.look(|seen| seen.down.len()));
        self.passed(up + 1, down + 1).await;
        println!("{what}: lines both ways again after {:.1?}", since.elapsed());
    }

    /// Waits for the last lines, and compares.
    async fn finish(self) -> (Account, Account, usize) {
        let last = line("up", LINES - 1);
        let mut up = self.up.clone();
        tokio::select! {
            arrived = up.wait_for(|lines| lines.last() == Some(&last)) => {
                arrived.expect("the test keeps the sender");
            }
            () = self.rig.wait("the last line at the server", |_| false, |_| ()) => {}
        }
        let last = line("down", LINES - 1);
        let ended = |seen: &pblink_emulation::rig::Seen| seen.down.last() == Some(&last);
        self.rig.wait("the last line at the STM32", ended, |_| ()).await;
        let (down, resets) = self.rig.look(|seen| {
            println!("{} boots; this machine was up to {:.1?} late", seen.boots, seen.late);
            for line in &seen.log {
                println!("    {line}");
            }
            (seen.down.clone(), seen.resets())
        });
        let up = account("up", LINES, &self.up.borrow());
        let down = account("down", LINES, &down);
        println!("up {up:?}, down {down:?}, {resets} resets");
        self.server.shutdown().await;
        (up, down, resets)
    }
}

async fn bind(port: u16, saved: SavedSessions) -> Server {
    let builder = Server::builder().listen(([127, 0, 0, 1], port).into());
    let server = builder.timeout(Duration::from_millis(1000)).restore(saved).bind().await;
    server.expect("a free port")
}

async fn read(connection: &Connection, tell: &watch::Sender<Vec<String>>) {
    while let Ok(line) = connection.read_line().await {
        tell.send_modify(|lines| lines.push(line));
    }
}

async fn write(connection: &Connection, next: &watch::Sender<usize>) {
    loop {
        let number = *next.borrow();
        if number == LINES {
            return;
        }
        match connection.write(&ledger::line("down", number), Delivery::ORDERED).await {
            Ok(()) | Err(WriteError::Kept) => next.send_modify(|next| *next += 1),
            Err(WriteError::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

const NONE: Account = Account { lost: 0, doubled: 0 };

/// No crash: exactly once.
fn exactly_once((up, down, resets): (Account, Account, usize)) {
    assert_eq!((up, down, resets), (NONE, NONE, 0));
}

/// Crashes: the documented exceptions, and nothing beyond.
fn but_for_crashes((up, down, resets): (Account, Account, usize)) {
    assert!(resets >= 1, "there was no crash");
    assert!(up.lost <= 2 * resets && up.doubled == 0, "up {up:?}, {resets} resets");
    assert!(down.doubled <= resets && down.lost == 0, "down {down:?}, {resets} resets");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_pass_once_and_in_order() {
    let Some(image) = image::esp8266() else { return };
    let link = Link::start(image).await;
    link.passed(1, 1).await;
    let report = |event: &AppEvent| matches!(event, AppEvent::Report(report) if report.0 == 1);
    let reported = |seen: &pblink_emulation::rig::Seen| seen.events.iter().any(report);
    link.rig.wait("a report after one connect", reported, |_| ()).await;
    exactly_once(link.finish().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_restarted() {
    let Some(image) = image::esp8266() else { return };
    let mut link = Link::start(image).await;
    link.passed(30, 30).await;
    let since = Instant::now();
    link.restart_server().await;
    link.recovered("server restarted", since).await;
    exactly_once(link.finish().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wifi_is_dropped() {
    let Some(image) = image::esp8266() else { return };
    let link = Link::start(image).await;
    link.passed(30, 30).await;
    let mut events = link.server.events();
    link.rig.inject(Fault::Wifi(false));
    loop {
        let event = events.recv().await.expect("the server runs");
        if matches!(event.kind, EventKind::OutageBegan { .. }) {
            break;
        }
    }
    let told = |seen: &pblink_emulation::rig::Seen| seen.events.contains(&AppEvent::Server(false));
    link.rig.wait("the STM32 is told", told, |_| ()).await;
    let since = Instant::now();
    link.rig.inject(Fault::Wifi(true));
    link.recovered("WiFi back", since).await;
    exactly_once(link.finish().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_esp8266_dies_in_the_middle_of_an_exchange() {
    let Some(image) = image::esp8266() else { return };
    let link = Link::start(image).await;
    for round in 1..=3 {
        link.passed(40 * round, 40 * round).await;
        let since = Instant::now();
        link.rig.inject(Fault::KillInPayload);
        link.rig.wait("the fault", |seen| seen.faults == round, |_| ()).await;
        link.recovered("ESP8266 died", since).await;
    }
    but_for_crashes(link.finish().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_esp8266_hangs() {
    let Some(image) = image::esp8266() else { return };
    let link = Link::start(image).await;
    link.passed(60, 60).await;
    let since = Instant::now();
    link.rig.inject(Fault::Hang);
    link.rig.wait("the fault", |seen| seen.faults == 1, |_| ()).await;
    link.recovered("ESP8266 hung", since).await;
    but_for_crashes(link.finish().await);
}

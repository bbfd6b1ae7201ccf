//! The stage of the demo: a real server, simulated boards, a program on each end, and faults.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pblink_protocol::time::Duration as LinkDuration;
use pblink_serve::hub::Hub;
use pblink_server::{Connection, Delivery, EventKind, Layer, Server, WriteError};
use pblink_simulator::live::{Command, Event};
use pblink_simulator::{Fault as BoardFault, Pair, PairEvent, PairOptions, ProgramOptions};
use tokio::time::{Instant, sleep, timeout};

use super::ledgers::{Ledgers, got};
use crate::boards::{self, Board};
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::say;

/// The link's time-out: the default.
const TIMEOUT_MS: u32 = 2000;
/// Between two lines of a board, and two lines to it.
const EVERY: Duration = Duration::from_millis(1000);
/// The longest wait for lines that are on their way at the end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that goes wrong, on demand or by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A board (the first, if none is named) loses its network.
    WifiOutage(Option<String>, Duration),
    /// The ESP8266 of a board crashes.
    Crash(Option<String>),
    /// The server is gone for so long.
    ServerRestart(Duration),
}

/// The demo's world.
pub(super) struct Stage {
    hub: Arc<Hub>,
    address: SocketAddr,
    ids: Vec<String>,
    boards: Mutex<Vec<Board>>,
    ledgers: Arc<Mutex<Ledgers>>,
    /// The numbers of the server's lines: the next one of each board, and whether it stands in the
    /// ledger already because a server that stopped did not take it.
    numbers: Mutex<Vec<(u64, bool)>>,
    /// Held while the server is down, so that it is stopped once only.
    restart: tokio::sync::Mutex<()>,
    writing: Arc<std::sync::atomic::AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Starts server and boards.
    pub(super) async fn open(boards: u16) -> anyhow::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let ids: Vec<String> = (1..=boards).map(|n| n.to_string()).collect();
        let server = builder(any, &ids).bind().await;
        let server = server.map_err(|e| Failed::with(Exit::Network, e.to_string()))?;
        let address = server.local_addr();
        let timeout = Duration::from_millis(TIMEOUT_MS.into());
        let stage = Self {
            hub: Hub::new(server, timeout, "demo"),
            address,
            boards: Mutex::default(),
            ledgers: Arc::default(),
            numbers: Mutex::new(vec![(0, false); ids.len()]),
            restart: tokio::sync::Mutex::default(),
            writing: Arc::new(true.into()),
            ids,
        };
        for n in 0..boards {
            let board = stage.start_board(n)?;
            lock(&stage.boards).push(board);
        }
        Ok(stage)
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    fn start_board(&self, n: u16) -> anyhow::Result<Board> {
        let id = self.ids[usize::from(n)].clone();
        let options = PairOptions {
            seed: u64::from(n) * 7919 + u64::from(std::process::id()),
            program: ProgramOptions {
                every: LinkDuration::from_micros(EVERY.as_micros() as u64),
                ..ProgramOptions::default()
            },
            ..PairOptions::default()
        };
        let (hub, ledgers) = (Arc::clone(&self.hub), Arc::clone(&self.ledgers));
        let mut state = Watch { id: id.clone(), number: n + 1, down: None, was_up: false };
        let report = move |_: &Pair, event: Event| {
            state.on_event(&event, &hub, &ledgers);
            true
        };
        Board::start(&id, &self.address.to_string(), TIMEOUT_MS, 2, options, report)
            .map_err(|e| Failed::with(Exit::Failure, e.to_string()))
    }

    /// Starts the server's program for each client of the present server.
    fn start_apps(self: &Arc<Self>) {
        for (n, id) in self.ids.iter().enumerate() {
            // Expected clients have a link from the beginning.
            let Some(connection) = self.hub.server().link(id) else { continue };
            tokio::spawn(read(Arc::clone(self), n, connection.clone()));
            tokio::spawn(write(Arc::clone(self), n, connection));
        }
    }

    /// Makes something go wrong.
    pub(super) async fn cause(self: &Arc<Self>, fault: Fault) {
        match fault {
            Fault::WifiOutage(id, length) => {
                let length = LinkDuration::from_micros(length.as_micros() as u64);
                self.inject(id, BoardFault::WifiOutage(length), "demo: its network goes away");
            }
            Fault::Crash(id) => self.inject(id, BoardFault::Crash, "demo: its ESP8266 crashes"),
            // In a task of its own: whoever asked for it may be gone before the server is back.
            Fault::ServerRestart(length) => {
                let stage = Arc::clone(self);
                let _ = tokio::spawn(async move { stage.restart_server(length).await }).await;
            }
        }
    }

    fn inject(&self, id: Option<String>, fault: BoardFault, what: &str) {
        let boards = lock(&self.boards);
        let named = boards.iter().find(|board| Some(&board.id) == id.as_ref());
        if let Some(board) = named.or(boards.first()) {
            self.hub.record(EventKind::Note { id: Some(board.id.clone()), text: what.to_owned() });
            board.command(Command::Inject(fault));
        }
    }

    async fn restart_server(self: &Arc<Self>, length: Duration) {
        let Ok(_restarting) = self.restart.try_lock() else { return };
        let note =
            |text: &str| self.hub.record(EventKind::Note { id: None, text: text.to_owned() });
        note("demo: the server stops");
        let saved = self.hub.stop().await;
        sleep(length).await;
        match builder(self.address, &self.ids).restore(saved).bind().await {
            Ok(server) => {
                self.hub.replace(server);
                self.start_apps();
            }
            // Another program took the port meanwhile.
            Err(error) => note(&format!("demo: the server does not start again: {error}")),
        }
    }

    /// Stops all writing, waits for what is on its way, and gives the accounts.
    pub(super) async fn wind_down(&self) -> Ledgers {
        self.writing.store(false, std::sync::atomic::Ordering::Relaxed);
        for board in lock(&self.boards).iter() {
            board.command(Command::StopProgram);
        }
        if lock(&self.ledgers).missing() > 0 {
            say("waiting for the lines that are on their way; ctrl-C stops at once");
        }
        // A server that is just being restarted comes back first.
        let end = Instant::now() + PATIENCE;
        let _ = timeout(PATIENCE, self.restart.lock()).await;
        let mut events = tokio::time::interval(Duration::from_millis(20));
        // A line may have been written just before the command came.
        let mut quiet = 0;
        while Instant::now() < end && quiet < 5 {
            events.tick().await;
            quiet = if lock(&self.ledgers).missing() == 0 { quiet + 1 } else { 0 };
        }
        lock(&self.ledgers).clone()
    }
}

fn builder(address: SocketAddr, ids: &[String]) -> pblink_server::Builder {
    Server::builder()
        .listen(address)
        .timeout(Duration::from_millis(TIMEOUT_MS.into()))
        .expected(ids.iter().map(String::as_str))
}

/// Translates the events of one board for the demo.
struct Watch {
    id: String,
    number: u16,
    down: Option<Layer>,
    was_up: bool,
}

impl Watch {
    fn on_event(&mut self, event: &Event, hub: &Hub, ledgers: &Mutex<Ledgers>) {
        match event {
            Event::Pair(PairEvent::Wrote(number)) => {
                lock(ledgers).account(self.number).to_server.wrote(*number);
            }
            Event::Pair(PairEvent::Read(line)) => {
                got(&mut lock(ledgers).account(self.number).to_board, line);
            }
            _ => {
                // Starting is not a fault.
                if self.was_up
                    && let Some(event) = boards::event(&self.id, event, self.down)
                {
                    hub.record(event);
                }
                self.was_up |= *event == Event::Down(None);
                if let Event::Down(down) = event {
                    self.down = *down;
                }
            }
        }
    }
}

/// Runs the server's program, reading: ends with its server.
async fn read(stage: Arc<Stage>, n: usize, connection: Connection) {
    let mut line = String::new();
    while connection.read_line_into(&mut line).await.is_ok() {
        got(&mut lock(&stage.ledgers).account(n as u16 + 1).to_server, &line);
    }
}

/// Runs the server's program, writing: ends with its server.
async fn write(stage: Arc<Stage>, n: usize, connection: Connection) {
    let mut timer = tokio::time::interval(EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // An application writes to a client that it knows.
    if connection.wait_up().await.is_err() {
        return;
    }
    loop {
        timer.tick().await;
        let (number, entered) = lock(&stage.numbers)[n];
        // A line that stands in the ledger is owed, also at the end.
        if !entered && !stage.writing.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        if !entered {
            lock(&stage.ledgers).account(n as u16 + 1).to_board.wrote(number);
            lock(&stage.numbers)[n].1 = true;
        }
        let line = format!("[{number}, 0, 0]");
        let result = connection.write(&line, Delivery::ORDERED).await;
        match result {
            // "Kept": the saved sessions have it, and the next server delivers it.
            Ok(()) | Err(WriteError::Kept) => lock(&stage.numbers)[n] = (number + 1, false),
            Err(_) => return,
        }
        if result.is_err() {
            return;
        }
    }
}

/// Causes faults in turn: the network of one board, then the server, and so on.
pub(super) async fn script(stage: Arc<Stage>, length: Option<Duration>, calm: bool) {
    stage.start_apps();
    if calm {
        return;
    }
    // Of a demo of 20 s: one outage of each kind, with time to see them end.
    let unit = length.map_or(Duration::from_secs(9), |length| length.mul_f64(0.3));
    let unit = unit.min(Duration::from_secs(9));
    if unit < Duration::from_secs(3) {
        return;
    }
    let begun = Instant::now();
    let room = |needed: Duration| length.is_none_or(|length| begun.elapsed() + needed < length);
    let mut n = 0;
    sleep(unit).await;
    while room(unit) {
        let fault = if n % 2 == 0 {
            let id = stage.ids[n / 2 % stage.ids.len()].clone();
            Fault::WifiOutage(Some(id), unit.mul_f64(0.5))
        } else {
            Fault::ServerRestart(Duration::from_secs(2))
        };
        stage.cause(fault).await;
        n += 1;
        sleep(unit).await;
        // A fault at every turn would tire.
        if n % 2 == 0 {
            sleep(unit).await;
        }
    }
}

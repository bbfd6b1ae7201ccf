//! The stage of the demo: a real server, simulated boards, a program on each end, and faults.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pblink_protocol::time::Duration as LinkDuration;
use pblink_secure_suite::issue::issue;
use pblink_secure_suite::keys::{BoardKeys, Id, Secret};
use pblink_secure_suite::random::Os;
use pblink_serve::consumers::{self, App, Consumer, Kind};
use pblink_serve::control::Source;
use pblink_serve::hub::Hub;
use pblink_serve::log::{Keep, Log, Memory, Outgoing};
use pblink_server::{Delivery, EventKind, Keys, Layer, LinkState, Server};
use pblink_simulator::live::{Command, Event};
use pblink_simulator::{
    Fault as BoardFault, Pair, PairEvent, PairOptions, ProgramOptions, sequence_of,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ledgers::{Ledgers, got};
use crate::boards::{self, Board};
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::say;
use crate::output::times::wall_ms;

/// The link's time-out: the default.
const TIMEOUT_MS: u32 = 2000;
/// Between two lines of a board, and two lines to it.
const EVERY: Duration = Duration::from_millis(1000);
/// The most that the log keeps of lines that were read: for those who look at them.
const KEEP: Keep =
    Keep { age: Duration::from_secs(3600), bytes: 4_000_000, commit_every: Duration::ZERO };
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
    /// The boards' keys, unless they have none, and the server's half of them.
    keys: Option<(Vec<BoardKeys>, Keys)>,
    boards: Mutex<Vec<Board>>,
    ledgers: Arc<Mutex<Ledgers>>,
    /// Lines from and to the boards, while one server follows another.
    log: Log,
    /// Held while the server is down, so that it is stopped once only.
    restart: tokio::sync::Mutex<()>,
    writing: Arc<std::sync::atomic::AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Starts server and boards. `classic`: without keys.
    pub(super) async fn open(boards: u16, classic: bool) -> anyhow::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let ids: Vec<String> = (1..=boards).map(|n| n.to_string()).collect();
        let keys = if classic { None } else { Some(issue_all(&ids)?) };
        let server = builder(any, &ids, keys.as_ref()).bind().await;
        let server = server.map_err(|e| Failed::with(Exit::Network, e.to_string()))?;
        let address = server.local_addr();
        let timeout = Duration::from_millis(TIMEOUT_MS.into());
        // Offsets of one demo mean nothing to the next.
        let id = format!("demo-{}-{}", std::process::id(), wall_ms());
        let log = Log::open(Memory::new(id), KEEP);
        let log = log.map_err(|e| Failed::with(Exit::Failure, e.to_string()))?.log;
        let stage = Self {
            hub: Hub::with_log(server.clone(), log.clone(), timeout, "demo"),
            log,
            address,
            boards: Mutex::default(),
            ledgers: Arc::default(),
            restart: tokio::sync::Mutex::default(),
            writing: Arc::new(true.into()),
            ids,
            keys,
        };
        let text = match &stage.keys {
            Some(_) => "demo: boards and server have keys, and nobody else gets in",
            None => "demo: the classic link, on which anyone can pass for a board",
        };
        stage.hub.record(EventKind::Note { id: None, text: text.to_owned() });
        stage.read().await;
        stage.log.attach(server).await;
        for n in 0..boards {
            let board = stage.start_board(n)?;
            lock(&stage.boards).push(board);
        }
        Ok(stage)
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Starts the server's program, reading: what the boards have sent goes into the ledger.
    async fn read(&self) {
        let consumer = Consumer::new(Kind::App(App::Print), true);
        // A line must not pass before it runs.
        consumer.register(&self.log).await;
        let (passed, mut lines) = mpsc::channel(64);
        let (hub, log) = (Arc::clone(&self.hub), self.log.clone());
        tokio::spawn(consumers::run(hub, log, vec![consumer], passed, CancellationToken::new()));
        let ledgers = Arc::clone(&self.ledgers);
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if let Ok(board) = line.client().parse() {
                    got(&mut lock(&ledgers).account(board).to_server, line.text());
                }
                line.accept();
            }
        });
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
            keys: self.keys.as_ref().map(|(boards, _)| boards[usize::from(n)].clone().into()),
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

    /// Starts the server's program, writing, for each board.
    fn start_apps(self: &Arc<Self>) {
        for n in 0..self.ids.len() {
            tokio::spawn(write(Arc::clone(self), n));
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
        self.hub.stop().await;
        sleep(length).await;
        let sessions = self.log.sessions().await;
        let builder = builder(self.address, &self.ids, self.keys.as_ref());
        match builder.restore_states(sessions).bind().await {
            Ok(server) => {
                self.hub.replace(server.clone());
                self.log.attach(server).await;
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

fn builder(
    address: SocketAddr,
    ids: &[String],
    keys: Option<&(Vec<BoardKeys>, Keys)>,
) -> pblink_server::Builder {
    let builder = Server::builder()
        .listen(address)
        .timeout(Duration::from_millis(TIMEOUT_MS.into()))
        .commits(true)
        .expected(ids.iter().map(String::as_str));
    match keys {
        Some((_, keys)) => builder.keys(keys.clone()),
        None => builder,
    }
}

/// Makes keys for boards and server, which end with the demo.
fn issue_all(ids: &[String]) -> anyhow::Result<(Vec<BoardKeys>, Keys)> {
    let private = Secret::draw(&mut Os);
    let (mut boards, mut keys) = (Vec::new(), Keys::new());
    for id in ids {
        let issued = issue(&Id::new(id)?, 1, &private, &mut Os);
        boards.push(issued.board);
        keys = keys.board(issued.server);
    }
    Ok((boards, keys))
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
            // A line of another form is one that somebody has sent from the screen.
            Event::Pair(PairEvent::Read(line)) if sequence_of(line).is_some() => {
                got(&mut lock(ledgers).account(self.number).to_board, line);
            }
            Event::Pair(PairEvent::Read(_)) => {}
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

/// Runs the server's program, writing to one board. Each line is in the log, from which whatever server there is sends it;
/// the next one follows its acknowledgement.
async fn write(stage: Arc<Stage>, n: usize) {
    let mut timer = tokio::time::interval(EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let id = &stage.ids[n];
    let mut number = 0;
    loop {
        timer.tick().await;
        if !stage.writing.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        // It writes to a board that it knows.
        if stage.hub.link(id).is_none_or(|link| link.state == LinkState::Waiting) {
            continue;
        }
        lock(&stage.ledgers).account(n as u16 + 1).to_board.wrote(number);
        let (client, text) = (id.as_str().into(), format!("[{number}, 0, 0]").into());
        let line = Outgoing { client, text, delivery: Delivery::ORDERED };
        // An error: the demo ends.
        let Ok(sent) = stage.log.send(vec![line], None).await else { return };
        if sent.done.await.is_err() {
            return;
        }
        number += 1;
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

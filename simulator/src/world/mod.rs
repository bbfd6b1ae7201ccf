//! Many pairs, a network and a server, in virtual time: the same seed gives the same hour.
//!
//! ```
//! use pblink_protocol::time::Duration;
//! use pblink_simulator::Fault;
//! use pblink_simulator::world::{World, WorldOptions};
//!
//! let mut world = World::new(WorldOptions { boards: 2, seed: 7, ..WorldOptions::default() });
//! world.run(Duration::from_secs(20));
//! world.inject(0, Fault::WifiOutage(Duration::from_secs(8)));
//! world.server_outage(Duration::from_secs(5));
//! world.run(Duration::from_secs(60));
//! assert!(world.settle(Duration::from_secs(60)), "all lines have arrived");
//! assert!(world.totals().is_clean());
//! ```

mod account;
mod keyed;
mod network;
mod planted;
mod remote;
mod server;
mod store;

use fastrand::Rng;
use pblink_protocol::app::AppEvent;
use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::config::Config;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::Timing;
use pblink_protocol::time::{Duration, Instant, earliest};

use crate::fault::Fault;
use crate::flaw::Flaw;
use crate::ledger::{Ledger, Totals};
use crate::pair::{NetCommand, Pair, PairEvent, PairOptions};
use crate::program::number_of_server;
use crate::secure::{Cryptography, keys_of};
use account::Account;
pub use account::Wrong;
use keyed::KeyedServer;
use network::{Arrival, Network};
use remote::{Action, Received, Remote};
use server::Server;
use store::Keeper;

/// Properties of a world.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// Decides all that is left to chance.
    pub seed: u64,
    /// Number of pairs.
    pub boards: usize,
    /// The time-out of the link.
    pub timeout: Duration,
    /// The server's time-out, if it is not the same.
    pub server_timeout: Option<Duration>,
    /// Properties of each pair; its seed is derived from the world's.
    pub pair: PairOptions,
    /// Time between two lines that the server writes to each board; `None` for no lines.
    pub server_writes: Option<Duration>,
    /// The delivery with which the server writes.
    pub server_delivery: Delivery,
    /// The longest time of a commit of a server that keeps what it acknowledges, and so can [crash](World::server_crash);
    /// `None` for one that acknowledges at once, or, with keys, within 20 ms.
    pub server_commits: Option<Duration>,
    /// Gives boards and server keys: they speak the secure link. Lines of the server are guaranteed and in order then.
    pub keys: Option<Cryptography>,
    /// The longest time that bytes travel. The shortest is half a millisecond.
    pub latency: Duration,
    /// Segments of a hundred that the network loses. TCP repeats them, first after 300 ms.
    pub loss_percent: u8,
    /// Seconds between reports; 0 for none.
    pub report_s: u32,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            boards: 1,
            timeout: Duration::from_secs(2),
            server_timeout: None,
            pair: PairOptions {
                program: crate::ProgramOptions {
                    every: Duration::from_millis(700),
                    ..Default::default()
                },
                ..PairOptions::default()
            },
            server_writes: Some(Duration::from_millis(900)),
            server_delivery: Delivery::ORDERED,
            server_commits: None,
            keys: None,
            latency: Duration::from_millis(20),
            loss_percent: 0,
            report_s: 10,
        }
    }
}

struct Board {
    pair: Pair,
    /// Lines of the board's program, on their way to the server.
    outward: Account,
    /// Lines of the server's program, on their way to the board.
    inward: Account,
    connection: Option<usize>,
    /// Resets of the ESP8266 by the STM32: those that its present program has counted, and all.
    resets: (u32, u32),
    /// Times that the board's program was told that it has no server any more.
    outages: u32,
    crashes: u32,
    /// Time of the pair's next poll.
    next: Option<Instant>,
}

impl Board {
    /// Counts resets and crashes. What was under way then may be lost.
    fn count_resets(&mut self) {
        let (resets, crashes) = (self.pair.resets(), self.pair.crashes());
        if (resets, crashes) != (self.resets.0, self.crashes) {
            self.outward.lost();
            self.resets.1 += resets.saturating_sub(self.resets.0);
            (self.resets.0, self.crashes) = (resets, crashes);
        }
    }
}

/// Boards, a network and a server.
pub struct World {
    options: WorldOptions,
    now: Instant,
    rng: Rng,
    boards: Vec<Board>,
    network: Network,
    server: Box<dyn Remote>,
    /// The server has been given something since it was polled.
    server_touched: bool,
    /// Time of its next poll, if it is given nothing before.
    server_due: Option<Instant>,
    /// A planted fault.
    flaw: Option<Flaw>,
    /// A line that the planted fault has kept back.
    kept_back: Option<Received>,
}

impl World {
    /// Makes a world at time zero, with all power just switched on.
    ///
    /// # Panics
    /// If the options make no valid configuration: a time-out that is out of range.
    pub fn new(options: WorldOptions) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let mut server_keys = Vec::new();
        let boards = (0..options.boards)
            .map(|n| {
                let config = config(&format!("{}", n + 1), &options);
                let mut pair = PairOptions { seed: rng.u64(..), ..options.pair.clone() };
                if let Some(cryptography) = options.keys {
                    let (board, server) = keys_of(cryptography, &config.id, &mut rng);
                    pair.keys = Some(board);
                    server_keys.push(server);
                }
                let pair = Pair::new(&config, pair, Instant::ZERO);
                Board {
                    pair: pair.expect("the options make a valid configuration"),
                    outward: Account::default(),
                    inward: Account::default(),
                    connection: None,
                    resets: (0, 0),
                    outages: 0,
                    crashes: 0,
                    next: Some(Instant::ZERO),
                }
            })
            .collect();
        let timing = Timing::new(options.server_timeout.unwrap_or(options.timeout));
        let server: Box<dyn Remote> = match options.keys {
            Some(_) => {
                let commits = options.server_commits.unwrap_or(Duration::from_millis(20));
                let writes = options.server_writes;
                Box::new(KeyedServer::new(server_keys, timing, writes, commits, &mut rng))
            }
            None => Box::new(Server::new(
                options.boards,
                timing,
                options.server_writes,
                options.server_delivery,
                || Some(Keeper::new(options.server_commits?, rng.fork())),
            )),
        };
        Self {
            now: Instant::ZERO,
            boards,
            network: Network::new(options.latency, options.loss_percent),
            server,
            server_touched: true,
            server_due: None,
            flaw: None,
            kept_back: None,
            rng,
            options,
        }
    }

    /// Returns the time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Returns a pair.
    pub fn pair(&mut self, board: usize) -> &mut Pair {
        &mut self.boards[board].pair
    }

    /// Returns the accounts of a board: lines to the server, lines from the server.
    pub fn ledgers(&self, board: usize) -> (&Ledger, &Ledger) {
        (self.boards[board].outward.ledger(), self.boards[board].inward.ledger())
    }

    /// Returns the accounts of all.
    pub fn totals(&self) -> Totals {
        self.boards.iter().fold(Totals::default(), |sum, board| {
            let (outward, inward) = (board.outward.ledger(), board.inward.ledger());
            sum.plus(&outward.totals()).plus(&inward.totals())
        })
    }

    /// Returns the first wrong line of a board so far: to the server, and from it.
    pub fn first_wrong(&self, board: usize) -> [Option<Wrong>; 2] {
        [self.boards[board].outward.first_wrong(), self.boards[board].inward.first_wrong()]
    }

    /// Returns the number of lines of a board that have not arrived although neither its ESP8266 nor its STM32 has lost anything
    /// since they were written.
    pub fn unexcused(&self, board: usize) -> u64 {
        self.boards[board].outward.unexcused()
    }

    /// Returns the number of lines of a board that a later one has overtaken and that have not arrived, although nothing was lost
    /// between their writing and the next loss. Only for boards whose lines wait for each other.
    pub fn overtaken(&self, board: usize) -> u64 {
        self.boards[board].outward.overtaken()
    }

    /// Returns the number of times that a board's STM32 has reset its ESP8266 after a failure, restarts of its own program included.
    pub fn resets(&self, board: usize) -> u32 {
        self.boards[board].resets.1
    }

    /// Returns the number of times that a board's program was told that it has no server any more.
    pub fn outages(&self, board: usize) -> u32 {
        self.boards[board].outages
    }

    /// Something goes wrong with a pair.
    pub fn inject(&mut self, board: usize, fault: Fault) {
        self.boards[board].pair.inject(fault, self.now);
        self.look_after(board);
        if fault == Fault::HostRestart {
            self.boards[board].outward.lost();
        }
    }

    /// Stops the server program for this long. Its knowledge of its clients survives.
    pub fn server_outage(&mut self, length: Duration) {
        let until = self.now + length;
        self.touch_server().stop(until);
        for connection in self.network.open() {
            self.network.close_from_server(connection, self.now, &mut self.rng);
        }
    }

    /// Kills the server's process, and starts it again after this long with what it has committed.
    ///
    /// # Panics
    /// If the server does not [commit](WorldOptions::server_commits). One with keys always does.
    pub fn server_crash(&mut self, length: Duration) {
        let until = self.now + length;
        self.touch_server().crash(until);
        for connection in self.network.open() {
            self.network.close_from_server(connection, self.now, &mut self.rng);
        }
    }

    /// Freezes the server's process for this long, as after SIGSTOP: the system still accepts
    /// connections and receives. When the process continues, its timers come before its sockets.
    pub fn server_stall(&mut self, length: Duration) {
        let until = self.now + length;
        self.touch_server().stall(until);
    }

    /// Returns the number of times that a board has connected to the server.
    pub fn connects(&self, board: usize) -> u32 {
        self.server.connects(board)
    }

    /// Returns the number of lines from the server that it has called undetermined.
    pub fn undetermined(&self) -> u64 {
        self.server.undetermined()
    }

    /// Returns the causes of a board's starts, as the board has told them to the server's present process. Without keys it tells none.
    pub fn restarts(&self, board: usize) -> &[RestartCause] {
        self.server.restarts(board)
    }

    /// Keeps the server's program from reading for this long.
    pub fn server_does_not_read(&mut self, length: Duration) {
        let until = self.now + length;
        self.touch_server().do_not_read(until);
    }

    /// Breaks a board's connection; both ends learn of it.
    pub fn cut(&mut self, board: usize) {
        if let Some(connection) = self.boards[board].connection {
            self.network.cut(connection, self.now);
        }
    }

    /// Slows a board's connection down: what is sent from now on takes `more` time.
    pub fn slow_down(&mut self, board: usize, more: Duration) {
        if let Some(connection) = self.boards[board].connection {
            self.network.slow_down(connection, more);
        }
    }

    /// Silences a board's connection: it carries nothing any more, and neither end learns of it.
    pub fn half_open(&mut self, board: usize) {
        if let Some(connection) = self.boards[board].connection {
            self.network.silence(connection);
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.step(at);
        }
        self.now = end;
    }

    /// Does what is due next, if that is not later than `end`; returns false if it is, and does nothing. A step is an instant at which
    /// anything happens: an edge arrives, a transfer ends, bytes come, a timer goes off.
    pub fn run_step(&mut self, end: Instant) -> bool {
        let next = self.next_at().filter(|at| *at <= end);
        next.is_some_and(|at| {
            self.step(at);
            true
        })
    }

    /// Stops all programs' writing and lets time pass until everything has arrived, or `limit` is over.
    /// Returns true if it has.
    pub fn settle(&mut self, limit: Duration) -> bool {
        self.touch_server().stop_writing();
        for board in &mut self.boards {
            board.pair.stop_program();
        }
        let end = self.now + limit;
        while self.totals().missing > 0 {
            match self.next_at().filter(|at| *at <= end) {
                Some(at) => self.step(at),
                None => return false,
            }
        }
        true
    }

    /// Stops all programs' writing, and lets `length` pass.
    pub fn wind_down(&mut self, length: Duration) {
        self.touch_server().stop_writing();
        for board in &mut self.boards {
            board.pair.stop_program();
        }
        self.run(length);
    }

    /// Returns the server, to which something is done: it is polled at the next step.
    fn touch_server(&mut self) -> &mut dyn Remote {
        self.server_touched = true;
        &mut *self.server
    }

    fn server_next_at(&self) -> Option<Instant> {
        if self.server_touched { self.server.next_at(self.now) } else { self.server_due }
    }

    fn next_at(&self) -> Option<Instant> {
        let boards = self.boards.iter().map(|b| b.next).fold(None, earliest);
        earliest(boards, earliest(self.network.next_at(), self.server_next_at()))
    }

    /// Does what is due at `at`.
    fn step(&mut self, at: Instant) {
        self.now = self.now.max(at);
        let now = self.now;
        for n in 0..self.boards.len() {
            let board = &mut self.boards[n];
            if board.next.is_some_and(|at| at <= now) {
                board.next = board.pair.advance_from(board.next, now);
                self.pass_on(n);
            }
        }
        if self.network.next_at().is_some_and(|at| at <= now) {
            let on_air: Vec<bool> = self.boards.iter().map(|b| b.pair.is_on_air()).collect();
            while let Some((connection, arrival)) = self.network.arrived(now, |board| on_air[board])
            {
                self.arrival(connection, arrival);
            }
        }
        if self.server_next_at().is_some_and(|at| at <= now) || self.server_touched {
            self.poll_server();
        }
    }

    fn poll_server(&mut self) {
        for action in self.server.poll(self.now) {
            self.server_action(action);
        }
        self.server_touched = false;
        self.server_due = self.server.next_at(self.now);
    }

    /// Looks after a pair to which something was done.
    fn look_after(&mut self, n: usize) {
        self.boards[n].next = self.boards[n].pair.next_at();
        self.pass_on(n);
    }

    /// Passes on what a pair has to say. The time of its next poll is known.
    fn pass_on(&mut self, n: usize) {
        let now = self.now;
        let board = &mut self.boards[n];
        while let Some(event) = board.pair.next_event() {
            match event {
                PairEvent::Wrote(number) => board.outward.wrote(number, now),
                PairEvent::Read(_) if self.flaw == Some(Flaw::Silent) => {}
                PairEvent::Read(line) => match number_of_server(&line) {
                    Some(number) => {
                        board.inward.got(number, now);
                        if self.flaw == Some(Flaw::Repeats) && number % 3 == 0 {
                            board.inward.got(number, now);
                        }
                    }
                    None => board.inward.got_unknown(&line, now),
                },
                PairEvent::App(AppEvent::Server(false)) => board.outages += 1,
                PairEvent::App(_) | PairEvent::Secure(_) | PairEvent::PowerCycled => {}
            }
        }
        board.count_resets();
        while let Some(command) = board.pair.next_net_command() {
            if let Some(old) = board.connection.take() {
                let heard = !matches!(command, NetCommand::Close { heard: false });
                self.network.close_from_board(old, heard, now, &mut self.rng);
            }
            if command == NetCommand::Connect {
                board.connection = Some(self.network.connect(n, now, &mut self.rng));
            }
        }
        if let Some(connection) = board.connection
            && board.pair.is_on_air()
            && self.network.is_open(connection)
        {
            let bytes = std::mem::take(board.pair.outgoing());
            if !bytes.is_empty() {
                // It can send more.
                board.next = board.pair.next_at();
            }
            self.network.send_to_server(connection, bytes, now, &mut self.rng);
        }
    }

    fn arrival(&mut self, connection: usize, arrival: Arrival) {
        let now = self.now;
        let n = self.network.board(connection);
        let current = self.boards[n].connection == Some(connection);
        match arrival {
            Arrival::SynAtServer => {
                let accepted = self.touch_server().on_accept(now, connection);
                self.network.answer(connection, accepted, now, &mut self.rng);
            }
            Arrival::AtServer(bytes) => {
                self.touch_server().on_bytes(now, connection, bytes);
                self.poll_server();
            }
            Arrival::ClosedAtServer => self.touch_server().on_closed(now, connection),
            Arrival::Open if current => self.boards[n].pair.net_connected(now),
            Arrival::Refused if current => {
                self.boards[n].connection = None;
                self.boards[n].pair.net_failed(now);
            }
            Arrival::AtBoard(bytes) if current => self.boards[n].pair.net_received(&bytes, now),
            Arrival::ClosedAtBoard if current => {
                self.boards[n].connection = None;
                self.boards[n].pair.net_closed(now);
            }
            _ => {}
        }
        self.look_after(n);
    }

    fn server_action(&mut self, action: Action) {
        match action {
            Action::Send(connection, bytes) => {
                self.network.send_to_board(connection, bytes, self.now, &mut self.rng);
            }
            Action::Close(connection) => {
                self.network.close_from_server(connection, self.now, &mut self.rng);
            }
            Action::Wrote(board, number) => self.boards[board].inward.wrote(number, self.now),
            Action::Received(line) => self.server_received(line),
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("options", &self.options).field("now", &self.now).finish()
    }
}

fn config(id: &str, options: &WorldOptions) -> Config {
    Config {
        id: id.try_into().unwrap_or_default(),
        port: pblink_protocol::config::DEFAULT_PORT,
        server: "10.0.0.1".try_into().unwrap_or_default(),
        timeout_ms: options.timeout.as_millis() as u32,
        report_s: options.report_s,
        ssid: "net".try_into().unwrap_or_default(),
        password: "password".try_into().unwrap_or_default(),
    }
}

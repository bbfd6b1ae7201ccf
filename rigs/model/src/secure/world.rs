//! One state: two ends, what is between them, and what both applications have seen.

use std::fmt;
use std::sync::Arc;

use pblink_protocol::secure::board::{Board, BoardEvent, BoardState, Memory};
use pblink_protocol::secure::packet::{MAX_BYTES, MAX_DOWN, MAX_UP, Packet};
use pblink_protocol::secure::server::Visitor;
use pblink_protocol::time::{Instant, earliest};

use super::keys::{File, Flash, OfBoard};
use super::ledger::Ledger;
use super::owner::{Process, Store};
use super::ram::Ram;
use super::rules::Rules;
use crate::rng::Rng;

/// Lines that a carrier holds on each way.
const HELD: usize = 2;

/// Faults. Each happens at any instant, and as often as a model allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The next line is lost: from the board, to the board.
    LoseUp,
    /// The same to the board.
    LoseDown,
    /// The next line comes, and comes again.
    RepeatUp,
    /// The same to the board.
    RepeatDown,
    /// The next line comes behind the one after it.
    DelayUp,
    /// The same to the board.
    DelayDown,
    /// Someone on the path holds back the next line from the board, and shows it to the server later, over a connection of
    /// his own.
    Hold,
    /// He does.
    Show,
    /// The connection ends, or the ESP8266 crashes: all that is on its way is gone, and both ends know. There is a new one.
    Cut,
    /// The connection ends, and what the ESP8266 holds goes over the next one.
    Reconnect,
    /// The connection ends, and the server does not know: what is on its way may come, beside a new connection.
    HalfOpen,
    /// The server's process is killed, and another one starts with the store.
    Kill,
    /// The board's program starts again, with its memory.
    Reset,
    /// The board loses its power.
    Power,
    /// The store is replaced by an older one, and nobody says so.
    Restore,
    /// The server's machine goes back to a snapshot: its process and its store as they were.
    Rewind,
    /// The board is not to get the key that it is being given, and may have, after all.
    Cancel,
}

/// A connection, with the lines that are on their way in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Carrier {
    visitor: Visitor,
    up: Vec<String>,
    down: Vec<String>,
}

/// A state. What rarely changes is shared with the states before it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(super) now: Instant,
    pub(super) board: Arc<Board<OfBoard, Ram>>,
    pub(super) process: Arc<Process>,
    pub(super) store: Arc<Store>,
    pub(super) file: Arc<File>,
    backup: Option<Arc<Store>>,
    /// The process when the copy of the store was made.
    snapshot: Option<Arc<Process>>,
    /// Connections that the server has; the last one is the board's.
    carriers: Vec<Carrier>,
    held: Option<String>,
    begun: bool,
    pub(super) ledger: Ledger,
    /// Numbers that were given to lives and visitors.
    lives: u64,
    /// Counters of the server since its snapshot, with the packets that they were used for. Only where they may repeat.
    sealed: Option<Vec<((u8, u32), String)>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways = self.carriers.iter().map(|carrier| (&carrier.up, &carrier.down));
        let (board, store) = (&self.board, &self.store);
        write!(
            f,
            "{} ms, {:?} with {:?} and {:?}, {:?}, on their ways {:?}, {:?}",
            self.now.as_millis(),
            board.state(),
            board.memory().lines,
            board.memory().view(),
            store,
            ways.collect::<Vec<_>>(),
            self.ledger,
        )
    }
}

impl World {
    /// Makes both ends, with a connection. `monitored`: the counters of the server are written down.
    pub fn new(rules: Rules, monitored: bool) -> Self {
        let mut store = Store::default();
        let file = File::new();
        let process = Process::start(&mut store, &file, 1, rules);
        let suite = OfBoard::new(Rng(2), Flash::new(), rules);
        let board = Board::new(suite, Ram::power_up(3));
        let mut world = Self {
            now: Instant::from_millis(1),
            board: Arc::new(board),
            process: Arc::new(process),
            store: Arc::new(store),
            file: Arc::new(file),
            backup: None,
            snapshot: None,
            carriers: Vec::new(),
            held: None,
            begun: false,
            ledger: Ledger::default(),
            lives: 3,
            sealed: monitored.then(Vec::new),
        };
        world.connect();
        world.talk();
        world
    }

    pub(super) fn life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }

    fn board(&mut self) -> &mut Board<OfBoard, Ram> {
        Arc::make_mut(&mut self.board)
    }

    // ---- what the ends do by themselves ----

    /// Lets both ends say what they have to say, as far as the carrier takes it.
    pub(super) fn talk(&mut self) {
        let now = self.now;
        loop {
            let events = std::iter::from_fn(|| Arc::make_mut(&mut self.board).next_event());
            if events.filter(|event| *event == BoardEvent::ResetWanted).count() > 0 {
                self.close(self.carriers.len() - 1);
                self.connect();
            }
            let overdue = |carrier: &Carrier| self.process.server.is_overdue(now, &carrier.visitor);
            let Some(at) = self.carriers.iter().position(overdue) else { break };
            self.close(at);
            if at == self.carriers.len() {
                self.connect();
            }
        }
        let board = Arc::make_mut(&mut self.board);
        let Process { server, wishes, .. } = Arc::make_mut(&mut self.process);
        server.poll(now, wishes);
        server.compute(now, 0);
        let last = self.carriers.len() - 1;
        board.compute(now);
        let up = &mut self.carriers[last].up;
        while up.len() < HELD
            && let Some(line) = board.transmit(now, &mut [0; MAX_UP]).map(str::to_owned)
        {
            up.push(line);
            board.compute(now);
        }
        for (at, carrier) in self.carriers.iter_mut().enumerate() {
            while carrier.down.len() < HELD || at != last {
                let mut buffer = [0; MAX_DOWN];
                let line = server.transmit(now, &mut carrier.visitor, &*self.store, &mut buffer);
                let Some(line) = line else { break };
                if self.snapshot.is_some()
                    && let Some(sealed) = &mut self.sealed
                    && let Ok(Packet::Sealed { key, counter, .. }) =
                        Packet::decode(line, &mut [0; MAX_BYTES])
                {
                    let id = (key, counter);
                    self.ledger.repeated |=
                        sealed.iter().any(|(used, of)| *used == id && of != line);
                    sealed.push((id, line.to_owned()));
                }
                // Over the others nobody listens.
                if at == last {
                    carrier.down.push(line.to_owned());
                }
            }
        }
    }

    fn close(&mut self, at: usize) {
        let carrier = self.carriers.remove(at);
        let Process { server, wishes, .. } = Arc::make_mut(&mut self.process);
        server.on_closed(&carrier.visitor, wishes);
    }

    fn connect(&mut self) {
        let (number, now) = (self.life(), self.now);
        let (up, down) = (Vec::new(), Vec::new());
        self.carriers.push(Carrier { visitor: Visitor::new(number, now), up, down });
        if self.board.state() != BoardState::Down {
            self.board().on_server(now, false);
        }
        self.board().on_server(now, true);
    }

    // ---- what may happen ----

    /// Returns the connections that have a line for the server.
    pub fn ways_up(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.carriers.len()).filter(|&at| !self.carriers[at].up.is_empty())
    }

    /// Returns true if a line is on its way to the board.
    pub fn has_down(&self) -> bool {
        self.carriers.last().is_some_and(|carrier| !carrier.down.is_empty())
    }

    /// Gives the next line of a connection to the server.
    pub fn deliver_up(&mut self, at: usize, rules: Rules) {
        self.begun = true;
        let line = self.carriers[at].up.remove(0);
        self.give(at, &line, rules);
        self.talk();
    }

    fn give(&mut self, at: usize, line: &str, rules: Rules) {
        let process = Arc::make_mut(&mut self.process);
        let visitor = &mut self.carriers[at].visitor;
        process.server.on_line(self.now, visitor, line, &mut process.wishes);
        process.break_rules(self.now, &self.store, rules);
    }

    /// Gives the next line to the board.
    pub fn deliver_down(&mut self) {
        let Some(carrier) = self.carriers.last_mut() else { return };
        let line = carrier.down.remove(0);
        let now = self.now;
        self.board().on_line(now, &line);
        self.talk();
    }

    /// Commits the next change.
    pub fn commit(&mut self, rules: Rules) {
        let (process, store) = (Arc::make_mut(&mut self.process), Arc::make_mut(&mut self.store));
        process.commit(self.now, store, rules);
        self.ledger.check_log(store);
        self.talk();
    }

    /// Lets the board's application read a line, and be done with it.
    ///
    /// A reset between the two would have it come again, as it should: it was not acted on.
    pub fn read(&mut self) -> bool {
        let line = self.board().read_line(str::to_owned);
        let found = line.is_some();
        if let Some(line) = line {
            self.board().accept();
            self.ledger.got(line);
            self.talk();
        }
        found
    }

    /// Writes a line to the server.
    pub fn write_up(&mut self, long: bool) {
        let text = self.ledger.write_up(long);
        let now = self.now;
        let (epoch, seq) = (self.board.memory().epoch(), self.board().write(now, &text));
        // The memory has no limit.
        self.ledger.label(epoch, seq.unwrap_or(0));
        self.talk();
    }

    /// Writes a line to the board.
    pub fn write_down(&mut self, long: bool) {
        let text = self.ledger.write_down(long);
        Arc::make_mut(&mut self.store).write(text);
        self.talk();
    }

    /// Lets time pass until one end has something to do.
    pub fn wait(&mut self) {
        let now = self.now;
        let server = self.process.server.poll_at(now);
        if let Some(at) = earliest(self.board.poll_at(now), server) {
            self.now = at.max(now);
        }
        self.talk();
    }

    /// Makes a copy of the store, and of the process, if there is none.
    pub fn back_up(&mut self, process: bool) {
        self.backup = Some(self.store.clone());
        self.snapshot = process.then(|| self.process.clone());
        self.ledger.back_up();
    }

    /// Returns true if there is no copy yet.
    pub fn may_back_up(&self) -> bool {
        self.backup.is_none()
    }

    /// Returns true if the fault can happen, and would change something.
    pub fn may(&self, fault: Fault) -> bool {
        let Some(carrier) = self.carriers.last() else { return false };
        let (up, down) = (&carrier.up, &carrier.down);
        match fault {
            Fault::LoseUp | Fault::RepeatUp => !up.is_empty(),
            Fault::LoseDown | Fault::RepeatDown => !down.is_empty(),
            Fault::DelayUp => up.len() > 1,
            Fault::DelayDown => down.len() > 1,
            Fault::Hold => self.held.is_none() && !up.is_empty(),
            Fault::Show => self.held.is_some(),
            Fault::HalfOpen => self.carriers.len() < 2,
            Fault::Reconnect => !up.is_empty(),
            Fault::Restore => self.backup.as_ref().is_some_and(|old| *old != self.store),
            Fault::Rewind => self.snapshot.as_ref().is_some_and(|old| *old != self.process),
            Fault::Cancel => self.file.rotates(),
            Fault::Cut | Fault::Kill | Fault::Reset | Fault::Power => true,
        }
    }

    /// Lets the fault happen.
    pub fn suffer(&mut self, fault: Fault, rules: Rules) {
        let last = self.carriers.len() - 1;
        let carrier = &mut self.carriers[last];
        match fault {
            Fault::LoseUp => drop(carrier.up.remove(0)),
            Fault::LoseDown => drop(carrier.down.remove(0)),
            Fault::RepeatUp => carrier.up.insert(0, carrier.up[0].clone()),
            Fault::RepeatDown => carrier.down.insert(0, carrier.down[0].clone()),
            Fault::DelayUp => carrier.up.swap(0, 1),
            Fault::DelayDown => carrier.down.swap(0, 1),
            Fault::Hold => self.held = Some(carrier.up.remove(0)),
            Fault::Show => self.show(rules),
            Fault::Cut => {
                self.close(last);
                self.connect();
            }
            Fault::Reconnect => {
                let up = std::mem::take(&mut carrier.up);
                self.close(last);
                self.connect();
                self.carriers[last].up = up;
            }
            Fault::HalfOpen => {
                carrier.down.clear();
                self.connect();
            }
            Fault::Kill => self.restart(rules),
            Fault::Reset => {
                self.close(last);
                let memory = self.board.as_ref().clone().into_memory();
                self.start_board(memory, rules);
            }
            Fault::Power => {
                self.close(last);
                self.ledger.lose_power(self.board.memory());
                let life = self.life();
                self.start_board(Ram::power_up(life), rules);
            }
            Fault::Restore => {
                self.put_back();
                self.restart(rules);
            }
            Fault::Rewind => self.rewind(rules),
            Fault::Cancel => Arc::make_mut(&mut self.file).cancel(),
        }
        self.talk();
    }

    fn start_board(&mut self, memory: Ram, rules: Rules) {
        let life = self.life();
        let flash = self.flash().clone();
        self.board = Arc::new(Board::new(OfBoard::new(Rng(life), flash, rules), memory));
        self.connect();
    }

    /// Starts another process in the place of this one. All connections end.
    fn restart(&mut self, rules: Rules) {
        self.carriers.clear();
        let life = self.life();
        self.process =
            Arc::new(Process::start(Arc::make_mut(&mut self.store), &self.file, life, rules));
        self.connect();
    }

    /// Puts the older store back.
    fn put_back(&mut self) {
        if let Some(old) = &self.backup {
            self.ledger.restore(&self.store, old);
            self.store = old.clone();
        }
    }

    /// Goes back to the snapshot. All connections end; the clocks part, and the owner notices: it drops the keys, and gives
    /// its process a new epoch, as if it had been started again.
    fn rewind(&mut self, rules: Rules) {
        self.put_back();
        if !rules.keeps_keys && !rules.keeps_epoch {
            return self.restart(rules);
        }
        let Some(old) = self.snapshot.clone() else { return };
        let carriers = std::mem::take(&mut self.carriers);
        self.process = old;
        let Process { server, wishes, .. } = Arc::make_mut(&mut self.process);
        for carrier in carriers {
            server.on_closed(&carrier.visitor, wishes);
        }
        if !rules.keeps_keys {
            server.drop_keys(wishes);
        }
        self.connect();
    }

    /// Shows the line that was held back to the server, and passes on nothing of what it says to that.
    fn show(&mut self, rules: Rules) {
        let Some(line) = self.held.take() else { return };
        let (number, now) = (self.life(), self.now);
        let visitor = Visitor::new(number, now);
        self.carriers.insert(0, Carrier { visitor, up: Vec::new(), down: Vec::new() });
        self.give(0, &line, rules);
    }

    /// Returns true if something was ever delivered.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Returns true if nothing waits for anybody but for time.
    pub fn is_quiet(&self) -> bool {
        self.carriers.iter().all(|carrier| carrier.up.is_empty())
            && !self.has_down()
            && !self.process.wishes()
            && !self.board.has_line()
    }

    /// Goes on without a fault. Returns true if everything arrives, within a bound.
    pub fn settles(&mut self, rules: Rules) -> bool {
        let mut cut = false;
        // Steps of time: a pause between two handshakes may be a minute.
        for _ in 0..100 {
            // What is said at one instant has an end.
            for _ in 0..200 {
                let ways: Vec<_> = self.ways_up().collect();
                let (down, commits) = (self.has_down(), self.process.wishes());
                ways.first().iter().for_each(|at| self.deliver_up(**at, rules));
                if self.has_down() {
                    self.deliver_down();
                }
                self.commit(rules);
                if ways.is_empty() && !down && !commits && !self.read() {
                    break;
                }
            }
            self.note();
            self.read_keys();
            let arrived = self.board.is_up()
                && self.store.rows.is_empty()
                && self.board.memory().lines.is_empty();
            if arrived && self.file.is_settled(self.flash()) {
                return true;
            }
            // That there is no key before its own is said once over each connection and after each handshake, and may have been lost.
            if arrived && !cut && !self.file.rotates() {
                cut = true;
                self.suffer(Fault::Cut, rules);
            }
            self.wait();
        }
        false
    }
}

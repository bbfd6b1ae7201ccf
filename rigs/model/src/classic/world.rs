//! One state of the classic link.

use std::fmt;
use std::sync::Arc;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::tcp::line::Mid;
use pblink_protocol::tcp::window::Window;
use pblink_protocol::time::{Duration, Instant, earliest};

type End = Endpoint<heapless::Vec<u8, 16>, Vec<u8>, 4>;

/// Time without a reboot after which a receiver has settled: 2.5 time-outs.
const AWAKE: Duration = Duration::from_millis(5000);

/// Faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection ends, with what is on its way. There is a new one.
    Cut,
    /// The ESP8266 crashes.
    Esp,
    /// The STM32 loses its power, and resets the ESP8266.
    Power,
    /// The server's process is killed.
    Kill,
    /// The board starts again after everything it said was acknowledged, and everything that it was told. At another time that is
    /// [`Power`](Self::Power).
    Reboot,
    /// The same after it was awake for long enough.
    LateReboot,
}

/// The owner of the server's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// `pblink serve` with a log on disk: lines are acknowledged, and leave the outbox, with a commit.
    Log,
    /// A program that acknowledges lines when it reads them, before they are in a safe place.
    ReadsFirst,
    /// One with a log that acknowledges lines before their commit: a fault.
    Hasty,
    /// One with a log whose lines to the board leave before that is committed: a fault.
    Forgetful,
}

/// The part of a server that survives its process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Store {
    rows: Vec<u8>,
    first: Mid,
    window: Window,
    log: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Server {
    end: End,
    /// Lines that are not committed.
    taken: Vec<(u8, Option<Receipt>)>,
    /// Lines to the board in the endpoint.
    sent: Vec<(Ticket, u8)>,
    acked: Vec<Ticket>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Esp {
    end: End,
    /// Lines that the STM32 has not taken.
    held: Vec<(u8, Receipt)>,
    /// The line that it has just taken.
    passed: Option<Receipt>,
}

/// A state.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    now: Instant,
    owner: Owner,
    /// All lines have the same text.
    equal: bool,
    esp: Arc<Esp>,
    server: Arc<Server>,
    store: Arc<Store>,
    to_server: Vec<Vec<u8>>,
    to_board: Vec<Vec<u8>>,
    /// Lines that the STM32 has not passed on, and those that its program has not read.
    queue: Vec<u8>,
    unread: Vec<u8>,
    got: Vec<u8>,
    /// Lines that were written: by the board, to the board.
    pub(super) up: u8,
    pub(super) down: u8,
    /// Since then the board has been quiet.
    quiet_since: Instant,
    begun: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { now, store, got, queue, unread, .. } = self;
        let at = now.as_millis();
        write!(
            f,
            "{at} ms, log {:?}, rows {:?}, got {got:?}, {queue:?}, {unread:?}",
            store.log, store.rows
        )
    }
}

fn number(text: &str) -> u8 {
    text.parse().unwrap_or(0)
}

struct OfServer<'a>(&'a mut Vec<(u8, Option<Receipt>)>, &'a mut Vec<Ticket>, bool);

impl Host<Vec<u8>> for OfServer<'_> {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        self.0.push((number(text), self.2.then_some(receipt)));
        if self.2 { Disposition::Later } else { Disposition::Taken }
    }

    fn acked(&mut self, ticket: Ticket, _: Option<Vec<u8>>, _: Duration) {
        self.1.push(ticket);
    }
}

struct OfEsp<'a>(&'a mut Vec<(u8, Receipt)>);

impl Host<Vec<u8>> for OfEsp<'_> {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        self.0.push((number(text), receipt));
        Disposition::Later
    }
}

fn end(role: Role) -> End {
    End::new(role, Timing::classic(), heapless::Vec::new())
}

impl Esp {
    fn boot() -> Self {
        Self { end: end(Role::Client), held: Vec::new(), passed: None }
    }
}

impl Server {
    fn start(store: &Store, owner: &Owner) -> Self {
        let mut end = end(Role::Server);
        if *owner != Owner::ReadsFirst {
            end.set_commits(*owner != Owner::Forgetful);
            end.set_window(store.window.clone());
            end.set_first_number(store.first);
        }
        Self { end, taken: Vec::new(), sent: Vec::new(), acked: Vec::new() }
    }
}

impl World {
    /// Makes a board and a server that are connected.
    pub fn new(owner: Owner, equal: bool) -> Self {
        let store = Store::default();
        let mut world = Self {
            now: Instant::from_millis(1),
            equal,
            esp: Arc::new(Esp::boot()),
            server: Arc::new(Server::start(&store, &owner)),
            owner,
            store: Arc::new(store),
            to_server: Vec::new(),
            to_board: Vec::new(),
            queue: Vec::new(),
            unread: Vec::new(),
            got: Vec::new(),
            up: 0,
            down: 0,
            quiet_since: Instant::ZERO,
            begun: false,
        };
        world.connect();
        world.talk();
        world
    }

    fn esp(&mut self) -> &mut Esp {
        Arc::make_mut(&mut self.esp)
    }

    fn server(&mut self) -> &mut Server {
        Arc::make_mut(&mut self.server)
    }

    fn connect(&mut self) {
        let now = self.now;
        self.to_server.clear();
        self.to_board.clear();
        self.esp().end.on_connected(now);
        self.server().end.on_connected(now);
    }

    /// Lets both ends say what they have to say.
    fn talk(&mut self) {
        let now = self.now;
        if self.esp.end.outage(now) || self.server.end.outage(now) {
            self.connect();
        }
        let Server { end, sent, .. } = Arc::make_mut(&mut self.server);
        while let Some(&row) = self.store.rows.get(sent.len())
            && let Ok(ticket) = end.write(now, row.to_string().into_bytes(), Delivery::ORDERED)
        {
            sent.push((ticket, row));
        }
        let mut out = [0; 64];
        for (end, pipe) in [
            (end, &mut self.to_board),
            (&mut Arc::make_mut(&mut self.esp).end, &mut self.to_server),
        ] {
            loop {
                match end.transmit(now, &mut out) {
                    0 => break,
                    n => pipe.push(out[..n].to_vec()),
                }
            }
        }
    }

    /// Returns the steps that can be done now.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let acked = self.server.sent.first().is_some_and(|(of, _)| self.server.acked.contains(of));
        let settled = self.server.taken.is_empty()
            && self.owner != Owner::ReadsFirst
            && *self.server.end.window() != self.store.window;
        [
            (!self.to_server.is_empty(), Step::ToServer),
            (!self.to_board.is_empty(), Step::ToBoard),
            (!self.queue.is_empty() && self.esp.end.has_room(), Step::Pass),
            (!self.esp.held.is_empty() && self.esp.passed.is_none(), Step::Take),
            (self.esp.passed.is_some(), Step::Release),
            (!self.unread.is_empty(), Step::Read),
            (!self.server.taken.is_empty() || settled, Step::CommitLines),
            (acked, Step::CommitRow),
        ]
        .into_iter()
        .filter(|step| step.0)
        .map(|step| step.1)
    }

    /// Does one.
    pub(super) fn step(&mut self, step: Step) {
        let now = self.now;
        self.begun = true;
        match step {
            Step::ToServer => {
                let bytes = self.to_server.remove(0);
                let later = matches!(self.owner, Owner::Log | Owner::Forgetful);
                let Server { end, taken, acked, .. } = Arc::make_mut(&mut self.server);
                end.on_bytes(now, &bytes, &mut OfServer(taken, acked, later));
            }
            Step::ToBoard => {
                let bytes = self.to_board.remove(0);
                let Esp { end, held, .. } = Arc::make_mut(&mut self.esp);
                let before = end.unacked();
                end.on_bytes(now, &bytes, &mut OfEsp(held));
                if end.unacked() != before {
                    self.quiet_since = now;
                }
            }
            Step::Pass => {
                let text = self.text(self.queue[0]);
                self.queue.remove(0);
                // There is room.
                let _ = self.esp().end.write(now, text.into_bytes(), Delivery::ORDERED);
            }
            Step::Take => {
                let (line, receipt) = self.esp().held.remove(0);
                self.unread.push(line);
                self.esp().passed = Some(receipt);
            }
            Step::Release => {
                if let Some(receipt) = self.esp().passed.take() {
                    self.esp().end.release(receipt);
                }
            }
            Step::Read => {
                let line = self.unread.remove(0);
                self.got.push(line);
            }
            Step::CommitLines => {
                let Server { end, taken, .. } = Arc::make_mut(&mut self.server);
                let store = Arc::make_mut(&mut self.store);
                for (line, receipt) in taken.drain(..) {
                    store.log.push(line);
                    if let Some(receipt) = receipt {
                        end.release(receipt);
                    }
                }
                store.window = end.window().clone();
            }
            Step::CommitRow => {
                let Server { end, sent, .. } = Arc::make_mut(&mut self.server);
                let store = Arc::make_mut(&mut self.store);
                let (ticket, _) = sent.remove(0);
                store.rows.remove(0);
                store.first = store.first.next();
                end.done(ticket);
            }
        }
        self.talk();
    }

    fn text(&self, line: u8) -> String {
        if self.equal { "7".into() } else { line.to_string() }
    }

    /// Writes a line to the server.
    pub fn write_up(&mut self) {
        self.up += 1;
        self.queue.push(self.up);
    }

    /// Writes a line to the board.
    pub fn write_down(&mut self) {
        self.down += 1;
        let row = self.down;
        Arc::make_mut(&mut self.store).rows.push(row);
        self.talk();
    }

    /// Lets time pass until one end has something to do.
    pub fn wait(&mut self) {
        let now = self.now;
        let at = earliest(self.esp.end.poll_at(now), self.server.end.poll_at(now));
        self.now = at.unwrap_or(now).max(now);
        self.talk();
    }

    /// Returns the time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Returns true if nothing waits for anybody but for time.
    pub fn is_quiet(&self) -> bool {
        self.steps().next().is_none()
    }

    /// Returns true if no byte is on its way: commits and programs may be slow.
    pub const fn is_still(&self) -> bool {
        self.to_server.is_empty() && self.to_board.is_empty() && self.queue.is_empty()
    }

    /// Returns true if nothing was ever delivered.
    pub const fn is_new(&self) -> bool {
        !self.begun
    }

    /// Returns true if the fault can happen.
    pub fn may(&self, fault: Fault) -> bool {
        let said_all = self.queue.is_empty() && self.esp.end.unacked() == 0 && self.up > 0;
        let all = said_all && self.server.end.unacked() == 0;
        match fault {
            Fault::Reboot => all,
            Fault::LateReboot => all && self.now.since(self.quiet_since) >= AWAKE,
            _ => true,
        }
    }

    /// Lets the fault happen.
    pub fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Cut => {}
            Fault::Esp | Fault::Reboot | Fault::LateReboot => self.esp = Arc::new(Esp::boot()),
            Fault::Power => {
                self.esp = Arc::new(Esp::boot());
                self.queue.clear();
                self.unread.clear();
            }
            Fault::Kill => self.server = Arc::new(Server::start(&self.store, &self.owner)),
        }
        self.connect();
        self.talk();
    }

    /// Goes on without a fault. Returns true if nothing is left to do, within a bound.
    pub fn settles(&mut self) -> bool {
        for _ in 0..100 {
            for _ in 0..100 {
                let Some(step) = self.steps().next() else { break };
                self.step(step);
            }
            let idle = self.queue.is_empty()
                && self.esp.end.unacked() == 0
                && self.store.rows.is_empty()
                && self.server.end.unacked() == 0;
            if idle {
                return true;
            }
            self.wait();
        }
        false
    }

    fn seen(&self, up: bool) -> &[u8] {
        if up { &self.store.log } else { &self.got }
    }

    /// Returns true if a line has come twice.
    pub fn has_twice(&self, up: bool) -> bool {
        let (seen, written) = (self.seen(up), if up { self.up } else { self.down });
        match self.equal && up {
            true => seen.len() > written.into(),
            false => (1..seen.len()).any(|at| seen[..at].contains(&seen[at])),
        }
    }

    /// Returns true if lines have come in another order than they were written in.
    pub fn is_out_of_order(&self, up: bool) -> bool {
        !(self.equal && up) && {
            let seen = self.seen(up);
            let firsts = (0..seen.len()).filter(|&at| !seen[..at].contains(&seen[at]));
            !firsts.map(|at| seen[at]).is_sorted()
        }
    }

    /// Returns true if a line is missing.
    pub fn lacks(&self, up: bool) -> bool {
        let (seen, written) = (self.seen(up), if up { self.up } else { self.down });
        match self.equal && up {
            true => seen.len() < written.into(),
            false => (1..=written).any(|line| !seen.contains(&line)),
        }
    }
}

/// A step that is no fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Bytes reach the server.
    ToServer,
    /// Bytes reach the ESP8266.
    ToBoard,
    /// The STM32 passes a line to the ESP8266.
    Pass,
    /// The STM32 takes a line from the ESP8266.
    Take,
    /// The ESP8266 acknowledges it.
    Release,
    /// The STM32's program reads it.
    Read,
    /// The server commits the lines that it has taken.
    CommitLines,
    /// The server commits that a line to the board was acknowledged.
    CommitRow,
}

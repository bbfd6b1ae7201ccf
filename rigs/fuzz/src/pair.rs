//! Both ends of the classic link, each honest, with a network that cuts and delays between them. The server keeps its lines in a
//! store, commits late, and is killed.

use std::collections::VecDeque;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::tcp::line::Mid;
use pblink_protocol::tcp::window::Window;
use pblink_protocol::time::{Duration, Instant};

use crate::endpoint::DELIVERIES;
use crate::input::Input;

/// Lines that may be unacknowledged.
const ROOM: usize = 6;

/// Best-effort lines in a row: beyond 127 that are lost, a line may be taken for a repetition (docs/PROTOCOL.md, exception 6).
const LOST_IN_A_ROW: u32 = 100;

type Machine = Endpoint<heapless::Vec<u8, 256>, Vec<u8>, ROOM>;

/// The order of a commit and of what it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Lines are stored, and acknowledged then.
    StoredFirst,
    /// A planted fault: lines are acknowledged at once.
    AcknowledgedFirst,
    /// A planted fault: the numbers of lines are stored with the next commit.
    NumbersLater,
}

/// An application that has what came.
#[derive(Default)]
struct Owner {
    got: Vec<String>,
    /// Lines without a place, each with its receipt.
    waiting: Vec<(String, Receipt)>,
    refuses: bool,
    holds: bool,
    eager: bool,
}

impl Host<Vec<u8>> for Owner {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        if self.refuses {
            return Disposition::Refused;
        }
        if !self.holds {
            self.got.push(text.to_owned());
            return Disposition::Taken;
        }
        self.waiting.push((text.to_owned(), receipt));
        if self.eager { Disposition::Taken } else { Disposition::Later }
    }
}

/// An end, with the bytes that it has sent and that have not arrived.
struct Side {
    machine: Machine,
    owner: Owner,
    wire: VecDeque<u8>,
    written: Vec<(String, Delivery)>,
    in_a_row: u32,
}

impl Side {
    fn new(role: Role) -> Self {
        Self {
            machine: machine(role),
            owner: Owner::default(),
            wire: VecDeque::new(),
            written: Vec::new(),
            in_a_row: 0,
        }
    }

    /// Sends all that is due, in pieces.
    fn transmit(&mut self, now: Instant, size: usize) {
        let mut out = vec![0; size.max(3)];
        loop {
            let len = self.machine.transmit(now, &mut out);
            if len == 0 {
                return;
            }
            self.wire.extend(&out[..len]);
        }
    }

    /// Writes a line; which one follows from how many there were.
    fn write(&mut self, now: Instant, how: u8) -> Option<(Ticket, Vec<u8>, Delivery)> {
        let delivery = DELIVERIES[usize::from(how % 3)];
        if !delivery.is_guaranteed() && self.in_a_row >= LOST_IN_A_ROW {
            return None;
        }
        let mut text = self.written.len().to_string();
        if how & 64 != 0 {
            text.extend(std::iter::repeat_n('y', usize::from(how % 64)));
        }
        let bytes = text.clone().into_bytes();
        let ticket = self.machine.write(now, bytes.clone(), delivery).ok()?;
        self.in_a_row = if delivery.is_guaranteed() { 0 } else { self.in_a_row + 1 };
        self.written.push((text, delivery));
        Some((ticket, bytes, delivery))
    }
}

fn machine(role: Role) -> Machine {
    Machine::new(role, Timing::new(Duration::from_millis(400)), heapless::Vec::new())
}

/// The data of the server that survive a kill.
#[derive(Default)]
struct Store {
    window: Option<Window>,
    lines: Vec<String>,
    rows: VecDeque<(Ticket, Vec<u8>, Delivery)>,
    first: Mid,
}

struct Link {
    board: Side,
    server: Side,
    store: Store,
    order: Order,
    /// The window of the last commit, for a server that is late with it.
    behind: Option<Window>,
    now: Instant,
}

impl Link {
    fn side(&mut self, server: bool) -> &mut Side {
        if server { &mut self.server } else { &mut self.board }
    }

    /// Lets bytes arrive that the other end has sent.
    fn arrive(&mut self, at_server: bool, len: usize) {
        let (from, to) = match at_server {
            true => (&mut self.board, &mut self.server),
            false => (&mut self.server, &mut self.board),
        };
        let len = len.min(from.wire.len());
        let bytes: Vec<u8> = from.wire.drain(..len).collect();
        to.machine.on_bytes(self.now, &bytes, &mut to.owner);
    }

    fn connect(&mut self, is_there: bool) {
        for side in [&mut self.board, &mut self.server] {
            side.wire.clear();
            match is_there {
                true => side.machine.on_connected(self.now),
                false => side.machine.on_disconnected(),
            }
        }
    }

    /// Stores lines, window and what the board has acknowledged, at once; what follows from it comes then.
    fn commit(&mut self) {
        let Self { server, store, .. } = self;
        let lines: Vec<_> = server.owner.waiting.drain(..).collect();
        store.lines.extend(lines.iter().map(|(text, _)| text.clone()));
        let window = Some(server.machine.window().clone());
        store.window = match self.order {
            Order::NumbersLater => std::mem::replace(&mut self.behind, window),
            _ => window,
        };
        let acked: Vec<_> = server.machine.acked_oldest().collect();
        store.first = server.machine.first_number_after(acked.len());
        for ticket in &acked {
            assert_eq!(store.rows.pop_front().map(|row| row.0), Some(*ticket), "the oldest");
        }
        for ticket in acked {
            assert!(server.machine.done(ticket));
        }
        lines.into_iter().for_each(|(_, receipt)| server.machine.release(receipt));
    }

    /// Kills the server: a new one goes on with what is stored.
    fn kill(&mut self) {
        self.connect(false);
        let Self { server, store, .. } = self;
        server.owner.waiting.clear();
        server.machine = machine(Role::Server);
        server.machine.set_commits(true);
        if let Some(window) = &store.window {
            server.machine.set_window(window.clone());
        }
        assert!(server.machine.set_first_number(store.first));
        for (ticket, text, delivery) in &mut store.rows {
            *ticket = server.machine.write(self.now, text.clone(), *delivery).expect("room");
        }
    }

    fn write(&mut self, server: bool, how: u8) {
        let now = self.now;
        let row = self.side(server).write(now, how);
        if server && let Some(row) = row {
            self.store.rows.push_back(row);
        }
    }

    fn exchange(&mut self) {
        let now = self.now;
        for server in [false, true] {
            self.side(server).transmit(now, 64);
            self.arrive(!server, usize::MAX);
        }
    }

    /// Drops a connection that either end takes for dead.
    fn outages(&mut self) {
        let is_dead = [&self.board, &self.server].iter().any(|side| side.machine.outage(self.now));
        if is_dead {
            self.connect(false);
        }
    }

    /// Everything works for a while: all that must arrive does.
    fn settle(&mut self) {
        self.board.owner.refuses = false;
        self.server.owner.refuses = false;
        for _ in 0..400 {
            self.now += Duration::from_millis(50);
            self.outages();
            if !self.board.machine.is_connected() {
                self.connect(true);
            }
            self.exchange();
            self.commit();
            if self.board.machine.unacked() + self.server.machine.unacked() == 0 {
                return;
            }
        }
    }
}

/// Runs an input.
pub fn run(data: &[u8]) {
    run_with(data, Order::StoredFirst);
}

/// Runs it with a server that commits in another order.
pub fn run_with(data: &[u8], order: Order) {
    let mut input = Input::new(data);
    let mut link = Link {
        board: Side::new(Role::Client),
        server: Side::new(Role::Server),
        store: Store::default(),
        order,
        behind: None,
        now: Instant::from_millis(1),
    };
    link.server.owner.holds = true;
    link.server.owner.eager = link.order == Order::AcknowledgedFirst;
    link.server.machine.set_commits(true);
    while !input.is_empty() {
        let what = input.byte();
        let (server, now) = (what & 0x80 != 0, link.now);
        match what % 14 {
            0 => link.connect(true),
            1 => link.connect(false),
            2 | 3 => link.write(server, input.byte()),
            4 => link.now += Duration::from_millis(u64::from(input.byte()) * 3),
            5 | 6 => link.arrive(server, input.byte().into()),
            7 | 8 => link.side(server).transmit(now, input.byte().into()),
            9 => link.side(server).owner.refuses ^= true,
            10 => link.commit(),
            11 => link.kill(),
            _ => link.exchange(),
        }
        link.outages();
    }
    link.settle();
    assert_eq!((link.board.machine.unacked(), link.server.machine.unacked()), (0, 0), "it ends");
    judge("up", &link.board.written, &link.store.lines);
    judge("down", &link.server.written, &link.board.owner.got);
}

/// Guaranteed lines have come once, those in order behind all that were written before, and others at most once.
fn judge(way: &str, written: &[(String, Delivery)], got: &[String]) {
    for text in got {
        assert!(written.iter().any(|(known, _)| known == text), "{way}: {text:?} was not written");
    }
    let mut before = 0;
    for (text, delivery) in written {
        let places: Vec<_> = (0..got.len()).filter(|&at| got[at] == *text).collect();
        let wanted = if delivery.is_guaranteed() { 1..=1 } else { 0..=1 };
        assert!(wanted.contains(&places.len()), "{way}: {text:?} came {} times", places.len());
        if let Some(&at) = places.first().filter(|_| delivery.is_guaranteed()) {
            assert!(!delivery.is_ordered() || at >= before, "{way}: {text:?} overtook one");
            before = before.max(at);
        }
    }
}

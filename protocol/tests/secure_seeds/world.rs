//! One run: two ends, what is between them, and the ledger of what both applications have seen.

use std::collections::{HashMap, HashSet, VecDeque};

use pblink_protocol::secure::board::{Board, BoardEvent, BoardState, Memory};
use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::secure::packet::{MAX_DOWN, MAX_UP};
use pblink_protocol::secure::server::Visitor;
use pblink_protocol::time::Instant;

use crate::ram::Ram;
use crate::rng::Rng;
use crate::store::{Process, Store};
use crate::suite::OfBoard;
use crate::{Rules, ticks};

/// Steps with faults, and steps after the last one: by then everything must have arrived. In 21,000 runs it took 214 at
/// most; a pause between two handshakes may be 60 s.
const FAULTY: u64 = 3000;
const CALM: u64 = 1000;

/// Kinds of faults beside those that every run has: cut connections, crashes of the ESP8266 and of the board's program, kills
/// of the server, and single lines of the carrier that are lost, repeated or late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The board loses its power.
    pub power: bool,
    /// The store is replaced by an older one.
    pub restore: bool,
    /// Everyone knows that it was.
    pub known: bool,
    /// Rows of the outbox are dropped, and undetermined ones sent again.
    pub operator: bool,
    /// Someone on the path records all lines, holds some back, and sends them again, changed or not, to both ends, to the
    /// server over a connection of its own.
    pub attacker: bool,
}

impl Kind {
    pub const CRASHES: Self =
        Self { power: false, restore: false, known: false, operator: false, attacker: false };
    pub const POWER: Self = Self { power: true, ..Self::CRASHES };
    pub const ATTACKER: Self = Self { attacker: true, ..Self::CRASHES };
    pub const RESTORE: Self = Self { restore: true, ..Self::CRASHES };
}

/// The outcome of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub faults: u64,
    pub up: u64,
    pub down: u64,
    pub undetermined: u64,
    pub lost: u64,
    /// Steps from the last fault until everything had arrived: the most of all runs.
    pub late: u64,
    pub wrong: Vec<String>,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.faults += other.faults;
        self.up += other.up;
        self.down += other.down;
        self.undetermined += other.undetermined;
        self.lost += other.lost;
        self.late = self.late.max(other.late);
    }
}

/// A connection, with the lines that are on their way in it.
struct Carrier {
    visitor: Visitor,
    up: VecDeque<String>,
    down: VecDeque<String>,
    since: u64,
}

/// Someone on the path.
struct Attacker {
    recorded: Vec<String>,
    visitor: Visitor,
    visits: u64,
}

impl Attacker {
    fn new() -> Self {
        Self { recorded: Vec::new(), visitor: Visitor::new(u64::MAX, Instant::ZERO), visits: 0 }
    }

    /// Records a line. Returns true if it goes no further for now.
    fn holds_back(&mut self, random: &mut Rng, line: &str) -> bool {
        self.recorded.push(line.to_owned());
        random.per_mille(30)
    }

    /// Returns a line: one of the last ones, or of all, changed or not; or anything.
    fn line(&mut self, random: &mut Rng) -> String {
        let all = self.recorded.len() as u64;
        let last = random.one_of(&[3, 30, u64::MAX]).min(all);
        if all == 0 || random.per_mille(100) {
            let bytes = (0..random.below(200)).map(|_| char::from(32 + random.below(90) as u8));
            return bytes.collect();
        }
        let line = self.recorded[(all - 1 - random.below(last)) as usize].clone();
        if random.per_mille(700) {
            return line;
        }
        let mut line = line.into_bytes();
        let at = random.below(line.len() as u64) as usize;
        line[at] = random.one_of(&[65, 66, 95, 104, 116, 113]) as u8;
        line.truncate(line.len() - random.one_of(&[0, 0, 1, 20]).min(at as u64) as usize);
        String::from_utf8(line).expect("ASCII")
    }

    fn visitor(&mut self, random: &mut Rng, now: Instant) -> &mut Visitor {
        if random.per_mille(100) {
            self.visits += 1;
            self.visitor = Visitor::new(u64::MAX - self.visits, now);
        }
        &mut self.visitor
    }
}

/// A line on the carrier that may be lost, come twice, or be late.
fn pass(random: &mut Rng, faulty: bool, faults: &mut u64, to: &mut VecDeque<String>, line: String) {
    match if faulty { random.below(100) } else { 50 } {
        0 => *faults += 1,
        1 => {
            *faults += 1;
            to.push_back(line.clone());
            to.push_back(line);
        }
        2 if !to.is_empty() => {
            *faults += 1;
            to.insert(to.len() - 1, line);
        }
        _ => to.push_back(line),
    }
}

fn text(random: &mut Rng, value: u64) -> String {
    let filler = if random.per_mille(200) { random.below(400) } else { random.below(30) };
    format!("{value} {}", "x".repeat(filler as usize))
}

pub fn run(seed: u64, kind: Kind, rules: Rules) -> Outcome {
    let mut random = Rng(seed);
    let mut outcome = Outcome::default();
    let mut store = Store::default();
    let mut process = Process::start(&mut store, random.fork(), Instant::ZERO, rules);
    let memory = Ram::power_up(random.next(), 100);
    let mut board = Board::new(OfBoard(random.fork()), memory);
    let mut carrier: Option<Carrier> = None;
    // Lines that the ESP8266 holds, on their ways up and down.
    let (mut upward, mut downward) = (VecDeque::<String>::new(), VecDeque::<String>::new());
    let mut visitors = 0;
    let mut attacker = Attacker::new();
    let mut wait = 5;
    // The ledger: values are numbers in the order in which they were written.
    let (mut wrote, mut sent) = (0_u64, 0_u64);
    let mut labels: HashMap<(Epoch, u64), u64> = HashMap::new();
    let mut got: Vec<u64> = Vec::new();
    let mut gone: HashSet<u64> = HashSet::new();
    let mut dropped: HashSet<u64> = HashSet::new();
    let mut log: Vec<u64> = Vec::new();
    let mut resent = 0;
    // An older store.
    let (backup_at, restore_at) = match kind.restore {
        true => {
            let backup_at = 300 + random.below(FAULTY / 2 - 300);
            (backup_at, backup_at + random.one_of(&[5, 100, 600]))
        }
        false => (u64::MAX, u64::MAX),
    };
    let mut backup = Store::default();
    let mut written_after = 0;
    let mut reads = 500;
    for step in 0..FAULTY + CALM {
        let now = Instant::ZERO + ticks(step);
        let faulty = step < FAULTY;
        // Applications.
        if faulty && random.per_mille(60) {
            let line = text(&mut random, wrote);
            if let Ok(seq) = board.write(now, &line) {
                labels.insert((board.memory().epoch, seq), wrote);
                wrote += 1;
            }
        }
        let burst = if (step / 300).is_multiple_of(3) { 300 } else { 50 };
        if faulty && store.rows.len() < 40 && random.per_mille(burst) {
            let line = text(&mut random, sent);
            store.write(now, sent, line);
            sent += 1;
        }
        if step.is_multiple_of(100) {
            reads = if faulty { random.one_of(&[20, 100, 500, 1000]) } else { 1000 };
        }
        if random.per_mille(reads) {
            let value = board.read_line(|line| line.split(' ').next().map(str::parse));
            if let Some(value) = value {
                got.push(value.expect("a text").expect("a number"));
                board.accept();
            }
        }
        if kind.operator && faulty && !store.rows.is_empty() && random.per_mille(10) {
            let at = random.below(store.rows.len() as u64) as usize;
            dropped.insert(store.rows.remove(at).value);
        }
        if kind.operator && faulty && resent < store.undetermined.len() && random.per_mille(20) {
            // As a new row at the end, with a value of its own: the old one stays undetermined.
            resent += 1;
            let line = text(&mut random, sent);
            store.write(now, sent, line);
            sent += 1;
        }
        // Faults.
        let mut cut = false;
        if step == backup_at {
            backup = store.clone();
        }
        if step == restore_at {
            outcome.faults += 1;
            cut = true;
            written_after = sent;
            log.extend(&store.log[backup.log.len()..]);
            store = backup.clone();
            if kind.known {
                store.undetermine(u64::MAX);
            }
            process = Process::start(&mut store, random.fork(), now, rules);
            wait = random.one_of(&[1, 30, 300]);
        }
        let fault = if faulty { random.below(10_000) } else { u64::MAX };
        let mut crash = |upward: &mut VecDeque<_>, downward: &mut VecDeque<_>| {
            upward.clear();
            downward.clear();
            outcome.faults += 1;
        };
        match fault {
            0..60 if carrier.is_some() => {
                // Lines on their way may still arrive in the server, or not.
                outcome.faults += 1;
                cut = true;
                wait = random.one_of(&[3, 10, 75]);
            }
            60..90 => {
                crash(&mut upward, &mut downward);
                cut = true;
                wait = 50;
            }
            90..110 => {
                outcome.faults += 1;
                cut = true;
                wait = random.one_of(&[3, 30]);
                process = Process::start(&mut store, random.fork(), now, rules);
            }
            110..120 => {
                crash(&mut upward, &mut downward);
                cut = true;
                wait = 50;
                board = Board::new(OfBoard(random.fork()), board.into_memory());
            }
            120..130 if kind.power => {
                crash(&mut upward, &mut downward);
                cut = true;
                wait = random.one_of(&[20, 50]);
                let memory = board.into_memory();
                gone.extend((memory.first()..memory.next).map(|seq| labels[&(memory.epoch, seq)]));
                board = Board::new(OfBoard(random.fork()), Ram::power_up(random.next(), 100));
            }
            _ => {}
        }
        if cut {
            if let Some(old) = carrier.take() {
                process.server.on_closed(&old.visitor, &mut process.wishes);
                board.on_server(now, false);
            } else if board.state() != BoardState::Down {
                board.on_server(now, false);
            }
        }
        // The carrier.
        if carrier.is_none() {
            wait = wait.saturating_sub(1);
            if wait == 0 {
                visitors += 1;
                let visitor = Visitor::new(visitors, now);
                let (up, down) = (VecDeque::new(), VecDeque::new());
                carrier = Some(Carrier { visitor, up, down, since: step });
                board.on_server(now, true);
            }
        }
        board.poll(now);
        board.compute(now);
        if let Some(line) = downward.pop_front() {
            board.on_line(now, &line);
        }
        let mut buffer = [0; MAX_UP];
        for _ in 0..2 {
            if upward.len() < 5
                && let Some(line) = board.transmit(now, &mut buffer)
            {
                upward.push_back(line.to_owned());
            }
        }
        process.server.poll(now, &mut process.wishes);
        if let Some(carrier) = &mut carrier {
            if step > carrier.since + 2
                && let Some(line) = upward.pop_front()
                && !(kind.attacker && faulty && attacker.holds_back(&mut random, &line))
            {
                pass(&mut random, faulty, &mut outcome.faults, &mut carrier.up, line);
            }
            while let Some(line) = carrier.up.pop_front() {
                process.server.on_line(now, &mut carrier.visitor, &line, &mut process.wishes);
                process.after_a_line(now, &store);
            }
        }
        if kind.attacker && faulty && random.per_mille(100) {
            let line = attacker.line(&mut random);
            if random.per_mille(500) {
                board.on_line(now, &line);
            } else {
                let visitor = attacker.visitor(&mut random, now);
                process.server.on_line(now, visitor, &line, &mut process.wishes);
                // Nobody has what it is sent.
                let buffer = &mut [0; MAX_DOWN];
                while process.server.transmit(now, visitor, &store, buffer).is_some() {}
            }
        }
        process.server.compute(now, 0);
        process.commit(&mut store, now, &mut random);
        let mut reset = false;
        if let Some(carrier) = &mut carrier {
            let mut buffer = [0; MAX_DOWN];
            while carrier.down.len() < 10
                && let Some(line) =
                    process.server.transmit(now, &mut carrier.visitor, &store, &mut buffer)
            {
                carrier.down.push_back(line.to_owned());
            }
            while downward.len() < 10
                && let Some(line) = carrier.down.pop_front()
            {
                if !(kind.attacker && faulty && attacker.holds_back(&mut random, &line)) {
                    pass(&mut random, faulty, &mut outcome.faults, &mut downward, line);
                }
            }
            reset = process.server.is_overdue(now, &carrier.visitor);
        }
        while let Some(event) = board.next_event() {
            if event == BoardEvent::ResetWanted {
                upward.clear();
                downward.clear();
                reset = true;
            }
        }
        if reset && let Some(old) = carrier.take() {
            process.server.on_closed(&old.visitor, &mut process.wishes);
            board.on_server(now, false);
            wait = 30;
        }
        if !(board.is_up() && store.rows.is_empty() && board.memory().lines.is_empty()) {
            outcome.late = (step + 1).saturating_sub(FAULTY);
        }
    }
    // The ledger.
    let mut wrong = std::mem::take(&mut store.wrong);
    let mut check = |right: bool, what: String| {
        if !right {
            wrong.push(what);
        }
    };
    let rising = |values: &[u64]| values.windows(2).all(|pair| pair[0] < pair[1]);
    check(rising(&got), format!("lines to the board doubled or out of order: {got:?}"));
    check(rising(&store.log), "lines from the board doubled or out of order".into());
    check(board.state() == BoardState::Up, format!("the board is {:?} at the end", board.state()));
    check(store.rows.is_empty(), format!("{} lines to the board wait", store.rows.len()));
    let told: HashSet<u64> = store.undetermined.iter().copied().collect();
    let arrived: HashSet<u64> = got.iter().copied().collect();
    let silent = (written_after..sent)
        .filter(|value| {
            !(arrived.contains(value) || told.contains(value) || dropped.contains(value))
        })
        .collect::<Vec<_>>();
    check(silent.is_empty(), format!("lines to the board lost without a word: {silent:?}"));
    let memory = board.into_memory();
    check(memory.lines.is_empty(), format!("{} lines from the board wait", memory.lines.len()));
    let mut kept: HashSet<u64> = store.log.iter().copied().collect();
    let known: Vec<u64> = (store.lost.iter())
        .flat_map(|&(epoch, from, to)| (from..=to).map(move |seq| (epoch, seq)))
        .map(|label| labels[&label])
        .collect();
    kept.extend(&known);
    kept.extend(&gone);
    if kind.known || kind.restore && kind.power {
        // Those that only the lost part of the log had, and that no board could tell of.
        kept.extend(&log);
    }
    let silent: Vec<u64> = (0..wrote).filter(|value| !kept.contains(value)).collect();
    check(silent.is_empty(), format!("lines from the board lost without a word: {silent:?}"));
    if !kind.restore {
        check(store.lost.is_empty(), format!("lines were called lost: {:?}", store.lost));
        check(kind.power || told.is_empty(), format!("called undetermined: {told:?}"));
    }
    outcome.up = store.log.len() as u64;
    outcome.down = got.len() as u64;
    outcome.undetermined = told.len() as u64;
    outcome.lost = known.len() as u64;
    outcome.wrong = wrong;
    outcome
}

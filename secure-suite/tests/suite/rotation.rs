//! A key that is exchanged over the link: nobody is locked out, whatever loses its power or is killed, and when.

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Board as Link, BoardState, Memory, View};
use pblink_protocol::secure::frame::{Epoch, KeyOutcome, Resume};
use pblink_protocol::secure::packet::{MAX_DOWN, MAX_UP};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Server as Session, ServerEvent, Visitor, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;
use pblink_secure_suite::keys::ServerKeys;
use pblink_secure_suite::server::Generations;

use super::sector::Sector;
use super::*;

/// A memory without lines.
struct Ram(Epoch, Option<View>);

impl Memory for Ram {
    fn epoch(&self) -> Epoch {
        self.0
    }
    fn first(&self) -> u64 {
        1
    }
    fn next(&self) -> u64 {
        1
    }
    fn line(&self, _seq: u64) -> Option<(&[u8], Instant)> {
        None
    }
    fn push(&mut self, _now: Instant, _text: &str) -> Result<(), WriteError> {
        Err(WriteError::Full)
    }
    fn free(&mut self, _done: u64) {}
    fn view(&self) -> Option<View> {
        self.1
    }
    fn set_view(&mut self, view: View) {
        self.1 = Some(view);
    }
}

struct NoLines;

impl Lines for NoLines {
    fn after(&self, _after: u64) -> Option<Outgoing<'_>> {
        None
    }
}

#[derive(Debug, Default)]
struct Notes {
    resume: Option<Resume>,
    proven: Option<u32>,
    refused: Vec<KeyOutcome>,
}

impl Desk for Notes {
    fn deliver(&mut self, _line: Received<'_>) -> bool {
        true
    }
    fn resolve(&mut self, resume: Resume) {
        self.resume = Some(resume);
    }
    fn done(&mut self, _number: u64) {}
    fn datagram(&mut self, _text: &str) {}
    fn board_event(&mut self, _kind: u8, _bytes: &[u8]) {}
    fn event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Proven(generation) => self.proven = Some(generation),
            ServerEvent::Keyed(keyed) if keyed.outcome != KeyOutcome::Taken => {
                self.refused.push(keyed.outcome);
            }
            _ => {}
        }
    }
}

/// Something that happens between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The board loses its power.
    PowerCut,
    /// It does so in the middle of its next write to flash.
    TornWrite,
    /// The server's process is killed.
    Kill,
    /// It is killed when it has noted in its file what the board has proven, and before it does anything with it.
    KillAfterNote,
    /// The connection ends.
    Cut,
    /// Someone takes the rotation back.
    Cancel,
    /// Someone takes it back, and begins another one at once.
    Again,
}

const FAULTS: [Fault; 7] = [
    Fault::PowerCut,
    Fault::TornWrite,
    Fault::Kill,
    Fault::KillAfterNote,
    Fault::Cut,
    Fault::Cancel,
    Fault::Again,
];

/// A board, a server, and the user of both.
struct World {
    issued: Issued,
    seed: u64,
    step: u64,
    flash: Sector,
    board: Link<Board<Sector>, Ram>,
    /// The server's file: what outlives its process.
    file: Vec<ServerKeys>,
    server: Session<Generations<Drbg>>,
    /// The epochs of the process, and of the board in the store.
    own: Epoch,
    known: Option<Epoch>,
    visitor: Visitor,
    notes: Notes,
    /// The server notes no proof: it is killed before.
    busy: bool,
}

impl World {
    /// Both up, with the keys that came over a cable.
    fn new(seed: u64) -> Self {
        let issued = issued(seed);
        let flash = Sector::default();
        let file = vec![issued.server.clone()];
        let mut world = Self {
            board: started(&issued, &flash, 1),
            server: session(&file, 1),
            visitor: Visitor::new(0, Instant::ZERO),
            own: epoch(1),
            known: None,
            notes: Notes::default(),
            busy: false,
            step: 0,
            issued,
            seed,
            flash,
            file,
        };
        world.connect();
        world.run(20);
        assert!(world.board.is_up());
        world
    }

    fn now(&self) -> Instant {
        Instant::from_millis(250 * self.step)
    }

    fn connect(&mut self) {
        self.server.on_closed(&self.visitor, &mut self.notes);
        self.visitor = Visitor::new(self.step + 1, self.now());
        self.board.on_server(self.now(), false);
        self.board.on_server(self.now(), true);
    }

    fn run(&mut self, steps: u64) {
        (0..steps).for_each(|_| self.step());
    }

    /// A quarter of a second: a line each way, and what follows.
    fn step(&mut self) {
        self.step += 1;
        let now = self.now();
        let torn = self.flash.lock().torn;
        self.board.compute(now);
        if torn && !self.flash.lock().torn {
            return self.power_cut();
        }
        if let Some(line) = self.board.transmit(now, &mut [0; MAX_UP]) {
            self.server.on_line(now, &mut self.visitor, line, &mut self.notes);
        }
        self.server.compute(now, NOW);
        if let Some(resume) = self.notes.resume.take() {
            let book = Book {
                own: self.own,
                board: self.known,
                last_received: 0,
                view: resume.peer.map_or(Known::Never, |_| Known::Open),
                highest: 0,
                highest_at_start: 0,
                mark: self.server.mark(),
            };
            let resolution = resolve(&resume, &book);
            self.known = Some(resolution.board);
            self.server.on_resolved(now, &resolution, &mut self.notes);
        }
        self.server.poll(now, &mut self.notes);
        if let Some(line) =
            self.server.transmit(now, &mut self.visitor, &NoLines, &mut [0; MAX_DOWN])
        {
            self.board.on_line(now, line);
        }
        if self.server.is_overdue(now, &self.visitor) {
            self.connect();
        }
        if !self.busy {
            self.note();
        }
    }

    /// Notes in the file what the board has proven, and takes no older keys then.
    fn note(&mut self) {
        if self.file.len() == 2 && self.notes.proven == self.file.last().map(|it| it.generation) {
            self.file.remove(0);
            self.take_file();
        }
    }

    /// Lets the process take what is in its file. A proof is one of keys that are in it.
    fn take_file(&mut self) {
        let suite = suite(&self.file, self.seed + self.step);
        let has = |it: u32| self.file.iter().any(|keys| keys.generation == it);
        self.server.set_suite(suite, has, &mut self.notes);
        self.notes.proven = self.notes.proven.filter(|&it| has(it));
    }

    /// Begins a rotation: first in the file.
    fn rotate(&mut self) {
        if self.file.len() == 1 {
            let mut next = self.file[0].clone();
            next.generation += 1;
            next.shared = Secret::draw(&mut random(self.seed ^ self.step));
            self.file.push(next);
            self.take_file();
        }
    }

    fn cancel(&mut self) {
        self.file.truncate(1);
        self.take_file();
    }

    fn power_cut(&mut self) {
        self.flash.lock().torn = false;
        self.board = started(&self.issued, &self.flash, self.step);
        self.connect();
    }

    fn kill(&mut self) {
        self.own = epoch(self.step + 1000);
        self.server = session(&self.file, self.step);
        self.notes = Notes::default();
        self.connect();
    }

    fn happen(&mut self, fault: Fault) {
        match fault {
            Fault::PowerCut => self.power_cut(),
            Fault::TornWrite => {
                self.flash.lock().torn = true;
                self.run(200);
                self.flash.lock().torn = false;
            }
            Fault::Kill => self.kill(),
            Fault::KillAfterNote => {
                self.busy = true;
                self.run(40);
                self.busy = false;
                if self.file.len() == 2
                    && self.notes.proven == self.file.last().map(|it| it.generation)
                {
                    self.file.remove(0);
                }
                self.kill();
            }
            Fault::Cut => self.connect(),
            Fault::Cancel => self.cancel(),
            Fault::Again => {
                self.cancel();
                self.rotate();
            }
        }
    }

    /// Runs without faults until all is well, and checks that it is.
    fn check(&mut self, what: &dyn std::fmt::Debug) {
        for _ in 0..4 * 600 {
            self.step();
            if self.is_well() {
                return;
            }
        }
        let flash = self.flash.lock();
        let records: Vec<_> = flash.records.iter().map(|it| (it.0.generation, it.1)).collect();
        let file: Vec<_> = self.file.iter().map(|it| it.generation).collect();
        panic!("{what:?}: {:?}, flash {records:?}, file {file:?}", self.board.state());
    }

    /// Returns true if the link is up, and both have the one key.
    fn is_well(&self) -> bool {
        let flash = self.flash.lock();
        let (newest, confirmed) = flash.records.last().expect("there is one");
        let [only] = &self.file[..] else { return false };
        let same =
            only.generation == newest.generation && only.shared.expose() == newest.key.expose();
        // A rotation that was taken back leaves a key that is not confirmed, and the one before it is used.
        let taken_back = !confirmed && only.generation < newest.generation;
        let right = same && *confirmed || taken_back;
        self.board.state() == BoardState::Up && right
    }
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).expect("not 0")
}

/// A board that has just got its power.
fn started(issued: &Issued, flash: &Sector, number: u64) -> Link<Board<Sector>, Ram> {
    let drbg = Drbg::new(&[issued.seed.expose(), b"the board's unique id", &number.to_be_bytes()]);
    Link::new(flash.open(&issued.board, drbg), Ram(epoch(number), None))
}

fn suite(file: &[ServerKeys], seed: u64) -> Generations<Drbg> {
    Generations::new(file.iter().cloned(), || random(!seed)).expect("there are keys")
}

fn session(file: &[ServerKeys], seed: u64) -> Session<Generations<Drbg>> {
    Session::new(suite(file, seed), 0)
}

#[test]
fn a_key_is_exchanged_while_the_link_is_up() {
    let mut world = World::new(1);
    let old = world.issued.board.shared.clone();
    world.rotate();
    for _ in 0..40 {
        world.step();
        assert!(world.board.is_up());
    }
    assert!(world.is_well());
    let flash = world.flash.lock();
    let generations: Vec<_> = flash.records.iter().map(|it| it.0.generation).collect();
    assert_eq!(generations, [3, 4]);
    assert_ne!(world.file[0].shared.expose(), old.expose());
}

/// Each of these at each step of a rotation, and each of them again two seconds later.
#[test]
fn nobody_is_locked_out_by_a_fault_at_any_step() {
    for first in FAULTS {
        for at in 0..20 {
            let mut world = World::new(at);
            world.rotate();
            world.run(at);
            world.happen(first);
            world.check(&(first, at));
        }
    }
}

#[test]
fn nobody_is_locked_out_by_two_faults() {
    let mut rng = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |n: u64| {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        rng % n
    };
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.rotate();
        let mut faults = Vec::new();
        for _ in 0..2 + next(3) {
            let (fault, steps) = (FAULTS[next(7) as usize], next(30));
            faults.push((fault, steps));
            world.run(steps);
            world.happen(fault);
            if next(4) == 0 {
                world.rotate();
            }
        }
        world.check(&(seed, faults));
    }
}

/// The board is given the second key before it has heard of the first that no older one is taken.
#[test]
fn nobody_is_locked_out_by_a_second_key_that_comes_at_once_and_is_taken_back() {
    for steps in 0..40 {
        let mut world = World::new(steps);
        world.rotate();
        let noted = (0..40).any(|_| {
            world.step();
            world.file.len() == 1
        });
        assert!(noted);
        world.rotate();
        world.run(steps);
        world.cancel();
        // The session under the first one would go on for a day.
        world.kill();
        world.check(&steps);
    }
}

#[test]
fn a_sector_that_is_full_is_said_and_the_old_key_serves_on() {
    let mut world = World::new(2);
    world.flash.lock().full = true;
    world.rotate();
    world.run(400);
    assert_eq!(world.notes.refused, [KeyOutcome::Full]);
    assert!(world.board.is_up());
    assert_eq!((world.file.len(), world.flash.lock().records.len()), (2, 1));
}

#[test]
fn a_board_takes_no_key_that_is_older_than_the_one_that_it_has() {
    let mut world = World::new(3);
    world.rotate();
    world.run(40);
    assert!(world.is_well());
    let Ends { mut board, .. } = Ends::of(&world.issued, 3);
    assert_eq!(board.take_key(4, &[1; 32]), KeyOutcome::Unsupported);
    let drbg = Drbg::new(&[&[1; 48]]);
    let mut board = Board::with_store(world.issued.board.clone(), None, Sector::default(), drbg);
    let same = *world.issued.board.shared.expose();
    assert_eq!(board.take_key(3, &same), KeyOutcome::Taken, "it has it");
    assert_eq!(board.take_key(3, &[1; 32]), KeyOutcome::Failed);
    assert_eq!(board.take_key(2, &[1; 32]), KeyOutcome::Failed);
    assert_eq!(board.take_key(4, &[1; 32]), KeyOutcome::Taken);
    // Taken back, and made anew: this one is not settled, and makes place.
    assert_eq!(board.take_key(4, &[2; 32]), KeyOutcome::Taken);
    board.settle(3);
    assert!(!board.is_settled(), "that is not its newest");
    board.settle(4);
    assert!(board.is_settled());
    assert_eq!(board.take_key(4, &[3; 32]), KeyOutcome::Failed);
}

//! The server's end of a secure link, over lines of the classic one.

use std::collections::VecDeque;

use pblink_image::keys::Fields;
use pblink_protocol::app::happening::Happening;
use pblink_protocol::secure::frame::{Epoch, Keyed, Resume};
use pblink_protocol::secure::packet::MAX_DOWN;
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Server, ServerEvent, Visitor, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::issue;
use pblink_secure_suite::keys::{Id, Secret, ServerKeys};
use pblink_secure_suite::server::Generations;

/// The server's clock, in ms since the Unix epoch, when the bench starts.
pub const CLOCK: u64 = 1_800_000_000_000;

/// The keys of a board and its server.
pub struct Pair {
    /// The record that is in the board's flash.
    pub record: Vec<u8>,
    /// The server's.
    pub server: ServerKeys,
}

impl Pair {
    /// Makes keys for this id, the same each time. `seeded`: with a seed for the board's random numbers.
    ///
    /// # Panics
    /// If the id cannot be one.
    pub fn of(id: &str, seeded: bool) -> Self {
        let mut random = Drbg::new(&[b"keys of the bench, which are no secret to anyone"]);
        let server = Secret::draw(&mut random);
        let id = Id::new(id).expect("an id");
        let issued = issue(&id, 1, &server, &mut random);
        let seed = if seeded { *issued.seed.expose() } else { [0xff; 32] };
        let record = Fields {
            id: id.as_str(),
            generation: 1,
            private: issued.board.private.expose(),
            server: &issued.board.server.0,
            shared: issued.board.shared.expose(),
            seed: &seed,
            confirmed: true,
        };
        Self { record: record.write().expect("an id").to_vec(), server: issued.server }
    }
}

/// Lines and what else the session has told.
#[derive(Default)]
pub struct Notes {
    /// Lines of the board, each with the epoch and the number that it had.
    pub got: Vec<(Epoch, u64, String)>,
    /// Ages of these lines, in ms.
    pub ages: Vec<u64>,
    /// Happenings on the board.
    pub told: Vec<Happening>,
    /// Times that the link came up.
    pub ups: u32,
    /// The last of the server's lines with which the board's application is done.
    pub done: u64,
    /// The generation of the keys that the board was the last to prove.
    pub proven: Option<u32>,
    /// The board's words on keys that it was given.
    pub keyed: Vec<Keyed>,
    resumes: Vec<Resume>,
}

impl Desk for Notes {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        self.got.push((line.epoch, line.seq, line.text.to_owned()));
        self.ages.push(line.age_ms);
        true
    }

    fn resolve(&mut self, resume: Resume) {
        self.resumes.push(resume);
    }

    fn done(&mut self, number: u64) {
        self.done = self.done.max(number);
    }

    fn datagram(&mut self, _: &str) {}

    fn board_event(&mut self, kind: u8, bytes: &[u8]) {
        self.told.push(Happening::decode(kind, bytes).expect("a kind that is known"));
    }

    fn event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Up(_) => self.ups += 1,
            ServerEvent::Proven(generation) => self.proven = Some(generation),
            ServerEvent::Keyed(keyed) => self.keyed.push(keyed),
            _ => {}
        }
    }
}

/// Lines for the board. All stay: the number of a line is its place.
#[derive(Default)]
struct Rows(Vec<String>);

impl Lines for Rows {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let text = self.0.get(after as usize)?.as_bytes();
        Some(Outgoing { seq: after + 1, prev: after, text, written: Instant::ZERO })
    }
}

fn suite(keys: &[ServerKeys]) -> Generations<Drbg> {
    let random = || Drbg::new(&[b"a server of the bench, which has no secrets, either"]);
    Generations::new(keys.iter().cloned(), random).expect("there are keys")
}

/// The server's end of a secure link.
pub struct Session {
    machine: Server<Generations<Drbg>>,
    /// The keys that the server takes.
    keys: Vec<ServerKeys>,
    visitor: Visitor,
    rows: Rows,
    board: Option<Epoch>,
    /// What it has told.
    pub notes: Notes,
}

impl Session {
    /// Makes the end that has these keys.
    pub fn new(keys: ServerKeys) -> Self {
        let keys = vec![keys];
        Self {
            machine: Server::new(suite(&keys), 0),
            keys,
            visitor: Visitor::new(0, Instant::ZERO),
            rows: Rows::default(),
            board: None,
            notes: Notes::default(),
        }
    }

    /// Makes the next shared key, which the board is given.
    pub fn rotate(&mut self) {
        let newest = self.keys.last().expect("there is one");
        let shared = Secret::new([newest.generation as u8 + 1; 32]);
        self.keys.push(ServerKeys { generation: newest.generation + 1, shared, ..newest.clone() });
        self.take_keys();
    }

    /// Takes the newest key only.
    pub fn settle(&mut self) {
        self.keys.drain(..self.keys.len() - 1);
        self.take_keys();
    }

    fn take_keys(&mut self) {
        let has = |it: u32| self.keys.iter().any(|keys| keys.generation == it);
        self.machine.set_suite(suite(&self.keys), has, &mut self.notes);
    }

    /// Writes a line to the board.
    pub fn write(&mut self, line: &str) {
        self.rows.0.push(line.to_owned());
    }

    /// Returns the number of lines with which the board is not done.
    pub fn undone(&self) -> usize {
        self.rows.0.len() - self.notes.done as usize
    }

    pub(crate) fn connected(&mut self, now: Instant) {
        self.visitor = Visitor::new(now.as_micros(), now);
    }

    pub(crate) fn disconnected(&mut self) {
        self.machine.on_closed(&self.visitor, &mut self.notes);
    }

    /// Takes lines of the board, commits what they bring, and returns those for the board.
    pub(crate) fn exchange(&mut self, now: Instant, lines: &mut VecDeque<String>) -> Vec<String> {
        for line in lines.drain(..) {
            self.machine.on_line(now, &mut self.visitor, &line, &mut self.notes);
        }
        self.machine.compute(now, CLOCK + now.as_micros() / 1000);
        self.machine.poll(now, &mut self.notes);
        self.commit(now);
        let (mut all, mut buffer) = (Vec::new(), [0; MAX_DOWN]);
        while let Some(line) =
            self.machine.transmit(now, &mut self.visitor, &self.rows, &mut buffer)
        {
            all.push(line.to_owned());
        }
        all
    }

    fn commit(&mut self, now: Instant) {
        for resume in std::mem::take(&mut self.notes.resumes) {
            let last = self.notes.got.iter().rfind(|(epoch, ..)| *epoch == resume.epoch);
            let highest = self.rows.0.len() as u64;
            let book = Book {
                own: Epoch::MIN,
                board: self.board,
                last_received: last.map_or(0, |(_, seq, _)| *seq),
                view: resume.peer.map_or(Known::Never, |_| Known::Open),
                highest,
                highest_at_start: 0,
                mark: self.machine.mark(),
            };
            let resolution = resolve(&resume, &book);
            self.board = Some(resolution.board);
            self.machine.on_resolved(now, &resolution, &mut self.notes);
        }
        if let Some((epoch, seq, _)) = self.notes.got.last() {
            self.machine.on_committed(*epoch, *seq);
        }
    }

    pub(crate) fn poll_at(&self, now: Instant) -> Option<Instant> {
        self.machine.poll_at(now)
    }
}

//! Handle and runner of a board with keys, against a server with keys.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{FarEnd, run};
use pblink_image::keys::Fields;
use pblink_protocol::app::happening::{Happening, RestartCause};
use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::packet::MAX_DOWN;
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Server, ServerEvent, Visitor, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{Id, Secret};
use pblink_secure_suite::server::Server as Suite;
use pblink_stm32::secure::{LEAST_KEPT, Vault};
use pblink_stm32::{Delivery, Line, Security, Status};

/// The server's clock when it is asked for.
const CLOCK: u64 = 1_800_000_000_000;

fn issued() -> Issued {
    let mut random = Drbg::new(&[b"keys of a test, which are no secret to anyone at all"]);
    let server = Secret::draw(&mut random);
    issue(&Id::new("1").expect("an id"), 1, &server, &mut random)
}

fn vault(issued: &Issued) -> Vault {
    let fields = Fields {
        id: "1",
        generation: 1,
        private: issued.board.private.expose(),
        server: &issued.board.server.0,
        shared: issued.board.shared.expose(),
        seed: issued.seed.expose(),
        confirmed: true,
    };
    let mut sector = Box::new([0xff; 4096]);
    sector[..256].copy_from_slice(&fields.write().expect("an id"));
    let kept = vec![0x5a; LEAST_KEPT + 2000];
    Vault { keys: Box::leak(sector), kept: kept.leak(), unique: *b"unique chip!", noise: None }
}

/// The server's lines, and those that it has not.
#[derive(Default)]
struct Notes {
    got: Vec<String>,
    last: Option<(Epoch, u64)>,
    done: u64,
    resumes: Vec<Resume>,
    /// Lines for the board.
    rows: Vec<String>,
    /// Nothing is committed.
    stalls: bool,
    /// Happenings on the board.
    told: Vec<Happening>,
}

impl Desk for Notes {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        self.got.push(line.text.to_owned());
        self.last = Some((line.epoch, line.seq));
        true
    }
    fn resolve(&mut self, resume: Resume) {
        self.resumes.push(resume);
    }
    fn done(&mut self, number: u64) {
        self.done = self.done.max(number);
    }
    fn datagram(&mut self, text: &str) {
        self.got.push(text.to_owned());
    }
    fn board_event(&mut self, kind: u8, bytes: &[u8]) {
        self.told.extend(Happening::decode(kind, bytes));
    }
    fn event(&mut self, _: ServerEvent) {}
}

struct Rows(Vec<String>);

impl Lines for Rows {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let text = self.0.get(after as usize)?.as_bytes();
        Some(Outgoing { seq: after + 1, prev: after, text, written: Instant::ZERO })
    }
}

struct End {
    machine: Server<Suite<Drbg>>,
    visitor: Visitor,
    board: Option<Epoch>,
    notes: Rc<RefCell<Notes>>,
}

impl FarEnd for End {
    fn connected(&mut self, now: Instant) {
        self.visitor = Visitor::new(now.as_micros(), now);
    }

    fn exchange(&mut self, now: Instant, lines: Vec<String>) -> Vec<String> {
        let notes = &mut *self.notes.borrow_mut();
        for line in lines {
            self.machine.on_line(now, &mut self.visitor, &line, notes);
        }
        self.machine.compute(now, CLOCK);
        self.machine.poll(now, notes);
        for resume in std::mem::take(&mut notes.resumes) {
            let book = Book {
                own: Epoch::MIN,
                board: self.board,
                last_received: notes.last.map_or(0, |(_, seq)| seq),
                view: resume.peer.map_or(Known::Never, |_| Known::Open),
                highest: notes.rows.len() as u64,
                highest_at_start: 0,
                mark: self.machine.mark(),
            };
            let resolution = resolve(&resume, &book);
            self.board = Some(resolution.board);
            self.machine.on_resolved(now, &resolution, notes);
        }
        if let Some((epoch, seq)) = notes.last.filter(|_| !notes.stalls) {
            self.machine.on_committed(epoch, seq);
        }
        let rows = Rows(notes.rows.clone());
        let (mut all, mut buffer) = (Vec::new(), [0; MAX_DOWN]);
        while let Some(line) = self.machine.transmit(now, &mut self.visitor, &rows, &mut buffer) {
            all.push(line.to_owned());
        }
        all
    }
}

/// Runs `body` on a board with keys, with its server's notes.
fn with_keys(body: impl AsyncFnOnce(pblink_stm32::Handle<'_>, Rc<RefCell<Notes>>)) {
    let issued = issued();
    let notes = Rc::new(RefCell::new(Notes::default()));
    let random = Drbg::new(&[b"a server of a test, which has no secrets from anyone, either"]);
    let end = End {
        machine: Server::new(Suite::new(issued.server.clone(), random), 0),
        visitor: Visitor::new(0, Instant::ZERO),
        board: None,
        notes: notes.clone(),
    };
    run(Some(vault(&issued)), Some(Box::new(end)), async |link, _| body(link, notes).await);
}

#[test]
fn a_line_is_delivered_when_the_server_keeps_it() {
    with_keys(async |link, notes| {
        assert!(matches!(link.security(), Security::Secure { kept: None, .. }));
        notes.borrow_mut().stalls = true;
        link.start().await;
        // What is written is kept, and nothing waits for that.
        link.write("first", Delivery::ORDERED).await.expect("a line");
        let mut deliver = std::pin::pin!(link.deliver("second"));
        let waits = embassy_time::Timer::after_secs(20);
        let early = embassy_futures::select::select(&mut deliver, waits).await;
        assert!(matches!(early, embassy_futures::select::Either::Second(())), "nothing is kept");
        assert_eq!(notes.borrow().got, ["first", "second"]);
        notes.borrow_mut().stalls = false;
        deliver.await.expect("a line");
        link.flush().await;
        assert_eq!(notes.borrow().got, ["first", "second"]);
        assert_eq!(link.status(), Status::Up);
    });
}

#[test]
fn the_server_learns_why_the_chip_has_started() {
    with_keys(async |link, notes| {
        link.start().await;
        link.deliver("a line").await.expect("a line");
        let cause = RestartCause::IndependentWatchdog;
        assert_eq!(notes.borrow().told.first(), Some(&Happening::Restart(cause)));
    });
}

#[test]
fn the_clock_is_the_servers_and_none_before_it_was_heard() {
    with_keys(async |link, _| {
        assert_eq!((link.now(), link.status()), (None, Status::NoEsp));
        link.deliver("first").await.expect("a line");
        let first = link.now().expect("the server has told");
        assert!((CLOCK..CLOCK + 60_000).contains(&first), "{first}");
        embassy_time::Timer::after_secs(10).await;
        let later = link.now().expect("it goes on");
        assert!((first + 10_000..first + 10_100).contains(&later), "{first}, {later}");
    });
}

#[test]
fn a_line_is_done_when_it_is_accepted_or_the_next_one_is_asked_for() {
    with_keys(async |link, notes| {
        notes.borrow_mut().rows.extend(["one".to_owned(), "two".to_owned()]);
        let mut line = Line::new();
        link.readline(&mut line).await;
        assert_eq!(line, "one");
        // The program is busy with it.
        embassy_time::Timer::after_secs(10).await;
        assert_eq!(notes.borrow().done, 0);
        link.accept();
        embassy_time::Timer::after_secs(10).await;
        assert_eq!(notes.borrow().done, 1);
        link.readline(&mut line).await;
        assert_eq!((&*line, notes.borrow().done), ("two", 1));
        assert!(!link.try_readline(&mut line));
        embassy_time::Timer::after_secs(10).await;
        assert_eq!(notes.borrow().done, 2);
    });
}

#[test]
fn lines_of_best_effort_go_one_at_a_time() {
    with_keys(async |link, notes| {
        link.deliver("first").await.expect("a line");
        for number in 0..5 {
            link.write(&format!("{number}"), Delivery::BestEffort).await.expect("a line");
        }
        link.flush().await;
        embassy_time::Timer::after_secs(2).await;
        assert_eq!(notes.borrow().got, ["first", "0", "1", "2", "3", "4"]);
    });
}

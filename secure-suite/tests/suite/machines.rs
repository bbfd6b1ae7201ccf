//! Both machines of the secure link with this cryptography, over a carrier that loses, repeats and breaks.

use std::collections::VecDeque;

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Board as Link, BoardEvent, Memory, View};
use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::packet::{MAX_BYTES, MAX_DOWN, MAX_UP, Packet};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Server as Session, ServerEvent, Visitor, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;
use proptest::prelude::*;

use super::*;

/// Words that are in all texts, and must be in nothing that passes.
const WORDS: &str = "motion in the attic";

fn text(number: u64) -> String {
    format!("{number} {}", WORDS.repeat(1 + number as usize % 20))
}

/// Lines that are numbered from 1, of which the first ones are gone.
#[derive(Debug, Default)]
struct Kept {
    gone: u64,
    lines: VecDeque<String>,
}

impl Kept {
    fn get(&self, seq: u64) -> Option<&[u8]> {
        self.lines.get(seq.checked_sub(self.gone + 1)? as usize).map(String::as_bytes)
    }

    fn push(&mut self) {
        self.lines.push_back(text(self.gone + self.lines.len() as u64 + 1));
    }

    fn free(&mut self, done: u64) {
        while self.gone < done && self.lines.pop_front().is_some() {
            self.gone += 1;
        }
    }
}

impl Lines for Kept {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let seq = after.max(self.gone) + 1;
        let prev = if seq == self.gone + 1 { 0 } else { seq - 1 };
        let text = self.get(seq)?;
        Some(Outgoing { seq, prev, text, written: Instant::ZERO })
    }
}

struct Ram(Kept, Option<View>);

impl Memory for Ram {
    fn epoch(&self) -> Epoch {
        Epoch::MIN
    }
    fn first(&self) -> u64 {
        self.0.gone + 1
    }
    fn next(&self) -> u64 {
        self.0.gone + self.0.lines.len() as u64 + 1
    }
    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        self.0.get(seq).map(|text| (text, Instant::ZERO))
    }
    fn push(&mut self, _now: Instant, text: &str) -> Result<(), WriteError> {
        self.0.lines.push_back(text.to_owned());
        Ok(())
    }
    fn free(&mut self, done: u64) {
        self.0.free(done);
    }
    fn view(&self) -> Option<View> {
        self.1
    }
    fn set_view(&mut self, view: View) {
        self.1 = Some(view);
    }
}

/// A store that commits at once.
#[derive(Debug, Default)]
struct Store {
    log: Vec<String>,
    rows: Kept,
    resume: Option<Resume>,
    committed: Option<(Epoch, u64)>,
}

impl Desk for Store {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        self.log.push(line.text.to_owned());
        self.committed = Some((line.epoch, line.seq));
        true
    }
    fn resolve(&mut self, resume: Resume) {
        self.resume = Some(resume);
    }
    fn done(&mut self, number: u64) {
        self.rows.free(number);
    }
    fn datagram(&mut self, _text: &str) {}
    fn board_event(&mut self, _kind: u8, _bytes: &[u8]) {}
    fn event(&mut self, _event: ServerEvent) {}
}

/// Checks that a line shows nothing of any text, as it is or decoded.
fn check_is_opaque(line: &str) {
    let mut buffer = [0; MAX_BYTES];
    let sealed = match Packet::decode(line, &mut buffer) {
        Ok(Packet::Sealed { sealed, .. }) => sealed,
        Ok(_) => &[],
        Err(error) => panic!("{error:?}: {line}"),
    };
    for shown in [line.as_bytes(), sealed] {
        assert!(!shown.windows(6).any(|six| WORDS.as_bytes().windows(6).any(|w| w == six)));
    }
}

/// Runs until all lines have arrived; `fates` of lines and connections: below 20 lost, below 40 twice, 255 a cut.
fn run(seed: u64, fates: &[u8]) -> (Vec<String>, Vec<String>) {
    let ends = Ends::new(seed);
    let mut fates = fates.iter().copied().chain(std::iter::repeat(100));
    let mut board = Link::new(ends.board, Ram(Kept::default(), None));
    let mut server = Session::new(ends.server, 0);
    let mut store = Store::default();
    let mut visitor = Visitor::new(0, Instant::ZERO);
    let mut got = Vec::new();
    for seq in 1..=LINES {
        board.write(Instant::ZERO, &text(seq)).unwrap();
        store.rows.push();
    }
    for step in 0..100_000 {
        let now = Instant::from_millis(20 * step);
        let fate = fates.next().unwrap();
        if step == 0 || fate == 255 {
            server.on_closed(&visitor, &mut store);
            visitor = Visitor::new(step, now);
            board.on_server(now, true);
        }
        let passes = |line: &str| {
            check_is_opaque(line);
            if fate < 20 { 0 } else { 1 + usize::from(fate < 40) }
        };
        board.compute(now);
        if let Some(line) = board.transmit(now, &mut [0; MAX_UP]) {
            for _ in 0..passes(line) {
                server.on_line(now, &mut visitor, line, &mut store);
            }
        }
        server.poll(now, &mut store);
        server.compute(now, NOW);
        if let Some((epoch, seq)) = store.committed {
            server.on_committed(epoch, seq);
        }
        if let Some(resume) = store.resume.take() {
            let book = Book {
                own: Epoch::MAX,
                board: store.committed.map(|(epoch, _)| epoch),
                last_received: store.log.len() as u64,
                view: Known::Open,
                highest: LINES,
                highest_at_start: 0,
                mark: server.mark(),
            };
            let resolution = resolve(&resume, &book);
            store.committed.get_or_insert((resolution.board, 0));
            store.rows.free(resolution.delivered.unwrap_or(0));
            server.on_resolved(now, &resolution, &mut store);
        }
        let buffer = &mut [0; MAX_DOWN];
        if let Some(line) = server.transmit(now, &mut visitor, &store.rows, buffer) {
            for _ in 0..passes(line) {
                board.on_line(now, line);
            }
        }
        got.extend(board.read_line(str::to_owned));
        board.accept();
        while let Some(event) = board.next_event() {
            assert!(event != BoardEvent::Invalid);
        }
        if board.is_done(LINES) && store.rows.gone == LINES {
            break;
        }
    }
    (store.log, got)
}

/// Lines of each end.
const LINES: u64 = 30;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn lines_pass_once_and_in_order_and_nobody_can_read_them(
        seed: u64,
        fates in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let (log, got) = run(seed, &fates);
        let wanted: Vec<String> = (1..=LINES).map(text).collect();
        prop_assert_eq!(&log, &wanted);
        prop_assert_eq!(&got, &wanted);
    }
}

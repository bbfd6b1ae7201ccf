//! The memory that survives a reset: whatever it is cut off at, it is as before or as after; and garbage is nothing.

use std::cell::Cell;
use std::collections::VecDeque;

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Memory, View};
use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::time::Instant;
use pblink_stm32::secure::kept::{Kept, LEAST, Ram};

/// RAM of a chip that is reset after so many bytes were set.
#[derive(Debug, Clone, PartialEq)]
struct Cut {
    bytes: Vec<u8>,
    left: Cell<usize>,
    set: Cell<usize>,
}

impl Cut {
    fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, left: Cell::new(usize::MAX), set: Cell::new(0) }
    }
}

impl Ram for Cut {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn set(&mut self, at: usize, byte: u8) {
        self.set.set(self.set.get() + 1);
        if self.set <= self.left {
            self.bytes[at] = byte;
        }
    }
}

/// Contents of a memory.
#[derive(Debug, Clone, PartialEq)]
struct State {
    epoch: Epoch,
    next: u64,
    view: Option<View>,
    lines: VecDeque<(String, Instant)>,
}

impl State {
    fn of(kept: &Kept<Cut>) -> Self {
        let (first, next) = (kept.first(), kept.next());
        let line = |seq| {
            let (text, written) = kept.line(seq).expect("it is kept");
            (String::from_utf8(text.to_vec()).expect("it was text"), written)
        };
        assert!(kept.line(first.wrapping_sub(1)).is_none() && kept.line(next).is_none());
        let view = kept.view();
        Self { epoch: kept.epoch(), next, view, lines: (first..next).map(line).collect() }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(String),
    Free(u64),
    View(View),
    Tick,
}

impl Step {
    fn run(&self, kept: &mut Kept<Cut>, now: Instant) -> Result<(), WriteError> {
        match self {
            Self::Push(text) => return kept.push(now, text),
            Self::Free(done) => kept.free(*done),
            Self::View(view) => kept.set_view(*view),
            Self::Tick => kept.tick(now),
        }
        Ok(())
    }
}

/// SplitMix64: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn text(&mut self, longest: u64) -> String {
        let len = 1 + self.below(longest);
        (0..len).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }

    fn step(&mut self, kept: &Kept<Cut>, longest: u64) -> Step {
        match self.below(8) {
            0..4 => Step::Push(self.text(longest)),
            4 | 5 => Step::Free(kept.first() + self.below(4)),
            6 => Step::View(View { epoch: epoch(1 + self.below(3)), done: self.below(1 << 40) }),
            _ => Step::Tick,
        }
    }
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).expect("not 0")
}

fn fresh(size: usize) -> Kept<Cut> {
    Kept::begin(Cut::of(vec![0xa5; size]), epoch(7))
}

fn recalled(bytes: &[u8]) -> Option<Kept<Cut>> {
    Kept::recall(Cut::of(bytes.to_vec())).ok()
}

/// Returns the RAM of a memory: a copy is what a reset leaves.
fn ram(kept: &Kept<Cut>) -> &[u8] {
    kept.ram().bytes()
}

#[test]
fn a_reset_after_any_byte_leaves_the_state_before_or_after() {
    let mut cuts = 0_u64;
    for (size, longest, seed) in [(LEAST, 300, 1), (LEAST, 40, 2), (2500, 1024, 3)] {
        let mut dice = Dice(seed);
        let mut kept = fresh(size);
        kept.ram().set.take();
        for number in 0..150 {
            let now = Instant::from_millis(1000 + number);
            let step = dice.step(&kept, longest);
            let (before, bytes) = (State::of(&kept), ram(&kept).to_vec());
            let _ = step.run(&mut kept, now);
            let after = State::of(&kept);
            let all = kept.ram().set.take();
            for left in 0..=all {
                let mut cut = recalled(&bytes).expect("it was whole");
                cut.ram().left.set(left);
                let _ = step.run(&mut cut, now);
                let found = recalled(ram(&cut)).map(|found| State::of(&found));
                let expected = if left == all { &after } else { &before };
                let either = found.as_ref() == Some(&before) || found.as_ref() == Some(&after);
                assert!(either, "{step:?} cut after {left} of {all}: {found:?}, not {expected:?}");
                if left == all {
                    assert_eq!(found.as_ref(), Some(expected), "{step:?} is complete");
                }
                cuts += 1;
            }
        }
    }
    assert!(cuts > 30_000, "{cuts} cuts");
}

#[test]
fn lines_come_back_with_their_times_and_the_clock_goes_on() {
    let mut kept = fresh(4096);
    for number in 0..20 {
        kept.push(Instant::from_millis(number), &format!("line {number}")).expect("there is room");
    }
    kept.free(5);
    kept.set_view(View { epoch: epoch(9), done: 3 });
    kept.tick(Instant::from_millis(60_000));
    let kept = recalled(ram(&kept)).expect("it is whole");
    assert_eq!((kept.epoch(), kept.first(), kept.next()), (epoch(7), 6, 21));
    assert_eq!(kept.view(), Some(View { epoch: epoch(9), done: 3 }));
    assert_eq!(kept.time(), Instant::from_millis(60_000));
    for seq in [20, 6, 13, 14, 15, 7] {
        let (text, written) = kept.line(seq).expect("it is kept");
        assert_eq!(text, format!("line {}", seq - 1).as_bytes());
        assert_eq!(written, Instant::from_millis(seq - 1));
    }
}

#[test]
fn the_smallest_memory_holds_the_longest_line_again_and_again() {
    let text = "x".repeat(pblink_protocol::MAX_TEXT);
    let mut kept = fresh(LEAST);
    for seq in 1..=100 {
        kept.push(Instant::ZERO, &text).expect("it is empty");
        assert_eq!(kept.push(Instant::ZERO, "y"), Err(WriteError::Full));
        assert_eq!(kept.line(seq).map(|(found, _)| found), Some(text.as_bytes()));
        kept.free(seq);
        assert_eq!((kept.first(), kept.next()), (seq + 1, seq + 1));
        kept = recalled(ram(&kept)).expect("it is whole");
    }
}

#[test]
fn lines_fill_it_and_leave_it_in_order_however_long_they_are() {
    let mut dice = Dice(4);
    let mut kept = fresh(3000);
    let mut model: VecDeque<(u64, String)> = VecDeque::new();
    let (mut full, mut seq) = (0, 1);
    for _ in 0..5000 {
        if dice.below(2) == 0 {
            let text = dice.text(200);
            match kept.push(Instant::ZERO, &text) {
                Ok(()) => {
                    model.push_back((seq, text));
                    seq += 1;
                }
                Err(why) => {
                    assert_eq!(why, WriteError::Full);
                    full += 1;
                    // Two of the longest ones fit always, beside what is lost where the ring ends.
                    let used: usize = model.iter().map(|(_, text)| text.len() + 22).sum();
                    assert!(used + 2 * 222 > 3000 - 144, "{used} bytes of 2856 are used");
                }
            }
        } else if let Some((done, _)) = model.pop_front() {
            kept.free(done);
        }
        // From either end, as those ask who send again.
        for (seq, text) in model.iter().chain(model.iter().rev()) {
            assert_eq!(kept.line(*seq).map(|(found, _)| found), Some(text.as_bytes()));
        }
    }
    assert!(full > 20, "it was full {full} times");
}

#[test]
fn garbage_is_nothing_and_a_memory_begins_there() {
    let mut dice = Dice(5);
    let mut patterns = vec![vec![0; 4096], vec![0xff; 4096], vec![0xa5; 4096]];
    patterns.extend((0..200).map(|_| (0..4096).map(|_| dice.next() as u8).collect()));
    for bytes in patterns {
        let ram = Kept::recall(Cut::of(bytes)).expect_err("there is nothing in it");
        let mut kept = Kept::begin(ram, epoch(3));
        assert_eq!((kept.epoch(), kept.first(), kept.next(), kept.view()), (epoch(3), 1, 1, None));
        kept.push(Instant::ZERO, "one").expect("there is room");
        let kept = recalled(kept.ram().bytes()).expect("it is whole");
        assert_eq!(State::of(&kept).lines.len(), 1);
    }
}

/// Also while it begins.
#[test]
fn a_memory_that_begins_over_another_one_is_never_a_mixture() {
    let mut old = fresh(LEAST);
    for number in 0..30 {
        old.push(Instant::ZERO, &format!("{number}")).expect("there is room");
    }
    let before = State::of(&old);
    let bytes = ram(&old).to_vec();
    let whole = Kept::begin(Cut::of(bytes.clone()), epoch(8));
    for left in 0..=whole.ram().set.get() {
        let cut = Kept::begin(Cut { left: Cell::new(left), ..Cut::of(bytes.clone()) }, epoch(8));
        match recalled(ram(&cut)).map(|found| State::of(&found)) {
            None => assert!(left > 0),
            Some(found) => assert!(found == before || found == State::of(&whole), "after {left}"),
        }
    }
}

/// RAM that had no power for a moment.
#[test]
fn a_flipped_bit_is_noticed_unless_it_changes_nothing() {
    let mut kept = fresh(LEAST);
    for number in 0..12 {
        kept.push(Instant::from_millis(number), &format!("line {number}")).expect("room");
    }
    kept.free(4);
    kept.set_view(View { epoch: epoch(2), done: 1 });
    let (state, bytes) = (State::of(&kept), ram(&kept).to_vec());
    let mut noticed = 0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match recalled(&flipped) {
            None => noticed += 1,
            Some(found) => assert_eq!(State::of(&found), state, "bit {bit}"),
        }
    }
    // Both headers, and eight records.
    assert!(noticed >= 8 * (2 * 72 + 8 * 22), "{noticed} bits");
}

#[test]
fn a_memory_of_another_size_is_none() {
    let kept = fresh(4096);
    assert!(recalled(&ram(&kept)[..4000]).is_none());
    let mut longer = ram(&kept).to_vec();
    longer.push(0);
    assert!(recalled(&longer).is_none());
    assert!(recalled(ram(&kept)).is_some());
}

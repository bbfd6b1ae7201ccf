//! Frames under the keys of a handshake, through a carrier that loses, repeats, delays and forges.

use pblink_protocol::secure::packet::{MAX_BYTES, MAX_COUNTER, MAX_FRAMES, TAG};
use pblink_protocol::secure::suite::Keys;
use proptest::prelude::*;

use crate::Ends;

/// The carrier's treatment of a frame.
#[derive(Debug, Clone)]
enum Act {
    Carry,
    Lose,
    Repeat,
    /// Carries it behind that many others.
    Hold(usize),
    /// Changes a bit.
    Flip(usize),
    /// Says another counter.
    Recount(u32),
    Cut(usize),
    Lengthen,
    /// Gives it back to its sender.
    Reflect,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Carry),
        1 => Just(Act::Lose),
        1 => Just(Act::Repeat),
        2 => (1..20_usize).prop_map(Act::Hold),
        2 => any::<usize>().prop_map(Act::Flip),
        1 => (1..=MAX_COUNTER).prop_map(Act::Recount),
        1 => (1..=MAX_BYTES).prop_map(Act::Cut),
        1 => Just(Act::Lengthen),
        1 => Just(Act::Reflect),
    ]
}

/// A frame: who sends it, what it says, the counters passed over before it, and what becomes of it.
fn step() -> impl Strategy<Value = (bool, Vec<u8>, u32, Act)> {
    let contents = prop::collection::vec(any::<u8>(), 0..=MAX_FRAMES);
    (any::<bool>(), contents, 0..3_u32, act())
}

struct Held {
    up: bool,
    due: usize,
    counter: u32,
    sealed: Vec<u8>,
    frames: Vec<u8>,
}

fn seal(keys: &mut impl Keys, counter: u32, frames: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_BYTES];
    let len = keys.seal(counter, frames, &mut out).expect("there is room");
    assert_eq!(len, frames.len() + TAG);
    out[..len].to_vec()
}

fn open(keys: &mut impl Keys, counter: u32, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut out = [0; MAX_BYTES];
    keys.open(counter, sealed, &mut out).map(|len| out[..len].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A frame opens if and only if it is one that was sealed, under its counter and for this way; whatever came before.
    #[test]
    fn only_what_was_sealed_opens(steps in prop::collection::vec(step(), 300)) {
        let (mut below, mut above) = Ends::new(1).shake();
        let mut held: Vec<Held> = Vec::new();
        let mut next = [0, 0];
        for (at, (up, frames, skip, act)) in steps.into_iter().enumerate() {
            let counter = next[usize::from(up)] + skip;
            next[usize::from(up)] = counter + 1;
            let mut sealed = if up {
                seal(&mut below, counter, &frames)
            } else {
                seal(&mut above, counter, &frames)
            };
            let mut arrive = |counter, sealed: &[u8], up| {
                if up { open(&mut above, counter, sealed) } else { open(&mut below, counter, sealed) }
            };
            match act {
                Act::Lose => {}
                Act::Carry => prop_assert_eq!(arrive(counter, &sealed, up), Some(frames)),
                Act::Repeat => {
                    // Only the machines know that it came before.
                    prop_assert_eq!(arrive(counter, &sealed, up), Some(frames.clone()));
                    prop_assert_eq!(arrive(counter, &sealed, up), Some(frames));
                }
                Act::Hold(behind) => held.push(Held { up, due: at + behind, counter, sealed, frames }),
                Act::Flip(bit) => {
                    let bit = bit % (8 * sealed.len());
                    sealed[bit / 8] ^= 1 << (bit % 8);
                    prop_assert_eq!(arrive(counter, &sealed, up), None);
                    sealed[bit / 8] ^= 1 << (bit % 8);
                    prop_assert_eq!(arrive(counter, &sealed, up), Some(frames));
                }
                Act::Recount(by) => {
                    let said = (counter + by) & MAX_COUNTER;
                    prop_assert_eq!(arrive(said, &sealed, up), None);
                    prop_assert_eq!(arrive(counter | 1 << 24, &sealed, up), None);
                    prop_assert_eq!(arrive(counter, &sealed, up), Some(frames));
                }
                Act::Cut(by) => {
                    let rest = sealed.len().saturating_sub(by);
                    prop_assert_eq!(arrive(counter, &sealed[..rest], up), None);
                    prop_assert_eq!(arrive(counter, &sealed, up), Some(frames));
                }
                Act::Lengthen => {
                    if sealed.len() < MAX_BYTES {
                        sealed.push(0);
                        prop_assert_eq!(arrive(counter, &sealed, up), None);
                    }
                }
                Act::Reflect => {
                    prop_assert_eq!(arrive(counter, &sealed, !up), None);
                    prop_assert_eq!(arrive(counter, &sealed, up), Some(frames));
                }
            }
            while let Some(at) = held.iter().position(|held| held.due <= at) {
                let held = held.swap_remove(at);
                prop_assert_eq!(arrive(held.counter, &held.sealed, held.up), Some(held.frames));
            }
        }
    }
}

#[test]
fn frames_under_keys_of_another_handshake_do_not_open() {
    let mut ends = Ends::new(1);
    let (mut old_below, mut old_above) = ends.shake();
    let (mut below, mut above) = ends.shake();
    let (up, down) = (seal(&mut old_below, 0, b"up"), seal(&mut old_above, 0, b"down"));
    assert_eq!(open(&mut above, 0, &up), None);
    assert_eq!(open(&mut below, 0, &down), None);
    // Both keys live beside each other.
    assert_eq!(open(&mut old_above, 0, &up).unwrap(), b"up");
    assert_eq!(open(&mut old_below, 0, &down).unwrap(), b"down");
    let up = seal(&mut below, 0, b"up");
    assert_eq!(open(&mut above, 0, &up).unwrap(), b"up");
}

fn no_counter_serves_twice(keys: &mut impl Keys) {
    let mut out = [0; MAX_BYTES];
    assert!(keys.seal(0, b"a", &mut out).is_some());
    assert!(keys.seal(0, b"b", &mut out).is_none());
    assert!(keys.seal(7, b"c", &mut out).is_some());
    for counter in 0..=7 {
        assert!(keys.seal(counter, b"d", &mut out).is_none(), "{counter}");
    }
    assert!(keys.seal(MAX_COUNTER + 1, b"e", &mut out).is_none());
    assert!(keys.seal(u32::MAX, b"e", &mut out).is_none());
    assert!(keys.seal(MAX_COUNTER, b"f", &mut out).is_some());
    assert!(keys.seal(MAX_COUNTER, b"g", &mut out).is_none());
    assert!(keys.open(MAX_COUNTER + 1, &[0; 40], &mut out).is_none());
    assert!(keys.open(u32::MAX, &[0; 40], &mut out).is_none());
}

#[test]
fn no_counter_serves_twice_and_none_is_beyond_the_greatest() {
    let (mut below, mut above) = Ends::new(1).shake();
    no_counter_serves_twice(&mut below);
    no_counter_serves_twice(&mut above);
}

fn room_is_asked_for(from: &mut impl Keys, to: &mut impl Keys) {
    let mut out = [0xaa; 200];
    assert!(from.seal(0, &[1; 10], &mut out[..10 + TAG - 1]).is_none());
    assert_eq!(out, [0xaa; 200]);
    // A frame that found no room has not used its counter.
    assert_eq!(from.seal(0, &[1; 10], &mut out), Some(10 + TAG));
    assert!(out[10 + TAG..].iter().all(|&byte| byte == 0xaa));
    let sealed = out[..10 + TAG].to_vec();
    assert!(to.open(0, &sealed, &mut [0; 9]).is_none());
    assert_eq!(to.open(0, &sealed, &mut [0; 10]), Some(10));
    for short in 0..TAG {
        assert!(to.open(0, &sealed[..short], &mut out).is_none());
    }
    // Nothing, and its tag.
    let nothing = seal(from, 1, &[]);
    assert_eq!(to.open(1, &nothing, &mut []), Some(0));
}

#[test]
fn without_room_nothing_is_sealed_or_opened() {
    let (mut below, mut above) = Ends::new(1).shake();
    room_is_asked_for(&mut below, &mut above);
    room_is_asked_for(&mut above, &mut below);
}

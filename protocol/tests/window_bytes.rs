//! A receive window in a store.

use pblink_protocol::tcp::line::Mid;
use pblink_protocol::tcp::window::{BadWindow, Print, Verdict, Window, fingerprint, murmur3};
use proptest::prelude::*;

/// Returns a window that has seen messages over some connections: `None` is a new one.
fn window(steps: &[Option<(u8, u8)>]) -> Window {
    let mut window = Window::new();
    for step in steps {
        match step {
            Some((mid, text)) => window.accept(Mid(*mid), Print::of(&[*text])),
            None => window.reconnected(),
        }
    }
    window
}

fn steps() -> impl Strategy<Value = Vec<Option<(u8, u8)>>> {
    let any_order = |highest: u8, n: usize| {
        let message = (0..=highest, 0..3u8).prop_map(Some);
        prop::collection::vec(prop_oneof![9 => message, 1 => Just(None)], 0..n)
    };
    // All numbers in their order, from some start on.
    let in_order = (any::<u8>(), 0..600usize).prop_map(|(start, n)| {
        let numbers = std::iter::successors(Some(Mid(start)), |mid| Some(mid.next()));
        numbers.take(n).map(|mid| Some((mid.0, mid.0 % 3))).collect()
    });
    prop_oneof![any_order(255, 400), any_order(4, 40), in_order]
}

fn bytes(window: &Window) -> Vec<u8> {
    window.encode(&mut [0; Window::MAX_ENCODED]).to_vec()
}

/// No honest client comes to it: after 255 and 1 to 127 over a new connection, a 0 with another text shows a restart.
#[test]
fn the_longest_encoding_has_every_number() {
    let over_a_new_connection = [255].into_iter().chain(1..=127).chain([0]).chain(128..=254);
    let steps = over_a_new_connection.map(|mid| Some((mid, 1)));
    let steps: Vec<_> = [Some((0, 0)), None].into_iter().chain(steps).collect();
    let mut window = window(&steps);
    let bytes = bytes(&window);
    assert_eq!(bytes.len(), Window::MAX_ENCODED);
    window.reconnected();
    assert_eq!(Window::decode(&bytes), Ok(window));
}

proptest! {
    /// A window comes back as it is between two connections, whatever it went through, and its bytes
    /// are as short as was promised.
    #[test]
    fn a_window_comes_back_as_it_was(steps in steps(), next in any::<u8>(), text in 0..3u8) {
        let mut window = window(&steps);
        let bytes = bytes(&window);
        prop_assert!((39..=Window::MAX_ENCODED).contains(&bytes.len()));
        window.reconnected();
        let back = Window::decode(&bytes).expect("it was just written");
        prop_assert_eq!(&back, &window);
        let print = Print::of(std::slice::from_ref(&text));
        prop_assert_eq!(back.judge(Mid(next), print), window.judge(Mid(next), print));
    }

    /// A byte that changed, or a part that is missing, is noticed; and nothing panics.
    #[test]
    fn damage_is_noticed(steps in steps(), at in any::<prop::sample::Index>(), with in 1..=255u8) {
        let whole = bytes(&window(&steps));
        let at = at.index(whole.len());
        let mut damaged = whole.clone();
        damaged[at] ^= with;
        prop_assert!(Window::decode(&damaged).is_err());
        prop_assert!(Window::decode(&whole[..at]).is_err());
        let longer = [&whole[..], &[with]].concat();
        prop_assert!(Window::decode(&longer).is_err());
    }

    /// Bytes with a right check are accepted only if they are what this program writes for them, but for the first version, which
    /// is read only.
    #[test]
    fn what_is_read_is_what_would_be_written(version in 1..3u8, flags in 0..5u8, newest in any::<u8>(),
                                             mids in prop::collection::btree_set(any::<u8>(), 0..6),
                                             prints in 0..7usize) {
        let mut made = vec![version, flags, newest];
        let mut map = [0u8; 32];
        for mid in &mids {
            map[usize::from(mid / 8)] |= 1 << (mid % 8);
        }
        made.extend(map);
        made.extend(vec![7; prints * 4]);
        let check = if version == 1 { murmur3(&made) } else { fingerprint(&made) };
        made.extend(check.to_le_bytes());
        if let Ok(window) = Window::decode(&made) {
            let len = made.len() - 4;
            made[0] = 2;
            let check = fingerprint(&made[..len]).to_le_bytes();
            made[len..].copy_from_slice(&check);
            prop_assert_eq!(bytes(&window), made);
        }
    }

    /// A window that was read from the first version gives the verdicts that one of today gives, whatever has come
    /// since, and across further restarts of the process.
    #[test]
    fn a_window_of_the_first_version_judges_as_one_of_today(before in steps(), after in steps(), restarts in 0..3usize) {
        let mut today = window(&before);
        let mut first = Window::decode(&of_the_first_version(&today, &before)).expect("it was just written");
        today.reconnected();
        let part = after.len() / (restarts + 1) + 1;
        for steps in after.chunks(part) {
            for step in steps {
                let Some((mid, text)) = step else {
                    today.reconnected();
                    first.reconnected();
                    continue;
                };
                let (mid, print) = (Mid(*mid), Print::of(std::slice::from_ref(text)));
                let verdict = today.judge(mid, print);
                prop_assert_eq!(first.judge(mid, print), verdict, "{:?}", mid);
                if verdict == Verdict::Duplicate {
                    today.repeated(mid);
                    first.repeated(mid);
                } else {
                    today.accept(mid, print);
                    first.accept(mid, print);
                }
            }
            today.reconnected();
            first.reconnected();
            first = Window::decode(&bytes(&first)).expect("it was just written");
        }
    }
}

/// Returns the bytes that the first version would have stored for a window that has come about by these steps.
fn of_the_first_version(window: &Window, steps: &[Option<(u8, u8)>]) -> Vec<u8> {
    let mut made = bytes(window);
    let end = made.len() - 4;
    made[0] = 1;
    let remembered = (0..=255u8).filter(|mid| made[3 + usize::from(mid / 8)] & 1 << (mid % 8) != 0);
    for (place, mid) in (35..end).step_by(4).zip(remembered.collect::<Vec<_>>()) {
        // What is remembered of a number is the last text that came under it.
        let text = steps.iter().rev().flatten().find_map(|(n, text)| (*n == mid).then_some(*text));
        let print = murmur3(&[text.expect("it came")]);
        made[place..place + 4].copy_from_slice(&print.to_le_bytes());
    }
    let check = murmur3(&made[..end]).to_le_bytes();
    made[end..].copy_from_slice(&check);
    made
}

/// Written by the first version. It had 0 "first", 1 "second", 2 "[\"moisture\", 3, 4.5]", 3 "x" and 4 "four", and then 125 "far
/// ahead", 131 "grün" and 130 "late": 1 to 3 fell out.
const FIRST_VERSION: &str = "010383110000000000000000000000000000200c00000000000000000000000000000018e8f0a9bdb5fa4d\
                             277b61b6e8cc3633c680f52a8a002e7a";

fn from_hex(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn what_the_first_version_stored_is_read_and_judged_as_it_was() {
    let remembered =
        [(0, "first"), (4, "four"), (125, "far ahead"), (130, "late"), (131, "gr\u{fc}n")];
    let first = Window::decode(&from_hex(FIRST_VERSION)).expect("a window");
    // Across another restart of the process as well.
    for window in [Window::decode(&bytes(&first)).expect("it was just written"), first] {
        let judge = |mid, text: &str| window.judge(Mid(mid), Print::of(text.as_bytes()));
        for (mid, text) in remembered {
            // Over a new connection, after other lines, number 0 means a restart whatever its text is.
            let known = if mid == 0 { Verdict::Restarted } else { Verdict::Duplicate };
            assert_eq!(judge(mid, text), known, "{mid}");
            assert_eq!(judge(mid, "another text"), Verdict::Restarted, "{mid}");
        }
        for (mid, text) in [(1, "second"), (3, "x"), (124, "far ahead"), (132, "four")] {
            assert_eq!(judge(mid, text), Verdict::New, "{mid}");
        }
    }
}

#[test]
fn fingerprints_of_the_first_version_go_as_numbers_move_on() {
    let mut window = Window::decode(&from_hex(FIRST_VERSION)).expect("a window");
    // The highest bit of those that are remembered: none of the first version has it.
    let old = |window: &Window| {
        let bytes = bytes(window);
        bytes[35..bytes.len() - 4].chunks_exact(4).filter(|print| print[3] & 0x80 == 0).count()
    };
    assert_eq!(old(&window), 5);
    // A number that was lost, and then newer ones: each of these takes the other end of the window with it. Number 0 stays.
    for (mid, left) in [(129, 5), (132, 4), (133, 4), (253, 3), (255, 3), (3, 2), (4, 1), (5, 1)] {
        window.accept(Mid(mid), Print::of(b"new"));
        assert_eq!(old(&window), left, "{mid}");
        window = Window::decode(&bytes(&window)).expect("it was just written");
        assert_eq!(window.judge(Mid(mid), Print::of(b"new")), Verdict::Duplicate);
    }
}

#[test]
fn damage_to_what_the_first_version_stored_is_noticed() {
    let whole = from_hex(FIRST_VERSION);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            assert!(Window::decode(&damaged).is_err(), "byte {at}");
        }
        assert!(Window::decode(&whole[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn its_bytes_are_these() {
    let mut window = Window::new();
    window.accept(Mid(0), Print::of(b"first"));
    window.accept(Mid(9), Print::of(b"second"));
    let mut expected = vec![2, 3, 9, 0b1, 0b10];
    expected.extend([0; 30]);
    for text in ["first", "second"] {
        expected.extend((fingerprint(text.as_bytes()) | 1 << 31).to_le_bytes());
    }
    expected.extend(fingerprint(&expected).to_le_bytes());
    assert_eq!(bytes(&window), expected);
    assert_eq!(bytes(&Window::new()).len(), 39);
}

#[test]
fn another_version_is_told_from_damage() {
    let mut other = bytes(&Window::new());
    other[0] = 3;
    assert_eq!(Window::decode(&other), Err(BadWindow::Version(3)));
    for damaged in [&[][..], &[1], &[2]] {
        assert_eq!(Window::decode(damaged), Err(BadWindow::Damaged));
    }
}

#[test]
fn a_repetition_is_known_after_the_process_was_restarted() {
    let mut window = Window::new();
    window.accept(Mid(0), Print::of(b"a"));
    window.accept(Mid(1), Print::of(b"b"));
    let back = Window::decode(&bytes(&window)).expect("it was just written");
    assert_eq!(back.judge(Mid(1), Print::of(b"b")), Verdict::Duplicate);
    assert_eq!(back.judge(Mid(1), Print::of(b"c")), Verdict::Restarted);
    assert_eq!(back.judge(Mid(2), Print::of(b"c")), Verdict::New);
}

/// The newest number is one that has come: otherwise the window would drop what is still to come.
#[test]
fn a_newest_number_that_never_came_is_refused() {
    let mut made = bytes(&window(&[Some((1, 0)), Some((2, 0))]));
    let len = made.len() - 4;
    assert_eq!(made[2], 2);
    for (newest, good) in [(1, true), (2, true), (3, false)] {
        made[2] = newest;
        let check = fingerprint(&made[..len]).to_le_bytes();
        made[len..].copy_from_slice(&check);
        assert_eq!(Window::decode(&made).is_ok(), good, "{newest}");
    }
}

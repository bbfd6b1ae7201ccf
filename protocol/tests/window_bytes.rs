//! A receive window in a store.

use pblink_protocol::tcp::line::Mid;
use pblink_protocol::tcp::window::{BadWindow, Verdict, Window, fingerprint};
use proptest::prelude::*;

/// Returns a window that has seen messages over some connections: `None` is a new one.
fn window(steps: &[Option<(u8, u8)>]) -> Window {
    let mut window = Window::new();
    for step in steps {
        match step {
            Some((mid, text)) => window.accept(Mid(*mid), fingerprint(&[*text])),
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
        let print = fingerprint(&[text]);
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

    /// Bytes with a right check are accepted only if they are what this program writes for them.
    #[test]
    fn what_is_read_is_what_would_be_written(flags in 0..5u8, newest in any::<u8>(),
                                             mids in prop::collection::btree_set(any::<u8>(), 0..6),
                                             prints in 0..7usize) {
        let mut made = vec![1, flags, newest];
        let mut map = [0u8; 32];
        for mid in &mids {
            map[usize::from(mid / 8)] |= 1 << (mid % 8);
        }
        made.extend(map);
        made.extend(vec![7; prints * 4]);
        let check = fingerprint(&made);
        made.extend(check.to_le_bytes());
        if let Ok(window) = Window::decode(&made) {
            prop_assert_eq!(bytes(&window), made);
        }
    }
}

#[test]
fn its_bytes_are_these() {
    let mut window = Window::new();
    window.accept(Mid(0), 0x0403_0201);
    window.accept(Mid(9), 0x0807_0605);
    let mut expected = vec![1, 3, 9, 0b1, 0b10];
    expected.extend([0; 30]);
    expected.extend(1..=8);
    expected.extend(fingerprint(&expected).to_le_bytes());
    assert_eq!(bytes(&window), expected);
    assert_eq!(bytes(&Window::new()).len(), 39);
}

#[test]
fn another_version_is_told_from_damage() {
    let mut other = bytes(&Window::new());
    other[0] = 2;
    assert_eq!(Window::decode(&other), Err(BadWindow::Version(2)));
    assert_eq!(Window::decode(&[]), Err(BadWindow::Damaged));
    assert_eq!(Window::decode(&[1]), Err(BadWindow::Damaged));
}

#[test]
fn a_repetition_is_known_after_the_process_was_restarted() {
    let mut window = Window::new();
    window.accept(Mid(0), fingerprint(b"a"));
    window.accept(Mid(1), fingerprint(b"b"));
    let back = Window::decode(&bytes(&window)).expect("it was just written");
    assert_eq!(back.judge(Mid(1), fingerprint(b"b")), Verdict::Duplicate);
    assert_eq!(back.judge(Mid(1), fingerprint(b"c")), Verdict::Restarted);
    assert_eq!(back.judge(Mid(2), fingerprint(b"c")), Verdict::New);
}

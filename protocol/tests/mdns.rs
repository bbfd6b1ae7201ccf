//! Multicast DNS: the messages, against bytes that are written by hand and bytes that are none; and the search.

use pblink_protocol::config::MAX_SERVER;
use pblink_protocol::mdns::{Finder, MAX_QUERY, answer, is_local, query};
use pblink_protocol::time::Instant;
use proptest::prelude::*;

const ID: u16 = 0x1234;
const NAME: &str = "pi.local";
const ADDRESS: [u8; 4] = [192, 168, 0, 42];
/// The name as labels.
const LABELS: &[u8] = b"\x02pi\x05local\x00";

/// A message of these flags and counts, with this body.
fn message(id: u16, flags: u16, counts: [u16; 4], body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = [id.to_be_bytes(), flags.to_be_bytes()].concat();
    bytes.extend(counts.into_iter().flat_map(u16::to_be_bytes));
    bytes.extend(body.concat());
    bytes
}

/// A record behind its name.
fn record(kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
    let len = data.len() as u16;
    let (kind, class, len) = (kind.to_be_bytes(), class.to_be_bytes(), len.to_be_bytes());
    [&kind[..], &class, &[0, 0, 0, 120], &len, data].concat()
}

fn address() -> Vec<u8> {
    record(1, 0x8001, &ADDRESS)
}

#[test]
fn only_names_that_end_in_local_are_local() {
    for name in ["pi.local", "pi.local.", "PI.LOCAL", "a.b.Local"] {
        assert!(is_local(name), "{name}");
    }
    for name in
        ["", "local", ".local", "local.", "pi.lan", "pilocal", "pi.local.lan", "192.168.0.4"]
    {
        assert!(!is_local(name), "{name}");
    }
}

#[test]
fn a_question_has_the_bytes_of_the_rfc() {
    let wanted = message(ID, 0, [1, 0, 0, 0], &[LABELS, &[0, 1, 0x80, 1]]);
    for name in ["pi.local", "pi.local."] {
        let mut out = [0xff; MAX_QUERY];
        let len = query(name, ID, &mut out).unwrap();
        assert_eq!(out[..len], wanted);
        assert_eq!(query(name, ID, &mut out[..len - 1]), None);
    }
}

#[test]
fn names_that_have_no_form_on_the_wire_are_not_asked_for() {
    let mut out = [0; 600];
    let long = "x".repeat(64);
    // A name of 254 bytes has 256 on the wire.
    let full = format!("{0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(62));
    for name in [&format!("{long}.local"), "a..local", "..local", &"a.".repeat(130), &full] {
        assert_eq!(query(name, ID, &mut out), None, "{name}");
    }
    assert!(query(&full[1..], ID, &mut out).is_some());
    // The longest server of a configuration is one.
    let name = format!("{}{}.local", "abcdefghi.".repeat(15), "abcd");
    assert_eq!(name.len(), MAX_SERVER);
    assert_eq!(query(&name, ID, &mut [0; MAX_QUERY]), Some(MAX_QUERY));
}

#[test]
fn an_answer_gives_the_address_of_the_name() {
    let question = [LABELS, &[0, 1, 0, 1]].concat();
    let other = [&b"\x05other\x05local\x00"[..], &record(1, 0x8001, &[10, 0, 0, 9])].concat();
    let plain = record(1, 1, &ADDRESS);
    let messages = [
        // As responders answer a question of this kind: the question, and a reference to its name.
        message(ID, 0x8400, [1, 1, 0, 0], &[&question, &[0xc0, 12], &plain]),
        // As they answer all: no question, no id.
        message(0, 0x8400, [0, 1, 0, 0], &[LABELS, &address()]),
        message(ID, 0x8000, [0, 1, 0, 0], &[b"\x02PI\x05LoCaL\x00", &address()]),
        // Other names and kinds before it: IPv6, text, a name that refers to a part of another.
        message(
            ID,
            0x8400,
            [0, 3, 0, 1],
            &[
                &other,
                LABELS,
                &record(28, 1, &[0xfe; 16]),
                LABELS,
                &record(16, 1, b""),
                b"\x02pi\xc0\x12",
                &address(),
            ],
        ),
        // Among the authorities, behind an address that is none, and before bytes that belong to nothing.
        message(
            ID,
            0x8400,
            [0, 1, 1, 0],
            &[LABELS, &record(1, 1, &[0; 4]), LABELS, &address(), b"end"],
        ),
    ];
    let far = {
        // A name beyond the first 256 bytes, and a record that refers to it.
        let other = other.repeat(10);
        let place = 12 + other.len();
        assert!(place >= 256 && place & 0xff > 12);
        let refers = (0xc000 | place as u16).to_be_bytes();
        let text = record(16, 1, b"");
        message(ID, 0x8400, [0, 12, 0, 0], &[&other, LABELS, &text, &refers, &address()])
    };
    for (n, message) in messages.iter().chain([&far]).enumerate() {
        assert_eq!(answer(message, NAME, ID), Some(ADDRESS), "{n}");
        assert_eq!(answer(message, "Pi.local.", ID), Some(ADDRESS), "{n}");
        assert_eq!(answer(message, "p.local", ID), None, "{n}");
        assert_eq!(answer(message, "pi.local.lan", ID), None, "{n}");
    }
}

#[test]
fn what_is_no_answer_gives_none() {
    let good = |id, flags, counts| message(id, flags, counts, &[LABELS, &address()]);
    assert!(answer(&good(ID, 0x8400, [0, 1, 0, 0]), NAME, ID).is_some());
    let with_name = |name: &[u8]| message(ID, 0x8400, [0, 1, 0, 0], &[name, &address()]);
    let with = |record: &[u8]| message(ID, 0x8400, [0, 1, 0, 0], &[LABELS, record]);
    let messages = [
        ("another id", good(ID + 1, 0x8400, [0, 1, 0, 0])),
        ("a question", good(ID, 0x0000, [0, 1, 0, 0])),
        ("an error", good(ID, 0x8403, [0, 1, 0, 0])),
        ("another operation", good(ID, 0xa000, [0, 1, 0, 0])),
        ("no records", good(ID, 0x8400, [0, 0, 0, 0])),
        ("questions that are not there", good(ID, 0x8400, [0xffff, 1, 0, 0])),
        ("a reference to itself", with_name(&[0xc0, 12])),
        ("a reference ahead", with_name(&[0xc0, 14, 0, 0])),
        ("references in a circle", with_name(b"\x02pi\xc0\x0c")),
        ("a reference into nothing", with_name(&[0xff, 0xff])),
        ("a label of a kind that there is not", with_name(&[0x80])),
        (
            "a label of a kind that there is not, before what would be one",
            message(ID, 0x8400, [0, 2, 0, 0], &[&[0x40, 12], &address(), LABELS, &address()]),
        ),
        ("a name without an end", with_name(b"\x02pi\x05local\x3f")),
        ("the name and more", with_name(b"\x02pi\x05local\x03lan\x00")),
        ("a part of the name", with_name(b"\x02pi\x00")),
        ("another class", with(&record(1, 3, &ADDRESS))),
        ("IPv6 only", with(&record(28, 1, &[0xfe; 16]))),
        ("too short for an address", with(&record(1, 1, &ADDRESS[..3]))),
        ("too long for one", with(&record(1, 1, &[1; 5]))),
        ("no host's address", with(&record(1, 1, &[224, 0, 0, 251]))),
        ("all hosts' address", with(&record(1, 1, &[255; 4]))),
        (
            "a record longer than the message",
            with(&[0, 1, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 1, 2, 3, 4]),
        ),
    ];
    for (what, message) in messages {
        assert_eq!(answer(&message, NAME, ID), None, "{what}");
    }
    // More records than there are, behind the good one: nobody looks.
    assert!(answer(&good(ID, 0x8400, [0, 0xffff, 0xffff, 0xffff]), NAME, ID).is_some());
}

#[test]
fn a_question_has_an_id_whenever_it_is_asked() {
    // 0 is the id of an answer that is for nobody.
    for (micros, id) in [(1, 1), (0x1235, 0x1235), (0x1234, 0x1235)] {
        let (mut finder, mut out) = (Finder::new(), [0; MAX_QUERY]);
        let now = Instant::from_micros(micros);
        finder.begin();
        finder.poll(now, NAME, &mut out).expect("a search begins with a question");
        assert_eq!(u16::from_be_bytes([out[0], out[1]]), id, "{micros}");
    }
}

#[test]
fn an_answer_that_is_cut_off_gives_none() {
    let question = [LABELS, &[0, 1, 0, 1]].concat();
    let whole = message(ID, 0x8400, [1, 1, 0, 0], &[&question, &[0xc0, 12], &address()]);
    for len in 0..whole.len() {
        assert_eq!(answer(&whole[..len], NAME, ID), None, "{len} bytes");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = answer(&bytes, NAME, ID);
        // Behind a head that is right.
        let long = [&message(ID, 0x8400, [1, 3, 2, 1], &[])[..], &bytes].concat();
        let _ = answer(&long, NAME, ID);
    }

    #[test]
    fn a_garbled_answer_is_read_or_not(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let question = [LABELS, &[0, 1, 0, 1]].concat();
        let mut bytes = message(ID, 0x8400, [1, 2, 0, 0], &[&question, &[0xc0, 12], &address(), &[0xc0, 15], &address()]);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let found = answer(&bytes, NAME, ID);
        prop_assert!(found.is_none_or(|found| found[0] != 0 && found[0] < 224));
    }

    #[test]
    fn a_question_is_not_taken_for_an_answer(name in "[a-zA-Z0-9-]{1,63}", id in any::<u16>()) {
        let name = format!("{name}.local");
        let mut out = [0; MAX_QUERY];
        let len = query(&name, id, &mut out).unwrap();
        prop_assert_eq!(answer(&out[..len], &name, id), None);
    }
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Asks until the end, and returns when.
fn questions(finder: &mut Finder, from: u64, to: u64) -> Vec<u64> {
    let mut asked = Vec::new();
    let mut out = [0; MAX_QUERY];
    for ms in from..to {
        if finder.poll(at(ms), NAME, &mut out).is_some() {
            asked.push(ms);
        }
    }
    asked
}

/// The answer to the last question.
fn reply(finder: &mut Finder, id: u16) {
    finder.on_message(&message(id, 0x8400, [0, 1, 0, 0], &[LABELS, &address()]), NAME);
}

#[test]
fn a_name_is_asked_for_more_and_more_rarely_over_all_attempts() {
    let mut finder = Finder::new();
    assert_eq!(questions(&mut finder, 0, 500), Vec::<u64>::new());
    finder.begin();
    assert_eq!(questions(&mut finder, 500, 4_500), [500, 1_500, 3_500]);
    // Between two attempts it is quiet, and the next does not begin anew.
    finder.end();
    assert_eq!(questions(&mut finder, 4_500, 5_000), Vec::<u64>::new());
    finder.begin();
    assert_eq!(questions(&mut finder, 5_000, 40_000), [7_500, 15_500, 23_500, 31_500, 39_500]);
    // Another network may have it.
    finder.on_network(at(40_000));
    assert_eq!(questions(&mut finder, 40_000, 42_000), [40_000, 41_000]);
}

#[test]
fn an_answer_ends_the_search_and_one_that_is_late_serves_the_next() {
    let mut finder = Finder::new();
    let mut out = [0; MAX_QUERY];
    // Nothing was asked.
    reply(&mut finder, 0);
    finder.begin();
    assert_eq!(finder.take(at(0)), None);
    finder.poll(at(777), NAME, &mut out).unwrap();
    let id = u16::from_be_bytes([out[0], out[1]]);
    reply(&mut finder, id.wrapping_add(1));
    assert_eq!(finder.take(at(800)), None);
    reply(&mut finder, id);
    assert_eq!(finder.poll_at(at(800)), Some(at(800)));
    assert_eq!(finder.take(at(800)), Some(ADDRESS));
    assert_eq!((finder.take(at(800)), finder.poll_at(at(800))), (None, None));
    // A repeated answer is not kept until the address may be another one.
    reply(&mut finder, id);
    reply(&mut finder, 0);
    finder.begin();
    assert_eq!(finder.take(at(900)), None);
    finder.poll(at(900), NAME, &mut out).unwrap();
    let id = u16::from_be_bytes([out[0], out[1]]);
    finder.end();
    reply(&mut finder, id);
    assert_eq!(finder.take(at(950)), None);
    finder.begin();
    assert_eq!(questions(&mut finder, 950, 960), Vec::<u64>::new());
    assert_eq!(finder.take(at(960)), Some(ADDRESS));
}

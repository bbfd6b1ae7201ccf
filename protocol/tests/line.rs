//! The lines of the TCP side: what is which, and how a stream is cut into them.

use heapless::Vec as Bounded;
use pblink_protocol::tcp::line::{
    BadId, BadText, Escaped, Found, Line, LineReader, MAX_ID, Mid, check_id, check_text,
    parse_hello,
};
use proptest::prelude::*;

fn message(mid: u8, text: &str) -> Line<'_> {
    Line::Message { mid: Mid(mid), text }
}

#[test]
fn codec_table() {
    let table: &[(&[u8], Line<'_>)] = &[
        (b"", Line::Keepalive),
        (b"00", Line::Ack(Mid(0))),
        (b"0a", Line::Ack(Mid(10))),
        (b"ff", Line::Ack(Mid(255))),
        (b"00x", message(0, "x")),
        (b"01[1, 2]", message(1, "[1, 2]")),
        (b"ff ", message(255, " ")),
        (b"7f7f", message(0x7f, "7f")),
        ("10äöü€🦀".as_bytes(), message(16, "äöü€🦀")),
        (b"05\r", message(5, "\r")),
    ];
    for (bytes, line) in table {
        assert_eq!(Line::parse(bytes), *line, "{bytes:?}");
    }
}

/// Weaknesses 2 and 8: none of these may stop a reader, be an id, or clear the window.
#[test]
fn what_is_no_line_is_a_value() {
    let junk: &[&[u8]] = &[
        b"z",
        b"0",
        b"zz",
        b"hello world",
        b"\x05\xff\xfe",
        b"05\xff\xfe",
        b"\xff\xfe",
        b" 9",
        b"9 ",
        b"+7",
        b"-1",
        b"+7text",
        b"-1text",
        b" 9text",
        b"0A",
        b"FF",
        b"0Atext",
        b"0x",
        b"1_",
        b"05\xc3",
        b"\x00\x00",
    ];
    for line in junk {
        assert_eq!(Line::parse(line), Line::Invalid(line));
    }
}

#[test]
fn ids_go_round_without_zero() {
    let mut mid = Mid(0);
    let mut seen = Vec::new();
    for _ in 0..511 {
        seen.push(mid.0);
        assert_eq!(Mid::parse(mid.digits()), Some(mid));
        assert_eq!(mid.to_string().as_bytes(), mid.digits());
        mid = mid.next();
    }
    assert_eq!(seen[0], 0);
    assert_eq!(seen[255], 255);
    assert_eq!(seen[256], 1, "0 comes once only");
    assert_eq!(seen.iter().filter(|&&m| m == 0).count(), 1);
}

#[test]
fn every_pair_of_bytes_is_an_id_exactly_if_it_is_lower_case_hex() {
    for a in 0..=255u8 {
        for b in 0..=255u8 {
            let want = std::str::from_utf8(&[a, b])
                .ok()
                .filter(|s| s.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
                .map(|s| Mid(u8::from_str_radix(s, 16).unwrap()));
            assert_eq!(Mid::parse([a, b]), want);
        }
    }
}

#[test]
fn hello_is_exact_and_bounded() {
    assert_eq!(parse_hello(b"1"), Ok("1"));
    assert_eq!(parse_hello(b" 1 "), Err(BadId::OuterBlank), "nothing is trimmed");
    assert_eq!(parse_hello(b"a b"), Ok("a b"));
    assert_eq!(parse_hello("küche".as_bytes()), Ok("küche"));
    assert_eq!(parse_hello(b""), Err(BadId::Empty));
    assert_eq!(parse_hello(b"\xff\xfe"), Err(BadId::NotUtf8));
    assert_eq!(parse_hello(b"1\r"), Err(BadId::Control));
    assert_eq!(parse_hello(b"a\nb"), Err(BadId::Control));
    let id = "x".repeat(MAX_ID);
    assert_eq!(check_id(&id), Ok(()));
    assert_eq!(check_id(&(id + "x")), Err(BadId::TooLong));
}

/// Case 81: ids that look alike on a screen, or that change what is shown around them.
#[test]
fn ids_that_look_alike_are_refused_and_shown_escaped() {
    for (id, why, shown) in [
        ("k\u{85}", BadId::Control, r"k\u{85}"),
        ("k\u{9b}31m", BadId::Control, r"k\u{9b}31m"),
        ("k\u{7f}", BadId::Control, r"k\u{7f}"),
        ("k\u{1b}[31m", BadId::Control, r"k\u{1b}[31m"),
        ("k\u{202e}x", BadId::Invisible, r"k\u{202e}x"),
        ("k\u{2066}x\u{2069}", BadId::Invisible, r"k\u{2066}x\u{2069}"),
        ("k\u{200f}", BadId::Invisible, r"k\u{200f}"),
        ("a\u{a0}b", BadId::Invisible, r"a\u{a0}b"),
        ("a\u{2028}b", BadId::Invisible, r"a\u{2028}b"),
        ("a\u{2800}", BadId::Invisible, r"a\u{2800}"),
        ("a\u{3164}", BadId::Invisible, r"a\u{3164}"),
        ("a\u{200b}b", BadId::Invisible, r"a\u{200b}b"),
        ("\u{feff}a", BadId::Invisible, r"\u{feff}a"),
        ("a\u{e0041}", BadId::Invisible, r"a\u{e0041}"),
        ("kitchen ", BadId::OuterBlank, r"kitchen\u{20}"),
        (" a b ", BadId::OuterBlank, r"\u{20}a b\u{20}"),
        ("  ", BadId::OuterBlank, r"\u{20}\u{20}"),
    ] {
        assert_eq!(check_id(id), Err(why), "{}", id.escape_unicode());
        assert_eq!(parse_hello(id.as_bytes()), Err(why));
        assert_eq!(Escaped(id).to_string(), shown);
    }
    for id in ["küche 2", "客厅", "гараж", "a\u{301}", "🦀", "1", "a  b", "C:\\"] {
        assert_eq!(check_id(id), Ok(()), "{id}");
    }
    assert_eq!(Escaped("küche 客厅 🦀 \\u{a0}").to_string(), r"küche 客厅 🦀 \\u{a0}");
    // Whatever Unicode counts as white space is a blank that is allowed inside, or refused.
    for c in ('\0'..=char::MAX).filter(|c| c.is_whitespace() && *c != ' ') {
        assert!(check_id(&format!("a{c}b")).is_err(), "{}", c.escape_unicode());
    }
}

/// Weakness 10: what would look like something else is not sent.
#[test]
fn texts_that_cannot_be_one_line_are_refused() {
    assert_eq!(check_text("a"), Ok("a"));
    assert_eq!(check_text("a\n"), Ok("a"));
    assert_eq!(check_text(""), Err(BadText::Empty));
    assert_eq!(check_text("\n"), Err(BadText::Empty));
    assert_eq!(check_text("a\nb"), Err(BadText::Newline));
    assert_eq!(check_text("\na"), Err(BadText::Newline));
    assert_eq!(check_text("a\n\n"), Err(BadText::Newline));
}

/// Returns what a reader found: lines, and `None` for one that was too long.
fn read<const N: usize>(segments: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut reader = LineReader::new(Bounded::<u8, N>::new());
    let mut found = Vec::new();
    for segment in segments {
        let used = reader.feed(segment, |f| {
            found.push(match f {
                Found::Line(line) => Some(line.to_vec()),
                Found::TooLong => None,
            });
            true
        });
        assert_eq!(used, segment.len());
    }
    found
}

/// Weakness 3 too: a character may be split over two segments.
#[test]
fn lines_are_the_same_at_every_split_point() {
    let stream = "qos\n\n00[0, \"ä€🦀\"]\n\n01\nzz\n02b\n".as_bytes();
    let whole = read::<32>(&[stream]);
    assert_eq!(whole.len(), 7);
    for a in 0..=stream.len() {
        for b in a..=stream.len() {
            let parts = [&stream[..a], &stream[a..b], &stream[b..]];
            assert_eq!(read::<32>(&parts), whole, "split at {a} and {b}");
        }
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read::<32>(&bytes), whole);
}

#[test]
fn a_line_that_is_too_long_is_reported_once_however_it_arrives() {
    let stream = b"ab\n0123456789\n12345678\n123456789\n\nxy\n";
    let want: Vec<Option<Vec<u8>>> =
        [Some("ab"), None, Some("12345678"), None, Some(""), Some("xy")]
            .map(|line| line.map(|l| l.as_bytes().to_vec()))
            .to_vec();
    for a in 0..=stream.len() {
        for b in a..=stream.len() {
            let parts = [&stream[..a], &stream[a..b], &stream[b..]];
            assert_eq!(read::<8>(&parts), want, "split at {a} and {b}");
        }
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read::<8>(&bytes), want);
}

/// Weakness 13.
#[test]
fn a_line_without_end_takes_no_memory_and_the_next_one_is_intact() {
    let mut reader = LineReader::new(Bounded::<u8, 16>::new());
    let mut too_long = 0;
    for _ in 0..10_000 {
        reader.feed(&[b'x'; 100], |found| {
            assert_eq!(found, Found::TooLong);
            too_long += 1;
            true
        });
    }
    assert_eq!(too_long, 1);
    let mut lines = Vec::new();
    reader.feed(b"tail\n01ok\n", |found| {
        let Found::Line(line) = found else { panic!("reported twice") };
        lines.push(line.to_vec());
        true
    });
    assert_eq!(lines, [b"01ok"]);
}

#[test]
fn a_reader_that_must_stop_reports_how_far_it_came() {
    for split in 0..4 {
        let mut reader = LineReader::new(Bounded::<u8, 16>::new());
        let stream = b"one\ntwo\nthree\n";
        let mut count = 0;
        let mut each = |_: Found<'_>| {
            count += 1;
            false
        };
        let first = reader.feed(&stream[..split], &mut each);
        let used = reader.feed(&stream[split..], &mut each);
        assert_eq!((count, first + used), (1, 4), "split at {split}");
        let mut rest = Vec::new();
        reader.feed(&stream[4..], |found| {
            let Found::Line(line) = found else { panic!() };
            rest.push(String::from_utf8(line.to_vec()).unwrap());
            true
        });
        assert_eq!(rest, ["two", "three"]);
    }
}

/// Weakness 4: half a line of one connection is not glued to the next connection's first line.
#[test]
fn reset_forgets_half_a_line_and_half_of_a_long_one() {
    let mut reader = LineReader::new(Bounded::<u8, 8>::new());
    let mut none = |_: Found<'_>| -> bool { panic!("no line is complete") };
    reader.feed(b"05{\"v\"", &mut none);
    reader.reset();
    let mut lines = Vec::new();
    reader.feed(b"05ok\n", |f| {
        lines.push(format!("{f:?}"));
        true
    });
    reader.feed(b"0123456789", |f| {
        lines.push(format!("{f:?}"));
        true
    });
    reader.reset();
    reader.feed(b"06ok\n", |f| {
        lines.push(format!("{f:?}"));
        true
    });
    let want = [Found::Line(b"05ok"), Found::TooLong, Found::Line(b"06ok")];
    assert_eq!(lines, want.map(|f| format!("{f:?}")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn parsing_never_panics_and_loses_no_byte(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        match Line::parse(&bytes) {
            Line::Keepalive => prop_assert!(bytes.is_empty()),
            Line::Ack(mid) => prop_assert_eq!(&bytes[..], &mid.digits()[..]),
            Line::Message { mid, text } => {
                prop_assert!(!text.is_empty());
                let again = [&mid.digits()[..], text.as_bytes()].concat();
                prop_assert_eq!(again, bytes);
            }
            Line::Invalid(line) => prop_assert_eq!(line, &bytes[..]),
        }
    }

    #[test]
    fn any_text_survives_its_line(mid in any::<u8>(), text in "[^\n]{1,40}") {
        let line = [&Mid(mid).digits()[..], text.as_bytes()].concat();
        prop_assert_eq!(Line::parse(&line), message(mid, &text));
    }

    /// The reader against splitting by hand, with any bytes in any segments.
    #[test]
    fn a_reader_finds_what_splitting_finds(
        segments in prop::collection::vec(
            prop::collection::vec(prop_oneof![3 => Just(b'\n'), 10 => any::<u8>()], 0..30), 0..10)
    ) {
        let stream = segments.concat();
        let mut want: Vec<Option<Vec<u8>>> = stream
            .split(|&b| b == b'\n')
            .map(|line| (line.len() <= 12).then(|| line.to_vec()))
            .collect();
        // What follows the last newline is not complete; if it is too long, that is reported already.
        let last = want.pop().unwrap();
        if last.is_none() {
            want.push(None);
        }
        let parts: Vec<&[u8]> = segments.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(read::<12>(&parts), want);
    }
}

//! Lines of the classic link: `LineReader`, `Line::parse`, `parse_hello`.

use pblink_protocol::tcp::line::{Found, Line, LineReader, MAX_ID, check_text, parse_hello};

/// The longest line that the reader takes here.
const LONGEST: usize = 40;

/// Reads a line.
pub type Parse = for<'a> fn(&'a [u8]) -> Line<'a>;

/// A line that was found, or `None` for one that is too long.
type Cut = Option<Vec<u8>>;

/// Runs an input: four bytes that say how the rest comes in segments.
pub fn run(data: &[u8]) {
    run_with(data, |line| Line::parse(line), cut::<LONGEST>);
}

/// Runs it with another parser, and another way to cut lines out of segments.
pub fn run_with(data: &[u8], parse: Parse, cut: fn(&[u8], &[u8]) -> Vec<Cut>) {
    let (segments, data) = data.split_at(data.len().min(4));
    let whole = cut(data, &[]);
    assert_eq!(whole, cut(data, segments), "segments make no lines");
    assert_eq!(whole, simply(data));
    for line in whole.iter().flatten() {
        match parse(line) {
            Line::Keepalive => assert!(line.is_empty()),
            Line::Ack(mid) => assert_eq!(mid.digits(), line[..]),
            Line::Message { mid, text } => {
                assert_eq!((&mid.digits()[..], text.as_bytes()), line.split_at(2));
                assert_eq!(check_text(text), Ok(text));
            }
            Line::Invalid(rest) => assert_eq!(rest, line),
        }
        if let Ok(id) = parse_hello(line) {
            assert!((1..=MAX_ID).contains(&id.len()) && !id.chars().any(char::is_control));
            assert_eq!(id.as_bytes(), line);
        }
    }
}

/// Cuts lines out of segments, with a buffer of `N` bytes. A segment's length and whether the reader stops behind each line follow
/// from the next byte of `segments`; without any, all comes at once.
pub fn cut<const N: usize>(data: &[u8], segments: &[u8]) -> Vec<Cut> {
    let mut reader = LineReader::new(heapless::Vec::<u8, N>::new());
    let (mut found, mut rest) = (Vec::new(), data);
    let mut segments = segments.iter().cycle();
    while !rest.is_empty() {
        let how = segments.next();
        let len = how.map_or(rest.len(), |byte| 1 + usize::from(byte % 50)).min(rest.len());
        let used = reader.feed(&rest[..len], |line| {
            found.push(match line {
                Found::Line(line) => Some(line.to_vec()),
                Found::TooLong => None,
            });
            how.is_none_or(|byte| byte & 0x80 == 0)
        });
        assert!((1..=len).contains(&used));
        rest = &rest[used..];
    }
    found
}

/// Does the same with what the standard library has. One that is too long is told of before its end has come.
fn simply(data: &[u8]) -> Vec<Cut> {
    let mut lines: Vec<_> = data
        .split(|&byte| byte == b'\n')
        .map(|line| (line.len() <= LONGEST).then(|| line.to_vec()))
        .collect();
    if lines.last().is_some_and(Option::is_some) {
        lines.pop();
    }
    lines
}

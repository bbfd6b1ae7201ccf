//! Messages of the stream that gateways share: `Record`, its parts, and what gateways say of themselves.

use async_nats::{HeaderMap, HeaderValue};
use pblink_serve::log::store::Way;

use crate::input::Input;
use record::{Assembler, Beat, Presence, Record};

// The product's own source: nothing of it is public.
#[path = "../../../serve/src/log/store/record.rs"]
mod record;

/// Header of a message that is one of several.
const PART: &str = "Pb-Part";

/// Bytes of a message when a record is written in parts.
const MAX: usize = 1500;

/// Takes messages, and returns records that are whole: the number of the first message, and the record as JSON.
pub trait Reader {
    /// Takes a message with its number and the header of a part.
    fn add(&mut self, number: u64, part: Option<&str>, payload: &[u8]) -> Option<(u64, String)>;
}

/// The reader that gateways have.
#[derive(Debug, Default)]
pub struct Gateway(Assembler);

impl Reader for Gateway {
    fn add(&mut self, number: u64, part: Option<&str>, payload: &[u8]) -> Option<(u64, String)> {
        let record = self.0.add(number, &headers(part)?, payload).ok()?;
        record.map(|(first, record)| (first, json(&record)))
    }
}

/// Runs an input: a series of messages, each with the header of a part or without.
pub fn run(data: &[u8]) {
    run_with(data, Gateway::default());
}

/// Runs it with another reader.
pub fn run_with(data: &[u8], mut reader: impl Reader) {
    let mut input = Input::new(data);
    let mut honest = Honest::default();
    let mut number = 0;
    while !input.is_empty() {
        number += 1 + u64::from(input.byte() % 2);
        let part = match input.byte() % 4 {
            // Most are whole.
            0 | 1 => None,
            2 => Some(format!("a {} {}", input.byte(), input.byte())),
            _ => Some(String::from_utf8_lossy(input.counted()).into_owned()),
        };
        // A text ends where JSON of its own would.
        let payload = match input.byte() {
            255 => input.bytes(usize::MAX),
            len => input.bytes(usize::from(len) * 4),
        };
        if headers(part.as_deref()).is_none() {
            continue;
        }
        let expected = honest.add(number, part.as_deref(), payload);
        let found = reader.add(number, part.as_deref(), payload);
        let read = |(first, bytes): (u64, Vec<u8>)| {
            Some((first, json(&serde_json::from_slice::<Record<'_>>(&bytes).ok()?)))
        };
        assert_eq!(found, expected.and_then(read), "{part:?}");
        if let Some((_, json)) = found {
            written_again(&json);
        }
        said(payload);
    }
}

/// Checks that a record is the same when it is written, whole or in parts, and read.
fn written_again(json: &str) {
    let record: Record<'_> = serde_json::from_str(json).expect("it was written by us");
    assert_eq!(self::json(&record), json);
    let messages = record.messages("id", MAX);
    let mut assembler = Assembler::default();
    let (last, parts) = messages.split_last().expect("at least one");
    for (number, (headers, payload)) in (1..).zip(parts) {
        assert!(payload.len() < MAX);
        let read = assembler.add(number, headers, payload).expect("it is a part");
        assert_eq!(read, None);
    }
    let read = assembler.add(9, &last.0, &last.1).expect("it is the last part");
    assert_eq!(read, Some((if parts.is_empty() { 9 } else { 1 }, record)));
}

/// Reads what gateways say of themselves: it is the same when it is written and read again.
fn said(payload: &[u8]) {
    if let Ok(beat) = serde_json::from_slice::<Beat>(payload) {
        let again = serde_json::to_vec(&beat).expect("it has no map");
        assert_eq!(serde_json::from_slice::<Beat>(&again).ok(), Some(beat));
    }
    if let Ok(presence) = serde_json::from_slice::<Presence>(payload) {
        let again = serde_json::to_vec(&presence).expect("it has no map");
        assert_eq!(serde_json::from_slice::<Presence>(&again).ok(), Some(presence));
    }
}

/// Puts parts together by the rule: each the next one of the same record, of as many as the first one says, and nothing
/// between them.
#[derive(Default)]
struct Honest {
    parts: Vec<(u64, String, Vec<u8>)>,
}

impl Honest {
    fn add(&mut self, number: u64, part: Option<&str>, payload: &[u8]) -> Option<(u64, Vec<u8>)> {
        let Some(part) = part else {
            self.parts.clear();
            return Some((number, payload.to_vec()));
        };
        let words: Vec<_> = part.split(' ').collect();
        let [id, at, of] = words[..] else { return None };
        let (Ok(at), Ok(of)) = (at.parse::<usize>(), of.parse::<usize>()) else { return None };
        if at == 1 {
            self.parts.clear();
        }
        let name = format!("{id} {of}");
        let follows = at == self.parts.len() + 1 && at <= of;
        if !follows || self.parts.iter().any(|(_, known, _)| *known != name) {
            self.parts.clear();
            return None;
        }
        self.parts.push((number, name, payload.to_vec()));
        if at < of {
            return None;
        }
        let parts = std::mem::take(&mut self.parts);
        Some((parts[0].0, parts.into_iter().flat_map(|(_, _, bytes)| bytes).collect()))
    }
}

/// Returns the headers of a message. `None`: no header can have this text.
fn headers(part: Option<&str>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(part) = part {
        headers.insert(PART, part.parse::<HeaderValue>().ok()?);
    }
    Some(headers)
}

fn json(record: &Record<'_>) -> String {
    serde_json::to_string(record).expect("it has no map")
}

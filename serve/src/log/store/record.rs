//! Records of the stream: what they say, and how they are cut into messages.

use std::borrow::Cow;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Way;
use crate::log::model::{Commit, Loaded, LogName};

/// Header of a message that is one of several: the record's id, the message's place in it from 1, and their number, with blanks
/// between.
const PART: &str = "Pb-Part";

/// Bytes of a message that its headers may need.
const HEADERS: usize = 1024;

/// One step of the log. All gateways take the same steps, in the order of the stream.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record<'a> {
    /// This gateway serves from here on: whoever did so before has no more say. Its name, and that of a full state, have a
    /// number: an older program, which cannot read the sessions of this one and would begin them anew, does not know it, and
    /// ends before it can lead.
    #[serde(rename = "lead_2", alias = "lead")]
    Lead {
        /// Its name.
        gateway: Cow<'a, str>,
        /// A random value that no other claim has.
        claim: Cow<'a, str>,
        /// The log's identity. The first record of a stream gives it.
        log: LogName,
    },
    /// This gateway has stopped in good order: any other may serve.
    Leave {
        /// Its name.
        gateway: Cow<'a, str>,
    },
    /// This gateway has asked whether it serves still.
    Here {
        /// Its name.
        gateway: Cow<'a, str>,
    },
    /// What one commit has brought.
    Commit(Cow<'a, Commit>),
    /// Old lines, events and keys go, see [`Engine::retain`](crate::log::Engine::retain).
    Retain {
        /// Wall clock, in milliseconds since the Unix epoch.
        before_ms: u64,
        /// Bytes of lines that may stay.
        max_bytes: u64,
        /// Lines behind this offset stay.
        limit: u64,
    },
    /// All that is kept of a client goes.
    Purge {
        /// Its id.
        client: Cow<'a, str>,
    },
    /// All but lines and events as of here: whoever begins to follow can begin with it.
    #[serde(rename = "state_2", alias = "state")]
    State(Cow<'a, Loaded>),
}

/// Words of a leader that nobody keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) gateway: String,
    pub(super) claim: String,
    /// The way to it for connections that others pass on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) way: Option<Way>,
    /// See [`Fellows::tell_keys`](super::Fellows::tell_keys).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<String>,
}

/// Words of a gateway that stands by, which nobody keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Presence {
    pub(super) gateway: String,
    /// Number of the last message that it has read.
    pub(super) read: u64,
    /// See [`Fellows::tell_keys`](super::Fellows::tell_keys).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<String>,
}

impl Record<'_> {
    /// Returns the record as messages of at most `max` bytes with their headers. `id`: none of the stream's last records has it.
    pub(super) fn messages(&self, id: &str, max: usize) -> Vec<(HeaderMap, Bytes)> {
        // Of what it has nothing fails: no map with keys that are no texts, no writer.
        let all = Bytes::from(serde_json::to_vec(self).unwrap_or_default());
        let size = max.saturating_sub(HEADERS).max(HEADERS);
        if all.len() <= size {
            return vec![(HeaderMap::new(), all)];
        }
        let count = all.len().div_ceil(size);
        let part = |n: usize| {
            let mut headers = HeaderMap::new();
            headers.insert(PART, format!("{id} {} {count}", n + 1));
            (headers, all.slice(n * size..all.len().min((n + 1) * size)))
        };
        (0..count).map(part).collect()
    }
}

/// Puts records together from their messages. A record whose messages another one follows before its last has never been
/// whole: its gateway was cut off, and whoever came after it began anew.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    id: String,
    parts: usize,
    /// Number of all parts, as the first one says.
    of: usize,
    first: u64,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Takes the next message. Returns a record that is whole now, with the number of its first message.
    ///
    /// # Errors
    /// If it is none that this program knows.
    pub(super) fn add(
        &mut self,
        number: u64,
        headers: &HeaderMap,
        payload: &[u8],
    ) -> Result<Option<(u64, Record<'static>)>, serde_json::Error> {
        let Some(part) = headers.get(PART) else {
            *self = Self::default();
            return Ok(Some((number, serde_json::from_slice(payload)?)));
        };
        let words: Vec<&str> = part.as_str().split(' ').collect();
        let [id, at, of] = words[..] else { return Ok(None) };
        let (Ok(at), Ok(of)) = (at.parse::<usize>(), of.parse::<usize>()) else { return Ok(None) };
        if at == 1 {
            *self = Self { id: id.to_owned(), of, first: number, ..Self::default() };
        }
        if self.id != id || self.of != of || at != self.parts + 1 || at > of {
            *self = Self::default();
            return Ok(None);
        }
        self.parts = at;
        self.bytes.extend_from_slice(payload);
        if at < of {
            return Ok(None);
        }
        let Self { first, bytes, .. } = std::mem::take(self);
        Ok(Some((first, serde_json::from_slice(&bytes)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_agree_on_their_number_are_no_record() {
        let json = serde_json::to_vec(&Record::Leave { gateway: "a".into() }).unwrap();
        let (begin, end) = json.split_at(5);
        let read = |parts: [&str; 2]| {
            let mut assembler = Assembler::default();
            let mut add = |number, part: &str, payload: &[u8]| {
                let mut headers = HeaderMap::new();
                headers.insert(PART, part);
                assembler.add(number, &headers, payload).unwrap()
            };
            assert_eq!(add(7, parts[0], begin), None);
            add(8, parts[1], end)
        };
        let whole = Some((7, Record::Leave { gateway: "a".into() }));
        assert_eq!(read(["x 1 2", "x 2 2"]), whole);
        for others in
            [["x 1 3", "x 2 2"], ["x 1 2", "x 2 1"], ["x 1 2", "x 2 3"], ["x 1 2", "y 2 2"]]
        {
            assert_eq!(read(others), None, "{others:?}");
        }
    }

    #[test]
    fn an_older_program_does_not_know_who_leads_and_what_it_wrote_is_read() {
        let lead = Record::Lead {
            gateway: "a".into(),
            claim: "b".into(),
            log: LogName { id: "c".into(), generation: 1 },
        };
        let loaded = Loaded::default();
        for (record, name) in [(lead, "lead"), (Record::State(Cow::Borrowed(&loaded)), "state")] {
            let mut json = serde_json::to_value(&record).unwrap();
            let body = json.as_object_mut().unwrap().remove(&format!("{name}_2"));
            let old = serde_json::json!({ name: body.expect("its name has a number") });
            assert_eq!(serde_json::from_value::<Record<'_>>(old).unwrap(), record);
        }
    }
}

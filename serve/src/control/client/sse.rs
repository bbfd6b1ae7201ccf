//! Server-sent events as they come in: cut into messages, each of bounded size.

use std::mem;

/// The most bytes of one message, and of what comes before its end.
const MAX: usize = 1 << 20;

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) event: String,
    pub(super) id: String,
    pub(super) data: String,
}

/// A stream of bytes that never ends a message: whatever it is, it is no event stream of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than 1 MB")]
pub(super) struct TooLong;

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// The line that has not ended.
    line: Vec<u8>,
    /// The last byte was `\r`: a `\n` belongs to it.
    returned: bool,
    message: Message,
}

impl Cutter {
    /// Takes in bytes, and returns the messages that they complete.
    ///
    /// # Errors
    /// If a message is longer than any of ours.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut messages = Vec::new();
        for &byte in bytes {
            let returned = mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if returned => {}
                b'\n' | b'\r' => {
                    let line = mem::take(&mut self.line);
                    if line.is_empty() {
                        let message = mem::take(&mut self.message);
                        if !message.data.is_empty() {
                            messages.push(message);
                        }
                    } else {
                        self.field(&String::from_utf8_lossy(&line));
                    }
                }
                byte => self.line.push(byte),
            }
            if self.line.len() + self.message.data.len() > MAX {
                return Err(TooLong);
            }
        }
        Ok(messages)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.message.event),
            "id" => value.clone_into(&mut self.message.id),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            // A comment, or a field that concerns browsers.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut() {
        let stream = ":\n\nevent: a\ndata: {}\nid: 1\n\n: keep\r\n\r\ndata:x\r\ndata:  y\r\n\r\nid: 5\n\nevent:b\rdata:z\r\r";
        let message = |event: &str, id: &str, data: &str| Message {
            event: event.into(),
            id: id.into(),
            data: data.into(),
        };
        let expected = [message("a", "1", "{}"), message("", "", "x\n y"), message("b", "", "z")];
        for size in 1..stream.len() {
            let mut cutter = Cutter::default();
            let chunks = stream.as_bytes().chunks(size);
            let all: Vec<_> = chunks.flat_map(|chunk| cutter.push(chunk).unwrap()).collect();
            assert_eq!(all, expected, "{size}");
        }
    }

    #[test]
    fn a_message_without_end_is_an_error() {
        let mut line = Cutter::default();
        assert_eq!((0..300).try_for_each(|_| line.push(&[b'x'; 4096]).map(drop)), Err(TooLong));
        let mut data = Cutter::default();
        let chunk = format!("data: {}\n", "x".repeat(4000));
        assert_eq!((0..300).try_for_each(|_| data.push(chunk.as_bytes()).map(drop)), Err(TooLong));
    }
}

//! MQTT 3.1.1, as far as clients of a measurement speak it: with QoS 1 or 2, and packets so short that one byte has their length.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// PINGREQ, a sign of life.
pub const PING: &[u8] = b"\xc0\x00";

/// First byte of a PUBLISH with QoS 1.
const PUBLISH: u8 = 0x32;

/// First byte of a PUBLISH with QoS 2.
const PUBLISH_ONCE: u8 = 0x34;

/// First byte of a PUBACK.
const PUBACK: u8 = 0x40;

/// First byte of a PUBREC: the broker has a PUBLISH with QoS 2.
const PUBREC: u8 = 0x50;

/// First byte of a PUBREL, which answers that.
const PUBREL: u8 = 0x62;

/// First byte of a PUBCOMP, the last word of a PUBLISH with QoS 2.
const PUBCOMP: u8 = 0x70;

/// Bytes that are read at a time: as many as the server reads.
const SEGMENT: usize = 16 * 1024;

/// Returns CONNECT with a clean session. `keep_alive`: seconds between two signs of life at most; 0: none is needed.
pub fn connect(id: &str, keep_alive: u16) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04\x02".to_vec();
    body.extend(keep_alive.to_be_bytes());
    push_text(&mut body, id);
    packet(0x10, &body)
}

/// Returns SUBSCRIBE to a topic with QoS 1.
pub fn subscribe(topic: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    push_text(&mut body, topic);
    body.push(1);
    packet(0x82, &body)
}

/// Returns PUBLISH with QoS 1. `id`: not 0.
pub fn publish(topic: &str, id: u16, text: &str) -> Vec<u8> {
    packet(PUBLISH, &publication(topic, id, text))
}

/// Returns PUBLISH with QoS 2. `id`: not 0.
pub fn publish_once(topic: &str, id: u16, text: &str) -> Vec<u8> {
    packet(PUBLISH_ONCE, &publication(topic, id, text))
}

fn publication(topic: &str, id: u16, text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    push_text(&mut body, topic);
    body.extend(id.to_be_bytes());
    body.extend(text.as_bytes());
    body
}

/// Returns true if the broker has a PUBLISH with QoS 2 for good, of which this is an answer. Adds what it has to be told, if anything.
pub fn is_complete(answer: [u8; 4], out: &mut Vec<u8>) -> bool {
    let [first, length, high, low] = answer;
    if first == PUBREC {
        out.extend([PUBREL, length, high, low]);
    }
    first == PUBCOMP
}

/// Adds the PUBACK of a packet that has come, if it is a PUBLISH with QoS 1. `first` is its first byte.
pub fn acknowledge(first: u8, body: &[u8], out: &mut Vec<u8>) {
    // One that comes again is marked as a duplicate.
    if first & !0x08 != PUBLISH {
        return;
    }
    if let [high, low, rest @ ..] = body
        && let Some(id) = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..)
        && let [high, low, ..] = *id
    {
        out.extend([PUBACK, 2, high, low]);
    }
}

/// Returns true if this is the first byte of an acknowledgement.
pub fn is_ack(first: u8) -> bool {
    first == PUBACK
}

/// Hands each whole packet to `each`: its first byte, and what is behind its length. Returns the number of bytes that they have.
pub fn packets(bytes: &[u8], mut each: impl FnMut(u8, &[u8])) -> usize {
    let mut from = 0;
    while let [first, length, rest @ ..] = &bytes[from..]
        && let Some(body) = rest.get(..usize::from(*length))
    {
        each(*first, body);
        from += 2 + body.len();
    }
    from
}

/// Reads a stream, and cuts it into packets.
#[derive(Debug)]
pub struct Packets {
    buffer: Vec<u8>,
    len: usize,
}

impl Packets {
    pub fn new() -> Self {
        Self { buffer: vec![0; SEGMENT], len: 0 }
    }

    /// Reads what is there, and hands each whole packet to `each`, as [`packets`] does. False at the end.
    pub async fn read(
        &mut self,
        stream: &mut TcpStream,
        each: impl FnMut(u8, &[u8]),
    ) -> io::Result<bool> {
        let n = stream.read(&mut self.buffer[self.len..]).await?;
        self.len += n;
        let from = packets(&self.buffer[..self.len], each);
        self.buffer.copy_within(from..self.len, 0);
        self.len -= from;
        Ok(n > 0)
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    debug_assert!(body.len() < 128, "one byte has the length");
    [&[first, body.len() as u8], body].concat()
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_is_acknowledged_and_nothing_else() {
        let sent = [connect("a", 2), publish("b", 0x102, "c"), PING.to_vec()].concat();
        for end in 0..=sent.len() {
            let (mut out, mut seen) = (Vec::new(), 0);
            let taken = packets(&sent[..end], |first, body| {
                acknowledge(first, body, &mut out);
                seen += 1;
            });
            assert!(taken <= end && seen <= 3);
            assert_eq!(out.is_empty(), seen < 2, "{end}");
            assert!(out.is_empty() || out == [PUBACK, 2, 1, 2], "{out:?}");
        }
    }
}

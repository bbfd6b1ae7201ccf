//! The clients' words: the link's lines, or MQTT 3.1.1. All of it is made beforehand, so that a client
//! only copies bytes.

use std::io::Write;
use std::time::Duration;

use crate::mqtt;

/// The text of every line.
pub const TEXT: &str = r#"["moisture", 17, 21.5, "a line as boards send it"]"#;

/// Numbers in use: 1 to 255, as on the link.
const NUMBERS: usize = 255;

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Link,
    /// With QoS 1.
    Mqtt,
    /// With QoS 2.
    MqttOnce,
}

impl Wire {
    pub fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Mqtt => "mqtt",
            Self::MqttOnce => "mqtt-once",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Link, Self::Mqtt, Self::MqttOnce].into_iter().find(|wire| wire.name() == name)
    }

    /// Returns what client `n` says first. The server answers with at least a byte.
    pub fn hello(self, n: usize) -> Vec<u8> {
        self.hello_alive(n, Duration::ZERO)
    }

    /// Returns the same of a client that an MQTT broker has to hear in this time, if it is not zero: servers of the link have a time-out
    /// of their own.
    pub fn hello_alive(self, n: usize, timeout: Duration) -> Vec<u8> {
        let id = format!("client {n}");
        match self {
            // A keepalive is the sign of life for which a server waits before it sends lines.
            Self::Link => format!("{id}\n\n").into_bytes(),
            Self::Mqtt | Self::MqttOnce => mqtt::connect(&id, timeout.as_secs() as u16),
        }
    }

    /// Returns a line.
    pub fn line(self, number: u8, text: &str) -> Vec<u8> {
        match self {
            Self::Link => format!("{number:02x}{text}\n").into_bytes(),
            // There is no packet 0.
            Self::Mqtt => mqtt::publish("bench", u16::from(number) + 1, text),
            Self::MqttOnce => mqtt::publish_once("bench", u16::from(number) + 1, text),
        }
    }

    /// Takes whole lines or packets out of what was heard, and returns how many of them are acknowledgements.
    pub fn take_acks(self, heard: &mut Vec<u8>) -> usize {
        let (mut acks, mut taken) = (0, 0);
        match self {
            Self::Link => {
                while let Some(end) = heard[taken..].iter().position(|&byte| byte == b'\n') {
                    acks += usize::from(end == 2);
                    taken += end + 1;
                }
            }
            Self::Mqtt | Self::MqttOnce => {
                taken = mqtt::packets(heard, |first, _| acks += usize::from(mqtt::is_ack(first)));
            }
        }
        heard.drain(..taken);
        acks
    }

    /// Returns what a client says to stay alive.
    pub fn keepalive(self) -> &'static [u8] {
        match self {
            Self::Link => b"\n",
            Self::Mqtt | Self::MqttOnce => mqtt::PING,
        }
    }
}

/// Lines with the numbers 1 to 255, over and over.
#[derive(Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    line: usize,
}

impl Ring {
    /// Makes the lines. `most` of them may be taken at a time.
    pub fn new(wire: Wire, most: usize) -> Self {
        let mut bytes = Vec::new();
        let numbers = (1..=NUMBERS).cycle().take(NUMBERS + most);
        for number in numbers {
            match wire {
                Wire::Link => writeln!(bytes, "{number:02x}{TEXT}").expect("a Vec takes all"),
                Wire::Mqtt => bytes.extend(mqtt::publish("bench", number as u16, TEXT)),
                Wire::MqttOnce => bytes.extend(mqtt::publish_once("bench", number as u16, TEXT)),
            }
        }
        let line = bytes.len() / (NUMBERS + most);
        Self { bytes, line }
    }

    /// Returns `count` lines from the place `at` on, which moves on.
    pub fn take(&self, at: &mut usize, count: usize) -> &[u8] {
        let from = *at * self.line;
        *at = (*at + count) % NUMBERS;
        &self.bytes[from..from + count * self.line]
    }
}

/// Counts acknowledgements in a stream.
#[derive(Debug)]
pub struct Acks {
    wire: Wire,
    /// Bytes of an unfinished line or packet.
    part: usize,
    /// Those of a packet that has to be looked at.
    packet: [u8; 4],
    /// What the server has to be told before it says more.
    pub owed: Vec<u8>,
}

impl Acks {
    pub fn new(wire: Wire) -> Self {
        Self { wire, part: 0, packet: [0; 4], owed: Vec::new() }
    }

    /// Returns the number of acknowledgements that end in these bytes.
    pub fn count(&mut self, bytes: &[u8]) -> usize {
        match self.wire {
            Wire::Link => {
                let mut acks = 0;
                for &byte in bytes {
                    if byte == b'\n' {
                        // An empty line is a keepalive, and a longer one a message.
                        acks += usize::from(self.part == 2);
                        self.part = 0;
                    } else {
                        self.part += 1;
                    }
                }
                acks
            }
            Wire::Mqtt => {
                // CONNACK was read before; every PUBACK has four bytes.
                self.part += bytes.len();
                let acks = self.part / 4;
                self.part %= 4;
                acks
            }
            Wire::MqttOnce => {
                let mut acks = 0;
                // PUBREC and PUBCOMP have four bytes, too.
                for &byte in bytes {
                    self.packet[self.part] = byte;
                    self.part = (self.part + 1) % 4;
                    acks += usize::from(
                        self.part == 0 && mqtt::is_complete(self.packet, &mut self.owed),
                    );
                }
                acks
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_round_and_acknowledgements_are_counted_wherever_they_are_cut() {
        let ring = Ring::new(Wire::Link, 64);
        let mut at = 0;
        let mut all = Vec::new();
        for _ in 0..10 {
            all.extend(ring.take(&mut at, 64));
        }
        let lines: Vec<_> = std::str::from_utf8(&all).unwrap().lines().collect();
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(*line, format!("{:02x}{TEXT}", n % 255 + 1));
        }
        assert_eq!(lines.len(), 640);
        for (wire, stream) in [
            (Wire::Link, &b"\n01\n02\n\n03\n04hello\n"[..]),
            (Wire::Mqtt, &[0x40, 2, 0, 1].repeat(3)),
        ] {
            for cut in 1..stream.len() {
                let mut acks = Acks::new(wire);
                let counted: usize = stream.chunks(cut).map(|chunk| acks.count(chunk)).sum();
                assert_eq!(counted, 3, "{wire:?} cut at {cut}");
                assert!(acks.owed.is_empty(), "{wire:?} cut at {cut}");
                assert_eq!(taken(wire, stream, cut), 3, "{wire:?} cut at {cut}");
            }
        }
        // PUBREC, PUBCOMP and PUBREC.
        let stream = [0x50, 2, 0, 1, 0x70, 2, 0, 7, 0x50, 2, 1, 2];
        for cut in 1..stream.len() {
            let mut acks = Acks::new(Wire::MqttOnce);
            let counted: usize = stream.chunks(cut).map(|chunk| acks.count(chunk)).sum();
            assert_eq!(
                (counted, &acks.owed[..]),
                (1, &[0x62, 2, 0, 1, 0x62, 2, 1, 2][..]),
                "{cut}"
            );
        }
        // CONNACK, PINGRESP, PUBACK.
        let stream = [0x20, 2, 0, 0, 0xd0, 0, 0x40, 2, 0, 1];
        for cut in 1..stream.len() {
            assert_eq!(taken(Wire::Mqtt, &stream, cut), 1, "cut at {cut}");
        }
    }

    fn taken(wire: Wire, stream: &[u8], cut: usize) -> usize {
        let mut heard = Vec::new();
        let counts = stream.chunks(cut).map(|chunk| {
            heard.extend(chunk);
            wire.take_acks(&mut heard)
        });
        counts.sum()
    }
}

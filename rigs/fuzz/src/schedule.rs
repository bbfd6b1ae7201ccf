//! The common parts of both machines' targets: times, and what an input says with keys of the other end.

use pblink_protocol::secure::packet::{MAX_BYTES, MAX_FRAMES, MAX_UP, Packet, TAG};
use pblink_protocol::secure::suite::Keys;
use pblink_protocol::time::{Duration, Instant};

use crate::frames::frame;
use crate::input::Input;
use crate::suite::SymbolicKeys;

/// Steps of the clock: those at which something happens, and those that are far beyond.
const STEPS: [u64; 14] =
    [1, 20, 100, 500, 1000, 1999, 2000, 3000, 5000, 10_000, 12_000, 30_000, 61_000, 86_400_000];

/// The most lines without one that is waited for: eight of the longest, in pieces.
pub const MANY: usize = 200;

pub fn step(input: &mut Input<'_>, now: &mut Instant) {
    *now += Duration::from_millis(input.one_of(&STEPS));
}

/// The keys of an end that an input speaks for: it is authentic, and may say anything.
pub struct Voice {
    pub number: u8,
    pub keys: SymbolicKeys,
    next: u32,
    /// The last counter of the machine.
    heard: u32,
}

impl Voice {
    pub const fn new(number: u8, keys: SymbolicKeys) -> Self {
        Self { number, keys, next: 0, heard: 0 }
    }

    /// Returns a line with frames of an input: well-formed ones, or any bytes.
    pub fn say(&mut self, input: &mut Input<'_>) -> String {
        let mut packet = [0; MAX_FRAMES];
        let mut len = 0;
        let ways = input.byte();
        if ways & 7 == 7 {
            let bytes = input.counted();
            len = bytes.len().min(MAX_FRAMES);
            packet[..len].copy_from_slice(&bytes[..len]);
        } else {
            for _ in 0..=ways % 3 {
                len += frame(input).encode(&mut packet[len..]).unwrap_or(0);
            }
        }
        // Sometimes further ahead.
        self.next += if ways & 0x80 == 0 { 1 } else { 1 + u32::from(ways & 0x70) };
        let mut sealed = [0; MAX_FRAMES + TAG];
        let len = self.keys.seal(self.next, &packet[..len], &mut sealed).expect("a new counter");
        let packet =
            Packet::Sealed { key: self.number, counter: self.next, sealed: &sealed[..len] };
        line(&packet)
    }

    /// Opens a line that the machine has sealed. `None`: it is of another kind or under another key.
    pub fn hear(&mut self, line: &str) -> Option<Vec<u8>> {
        let mut buffer = [0; MAX_BYTES];
        let Ok(Packet::Sealed { key, counter, sealed }) = Packet::decode(line, &mut buffer) else {
            return None;
        };
        let mut out = [0; MAX_FRAMES];
        let len = (key == self.number).then(|| self.keys.open(counter, sealed, &mut out))??;
        assert!(counter > self.heard, "a counter is used once");
        self.heard = counter;
        Some(out[..len].to_vec())
    }
}

/// Returns the line of a packet.
pub fn line(packet: &Packet<'_>) -> String {
    packet.encode(&mut [0; MAX_UP + 40]).expect("a line").to_owned()
}

/// The lines that passed, to be shown again.
#[derive(Default)]
pub struct Heard(Vec<String>);

impl Heard {
    pub fn push(&mut self, line: &str) {
        if self.0.len() < 64 {
            self.0.push(line.to_owned());
        }
    }

    /// Returns one of them, or one that is anything.
    pub fn any(&self, input: &mut Input<'_>) -> String {
        let at = usize::from(input.byte());
        let Some(line) = self.0.get(at % 80) else {
            return String::from_utf8_lossy(input.counted()).into_owned();
        };
        let mut bytes = line.clone().into_bytes();
        if at >= 80 {
            let at = usize::from(input.byte()) % bytes.len();
            bytes[at] = input.byte() & 0x7f;
        }
        String::from_utf8(bytes).expect("ASCII")
    }
}

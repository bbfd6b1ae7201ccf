//! Connections that are no board's: copies of a board that is elsewhere, slow ones, silent ones, and ones that read nothing.

use fastrand::Rng;
use pblink_protocol::time::{Duration, Instant};

use super::net::{Input, Net};

/// The trait of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Says its name letter by letter, and never ends.
    SlowHello,
    /// Says this name and keepalives, like a connection of a board that is half way gone.
    Copy(String),
    /// Says this name, and nothing more.
    Silent(String),
    /// Says this name and lines that are none, as fast as they are taken, and reads nothing.
    Flood(String),
    /// Says this name and packets of a board with keys, which are not right.
    Forger(String),
}

/// See the module's text.
#[derive(Debug)]
pub struct Guest {
    manner: Manner,
    connection: usize,
    said: usize,
    next: Instant,
    until: Instant,
    pace: Duration,
}

impl Guest {
    pub fn new(manner: Manner, pace: Duration, until: Instant, net: &Net, now: Instant) -> Self {
        let connection = net.connect(now);
        Self { manner, connection, said: 0, next: now + pace.part(4), until, pace }
    }

    pub const fn next_at(&self) -> Instant {
        self.next
    }

    /// Does what is due. Returns false once it is gone.
    pub fn step(&mut self, net: &Net, rng: &mut Rng, now: Instant) -> bool {
        let reads = !matches!(self.manner, Manner::Flood(_));
        let gone = reads
            && net
                .take(self.connection, now)
                .iter()
                .any(|it| matches!(it, Input::Closed | Input::Refused));
        if gone || now >= self.until {
            // With a word, without one, or broken off.
            match rng.u8(0..3) {
                0 => net.reset(self.connection, now),
                1 => net.silence(self.connection),
                _ => {}
            }
            net.close(self.connection, true, now);
            return false;
        }
        if now >= self.next {
            self.next = now + self.pace;
            self.speak(net, rng, now);
        }
        true
    }

    fn speak(&mut self, net: &Net, rng: &mut Rng, now: Instant) {
        let first = self.said == 0;
        self.said += 1;
        let text = match &self.manner {
            Manner::SlowHello => "x".to_owned(),
            Manner::Copy(name) | Manner::Silent(name) if first => format!("{name}\n"),
            Manner::Copy(_) => "\n".to_owned(),
            Manner::Silent(_) => return,
            Manner::Flood(name) if first => format!("{name}\n\n"),
            Manner::Flood(_) => "no line at all\n".repeat(20),
            Manner::Forger(name) if first => format!("{name}\n\n"),
            Manner::Forger(_) => {
                let bytes: String = (0..11).map(|_| rng.alphanumeric()).collect();
                let kind = if rng.bool() { 'q' } else { 't' };
                format!("{:02x}~{kind}{bytes}\n", (self.said - 1) % 256)
            }
        };
        net.write(self.connection, text.as_bytes(), now);
    }
}

//! Tools that the tests of this crate share.

pub mod net;
pub mod rig;
pub mod rng;
pub mod vectors;
pub mod world;

use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Ticket};
use pblink_protocol::time::{Duration, Instant};

pub use rng::Rng;

pub type Buf = heapless::Vec<u8, 256>;
pub type End = Endpoint<Buf, Vec<u8>, 64>;

pub const fn ms(n: u64) -> Instant {
    Instant::from_millis(n)
}

pub const fn span(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Remembers everything that an endpoint calls.
#[derive(Debug, Default)]
pub struct Rec {
    pub lines: Vec<String>,
    pub receipts: Vec<Receipt>,
    /// Ticket, and whether the line was given back.
    pub acked: Vec<(Ticket, bool)>,
    pub took: Vec<Duration>,
    pub invalid: Vec<Vec<u8>>,
    pub too_long: usize,
    /// The answer: taken, unless it says otherwise.
    pub refuse: bool,
    pub later: bool,
    pub refused: Vec<String>,
}

impl Host<Vec<u8>> for Rec {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        if self.refuse {
            self.refused.push(text.into());
            return Disposition::Refused;
        }
        self.lines.push(text.into());
        self.receipts.push(receipt);
        if self.later { Disposition::Later } else { Disposition::Taken }
    }

    fn acked(&mut self, ticket: Ticket, line: Option<Vec<u8>>, took: Duration) {
        self.acked.push((ticket, line.is_some()));
        self.took.push(took);
    }

    fn invalid(&mut self, line: &[u8]) {
        self.invalid.push(line.to_vec());
    }

    fn too_long(&mut self) {
        self.too_long += 1;
    }
}

/// Everything that an endpoint has to send now, through a buffer of `size` bytes.
pub fn drain_sized(end: &mut End, now: Instant, size: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut out = vec![0; size];
    for _ in 0..100_000 {
        match end.transmit(now, &mut out) {
            0 => return all,
            n => all.extend_from_slice(&out[..n]),
        }
    }
    panic!("transmit never ends at {now:?}");
}

pub fn drain(end: &mut End, now: Instant) -> Vec<u8> {
    drain_sized(end, now, 1500)
}

/// Does the same, and returns it as text.
pub fn sent(end: &mut End, now: Instant) -> String {
    String::from_utf8(drain(end, now)).expect("UTF-8")
}

//! A suite without cryptography, for runs that are not about it: whoever has the keys is known by a checksum.

use pblink_protocol::secure::packet::{Hello, TAG, VERSION};
use pblink_protocol::secure::suite::{BoardSuite, Keys, ServerSuite};

use crate::rng::Rng;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SymbolicKeys {
    secret: u64,
    /// The way that this end seals.
    way: u8,
    /// Counters that were used: each once.
    last: u32,
}

/// FNV-1a.
fn digest(parts: &[&[u8]]) -> u64 {
    parts.iter().flat_map(|part| part.iter()).fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn tag(secret: u64, way: u8, counter: u32, frames: &[u8]) -> [u8; TAG] {
    let sum = digest(&[&secret.to_be_bytes(), &[way], &counter.to_be_bytes(), frames]);
    let mut tag = [0; TAG];
    tag[..8].copy_from_slice(&sum.to_be_bytes());
    tag
}

impl Keys for SymbolicKeys {
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize> {
        assert!(counter > self.last, "a counter is used once");
        self.last = counter;
        let len = frames.len() + TAG;
        let out = out.get_mut(..len)?;
        out[..frames.len()].copy_from_slice(frames);
        out[frames.len()..].copy_from_slice(&tag(self.secret, self.way, counter, frames));
        Some(len)
    }

    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let (frames, found) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        if found != tag(self.secret, 1 - self.way, counter, frames) {
            return None;
        }
        out.get_mut(..frames.len())?.copy_from_slice(frames);
        Some(frames.len())
    }
}

/// The secret that both ends know.
const SHARED: &[u8] = b"shared";

fn mac(hello: &Hello, challenge: &[u8; 16]) -> [u8; 16] {
    mac_under(SHARED, hello, challenge)
}

/// The mac of whoever has another secret.
pub fn mac_under(shared: &[u8], hello: &Hello, challenge: &[u8; 16]) -> [u8; 16] {
    let mut mac = [0; 16];
    mac[..8].copy_from_slice(&digest(&[shared, challenge, &hello.covered()]).to_be_bytes());
    mac
}

/// The board's half. Clones of `random` would repeat what nobody may guess, so each life has its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfBoard(pub Rng);

impl BoardSuite for OfBoard {
    type Handshake = u64;
    type Keys = SymbolicKeys;

    fn random(&mut self) -> [u8; 8] {
        self.0.next().to_be_bytes()
    }

    fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, u64) {
        let secret = self.0.next();
        let mut message = [0; 48];
        message[..8].copy_from_slice(&secret.to_be_bytes());
        let mut hello = Hello { version: VERSION, key, generation: 1, message, mac: [0; 16] };
        hello.mac = mac(&hello, challenge);
        (hello, secret)
    }

    fn finish(&mut self, mine: &u64, reply: &[u8; 56]) -> Option<(SymbolicKeys, u64)> {
        let theirs = reply[..8].try_into().ok()?;
        let secret = digest(&[&mine.to_be_bytes(), theirs]);
        let sum = digest(&[&secret.to_be_bytes(), b"reply"]);
        let now_ms = u64::from_be_bytes(reply[16..24].try_into().ok()?);
        let keys = SymbolicKeys { secret, way: 0, last: 0 };
        (reply[8..16] == sum.to_be_bytes()).then_some((keys, now_ms))
    }
}

/// The server's half.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfServer(pub Rng);

impl ServerSuite for OfServer {
    type Keys = SymbolicKeys;

    fn challenge(&mut self) -> [u8; 16] {
        let mut challenge = [0; 16];
        challenge[..8].copy_from_slice(&self.0.next().to_be_bytes());
        challenge
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        hello.mac == mac(hello, challenge)
    }

    fn answer(
        &mut self,
        hello: &Hello,
        _challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(SymbolicKeys, [u8; 56])> {
        let mine = self.0.next().to_be_bytes();
        let secret = digest(&[&hello.message[..8], &mine]);
        let mut reply = [0; 56];
        reply[..8].copy_from_slice(&mine);
        reply[8..16].copy_from_slice(&digest(&[&secret.to_be_bytes(), b"reply"]).to_be_bytes());
        reply[16..24].copy_from_slice(&now_ms.to_be_bytes());
        Some((SymbolicKeys { secret, way: 1, last: 0 }, reply))
    }
}

//! A suite without cryptography, for runs that are not about it: whoever has the keys is known by a checksum.

use fastrand::Rng;
use pblink_protocol::secure::packet::{Hello, TAG, VERSION};
use pblink_protocol::secure::suite::Keys;

/// FNV-1a.
fn digest(parts: &[&[u8]]) -> u64 {
    parts.iter().flat_map(|part| part.iter()).fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The keys of one handshake, at one end.
#[derive(Debug)]
pub(crate) struct SymbolicKeys {
    secret: u64,
    /// The way that this end seals.
    way: u8,
    /// The last counter that was used.
    last: u32,
}

impl SymbolicKeys {
    fn tag(&self, way: u8, counter: u32, frames: &[u8]) -> [u8; TAG] {
        let sum = digest(&[&self.secret.to_be_bytes(), &[way], &counter.to_be_bytes(), frames]);
        let mut tag = [0; TAG];
        tag[..8].copy_from_slice(&sum.to_be_bytes());
        tag
    }
}

impl Keys for SymbolicKeys {
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize> {
        assert!(counter > self.last, "a counter is used once");
        self.last = counter;
        let (text, tag) = out.get_mut(..frames.len() + TAG)?.split_at_mut(frames.len());
        text.copy_from_slice(frames);
        tag.copy_from_slice(&self.tag(self.way, counter, frames));
        Some(frames.len() + TAG)
    }

    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let (frames, found) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        if found != self.tag(1 - self.way, counter, frames) {
            return None;
        }
        out.get_mut(..frames.len())?.copy_from_slice(frames);
        Some(frames.len())
    }
}

/// Either half.
#[derive(Debug)]
pub(crate) struct Symbolic {
    /// The secret that both ends know.
    shared: u64,
    random: Rng,
}

impl Symbolic {
    pub(super) fn new(shared: u64, seed: u64) -> Self {
        Self { shared, random: Rng::with_seed(seed) }
    }

    pub(super) fn random(&mut self) -> [u8; 8] {
        self.random.u64(..).to_be_bytes()
    }

    pub(super) fn challenge(&mut self) -> [u8; 16] {
        self.random.u128(..).to_be_bytes()
    }

    fn mac(&self, hello: &Hello, challenge: &[u8; 16]) -> [u8; 16] {
        let mut mac = [0; 16];
        let sum = digest(&[&self.shared.to_be_bytes(), challenge, &hello.covered()]);
        mac[..8].copy_from_slice(&sum.to_be_bytes());
        mac
    }

    pub(super) fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, u64) {
        let mine = self.random.u64(..);
        let mut message = [0; 48];
        message[..8].copy_from_slice(&mine.to_be_bytes());
        let mut hello = Hello { version: VERSION, key, generation: 1, message, mac: [0; 16] };
        hello.mac = self.mac(&hello, challenge);
        (hello, mine)
    }

    pub(super) fn is_authentic(&self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        hello.mac == self.mac(hello, challenge)
    }

    /// Returns the keys' secret, and the proof that the reply has.
    fn secret(&self, mine: &[u8], theirs: &[u8]) -> (u64, [u8; 8]) {
        let secret = digest(&[&self.shared.to_be_bytes(), mine, theirs]);
        (secret, digest(&[&secret.to_be_bytes(), b"reply"]).to_be_bytes())
    }

    pub(super) fn answer(&mut self, hello: &Hello, now_ms: u64) -> (SymbolicKeys, [u8; 56]) {
        let mine = self.random.u64(..).to_be_bytes();
        let (secret, proof) = self.secret(&hello.message[..8], &mine);
        let mut reply = [0; 56];
        reply[..8].copy_from_slice(&mine);
        reply[8..16].copy_from_slice(&proof);
        reply[16..24].copy_from_slice(&now_ms.to_be_bytes());
        (SymbolicKeys { secret, way: 1, last: 0 }, reply)
    }

    pub(super) fn finish(&self, mine: u64, reply: &[u8; 56]) -> Option<(SymbolicKeys, u64)> {
        let (secret, proof) = self.secret(&mine.to_be_bytes(), &reply[..8]);
        let time = u64::from_be_bytes(*reply[16..].first_chunk()?);
        (reply[8..16] == proof).then_some((SymbolicKeys { secret, way: 0, last: 0 }, time))
    }
}

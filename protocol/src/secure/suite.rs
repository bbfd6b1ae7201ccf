//! The cryptography that the machines of the secure link ask for.
//!
//! The machines decide who may say what, and when; a suite knows keys and curves. There is one suite on the wire,
//! `Noise_KKpsk0_25519_ChaChaPoly_SHA256`, of which the two ends have implementations by different authors; a model of the
//! machines has a symbolic one.

use super::frame::KeyOutcome;
use super::packet::Hello;

/// Keys that one handshake has made, for both ways.
///
/// Counters belong to the machines: each is used once for each way.
pub trait Keys {
    /// Seals frames under this counter into `out`, and returns the length: that of `frames` and the
    /// [tag](super::packet::TAG). `None`: `out` has no room for it, this counter or a greater one was used already, or it is
    /// greater than [`MAX_COUNTER`](super::packet::MAX_COUNTER).
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize>;

    /// Opens what the other end has sealed under this counter into `out`, and returns the length. `None`: these keys do not
    /// open it, or `out` has no room. The keys are as good as before then; `out` is undefined.
    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize>;
}

/// The board's half of the suite. It holds the board's private key, the server's public key, what both know (id, generation,
/// the shared key), and a source of randomness.
pub trait BoardSuite {
    /// A handshake that waits for its reply.
    type Handshake;
    /// The keys that it becomes.
    type Keys: Keys;

    /// Returns bytes that nobody can guess.
    fn random(&mut self) -> [u8; 8];

    /// Begins a handshake with this challenge. Takes as long as three multiplications on the curve.
    fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, Self::Handshake);

    /// Finishes the handshake, and returns the time that the server had then, in ms since the Unix epoch. Takes as long as
    /// two multiplications on the curve. `None`: this is not the reply. The handshake is as good as before then.
    fn finish(
        &mut self,
        handshake: &Self::Handshake,
        reply: &[u8; 56],
    ) -> Option<(Self::Keys, u64)>;

    /// Keeps the next shared key where it outlives a loss of power, and reads it back. Takes as long as a write to flash.
    ///
    /// Hellos are made with it from then on. Until it is [settled](Self::settle), every other one is made with the key before
    /// it, if nobody answers: a server may have forgotten it again. The key that is there already is
    /// [taken](KeyOutcome::Taken), too, and one of another generation or text takes the place of one that is not settled.
    fn take_key(&mut self, generation: u32, shared: &[u8; 32]) -> KeyOutcome {
        let _ = (generation, shared);
        KeyOutcome::Unsupported
    }

    /// Notes that the server takes no key before that of this generation, for good. It means nothing if that is not the newest.
    /// Takes as long as [`take_key`](Self::take_key).
    fn settle(&mut self, generation: u32) {
        let _ = generation;
    }
}

/// The server's half of the suite, for one id. It holds the server's private key, the board's public key, what both know, and
/// a source of randomness.
pub trait ServerSuite {
    /// The keys that a handshake becomes.
    type Keys: Keys;

    /// Returns a challenge that nobody can guess.
    fn challenge(&mut self) -> [u8; 16];

    /// Returns true if whoever made this hello knows the shared key and this challenge. Costs next to nothing: it is asked
    /// before any arithmetic on the curve.
    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool;

    /// Answers an [authentic](Self::is_authentic) hello. `now_ms`: the time for the board, in ms since the Unix epoch.
    /// `None`: it is not from the board of this id. An answer is no proof that it is: whoever has the server's private key
    /// and the shared one makes a hello, too. The proof is the first frame that the keys open.
    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(Self::Keys, [u8; 56])>;

    /// Returns the key, and its generation, that is to be given to a board which has proven to have that of this one. It is
    /// stored where it outlives the process before it is returned here.
    fn next_key(&self, generation: u32) -> Option<(u32, [u8; 32])> {
        let _ = generation;
        None
    }

    /// Returns true if no keys before those of this generation are taken, for good: this is stored where it outlives the process.
    /// A board that hears of it falls back to none before.
    fn is_settled(&self, generation: u32) -> bool {
        let _ = generation;
        false
    }
}

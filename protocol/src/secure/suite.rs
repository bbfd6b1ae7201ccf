//! The cryptography that the machines of the secure link ask for.
//!
//! The machines decide who may say what, and when; a suite knows keys and curves. There is one suite on the wire,
//! `Noise_KKpsk0_25519_ChaChaPoly_SHA256`, of which the two ends have implementations by different authors; a model of the
//! machines has a symbolic one.

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
}

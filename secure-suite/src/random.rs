//! Sources of random bytes.

/// A source of random bytes that nobody can guess.
///
/// A simulation has one that it can repeat. Nothing else may.
pub trait Random {
    /// Fills all of `out`.
    fn fill(&mut self, out: &mut [u8]);
}

/// The operating system's source.
#[cfg(feature = "server")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Os;

#[cfg(feature = "server")]
impl Random for Os {
    /// # Panics
    /// If the operating system has none: nothing that is secret could be made then.
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives no random bytes");
    }
}

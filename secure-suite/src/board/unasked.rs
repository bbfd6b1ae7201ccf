//! The source of randomness that clatter makes for each handshake, and never asks.

use clatter::rand_core::{CryptoRng, Error, RngCore};

/// Stands where clatter wants a source. It would ask it for an ephemeral key, which it is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unasked;

impl RngCore for Unasked {
    fn next_u32(&mut self) -> u32 {
        unreachable!("each handshake is given its ephemeral key")
    }

    fn next_u64(&mut self) -> u64 {
        self.next_u32().into()
    }

    fn fill_bytes(&mut self, _: &mut [u8]) {
        self.next_u32();
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Unasked {}

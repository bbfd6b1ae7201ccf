//! The random number generator (RM0090 §24). The STM32F411 and F446 have none.

use core::fmt;

use embassy_stm32::{Peri, pac, peripherals, rcc};

/// A reason not to use what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RngFault {
    /// Its clock is too slow (CECS).
    Clock,
    /// Its source does not move (SECS), or gives the same number twice.
    Stuck,
    /// It gives no number in time.
    Silent,
}

impl fmt::Display for RngFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => "the clock of the random number generator is too slow",
            Self::Stuck => "the random number generator is stuck",
            Self::Silent => "the random number generator gives nothing",
        })
    }
}

impl core::error::Error for RngFault {}

/// Looks at its status at most so often: 40 cycles of 48 MHz are needed for a number.
const PATIENCE: u32 = 10_000;

/// Returns random bytes, a multiple of 4, and switches it off again. Its clock must be 48 MHz, see
/// [`clock::config`](super::clock::config).
///
/// # Errors
/// See [`RngFault`]. Nothing that it gave is good then.
pub fn draw<const N: usize>(instance: Peri<'_, peripherals::RNG>) -> Result<[u8; N], RngFault> {
    let _ = instance;
    rcc::enable_and_reset::<peripherals::RNG>();
    pac::RNG.cr().write(|w| w.set_rngen(true));
    let drawn = words();
    pac::RNG.cr().write(|w| w.set_rngen(false));
    rcc::disable::<peripherals::RNG>();
    drawn
}

/// §24.3.1: the first number is not used, and each is compared with the one before it.
fn words<const N: usize>() -> Result<[u8; N], RngFault> {
    let mut last = word()?;
    let mut out = [0; N];
    for place in out.chunks_mut(4) {
        let next = word()?;
        if next == last {
            return Err(RngFault::Stuck);
        }
        place.copy_from_slice(&next.to_le_bytes()[..place.len()]);
        last = next;
    }
    Ok(out)
}

fn word() -> Result<u32, RngFault> {
    for _ in 0..PATIENCE {
        let status = pac::RNG.sr().read();
        // Also those that have come and gone: there may be a bad number among what is to be read.
        if status.cecs() || status.ceis() {
            return Err(RngFault::Clock);
        }
        if status.secs() || status.seis() {
            return Err(RngFault::Stuck);
        }
        if status.drdy() {
            return Ok(pac::RNG.dr().read());
        }
    }
    Err(RngFault::Silent)
}

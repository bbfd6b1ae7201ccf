//! Random bytes, from all that a chip has.

use core::fmt;

use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::random::Random;

/// Bytes of the seed that one start leaves for the next.
pub const SUCCESSOR: usize = 32;

/// The seeds of a generator. Each part can only make it better.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The seed that came with the keys. One whose bytes are all the same is none: flash that was never written.
    pub seed: &'a [u8; 32],
    /// Bytes from the chip's own source, 48 of which make 256 good bits; `None` if it has none, or it is not in order.
    pub noise: Option<&'a [u8; 48]>,
    /// The chip's unique id: two chips with one seed draw different numbers.
    pub unique: &'a [u8],
    /// RAM that was not cleared: what the start before has left for this one, or, after a loss of power, the pattern in which
    /// the cells come up, of which some parts differ each time.
    pub ram: &'a [u8],
}

/// The reason why a chip has no generator, and so no secure link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEntropy {
    /// There is neither a seed nor a source.
    NoSource,
    /// The generator does not give the bytes that it must: the program or the chip is damaged.
    SelfTest,
}

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSource => {
                "no random numbers: the keys came without a seed, and the chip has no source in order; write the keys again, \
                 with `pblink config push`"
            }
            Self::SelfTest => {
                "no random numbers: the generator fails its self-test; flash the program again"
            }
        })
    }
}

impl core::error::Error for NoEntropy {}

/// Makes the generator of a start.
///
/// # Errors
/// See [`NoEntropy`].
pub fn generator(sources: &Sources<'_>) -> Result<Drbg, NoEntropy> {
    if !Drbg::works() {
        return Err(NoEntropy::SelfTest);
    }
    let Sources { seed, noise, unique, ram } = *sources;
    let seeded = seed.iter().any(|&byte| byte != seed[0]);
    if !seeded && noise.is_none() {
        return Err(NoEntropy::NoSource);
    }
    let noise: &[u8] = noise.map_or(&[], |noise| noise);
    Ok(Drbg::new(&[seed, unique, noise, ram]))
}

/// Leaves a seed for the next start, so that it does not draw what this one draws.
pub fn leave(drbg: &mut Drbg, ram: &mut [u8; SUCCESSOR]) {
    drbg.fill(ram);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: [u8; 32] = *b"32 bytes that came with the keys";
    const NOISE: [u8; 48] = [0x5a; 48];

    fn drawn(sources: &Sources<'_>) -> Result<[u8; 32], NoEntropy> {
        let mut out = [0; 32];
        generator(sources).map(|mut drbg| drbg.fill(&mut out))?;
        Ok(out)
    }

    #[test]
    fn one_of_seed_and_noise_is_enough_and_none_is_not() {
        let none = Sources { seed: &[0xff; 32], noise: None, unique: b"chip", ram: &[0x77; 100] };
        assert_eq!(drawn(&none), Err(NoEntropy::NoSource));
        assert_eq!(drawn(&Sources { seed: &[0; 32], ..none }), Err(NoEntropy::NoSource));
        let seeded = drawn(&Sources { seed: &SEED, ..none });
        let noisy = drawn(&Sources { noise: Some(&NOISE), ..none });
        assert!(seeded.is_ok() && noisy.is_ok() && seeded != noisy);
    }

    #[test]
    fn every_part_counts() {
        let all = Sources { seed: &SEED, noise: Some(&NOISE), unique: b"chip", ram: &[1; 40] };
        let drawn = [
            all,
            Sources { seed: &[3; 32], ..all },
            Sources { noise: None, ..all },
            Sources { unique: b"chop", ..all },
            Sources { ram: &[2; 40], ..all },
        ]
        .map(|sources| drawn(&sources).expect("there is noise, or a seed"));
        for (at, one) in drawn.iter().enumerate() {
            assert!(drawn[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }

    /// A chip without a source of its own, that is reset again and again.
    #[test]
    fn no_start_draws_what_one_before_it_drew() {
        let mut ram = [0xee; SUCCESSOR];
        let mut drawn = [[0; 32]; 50];
        for out in &mut drawn {
            let sources = Sources { seed: &SEED, noise: None, unique: b"chip", ram: &ram };
            let mut drbg = generator(&sources).expect("there is a seed");
            leave(&mut drbg, &mut ram);
            drbg.fill(out);
        }
        for (at, one) in drawn.iter().enumerate() {
            assert!(drawn[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }
}

//! Fingerprints of texts, by which a window knows a repetition.
//!
//! There are two functions, for windows outlive processes in a store: [`fingerprint`] makes those of today, [`murmur3`]
//! made those that the first version of pblink has stored. The highest bit of a fingerprint in a window says which made it.

/// A text that has come, with its fingerprint. That of the first version is made only where it is needed: for a number
/// whose text came to a program of that version.
#[derive(Debug, Clone, Copy)]
pub struct Print<'a> {
    today: u32,
    text: &'a [u8],
}

/// The bit that fingerprints of today have, and those of the first version have not.
const TODAY: u32 = 1 << 31;

impl<'a> Print<'a> {
    /// Makes the fingerprint of a text.
    #[inline]
    pub fn of(text: &'a [u8]) -> Self {
        Self { today: fingerprint(text) | TODAY, text }
    }

    /// Returns the fingerprint as it is remembered.
    pub(super) const fn remembered(self) -> u32 {
        self.today
    }

    /// Returns true if `remembered` is the fingerprint of the same text.
    pub(super) fn is(self, remembered: u32) -> bool {
        match remembered & TODAY {
            0 => first(murmur3(self.text)) == remembered,
            _ => self.today == remembered,
        }
    }
}

/// Returns a fingerprint of the first version as it is remembered.
pub(super) const fn first(fingerprint: u32) -> u32 {
    fingerprint & !TODAY
}

/// Returns the fingerprint of bytes, good enough to tell two texts with the same number apart, and to notice damage. It takes
/// eight bytes at a step, as two words of 32 bits, and a chip that multiplies two of these needs few instructions for
/// it: with four bytes at a step the server spent more time on this than on anything else about a line.
///
/// It is stored: no change without another version of what is stored.
pub fn fingerprint(bytes: &[u8]) -> u32 {
    // The first digits of π, 64 bits and 64 bits, hexadecimal.
    const BEGIN: u64 = 0x243f_6a88_85a3_08d3;
    const END: u64 = 0x1319_8a2e_0370_7344;
    let (words, rest) = bytes.as_chunks();
    let mut state = words.iter().fold(BEGIN, |state, word| fold(state ^ u64::from_le_bytes(*word)));
    if !rest.is_empty() {
        // The last eight bytes, if there are so many: those that come twice do no harm.
        let last = bytes.last_chunk().map(|word| u64::from_le_bytes(*word));
        let short = || rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        state = fold(state ^ last.unwrap_or_else(short));
    }
    let end = fold(fold(state ^ bytes.len() as u64) ^ END);
    (end ^ end >> 32) as u32
}

/// Multiplies both halves of a word. The halves themselves stay in it, exchanged: else a half of zero would wipe
/// the other out.
const fn fold(word: u64) -> u64 {
    ((word & 0xffff_ffff) * (word >> 32)) ^ word.rotate_left(32)
}

/// Returns the fingerprint of the first version: MurmurHash3, 32 bits.
#[cold]
pub fn murmur3(bytes: &[u8]) -> u32 {
    let scramble =
        |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, rest) = bytes.as_chunks();
    let mut hash = words.iter().fold(0, |hash: u32, word| {
        let mixed = (hash ^ scramble(u32::from_le_bytes(*word))).rotate_left(13);
        mixed.wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    // No bytes make a word of zero, which changes nothing.
    hash ^= scramble(rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)));
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;
    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn fingerprints_of_the_first_version_are_those_of_murmurhash3() {
        for (text, print) in [
            ("", 0),
            ("test", 0xba6b_d213),
            ("Hello, world!", 0xc036_3e43),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            assert_eq!(murmur3(text.as_bytes()), print, "{text}");
        }
    }

    #[test]
    fn fingerprints_are_these_for_they_are_stored() {
        for (text, print) in [
            ("", 0x6b51_0b63),
            ("test", 0x2fda_efa0),
            ("12345678", 0xd0bc_578d),
            ("Hello, world!", 0x66ca_5fab),
            ("The quick brown fox jumps over the lazy dog", 0x0098_4cca),
        ] {
            assert_eq!(fingerprint(text.as_bytes()), print, "{text}");
        }
    }

    /// Counts texts that have the remembered fingerprint of another one.
    fn collisions(texts: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
        let (mut prints, mut count) = (Vec::new(), 0);
        prints.extend(texts.map(|text| Print::of(&text).remembered()).inspect(|_| count += 1));
        prints.sort_unstable();
        prints.dedup();
        (count - prints.len(), count)
    }

    #[test]
    fn texts_that_differ_little_collide_as_seldom_as_random_ones() {
        let bits = |len: usize, from: u8| {
            (0..len * 8).flat_map(move |a| {
                (0..a).map(move |b| {
                    let mut text = std::vec![from; len];
                    text[a / 8] ^= 1 << (a % 8);
                    text[b / 8] ^= 1 << (b % 8);
                    text
                })
            })
        };
        let pairs = || (0..500u32).flat_map(|a| (0..500u32).map(move |b| (a, b)));
        let (numbers, around) = (0..250_000u32, [0; 5]);
        let kinds: [(&str, &mut dyn Iterator<Item = Vec<u8>>); 9] = [
            ("decimal", &mut numbers.clone().map(|n| n.to_string().into_bytes())),
            // Readings of a sensor: what one board sends under one number.
            (
                "readings",
                &mut numbers
                    .clone()
                    .map(|n| format!("[\"moisture\", {n}, {}.5]", n % 97).into_bytes()),
            ),
            ("low end first", &mut numbers.clone().map(|n| n.to_le_bytes().to_vec())),
            ("high end first", &mut numbers.map(|n| u64::from(n).to_be_bytes().to_vec())),
            (
                "two words of a step",
                &mut pairs().map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()].concat()),
            ),
            (
                "words of two steps",
                &mut pairs().map(|(a, b)| {
                    [&a.to_le_bytes()[..], &around, &b.to_le_bytes(), &around].concat()
                }),
            ),
            (
                "swapped words",
                &mut pairs().map(|(a, b)| {
                    [a.to_le_bytes(), b.to_le_bytes(), b.to_le_bytes(), a.to_le_bytes()].concat()
                }),
            ),
            ("two bits of zeros", &mut bits(48, 0)),
            ("two bits of a text", &mut bits(45, b'a')),
        ];
        for (kind, texts) in kinds {
            let (found, count) = collisions(texts);
            // Of random ones; three of them may be chance where none is likely.
            let random = (count * count) as f64 / (1u64 << 32) as f64;
            assert!((found as f64) < 2.0 * random + 4.0, "{kind}: {found} of {count}");
        }
    }

    #[test]
    fn each_bit_of_a_text_changes_about_half_of_the_fingerprint_and_always_some_of_it() {
        for len in 1..=70 {
            let (mut changed, mut texts) = ([0u32; 32], 0);
            for variant in 0..40 + 200 / len {
                let mut text: Vec<u8> = (0..len).map(|at| (variant * (at + 1)) as u8).collect();
                let before = fingerprint(&text);
                for bit in 0..len * 8 {
                    text[bit / 8] ^= 1 << (bit % 8);
                    let differs = before ^ fingerprint(&text);
                    text[bit / 8] ^= 1 << (bit % 8);
                    assert_ne!(differs & !TODAY, 0, "{len} bytes, variant {variant}, bit {bit}");
                    texts += 1;
                    for (n, count) in changed.iter_mut().enumerate() {
                        *count += differs >> n & 1;
                    }
                }
            }
            for (n, count) in changed.into_iter().enumerate() {
                let part = f64::from(count) / f64::from(texts);
                assert!((0.4..0.6).contains(&part), "{len} bytes: {part} of bit {n}");
            }
        }
    }

    #[test]
    fn the_length_counts() {
        for byte in [0, 1, 255] {
            let texts = [byte; 3000];
            let prints: BTreeSet<_> =
                (0..=texts.len()).map(|len| Print::of(&texts[..len]).remembered()).collect();
            assert_eq!(prints.len(), texts.len() + 1, "{byte}");
        }
    }
}

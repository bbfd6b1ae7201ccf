//! A set of message numbers.

use super::line::Mid;

/// A set of the 256 message numbers, 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MidSet([u32; 8]);

impl MidSet {
    /// The set without a number.
    pub const EMPTY: Self = Self([0; 8]);

    /// Returns true if `mid` is in the set.
    pub const fn contains(&self, mid: Mid) -> bool {
        let (word, bit) = place(mid);
        self.0[word] & bit != 0
    }

    /// Puts `mid` in, and returns true if it was not there.
    pub fn insert(&mut self, mid: Mid) -> bool {
        let (word, bit) = place(mid);
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    /// Takes `mid` out, and returns true if it was there.
    pub fn remove(&mut self, mid: Mid) -> bool {
        let (word, bit) = place(mid);
        let there = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        there
    }

    /// Returns true if no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 8]
    }

    /// Counts the numbers in the set: 0 to 256.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Takes out all that are not in `other` too.
    pub fn retain(&mut self, other: &Self) {
        for (word, keep) in self.0.iter_mut().zip(other.0) {
            *word &= keep;
        }
    }

    /// Returns the set as bits, the lowest number first.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut set = Self::EMPTY;
        for (word, chunk) in set.0.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*chunk);
        }
        set
    }

    /// Goes through the numbers, the lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Mid> + '_ {
        (0..=255).map(Mid).filter(|&mid| self.contains(mid))
    }

    /// Returns the highest number.
    pub fn highest(&self) -> Option<Mid> {
        let (word, bits) = self.0.iter().enumerate().rev().find(|(_, bits)| **bits != 0)?;
        Some(Mid((word as u32 * 32 + 31 - bits.leading_zeros()) as u8))
    }
}

const fn place(mid: Mid) -> (usize, u32) {
    ((mid.0 >> 5) as usize, 1 << (mid.0 & 31))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same as a set of the standard library, whatever goes in and out.
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), any::<u8>()), 0..600),
                       others in prop::collection::btree_set(any::<u8>(), 0..256)) {
            let (mut set, mut model) = (MidSet::EMPTY, BTreeSet::new());
            for (put, mid) in steps {
                if put {
                    prop_assert_eq!(set.insert(Mid(mid)), model.insert(mid));
                } else {
                    prop_assert_eq!(set.remove(Mid(mid)), model.remove(&mid));
                }
                prop_assert_eq!(set.contains(Mid(mid)), put);
                prop_assert_eq!(set.len(), model.len());
                prop_assert_eq!(set.is_empty(), model.is_empty());
                prop_assert_eq!(set.highest(), model.last().map(|&m| Mid(m)));
            }
            prop_assert_eq!(MidSet::from_bytes(&set.to_bytes()), set);
            prop_assert!((0..=255).all(|m| set.contains(Mid(m)) == (set.to_bytes()[usize::from(m / 8)] & 1 << (m % 8) != 0)));
            let mut other = MidSet::EMPTY;
            for &mid in &others {
                other.insert(Mid(mid));
            }
            set.retain(&other);
            model.retain(|mid| others.contains(mid));
            let (left, expected): (Vec<u8>, Vec<u8>) = (set.iter().map(|m| m.0).collect(), model.into_iter().collect());
            prop_assert_eq!(left, expected);
        }
    }
}

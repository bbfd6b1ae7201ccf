//! Mutations of inputs, for runs without libFuzzer: they repeat themselves, and need no special compiler.

use crate::rng::Rng;

/// Makes inputs from others.
#[derive(Debug)]
pub struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    random: Rng,
}

impl<'a> Mutations<'a> {
    /// Takes inputs to begin with, at least one, and a seed.
    pub const fn new(corpus: &'a [Vec<u8>], seed: u64) -> Self {
        Self { corpus, random: Rng(seed) }
    }

    fn below(&mut self, n: usize) -> usize {
        self.random.below(n.max(1) as u64) as usize
    }

    fn one(&mut self) -> &'a [u8] {
        let at = self.below(self.corpus.len());
        &self.corpus[at]
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut input = self.one().to_vec();
        for _ in 0..=self.below(4) {
            // The place behind the end, too.
            let at = self.below(input.len() + 1);
            match self.below(7) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = self.random.next() as u8,
                2 => input.insert(at.min(input.len()), self.random.next() as u8),
                3 if at < input.len() => drop(input.remove(at)),
                4 => input.truncate(at),
                5 if at < input.len() => {
                    let end = at + self.below(input.len() - at + 1);
                    let copy = input[at..end].to_vec();
                    let to = self.below(input.len());
                    input.splice(to..to, copy);
                }
                _ => {
                    let other = self.one();
                    let from = self.below(other.len());
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
            }
        }
        // As long as libFuzzer's.
        input.truncate(4096);
        Some(input)
    }
}

//! A queue of lines in one buffer: short ones take little room, and a long one finds all of it.

use heapless::Vec;

use super::line::Full;
use super::store::{Put, Store};

/// At most `LINES` lines of `BYTES` bytes in all, one behind the other. What is behind a line that
/// leaves is moved up: a few µs, and every line stays in one piece.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Packed<const BYTES: usize, const LINES: usize> {
    bytes: Vec<u8, BYTES>,
    /// Ends of the lines. `BYTES` is at most 65535.
    ends: Vec<u16, LINES>,
}

impl<const BYTES: usize, const LINES: usize> Packed<BYTES, LINES> {
    pub(crate) const fn new() -> Self {
        const { assert!(BYTES <= u16::MAX as usize) };
        Self { bytes: Vec::new(), ends: Vec::new() }
    }

    /// Returns true if there is room for one more line of `len` bytes.
    pub(crate) fn fits(&self, len: usize) -> bool {
        !self.ends.is_full() && self.bytes.len() + len <= BYTES
    }

    /// Appends a line of `len` bytes, which `write` writes into its place.
    ///
    /// # Errors
    /// [`Full`] if it does not fit; nothing has changed then, and `write` was not called.
    pub(crate) fn push_with(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        if !self.fits(len) {
            return Err(Full);
        }
        let at = self.bytes.len();
        self.bytes.resize(at + len, 0).map_err(|_| Full)?;
        write(&mut self.bytes[at..]);
        self.ends.push(self.bytes.len() as u16).map_err(|_| Full)
    }

    /// Returns the line `at`, of which 0 is the oldest.
    pub(crate) fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        self.bytes.get(self.start(at)..usize::from(end))
    }

    /// Drops the line `at`, if there is one.
    pub(crate) fn drop_line(&mut self, at: usize) {
        let Some(&end) = self.ends.get(at) else { return };
        let (start, end) = (self.start(at), usize::from(end));
        let len = end - start;
        self.bytes.copy_within(end.., start);
        self.bytes.truncate(self.bytes.len() - len);
        self.ends.remove(at);
        for end in &mut self.ends[at..] {
            *end -= len as u16;
        }
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |&end| usize::from(end))
    }
}

impl<const BYTES: usize, const LINES: usize> Store for Packed<BYTES, LINES> {
    type Line = ();

    fn text(&self, at: usize) -> &[u8] {
        self.get(at).expect("the caller knows how many there are")
    }

    fn remove(&mut self, at: usize) {
        self.drop_line(at);
    }
}

impl<const BYTES: usize, const LINES: usize> Put<&[u8]> for Packed<BYTES, LINES> {
    fn put<'a>(&mut self, line: &'a [u8]) -> Result<(), &'a [u8]> {
        self.push_with(line.len(), |place| place.copy_from_slice(line)).map_err(|Full| line)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::VecDeque;
    use std::vec::Vec as Lines;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(Lines<u8>),
        Remove(usize),
    }

    fn steps() -> impl Strategy<Value = Lines<Step>> {
        let push = prop::collection::vec(any::<u8>(), 0..24).prop_map(Step::Push);
        prop::collection::vec(
            prop_oneof![3 => push, 2 => (0..7usize).prop_map(Step::Remove)],
            1..80,
        )
    }

    proptest! {
        /// The same as a queue of whole lines with two limits, whatever is put in and taken out.
        #[test]
        fn it_is_a_bounded_queue(steps in steps()) {
            const BYTES: usize = 40;
            const LINES: usize = 5;
            let mut packed: Packed<BYTES, LINES> = Packed::new();
            let mut model: VecDeque<Lines<u8>> = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push(line) => {
                        let bytes: usize = model.iter().map(|line| line.len()).sum();
                        let fits = model.len() < LINES && bytes + line.len() <= BYTES;
                        prop_assert_eq!(packed.fits(line.len()), fits);
                        prop_assert_eq!(packed.put(&line), if fits { Ok(()) } else { Err(&line[..]) });
                        if fits {
                            model.push_back(line);
                        }
                    }
                    Step::Remove(at) => {
                        packed.drop_line(at);
                        model.remove(at);
                    }
                }
                for at in 0..=LINES {
                    prop_assert_eq!(packed.get(at), model.get(at).map(|line| line.as_slice()));
                }
            }
        }
    }
}

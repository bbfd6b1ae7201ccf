//! The flash sector of the keys, to which a running program appends.

use core::fmt;

use pblink_image::keys::{Fields, Keys, SIZE};
use pblink_protocol::secure::frame::KeyOutcome;
use pblink_secure_suite::board::Store;
use pblink_secure_suite::keys::BoardKeys;

/// A flash sector that is programmed while its program runs, and never erased: that would stall the chip for a second or two.
pub trait Sector: Send {
    /// Returns all of it.
    fn bytes(&self) -> &[u8];

    /// Programs a word at an offset that is a multiple of 4: bits that are 1 may become 0, and no others change. What became
    /// of it is read back.
    fn program(&mut self, at: usize, word: u32);
}

/// One in RAM: for tests, and for emulators.
impl<const N: usize> Sector for [u8; N] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn program(&mut self, at: usize, word: u32) {
        for (place, bits) in self[at..at + 4].iter_mut().zip(word.to_le_bytes()) {
            *place &= bits;
        }
    }
}

/// The records of keys in a sector.
pub(crate) struct Records(pub(crate) &'static mut dyn Sector);

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Keys::read(self.0.bytes()).fmt(f)
    }
}

impl Records {
    /// Programs bytes in the order of their addresses. Words that stay erased are passed over.
    fn program(&mut self, at: usize, bytes: &[u8; SIZE]) {
        for (n, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
            let word = u32::from_le_bytes(*word);
            if word != u32::MAX {
                self.0.program(at + 4 * n, word);
            }
        }
    }

    /// Overwrites the records that nobody needs any more: those before the settled one, and those of which only a part was
    /// written. There are few. At each start, too: a loss of power may have come between the mark of the new key and the end
    /// of the old one.
    pub(crate) fn wipe(&mut self) {
        for _ in 0..SPENT {
            let Some(at) = Keys::read(self.0.bytes()).spent().next() else { return };
            self.program(at, &[0; SIZE]);
        }
    }
}

impl Store for Records {
    fn append(&mut self, keys: &BoardKeys) -> KeyOutcome {
        let there = Keys::read(self.0.bytes());
        let Some(at) = there.free() else { return KeyOutcome::Full };
        let Some(record) = there.record() else { return KeyOutcome::Failed };
        let fields = Fields {
            id: keys.id.as_str(),
            generation: keys.generation,
            private: keys.private.expose(),
            server: &keys.server.0,
            shared: keys.shared.expose(),
            seed: record.seed(),
            confirmed: false,
        };
        let Ok(mut bytes) = fields.write() else { return KeyOutcome::Failed };
        self.program(at, &bytes);
        let same = self.0.bytes()[at..at + SIZE] == bytes;
        bytes.fill(0);
        if same { KeyOutcome::Taken } else { KeyOutcome::Failed }
    }

    fn settle(&mut self) {
        let Some(record) = Keys::read(self.0.bytes()).record() else { return };
        self.0.program(record.confirm_at(), 0);
        self.wipe();
    }
}

/// The most records that are overwritten at a time: the chip waits for it.
const SPENT: usize = 4;

#[cfg(test)]
mod tests {
    use std::boxed::Box;

    use pblink_secure_suite::keys::{Id, PublicKey, Secret};

    use super::*;

    const SLOTS: usize = 4;

    /// A sector that loses its power before so many more words are programmed.
    struct Cut {
        bytes: [u8; SLOTS * SIZE],
        words: usize,
    }

    impl Sector for Cut {
        fn bytes(&self) -> &[u8] {
            &self.bytes
        }

        fn program(&mut self, at: usize, word: u32) {
            if let Some(left) = self.words.checked_sub(1) {
                self.words = left;
                self.bytes.program(at, word);
            }
        }
    }

    fn keys(generation: u32) -> BoardKeys {
        BoardKeys {
            id: Id::new("kitchen").expect("an id"),
            generation,
            private: Secret::new([8; 32]),
            server: PublicKey([2; 32]),
            shared: Secret::new([generation as u8; 32]),
        }
    }

    fn provisioned() -> [u8; SLOTS * SIZE] {
        let mut bytes = [0xff; SLOTS * SIZE];
        let fields = Fields {
            id: "kitchen",
            generation: 1,
            private: &[8; 32],
            server: &[2; 32],
            shared: &[1; 32],
            seed: &[9; 32],
            confirmed: true,
        };
        bytes[..SIZE].copy_from_slice(&fields.write().expect("a good id"));
        bytes
    }

    fn records(words: usize) -> Records {
        Records(Box::leak(Box::new(Cut { bytes: provisioned(), words })))
    }

    fn state(records: &Records) -> (u32, bool, Option<u32>) {
        let keys = Keys::read(records.0.bytes());
        let last = keys.record().expect("there is one");
        (last.generation(), last.confirmed(), keys.fallback().map(|old| old.generation()))
    }

    #[test]
    fn a_key_is_appended_and_settled_and_the_one_before_it_overwritten() {
        let mut records = records(usize::MAX);
        assert_eq!(records.append(&keys(2)), KeyOutcome::Taken);
        assert_eq!(state(&records), (2, false, Some(1)));
        let new = Keys::read(records.0.bytes()).record().expect("there is one");
        assert_eq!((new.shared(), new.seed(), new.id()), (&[2; 32], &[9; 32], "kitchen"));
        records.settle();
        assert_eq!(state(&records), (2, true, None));
        assert_eq!(records.0.bytes()[..SIZE], [0; SIZE]);
        // Until the sector is full: it is not erased.
        assert_eq!(records.append(&keys(3)), KeyOutcome::Taken);
        assert_eq!(records.append(&keys(4)), KeyOutcome::Taken);
        assert_eq!(
            (records.append(&keys(5)), state(&records)),
            (KeyOutcome::Full, (4, false, Some(2)))
        );
    }

    /// Whatever word is the last one: the keys before, or the new ones, and never none.
    #[test]
    fn a_loss_of_power_at_any_word_leaves_keys_that_the_server_takes() {
        let mut seen = std::collections::BTreeSet::new();
        for words in 0..=4 * SIZE / 4 {
            let mut records = records(words);
            let taken = records.append(&keys(2)) == KeyOutcome::Taken;
            let (generation, confirmed, fallback) = state(&records);
            assert_eq!(taken, generation == 2, "{words} words");
            if taken {
                assert!(!confirmed && fallback == Some(1));
                records.settle();
                let (generation, confirmed, fallback) = state(&records);
                assert_eq!((generation, fallback), (2, (!confirmed).then_some(1)), "{words} words");
                seen.insert((taken, confirmed));
            }
            // The next start.
            let mut bytes = [0; SLOTS * SIZE];
            bytes.copy_from_slice(records.0.bytes());
            let mut again = Records(Box::leak(Box::new(bytes)));
            again.wipe();
            assert_eq!(state(&again), state(&records), "{words} words");
            let old = Keys::read(again.0.bytes()).fallback().is_some() || !taken;
            let there = again.0.bytes().windows(32).any(|bytes| bytes == [1; 32]);
            assert_eq!(there, old, "{words} words");
            seen.insert((taken, false));
        }
        assert_eq!(
            seen.into_iter().collect::<std::vec::Vec<_>>(),
            [(false, false), (true, false), (true, true)]
        );
    }
}

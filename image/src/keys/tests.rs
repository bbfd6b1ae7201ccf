//! Records in a sector that behaves as flash does.

extern crate std;
use std::format;
use std::vec;
use std::vec::Vec;

use super::*;

/// A sector of flash: programming clears bits, and sets none.
struct Flash(Vec<u8>);

impl Flash {
    fn new(slots: usize) -> Self {
        Self(vec![0xff; slots * SIZE])
    }

    fn program(&mut self, at: usize, bytes: &[u8]) {
        assert_eq!((at % 4, bytes.len() % 4), (0, 0), "whole words");
        for (there, byte) in self.0[at..].iter_mut().zip(bytes) {
            *there &= byte;
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys::read(&self.0)
    }

    /// Appends a record, of which only this many bytes arrive.
    fn append_cut(&mut self, id: &str, generation: u32, confirmed: bool, cut: usize) {
        let at = self.keys().free().expect("room");
        let bytes = record(id, generation, confirmed);
        self.program(at, &bytes[..cut]);
    }

    fn append(&mut self, id: &str, generation: u32, confirmed: bool) {
        self.append_cut(id, generation, confirmed, SIZE);
    }

    /// Id and generation of the keys that count, and the generation of those to fall back to.
    fn found(&self) -> Option<(&str, u32, Option<u32>)> {
        let record = self.keys().record()?;
        let fallback = self.keys().fallback().map(|record| record.generation());
        Some((record.id(), record.generation(), fallback))
    }
}

fn record(id: &str, generation: u32, confirmed: bool) -> [u8; SIZE] {
    let byte = generation as u8;
    let [private, server, shared, seed] = [0x10, 0x20, 0x30, 0x40].map(|key| [key | byte; KEY]);
    let (private, server, shared, seed) = (&private, &server, &shared, &seed);
    Fields { id, generation, private, server, shared, seed, confirmed }.write().expect("a good id")
}

#[test]
fn a_record_has_the_layout_that_is_documented() {
    let bytes = record("kitchen", 0x0102_0304, true);
    assert_eq!(bytes[..12], *b"PBKY\x01\x00\x07\x00\x04\x03\x02\x01");
    assert_eq!(bytes[12..16], crc32(&[&bytes[4..12], &bytes[16..208]]).to_le_bytes());
    assert_eq!(bytes[16..48], [0x14; 32]);
    assert_eq!(bytes[48..80], [0x24; 32]);
    assert_eq!(bytes[80..112], [0x34; 32]);
    assert_eq!(bytes[112..144], [0x44; 32]);
    assert_eq!((&bytes[144..151], &bytes[151..208]), (&b"kitchen"[..], &[0xff; 57][..]));
    assert_eq!((&bytes[208..212], &bytes[212..]), (&[0; 4][..], &[0xff; 44][..]));
    assert_eq!(record("kitchen", 1, false)[208..], [0xff; 48]);
}

#[test]
fn what_is_written_is_read() {
    let longest = "é".repeat(MAX_ID / 2);
    for id in ["1", "kitchen", &longest] {
        let mut flash = Flash::new(4);
        flash.append(id, 3, false);
        let record = flash.keys().record().expect("it is whole");
        assert_eq!((record.id(), record.generation(), record.offset()), (id, 3, 0));
        assert_eq!((record.private(), record.server()), (&[0x13; 32], &[0x23; 32]));
        assert_eq!((record.shared(), record.seed()), (&[0x33; 32], &[0x43; 32]));
        assert!(!record.confirmed());
    }
    for id in ["", " kitchen", "a\nb", &"x".repeat(MAX_ID + 1)] {
        let key = &[0; KEY];
        let fields = Fields {
            id,
            generation: 1,
            private: key,
            server: key,
            shared: key,
            seed: key,
            confirmed: false,
        };
        assert_eq!(fields.write(), Err(BadId), "{id:?}");
    }
}

#[test]
fn the_last_record_counts() {
    let mut flash = Flash::new(3);
    assert_eq!((flash.found(), flash.keys().free()), (None, Some(0)));
    flash.append("attic", 1, true);
    flash.append("kitchen", 7, true);
    assert_eq!((flash.found(), flash.keys().free()), (Some(("kitchen", 7, None)), Some(2 * SIZE)));
    // Its place decides, not its generation.
    flash.append("kitchen", 2, true);
    assert_eq!((flash.found(), flash.keys().free()), (Some(("kitchen", 2, None)), None));
    assert_eq!(Keys::read(&[]).free(), None);
    assert_eq!(Keys::read(&[0xff; SIZE - 1]).free(), None);
}

#[test]
fn an_append_that_is_cut_off_anywhere_leaves_the_record_before() {
    for cut in (0..=SIZE).step_by(4) {
        let mut flash = Flash::new(4);
        flash.append("kitchen", 1, true);
        flash.append_cut("kitchen", 2, false, cut);
        // All that is behind the id is 0xff anyway.
        let expected =
            if cut < MAX_ID + ID - 57 { ("kitchen", 1, None) } else { ("kitchen", 2, Some(1)) };
        assert_eq!(flash.found(), Some(expected), "{cut}");
        let free = if cut == 0 { SIZE } else { 2 * SIZE };
        assert_eq!(flash.keys().free(), Some(free), "{cut}");
        // The next attempt is not disturbed by it.
        flash.append("kitchen", 3, true);
        assert_eq!(flash.found(), Some(("kitchen", 3, None)), "{cut}");
    }
}

#[test]
fn a_hole_that_seems_empty_hides_nothing_behind_it() {
    let mut flash = Flash::new(4);
    flash.program(2 * SIZE, &record("kitchen", 2, true));
    assert_eq!((flash.found(), flash.keys().free()), (Some(("kitchen", 2, None)), Some(3 * SIZE)));
}

#[test]
fn the_board_falls_back_until_the_new_keys_have_worked() {
    let mut flash = Flash::new(8);
    flash.append("kitchen", 1, true);
    flash.append("kitchen", 2, false);
    assert_eq!(flash.found(), Some(("kitchen", 2, Some(1))));
    // Another attempt before they worked: still the ones that have.
    flash.append("kitchen", 3, false);
    assert_eq!(flash.found(), Some(("kitchen", 3, Some(1))));
    let at = flash.keys().record().expect("the third").confirm_at();
    flash.program(at, &[0; 4]);
    assert_eq!(flash.found(), Some(("kitchen", 3, None)));
    flash.append("kitchen", 4, false);
    assert_eq!(flash.found(), Some(("kitchen", 4, Some(3))));
    // Keys of another id are not those of this board.
    flash.append("attic", 1, false);
    assert_eq!(flash.found(), Some(("attic", 1, None)));
    // Any bit of the word will do: the supply may fail here, too.
    let at = flash.keys().record().expect("the last").confirm_at();
    flash.program(at, &[0xff, 0xff, 0xfe, 0xff]);
    assert!(flash.keys().record().is_some_and(|record| record.confirmed()));
}

#[test]
fn keys_that_never_worked_are_nothing_to_fall_back_to() {
    let mut flash = Flash::new(2);
    flash.append("kitchen", 1, false);
    flash.append("kitchen", 2, false);
    assert_eq!(flash.found(), Some(("kitchen", 2, None)));
}

#[test]
fn any_flipped_bit_is_noticed() {
    let good = record("kitchen", 1, true);
    for bit in 0..END * 8 {
        let mut slot = good;
        slot[bit / 8] ^= 1 << (bit % 8);
        assert!(Keys::read(&slot).record().is_none(), "bit {bit}");
    }
}

#[test]
fn what_a_good_check_sum_covers_is_still_checked() {
    let refuses = |change: &dyn Fn(&mut [u8; SIZE])| {
        let mut slot = record("kitchen", 1, true);
        change(&mut slot);
        let crc = sum(&slot);
        slot[12..16].copy_from_slice(&crc.to_le_bytes());
        Keys::read(&slot).record().is_none()
    };
    assert!(!refuses(&|_| ()));
    assert!(refuses(&|slot| slot[4] = 2), "another version");
    assert!(refuses(&|slot| slot[6] = 0), "no id");
    assert!(refuses(&|slot| slot[6] = 65), "an id beyond its room");
    assert!(refuses(&|slot| slot[6] = 6), "a rest behind the id");
    assert!(refuses(&|slot| slot[ID] = 0xfe), "no UTF-8");
    assert!(refuses(&|slot| slot[ID] = b' '), "an id that cannot be one");
}

#[test]
fn what_is_spent_can_be_wiped() {
    let mut flash = Flash::new(8);
    flash.append("kitchen", 1, true);
    flash.append_cut("kitchen", 2, true, 40);
    flash.append("kitchen", 3, true);
    flash.append("kitchen", 4, false);
    let spent: Vec<_> = flash.keys().spent().collect();
    assert_eq!(spent, [0, SIZE]);
    for at in spent {
        flash.program(at, &[0; SIZE]);
    }
    assert_eq!(flash.keys().spent().count(), 0);
    assert_eq!(
        (flash.found(), flash.keys().free()),
        (Some(("kitchen", 4, Some(3))), Some(4 * SIZE))
    );
}

#[test]
fn no_secret_is_shown() {
    let mut flash = Flash::new(2);
    flash.append("kitchen", 1, true);
    let shown = format!("{:?}", flash.keys());
    let expected = "Keys { record: Some(Record { id: \"kitchen\", generation: 1, confirmed: true, .. }), fallback: None, .. }";
    assert_eq!(shown, expected);
}

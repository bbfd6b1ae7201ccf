//! Which link a chip has, by what is in it.

use std::boxed::Box;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use pblink_image::keys::Fields;

use super::*;

const SEED: [u8; 32] = *b"32 bytes that came with the keys";

const SECTOR: usize = 4096;

/// A sector with keys for this id.
fn sector(id: &str, seed: &[u8; 32]) -> Vec<u8> {
    let fields = Fields {
        id,
        generation: 3,
        private: &[0x11; 32],
        server: &[0x22; 32],
        shared: &[0x33; 32],
        seed,
        confirmed: true,
    };
    let mut sector = fields.write().expect("a good id").to_vec();
    sector.resize(SECTOR, 0xff);
    sector
}

fn vault(sector: Vec<u8>, kept: Vec<u8>) -> Vault {
    let sector: [u8; SECTOR] = sector.try_into().expect("its size");
    let (keys, kept) = (Box::leak(Box::new(sector)), Box::leak(kept.into_boxed_slice()));
    Vault { keys, kept, unique: *b"unique chip!", noise: None }
}

#[test]
fn the_keys_of_this_id_make_a_secure_link_and_no_others() {
    let ram = || vec![0xa5; LEAST_KEPT];
    let open = |sector, id| vault(sector, ram()).open(id).expect("there is a seed");
    assert!(open(vec![0xff; 4096], "kitchen").is_none());
    assert!(open(sector("kitchen", &SEED), "garage").is_none());
    let session = open(sector("kitchen", &SEED), "kitchen").expect("there are keys");
    let server = PublicKey([0x22; 32]).fingerprint();
    let board = session.suite.public_key().fingerprint();
    assert_eq!(session.security(), Security::Secure { board, server, kept: None });
    assert_eq!(session.time(), Instant::ZERO);
    let said = session.security().to_string();
    assert!(said.contains(&board.to_string()) && said.contains(&server.to_string()), "{said}");
}

#[test]
fn keys_without_random_numbers_make_no_link_at_all() {
    let open = |noise| {
        let vault = vault(sector("kitchen", &[0xff; 32]), vec![0xa5; LEAST_KEPT]);
        Vault { noise, ..vault }.open("kitchen").map(|session| session.is_some())
    };
    assert_eq!(open(None), Err(NoEntropy::NoSource));
    assert_eq!(open(Some([0x3c; 48])), Ok(true));
    // Who has no keys needs none.
    let none = vault(vec![0xff; 4096], vec![0xa5; LEAST_KEPT]);
    assert_eq!(none.open("kitchen").map(|session| session.is_some()), Ok(false));
}

#[test]
fn a_reset_keeps_lines_and_epoch_and_a_loss_of_power_nothing() {
    // All of the chip's RAM that is kept, of which the link uses the end.
    let mut ram = vec![0x5a; LEAST_KEPT];
    let open = |ram: &[u8]| {
        let vault = vault(sector("kitchen", &SEED), ram.to_vec());
        vault.open("kitchen").expect("there is a seed").expect("there are keys")
    };
    let mut session = open(&ram);
    let epoch = session.memory.epoch();
    session.memory.push(Instant::from_millis(5), "one").expect("there is room");
    session.memory.tick(Instant::from_millis(700));
    ram[SUCCESSOR..].copy_from_slice(session.memory.ram());

    let again = open(&ram);
    assert!(matches!(again.security(), Security::Secure { kept: Some(1), .. }));
    assert_eq!(again.memory.epoch(), epoch);
    assert_eq!(again.time(), Instant::from_millis(700));

    // Cells come up as they like.
    for byte in &mut ram {
        *byte = byte.rotate_left(3) ^ 0x41;
    }
    let anew = open(&ram);
    assert!(matches!(anew.security(), Security::Secure { kept: None, .. }));
    assert_ne!(anew.memory.epoch(), epoch);
    assert_eq!((anew.memory.next(), anew.time()), (1, Instant::ZERO));
}

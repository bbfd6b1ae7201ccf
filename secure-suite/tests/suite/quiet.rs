//! Checks of what is shown of keys.

use pblink_protocol::secure::suite::ServerSuite;
use pblink_secure_suite::Fingerprint;
use pblink_secure_suite::keys::{Id, PublicKey};

use crate::{Ends, NOW, issued};

/// Returns the runs of bytes in what is shown, as numbers and as hexadecimal digits.
fn shows(text: &str, secret: &[u8]) -> bool {
    let decimal: Vec<String> = secret[..4].iter().map(u8::to_string).collect();
    let plain: String = secret[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    text.contains(&decimal.join(", ")) || text.to_lowercase().contains(&plain)
}

#[test]
fn debug_shows_no_secret() {
    let keys = issued(1);
    let mut ends = Ends::of(&keys, 1);
    let (hello, challenge, handshake) = ends.hello();
    let (above, _) = ends.server.answer(&hello, &challenge, NOW).unwrap();
    let text =
        format!("{keys:?} {keys:#?} {:?} {:?} {handshake:?} {above:?}", ends.board, ends.server);
    assert!(text.contains("kitchen") && text.contains("Secret"));
    for secret in [
        &keys.board.private,
        &keys.board.shared,
        &keys.server.private,
        &keys.server.shared,
        &keys.seed,
    ] {
        assert!(!shows(&text, secret.expose()));
    }
    assert!(shows(&format!("{:?}", keys.seed.expose()), keys.seed.expose()));
    // Public keys are shown as their fingerprints only.
    assert!(!shows(&text, &keys.server.board.0));
    assert!(text.contains(&keys.server.board.fingerprint().to_string()));
}

#[test]
fn a_fingerprint_has_ten_digits_in_two_groups() {
    // SHA-256 of 32 zero bytes begins with 66687aadf862bd77.
    assert_eq!(Fingerprint::of(&[0; 32]).to_string(), "CSM7N-BFRCA");
    assert_eq!(format!("{:?}", PublicKey([0; 32])), "CSM7N-BFRCA");
    assert_ne!(Fingerprint::of(&[0; 32]), Fingerprint::of(&[1; 32]));
}

#[test]
fn only_ids_of_the_wire_have_keys() {
    for id in ["", " kitchen", "a\nb", &"x".repeat(65)] {
        assert!(Id::new(id).is_err(), "{id:?}");
    }
    assert_eq!(Id::new(&"x".repeat(64)).unwrap().as_str().len(), 64);
}

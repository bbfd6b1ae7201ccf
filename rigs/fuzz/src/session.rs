//! Sessions as a store keeps them: `SessionState::decode` and `SessionState::encode`.

use pblink_protocol::tcp::window::{fingerprint, murmur3};
use pblink_server::{BadState, SessionState};

/// The version that is only read, and that of the classic link's sessions.
const FIRST: u8 = 1;
const CLASSIC: u8 = 3;

/// The longest one, as its documentation says.
const LONGEST: usize = 1109;

/// Reads bytes as a session.
pub type Decode = fn(&[u8]) -> Result<SessionState, BadState>;

/// Runs an input: bytes of a store, and the same with the check that belongs to them.
pub fn run(data: &[u8]) {
    run_with(data, SessionState::decode);
}

/// Runs it with another reader.
pub fn run_with(data: &[u8], decode: Decode) {
    read(data, decode);
    let check = if data.first() == Some(&CLASSIC) { fingerprint(data) } else { murmur3(data) };
    let mut whole = data.to_vec();
    whole.extend(check.to_le_bytes());
    read(&whole, decode);
    if let Some(last) = whole.last_mut() {
        *last ^= 1;
        assert!(decode(&whole).is_err(), "its check is another");
    }
}

/// Reads a session: each has one form, but for those that older programs wrote.
fn read(bytes: &[u8], decode: Decode) {
    let Ok(state) = decode(bytes) else { return };
    let again = state.encode();
    assert!(again.len() <= LONGEST, "{} bytes", again.len());
    assert_eq!(decode(&again).as_ref(), Ok(&state));
    if bytes[0] != FIRST {
        assert_eq!(again, bytes);
    }
}

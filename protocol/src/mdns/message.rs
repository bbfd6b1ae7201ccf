//! The messages: RFC 1035 §4, with what RFC 6762 §18 changes.

use crate::config::MAX_SERVER;

/// The longest query in bytes.
pub const MAX_QUERY: usize = HEADER + MAX_SERVER + 2 + 4;

const HEADER: usize = 12;
/// The longest label and the longest name on the wire, in bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 255;
/// Type A.
const ADDRESS: u16 = 1;
/// Class IN.
const INTERNET: u16 = 1;
/// In a question: the answer shall come to the asker alone. In an answer: older ones are void.
const TOP: u16 = 0x8000;

/// Writes the question for the IPv4 address of `name` into `out`, and returns its length. Answers repeat `id`.
/// `None` if this is no such name, or `out` is too short; [`MAX_QUERY`] bytes are enough for the server of any
/// configuration.
pub fn query(name: &str, id: u16, out: &mut [u8]) -> Option<usize> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let len = HEADER + name.len() + 2 + 4;
    let out = out.get_mut(..len).filter(|_| name.len() + 2 <= MAX_NAME)?;
    out.fill(0);
    out[..2].copy_from_slice(&id.to_be_bytes());
    // One question.
    out[5] = 1;
    let mut at = HEADER;
    for label in name.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL {
            return None;
        }
        out[at] = label.len() as u8;
        out[at + 1..=at + label.len()].copy_from_slice(label.as_bytes());
        at += 1 + label.len();
    }
    out[at + 1..at + 3].copy_from_slice(&ADDRESS.to_be_bytes());
    out[at + 3..].copy_from_slice(&(INTERNET | TOP).to_be_bytes());
    Some(len)
}

/// Returns the first IPv4 address that a message gives to `name` in answer to the question with this id. `None` if it
/// has none, is no such answer or is garbled. A message without an id is an answer too: responders that do not know
/// questions of this kind send those.
pub fn answer(message: &[u8], name: &str, id: u16) -> Option<[u8; 4]> {
    let (head, _) = message.split_first_chunk::<HEADER>()?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    // An answer, of an ordinary question, without an error.
    let (flags, theirs) = (word(2), word(0));
    if flags & 0xf80f != TOP || (theirs != id && theirs != 0) {
        return None;
    }
    let mut at = HEADER;
    for _ in 0..word(4) {
        at = skip_name(message, at)?.checked_add(4)?;
    }
    // Answers, authorities, additional ones. Each takes bytes, so that the message bounds their number.
    for _ in 0..u32::from(word(6)) + u32::from(word(8)) + u32::from(word(10)) {
        let named = at;
        let (fields, _) = message.get(skip_name(message, at)?..)?.split_first_chunk::<10>()?;
        at = skip_name(message, at)? + 10;
        let [kind, class, len] = [0, 2, 8].map(|n| u16::from_be_bytes([fields[n], fields[n + 1]]));
        let data = message.get(at..at + usize::from(len))?;
        at += usize::from(len);
        if kind == ADDRESS
            && class & !TOP == INTERNET
            && let Ok(address) = <[u8; 4]>::try_from(data)
            && is_host(address)
            && is_name(message, named, name)
        {
            return Some(address);
        }
    }
    None
}

/// Returns true for the address of one host.
fn is_host(address: [u8; 4]) -> bool {
    address[0] != 0 && address[0] < 224
}

/// Returns the place behind a name.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len if len & 0xc0 == 0 => at += 1 + usize::from(len),
            // The rest of the name is elsewhere.
            len if len & 0xc0 == 0xc0 => return message.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

/// Returns true if `name` stands at `at`, in whatever case.
fn is_name(message: &[u8], mut at: usize, name: &str) -> bool {
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    // A reference must lead back, behind nothing that was looked at already: so this ends.
    let mut limit = at;
    loop {
        let Some(&len) = message.get(at) else { return false };
        match len & 0xc0 {
            0 if len == 0 => return labels.next().is_none(),
            0 => {
                let label = message.get(at + 1..at + 1 + usize::from(len));
                let wanted = labels.next().map(str::as_bytes);
                let (Some(label), Some(wanted)) = (label, wanted) else { return false };
                if !label.eq_ignore_ascii_case(wanted) {
                    return false;
                }
                at += 1 + usize::from(len);
            }
            0xc0 => {
                let Some(&low) = message.get(at + 1) else { return false };
                let target = usize::from(len & 0x3f) << 8 | usize::from(low);
                if target >= limit {
                    return false;
                }
                (at, limit) = (target, target);
            }
            _ => return false,
        }
    }
}

//! Names that end in `.local`: questions by multicast DNS (RFC 6762), as far as a board needs them.
//!
//! A board asks for one address of one name, from a port of its own, and the answer comes to that port ("one-shot" and
//! "legacy unicast" in the RFC): it need not join the group. [`query`] and [`answer`] are the messages, [`Finder`] asks
//! again until there is an answer.

mod finder;
mod message;

pub use finder::Finder;
pub use message::{MAX_QUERY, answer, query};

/// The group that is asked: its address.
pub const GROUP: [u8; 4] = [224, 0, 0, 251];

/// The group's port.
pub const PORT: u16 = 5353;

/// Returns true if a name is one for multicast DNS: it ends in `.local`, with or without a dot behind.
pub fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
    name.len() > LOCAL.len() && name[name.len() - LOCAL.len()..].eq_ignore_ascii_case(LOCAL)
}

const LOCAL: &[u8] = b".local";

//! The parts of a session that both ends have: keys with their counters, and the sending and taking of lines, of those that may be
//! lost, too.

mod datagram;
mod key;
mod receiver;
mod sender;

pub(super) use datagram::{DatagramReceiver, DatagramSender};
pub(super) use key::{Key, Opened, REKEY_AFTER, REKEY_FRAMES, STOP_AFTER, STOP_FRAMES};
pub(super) use receiver::{Receiver, Taken};
pub(super) use sender::Sender;
pub use sender::{Lines, MAX_WINDOW, Outgoing};

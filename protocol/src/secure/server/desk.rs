//! The owner of a session, as the machine sees it.

use super::super::frame::{Epoch, Keyed, Resume};

/// The owner of a session, which keeps and tells.
pub trait Desk {
    /// Takes a line: it is committed, and then reported with [`Server::on_committed`](super::Server::on_committed). False: there is no room, and it comes
    /// again.
    fn deliver(&mut self, line: Received<'_>) -> bool;
    /// A board says where it stands. The owner reads the [`Book`](super::Book), [resolves](super::resolve()) and commits in one transaction, behind
    /// all lines that it has taken, and reports it with [`Server::on_resolved`](super::Server::on_resolved).
    fn resolve(&mut self, resume: Resume);
    /// The board's application is done with its lines up to this number: they leave the outbox with the next commit.
    fn done(&mut self, number: u64);
    /// Takes a line that the board sent once, and that counts for nothing: it has no number, and is not acknowledged.
    fn datagram(&mut self, text: &str);
    /// Something has happened to the board. Kinds that are not known are passed over.
    fn board_event(&mut self, kind: u8, bytes: &[u8]);
    /// Something has happened to the link.
    fn event(&mut self, event: ServerEvent);
}

/// A line from a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Received<'a> {
    /// The epoch of the board.
    pub epoch: Epoch,
    /// Its number in this epoch, from 1.
    pub seq: u64,
    /// Time since it was written, in ms.
    pub age_ms: u64,
    /// Its text.
    pub text: &'a str,
}

/// An event of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerEvent {
    /// The link is up, over this visitor.
    Up(u64),
    /// The link is down.
    Down,
    /// Another board uses the keys of one that lives.
    TwoBoards,
    /// A line came that cannot be one, and is passed over: the board's program is wrong.
    Invalid,
    /// The board has proven to have the keys of this generation.
    Proven(u32),
    /// The board's word on a key that it was given.
    Keyed(Keyed),
}

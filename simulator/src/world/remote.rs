//! A server as the world sees it, whatever it speaks.

use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::time::Instant;

use crate::flaw::Flaw;

/// Something for the world to do.
#[derive(Debug)]
pub(super) enum Action {
    Send(usize, Vec<u8>),
    Close(usize),
    /// Line `.1` was written to board `.0`.
    Wrote(usize, u64),
    /// A line has come.
    Received(Received),
}

/// A line from a board.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) board: usize,
    pub(super) text: String,
}

/// Something that the system has for the server's process, by the connection that it came by.
#[derive(Debug)]
pub(super) enum Input {
    Accepted,
    Bytes(Vec<u8>),
    Closed,
}

/// A server.
pub(super) trait Remote {
    /// Plants a fault in the server, if it is one that this server can have.
    fn plant(&mut self, _: Flaw) {}

    /// Stops the program. Its knowledge of its clients survives.
    fn stop(&mut self, until: Instant);

    /// Kills the process: what is not committed is gone.
    ///
    /// # Panics
    /// If the server does not commit.
    fn crash(&mut self, until: Instant);

    /// Lets the application take no lines.
    fn do_not_read(&mut self, until: Instant);

    /// Freezes the process.
    fn stall(&mut self, until: Instant);

    /// Lets the application write no more lines.
    fn stop_writing(&mut self);

    /// Returns the number of times that a board has connected.
    fn connects(&self, board: usize) -> u32;

    /// Returns the number of lines to boards of which nobody knows whether they have arrived.
    fn undetermined(&self) -> u64;

    /// Returns the causes of a board's starts, as it has told them to the present process.
    fn restarts(&self, board: usize) -> &[RestartCause];

    /// Connects a client. Returns whether the server listens.
    fn on_accept(&mut self, now: Instant, connection: usize) -> bool;

    /// The other end of a connection, or the way to it, has closed it.
    fn on_closed(&mut self, now: Instant, connection: usize);

    /// Bytes have come.
    fn on_bytes(&mut self, now: Instant, connection: usize, bytes: Vec<u8>);

    /// Does what is due.
    fn poll(&mut self, now: Instant) -> Vec<Action>;

    /// Returns the time of the next poll, if nothing happens before.
    fn next_at(&self, now: Instant) -> Option<Instant>;
}

//! Where a line came from.

/// The origin of a line that came over a secure link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Origin {
    /// The epoch of the board: a random number for each time that it was switched on.
    pub epoch: u64,
    /// The number of the line in this epoch, from 1: the next one is its successor, and no other line has the two.
    pub seq: u64,
    /// When the board's program wrote it, in milliseconds since the Unix epoch: by this machine's clock, and by the age that
    /// the board gave.
    pub written_ms: u64,
}

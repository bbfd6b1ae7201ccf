//! Faults that are planted.

/// Rules that an owner or a board breaks: the model has to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rules {
    /// Lines are acknowledged before they are committed.
    pub acknowledges_early: bool,
    /// The answer to a board does not wait for its commit.
    pub answers_early: bool,
    /// A new process knows nothing of what the one before may have sent.
    pub forgets_mark: bool,
    /// All epochs look known, and a store never looks older than it is.
    pub knows_all_epochs: bool,
    /// A board's epoch is taken for the one that the store knows.
    pub checks_no_board: bool,
    /// Keys live on when the machine goes back to a snapshot, so that their counters may repeat.
    pub keeps_keys: bool,
    /// The epoch does, so that numbers of lines may.
    pub keeps_epoch: bool,
    /// The key before is forgotten at once when a board is given another one.
    pub forgets_key: bool,
    /// The server says that it takes no key before the newest one, before its file says so.
    pub settles_before_note: bool,
    /// The board forgets the key before when it takes one.
    pub settles_when_taken: bool,
}

//! The answer to a board that says where it stands, from what the store knows of it.

use super::super::frame::{Epoch, Resume};

/// The knowledge of a server's store about one id, at the moment of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Book {
    /// The epoch of this process. Each start of one has its own, and is in the store before it is used.
    pub own: Epoch,
    /// The epoch of the board that has sent the lines in the store.
    pub board: Option<Epoch>,
    /// The last line of that epoch that is in the store.
    pub last_received: u64,
    /// The epoch that the board says it knows, as the store has it.
    pub view: Known,
    /// The highest number that a line to this board was ever given; 0: none.
    pub highest: u64,
    /// The same when this process began.
    pub highest_at_start: u64,
    /// See [`Server::mark`](super::Server::mark).
    pub mark: u64,
}

/// An epoch of a server's process, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Known {
    /// The store has never heard of it: it is older than the epoch.
    Never,
    /// It is the epoch of a process that has not ended.
    Open,
    /// Its process has ended, with this highest number.
    Closed(u64),
    /// A board has come with it when the store was older: the numbers up to this one may mean other lines.
    Foreign(u64),
}

/// The changes to be committed before the board is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// The question.
    pub asked: Resume,
    /// The board's epoch, from now on.
    pub board: Epoch,
    /// The last line of it that is in the store, from now on: those up to it will not come.
    pub received: u64,
    /// Lines, from and to, that the store has lost since it had acknowledged them: the application is told.
    pub lost: Option<(u64, u64)>,
    /// Lines to the board up to this number are *undetermined*: nobody knows whether they have arrived. They leave the
    /// outbox, and the application is told.
    pub undetermined: Option<u64>,
    /// Lines to the board up to this number are delivered, and leave the outbox.
    pub delivered: Option<u64>,
    /// This epoch is to be kept as [`Known::Foreign`] with this number, so that the same question has the same answer.
    pub foreign: Option<(Epoch, u64)>,
    /// The last line of the outbox that the board has received.
    pub sent: u64,
    /// The answer. A server that keeps lines in memory, and has not handed all of them over, says so by a smaller
    /// [`Resume::done`].
    pub answer: Resume,
}

/// Resolves where a board and a store stand. Each rule is needed: without it a run of faults is known that loses or doubles
/// a line.
pub fn resolve(resume: &Resume, book: &Book) -> Resolution {
    let new_board = book.board != Some(resume.epoch);
    let expected = if new_board { 1 } else { book.last_received.saturating_add(1) };
    // No board has a line 0.
    let before_first = resume.first.saturating_sub(1);
    // It sends from there on, and has been told that those before are kept.
    let lost = (resume.first > expected).then_some((expected, before_first));
    let received = if new_board || lost.is_some() { before_first } else { book.last_received };

    // A view that the store cannot have given is from a time after its backup.
    let foreign = resume.peer.filter(|_| match book.view {
        Known::Never | Known::Foreign(_) => true,
        Known::Open => new_board,
        Known::Closed(limit) => new_board || resume.received > limit,
    });
    let cut = match book.view {
        Known::Closed(limit) | Known::Foreign(limit) => limit,
        Known::Open if resume.peer == Some(book.own) => book.highest,
        Known::Open | Known::Never => book.highest_at_start,
    };
    let (undetermined, delivered) = match (foreign, new_board) {
        (Some(_), _) => (Some(cut), None),
        // Of a board that has lost its memory nobody knows what it had of what was sent to it.
        (None, true) => (Some(if book.board.is_some() { book.mark } else { 0 }), None),
        // No board can have what was never written.
        (None, false) => (None, resume.peer.map(|_| resume.done.min(book.highest))),
    };
    Resolution {
        asked: *resume,
        board: resume.epoch,
        received,
        lost,
        undetermined: undetermined.filter(|&number| number > 0),
        delivered: delivered.filter(|&number| number > 0),
        foreign: foreign.map(|epoch| (epoch, cut)),
        sent: match foreign {
            None if !new_board => resume.received.min(book.highest),
            _ => 0,
        },
        answer: Resume {
            epoch: book.own,
            first: 1,
            peer: Some(resume.epoch),
            received,
            done: received,
            fresh: foreign.is_some(),
        },
    }
}

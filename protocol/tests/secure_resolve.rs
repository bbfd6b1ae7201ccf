//! The rules by which a server finds out where it and a board stand.

use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::server::{Book, Known, Resolution, resolve};

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).expect("not 0")
}

const BOARD: u64 = 7;
const OWN: u64 = 99;

/// A board that has heard of this process: it has received 15 lines and is done with 12, and has 41 and more for the server.
fn resume() -> Resume {
    Resume {
        epoch: epoch(BOARD),
        first: 41,
        peer: Some(epoch(OWN)),
        received: 15,
        done: 12,
        fresh: false,
    }
}

/// A store that knows this board, with 44 lines from it, and 30 to it.
fn book() -> Book {
    Book {
        own: epoch(OWN),
        board: Some(epoch(BOARD)),
        last_received: 44,
        view: Known::Open,
        highest: 30,
        highest_at_start: 10,
        mark: 20,
    }
}

/// Lines lost, from and to; undetermined up to; delivered up to; sent from.
type Outcome = (Option<(u64, u64)>, Option<u64>, Option<u64>, u64);

fn outcome(it: &Resolution) -> Outcome {
    (it.lost, it.undetermined, it.delivered, it.sent)
}

#[test]
fn a_board_that_is_known_goes_on_where_it_was() {
    let it = resolve(&resume(), &book());
    assert_eq!(outcome(&it), (None, None, Some(12), 15));
    // Nothing leaves the outbox for a board that is done with no line.
    let none = Resume { done: 0, ..resume() };
    assert_eq!(outcome(&resolve(&none, &book())), (None, None, None, 15));
    assert_eq!((it.board, it.received, it.foreign), (epoch(BOARD), 44, None));
    let answer = Resume {
        epoch: epoch(OWN),
        first: 1,
        peer: Some(epoch(BOARD)),
        received: 44,
        done: 44,
        fresh: false,
    };
    assert_eq!(it.answer, answer);
    // So it does after a restart of the server, up to what the one before may have sent.
    let it = resolve(&resume(), &Book { view: Known::Closed(15), ..book() });
    assert_eq!(outcome(&it), (None, None, Some(12), 15));
}

#[test]
fn what_a_board_that_lost_its_power_had_received_is_undetermined() {
    let new = Resume { epoch: epoch(8), first: 1, peer: None, received: 0, done: 0, ..resume() };
    let it = resolve(&new, &book());
    assert_eq!(outcome(&it), (None, Some(20), None, 0));
    assert_eq!((it.received, it.answer.fresh, it.foreign), (0, false, None));
    // The first board of all: nothing was sent to anybody.
    let it = resolve(&new, &Book { board: None, last_received: 0, ..book() });
    assert_eq!(outcome(&it), (None, None, None, 0));
}

#[test]
fn an_epoch_that_the_store_has_never_heard_of_shows_that_it_is_older() {
    let it = resolve(&resume(), &Book { view: Known::Never, ..book() });
    // Rows that were there when this process began may be others than those that the board has.
    assert_eq!(outcome(&it), (None, Some(10), None, 0));
    assert_eq!(it.foreign, Some((epoch(OWN), 10)));
    assert!(it.answer.fresh);
    // The same question has the same answer, whatever was written since.
    let again = Book { view: Known::Foreign(10), highest: 50, highest_at_start: 40, ..book() };
    assert_eq!(resolve(&resume(), &again), it);
}

#[test]
fn a_number_beyond_the_end_of_its_process_shows_that_the_store_is_older() {
    let it = resolve(&resume(), &Book { view: Known::Closed(14), ..book() });
    assert_eq!(outcome(&it), (None, Some(14), None, 0));
    assert!(it.answer.fresh);
}

#[test]
fn a_view_with_a_board_that_the_store_does_not_know_shows_that_it_is_older() {
    let older = Book { board: Some(epoch(6)), last_received: 9, ..book() };
    let it = resolve(&resume(), &older);
    // All that this process has written may have been sent.
    assert_eq!(outcome(&it), (Some((1, 40)), Some(30), None, 0));
    assert_eq!(it.received, 40);
    let it = resolve(&resume(), &Book { view: Known::Closed(17), ..older });
    assert_eq!(it.undetermined, Some(17));
    // Another process that has not ended has written what was there when this one began.
    let other = Resume { peer: Some(epoch(98)), ..resume() };
    let it = resolve(&other, &older);
    assert_eq!((it.undetermined, it.foreign), (Some(10), Some((epoch(98), 10))));
}

#[test]
fn lines_that_were_acknowledged_and_are_not_in_the_store_are_told() {
    let it = resolve(&resume(), &Book { last_received: 35, ..book() });
    assert_eq!((it.lost, it.received), (Some((36, 40)), 40));
    // None is missing if the board has the next one still.
    let it = resolve(&resume(), &Book { last_received: 40, ..book() });
    assert_eq!((it.lost, it.received), (None, 40));
}

#[test]
fn what_was_never_written_is_not_believed() {
    let most = Resume { received: u64::MAX, done: u64::MAX, ..resume() };
    assert_eq!(outcome(&resolve(&most, &book())), (None, None, Some(30), 30));
}

/// Found by fuzzing: whoever has a board's keys may say any number.
#[test]
fn numbers_that_no_board_has_are_taken_for_the_nearest_that_it_may_have() {
    for new in [false, true] {
        let book = Book { board: (!new).then(|| epoch(BOARD)), last_received: 0, ..book() };
        let it = resolve(&Resume { first: 0, peer: None, ..resume() }, &book);
        assert_eq!((it.lost, it.received), (None, 0));
    }
    // A board that the store does not know, and that knows no server, has received nothing.
    let stranger = Resume { epoch: epoch(8), peer: None, ..resume() };
    assert_eq!(resolve(&stranger, &book()).sent, 0);
    let it = resolve(&resume(), &Book { last_received: u64::MAX, ..book() });
    assert_eq!((it.lost, it.received), (None, u64::MAX));
}

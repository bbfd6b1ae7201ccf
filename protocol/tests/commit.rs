//! An owner that commits: an acknowledged line stays until its owner is done with it.

use crate::common::{End, Rec, ms, sent};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Endpoint, Role, Ticket, Timing};
use pblink_protocol::tcp::line::Mid;

/// Connected at 0, the next line has this number.
fn up(first: u8) -> End {
    let mut end: End = Endpoint::new(Role::Client, Timing::default(), heapless::Vec::new());
    end.set_commits(true);
    assert!(end.set_first_number(Mid(first)));
    connect(&mut end, 0);
    end
}

fn connect(end: &mut End, at: u64) {
    end.on_connected(ms(at));
    end.on_bytes(ms(at), b"\n", &mut Rec::default());
}

fn write(end: &mut End, text: &str, delivery: Delivery) -> Ticket {
    end.write(ms(0), text.into(), delivery).expect("room")
}

/// Acknowledges, and returns the tickets of which the owner hears.
fn ack(end: &mut End, at: u64, mids: &[u8]) -> Vec<Ticket> {
    let mut rec = Rec::default();
    for mid in mids {
        end.on_bytes(ms(at), format!("{mid:02x}\n").as_bytes(), &mut rec);
    }
    assert!(rec.acked.iter().all(|(_, back)| !back), "the line stays");
    rec.acked.iter().map(|a| a.0).collect()
}

#[test]
fn an_acknowledged_line_is_repeated_until_its_owner_is_done_with_it() {
    let mut end = up(1);
    let a = write(&mut end, "a", Delivery::ORDERED);
    write(&mut end, "b", Delivery::ORDERED);
    assert!(!end.done(a), "it was not sent");
    assert_eq!(sent(&mut end, ms(0)), "01a\n");
    assert!(!end.done(a), "it was not acknowledged");
    assert_eq!(ack(&mut end, 100, &[1]), [a]);
    assert!(end.is_pending(a));
    assert_eq!(sent(&mut end, ms(100)), "02b\n", "the peer has what comes before it");
    assert_eq!(sent(&mut end, ms(2000)), "01a\n");
    assert_eq!(ack(&mut end, 2100, &[1]), [], "the owner hears of it once");
    end.on_disconnected();
    connect(&mut end, 3000);
    assert_eq!(sent(&mut end, ms(3000)), "01a\n02b\n");
    assert_eq!(end.first_number(), Mid(1));
    assert!(end.done(a));
    assert!(!end.done(a));
    assert_eq!(end.first_number(), Mid(2));
    assert_eq!(ack(&mut end, 3100, &[2]).len(), 1);
}

#[test]
fn lines_leave_in_order_only() {
    let mut end = up(1);
    let [a, b] = ["a", "b"].map(|text| write(&mut end, text, Delivery::UNORDERED));
    assert_eq!(sent(&mut end, ms(0)), "01a\n02b\n");
    assert_eq!(ack(&mut end, 100, &[2]), [b]);
    assert!(!end.done(b), "the one before is not acknowledged");
    assert_eq!(ack(&mut end, 100, &[1]), [a]);
    assert!(!end.done(b), "the one before is not done");
    assert!(end.done(a) && end.done(b));
    assert_eq!(end.unacked(), 0);
}

#[test]
fn nothing_follows_number_0_until_it_is_done() {
    let mut end = up(0);
    let first = write(&mut end, "a", Delivery::UNORDERED);
    write(&mut end, "b", Delivery::UNORDERED);
    assert_eq!(sent(&mut end, ms(0)), "00a\n");
    ack(&mut end, 100, &[0]);
    assert_eq!(sent(&mut end, ms(2000)), "00a\n");
    assert!(end.done(first));
    assert_eq!(sent(&mut end, ms(2000)), "01b\n");
}

/// A store that dies goes back to the number of its oldest line. The peer must not be so far ahead then
/// that it takes the old numbers for new ones.
#[test]
fn numbers_go_no_further_than_there_are_places_behind_the_oldest_line() {
    let mut end = up(200);
    let tickets: Vec<Ticket> = (0..64).map(|_| write(&mut end, "x", Delivery::UNORDERED)).collect();
    assert_eq!(sent(&mut end, ms(0)).lines().count(), 64);
    let mids: Vec<u8> = (201..=255).chain(1..=8).collect();
    assert_eq!(ack(&mut end, 100, &mids), tickets[1..]);
    assert!(!end.has_room() && end.write(ms(100), b"y".to_vec(), Delivery::UNORDERED).is_err());
    assert_eq!(end.first_number(), Mid(200));
    assert_eq!(ack(&mut end, 100, &[200]), tickets[..1]);
    assert!(tickets.iter().all(|&ticket| end.done(ticket)));
    assert_eq!((end.unacked(), end.first_number()), (0, Mid(9)));
}

#[test]
fn a_best_effort_line_is_repeated_like_any_other() {
    let mut end = up(1);
    let a = write(&mut end, "a", Delivery::BestEffort);
    assert_eq!(sent(&mut end, ms(0)), "01a\n");
    assert_eq!(end.cancel(a), None);
    end.on_disconnected();
    connect(&mut end, 500);
    assert_eq!(sent(&mut end, ms(500)), "01a\n");
    assert_eq!(ack(&mut end, 600, &[1]), [a]);
    assert!(end.done(a));
    assert_eq!(end.unacked(), 0);
}

#[test]
fn a_line_that_is_done_while_it_is_sent_again_is_sent_to_its_end() {
    let mut end = up(7);
    let a = write(&mut end, "abcdefgh", Delivery::ORDERED);
    assert_eq!(sent(&mut end, ms(0)), "07abcdefgh\n");
    ack(&mut end, 100, &[7]);
    let mut out = [0; 4];
    assert_eq!((end.transmit(ms(2000), &mut out), &out), (4, b"07ab"));
    write(&mut end, "next", Delivery::ORDERED);
    assert!(end.done(a));
    assert!(!end.is_pending(a));
    assert_eq!(end.first_number(), Mid(8));
    assert_eq!(sent(&mut end, ms(2000)), "cdefgh\n08next\n");
}

#[test]
fn numbers_begin_where_the_store_says_and_not_in_the_middle() {
    let mut end = up(255);
    write(&mut end, "a", Delivery::UNORDERED);
    write(&mut end, "b", Delivery::UNORDERED);
    assert!(end.set_first_number(Mid(254)), "nothing was sent yet");
    assert_eq!(sent(&mut end, ms(0)), "fea\nffb\n");
    assert!(!end.set_first_number(Mid(3)));
    write(&mut end, "c", Delivery::UNORDERED);
    assert_eq!(sent(&mut end, ms(0)), "01c\n");
}

#[test]
fn the_number_after_lines_that_are_to_be_done_passes_over_0() {
    let mut end = up(254);
    for text in ["a", "b", "c"] {
        write(&mut end, text, Delivery::UNORDERED);
    }
    assert_eq!(sent(&mut end, ms(0)), "fea\nffb\n01c\n");
    let after = [0, 1, 2, 3].map(|acked| end.first_number_after(acked));
    assert_eq!(after, [254, 255, 1, 2].map(Mid));
}

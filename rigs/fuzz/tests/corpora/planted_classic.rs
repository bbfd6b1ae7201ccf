//! Faults that are planted in what the targets of the classic link and of the wires run.

use pblink_fuzz::pair::Order;
use pblink_fuzz::{endpoint, line, pair, wires};
use pblink_protocol::tcp::endpoint::Disposition;
use pblink_protocol::tcp::line::Line;

use super::found_after;
use super::planted::MANY;

/// Takes upper-case digits, too.
fn lenient(line: &[u8]) -> Line<'_> {
    let mut lower = line.to_vec();
    lower.iter_mut().take(2).for_each(u8::make_ascii_lowercase);
    match (Line::parse(line), Line::parse(&lower)) {
        (Line::Invalid(_), Line::Ack(mid)) => Line::Ack(mid),
        (said, _) => said,
    }
}

#[test]
fn digits_of_either_case_and_a_line_that_is_a_byte_too_long() {
    let digits = found_after("line", MANY, |data| line::run_with(data, lenient, line::cut::<40>));
    let long = found_after("line", MANY, |data| {
        line::run_with(data, |line| Line::parse(line), line::cut::<41>);
    });
    assert!(digits.is_some() && long.is_some(), "{digits:?} {long:?}");
    println!("digits after {digits:?} inputs, a byte too many after {long:?}");
}

#[test]
fn an_end_that_acknowledges_what_nobody_keeps() {
    let early = found_after("endpoint", MANY, |data| {
        endpoint::run_with(data, |said| match said {
            Disposition::Later => Disposition::Taken,
            said => said,
        });
    });
    let refused = found_after("endpoint", MANY, |data| {
        endpoint::run_with(data, |said| match said {
            Disposition::Refused => Disposition::Taken,
            said => said,
        });
    });
    assert!(early.is_some() && refused.is_some(), "{early:?} {refused:?}");
    println!("too early after {early:?} inputs, refused after {refused:?}");
}

#[test]
fn a_server_that_stores_too_late() {
    for order in [Order::AcknowledgedFirst, Order::NumbersLater] {
        let found = found_after("pair", MANY, |data| pair::run_with(data, order));
        assert!(found.is_some(), "{order:?}");
        println!("{order:?} after {found:?} inputs");
    }
}

#[test]
fn a_bus_that_changes_a_bit() {
    let found = found_after("wires", MANY, |data| {
        wires::run_with(data, |bytes| {
            if let [.., last] = &mut bytes[..] {
                *last ^= 1;
            }
        });
    });
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

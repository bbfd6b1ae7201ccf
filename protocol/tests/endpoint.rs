//! One endpoint by hand: what goes out when, and what is done with what comes in.

use crate::common::{End, Rec, drain, drain_sized, ms, sent, span};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Endpoint, Role, Timing};
use pblink_protocol::tcp::line::Mid;
use pblink_protocol::time::Instant;

/// 2 s; a keepalive after 0.5 s.
fn end(role: Role) -> End {
    Endpoint::new(role, Timing::default(), heapless::Vec::new())
}

/// Connected at 0, and the peer has shown itself at 0.
fn up(role: Role) -> End {
    let mut end = end(role);
    reconnect(&mut end, 0);
    end
}

fn reconnect(end: &mut End, at: u64) {
    end.on_connected(ms(at));
    end.on_bytes(ms(at), b"\n", &mut Rec::default());
    drain(end, ms(at));
}

/// Receives, and returns what was called.
fn get(end: &mut End, at: u64, bytes: &[u8]) -> Rec {
    let mut rec = Rec::default();
    end.on_bytes(ms(at), bytes, &mut rec);
    rec
}

fn write(
    end: &mut End,
    at: u64,
    text: &str,
    delivery: Delivery,
) -> pblink_protocol::tcp::endpoint::Ticket {
    end.write(ms(at), text.into(), delivery).expect("room")
}

/// Returns a connected endpoint of which the first line (id 0) is done, so that the next has id 1.
fn warm(role: Role) -> End {
    let mut end = up(role);
    write(&mut end, 300, "first", Delivery::ORDERED);
    assert_eq!(sent(&mut end, ms(300)), "00first\n");
    assert_eq!(get(&mut end, 300, b"00\n").acked.len(), 1);
    assert_eq!(sent(&mut end, ms(300)), "");
    end
}

/// Polls only when the endpoint asks for it, and notes what it sends.
fn timeline(end: &mut End, from: u64, to: u64) -> Vec<(u64, String)> {
    let mut now = ms(from);
    let mut list = Vec::new();
    while now <= ms(to) {
        let out = sent(end, now);
        if !out.is_empty() {
            list.push((now.as_millis(), out));
        }
        if end.outage(now) {
            list.push((now.as_millis(), "outage".into()));
            break;
        }
        let next = end.poll_at(now).expect("connected");
        assert!(next > now, "poll_at {next:?} does not get past {now:?}");
        now = next;
    }
    list
}

fn dots(times: &[u64]) -> Vec<(u64, String)> {
    times.iter().map(|&t| (t, "\n".to_string())).collect()
}

#[test]
fn both_roles_send_a_keepalive_at_once_and_after_a_quarter_of_the_timeout() {
    for role in [Role::Server, Role::Client] {
        let mut end = end(role);
        assert_eq!(end.poll_at(ms(0)), None, "no connection, nothing to do");
        assert_eq!(sent(&mut end, ms(0)), "");
        end.on_connected(ms(100));
        let mut want = dots(&[100, 600, 1100, 1600]);
        match role {
            // Nothing ever comes: a server gives up after the time-out, a client after twice that.
            Role::Server => want.push((2100, "\n".into())),
            Role::Client => want.extend(dots(&[2100, 2600, 3100, 3600, 4100])),
        }
        want.push(match role {
            Role::Server => (2100, "outage".into()),
            Role::Client => (4100, "outage".into()),
        });
        assert_eq!(timeline(&mut end, 100, 10_000), want, "{role:?}");
    }
}

#[test]
fn what_is_sent_moves_the_next_keepalive() {
    for role in [Role::Server, Role::Client] {
        let mut end = warm(role);
        get(&mut end, 1000, b"\n");
        write(&mut end, 700, "x", Delivery::ORDERED);
        assert_eq!(sent(&mut end, ms(700)), "01x\n");
        assert_eq!(timeline(&mut end, 701, 1300), dots(&[1200]));
        get(&mut end, 1500, b"44hi\n");
        assert_eq!(sent(&mut end, ms(1500)), "44\n");
        assert_eq!(timeline(&mut end, 1501, 2100), dots(&[2000]));
    }
}

#[test]
fn outage_counts_from_the_last_byte_not_from_the_last_line() {
    for role in [Role::Server, Role::Client] {
        let mut end = up(role);
        get(&mut end, 1500, b"00half a li");
        assert!(!end.outage(ms(3499)));
        assert!(end.outage(ms(3500)), "{role:?}");
        assert_eq!(end.last_heard(), Some(ms(1500)));
    }
}

#[test]
fn a_client_waits_twice_as_long_until_its_first_line_is_complete() {
    let mut end = end(Role::Client);
    end.on_connected(ms(0));
    get(&mut end, 1000, b"0");
    assert!(!end.outage(ms(4999)));
    assert!(end.outage(ms(5000)));
    assert!(!end.is_up());
    get(&mut end, 4000, b"0\n");
    assert!(end.is_up());
    assert!(!end.outage(ms(5999)));
    assert!(end.outage(ms(6000)));
    // And again after each connect.
    end.on_connected(ms(7000));
    assert!(!end.is_up());
    assert!(!end.outage(ms(10_999)));
    assert!(end.outage(ms(11_000)));
}

#[test]
fn a_server_holds_lines_back_for_the_write_pause_after_a_sign_of_life_but_not_acks() {
    let mut end = end(Role::Server);
    end.on_connected(ms(0));
    write(&mut end, 0, "x", Delivery::ORDERED);
    assert_eq!(sent(&mut end, ms(0)), "\n");
    assert!(!end.is_up());
    assert_eq!(timeline(&mut end, 1, 999), dots(&[500]));
    // Half a line is a sign of life.
    get(&mut end, 1000, b"0");
    assert!(end.is_up());
    get(&mut end, 1050, b"0hello\n");
    assert_eq!(end.poll_at(ms(1050)), Some(ms(1050)), "an acknowledgement is due");
    assert_eq!(sent(&mut end, ms(1050)), "00\n");
    assert_eq!(end.poll_at(ms(1050)), Some(ms(1200)));
    assert_eq!(end.poll_at(ms(1300)), Some(ms(1300)), "a time that was missed is now");
    assert_eq!(sent(&mut end, ms(1199)), "");
    assert_eq!(sent(&mut end, ms(1200)), "00x\n");
    // The pause comes again with each connection.
    end.on_connected(ms(2000));
    assert_eq!(sent(&mut end, ms(2000)), "\n");
    get(&mut end, 2100, b"\n");
    assert_eq!(timeline(&mut end, 2100, 2300), [(2300, "00x\n".into())]);
}

#[test]
fn a_client_holds_lines_back_until_it_has_read_a_line() {
    let mut end = end(Role::Client);
    end.on_connected(ms(0));
    write(&mut end, 0, "x", Delivery::ORDERED);
    assert_eq!(timeline(&mut end, 0, 600), dots(&[0, 500]));
    get(&mut end, 700, b"7");
    assert_eq!(sent(&mut end, ms(700)), "");
    get(&mut end, 710, b"7m\n");
    assert_eq!(sent(&mut end, ms(710)), "77\n00x\n");
}

#[test]
fn a_line_is_repeated_with_the_same_bytes_until_it_is_acknowledged() {
    let mut end = warm(Role::Client);
    let ticket = write(&mut end, 1000, "täxt", Delivery::ORDERED);
    let mut list = Vec::new();
    for t in (1000..9000).step_by(400) {
        get(&mut end, t, b"\n");
        list.extend(timeline(&mut end, t, t + 399));
    }
    let lines: Vec<_> = list.iter().filter(|(_, s)| s != "\n").collect();
    let want = [1000, 3000, 5000, 7000].map(|t| (t, "01täxt\n".to_string()));
    assert_eq!(lines, want.iter().collect::<Vec<_>>());
    assert!(end.is_pending(ticket));
    let rec = get(&mut end, 8999, b"01\n");
    assert_eq!(rec.acked, [(ticket, true)]);
    assert_eq!(rec.took, [span(7999)]);
    assert!(!end.is_pending(ticket));
    assert_eq!(end.stats().lines_out, 2);
    assert_eq!(end.stats().retransmissions, 3);
    assert!(timeline(&mut end, 9000, 12_000).iter().all(|(_, s)| s == "\n" || s == "outage"));
}

/// A long line over a slow connection is not repeated before the peer could have answered it.
#[test]
fn the_time_for_an_ack_begins_when_the_whole_line_is_sent() {
    let mut end = warm(Role::Server);
    write(&mut end, 1000, "abcdefgh", Delivery::ORDERED);
    assert_eq!(end.transmit(ms(1000), &mut [0; 5]), 5);
    get(&mut end, 2400, b"\n");
    assert_eq!(sent(&mut end, ms(2500)), "defgh\n");
    get(&mut end, 4000, b"\n");
    let lines: Vec<_> = timeline(&mut end, 2501, 4600);
    assert_eq!(lines.last().unwrap(), &(4500, "01abcdefgh\n".to_string()));
    assert!(lines[..lines.len() - 1].iter().all(|l| l.1 == "\n"));
}

#[test]
fn an_outage_repeats_at_once_over_the_next_connection() {
    let mut end = warm(Role::Client);
    write(&mut end, 1000, "a", Delivery::UNORDERED);
    write(&mut end, 1000, "b", Delivery::UNORDERED);
    write(&mut end, 1000, "c", Delivery::ORDERED);
    assert_eq!(sent(&mut end, ms(1000)), "01a\n02b\n");
    end.on_disconnected();
    assert_eq!(end.poll_at(ms(1100)), None);
    assert_eq!(sent(&mut end, ms(1100)), "");
    end.on_connected(ms(1200));
    assert_eq!(sent(&mut end, ms(1200)), "\n");
    get(&mut end, 1250, b"\n");
    assert_eq!(sent(&mut end, ms(1250)), "01a\n02b\n");
    get(&mut end, 1300, b"02\n01\n");
    assert_eq!(sent(&mut end, ms(1300)), "03c\n");
}

/// The reference takes id 0 for a restart and forgets what it has seen; this crate's own window
/// cannot tell a repeated 0 from a restart once there were others. So 0 stays alone until it is
/// acknowledged, whatever the lines behind it want.
#[test]
fn the_first_line_stays_alone_until_it_is_acknowledged() {
    let mut end = up(Role::Client);
    for text in ["a", "b", "c"] {
        write(&mut end, 0, text, Delivery::UNORDERED);
    }
    write(&mut end, 0, "d", Delivery::BestEffort);
    assert_eq!(sent(&mut end, ms(0)), "00a\n");
    reconnect(&mut end, 100);
    assert_eq!(end.stats().retransmissions, 1, "only the first one");
    get(&mut end, 150, b"00\n");
    assert_eq!(sent(&mut end, ms(150)), "01b\n02c\n03d\n");
}

/// Without number 0, the receiver could not tell `01b` from the same line of the run before.
#[test]
fn the_first_line_is_guaranteed_whatever_was_asked_for() {
    let mut end = up(Role::Client);
    let first = write(&mut end, 0, "a", Delivery::BestEffort);
    write(&mut end, 0, "b", Delivery::BestEffort);
    assert_eq!(sent(&mut end, ms(0)), "00a\n");
    reconnect(&mut end, 100);
    assert_eq!(end.stats().retransmissions, 1, "over the next connection");
    assert_eq!(sent(&mut end, ms(2100)), "00a\n", "after a time-out");
    assert!(end.is_pending(first));
    assert_eq!(get(&mut end, 2200, b"00\n").acked, [(first, true)]);
    assert_eq!(sent(&mut end, ms(2200)), "01b\n");
    assert_eq!(end.unacked(), 0, "the second one is best effort again");
}

#[test]
fn every_message_is_acknowledged_duplicates_and_best_effort_too() {
    for role in [Role::Server, Role::Client] {
        let mut end = up(role);
        let rec = get(&mut end, 0, b"00a\n01b\n01b\n07c\n01b\n");
        assert_eq!(rec.lines, ["a", "b", "c"]);
        // An acknowledgement that is still waiting to be sent is not queued twice.
        assert_eq!(sent(&mut end, ms(0)), "00\n01\n07\n");
        let rec = get(&mut end, 10, b"07c\n00a\n");
        assert!(rec.lines.is_empty());
        assert_eq!(sent(&mut end, ms(10)), "07\n00\n");
        assert_eq!(end.stats().duplicates, 4);
        assert_eq!(end.stats().lines_in, 3);
    }
}

/// Weaknesses 2 and 8 at the endpoint.
#[test]
fn junk_is_counted_and_what_follows_is_received() {
    let mut end = up(Role::Server);
    let junk = b"zz\nhello world\n05\xff\xfe\n 9\n+7\n-1\n-1x\n00a\n";
    let rec = get(&mut end, 0, junk);
    assert_eq!(rec.lines, ["a"]);
    assert_eq!(rec.invalid.len(), 7);
    assert_eq!(end.stats().invalid, 7);
    let long = [b"01", &[b'x'; 300][..], b"\n02b\n"].concat();
    let rec = get(&mut end, 10, &long);
    assert_eq!((rec.too_long, rec.lines), (1, vec!["b".to_string()]));
    assert_eq!(sent(&mut end, ms(10)), "00\n02\n", "a line that was skipped is not acked");
    assert_eq!(end.stats().invalid, 8);
}

/// Weakness 4 at the endpoint.
#[test]
fn half_a_line_is_forgotten_with_its_connection() {
    let mut end = up(Role::Server);
    get(&mut end, 0, b"05{\"v\": 1");
    end.on_connected(ms(100));
    let rec = get(&mut end, 100, b"05{\"v\": 123}\n");
    assert_eq!(rec.lines, ["{\"v\": 123}"]);
}

#[test]
fn a_refused_line_is_not_acknowledged_and_comes_again() {
    let mut end = up(Role::Server);
    let mut full = Rec { refuse: true, ..Rec::default() };
    end.on_bytes(ms(0), b"00a\n01b\n", &mut full);
    assert_eq!(full.refused, ["a", "b"]);
    assert_eq!(sent(&mut end, ms(0)), "");
    assert_eq!(end.stats().refused, 2);
    let rec = get(&mut end, 100, b"00a\n01b\n");
    assert_eq!(rec.lines, ["a", "b"]);
    assert_eq!(sent(&mut end, ms(100)), "00\n01\n");
}

/// Found by a seed. A line that is refused still shows that its sender has restarted: what comes next
/// is new, even with the same text as before.
#[test]
fn a_refused_line_is_enough_to_see_a_restart() {
    let mut end = up(Role::Server);
    get(&mut end, 0, b"00a\n01b\n02c\n");
    end.on_connected(ms(100));
    let mut full = Rec { refuse: true, ..Rec::default() };
    end.on_bytes(ms(100), b"00new\n", &mut full);
    drain(&mut end, ms(100));
    assert_eq!(get(&mut end, 110, b"01b\n").lines, ["b"]);
    assert_eq!(get(&mut end, 120, b"00new\n").lines, ["new"]);
    assert!(get(&mut end, 130, b"01b\n00new\n").lines.is_empty());
    assert_eq!(sent(&mut end, ms(130)), "01\n00\n");
    assert_eq!(end.stats().duplicates, 2);
}

#[test]
fn a_line_taken_for_later_is_acknowledged_when_it_is_released() {
    let mut end = up(Role::Client);
    let mut rec = Rec { later: true, ..Rec::default() };
    end.on_bytes(ms(0), b"07a\n08b\n", &mut rec);
    assert_eq!(sent(&mut end, ms(0)), "");
    end.on_bytes(ms(10), b"08b\n07a\n", &mut rec);
    assert_eq!(rec.lines, ["a", "b"], "not twice");
    assert_eq!(sent(&mut end, ms(10)), "", "repetitions are not acked before either");
    end.release(rec.receipts[1]);
    assert_eq!(sent(&mut end, ms(20)), "08\n");
    end.release(rec.receipts[1]);
    assert_eq!(sent(&mut end, ms(20)), "", "once");
    end.on_bytes(ms(30), b"08b\n", &mut rec);
    assert_eq!(sent(&mut end, ms(30)), "08\n");
    // Released without a connection: the repetition is acked.
    end.on_disconnected();
    end.release(rec.receipts[0]);
    end.on_connected(ms(40));
    end.on_bytes(ms(40), b"07a\n", &mut rec);
    assert_eq!(sent(&mut end, ms(40)), "07\n");
    assert_eq!(rec.lines, ["a", "b"]);
}

/// Found by a seed: the old receipt acknowledged the new message, which was lost.
#[test]
fn a_receipt_acknowledges_nothing_over_a_connection_that_did_not_bring_the_line() {
    let mut end = up(Role::Client);
    let mut rec = Rec { later: true, ..Rec::default() };
    end.on_bytes(ms(0), b"00old\n", &mut rec);
    // The sender restarts, and what it sends first is on its way, or does not fit.
    end.on_connected(ms(100));
    let mut full = Rec { refuse: true, ..Rec::default() };
    end.on_bytes(ms(100), b"00new\n", &mut full);
    drain(&mut end, ms(100));
    end.release(rec.receipts[0]);
    assert_eq!(sent(&mut end, ms(110)), "");
    assert_eq!(get(&mut end, 120, b"00new\n").lines, ["new"]);
    assert_eq!(sent(&mut end, ms(120)), "00\n");
    // A repetition over the new connection is enough.
    end.on_bytes(ms(200), b"01more\n", &mut rec);
    end.on_connected(ms(300));
    end.on_bytes(ms(300), b"01more\n", &mut rec);
    drain(&mut end, ms(300));
    end.release(rec.receipts[1]);
    assert_eq!(sent(&mut end, ms(310)), "01\n");
}

#[test]
fn a_receipt_of_a_sender_that_has_restarted_acknowledges_nothing() {
    let mut end = up(Role::Client);
    let mut rec = Rec { later: true, ..Rec::default() };
    end.on_bytes(ms(0), b"00a\n01b\n", &mut rec);
    end.on_connected(ms(100));
    end.on_bytes(ms(100), b"00new a\n", &mut rec);
    end.on_bytes(ms(100), b"01new b\n", &mut rec);
    drain(&mut end, ms(100));
    end.release(rec.receipts[0]);
    end.release(rec.receipts[1]);
    assert_eq!(sent(&mut end, ms(110)), "", "it would ack new b unread");
    end.release(rec.receipts[3]);
    assert_eq!(sent(&mut end, ms(110)), "01\n");
}

#[test]
fn any_buffer_of_three_bytes_and_more_gives_the_same_bytes() {
    let long = "lång ".repeat(60);
    let mut want = None;
    for size in [3, 4, 5, 7, 64, 299, 300, 4096] {
        let mut end = warm(Role::Server);
        get(&mut end, 600, b"00x\n01y\n");
        for (text, delivery) in [
            ("a", Delivery::UNORDERED),
            (&long, Delivery::BestEffort),
            ("b", Delivery::UNORDERED),
            (&long, Delivery::UNORDERED),
            ("c", Delivery::ORDERED),
        ] {
            write(&mut end, 600, text, delivery);
        }
        let all = drain_sized(&mut end, ms(600), size);
        let want = want.get_or_insert_with(|| all.clone());
        assert_eq!(String::from_utf8_lossy(&all), String::from_utf8_lossy(want), "{size} bytes");
        assert_eq!(all, format!("00\n01\n01a\n02{long}\n03b\n04{long}\n").as_bytes());
    }
}

#[test]
fn acks_wait_for_the_end_of_a_line_that_is_being_sent() {
    let mut end = warm(Role::Server);
    write(&mut end, 600, "abcdefgh", Delivery::ORDERED);
    let mut out = [0; 5];
    assert_eq!(end.transmit(ms(600), &mut out), 5);
    assert_eq!(&out, b"01abc");
    get(&mut end, 600, b"33m\n");
    assert_eq!(end.poll_at(ms(600)), Some(ms(600)));
    assert_eq!(sent(&mut end, ms(600)), "defgh\n33\n");
}

#[test]
fn a_line_that_is_acknowledged_while_it_is_sent_again_is_sent_to_its_end() {
    let mut end = warm(Role::Server);
    let ticket = write(&mut end, 600, "abcdefgh", Delivery::ORDERED);
    let next = write(&mut end, 600, "next", Delivery::ORDERED);
    assert_eq!(sent(&mut end, ms(600)), "01abcdefgh\n");
    get(&mut end, 2000, b"\n");
    drain(&mut end, ms(2000));
    let mut out = [0; 5];
    assert_eq!(end.transmit(ms(2600), &mut out), 5);
    assert_eq!(&out, b"01abc");
    let rec = get(&mut end, 2600, b"01\n");
    assert_eq!(rec.acked, [(ticket, false)]);
    assert!(!end.is_pending(ticket));
    assert_eq!(end.cancel(ticket), None);
    assert_eq!(sent(&mut end, ms(2600)), "defgh\n02next\n");
    assert_eq!(get(&mut end, 2700, b"01\n").acked, [], "a second ack means nothing");
    assert_eq!(get(&mut end, 2700, b"02\n").acked, [(next, true)]);
    assert_eq!(end.unacked(), 0);
    // The same, but the connection goes before the rest is out.
    let ticket = write(&mut end, 3000, "abcdefgh", Delivery::ORDERED);
    assert_eq!(end.transmit(ms(3000), &mut out), 5);
    assert_eq!(get(&mut end, 3000, b"03\n").acked, [(ticket, false)]);
    end.on_connected(ms(3100));
    assert_eq!(end.unacked(), 0);
    assert_eq!(sent(&mut end, ms(3100)), "\n");
}

#[test]
fn ids_go_on_over_reconnects_and_pass_over_zero() {
    let mut end = up(Role::Client);
    let mut ids = Vec::new();
    for n in 0..600u64 {
        let at = 10 + n * 10;
        if n % 7 == 0 {
            end.on_connected(ms(at));
            get(&mut end, at, b"\n");
        }
        write(&mut end, at, "x", Delivery::ORDERED);
        let out = sent(&mut end, ms(at)).replace("\n", "");
        let digits: [u8; 2] = out.as_bytes()[..2].try_into().unwrap();
        let mid = Mid::parse(digits).expect("a message");
        ids.push(mid);
        let ack = format!("{mid}\n");
        assert_eq!(get(&mut end, at, ack.as_bytes()).acked.len(), 1);
    }
    let mut want = Mid(0);
    for id in ids {
        assert_eq!(id, want);
        want = want.next();
    }
}

/// Weakness 9.
#[test]
fn a_best_effort_line_without_ack_blocks_nothing_and_is_sent_once() {
    let mut end = warm(Role::Server);
    let lost = write(&mut end, 600, "lost", Delivery::BestEffort);
    write(&mut end, 600, "a", Delivery::ORDERED);
    assert_eq!(sent(&mut end, ms(600)), "01lost\n02a\n");
    assert!(!end.is_pending(lost));
    end.on_disconnected();
    reconnect(&mut end, 1000);
    assert_eq!(sent(&mut end, ms(1500)), "02a\n");
    // One that was not sent when the connection went is still sent, once.
    let mut end = warm(Role::Server);
    end.on_disconnected();
    write(&mut end, 600, "late", Delivery::BestEffort);
    end.on_connected(ms(700));
    get(&mut end, 700, b"\n");
    drain(&mut end, ms(700));
    assert_eq!(sent(&mut end, ms(900)), "01late\n");
    end.on_disconnected();
    assert_eq!(end.unacked(), 0);
    // Half sent is sent, too.
    let mut end = warm(Role::Server);
    write(&mut end, 600, "half sent", Delivery::BestEffort);
    assert_eq!(end.transmit(ms(600), &mut [0; 4]), 4);
    end.on_disconnected();
    assert_eq!(end.unacked(), 0);
}

#[test]
fn only_a_line_that_was_not_sent_can_be_cancelled() {
    let mut end = warm(Role::Client);
    let a = write(&mut end, 600, "a", Delivery::ORDERED);
    let b = write(&mut end, 600, "b", Delivery::ORDERED);
    let c = write(&mut end, 600, "c", Delivery::ORDERED);
    assert_eq!(sent(&mut end, ms(600)), "01a\n");
    assert_eq!(end.cancel(a), None);
    assert_eq!(end.cancel(b), Some(b"b".to_vec()));
    assert_eq!(end.cancel(b), None);
    get(&mut end, 700, b"01\n");
    assert_eq!(sent(&mut end, ms(700)), "02c\n", "the cancelled line used no id");
    assert!(end.is_pending(c));
    end.on_disconnected();
    assert_eq!(end.cancel(c), None, "the peer may have it");
}

#[test]
fn a_full_outbox_gives_the_line_back() {
    let mut end: Endpoint<crate::common::Buf, Vec<u8>, 2> =
        Endpoint::new(Role::Client, Timing::default(), heapless::Vec::new());
    for text in ["a", "b"] {
        end.write(Instant::ZERO, text.into(), Delivery::ORDERED).unwrap();
    }
    assert!(!end.has_room());
    let back = end.write(Instant::ZERO, b"c".to_vec(), Delivery::ORDERED);
    assert_eq!(back, Err(b"c".to_vec()));
}

/// The reference's window forgets ids that are some 120 old; so no more than 100 may lie between.
#[test]
fn new_lines_wait_while_an_old_one_is_a_hundred_ids_behind() {
    let mut end = warm(Role::Client);
    write(&mut end, 600, "stuck", Delivery::UNORDERED);
    assert_eq!(sent(&mut end, ms(600)), "01stuck\n");
    let mut sent_lines = 0;
    for n in 0..300u64 {
        let at = 600 + n;
        get(&mut end, at, b"\n");
        let ticket = write(&mut end, at, "x", Delivery::UNORDERED);
        let out = sent(&mut end, ms(at));
        if out.is_empty() {
            assert!(end.cancel(ticket).is_some());
            break;
        }
        sent_lines += 1;
        get(&mut end, at, format!("{}\n", &out[..2]).as_bytes());
    }
    assert_eq!(sent_lines, 99);
    write(&mut end, 1000, "free", Delivery::UNORDERED);
    assert_eq!(sent(&mut end, ms(1000)), "");
    get(&mut end, 1100, b"01\n");
    assert_eq!(sent(&mut end, ms(1100)), "65free\n");
}

#[test]
fn unordered_lines_do_not_wait_and_an_ordered_one_waits_for_all() {
    let mut end = warm(Role::Client);
    write(&mut end, 600, "a", Delivery::UNORDERED);
    write(&mut end, 600, "b", Delivery::UNORDERED);
    write(&mut end, 600, "c", Delivery::ORDERED);
    write(&mut end, 600, "d", Delivery::UNORDERED);
    assert_eq!(sent(&mut end, ms(600)), "01a\n02b\n");
    get(&mut end, 700, b"02\n");
    assert_eq!(sent(&mut end, ms(700)), "");
    get(&mut end, 700, b"01\n");
    assert_eq!(sent(&mut end, ms(700)), "03c\n04d\n");
}

#[test]
fn bytes_without_a_connection_are_ignored() {
    let mut end = end(Role::Server);
    assert!(get(&mut end, 0, b"00a\n").lines.is_empty());
    assert!(!end.outage(ms(1_000_000)));
    assert_eq!(end.last_heard(), None);
}

//! The lobby: hellos in all pieces, and who gets an id that is taken.

use pblink_protocol::tcp::endpoint::Timing;
use pblink_protocol::tcp::line::{BadId, MAX_ID};
use pblink_protocol::tcp::lobby::{
    Guest, MAX_HELLO_TIME, Refusal, Standing, Verdict, hello_time, take_over_at,
};
use pblink_protocol::time::{Duration, Instant};
use proptest::prelude::*;

fn ms(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn classic(now: Instant) -> Guest {
    Guest::new(now, Timing::classic())
}

/// Returns a guest that has given an id at `now`.
fn named(now: Instant) -> Guest {
    let mut guest = classic(now);
    assert_eq!(guest.on_bytes(now, b"1\n"), Ok(Some(2)));
    guest
}

fn taken(heard: Instant) -> Standing {
    Standing::Taken { heard, silent: false }
}

fn silent(heard: Instant) -> Standing {
    Standing::Taken { heard, silent: true }
}

/// Feeds pieces, and returns what comes behind the hello.
fn feed(guest: &mut Guest, pieces: &[&[u8]]) -> Result<Option<Vec<u8>>, Refusal> {
    let mut behind = None;
    for piece in pieces {
        if let Some(used) = guest.on_bytes(ms(1), piece)? {
            behind.get_or_insert_with(Vec::new).extend_from_slice(&piece[used..]);
        }
    }
    Ok(behind)
}

#[test]
fn a_hello_is_the_same_at_every_split_point_and_what_follows_is_the_sessions() {
    for stream in ["küche\n", "küche\n\n", "küche\n\n00[1]\n01"] {
        let bytes = stream.as_bytes();
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                let mut guest = classic(ms(0));
                assert_eq!(guest.id(), None);
                let behind = feed(&mut guest, &[&bytes[..a], &bytes[a..b], &bytes[b..]]);
                assert_eq!(behind, Ok(Some(bytes["küche\n".len()..].to_vec())));
                assert_eq!(guest.id(), Some("küche"));
            }
        }
    }
}

/// Weaknesses 1 and 12: nothing that comes first stops the server, or takes memory without end.
#[test]
fn a_hello_is_bounded_however_it_arrives() {
    let longest = [vec![b'x'; MAX_ID], b"\n".to_vec()].concat();
    let endless = vec![b'x'; 1 << 20];
    for size in [1, 7, 64, 65, 4096, 1 << 20] {
        let pieces: Vec<&[u8]> = longest.chunks(size).collect();
        assert_eq!(feed(&mut classic(ms(0)), &pieces), Ok(Some(Vec::new())));
        let mut guest = classic(ms(0));
        let pieces: Vec<&[u8]> = endless.chunks(size).collect();
        assert_eq!(feed(&mut guest, &pieces), Err(Refusal::BadId(BadId::TooLong)));
        assert_eq!(guest.hello(), &endless[..MAX_ID], "for the log");
    }
    let mut guest = classic(ms(0));
    let long = [vec![b'x'; MAX_ID + 1], b"\n".to_vec()].concat();
    assert_eq!(feed(&mut guest, &[&long]), Err(Refusal::BadId(BadId::TooLong)));
}

#[test]
fn what_is_not_an_id_is_refused_with_its_reason() {
    for (hello, why) in [
        (&b"\n"[..], BadId::Empty),
        (b"\xff\xfe\n", BadId::NotUtf8),
        (b"1\r\n", BadId::Control),
        ("a\u{a0}b\n".as_bytes(), BadId::Invisible),
        (b"kitchen \n", BadId::OuterBlank),
    ] {
        let mut guest = classic(ms(0));
        assert_eq!(guest.on_bytes(ms(0), hello), Err(Refusal::BadId(why)));
        assert_eq!(guest.hello(), &hello[..hello.len() - 1]);
        assert_eq!(guest.id(), None, "it never becomes an id");
    }
}

/// Case 80: with a long time-out a hello had as long.
#[test]
fn a_hello_has_one_time_out_and_at_most_five_seconds() {
    for (timeout_ms, limit_ms) in [(300, 300), (2000, 2000), (5000, 5000), (60_000, 5000)] {
        let timing = Timing::new(Duration::from_millis(timeout_ms));
        assert_eq!(hello_time(&timing), Duration::from_millis(limit_ms));
        let mut guest = Guest::new(ms(7), timing);
        let end = ms(7 + limit_ms);
        assert_eq!(guest.poll_at(ms(7)), Some(end));
        // A byte now and then gains no time.
        assert_eq!(guest.on_bytes(end - Duration::from_micros(2), b"x"), Ok(None));
        assert_eq!(guest.on_timer(end - Duration::from_micros(1)), Ok(()));
        assert_eq!(guest.on_timer(end), Err(Refusal::HelloTimeout));
        assert_eq!(guest.on_standing(end, Standing::Free), Verdict::Refuse(Refusal::HelloTimeout));
        // What the socket held at the end is in time, although its timer has gone off.
        assert_eq!(guest.on_bytes(end, b"\n"), Ok(Some(1)));
        assert_eq!(guest.on_timer(end), Ok(()));
        assert_eq!(guest.poll_at(end), None);
        assert_eq!(guest.on_standing(end, Standing::Free), Verdict::Admit);
    }
    assert_eq!(MAX_HELLO_TIME, Duration::from_secs(5));
}

#[test]
fn a_free_id_is_given_and_an_unknown_one_is_not() {
    assert_eq!(named(ms(0)).on_standing(ms(0), Standing::Free), Verdict::Admit);
    let refused = Verdict::Refuse(Refusal::Unknown);
    assert_eq!(named(ms(0)).on_standing(ms(0), Standing::Unknown), refused);
    // Before the hello there is nothing to decide.
    let mut guest = classic(ms(0));
    assert_eq!(guest.on_standing(ms(1), Standing::Free), Verdict::Wait(ms(2000)));
}

#[test]
fn a_rival_waits_for_both_times_and_for_a_look_into_the_old_socket() {
    for (heard, arrived, at) in
        [(1000, 1000, 2000), (1000, 1100, 2000), (1000, 1500, 2000), (1000, 1501, 2001)]
    {
        let (heard, arrived, at) = (ms(heard), ms(arrived), ms(at));
        assert_eq!(take_over_at(&Timing::classic(), heard, arrived), at);
        let mut guest = named(arrived);
        for now in [arrived, at - Duration::from_micros(1)] {
            assert_eq!(guest.on_standing(now, taken(heard)), Verdict::Wait(at));
            assert_eq!(guest.on_standing(now, silent(heard)), Verdict::Wait(at), "too early");
            assert_eq!(guest.poll_at(now), Some(at));
        }
        assert_eq!(guest.on_standing(at, taken(heard)), Verdict::Look);
        // The socket held something.
        let mut other = guest.clone();
        assert_eq!(other.on_standing(at, taken(at)), Verdict::Refuse(Refusal::Duplicate));
        // It held nothing.
        assert_eq!(guest.on_standing(at, silent(heard)), Verdict::TakeOver);
    }
}

#[test]
fn whoever_comes_after_a_stall_waits_all_the_same() {
    // Nothing was read for 1.4 of 2 seconds: more than half a time-out.
    let (heard, arrived) = (ms(1000), ms(2400));
    let mut guest = named(arrived);
    assert_eq!(guest.on_standing(arrived, silent(heard)), Verdict::Wait(ms(2900)));
    let spoke = taken(ms(2400) + Duration::from_micros(1));
    assert_eq!(guest.on_standing(ms(2450), spoke), Verdict::Refuse(Refusal::Duplicate));
    // Gone meanwhile.
    assert_eq!(guest.on_standing(ms(2460), Standing::Free), Verdict::Admit);
    assert_eq!(guest.poll_at(ms(2460)), None);
}

proptest! {
    /// A server with stalls of any length, whose timers go off before its sockets are looked at: a
    /// client that sends at least a keepalive in each quarter of the time-out is never taken over.
    #[test]
    fn a_living_client_is_never_taken_over(
        arrived in 0u64..4_000,
        pauses in prop::collection::vec(1u64..500, 40),
        looks in prop::collection::vec((1u64..3_000, any::<bool>()), 1..20),
    ) {
        let mut sent = pauses.iter().scan(0, |at, pause| { *at += pause; Some(*at) }).peekable();
        let (mut now, mut heard) = (arrived, 0);
        // All that was sent before is read when the rival comes, or is not: a stall.
        let mut read = |now: u64, heard: &mut u64| {
            let mut any = false;
            while sent.next_if(|at| *at <= now).is_some() {
                any = true;
            }
            if any { *heard = now }
            any
        };
        let mut guest = named(ms(now));
        for (stall, socket_first) in looks {
            if socket_first { read(now, &mut heard); }
            let mut verdict = guest.on_standing(ms(now), taken(ms(heard)));
            if verdict == Verdict::Look {
                let any = read(now, &mut heard);
                verdict = guest.on_standing(ms(now), Standing::Taken { heard: ms(heard), silent: !any });
            }
            match verdict {
                Verdict::Wait(at) => now = (now + stall).max(at.as_millis()),
                Verdict::Refuse(Refusal::Duplicate) => return Ok(()),
                other => prop_assert!(now > pauses.iter().sum(), "{other:?} at {now}"),
            }
        }
    }

    /// A dead connection gives its id away at the time that the rule says, and never later.
    #[test]
    fn a_dead_connection_gives_its_id_away(heard in 0u64..5_000, later in 0u64..5_000) {
        let mut guest = named(ms(heard + later));
        let at = (heard + 1000).max(heard + later + 500);
        prop_assert_eq!(guest.on_standing(ms(heard + later), taken(ms(heard))), Verdict::Wait(ms(at)));
        prop_assert_eq!(guest.on_standing(ms(at), taken(ms(heard))), Verdict::Look);
        prop_assert_eq!(guest.on_standing(ms(at), silent(ms(heard))), Verdict::TakeOver);
    }
}

//! The program of the ESP8266: what it shows and counts, and what it wants of its owner.

use crate::common::rig::Rig;
use crate::common::span;
use crate::common::world::{World, config, has};
use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::AppEvent;
use pblink_protocol::config::Config;
use pblink_protocol::coprocessor::{
    Command, Coprocessor, KEEPALIVE, LEAVING, MIN_BACKOFF, MIN_SILENCE,
};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::{Initiator, InitiatorEvent, InitiatorTiming, MAX_PAYLOAD};
use pblink_protocol::report::Report;
use pblink_protocol::time::{Duration, Instant};

/// An ESP8266 whose STM32 is in the hands of the test.
type Board = Rig<Initiator, Coprocessor>;

fn esp(board: &mut Board) -> &mut Coprocessor {
    board.esp.as_mut().expect("it runs")
}

/// Passes a payload to the ESP8266.
fn say(board: &mut Board, payload: &[u8]) {
    let now = board.now;
    assert_eq!(board.stm.submit(now, payload), payload.len());
    board.until(span(1000), |board| board.stm.is_passed());
    board.run(span(1));
}

/// Returns the line of a configuration.
fn line(config: &Config) -> Vec<u8> {
    let mut line = [0; MAX_PAYLOAD];
    let len = config.encode(&mut line).expect("a configuration");
    line[..len].to_vec()
}

fn commands(esp: &mut Coprocessor) -> Vec<Command> {
    std::iter::from_fn(|| esp.next_command()).collect()
}

/// Returns what is to be sent to the server.
fn sent(board: &mut Board) -> String {
    let (now, mut all, mut out) = (board.now, Vec::new(), [0; 300]);
    loop {
        match esp(board).transmit(now, &mut out) {
            0 => return String::from_utf8(all).expect("text"),
            n => all.extend_from_slice(&out[..n]),
        }
    }
}

/// Lets the server say that it lives.
fn hear(board: &mut Board) {
    let now = board.now;
    esp(board).on_bytes(now, b"\n");
    board.poll_esp();
}

/// Returns an ESP8266 that has its configuration and a server.
fn linked() -> Board {
    let mut board = Board::new(Initiator::new(InitiatorTiming::default()));
    let now = board.now;
    board.stm.start(now);
    board.settle();
    board.until(span(5000), |b| b.stm.next_event() == Some(InitiatorEvent::Synchronised));
    say(&mut board, &line(&config()));
    let now = board.now;
    esp(&mut board).on_wifi(now, true);
    board.poll_esp();
    assert_eq!(commands(esp(&mut board)), [Command::Join, Command::Connect]);
    esp(&mut board).on_connected(now);
    hear(&mut board);
    assert!(sent(&mut board).starts_with("board\n"));
    // The test takes what is to be sent when it likes.
    esp(&mut board).set_writable(false);
    // Behind number 0 nothing is sent before it is acknowledged.
    say(&mut board, b"3first\n");
    assert_eq!(sent(&mut board), "00first\n");
    let now = board.now;
    esp(&mut board).on_bytes(now, b"00\n");
    board
}

/// Returns an ESP8266 that has a server, to go on with by hand, and the time.
fn up() -> (Coprocessor, Instant) {
    let mut w = World::up();
    w.run(500);
    (w.esp().clone(), w.now())
}

#[test]
fn lines_that_are_none_are_dropped_and_counted_one_by_one() {
    let mut board = linked();
    let other = line(&Config { id: "other".try_into().expect("an id"), ..config() });
    let long = [&b"0"[..], &[b'x'; MAX_TEXT + 1], b"\n"].concat();
    for (n, wrong) in
        [b"xwhat\n", &b"0\n"[..], b"\n", b"0\xff\n", &long, &other].into_iter().enumerate()
    {
        for payload in wrong.chunks(MAX_PAYLOAD) {
            say(&mut board, payload);
        }
        hear(&mut board);
        assert_eq!(esp(&mut board).dropped() as usize, n + 1, "{}", wrong.escape_ascii());
        assert_eq!(esp(&mut board).config(), Some(&config()));
    }
    say(&mut board, b"0fine\n");
    assert!(sent(&mut board).contains("fine"));
    assert_eq!(esp(&mut board).dropped(), 6);
}

/// Only a whole one means that the STM32 has begun anew.
#[test]
fn a_part_of_a_line_that_looks_like_a_configuration_is_part_of_the_line() {
    let mut board = linked();
    let whole = line(&config());
    let (end, open) = whole.split_last().expect("not empty");
    assert_eq!(*end, b'\n');
    for part in [b"[tail", &[open, b"x"].concat()[..]] {
        say(&mut board, b"0half ");
        say(&mut board, part);
        say(&mut board, b"\n");
        let text = String::from_utf8(part.to_vec()).expect("text");
        assert!(sent(&mut board).contains(&format!("half {text}\n")), "{text}");
        hear(&mut board);
    }
    say(&mut board, b"0half ");
    say(&mut board, b"[tail\n");
    assert!(sent(&mut board).contains("half [tail\n"));
    assert_eq!(esp(&mut board).dropped(), 0);
    hear(&mut board);
    say(&mut board, b"0half ");
    say(&mut board, &whole);
    say(&mut board, b"0fine\n");
    let sent = sent(&mut board);
    assert!(sent.contains("fine") && !sent.contains("half"), "{sent}");
    assert_eq!(esp(&mut board).dropped(), 1, "the half line");
}

#[test]
fn it_shows_its_configuration_its_server_and_its_counters() {
    let mut w = World::new();
    w.until(5000, |w| w.rig.esp.is_some());
    let esp = w.esp();
    assert_eq!((esp.config(), esp.server_up()), (None, false));
    w.until(10_000, |w| w.app().server_up());
    let esp = w.esp();
    assert_eq!((esp.config(), esp.server_up()), (Some(&config()), true));
    assert_eq!((w.esp().acked(), w.esp().too_long()), (0, 0));
    for n in 0..3 {
        assert!(w.write(&format!("line {n}"), Delivery::ORDERED));
    }
    w.until(5000, |w| w.server_app.got.len() == 3);
    w.run(500);
    assert_eq!(w.esp().acked(), 3);
    // It is repeated, and counted each time.
    w.server_write(&"x".repeat(MAX_TEXT + 1));
    w.until(20_000, |w| w.esp().too_long() == 2);
    assert_eq!(w.server.unacked(), 1);
    w.silent = true;
    w.until(5000, |w| !w.esp().server_up());
}

#[test]
fn a_connection_that_ends_is_closed_and_opened_again() {
    type End = fn(&mut Coprocessor, Instant);
    for end in [Coprocessor::on_closed as End, Coprocessor::on_low_memory] {
        let (mut esp, now) = up();
        end(&mut esp, now);
        assert!(!esp.server_up());
        assert_eq!(commands(&mut esp), [Command::Disconnect]);
        // There is none to be closed.
        end(&mut esp, now);
        esp.poll(now + MIN_BACKOFF - Duration::from_micros(1));
        assert_eq!(commands(&mut esp), []);
        esp.poll(now + MIN_BACKOFF);
        assert_eq!(commands(&mut esp), [Command::Connect]);
    }
}

#[test]
fn a_network_that_is_lost_takes_its_connection_with_it() {
    let (mut esp, now) = up();
    esp.on_wifi(now, false);
    assert_eq!(commands(&mut esp), [Command::Disconnect, Command::Join]);
    esp.on_wifi(now, true);
    esp.on_wifi(now, false);
    assert_eq!(commands(&mut esp), [Command::Join], "there was none");
}

/// The chip tells the access point.
#[test]
fn a_network_that_is_left_is_joined_after_a_pause() {
    let (mut esp, now) = up();
    let now = now + MIN_SILENCE;
    esp.poll(now);
    assert_eq!(commands(&mut esp), [Command::Disconnect, Command::Leave]);
    esp.poll(now);
    assert_eq!(commands(&mut esp), []);
    esp.poll(now + LEAVING);
    assert_eq!(commands(&mut esp), [Command::Join]);
}

#[test]
fn bytes_that_are_due_are_a_reason_to_poll_unless_the_stack_takes_none() {
    let (mut esp, now) = up();
    esp.on_closed(now);
    let now = now + MIN_BACKOFF;
    esp.poll(now);
    assert_eq!(commands(&mut esp), [Command::Disconnect, Command::Connect]);
    esp.on_connected(now);
    // The hello.
    assert_eq!(esp.poll_at(now), Some(now));
    esp.set_writable(false);
    assert!(esp.poll_at(now).is_some_and(|at| at > now));
    esp.set_writable(true);
    assert_eq!(esp.poll_at(now), Some(now));
}

#[test]
fn a_keepalive_is_a_reason_to_poll() {
    let mut w = World::new();
    w.wifi = false;
    w.until(5000, |w| w.app().is_running());
    w.run(500);
    // Between two exchanges the wires are none.
    w.until(500, |w| {
        let now = w.now();
        w.esp().exchange().poll_at(now).is_none()
    });
    let now = w.now();
    assert!(w.esp().poll_at(now).is_some_and(|at| at < now + KEEPALIVE));
}

#[test]
fn an_interval_of_0_means_no_reports() {
    for (report_s, number) in [(0, None), (1, Some(2))] {
        let mut w = World::with(Config { report_s, ..config() });
        w.until(10_000, |w| w.app().server_up());
        w.run(5000);
        let reports = w.app_events.iter().filter(|it| matches!(it.1, AppEvent::Report(_)));
        assert_eq!(reports.count() > 0, number.is_some());
        if let Some(number) = number {
            assert!(has(&w, AppEvent::Report(Report { connects: 1, number, mem_free: 0 })));
        }
    }
}

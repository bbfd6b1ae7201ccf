//! Pairs whose socket takes bytes late.

use pblink_protocol::config::Config;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::{Duration, Instant};
use pblink_simulator::{NetCommand, Pair, PairOptions, ProgramOptions};

/// Lets the pair live until `end`, with a socket that takes bytes or not; returns what it took.
fn live(pair: &mut Pair, now: &mut Instant, end: Instant, takes: bool) -> Vec<u8> {
    let mut taken = Vec::new();
    loop {
        pair.advance(*now);
        while let Some(command) = pair.next_net_command() {
            if command == NetCommand::Connect {
                pair.net_connected(*now);
                // A server's keepalive: lines may come.
                pair.net_received(b"\n", *now);
            }
        }
        while pair.next_event().is_some() {}
        // A server that lives sends keepalives.
        pair.net_received(b"\n", *now);
        if takes {
            taken.append(pair.outgoing());
        }
        let next = pair.next_at().unwrap_or(end).max(*now + Duration::from_millis(1));
        if next > end {
            *now = end;
            return taken;
        }
        *now = next;
    }
}

fn messages(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().filter(|line| line.len() > 2).map(|line| line[..2].to_owned()).collect()
}

#[test]
fn lines_that_waited_for_the_socket_are_not_repeated_at_once() {
    let config = Config {
        id: "1".try_into().unwrap(),
        port: 8123,
        server: "server".try_into().unwrap(),
        timeout_ms: 10_000,
        report_s: 0,
        ssid: "net".try_into().unwrap(),
        password: Default::default(),
    };
    // More than the socket's buffer full of lines that do not wait for each other, and as many as an
    // ESP8266 takes at once.
    let program = ProgramOptions {
        every: Duration::from_millis(10),
        count: Some(5),
        delivery: Delivery::UNORDERED,
        padding: 450,
        ..ProgramOptions::default()
    };
    let options = PairOptions { program, ..PairOptions::default() };
    let mut now = Instant::ZERO;
    let mut pair = Pair::new(&config, options, now).unwrap();
    // Only the first line, since nothing follows id 0 before its acknowledgement. Longer than a
    // time-out: a line that counted as sent at the zero of the clock would be due for repetition.
    let end = now + Duration::from_millis(20_000);
    let sent = live(&mut pair, &mut now, end, true);
    assert_eq!(messages(&sent).first().map(String::as_str), Some("00"));
    pair.net_received(b"00\n", now);
    // The rest while the socket takes nothing, but for less than a time-out; and then all.
    let end = now + Duration::from_millis(6_000);
    live(&mut pair, &mut now, end, false);
    let end = now + Duration::from_millis(1_000);
    let sent = live(&mut pair, &mut now, end, true);
    assert_eq!(messages(&sent), ["01", "02", "03", "04"]);
    assert_eq!(pair.program().remembered(), 0, "nobody asked for it");
}

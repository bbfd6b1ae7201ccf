//! The published Pyboard against the ESP8266's machine code: it polls `ack`, arms its I2C slave after it has raised
//! `syn`, and takes its time.

use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::frame::HostFrame;
use unicorn_bench::published::{Pace, Published};

use crate::board::{PASSWORD, network, settings};

/// Times of the published code as they were recorded, in µs.
fn recorded() -> (Vec<u64>, Vec<u64>) {
    let recording = include_str!("../../../../protocol/tests/vectors/i2c_link_wires.jsonl");
    let field = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\": "))?;
        Some(rest[..rest.find([',', '}'])?].trim_matches('"').to_owned())
    };
    let entries: Vec<(f64, String)> = (recording.lines())
        .map(|line| {
            let at = field(line, "t").and_then(|t| t.parse().ok()).expect("a time in ms");
            let names = ["who", "ev", "pin", "v"].map(|name| field(line, name).unwrap_or_default());
            (at, names.join(" ").trim().to_owned())
        })
        .collect();
    let (mut arm, mut react) = (Vec::new(), Vec::new());
    for two in entries.windows(2) {
        let us = ((two[1].0 - two[0].0) * 1000.0) as u64;
        match (two[0].1.as_str(), two[1].1.as_str()) {
            ("I pin syn 1", "I arm_send" | "I arm_recv") => arm.push(us),
            ("R pin ack 1", "I pin syn 0" | "I pin syn 1") | ("R pin ack 0", "I pin syn 0") => {
                react.push(us);
            }
            _ => {}
        }
    }
    (arm, react)
}

fn text(n: usize) -> String {
    let len = [1, 2, 40, 150, 197, 198][n % 6];
    let mut text = format!("{n} ");
    while text.len() < len {
        text.push(char::from(b'a' + (text.len() * 7 + n) as u8 % 26));
    }
    text
}

/// Lines both ways, of which none is lost, doubled or changed, and no exchange fails.
fn lines_pass(pace: Pace, lines: usize) {
    let mut board = Published::new(pace.clone());
    board.esp().chip.wifi.points.push(network("home", PASSWORD));
    let mut json = [0; 400];
    let len = settings().config.encode(&mut json).expect("good settings");
    board.start().expect("it starts");
    board.write(&HostFrame::Config(json[..len].trim_ascii_end()));
    for n in 0..lines {
        board.write(&HostFrame::Line { delivery: Delivery::ORDERED, text: &text(n) });
        board.world().server.write(&text(n));
    }
    let done = |board: &mut Published| {
        let seen = board.from_server().len();
        assert!(board.exchanges < 40 * lines + 600, "{seen} lines; {:?}", board.world().traffic());
        seen >= lines && board.world().server.ledger.got.len() >= lines
    };
    board.run(done).unwrap_or_else(|failed| panic!("{pace:?}: {failed:?}"));
    // A line that comes twice would come now.
    let end = board.exchanges + 50;
    board.run(|board| board.exchanges >= end).unwrap_or_else(|failed| panic!("{failed:?}"));
    let wanted: Vec<String> = (0..lines).map(text).collect();
    assert_eq!(board.from_server(), wanted);
    let (exchanges, traffic) = (board.exchanges, board.world().traffic());
    assert_eq!(board.world().server.ledger.got, wanted);
    assert_eq!((traffic.resets, board.world().chip.i2c.misuse), (1, 0));
    println!("{exchanges} exchanges, {} addresses not acknowledged", traffic.naks);
}

/// One that polls as slowly as it may and still sees a pulse of 100 µs. The published one missed one of 93.
const SLOWEST: u64 = 98;

#[test]
fn at_the_recorded_pace() {
    let (arm, react) = recorded();
    assert!(arm.len() > 200 && react.len() > 300, "{} {}", arm.len(), react.len());
    lines_pass(Pace { look: SLOWEST, arm, react }, 60);
}

#[test]
fn at_the_pace_of_a_pyboard() {
    for look in [3, 10, 37, SLOWEST] {
        lines_pass(Pace { look, arm: vec![12], react: vec![8] }, 30);
    }
}

//! Lines and pulses.

use unicorn_bench::board::{BLACK_PILL, NUCLEO_F446};
use unicorn_bench::esp_chip::Wire;
use unicorn_bench::lines::{echo, healthy, print};

use crate::board::{bench, bench_on, esp, settings};

/// Texts of all lengths, 1 to 1024 bytes; each names its number where there is room.
fn text(n: usize) -> String {
    // Around the borders of a payload (200) and a line (1024), and anything between.
    let len = match n % 64 {
        0 => 1024,
        1 => 198 + n / 64 % 5,
        2 => 398 + n / 64 % 5,
        3 => 1 + n * 37 % 1024,
        _ => 1 + n * 7 % 90,
    };
    let mut text = format!("{n} ");
    while text.len() < len {
        text.push(char::from(b'a' + (text.len() * 7 + n) as u8 % 26));
    }
    text.truncate(len);
    text
}

/// Exchanges in a row. `PBLINK_EXCHANGES=10000` asks for more of them, at 18 s of processor time a thousand.
#[test]
fn thousands_of_exchanges() {
    let count =
        std::env::var("PBLINK_EXCHANGES").map_or(1_000, |text| text.parse().expect("a number"));
    let mut bench = bench("echo", &settings());
    let lines = echo(&mut bench, text, |world, _| world.traffic().exchanges >= count);
    healthy(&mut bench);
    assert_eq!(bench.world().traffic().naks, 0);
    println!("{lines} lines returned");
    print("healthy", &mut bench);
}

/// Pulses A and A' are the times in which `ack` is low and `syn` does not move: the published Pyboard, which polls,
/// has nothing else to see them by. It missed one of 93 µs.
#[test]
fn every_pulse_of_ack_is_100_us_long() {
    let mut bench = bench("echo", &settings());
    esp(&mut bench).handshake = Some(Vec::new());
    echo(&mut bench, text, |_, sent| sent >= 64);
    let edges = esp(&mut bench).handshake.take().expect("they were wanted");
    let mut pulses: Vec<f64> = (edges.windows(2))
        .filter(|two| two.iter().all(|edge| edge.wire == Wire::Ack) && !two[0].level)
        .map(|two| two[1].at - two[0].at)
        .collect();
    pulses.sort_by(f64::total_cmp);
    let (first, last) = (pulses[0], pulses[pulses.len() - 1]);
    let slow = pulses.iter().filter(|pulse| **pulse >= 300.0).count();
    println!("{} pulses of {first:.1} to {last:.1} µs, {slow} of 300 or more", pulses.len());
    assert!(pulses.len() > 100 && first >= 100.0, "{first}");
    // Their end is waited for on the spot, since no timer of the chip is as short: but for the one in which the flash is
    // written, and where the console is full.
    assert!(slow <= 4, "{slow} of {}", pulses.len());
}

/// The other boards have the same drivers on other pins: `tests/boards.rs` has more of them.
#[test]
fn lines_pass_on_the_pins_of_every_board() {
    for board in [&BLACK_PILL, &NUCLEO_F446] {
        let mut bench = bench_on(board, "echo", &settings());
        echo(&mut bench, text, |_, sent| sent >= 40);
        healthy(&mut bench);
        assert!(bench.world().chip.is_wired(), "{}", board.map.board);
    }
}

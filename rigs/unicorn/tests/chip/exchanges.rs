//! Lines and pulses.

use unicorn_bench::bench::Bench;
use unicorn_bench::board::{BLACK_PILL, NUCLEO_F446};
use unicorn_bench::esp_chip::Wire;

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

/// Sends lines until `done`; all must come back, once, in order.
fn echo(bench: &mut Bench, mut done: impl FnMut(&mut Bench, usize) -> bool) -> usize {
    let mut sent = 0;
    while !done(bench, sent) {
        let world = bench.world();
        while world.server.unacked() < 8 {
            world.server.write(&text(sent));
            sent += 1;
        }
        bench.run_ms(10);
        let world = bench.world();
        assert!(world.now() < 3_600_000_000, "{:?} {}", world.traffic(), world.console());
    }
    bench.until("everything comes back", 120_000, |w| w.server.ledger.got.len() >= sent);
    // A repetition would come now.
    bench.run_ms(5_000);
    let ledger = &bench.world().server.ledger;
    assert_eq!(ledger.got.len(), sent);
    for (n, line) in ledger.got.iter().enumerate() {
        assert_eq!(*line, text(n));
    }
    assert_eq!((ledger.acked, ledger.invalid), (sent, 0));
    sent
}

/// Prints how a run ended, for people.
fn print(what: &str, bench: &mut Bench) {
    let world = bench.world();
    let (now, traffic) = (world.now(), world.traffic());
    println!(
        "{what}: {} exchanges; payloads up {} ({} bytes), down {} ({} bytes); {} NAKs; {} resets; \
         SCL held low for at most {} µs; {} s of virtual time; stack of the ESP8266 {} bytes",
        traffic.exchanges,
        traffic.up.0,
        traffic.up.1,
        traffic.down.0,
        traffic.down.1,
        traffic.naks,
        traffic.resets,
        traffic.stretched,
        now / 1_000_000,
        esp(bench).chip.stack_used(),
    );
}

#[test]
fn ten_thousand_exchanges() {
    let mut bench = bench("echo", &settings());
    let lines = echo(&mut bench, |bench, _| bench.world().traffic().exchanges >= 10_000);
    let world = bench.world();
    // One reset at start; registers used as the manual wants; no reset of the STM32.
    assert_eq!(world.traffic().resets, 1, "{}", world.console());
    assert_eq!((world.chip.i2c.misuse, world.chip.unclocked), (0, 0));
    assert_eq!((world.chip.watchdog_resets, world.chip.own_resets), (0, 0));
    assert_eq!(world.traffic().naks, 0);
    println!("{lines} lines returned");
    print("healthy", &mut bench);
}

/// Pulses A and A' are the times in which `ack` is low and `syn` does not move: the published Pyboard, which polls,
/// has nothing else to see them by. It missed one of 93 µs.
#[test]
fn every_pulse_of_ack_is_100_us_long() {
    let mut bench = bench("echo", &settings());
    esp(&mut bench).handshake = Some(Vec::new());
    echo(&mut bench, |_, sent| sent >= 64);
    let edges = esp(&mut bench).handshake.take().expect("they were wanted");
    let mut pulses: Vec<f64> = (edges.windows(2))
        .filter(|two| two.iter().all(|edge| edge.wire == Wire::Ack) && !two[0].level)
        .map(|two| two[1].at - two[0].at)
        .collect();
    pulses.sort_by(f64::total_cmp);
    let (first, last) = (pulses[0], pulses[pulses.len() - 1]);
    println!("{} pulses of {first:.1} to {last:.1} µs", pulses.len());
    assert!(pulses.len() > 100 && first >= 100.0, "{first}");
}

/// The other boards have the same drivers on other pins: `tests/boards.rs` has more of them.
#[test]
fn lines_pass_on_the_pins_of_every_board() {
    for board in [&BLACK_PILL, &NUCLEO_F446] {
        let mut bench = bench_on(board, "echo", &settings());
        echo(&mut bench, |_, sent| sent >= 40);
        let chip = &bench.world().chip;
        assert!(chip.is_wired(), "{}", board.map.board);
        assert_eq!((chip.i2c.misuse, chip.unclocked, chip.watchdog_resets), (0, 0, 0));
    }
}

//! Lines that a board returns, for tests: the program `echo`, and a ledger.

use crate::bench::Bench;
use crate::world::World;

/// The longest that any of them runs, in µs of virtual time.
const LONGEST: u64 = 3_600_000_000;

/// Sends lines until `done`, which gets the number that were sent. All must come back, once and in order. Returns the number.
///
/// # Panics
/// If they do not.
pub fn echo(
    bench: &mut Bench,
    line: impl Fn(usize) -> String,
    mut done: impl FnMut(&mut World, usize) -> bool,
) -> usize {
    let mut sent = 0;
    while !done(bench.world(), sent) {
        let world = bench.world();
        while world.server.unacked() < 8 {
            world.server.write(&line(sent));
            sent += 1;
        }
        bench.run_ms(10);
        let world = bench.world();
        assert!(world.now() < LONGEST, "{:?} {}", world.traffic(), world.console());
    }
    bench.until("everything comes back", 120_000, |w| w.server.ledger.got.len() >= sent);
    // A repetition would come now.
    bench.run_ms(5_000);
    let ledger = &bench.world().server.ledger;
    assert_eq!(ledger.got.len(), sent);
    for (n, got) in ledger.got.iter().enumerate() {
        assert_eq!(*got, line(n));
    }
    assert_eq!((ledger.acked, ledger.invalid), (sent, 0));
    sent
}

/// Checks that registers were used as the manual wants, and that neither board was reset but for the one at the start.
///
/// # Panics
/// If not.
pub fn healthy(bench: &mut Bench) {
    let world = bench.world();
    assert_eq!(world.traffic().resets, 1, "{}", world.console());
    assert_eq!((world.chip.i2c.misuse, world.chip.unclocked), (0, 0));
    assert_eq!((world.chip.watchdog_resets, world.chip.own_resets), (0, 0));
}

/// Prints how a run ended, for people.
pub fn print(what: &str, bench: &mut Bench) {
    let stack = bench.stack_used();
    let world = bench.world();
    let traffic = world.traffic();
    println!(
        "{what}: {} exchanges; payloads up {} ({} bytes), down {} ({} bytes); {} NAKs; {} resets; \
         SCL held low for at most {} µs; {} s of virtual time; stack {stack} bytes",
        traffic.exchanges,
        traffic.up.0,
        traffic.up.1,
        traffic.down.0,
        traffic.down.1,
        traffic.naks,
        traffic.resets,
        traffic.stretched,
        world.now() / 1_000_000,
    );
    if let Some(esp) = &world.esp_chip {
        println!("{what}: stack of the ESP8266 {} bytes", esp.chip.stack_used());
    }
}

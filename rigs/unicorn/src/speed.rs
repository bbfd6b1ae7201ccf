//! The speed of the wires, in the time of the bus: both chips run their machine code, and nothing depends on how
//! fast this machine is.

use crate::bench::Bench;
use crate::world::World;

/// Bytes a second that a bus of 100 kHz carries, each with its ninth bit.
pub const BUS: f64 = 100_000.0 / 9.0;

/// Returns the bytes a second that the bus carries at the clock that the ESP8266 makes.
pub fn bus(bench: &mut Bench) -> f64 {
    let bit = bench.world().esp_chip.as_ref().map_or(0.0, |esp| esp.bit);
    1e6 / (9.0 * bit)
}

/// The time without lines after which the pauses between exchanges are longest, and some more, in ms.
const SILENCE: u64 = 12_000;
/// The precision of the times, in µs.
const STEP: u64 = 100;

/// Sends lines of this length to a board that returns them, as many as it takes, for this long. Returns the bytes of
/// text a second that pass, both ways together.
pub fn goodput(bench: &mut Bench, len: usize, seconds: u64) -> f64 {
    fn passed(world: &mut World) -> usize {
        let ledger = &world.server.ledger;
        let received = ledger.got.iter().map(String::len).sum::<usize>();
        received + ledger.acked * ledger.got.last().map_or(0, String::len)
    }
    let text = "0123456789abcdef".repeat(len.div_ceil(16));
    let round = |bench: &mut Bench, ms: u64| {
        let until = bench.world().now() + ms * 1000;
        while bench.world().now() < until {
            while bench.world().server.unacked() < 8 {
                bench.world().server.write(&text[..len]);
            }
            bench.run_ms(10);
        }
    };
    round(bench, 5_000);
    let before = passed(bench.world());
    round(bench, seconds * 1000);
    let after = passed(bench.world());
    (after - before) as f64 / seconds as f64
}

/// Returns how long lines take from the server to the STM32 when there was none for a while, in ms, sorted. It counts
/// from the call in the server, 2 ms of network included, to the end of the transfer.
pub fn to_board(bench: &mut Bench, lines: u64) -> Vec<f64> {
    let mut times = Vec::new();
    for n in 0..lines {
        bench.run_ms(SILENCE);
        // Anywhere between two exchanges.
        bench.run_us(n * 7_919 % 100_000);
        let before = (bench.world().now(), bench.world().traffic().down.0);
        bench.world().server.write(&format!("line {n}"));
        let after = when(bench, |world| world.traffic().down.0 > before.1);
        times.push((after - before.0) as f64 / 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Returns how long lines take from the STM32 to the server when there was none for some seconds, in ms, sorted. It
/// counts from the program's report on the console, right after its call, to the server, 2 ms of network included. The
/// program is `demo`, which sends one each 5 s.
pub fn to_server(bench: &mut Bench, lines: u64) -> Vec<f64> {
    let mut times = Vec::new();
    let got = bench.world().server.ledger.got.len();
    when(bench, |world| world.server.ledger.got.len() > got);
    for _ in 0..lines {
        let said = bench.world().console().matches("sent [").count();
        bench.run_ms(4_000);
        let got = bench.world().server.ledger.got.len();
        let before = when(bench, |world| world.console().matches("sent [").count() > said);
        let after = when(bench, |world| world.server.ledger.got.len() > got);
        times.push((after - before) as f64 / 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Returns the part of its time that the ESP8266 works when no line passes: all that its program does, and none of
/// what the SDK does by itself.
pub fn idle_load(bench: &mut Bench) -> f64 {
    bench.run_ms(SILENCE);
    let at = |world: &World| {
        let chip = &world.esp_chip.as_ref().expect("it runs its own code").chip;
        (chip.worked, chip.cycles)
    };
    let before = at(bench.world());
    bench.run_ms(10_000);
    let after = at(bench.world());
    (after.0 - before.0) as f64 / (after.1 - before.1) as f64
}

/// Returns the middle one of sorted times.
pub fn median(times: &[f64]) -> f64 {
    times[times.len() / 2]
}

/// Runs until `done`, and returns the time, in µs.
fn when(bench: &mut Bench, mut done: impl FnMut(&mut World) -> bool) -> u64 {
    let limit = bench.world().now() + 20_000_000;
    while !done(bench.world()) {
        bench.run_us(STEP);
        assert!(bench.world().now() < limit, "it does not come: {}", bench.world().console());
    }
    bench.world().now()
}

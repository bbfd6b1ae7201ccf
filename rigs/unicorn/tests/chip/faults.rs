//! Resets and wires.

use unicorn_bench::bench::Bench;
use unicorn_bench::esp_chip::Stuck;

use crate::board::{bench, esp, settings, some};

/// A line passes both ways, whatever came before it.
fn comes_back(bench: &mut Bench, line: &str, limit_ms: u64) {
    bench.world().server.write(line);
    bench.until(&format!("{line} comes back"), limit_ms, |w| {
        w.server.ledger.got.iter().any(|got| got == line)
    });
}

/// The cost of a crash of the ESP8266 is documented: a line may be missing, or come twice. Nothing else: no line
/// is changed, none overtakes another, and the STM32 neither restarts nor misuses its bus.
fn in_order(bench: &mut Bench) {
    let world = bench.world();
    let numbers: Vec<u64> =
        world.server.ledger.got.iter().map(|line| line.parse().expect("a number")).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert_eq!(world.server.ledger.invalid, 0);
    assert_eq!((world.chip.watchdog_resets, world.chip.own_resets), (0, 0));
    assert_eq!(world.chip.i2c.misuse, 0);
}

/// The clock of an exchange that carries a line each way has some hundred edges: at each the ESP8266 is reset once. The
/// short form takes one in eleven, and so each of the eighteen of some byte.
#[test]
fn a_reset_at_any_bit_of_a_transfer_is_recovered_from() {
    let mut bench = bench("echo", &settings());
    let wifi = &mut esp(&mut bench).chip.wifi;
    (wifi.join, wifi.dhcp) = (100_000, Some(10_000));
    comes_back(&mut bench, "0", 30_000);
    let (mut slowest, mut resets) = (0, 0);
    for edge in some(1..=EDGES, 11) {
        resets += 1;
        let esp = esp(&mut bench);
        esp.reset_at_edge = Some(esp.edges + edge);
        let number = 2 * edge;
        bench.world().server.write(&number.to_string());
        bench.until("the reset", 10_000, |w| {
            w.esp_chip.as_ref().is_some_and(|esp| esp.reset_at_edge.is_none())
        });
        let before = bench.world().now();
        comes_back(&mut bench, &(number + 1).to_string(), 30_000);
        slowest = slowest.max(bench.world().now() - before);
    }
    in_order(&mut bench);
    let got = bench.world().server.ledger.got.len();
    println!("{resets} resets, {got} lines, the next after {} ms at most", slowest / 1000);
    assert!(esp(&mut bench).traffic.down.0 >= resets / 2);
}

/// Edges of SCL: some empty exchanges, and one with a line in each direction.
const EDGES: u64 = 700;

#[test]
fn wires_that_are_held_and_let_go() {
    let stuck = [
        Stuck { scl: true, ..Stuck::default() },
        Stuck { sda: true, ..Stuck::default() },
        Stuck { syn: Some(false), ..Stuck::default() },
        Stuck { syn: Some(true), ..Stuck::default() },
        Stuck { ack: Some(false), ..Stuck::default() },
        Stuck { ack: Some(true), ..Stuck::default() },
    ];
    let mut bench = bench("echo", &settings());
    comes_back(&mut bench, "0", 30_000);
    let mut number = 0;
    for stuck in stuck {
        for ms in [3, 700, 4_000] {
            number += 1;
            bench.world().server.write(&number.to_string());
            esp(&mut bench).stuck = stuck;
            bench.run_ms(ms);
            esp(&mut bench).stuck = Stuck::default();
            number += 1;
            comes_back(&mut bench, &number.to_string(), 40_000);
        }
    }
    in_order(&mut bench);
}

/// The chip writes the new network to its flash, from which no instruction can be fetched meanwhile. The exchange
/// waits for it, so it takes a disturbed wire to have an edge then.
#[test]
fn edges_of_syn_may_come_while_the_flash_is_being_written() {
    let mut bench = bench("echo", &settings());
    bench.until("the network is written", 30_000, |w| {
        w.esp_chip.as_ref().is_some_and(|esp| esp.chip.is_writing())
    });
    for level in [false, true, false, true] {
        esp(&mut bench).stuck.syn = Some(level);
        bench.run_ms(2);
    }
    esp(&mut bench).stuck.syn = None;
    assert!(esp(&mut bench).chip.interrupts_without_flash > 0);
    comes_back(&mut bench, "0", 60_000);
    in_order(&mut bench);
}

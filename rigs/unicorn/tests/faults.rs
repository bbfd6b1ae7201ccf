//! One fault at a time, in the middle of traffic: the release image must find back by itself, with
//! nothing duplicated and nothing lost beyond what `docs/PROTOCOL.md` allows.

use pblink_stm32::settings::{LogLevel, Settings};
use unicorn_bench::bench::{Bench, World};

fn start() -> Bench {
    let mut settings = Settings::built_in();
    settings.log = LogLevel::Link;
    settings.config.report_s = 0;
    let mut bench = Bench::new("echo", Some(&settings));
    bench.world().server.write("line 0");
    bench.until("the first line is back", 20_000, |w| !w.server.ledger.got.is_empty());
    bench
}

/// 20 lines, a fault, 20 lines. `resets`: how often the ESP8266 must be reset because of it at least.
fn survives(name: &str, resets: u64, fault: impl FnOnce(&mut Bench)) {
    survives_with(&mut start(), name, resets, fault);
}

fn survives_with(bench: &mut Bench, name: &str, resets: u64, fault: impl FnOnce(&mut Bench)) {
    let before = bench.world().esp.traffic.resets;
    let chip_resets = bench.world().chip.watchdog_resets;
    for n in 1..=20 {
        bench.world().server.write(&format!("line {n} {}", "x".repeat(n * 17)));
    }
    bench.until("traffic flows", 20_000, |w| w.server.ledger.got.len() >= 5);
    let from = bench.world().now();
    fault(bench);
    for n in 21..=40 {
        bench.world().server.write(&format!("line {n} {}", "y".repeat(n)));
    }
    bench.until("the last line is back", 120_000, |w| {
        w.server.ledger.got.last().is_some_and(|l| l.starts_with("line 40 "))
    });
    let took = (bench.world().now() - from) / 1000;
    bench.run_ms(5_000);
    let world = bench.world();
    let crashes = world.esp.traffic.resets - before;
    assert!(crashes >= resets, "{name}: the ESP8266 was reset {crashes} times");
    ledger(name, world, crashes);
    assert_eq!(world.chip.own_resets, 0, "{name}");
    assert_eq!(world.chip.i2c.misuse, 0, "{name}");
    println!(
        "{name}: all back {took} ms after the fault; {crashes} resets of the ESP8266, {} of the chip",
        world.chip.watchdog_resets - chip_resets
    );
}

/// Each crash of the ESP8266 may lose two lines on their way up, and may bring one down twice.
fn ledger(name: &str, world: &World, crashes: u64) {
    let numbers: Vec<usize> = (world.server.ledger.got.iter())
        .map(|l| l.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a line of ours"))
        .collect();
    let lost = (0..=40).filter(|n| !numbers.contains(n)).count() as u64;
    let extra = numbers.len() as u64 + lost - 41;
    assert!(lost <= 2 * crashes, "{name}: {lost} lost of {numbers:?}");
    assert!(extra <= crashes, "{name}: {extra} duplicates of {numbers:?}");
    assert!(numbers.is_sorted(), "{name}: out of order: {numbers:?}");
    assert_eq!(world.server.ledger.invalid, 0, "{name}");
}

#[test]
fn a_transfer_that_is_broken_off() {
    for cut in [1, 2, 3, 50] {
        survives(&format!("read broken off after {cut}"), 1, |bench| {
            bench.world().esp.faults.cut_read = Some(cut);
            bench.until("it was", 10_000, |w| w.esp.faults.cut_read.is_none());
        });
        survives(&format!("write broken off after {cut}"), 1, |bench| {
            bench.world().esp.faults.cut_write = Some(cut);
            bench.until("it was", 10_000, |w| w.esp.faults.cut_write.is_none());
        });
    }
}

#[test]
fn start_and_stop_in_the_middle() {
    survives("misplaced start", 1, |bench| {
        bench.world().esp.faults.misplaced = true;
        bench.until("it was", 10_000, |w| !w.esp.faults.misplaced);
    });
}

#[test]
fn an_esp_that_hangs_at_any_point() {
    for actions in 0..16 {
        survives(&format!("hung after {actions} actions"), 1, |bench| {
            bench.world().esp.faults.hang_after = Some(actions);
            bench.until("it hangs", 10_000, |w| !w.esp.runs());
        });
    }
}

#[test]
fn an_esp_that_starts_again_by_itself() {
    for delay in [0, 1, 2, 3, 5, 8, 13, 21] {
        survives(&format!("brown-out after {delay} ms"), 1, |bench| {
            bench.run_ms(delay);
            let world = bench.world();
            let now = world.now();
            world.esp.brown_out(&mut world.server, now);
        });
    }
}

#[test]
fn wires_that_stick() {
    for level in [false, true] {
        survives(&format!("ack stuck at {}", u8::from(level)), 1, |bench| {
            bench.world().esp.stick_ack(Some(level));
            bench.run_ms(7_000);
            bench.world().esp.stick_ack(None);
        });
        survives(&format!("syn stuck at {}", u8::from(level)), 1, |bench| {
            bench.world().esp.faults.syn_stuck = Some(level);
            bench.run_ms(7_000);
            bench.world().esp.faults.syn_stuck = None;
        });
    }
    survives("scl stuck", 1, |bench| {
        bench.world().esp.faults.scl_stuck = true;
        bench.run_ms(7_000);
        bench.world().esp.faults.scl_stuck = false;
    });
}

#[test]
fn an_esp_that_is_gone_for_half_a_minute() {
    survives("no ESP8266 for 30 s", 2, |bench| {
        bench.world().esp.faults.dead = true;
        let world = bench.world();
        let now = world.now();
        world.esp.brown_out(&mut world.server, now);
        bench.run_ms(30_000);
        bench.world().esp.faults.dead = false;
    });
}

#[test]
fn the_watchdog_bites_when_the_program_hangs() {
    let mut bench = start();
    // What a program that never yields looks like from outside.
    bench.freeze(true);
    bench.until("the watchdog bites", 20_000, |w| w.chip.watchdog_resets == 1);
    bench.freeze(false);
    bench.world().server.write("line 1");
    bench.until("the link is back", 20_000, |w| w.server.ledger.got.len() >= 2);
    assert_eq!(bench.world().server.ledger.got, ["line 0", "line 1"]);
    assert_eq!((bench.world().chip.watchdog_resets, bench.world().chip.own_resets), (1, 0));
}

/// The reset is the one that the panic handler asks for.
#[test]
fn a_reset_that_the_program_asks_for_is_counted_and_survived() {
    let mut bench = start();
    bench.world().chip.write(0xe000_ed0c, 0x05fa_0004);
    bench.world().server.write("line 1");
    bench.until("the link is back", 20_000, |w| w.server.ledger.got.len() >= 2);
    assert_eq!((bench.world().chip.watchdog_resets, bench.world().chip.own_resets), (0, 1));
}

#[test]
fn many_faults_one_after_the_other() {
    let mut bench = start();
    for n in 0..40_u64 {
        let world = bench.world();
        let now = world.now();
        match n % 6 {
            0 => world.esp.faults.cut_write = Some(1 + n as usize),
            // The probe's way back.
            4 => world.esp.faults.cut_read = Some(1 + n as usize % 6),
            1 => world.esp.faults.hang_after = Some(n as u32),
            2 => world.esp.brown_out(&mut world.server, now),
            3 => world.esp.faults.misplaced = true,
            _ => world.esp.faults.wrong_address = 5,
        }
        // A probe must come back after each; what was on its way when the fault struck may not.
        let probe = format!("probe {n}");
        let mut next = 0;
        bench.until("the probe is back", 120_000, |w| {
            if w.now() >= next {
                w.server.write(&probe);
                next = w.now() + 10_000_000;
            }
            w.server.ledger.got.contains(&probe)
        });
    }
    let world = bench.world();
    assert_eq!((world.chip.watchdog_resets, world.chip.own_resets), (0, 0));
    println!("40 faults: {} resets of the ESP8266", world.esp.traffic.resets);
}

#[test]
fn a_noisy_bus_never_stops_the_program() {
    for one_in in [2000, 200, 20, 2] {
        let mut bench = start();
        bench.world().esp.faults.noise = one_in;
        for n in 0..200 {
            bench.world().server.write(&format!("noise {n} {}", "n".repeat(n)));
        }
        bench.run_ms(60_000);
        // I2C has no checksum, so lines are garbled, or lost. But the program continues, and when the
        // noise is over so do lines: also if the configuration was garbled, after 5 min at most.
        bench.world().esp.faults.noise = 0;
        bench.world().server.write("the end");
        bench.until("lines come back", 900_000, |w| {
            w.server.ledger.got.iter().any(|l| l == "the end")
        });
        let world = bench.world();
        assert_eq!((world.chip.watchdog_resets, world.chip.own_resets), (0, 0));
        assert_eq!((world.chip.i2c.misuse, world.chip.unclocked), (0, 0));
        println!(
            "one byte in {one_in} garbled: {} resets of the ESP8266, {} s of virtual time",
            world.esp.traffic.resets,
            world.now() / 1_000_000
        );
    }
}

//! The speed of the wires, in virtual time, which is the same everywhere. `examples/speed.rs` prints more of it.

use pblink_stm32::settings::LogLevel;
use unicorn_bench::speed::{BUS, bus, goodput, idle_load, median, to_board, to_server};

use crate::board::{esp, ready};

#[test]
fn long_lines_use_most_of_the_bus() {
    let mut bench = ready("echo", LogLevel::Link);
    let rate = goodput(&mut bench, 1024, 5);
    let bus = bus(&mut bench);
    println!("{rate:.0} bytes/s of {bus:.0}");
    assert!(rate >= 0.70 * bus && rate >= 0.70 * BUS, "{rate} of {bus}");
}

#[test]
fn a_line_is_there_at_once_although_the_link_was_idle() {
    let times = to_board(&mut ready("echo", LogLevel::Link), 5);
    println!("to the STM32: {times:.1?} ms");
    assert!(median(&times) <= 10.0, "{times:?}");
    let times = to_server(&mut ready("demo", LogLevel::Lines), 3);
    println!("to the server: {times:.1?} ms");
    assert!(times[times.len() - 1] <= 10.0, "{times:?}");
}

/// Pauses may be shorter than what the SDK does by itself. The program learns of the edges all the same.
#[test]
fn a_wifi_stack_that_takes_its_time() {
    let mut bench = ready("echo", LogLevel::Link);
    let mut lines = vec!["ready".to_owned()];
    for round in 0..1_000_u64 {
        if bench.world().server.unacked() < 4 {
            let n = lines.len();
            lines.push(format!("{n} {}", "x".repeat(n * 37 % 400)));
            bench.world().server.write(&lines[n]);
        }
        esp(&mut bench).chip.occupy(3_000 + round % 7 * 1_000);
        bench.run_us(9_000 + round % 11 * 300);
    }
    bench.until("all come back", 60_000, |w| w.server.ledger.got.len() >= lines.len());
    let world = bench.world();
    println!("{} lines, {:?}", lines.len(), world.traffic());
    assert_eq!(world.traffic().resets, 1, "{}", world.console());
    assert!(world.server.ledger.got == lines, "a line is missing, changed or came twice");
    assert!(lines.len() > 100, "{}", lines.len());
}

#[test]
fn an_idle_link_leaves_the_esp8266_nine_tenths_of_its_time() {
    let load = idle_load(&mut ready("echo", LogLevel::Link));
    println!("{:.1} %", load * 100.0);
    assert!(load < 0.10, "{load}");
}

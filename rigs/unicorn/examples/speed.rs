//! Prints the speed of the wires, in the time of the bus. Build both programs first: `firmware-stm32/build.sh` and
//! `firmware-esp8266/build.sh sdk`.

#[path = "../tests/chip/board.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod board;

use board::ready;
use pblink_stm32::settings::LogLevel;
use unicorn_bench::speed::{BUS, bus, goodput, idle_load, median, to_board, to_server};

fn main() {
    for len in [1024, 198, 20] {
        let mut bench = ready("echo", LogLevel::Link);
        let rate = goodput(&mut bench, len, 60);
        let parts = [BUS, bus(&mut bench)].map(|bus| rate / bus * 100.0);
        println!(
            "lines of {len} bytes, both ways together: {rate:.0} bytes/s, {:.0} % of a bus of 100 kHz, \
             {:.0} % at the clock of the ESP8266",
            parts[0], parts[1]
        );
    }
    for (what, times) in [
        ("from the server to the STM32", to_board(&mut ready("echo", LogLevel::Link), 50)),
        ("from the STM32 to the server", to_server(&mut ready("demo", LogLevel::Lines), 50)),
    ] {
        let (first, last) = (times[0], times[times.len() - 1]);
        let middle = median(&times);
        println!("a line {what}, link idle before: {middle:.1} ms (p50), {first:.1} to {last:.1}");
    }
    let load = idle_load(&mut ready("echo", LogLevel::Link)) * 100.0;
    println!("link idle: the ESP8266 works {load:.1} % of its time");
}

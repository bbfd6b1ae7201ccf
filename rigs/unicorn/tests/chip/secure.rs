//! The secure link through the ESP8266's own machine code.

use unicorn_bench::bench::Bench;
use unicorn_bench::board::PYBOARD;
use unicorn_bench::esp_chip::{self, EspChip};
use unicorn_bench::lines::healthy;
use unicorn_bench::session::Pair;

use crate::board::{PASSWORD, esp, network, settings};

/// The STM32 is away from the wires for as long as one piece of arithmetic takes, between two exchanges: nobody waits.
#[test]
fn a_handshake_resets_no_esp8266_and_lines_pass_both_ways() {
    let settings = settings();
    let keys = Pair::of(&settings.config.id, true);
    let mut bench = Bench::with_keys(&PYBOARD, "echo", &settings, keys);
    bench.world().esp_chip = Some(Box::new(EspChip::new(esp_chip::image())));
    esp(&mut bench).chip.wifi.points.push(network("home", PASSWORD));
    let lines: Vec<String> = (0..40).map(|n| format!("{n} {}", "x".repeat(n * 25))).collect();
    for line in &lines {
        bench.world().server.write(line);
    }
    bench.until("all there and back", 120_000, |world| {
        let session = world.server.session.as_ref().expect("it is secure");
        session.undone() == 0 && session.notes.got.len() >= lines.len()
    });
    let got: Vec<String> = {
        let session = bench.world().server.session.as_ref().expect("it is secure");
        session.notes.got.iter().map(|(.., text)| text.clone()).collect()
    };
    assert_eq!(got, lines);
    // The one of the start.
    assert_eq!(bench.world().traffic().resets, 1, "{}", bench.world().console());
    healthy(&mut bench);
}

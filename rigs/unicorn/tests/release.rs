//! The exact release images on the bench. Build them first: `firmware-stm32/build.sh`.

use pblink_protocol::inband::Message;
use pblink_protocol::report::Report;
use pblink_stm32::settings::{LogLevel, Settings};
use unicorn_bench::bench::Bench;
use unicorn_bench::clock::Frequencies;
use unicorn_bench::lines::{echo, healthy, print};

fn settings(log: LogLevel) -> Settings {
    let mut settings = Settings::built_in();
    settings.config.id = heapless::String::try_from("bench").expect("short");
    settings.config.report_s = 0;
    settings.log = log;
    settings
}

/// Texts of all lengths, with what JSON and UTF-8 bring; each names its number.
fn text(n: usize) -> String {
    // Around the borders of a payload (200) and a line (1024), and anything between.
    let len = match n % 16 {
        0 => 1024,
        1 => 198 + n / 16 % 5,
        2 => 398 + n / 16 % 5,
        3 => 1 + n / 16 % 1023,
        _ => 8 + n * 7 % 90,
    };
    let mut text = format!("{n} ");
    for (at, sign) in "{\"ä\": [1, 2.5]} €uro ".chars().cycle().enumerate() {
        let next = if at % 23 == 22 { char::from(b'a' + (n % 26) as u8) } else { sign };
        if text.len() + next.len_utf8() > len {
            break;
        }
        text.push(next);
    }
    text
}

/// With the ESP8266's own machine code: `tests/chip/`.
#[test]
fn thousands_of_exchanges_both_ways() {
    let mut bench = Bench::new("echo", Some(&settings(LogLevel::Link)));
    let lines = echo(&mut bench, text, |world, _| world.esp.traffic.exchanges >= 2_500);
    healthy(&mut bench);
    let traffic = bench.world().esp.traffic;
    assert!(traffic.exchanges >= 2_500);
    // The slave is armed before `syn` rises: no address is ever refused.
    assert_eq!(traffic.naks, 0);
    assert!(traffic.up.0 >= lines as u64 && traffic.down.0 >= lines as u64, "{traffic:?}");
    assert_eq!(bench.world().server.id, "bench");
    // The peripheral is reset when the link starts, and never needs to be while all is well.
    assert!(bench.world().chip.i2c.resets <= 4, "{}", bench.world().chip.i2c.resets);
    println!("{lines} lines returned");
    print("healthy", &mut bench);
}

/// 84 MHz, made of the internal oscillator, and what depends on it: a bus and a console at their speeds, a second of the
/// time driver that is one, 48 MHz for the random number generator.
#[test]
fn the_clocks_are_what_the_drivers_take_them_for() {
    let mut settings = settings(LogLevel::Lines);
    settings.config.report_s = 0;
    let mut bench = Bench::new("demo", Some(&settings));
    bench.until("the server has a line", 60_000, |w| !w.server.ledger.got.is_empty());
    let first = bench.world().now();
    bench.until("another", 6_000, |w| w.server.ledger.got.len() >= 2);
    let world = bench.world();
    let wanted = Frequencies { core: 84_000, apb1: 42_000, timers: 84_000, pll48: Some(48_000) };
    assert_eq!(world.chip.clock.frequencies(), wanted);
    // The program waits for 5 s between two lines.
    let second = (world.now() - first) as f64 / 5e6;
    assert!((0.97..1.03).contains(&second), "{second}");
    let console = world.chip.console_speed() as f64 / 115_200.0;
    assert!((0.99..1.01).contains(&console), "{console}");
    assert!(world.console().contains("sent [42, 1, 99]"), "{}", world.console());
    assert!(world.chip.feedings() > 3);
    healthy(&mut bench);
}

#[test]
fn pulses_that_are_over_at_once() {
    let mut bench = Bench::new("echo", Some(&settings(LogLevel::Link)));
    bench.world().esp.faults.no_pulse = true;
    echo(&mut bench, text, |world, _| world.esp.traffic.exchanges >= 2_000);
    healthy(&mut bench);
    print("pulses of 0 µs", &mut bench);
}

#[test]
fn a_fast_master() {
    let mut bench = Bench::new("echo", Some(&settings(LogLevel::Link)));
    // 400 kHz: the slave stretches the clock where it is not quick enough.
    bench.world().esp.faults.byte = 23;
    bench.world().esp.faults.no_pulse = true;
    echo(&mut bench, text, |world, _| world.esp.traffic.exchanges >= 2_000);
    healthy(&mut bench);
    print("400 kHz", &mut bench);
}

#[test]
fn a_master_that_is_always_faster() {
    let mut bench = Bench::new("echo", Some(&settings(LogLevel::Link)));
    // 1 µs a byte is beyond any bus: every single byte is stretched.
    bench.world().esp.faults.byte = 1;
    echo(&mut bench, text, |world, _| world.esp.traffic.exchanges >= 1_000);
    healthy(&mut bench);
    print("1 µs a byte", &mut bench);
}

#[test]
fn interrupts_that_come_late() {
    // As if the application masked interrupts that long, always.
    for late in [20, 100, 300, 1_000] {
        let mut bench = Bench::new("echo", Some(&settings(LogLevel::Link)));
        bench.world().late = late;
        echo(&mut bench, text, |world, _| world.esp.traffic.exchanges >= 300);
        healthy(&mut bench);
        print(&format!("interrupts {late} µs late"), &mut bench);
    }
}

#[test]
fn a_slow_master() {
    let mut bench = Bench::new("echo", Some(&settings(LogLevel::Link)));
    bench.world().esp.faults.byte = 400;
    bench.world().esp.faults.lazy = 8_000;
    echo(&mut bench, text, |world, _| world.esp.traffic.exchanges >= 500);
    healthy(&mut bench);
    print("slow", &mut bench);
}

#[test]
fn a_master_that_addresses_others_first() {
    let mut bench = Bench::new("echo", Some(&settings(LogLevel::Link)));
    let mut last = 0;
    echo(&mut bench, text, |world, _| {
        if world.esp.traffic.exchanges >= last + 7 {
            last = world.esp.traffic.exchanges;
            world.esp.faults.wrong_address = 3;
        }
        world.esp.traffic.exchanges >= 1_000
    });
    healthy(&mut bench);
    assert!(bench.world().esp.traffic.naks > 100);
    print("NAK", &mut bench);
}

#[test]
fn the_demo_does_what_the_published_one_does() {
    let mut bench = Bench::new("demo", None);
    bench.until("the server has three lines", 60_000, |w| w.server.ledger.got.len() >= 3);
    bench.world().server.write("[1, 2]");
    let shown = "the server's line is acknowledged";
    bench.until(shown, 2_000, |w| w.server.ledger.acked == 1);
    let world = bench.world();
    assert_eq!(world.server.id, "1", "the built-in settings");
    let own: Vec<&String> =
        world.server.ledger.got.iter().filter(|line| Message::parse(line).is_none()).collect();
    assert_eq!(own[..2], ["[42, 1, 99]", "[42, 2, 99]"]);
    assert!(world.console().contains("no settings are written; using the built-in ones"));
    assert!(!world.console().contains("received"), "lines are shown only on demand");
    bench.until("a report is passed on", 30_000, |w| {
        let mut reports = w.server.ledger.got.iter().filter_map(|line| Message::parse(line));
        reports.any(|message| {
            matches!(message, Message::Report(Report { connects: 1, number: 0, .. }))
        })
    });
    healthy(&mut bench);
    print("demo", &mut bench);
}

#[test]
fn the_console_shows_lines_on_demand_and_nothing_when_off() {
    let mut bench = Bench::new("demo", Some(&settings(LogLevel::Lines)));
    bench.world().server.write("[1, \"zwölf\"]");
    bench.until("a line is shown", 60_000, |w| w.console().contains("sent [42, 1, 99]"));
    let console = bench.world().console();
    assert!(console.contains("received [1, \"zwölf\"]\r\n"), "{console}");
    assert!(console.contains("the server is up\r\n"), "{console}");
    let mut bench = Bench::new("demo", Some(&settings(LogLevel::Off)));
    bench.until("a line is there", 60_000, |w| !w.server.ledger.got.is_empty());
    assert_eq!(bench.world().console(), "");
}

#[test]
fn damaged_settings_are_named() {
    let mut bytes = [0; pblink_stm32::settings::MAX_SIZE];
    let len = settings(LogLevel::Link).write(&mut bytes).expect("good settings");
    bytes[len - 3] ^= 1;
    let mut bench = Bench::with_sector("demo", &bytes[..len]);
    bench.until("a line is there", 60_000, |w| !w.server.ledger.got.is_empty());
    let console = bench.world().console();
    assert!(console.contains("the settings are damaged"), "{console}");
    assert_eq!(bench.world().server.id, "1");
}

#[test]
fn a_server_that_comes_late_is_reported_and_found() {
    let mut bench = Bench::new("demo", Some(&settings(LogLevel::Link)));
    bench.world().esp.faults.no_server = true;
    bench.until("it is reported", 20_000, |w| w.console().contains("no server: check its address"));
    bench.run_ms(30_000);
    bench.world().esp.faults.no_server = false;
    bench.until("the lines arrive", 20_000, |w| w.server.ledger.got.len() >= 4);
    let world = bench.world();
    let expected: Vec<String> = (1..=4).map(|n| format!("[42, {n}, 99]")).collect();
    assert_eq!(world.server.ledger.got[..4], expected, "those written meanwhile, too");
    healthy(&mut bench);
}

#[test]
fn a_network_that_comes_late_is_reported_and_found() {
    let mut bench = Bench::new("demo", Some(&settings(LogLevel::Link)));
    bench.world().esp.faults.no_wifi = true;
    bench.until("it is reported", 30_000, |w| w.console().contains("no WiFi: check SSID"));
    bench.world().esp.faults.no_wifi = false;
    bench.until("the lines arrive", 30_000, |w| w.server.ledger.got.len() >= 4);
    healthy(&mut bench);
}

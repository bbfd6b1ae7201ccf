//! WiFi, names and connections, as Espressif's SDK has them.

use pblink_lx106::esp8266::wifi::Station;

use crate::board::{PASSWORD, bench, esp, network, settings, some, with_server};

const ADDRESS: [u8; 4] = [192, 168, 0, 42];

/// Lines pass both ways.
pub fn lines_pass(bench: &mut unicorn_bench::bench::Bench, limit_ms: u64) {
    let before = bench.world().server.ledger.got.len();
    for n in 0..5 {
        bench.world().server.write(&format!("line {n}"));
    }
    bench.until("lines pass", limit_ms, |w| w.server.ledger.got.len() >= before + 5);
    let ledger = &bench.world().server.ledger;
    assert_eq!(ledger.got[before..], ["line 0", "line 1", "line 2", "line 3", "line 4"]);
    assert_eq!(ledger.invalid, 0);
}

#[test]
fn a_server_is_found_by_name() {
    // Within an attempt to connect, and after it.
    for delay_ms in some([300, 1, 3_900, 4_100, 4_500, 9_000], 3) {
        let mut bench = bench("echo", &with_server("server.lan"));
        let known = (Some(ADDRESS), delay_ms * 1000);
        esp(&mut bench).chip.tcp.names.insert("server.lan".into(), known);
        lines_pass(&mut bench, 60_000);
        // Answers that come later change nothing, and open nothing: those to all questions are there by then.
        bench.run_ms(12_000);
        lines_pass(&mut bench, 5_000);
        let esp = esp(&mut bench);
        assert_eq!(esp.chip.tcp.connections().len(), 1, "{delay_ms} ms: {}", esp.chip.console());
        assert_eq!(esp.traffic.resets, 1);
    }
}

#[test]
fn a_name_that_is_not_known_is_asked_for_again() {
    let mut bench = bench("echo", &with_server("server.lan"));
    bench.run_ms(20_000);
    assert!(esp(&mut bench).chip.tcp.lookups >= 3, "{}", esp(&mut bench).chip.console());
    esp(&mut bench).chip.tcp.names.insert("server.lan".into(), (Some(ADDRESS), 20_000));
    lines_pass(&mut bench, 20_000);
}

#[test]
fn a_connection_that_the_server_closes_or_refuses_is_made_again() {
    let mut bench = bench("echo", &settings());
    esp(&mut bench).no_server = true;
    bench.run_ms(15_000);
    esp(&mut bench).no_server = false;
    lines_pass(&mut bench, 10_000);
    for _ in 0..5 {
        let world = bench.world();
        world.esp_chip.as_mut().expect("it is there").close(&mut world.server);
        lines_pass(&mut bench, 10_000);
    }
    assert_eq!(esp(&mut bench).chip.tcp.connections().len(), 1);
}

/// The server says nothing: the connection is aborted, and the next one must not meet what is left of it.
#[test]
fn a_server_that_falls_silent_is_left_and_found_again() {
    let mut bench = bench("echo", &settings());
    lines_pass(&mut bench, 30_000);
    for _ in 0..3 {
        esp(&mut bench).silent = true;
        bench.run_ms(6_000);
        esp(&mut bench).silent = false;
        lines_pass(&mut bench, 15_000);
    }
    assert_eq!(esp(&mut bench).chip.tcp.connections().len(), 1);
}

/// The SDK has no event for it: only whoever leaves the network finds it again.
#[test]
fn a_network_that_passes_nothing_is_joined_anew() {
    let mut bench = bench("echo", &settings());
    lines_pass(&mut bench, 30_000);
    esp(&mut bench).forgotten = true;
    bench.run_ms(50_000);
    assert!(esp(&mut bench).forgotten);
    lines_pass(&mut bench, 30_000);
    let esp = esp(&mut bench);
    assert_eq!(esp.chip.wifi.asked_as.len(), 2, "{}", esp.chip.console());
    assert_eq!(esp.traffic.resets, 1);
    assert_eq!(esp.chip.wifi.writes, 1);
}

/// TCP acknowledges what it has no memory for: the rest of a line would be glued to another.
#[test]
fn without_memory_no_line_is_glued_to_another() {
    let mut bench = bench("echo", &settings());
    esp(&mut bench).segment = 300;
    lines_pass(&mut bench, 30_000);
    let before = bench.world().server.ledger.got.len();
    let lines: Vec<String> = (0..80).map(|n| format!("{n} {}", "x".repeat(700 + n))).collect();
    for line in &lines {
        bench.world().server.write(line);
    }
    for _ in 0..12 {
        // Memory is low when the first piece of a line comes, the second finds none, and the third does.
        bench.until("a line is on its way", 20_000, |w| {
            w.esp_chip.as_ref().is_some_and(|esp| esp.bytes_are_coming() > 600)
        });
        for (heap, ms) in [(3_500, 3), (150, 3), (26_000, 500)] {
            esp(&mut bench).chip.heap = heap;
            bench.run_ms(ms);
        }
    }
    let dropped = esp(&mut bench).chip.tcp.dropped;
    let all = before + lines.len();
    bench.until("all come back", 120_000, |w| w.server.ledger.got.len() >= all);
    bench.run_ms(5_000);
    let ledger = &bench.world().server.ledger;
    println!("{dropped} bytes were acknowledged and dropped");
    assert!(ledger.got[before..] == lines, "a line came twice, late or changed");
    assert_eq!(ledger.invalid, 0);
}

#[test]
fn a_slow_dhcp_server_is_waited_for() {
    for seconds in [1, 9, 12, 25, 35] {
        let mut bench = bench("echo", &settings());
        esp(&mut bench).chip.wifi.dhcp = Some(seconds * 1_000_000);
        // Whoever begins anew while the chip waits for its address gets it an attempt later.
        lines_pass(&mut bench, seconds * 1_000 + 8_000);
    }
}

/// A router shows which board is which.
#[test]
fn a_dhcp_server_learns_the_id_of_the_board() {
    for (id, name) in [
        ("bench", "pblink-bench"),
        ("Küche (oben)", "pblink-K-che-oben"),
        (&"x".repeat(64), "pblink-xxxxxxxxxxxxxxxxxxxxxxxxx"),
    ] {
        let mut settings = settings();
        settings.config.id = heapless::String::try_from(id).expect("short");
        let mut bench = bench("echo", &settings);
        lines_pass(&mut bench, 30_000);
        assert_eq!(esp(&mut bench).chip.wifi.asked_as, [name]);
        // Also after it has lost the network.
        esp(&mut bench).chip.lose_network();
        bench.run_ms(20_000);
        esp(&mut bench).chip.wifi.points.push(network("home", PASSWORD));
        lines_pass(&mut bench, 60_000);
        let asked = &esp(&mut bench).chip.wifi.asked_as;
        assert!(asked.len() >= 2 && asked.iter().all(|asked| asked == name), "{asked:?}");
    }
}

/// One that does not answer for minutes is asked again.
#[test]
fn a_dhcp_server_that_comes_late_is_found() {
    let mut bench = bench("echo", &settings());
    esp(&mut bench).chip.wifi.dhcp = None;
    bench.run_ms(150_000);
    esp(&mut bench).chip.wifi.dhcp = Some(500_000);
    lines_pass(&mut bench, 120_000);
}

/// Somebody gives an open network the name of the user's, to see what comes.
#[test]
fn an_open_network_of_the_same_name_is_not_joined() {
    let mut bench = bench("echo", &settings());
    esp(&mut bench).chip.wifi.points = vec![network("home", "")];
    bench.run_ms(60_000);
    assert_eq!(esp(&mut bench).chip.wifi.joined, None);
    esp(&mut bench).chip.wifi.points.push(network("home", PASSWORD));
    lines_pass(&mut bench, 60_000);
    // Also one that the chip remembers without a threshold, as older firmware stored it.
    let mut bench = self::bench("echo", &settings());
    esp(&mut bench).chip.wifi.remembered = Some(Station::new("home", PASSWORD));
    esp(&mut bench).chip.wifi.points = vec![network("home", "")];
    bench.run_ms(60_000);
    assert_eq!(esp(&mut bench).chip.wifi.joined, None);
}

/// The SDK takes 64 digits without a zero behind them for the network's key.
#[test]
fn a_key_of_64_hex_digits_reaches_the_sdk_whole() {
    let key = "0123456789abcdef".repeat(4);
    let mut settings = settings();
    settings.config.password = heapless::String::try_from(key.as_str()).expect("64 digits");
    let mut bench = bench("echo", &settings);
    esp(&mut bench).chip.wifi.points = vec![network("home", &key)];
    lines_pass(&mut bench, 60_000);
    // It is remembered as it is: the flash is written once.
    esp(&mut bench).press_reset();
    lines_pass(&mut bench, 60_000);
    assert_eq!(esp(&mut bench).chip.wifi.writes, 1);
}

#[test]
fn the_remembered_network_is_not_joined_when_another_is_configured() {
    let mut bench = bench("echo", &settings());
    let chip = &mut esp(&mut bench).chip;
    chip.wifi.remembered = Some(Station::new("old", "old password"));
    chip.wifi.points.insert(0, network("old", "old password"));
    for _ in 0..200 {
        bench.run_ms(100);
        let joined = esp(&mut bench).chip.wifi.joined.clone();
        assert!(joined.is_none_or(|ssid| ssid == "home"), "it has joined the old network");
    }
    lines_pass(&mut bench, 10_000);
    // Written once; joined again and again without wear.
    assert_eq!(esp(&mut bench).chip.wifi.writes, 1);
    esp(&mut bench).press_reset();
    lines_pass(&mut bench, 60_000);
    assert_eq!(esp(&mut bench).chip.wifi.writes, 1);
}

#[test]
fn without_a_configured_network_the_remembered_one_is_joined() {
    let mut settings = settings();
    settings.config.ssid.clear();
    settings.config.password.clear();
    let mut bench = bench("echo", &settings);
    esp(&mut bench).chip.wifi.remembered = Some(Station::new("home", PASSWORD));
    lines_pass(&mut bench, 30_000);
}

#[test]
fn a_network_that_goes_and_comes_back_is_joined_again() {
    let mut bench = bench("echo", &settings());
    lines_pass(&mut bench, 30_000);
    for seconds in [1, 15, 50] {
        esp(&mut bench).chip.lose_network();
        bench.run_ms(seconds * 1000);
        esp(&mut bench).chip.wifi.points.push(network("home", PASSWORD));
        lines_pass(&mut bench, 60_000);
    }
}

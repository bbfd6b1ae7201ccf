//! A board whose ESP8266 runs its own machine code, for tests.

use pblink_lx106::esp8266::wifi::AccessPoint;
use pblink_stm32::settings::{LogLevel, Settings};
use unicorn_bench::bench::Bench;
use unicorn_bench::board::{Board, PYBOARD};
use unicorn_bench::esp_chip::EspChip;

pub const PASSWORD: &str = "secret password";

/// Settings that name a server by its address.
pub fn settings() -> Settings {
    with_server("192.168.0.42")
}

/// Settings with this server.
pub fn with_server(server: &str) -> Settings {
    let mut settings = Settings::built_in();
    settings.config.id = heapless::String::try_from("bench").expect("short");
    settings.config.server = heapless::String::try_from(server).expect("short");
    settings.config.ssid = heapless::String::try_from("home").expect("short");
    settings.config.password = heapless::String::try_from(PASSWORD).expect("short");
    settings.config.report_s = 0;
    settings.log = LogLevel::Link;
    settings
}

/// A network of this name, and whether it is protected.
pub fn network(ssid: &str, password: &str) -> AccessPoint {
    AccessPoint { ssid: ssid.into(), password: password.into() }
}

/// A Pyboard with this program in the reach of its network.
pub fn bench(name: &str, settings: &Settings) -> Bench {
    bench_on(&PYBOARD, name, settings)
}

/// A board of this kind with this program in the reach of its network.
pub fn bench_on(board: &'static Board, name: &str, settings: &Settings) -> Bench {
    let mut bench = Bench::with_esp_chip(board, name, settings);
    esp(&mut bench).chip.wifi.points.push(network("home", PASSWORD));
    bench
}

pub fn esp(bench: &mut Bench) -> &mut EspChip {
    bench.world().esp_chip.as_mut().expect("it runs its own code")
}

/// A board whose server is up.
pub fn ready(name: &str, log: LogLevel) -> Bench {
    let mut settings = settings();
    settings.log = log;
    let mut bench = bench(name, &settings);
    bench.world().server.write("ready");
    bench.until("the link is up", 60_000, |w| w.server.unacked() == 0);
    bench
}

/// Returns all of them with `PBLINK_LONG` in the environment, `just chips`; else one in so many.
pub fn some<T>(all: impl IntoIterator<Item = T>, one_in: usize) -> impl Iterator<Item = T> {
    let step = if std::env::var_os("PBLINK_LONG").is_some() { 1 } else { one_in };
    all.into_iter().step_by(step)
}

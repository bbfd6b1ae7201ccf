//! The words that people read: each value has its own, and a password has none.

use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::app::{ResetCause, WriteError};
use pblink_protocol::config::{Config, ConfigError};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::Failure;
use pblink_protocol::layer::Layer;
use pblink_protocol::tcp::line::{BadId, BadText, MAX_ID};
use pblink_protocol::tcp::window::BadWindow;
use pblink_protocol::time::{Duration, Instant};

#[test]
fn each_value_has_words_of_its_own() {
    let words: [(&dyn std::fmt::Display, &str); 29] = [
        (&Layer::Wires, "wires"),
        (&Layer::Coprocessor, "coprocessor"),
        (&Layer::Wifi, "WiFi"),
        (&Layer::Server, "server"),
        (&Delivery::ORDERED, "guaranteed, in order"),
        (&Delivery::UNORDERED, "guaranteed"),
        (&Delivery::BestEffort, "best effort"),
        (&WriteError::Full, "the queue is full"),
        (&WriteError::TooLong, &format!("the line is longer than {MAX_TEXT} bytes")),
        (&WriteError::Text(BadText::Newline), "a line cannot hold a newline: write two lines"),
        (&BadText::Empty, "an empty line cannot be sent: it would look like an acknowledgement"),
        (&BadId::Empty, "the id is empty"),
        (&BadId::TooLong, &format!("the id is longer than {MAX_ID} bytes")),
        (&BadId::NotUtf8, "the id is not UTF-8"),
        (&BadId::Control, "the id holds a control character"),
        (&BadId::OuterBlank, "the id begins or ends with a blank"),
        (&BadWindow::Version(7), "a stored window has version 7, and only 1 and 2 are known"),
        (&BadWindow::Damaged, "a stored window is damaged"),
        (&ConfigError::Id(BadId::Control), "the id holds a control character"),
        (&ConfigError::Port, "the port is 0; the usual one is 8123"),
        (&ConfigError::Server, "the server's address must have 1 to 160 printable bytes"),
        (&ConfigError::Timeout, "the time-out must be 100 to 60000 ms"),
        (&ConfigError::Ssid, "the network's name (SSID) is longer than 32 bytes"),
        (&ConfigError::Syntax, "this is not a configuration line"),
        // A time has as many digits as are of interest.
        (&Duration::from_micros(9_999), "9999 µs"),
        (&Duration::from_micros(10_000), "10 ms"),
        (&Duration::from_micros(9_999_999), "9999 ms"),
        (&Duration::from_micros(10_000_000), "10 s"),
        (&Duration::from_secs(3600), "3600 s"),
    ];
    for (value, wanted) in words {
        assert_eq!(value.to_string(), wanted);
    }
    let long = ConfigError::TooLong(201).to_string();
    assert!(long.contains("201 bytes of at most 200"), "{long}");
    assert!(ConfigError::Password.to_string().contains("8 to 63 bytes"));
    assert!(BadId::Invisible.to_string().contains("cannot be seen"));
}

#[test]
fn each_cause_has_its_words() {
    let table: [(&dyn std::fmt::Display, &str); 18] = [
        (&RestartCause::PowerOn, "power on"),
        (&RestartCause::BrownOut, "brown-out"),
        (&RestartCause::ResetPin, "reset pin"),
        (&RestartCause::Software, "its program asked for it, or panicked"),
        (&RestartCause::IndependentWatchdog, "watchdog: its program hung"),
        (&RestartCause::WindowWatchdog, "window watchdog"),
        (&RestartCause::LowPower, "a low-power mode that is forbidden"),
        (&RestartCause::Unknown, "unknown cause"),
        (&ResetCause::Silent, "the ESP8266 stopped sending keepalives, or never began"),
        (&ResetCause::NoServer, "the ESP8266 found no server for 5 min"),
        (&ResetCause::Garbled, "the configuration reached the ESP8266 with an error"),
        (&ResetCause::Requested, "the application asked for it"),
        (&ResetCause::Unproven, "nothing came through the ESP8266 that the server has sealed"),
        (&Failure::NoAnswer, "the ESP8266 did not answer within 1 s"),
        (&Failure::NoBoot, "the ESP8266 did not start: check power, reset and ack wires"),
        (&Failure::Bus, "I2C error: check scl, sda, ground and pull-ups"),
        (&Failure::BadHeader, "the ESP8266 sent an impossible header"),
        (&Failure::Restarted, "the ESP8266 has restarted or stopped by itself: check its supply"),
    ];
    for (cause, words) in table {
        assert_eq!(cause.to_string(), words);
    }
    let failed = ResetCause::Exchange(Failure::Bus);
    assert_eq!(failed.to_string(), Failure::Bus.to_string());
}

#[test]
fn a_configuration_shows_all_but_its_password() {
    let line = r#"["attic\n",8123,"pi.local",2000,10,"net","open sesame","cfg"]"#;
    let shown = format!("{:?}", Config::decode(line.as_bytes()).expect("a configuration"));
    for part in ["attic", "8123", "pi.local", "2000", "10", "net"] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn instants_are_counted_from_the_zero_point() {
    let at = Instant::from_micros(1_500);
    assert_eq!((at.as_micros(), at.as_millis()), (1_500, 1));
    assert_eq!((at - Duration::from_micros(500)).as_micros(), 1_000);
    // There is no time before it.
    assert_eq!((at - Duration::from_secs(1)).as_micros(), 0);
}

//! The configuration line, against serde_json as an independent codec.

use heapless::String as Bounded;
use pblink_protocol::config::{Config, ConfigError, MAX_SERVER};
use pblink_protocol::i2c::MAX_PAYLOAD;
use pblink_protocol::report::Report;
use pblink_protocol::tcp::line::{BadId, MAX_ID, is_invisible};
use proptest::prelude::*;
use serde_json::{Value, json};

fn text<const N: usize>(s: &str) -> Bounded<N> {
    Bounded::try_from(s).expect("it fits")
}

fn config() -> Config {
    Config {
        id: text("1"),
        port: 8123,
        server: text("192.168.0.42"),
        timeout_ms: 2000,
        report_s: 10,
        ssid: text("MY_WIFI_SSID"),
        password: text("PASSWORD"),
    }
}

fn encode(config: &Config) -> Result<String, ConfigError> {
    let mut line = [0; MAX_PAYLOAD];
    let len = config.encode(&mut line)?;
    Ok(String::from_utf8(line[..len].to_vec()).expect("UTF-8"))
}

fn as_json(c: &Config) -> Value {
    json!([
        format!("{}\n", c.id),
        c.port,
        c.server.as_str(),
        c.timeout_ms,
        c.report_s,
        c.ssid.as_str(),
        c.password.as_str(),
        "cfg"
    ])
}

#[test]
fn the_line_is_the_list_of_the_reference() {
    let line = encode(&config()).unwrap();
    assert_eq!(line.matches('\n').count(), 1, "one line");
    assert!(line.ends_with("]\n"));
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), as_json(&config()));
    // As the reference's ujson writes it.
    let theirs = r#"["1\n", 8123, "192.168.0.42", 2000, 10, "MY_WIFI_SSID", "PASSWORD", "cfg"]"#;
    assert_eq!(Config::decode(theirs.as_bytes()), Ok(config()));
    assert_eq!(Config::decode(format!("{theirs}\n").as_bytes()), Ok(config()));
}

#[test]
fn characters_are_escaped_as_the_reference_escapes_them() {
    let c = Config { password: text("\"\\\x08\x0c\n\r\t\x01pw"), ..config() };
    let line = encode(&c).unwrap();
    assert!(line.contains(r#""\"\\\b\f\n\r\t\u0001pw""#), "{line}");
    assert_eq!(Config::decode(line.as_bytes()), Ok(c));
}

#[test]
fn a_character_in_two_halves_needs_both() {
    let with = |ssid: &str| {
        Config::decode(format!(r#"["1\n",8123,"s",2000,10,"{ssid}","PASSWORD","cfg"]"#).as_bytes())
    };
    assert_eq!(with(r"\ud83d\ude00").unwrap().ssid, "😀");
    assert_eq!(with(r"\ud800\udfff").unwrap().ssid, "\u{103ff}");
    for wrong in [r"\ud83d", r"\ud83dx", r"\ud83d\n", r"\ud800\ud800", r"\ud800\ue000", r"\ude00"] {
        assert_eq!(with(wrong), Err(ConfigError::Syntax), "{wrong}");
    }
}

#[test]
fn every_limit_is_checked_and_the_limit_itself_passes() {
    let base = || Config { server: text("s"), ssid: text(""), password: text(""), ..config() };
    let mut c = base();
    c.id = text(&"x".repeat(MAX_ID));
    assert_eq!(c.check(), Ok(()));
    assert_eq!(Config::decode(encode(&c).unwrap().as_bytes()), Ok(c));
    for (id, why) in [("", BadId::Empty), ("a\nb", BadId::Control), ("1\n", BadId::Control)] {
        let mut c = base();
        c.id = text(id);
        assert_eq!(c.check(), Err(ConfigError::Id(why)));
    }
    let mut c = base();
    c.port = 0;
    assert_eq!(c.check(), Err(ConfigError::Port));
    for server in ["", "a\nb", "\0"] {
        let mut c = base();
        c.server = text(server);
        assert_eq!(c.check(), Err(ConfigError::Server));
    }
    let mut c = base();
    c.server = text(&"s".repeat(MAX_SERVER));
    assert_eq!(c.check(), Ok(()));
    for (ms, ok) in [(0, false), (99, false), (100, true), (60_000, true), (60_001, false)] {
        let mut c = base();
        c.timeout_ms = ms;
        assert_eq!(c.check().is_ok(), ok, "{ms}");
        let line = as_json(&c).to_string();
        let decoded = Config::decode(line.as_bytes()).map(|_| ());
        let want = if ok { Ok(()) } else { Err(ConfigError::Timeout) };
        assert_eq!(decoded, want, "a bad time-out must not reach the endpoint");
    }
    // A key has 64 digits, and no others are one.
    let lengths = [(0, true), (1, false), (7, false), (8, true), (63, true), (64, false)];
    let of_length = lengths.map(|(len, ok)| ("p".repeat(len), ok));
    let keys = [("0a1B".repeat(16), true), ("0a1g".repeat(16), false), ("é".repeat(32), false)];
    for (password, ok) in of_length.into_iter().chain(keys) {
        let mut c = base();
        c.password = text(&password);
        let want = if ok { Ok(()) } else { Err(ConfigError::Password) };
        assert_eq!(c.check(), want, "{password}");
    }
    let mut c = base();
    c.ssid = text(&"s".repeat(32));
    assert_eq!(c.check(), Ok(()));
}

/// Published boards send what they like; the network then refuses it, and the board learns of it.
#[test]
fn a_short_password_of_a_published_board_is_decoded() {
    let line = br#"["qos\n", 18491, "127.0.0.1", 2000, 10, "sim", "sim", "cfg"]"#;
    assert_eq!(Config::decode(line).unwrap().password, "sim");
}

/// A network's key instead of its password, as published boards send it, too: with 63 bytes the line was refused, and
/// the board looked dead.
#[test]
fn a_key_of_64_hex_digits_reaches_the_esp8266_whole() {
    let key = "0123456789abcdefABCDEF0123456789".repeat(2);
    let line = format!(r#"["1\n", 8123, "192.168.0.42", 2000, 10, "Home", "{key}", "cfg"]"#);
    assert_eq!(Config::decode(line.as_bytes()).unwrap().password, *key);
    let mut c = config();
    c.password = text(&key);
    assert_eq!(Config::decode(encode(&c).unwrap().as_bytes()).unwrap(), c);
}

#[test]
fn the_line_is_at_most_one_payload() {
    let mut c = config();
    c.id = text(&"i".repeat(MAX_ID));
    c.server = text("s");
    c.ssid = text("");
    c.password = text("passwords");
    let room = MAX_PAYLOAD - encode(&c).unwrap().len();
    c.server = text(&"s".repeat(1 + room));
    let fits = encode(&c).map(|l| l.len());
    assert_eq!(fits, Ok(MAX_PAYLOAD));
    let longer = format!("{}p", c.password);
    c.password = text(&longer);
    assert_eq!(encode(&c), Err(ConfigError::TooLong(MAX_PAYLOAD + 1)));
    assert_eq!(c.check(), Err(ConfigError::TooLong(MAX_PAYLOAD + 1)));
    // Or what the caller has.
    assert_eq!(
        config().encode(&mut [0; 10]).map_err(|e| matches!(e, ConfigError::TooLong(_))),
        Err(true)
    );
}

#[test]
fn what_is_no_configuration_is_an_error() {
    for line in [
        "",
        "\n",
        "3[0, 1]",
        "[]",
        "{}",
        "null",
        r#"["1\n", 8123, "s", 2000, 10, "", "", "cfg""#,
        r#"["1\n", 8123, "s", 2000, 10, "", ""]"#,
        r#"["1\n", 8123, "s", 2000, 10, "", "", "cfh"]"#,
        r#"["1\n", 8123, "s", 2000, 10, "", "", "config"]"#,
        r#"["1\n", 70000, "s", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", -1, "s", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", "8123", "s", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s", 2000, 10, "", "", "cfg"] x"#,
        r#"["1\n", 8123, "s", 2000, 10, "", "", "cfg", 1]"#,
        r#"["1\n", 8123, "s", 2000, 10, "0123456789012345678901234567890123", "", "cfg"]"#,
        r#"["1\n", 08123, "s", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s", 4294967296, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s", 2000.0, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s", , 10, "", "", "cfg"]"#,
        r#"["1\n" 8123, "s", 2000, 10, "", "", "cfg"]"#,
        r#"[, "1\n", 8123, "s", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s", 2000, 10, "", "", "cfg",]"#,
        r#"["1\n", 8123, "s\x", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s\ud83d", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s\ude00\ud83d", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s\u12g4", 2000, 10, "", "", "cfg"]"#,
        r#"["1\n", 8123, "s\u+123", 2000, 10, "", "", "cfg"]"#,
    ] {
        assert_eq!(Config::decode(line.as_bytes()), Err(ConfigError::Syntax), "{line}");
    }
    let no_id = r#"["\n", 8123, "s", 2000, 10, "", "", "cfg"]"#;
    assert_eq!(Config::decode(no_id.as_bytes()), Err(ConfigError::Id(BadId::Empty)));
}

#[test]
fn an_id_that_looks_like_another_is_not_sent_but_understood() {
    for (id, why) in [("kitchen ", BadId::OuterBlank), ("a\u{a0}b", BadId::Invisible)] {
        let config = Config { id: text(id), ..config() };
        assert_eq!(config.check(), Err(ConfigError::Id(why)));
        let line = serde_json::to_string(&as_json(&config)).unwrap();
        assert_eq!(Config::decode(line.as_bytes()), Ok(config));
    }
}

#[test]
fn the_password_is_not_shown() {
    assert!(!format!("{:?}", config()).contains("PASSWORD"));
}

#[test]
fn reports() {
    assert_eq!(
        Report::decode(b"[1, 0, 8244320]"),
        Some(Report { connects: 1, number: 0, mem_free: 8_244_320 })
    );
    assert_eq!(
        Report::decode(b"[4294967295,2,3]"),
        Some(Report { connects: u32::MAX, number: 2, mem_free: 3 })
    );
    for junk in ["", "[]", "[1, 2]", "[1, 2, 3, 4]", "[1, 2, -3]", "[1.5, 2, 3]", "x"] {
        assert_eq!(Report::decode(junk.as_bytes()), None, "{junk}");
    }
}

/// Texts of at most this many bytes, with all that JSON has to escape.
fn strange(max: usize) -> impl Strategy<Value = String> {
    let char = prop_oneof![
        4 => prop::char::range(' ', '~'),
        2 => prop_oneof![Just('"'), Just('\\'), Just('/'), Just('\u{7f}')],
        1 => prop::char::range('\0', '\u{1f}'),
        2 => any::<char>(),
    ];
    prop::collection::vec(char, 0..max).prop_map(move |chars| {
        let mut s = String::new();
        for c in chars {
            if s.len() + c.len_utf8() <= max {
                s.push(c);
            }
        }
        s
    })
}

fn no_control(s: String) -> String {
    s.chars().filter(|c| !c.is_control()).collect()
}

prop_compose! {
    fn any_config()(
        id in strange(20), port in 1u16.., server in strange(20), timeout_ms in 100u32..=60_000,
        report_s in any::<u32>(), ssid in strange(32), password in strange(24),
    ) -> Config {
        let id: String = no_control(id).chars().filter(|&c| !is_invisible(c)).collect();
        let id = id.trim_matches(' ');
        let server = no_control(server);
        Config {
            id: text(if id.is_empty() { "x" } else { id }),
            port,
            server: text(if server.is_empty() { "x" } else { &server }),
            timeout_ms,
            report_s,
            ssid: text(&ssid),
            password: text(if password.len() < 8 { "" } else { &password }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_encoded_is_decoded_here_and_elsewhere(config in any_config()) {
        match encode(&config) {
            Ok(line) => {
                prop_assert!(line.len() <= MAX_PAYLOAD);
                prop_assert_eq!(line.matches('\n').count(), 1);
                prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), as_json(&config));
                prop_assert_eq!(Config::decode(line.as_bytes()), Ok(config));
            }
            Err(why) => {
                prop_assert!(matches!(why, ConfigError::TooLong(n) if n > MAX_PAYLOAD), "{}", why);
                let long = as_json(&config).to_string().len();
                prop_assert!(long > MAX_PAYLOAD / 2, "{} bytes elsewhere: {}", long, why);
            }
        }
    }

    #[test]
    fn what_another_codec_writes_is_decoded(config in any_config()) {
        let line = as_json(&config).to_string();
        prop_assert_eq!(Config::decode(line.as_bytes()), Ok(config));
    }

    /// As Python's `json.dumps` writes what is not ASCII, and more of it.
    #[test]
    fn what_is_escaped_to_the_last_character_is_decoded(config in any_config()) {
        let escaped = |text: &str| {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            format!("\"{units}\"")
        };
        let line = format!(
            " [ {} ,{}\t, {}, {}, {},{},{} , {} ] \r\n",
            escaped(&format!("{}\n", config.id)), config.port, escaped(&config.server), config.timeout_ms,
            config.report_s, escaped(&config.ssid), escaped(&config.password), escaped("cfg"),
        );
        prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), as_json(&config));
        prop_assert_eq!(Config::decode(line.as_bytes()), Ok(config));
    }

    #[test]
    fn decoding_never_panics(
        line in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b'1'), Just(b'u')
        ], 0..60)
    ) {
        let _ = Config::decode(&line);
        let _ = Report::decode(&line);
    }
}

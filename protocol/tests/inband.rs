//! Lines that a board itself sends to the server.

use pblink_protocol::inband::{MAX_LINE, Message, PREFIX};
use pblink_protocol::report::Report;
use proptest::prelude::*;

const ONE_TWO_THREE: Report = Report { connects: 1, number: 2, mem_free: 3 };

#[test]
fn a_report_is_one_line_of_compact_json() {
    assert_eq!(Message::Report(ONE_TWO_THREE).to_string(), r#"{"pblink":{"report":[1,2,3]}}"#);
    assert!(Message::Report(ONE_TWO_THREE).to_line().starts_with(PREFIX));
}

#[test]
fn the_longest_line_fits() {
    let most = Report { connects: u32::MAX, number: u32::MAX, mem_free: u32::MAX };
    let line = Message::Report(most).to_line();
    assert_eq!(line.len(), MAX_LINE);
    assert_eq!(Message::parse(&line), Some(Message::Report(most)));
}

#[test]
fn white_space_of_other_writers_is_allowed() {
    for line in [
        r#"{"pblink":{"report":[1,2,3]}}"#,
        r#"{"pblink": {"report": [1, 2, 3]}}"#,
        "{\"pblink\"\t: { \"report\" :[ 1 ,2\r, 3 ] } } ",
    ] {
        assert_eq!(Message::parse(line), Some(Message::Report(ONE_TWO_THREE)), "{line}");
    }
}

#[test]
fn near_misses_are_lines_of_the_application() {
    for line in [
        r#"{"pblink":{"report":[1,2]}}"#,
        r#"{"pblink":{"report":[1,2,3,4]}}"#,
        r#"{"pblink":{"report":[1,2,3,]}}"#,
        r#"{"pblink":{"report":[1,2,-3]}}"#,
        r#"{"pblink":{"report":[1,2,3.0]}}"#,
        r#"{"pblink":{"report":[1,2,03]}}"#,
        r#"{"pblink":{"report":[1,2,4294967296]}}"#,
        r#"{"pblink":{"report":[1,2,"3"]}}"#,
        r#"{"pblink":{"report":{}}}"#,
        r#"{"pblink":{"reports":[1,2,3]}}"#,
        r#"{"pblink":{"report":[1,2,3],"more":1}}"#,
        r#"{"pblink":{"report":[1,2,3]},"more":1}"#,
        r#"{"pblink":{"report":[1,2,3]}} "x""#,
        r#"{"pblink":{"report":[1,2,3]}"#,
        r#"{"pblink":{"later":[1,2,3]}}"#,
        r#"{"pblink":[1,2,3]}"#,
        r#"{"pblink":{}}"#,
        r#"{"pblink":"#,
        r#"{"pblink""#,
        r#"{"pblinks":{"report":[1,2,3]}}"#,
        r#"{ "pblink":{"report":[1,2,3]}}"#,
        r#" {"pblink":{"report":[1,2,3]}}"#,
        r#"{"report":[1,2,3]}"#,
        r#"[1,2,3]"#,
        "",
    ] {
        assert_eq!(Message::parse(line), None, "{line}");
    }
}

proptest! {
    #[test]
    fn what_a_board_formats_a_server_parses(connects: u32, number: u32, mem_free: u32) {
        let message = Message::Report(Report { connects, number, mem_free });
        prop_assert_eq!(Message::parse(&message.to_line()), Some(message));
        // And so does every other reader of JSON.
        let json: serde_json::Value = serde_json::from_str(&message.to_line()).unwrap();
        prop_assert_eq!(&json["pblink"]["report"], &serde_json::json!([connects, number, mem_free]));
    }

    #[test]
    fn a_line_with_one_byte_changed_is_another_report_or_none(at in 0..34usize, byte in 0x20..0x7f_u8) {
        let line = Message::Report(Report { connects: 1, number: 22, mem_free: 333 }).to_line();
        let mut changed = line.as_bytes().to_vec();
        prop_assume!(at < changed.len() && changed[at] != byte);
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        if let Some(Message::Report(report)) = Message::parse(&changed) {
            let json: serde_json::Value = serde_json::from_str(&changed).unwrap();
            let Report { connects, number, mem_free } = report;
            prop_assert_eq!(&json["pblink"]["report"], &serde_json::json!([connects, number, mem_free]));
        }
    }
}

//! The lines that STM32 and ESP8266 say to each other.

use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::MAX_PAYLOAD;
use pblink_protocol::i2c::frame::{
    CoprocessorFrame, CoprocessorHeader, FrameError, HostFrame, HostHeader, MAX_SIGNAL, check_sum,
};
use pblink_protocol::report::Report;
use proptest::prelude::*;

const REPORT: Report = Report { connects: 1, number: 0, mem_free: 8_244_320 };

fn from_host(frame: HostFrame<'_>) -> Vec<u8> {
    let mut out = vec![0xaa; frame.buffer_len()];
    assert_eq!(frame.emit(&mut out), out.len());
    out
}

fn from_coprocessor(frame: CoprocessorFrame<'_>) -> Vec<u8> {
    let mut out = vec![0xaa; frame.buffer_len()];
    assert_eq!(frame.emit(&mut out), out.len());
    out
}

/// Returns the line without its `\n`, of which there must be one.
fn line(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").expect("a frame ends its line")
}

#[test]
fn the_header_of_a_line_for_the_server_says_how_it_is_delivered() {
    for (header, delivery) in
        [(b'0', Delivery::BestEffort), (b'2', Delivery::UNORDERED), (b'3', Delivery::ORDERED)]
    {
        assert_eq!(HostHeader::parse(header), Some(HostHeader::Line(delivery)));
        assert_eq!(HostHeader::Line(delivery).byte(), header);
        let frame = HostFrame::Line { delivery, text: "[1, 2]" };
        let bytes = [&[header], &b"[1, 2]\n"[..]].concat();
        assert_eq!(from_host(frame), bytes);
        assert_eq!(HostFrame::parse(line(&bytes)), Ok(frame));
    }
    // A published STM32 may say that a line without qos waits, which means nothing.
    let frame = HostFrame::Line { delivery: Delivery::BestEffort, text: "x" };
    assert_eq!(HostFrame::parse(b"1x"), Ok(frame));
}

#[test]
fn a_configuration_is_the_whole_line() {
    let list = br#"["1\n",8123,"srv",2000,10,"net","password","cfg"]"#;
    let frame = HostFrame::Config(list);
    assert_eq!(HostFrame::parse(list), Ok(frame));
    assert_eq!(from_host(frame), [&list[..], b"\n"].concat());
    // Its elements are the configuration's own affair.
    assert_eq!(HostFrame::parse(b"[junk"), Ok(HostFrame::Config(b"[junk")));
    assert_eq!(HostHeader::parse(b'['), Some(HostHeader::Config));
    assert_eq!(HostHeader::Config.byte(), b'[');
}

#[test]
fn every_line_of_the_esp8266_is_written_and_read() {
    let all: [(CoprocessorFrame<'_>, &[u8]); 9] = [
        (CoprocessorFrame::Line("a line"), b"na line\n"),
        (CoprocessorFrame::Server(true), b"u\n"),
        (CoprocessorFrame::Server(false), b"d\n"),
        (CoprocessorFrame::BadWifi, b"b\n"),
        (CoprocessorFrame::BadServer, b"s\n"),
        (CoprocessorFrame::Report(REPORT), b"r[1, 0, 8244320]\n"),
        (CoprocessorFrame::Keepalive(None), b"k\n"),
        (CoprocessorFrame::Keepalive(Some(0x0a9f)), b"k0a9f\n"),
        // The server sends none, but a published one could.
        (CoprocessorFrame::Line(""), b"n\n"),
    ];
    for (frame, bytes) in all {
        assert_eq!(from_coprocessor(frame), bytes);
        assert_eq!(CoprocessorFrame::parse(line(bytes)), Ok(frame));
        assert_eq!(frame.header().byte(), bytes[0]);
        assert_eq!(CoprocessorHeader::parse(bytes[0]), Some(frame.header()));
    }
}

#[test]
fn bytes_that_are_not_a_header_are_named() {
    for byte in 0..=255 {
        let host = HostHeader::parse(byte);
        assert_eq!(host.is_some(), b"[0123".contains(&byte), "{byte}");
        let written = if byte == b'1' { b'0' } else { byte };
        assert_eq!(host.map_or(written, HostHeader::byte), written);
        let coprocessor = CoprocessorHeader::parse(byte);
        assert_eq!(coprocessor.is_some(), b"nudbsrk".contains(&byte), "{byte}");
        assert_eq!(coprocessor.map_or(byte, CoprocessorHeader::byte), byte);
        let text = [byte, b'x'];
        if host.is_none() {
            assert_eq!(HostFrame::parse(&text), Err(FrameError::UnknownHeader(byte)));
        }
        if coprocessor.is_none() {
            assert_eq!(CoprocessorFrame::parse(&text), Err(FrameError::UnknownHeader(byte)));
        }
    }
    assert_eq!(FrameError::UnknownHeader(7).to_string(), "unknown header 0x07");
}

#[test]
fn lines_that_are_not_frames_have_a_reason() {
    assert_eq!(HostFrame::parse(b""), Err(FrameError::Empty));
    assert_eq!(CoprocessorFrame::parse(b""), Err(FrameError::Empty));
    assert_eq!(HostFrame::parse(b"3"), Err(FrameError::NoText));
    assert_eq!(HostFrame::parse(b"3\xff\xfe"), Err(FrameError::NotUtf8));
    assert_eq!(CoprocessorFrame::parse(b"n\xc3"), Err(FrameError::NotUtf8));
    for junk in ["r", "r[1, 2]", "r[1, 2, 3", "r[1, 2, -3]", "r[1, 2, 3] x", "r[1, 2, 4294967296]"]
    {
        let error = Err(FrameError::UnknownHeader(b'r'));
        assert_eq!(CoprocessorFrame::parse(junk.as_bytes()), error, "{junk}");
    }
}

#[test]
fn what_follows_a_signal_is_ignored() {
    for none in [&b"k what"[..], b"k0A9F", b"k0a9", b"k0a9f0", b"k0a9g"] {
        assert_eq!(CoprocessorFrame::parse(none), Ok(CoprocessorFrame::Keepalive(None)));
    }
    assert_eq!(CoprocessorFrame::parse(b"u\xff"), Ok(CoprocessorFrame::Server(true)));
    // Other writers leave the blanks out.
    assert_eq!(CoprocessorFrame::parse(b"r[1,0,8244320]"), Ok(CoprocessorFrame::Report(REPORT)));
}

#[test]
fn the_longest_signal_is_a_report_and_passes_in_one_payload() {
    let most = Report { connects: u32::MAX, number: u32::MAX, mem_free: u32::MAX };
    assert_eq!(CoprocessorFrame::Report(most).buffer_len(), MAX_SIGNAL);
    const { assert!(MAX_SIGNAL <= MAX_PAYLOAD) };
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    prop::sample::select(vec![Delivery::ORDERED, Delivery::UNORDERED, Delivery::BestEffort])
}

proptest! {
    #[test]
    fn a_line_for_the_server_survives_the_wire(delivery in deliveries(), text in "[^\n]{1,300}") {
        let frame = HostFrame::Line { delivery, text: &text };
        let bytes = from_host(frame);
        prop_assert_eq!(HostFrame::parse(line(&bytes)), Ok(frame));
        prop_assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
    }

    #[test]
    fn a_line_from_the_server_survives_the_wire(text in "[^\n]{0,300}") {
        let frame = CoprocessorFrame::Line(&text);
        let bytes = from_coprocessor(frame);
        prop_assert_eq!(CoprocessorFrame::parse(line(&bytes)), Ok(frame));
    }

    #[test]
    fn a_report_survives_the_wire(connects: u32, number: u32, mem_free: u32) {
        let frame = CoprocessorFrame::Report(Report { connects, number, mem_free });
        let bytes = from_coprocessor(frame);
        prop_assert!(bytes.len() <= MAX_SIGNAL);
        prop_assert_eq!(CoprocessorFrame::parse(line(&bytes)), Ok(frame));
    }

    /// Reading never fails in any other way, and what is read is written as the same line, except for
    /// what is ignored.
    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(b"[0123nudbsrk,] ".to_vec())], 0..40)) {
        prop_assume!(!bytes.contains(&b'\n'));
        if let Ok(frame) = HostFrame::parse(&bytes) {
            let written = from_host(frame);
            prop_assert_eq!(HostFrame::parse(line(&written)), Ok(frame));
            prop_assert!(line(&written) == &bytes[..] || bytes[0] == b'1');
        }
        if let Ok(frame) = CoprocessorFrame::parse(&bytes) {
            let again = from_coprocessor(frame);
            prop_assert_eq!(CoprocessorFrame::parse(line(&again)), Ok(frame));
        }
    }

    /// A buffer that is too small is not written beyond, and the length that is needed is known.
    #[test]
    fn a_buffer_that_is_too_small_is_not_a_fault(room in 0..40usize, connects: u32) {
        let report = Report { connects, number: 7, mem_free: 40_000 };
        let frames = [CoprocessorFrame::Report(report), CoprocessorFrame::Line("some text")];
        for frame in frames {
            prop_assert_eq!(frame.emit(&mut vec![0; room]), frame.buffer_len());
        }
        let frame = HostFrame::Line { delivery: Delivery::ORDERED, text: "some text" };
        prop_assert_eq!(frame.emit(&mut vec![0; room]), frame.buffer_len());
    }
}

#[test]
fn the_check_sum_is_that_of_others_and_no_inverted_bit_leaves_it() {
    assert_eq!(check_sum(b"123456789"), 0x29b1, "the check value of CRC-16/IBM-3740");
    let line = br#"["3\n", 8123, "10.0.0.1", 2000, 10, "net", "password", "cfg"]"#;
    for bit in 0..8 * line.len() {
        let mut other = line.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(check_sum(&other), check_sum(line), "bit {bit}");
    }
}

//! Packets of the secure link: lengths and letters as written down, and lines that are none.

use pblink_protocol::secure::packet::{
    Hello, MAX_BYTES, MAX_COUNTER, MAX_DOWN, MAX_FRAMES, MAX_UP, NoPacket, Packet, TAG, VERSION,
    room,
};
use proptest::prelude::*;

const HELLO: Hello =
    Hello { version: VERSION, key: 5, generation: 0x0102_0304, message: [7; 48], mac: [9; 16] };

fn encode(packet: Packet<'_>) -> String {
    packet.encode(&mut [0; MAX_UP]).expect("there is room").to_owned()
}

fn refused(line: &str) -> NoPacket {
    Packet::decode(line, &mut [0; MAX_BYTES]).expect_err("no packet")
}

#[test]
fn lines_are_as_long_as_they_are_documented_to_be() {
    let sealed = [0; MAX_FRAMES + TAG];
    for (packet, letters, characters) in [
        (Packet::Ask([1; 8]), "~q", 13),
        (Packet::Challenge([2; 16]), "~c", 24),
        (Packet::Hello(HELLO), "~h", 96),
        (Packet::Reply { key: 5, message: [3; 56] }, "~r", 78),
        (Packet::Sealed { key: 5, counter: MAX_COUNTER, sealed: &sealed }, "~t", MAX_UP),
        (Packet::Sealed { key: 5, counter: 0, sealed: &sealed[..room(MAX_DOWN) + TAG] }, "~t", 172),
        (Packet::Sealed { key: 5, counter: 0, sealed: &sealed[..TAG] }, "~t", 29),
    ] {
        let line = encode(packet);
        assert_eq!((&line[..2], line.len()), (letters, characters));
        assert_eq!(Packet::decode(&line, &mut [0; MAX_BYTES]), Ok(packet));
        // One character less is no packet, whatever is left.
        assert_eq!(packet.encode(&mut vec![0; characters - 1]), None);
        // What has one length has no other.
        if characters < MAX_DOWN {
            assert_eq!(refused(&line[..line.len() - 4]), NoPacket::Malformed, "{line}");
        }
    }
    assert_eq!((room(MAX_UP), room(MAX_DOWN)), (125, 107));
}

#[test]
fn bytes_are_where_they_are_documented_to_be() {
    assert_eq!(encode(Packet::Ask(*b"\0\x01\x02\x03\xfb\xff\xfe\x3f")), "~qAAECA_v__j8");
    let line = encode(Packet::Sealed { key: 0xff, counter: 0x01_0203, sealed: &[0; TAG] });
    assert_eq!(line, format!("~t_wECAw{}", "A".repeat(21)));
    let hello = encode(Packet::Hello(HELLO));
    assert!(hello.starts_with("~hAQUBAgMEBwcH"), "{hello}");
    let covered = HELLO.covered();
    assert_eq!(covered[..8], [1, 5, 1, 2, 3, 4, 7, 7]);
    assert_eq!(covered.len(), 54);
}

#[test]
fn what_no_one_could_read_is_not_sent() {
    let most = [0; MAX_FRAMES + TAG + 1];
    let out = &mut [0; 2 * MAX_UP];
    let sealed = |counter, sealed| Packet::Sealed { key: 0, counter, sealed };
    assert_eq!(sealed(MAX_COUNTER + 1, &most[..TAG]).encode(out), None);
    assert_eq!(sealed(0, &most).encode(out), None);
    assert!(sealed(0, &most[1..]).encode(out).is_some());
    // Without a whole tag it would be no packet for its receiver.
    assert_eq!(sealed(0, &most[..TAG - 1]).encode(out), None);
    assert_eq!(sealed(0, &[]).encode(out), None);
}

#[test]
fn a_line_too_short_for_a_sealed_packet_has_no_room() {
    for characters in 0..=29 {
        assert_eq!(room(characters), 0, "{characters}");
    }
    // Of four characters, the first alone has no whole byte.
    assert_eq!([30, 31, 32, 33, 34].map(room), [1, 1, 2, 3, 4]);
}

#[test]
fn what_is_no_packet_is_told_apart() {
    for line in ["", "a", "[1,2]", "q~", " ~q"] {
        assert_eq!(refused(line), NoPacket::Plain, "{line:?}");
    }
    for line in ["~", "~x", "~Q", "~~q", "~é", "~uAAAAAAAAAAA"] {
        assert_eq!(refused(line), NoPacket::Unknown, "{line:?}");
    }
    let long = format!("~t{}", "A".repeat(MAX_UP));
    for line in [
        "~q",
        "~qAAAAAAAAAA",
        "~qAAAAAAAAAAAA",
        // The other alphabet, padding, blanks, and bits that no byte has.
        "~qAAAAAAAA+/8",
        "~qAAAAAAAAAA=",
        "~qAAAAAAAA AA",
        "~qAAAAAAAAAAB",
        "~c",
        "~h",
        "~r",
        "~t",
        "~tAAAA",
        "~qÄÄÄÄÄ",
        &long,
    ] {
        assert_eq!(refused(line), NoPacket::Malformed, "{line:?}");
    }
}

proptest! {
    #[test]
    fn any_packet_comes_back(
        key: u8,
        counter in 0..=MAX_COUNTER,
        sealed in proptest::collection::vec(any::<u8>(), TAG..=MAX_FRAMES + TAG),
        message: [u8; 48],
        more: [u8; 8],
        mac: [u8; 16],
        generation: u32,
    ) {
        let hello = Hello { version: VERSION, key, generation, message, mac };
        let mut reply = [0; 56];
        reply[..48].copy_from_slice(&message);
        reply[48..].copy_from_slice(&more);
        for packet in [
            Packet::Ask(more),
            Packet::Challenge(mac),
            Packet::Hello(hello),
            Packet::Reply { key, message: reply },
            Packet::Sealed { key, counter, sealed: &sealed },
        ] {
            let line = encode(packet);
            prop_assert!(line.len() <= MAX_UP);
            prop_assert!(line.bytes().all(|byte| byte.is_ascii_graphic()));
            let buffer = &mut [0; MAX_BYTES];
            prop_assert_eq!(Packet::decode(&line, buffer), Ok(packet));
        }
    }

    /// Two different lines are never the same packet, so that whoever compares lines compares packets.
    #[test]
    fn a_line_that_is_read_is_the_one_that_would_be_written(line in "~[qchrt][A-Za-z0-9_-]{0,200}") {
        if let Ok(packet) = Packet::decode(&line, &mut [0; MAX_BYTES]) {
            prop_assert_eq!(encode(packet), line);
        }
    }

    #[test]
    fn no_line_is_too_strange(line in any::<String>(), letter in "[qchrt]") {
        let _ = Packet::decode(&line, &mut [0; MAX_BYTES]);
        let _ = Packet::decode(&format!("~{letter}{line}"), &mut [0; MAX_BYTES]);
    }
}

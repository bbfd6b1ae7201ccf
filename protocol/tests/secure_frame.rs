//! Frames of the secure link: their bytes as written down, and bytes that are none.

use pblink_protocol::secure::frame::{
    Data, Datagram, Epoch, Event, Frame, Frames, KeyOutcome, Keyed, Malformed, NextKey, OVERHEAD,
    Piece, Progress, Resume,
};
use pblink_protocol::secure::packet::MAX_FRAMES;
use proptest::collection::vec;
use proptest::prelude::*;

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).expect("not 0")
}

fn encode(frame: Frame<'_>) -> Vec<u8> {
    let mut out = [0; 300];
    let len = frame.encode(&mut out).expect("there is room");
    // It needs no more than it says.
    assert_eq!(frame.encode(&mut out[..len]), Some(len));
    assert_eq!(frame.encode(&mut vec![0; len - 1]), None);
    out[..len].to_vec()
}

fn decode(bytes: &[u8]) -> Vec<Result<Frame<'_>, Malformed>> {
    Frames::new(bytes).collect()
}

const PROGRESS: Progress = Progress { received: 300, done: 127, credit: 8 };

#[test]
fn bytes_are_as_documented() {
    let resume = Resume {
        epoch: epoch(0x0102_0304_0506_0708),
        first: 1,
        peer: None,
        received: 0,
        done: u64::MAX,
        fresh: true,
    };
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let data = Data {
        seq: 128,
        prev: 127,
        piece: Piece { offset: 200, more: true },
        age_ms: 16_384,
        bytes: b"hi",
    };
    let datagram = Datagram { number: 255, piece: Piece::WHOLE, bytes: b"" };
    for (frame, bytes) in [
        (
            Frame::Resume(resume),
            [&[1, 1, 2, 3, 4, 5, 6, 7, 8, 1][..], &[0; 8], &[0], &most, &[1]].concat(),
        ),
        (Frame::Data(data), b"\x02\x80\x01\x7f\x91\x03\x80\x80\x01\x02hi".to_vec()),
        (Frame::Progress(PROGRESS), vec![3, 0xac, 2, 127, 8]),
        (Frame::Ping(PROGRESS), vec![4, 0xac, 2, 127, 8]),
        (Frame::Pong(PROGRESS), vec![5, 0xac, 2, 127, 8]),
        (Frame::Datagram(datagram), vec![6, 255, 0, 0]),
        (Frame::Event(Event { kind: 7, bytes: b"abc" }), b"\x07\x07\x03abc".to_vec()),
        (Frame::Close(3), vec![8, 3]),
        (
            Frame::Key(NextKey { generation: 0x0102_0304, shared: &[7; 32] }),
            [&[9, 1, 2, 3, 4][..], &[7; 32]].concat(),
        ),
        (Frame::Keyed(Keyed { generation: 2, outcome: KeyOutcome::Full }), vec![10, 0, 0, 0, 2, 1]),
        (Frame::Settled(258), vec![11, 0, 0, 1, 2]),
    ] {
        assert_eq!(encode(frame), bytes, "{frame:?}");
        assert_eq!(decode(&bytes), [Ok(frame)]);
    }
}

#[test]
fn a_packet_has_room_for_a_piece_beside_its_numbers() {
    let bytes = [b'x'; MAX_FRAMES - OVERHEAD];
    let piece = Piece { offset: Piece::MAX, more: true };
    let [seq, prev, age_ms] = [u64::MAX; 3];
    let longest = encode(Frame::Data(Data { seq, prev, piece, age_ms, bytes: &bytes }));
    assert_eq!(longest.len(), MAX_FRAMES);
}

#[test]
fn what_the_wire_cannot_say_is_not_written() {
    let out = &mut [0; 600];
    let piece = Piece { offset: Piece::MAX + 1, more: false };
    let data = Data { seq: 1, prev: 0, piece, age_ms: 0, bytes: b"" };
    assert_eq!(Frame::Data(data).encode(out), None);
    let long = Event { kind: 0, bytes: &[0; 256] };
    assert_eq!(Frame::Event(long).encode(out), None);
}

#[test]
fn frames_stand_one_behind_the_other_and_end_at_one_that_cannot_be_read() {
    let (ping, close) = (encode(Frame::Ping(PROGRESS)), encode(Frame::Close(1)));
    let both = [&ping[..], &close].concat();
    assert_eq!(decode(&both), [Ok(Frame::Ping(PROGRESS)), Ok(Frame::Close(1))]);
    assert_eq!(decode(&[]), []);
    for bad in [
        // Kinds that are none, and frames that are cut off.
        &[0][..],
        &[12],
        &[9, 0, 0, 0, 1, 7, 7],
        &[10, 0, 0, 0, 1],
        // An outcome that is none.
        &[10, 0, 0, 0, 1, 4],
        &[0xff],
        &ping[..ping.len() - 1],
        &[8],
        &[7, 0, 1],
        // An epoch that is 0, and a byte that is neither 0 nor 1.
        &[1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        // Numbers that are longer than they need be, or than any is.
        &[3, 0x80, 0, 0, 0],
        &[3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0],
        &[3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0, 0, 0],
    ] {
        let bytes = [&close[..], bad, &ping].concat();
        let read = decode(&bytes);
        // A frame that is cut off takes what is behind it, if that happens to fit.
        assert_eq!(read[0], Ok(Frame::Close(1)), "{bad:?}");
        assert!(decode(bad).ends_with(&[Err(Malformed)]), "{bad:?}: {read:?}");
        assert_eq!(decode(bad).len(), 1, "{bad:?}");
    }
}

#[test]
fn the_fate_of_a_key_has_words_for_people() {
    for (outcome, words) in [
        (KeyOutcome::Taken, "it is in the board's flash"),
        (KeyOutcome::Full, "the board's flash for keys is full"),
        (KeyOutcome::Failed, "the board's flash for keys cannot be written"),
        (KeyOutcome::Unsupported, "the board takes no keys over the link"),
    ] {
        assert_eq!(outcome.to_string(), words);
    }
}

#[test]
fn a_key_is_not_shown() {
    let key = Frame::Key(NextKey { generation: 3, shared: &[0x5a; 32] });
    assert_eq!(format!("{key:?}"), "Key(NextKey { generation: 3, .. })");
}

fn piece() -> impl Strategy<Value = Piece> {
    (0..=Piece::MAX, any::<bool>()).prop_map(|(offset, more)| Piece { offset, more })
}

fn progress() -> impl Strategy<Value = Progress> {
    any::<(u64, u64, u8)>().prop_map(|(received, done, credit)| Progress { received, done, credit })
}

/// A frame whose bytes, if it has any, are these.
fn frame(bytes: &[u8]) -> impl Strategy<Value = Frame<'_>> {
    let resume = (1..=u64::MAX, any::<(u64, u64, u64, u64, bool)>()).prop_map(
        |(own, (first, peer, received, done, fresh))| {
            let (epoch, peer) = (epoch(own), Epoch::new(peer));
            Frame::Resume(Resume { epoch, first, peer, received, done, fresh })
        },
    );
    prop_oneof![
        resume,
        (any::<(u64, u64, u64)>(), piece()).prop_map(move |((seq, prev, age_ms), piece)| {
            Frame::Data(Data { seq, prev, piece, age_ms, bytes })
        }),
        progress().prop_map(Frame::Progress),
        progress().prop_map(Frame::Ping),
        progress().prop_map(Frame::Pong),
        (any::<u8>(), piece()).prop_map(move |(number, piece)| {
            Frame::Datagram(Datagram { number, piece, bytes })
        }),
        any::<u8>().prop_map(move |kind| Frame::Event(Event { kind, bytes })),
        any::<u8>().prop_map(Frame::Close),
    ]
}

const TEXT: &[u8] = "what a line holds, \u{20ac} and all".as_bytes();

proptest! {
    #[test]
    fn any_frames_come_back(frames in vec(frame(TEXT), 0..20)) {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| encode(*frame)).collect();
        let wanted: Vec<_> = frames.into_iter().map(Ok).collect();
        prop_assert_eq!(decode(&bytes), wanted);
    }

    /// Whatever is read has one form only, so that two ends never understand the same bytes in two ways.
    #[test]
    fn bytes_that_are_read_are_those_that_would_be_written(
        kinds in vec((0..10u8, vec(prop_oneof![0..4u8, any::<u8>()], 0..30)), 0..6),
    ) {
        let bytes: Vec<u8> =
            kinds.into_iter().flat_map(|(kind, rest)| [vec![kind], rest].concat()).collect();
        let read: Vec<u8> = decode(&bytes).into_iter().flatten().flat_map(encode).collect();
        prop_assert!(bytes.starts_with(&read), "{:?}: {:?}", bytes, decode(&bytes));
        let ends = decode(&bytes).iter().filter(|frame| frame.is_err()).count();
        prop_assert_eq!(ends == 0, read.len() == bytes.len());
        prop_assert!(ends <= 1);
    }
}

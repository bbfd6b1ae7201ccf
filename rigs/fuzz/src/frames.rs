//! The contents of a sealed packet: `Frames` and `Frame::encode`.

use pblink_protocol::secure::frame::{
    Data, Datagram, Epoch, Event, Frame, Frames, KeyOutcome, Keyed, Malformed, NextKey, OVERHEAD,
    Piece, Progress, Resume,
};
use pblink_protocol::secure::packet::MAX_FRAMES;

use crate::input::Input;

/// Reads the frames of a packet.
pub type Read = for<'a> fn(&'a [u8]) -> Vec<Result<Frame<'a>, Malformed>>;

/// Runs an input: what a packet may contain, and frames made of the same bytes.
pub fn run(data: &[u8]) {
    run_with(data, |bytes| Frames::new(bytes).collect());
}

/// Runs it with another reader.
pub fn run_with(data: &[u8], read: Read) {
    let mut at = 0;
    let frames = read(data);
    for (number, frame) in frames.iter().enumerate() {
        let Ok(frame) = frame else {
            assert_eq!(number + 1, frames.len(), "nothing is behind what cannot be read");
            return made(data, read);
        };
        // Each frame has one form: what was read is what is written.
        let mut again = [0; 300];
        let len = frame.encode(&mut again).expect("what was read can be written");
        assert_eq!(data.get(at..at + len), Some(&again[..len]), "{frame:?}");
        at += len;
    }
    assert_eq!(at, data.len(), "all of it was read");
    made(data, read);
}

/// Writes frames into a packet until it is full, and reads them.
fn made(data: &[u8], read: Read) {
    let mut input = Input::new(data);
    let mut frames = Vec::new();
    let mut packet = [0; MAX_FRAMES];
    let mut len = 0;
    while !input.is_empty() {
        let frame = frame(&mut input);
        match frame.encode(&mut packet[len..]) {
            Some(more) => {
                len += more;
                frames.push(Ok(frame));
            }
            None => check_has_no_room(&frame, MAX_FRAMES - len),
        }
    }
    assert_eq!(read(&packet[..len]), frames);
}

fn check_has_no_room(frame: &Frame<'_>, room: usize) {
    let (bytes, offset) = match frame {
        Frame::Data(data) => (data.bytes.len(), data.piece.offset),
        Frame::Datagram(datagram) => (datagram.bytes.len(), datagram.piece.offset),
        Frame::Event(event) => (event.bytes.len(), 0),
        _ => (0, 0),
    };
    let says_it = bytes <= 255 && offset <= Piece::MAX;
    assert!(!says_it || room < bytes + OVERHEAD + 16, "{frame:?} has no room in {room} bytes");
}

/// Makes a frame of bytes.
pub(crate) fn frame<'a>(input: &mut Input<'a>) -> Frame<'a> {
    let progress = |input: &mut Input<'_>| Progress {
        received: input.number(),
        done: input.number(),
        credit: input.byte(),
    };
    let piece = |input: &mut Input<'_>| Piece {
        offset: input.one_of(&[0, 0, 0, 1, 5, 60, 100, 120, 1000, Piece::MAX]),
        more: input.byte() & 1 == 1,
    };
    match input.byte() % 8 {
        0 => Frame::Resume(Resume {
            epoch: Epoch::new(input.number()).unwrap_or(Epoch::MIN),
            first: input.number(),
            peer: Epoch::new(input.number()),
            received: input.number(),
            done: input.number(),
            fresh: input.byte() & 1 == 1,
        }),
        1 => Frame::Data(Data {
            seq: input.number(),
            prev: input.number(),
            piece: piece(input),
            age_ms: input.number(),
            bytes: input.counted(),
        }),
        2 => Frame::Progress(progress(input)),
        3 => Frame::Ping(progress(input)),
        4 => Frame::Pong(progress(input)),
        5 => Frame::Datagram(Datagram {
            number: input.byte(),
            piece: piece(input),
            bytes: input.counted(),
        }),
        6 => Frame::Event(Event { kind: input.byte(), bytes: input.counted() }),
        // Of one kind with the rest, so that corpora from before these mean the same.
        _ => match input.byte() {
            252 | 253 => Frame::Key(NextKey { generation: input.byte().into(), shared: &[7; 32] }),
            254 => Frame::Keyed(Keyed {
                generation: input.byte().into(),
                outcome: input.one_of(&[
                    KeyOutcome::Taken,
                    KeyOutcome::Full,
                    KeyOutcome::Failed,
                    KeyOutcome::Unsupported,
                ]),
            }),
            255 => Frame::Settled(input.byte().into()),
            reason => Frame::Close(reason),
        },
    }
}

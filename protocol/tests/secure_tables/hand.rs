//! A board whose server is in the hands of the test: it says any frame, and reads each packet of the board.

use pblink_protocol::MAX_TEXT;
use pblink_protocol::secure::MAX_WINDOW;
use pblink_protocol::secure::board::{BoardEvent, BoardState};
use pblink_protocol::secure::frame::{Data, Frame, Frames, Piece, Progress};
use pblink_protocol::secure::packet::{MAX_BYTES, MAX_FRAMES, Packet, TAG};
use pblink_protocol::secure::suite::Keys;
use suite::SymbolicKeys;

use super::board::events;
use super::*;

const CHALLENGE: [u8; 16] = [5; 16];

/// The server's end of the keys.
#[derive(Clone)]
struct Hand {
    keys: SymbolicKeys,
    key: u8,
    counter: u32,
}

impl Hand {
    /// Makes keys with a board, which then waits for the word on where the server stands.
    fn shake<B: BoardSuite>(both: &mut Both<B>, now: Instant) -> Self {
        let line = |packet: Packet<'_>| packet.encode(&mut [0; MAX_UP]).map(str::to_owned);
        both.board.on_server(now, true);
        assert_eq!(kind(&both.said(now)), Some("q"));
        both.board.on_line(now, &line(Packet::Challenge(CHALLENGE)).expect("a line"));
        both.board.compute(now);
        let hello = both.said(now).expect("a hello");
        let Ok(Packet::Hello(hello)) = Packet::decode(&hello, &mut [0; MAX_BYTES]) else {
            panic!("{hello}");
        };
        let (keys, message) =
            OfServer(Rng(4)).answer(&hello, &CHALLENGE, TIME).expect("keys of both");
        both.board.on_line(now, &line(Packet::Reply { key: hello.key, message }).expect("a line"));
        both.board.compute(now);
        assert_eq!(both.board.state(), BoardState::Prove);
        let mut hand = Self { keys, key: hello.key, counter: 0 };
        let resume = both.said(now).expect("where it stands");
        assert!(matches!(hand.read(&resume)[..], [Said::Resume]));
        hand
    }

    /// Brings a board up, to which the server says that it has its lines up to this one.
    fn up(both: &mut Both, now: Instant, received: u64) -> Self {
        let mut hand = Self::shake(both, now);
        let peer = Some(both.board.memory().epoch());
        let (epoch, done) = (epoch(99), received);
        hand.say(
            both,
            now,
            Frame::Resume(Resume { epoch, first: 1, peer, received, done, fresh: false }),
        );
        assert_eq!(events(both), [BoardEvent::Time(TIME), BoardEvent::Up]);
        assert!(matches!(hand.said(both, now)[..], [Said::Progress]));
        assert!(hand.said(both, now).is_empty());
        hand
    }

    /// Says one frame to the board.
    fn say(&mut self, both: &mut Both, now: Instant, frame: Frame<'_>) {
        let (mut frames, mut sealed) = ([0; MAX_FRAMES], [0; MAX_FRAMES + TAG]);
        let len = frame.encode(&mut frames).expect("there is room");
        self.counter += 1;
        let len = self.keys.seal(self.counter, &frames[..len], &mut sealed).expect("there is room");
        let packet =
            Packet::Sealed { key: self.key, counter: self.counter, sealed: &sealed[..len] };
        both.board.on_line(now, packet.encode(&mut [0; MAX_UP]).expect("there is room"));
    }

    /// Reads the board's next packet, in a line of the greatest length; nothing if it has none.
    fn said(&mut self, both: &mut Both, now: Instant) -> Vec<Said> {
        self.said_within(both, now, MAX_UP)
    }

    /// Reads the board's next packet, in a line of at most `characters`.
    fn said_within(&mut self, both: &mut Both, now: Instant, characters: usize) -> Vec<Said> {
        let line = both.board.transmit(now, &mut vec![0; characters]).map(str::to_owned);
        line.map_or_else(Vec::new, |line| self.read(&line))
    }

    fn read(&mut self, line: &str) -> Vec<Said> {
        let (mut buffer, mut frames) = ([0; MAX_BYTES], [0; MAX_FRAMES]);
        let Ok(Packet::Sealed { counter, sealed, .. }) = Packet::decode(line, &mut buffer) else {
            panic!("{line}");
        };
        let len = self.keys.open(counter, sealed, &mut frames).expect("a packet of the board");
        let said = |frame| match frame {
            Frame::Resume(_) => Said::Resume,
            Frame::Progress(_) => Said::Progress,
            Frame::Ping(_) => Said::Ping,
            Frame::Pong(_) => Said::Pong,
            Frame::Data(Data { seq, piece, bytes, .. }) => {
                Said::Data(seq, piece.offset.into(), bytes.len())
            }
            frame => panic!("{frame:?}"),
        };
        Frames::new(&frames[..len]).map(|frame| said(frame.expect("a frame"))).collect()
    }
}

/// A frame of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Resume,
    Progress,
    Ping,
    Pong,
    /// The number of a line, bytes of it before this piece, and bytes of this piece.
    Data(u64, usize, usize),
}

/// The server's word that lines up to this one have come, and that it has room. It keeps none of them.
const fn come(received: u64) -> Frame<'static> {
    Frame::Progress(Progress { received, done: 0, credit: 8 })
}

/// Characters of a line that has room for half of a line's text beside its numbers.
const HALF: usize = 42;

#[test]
fn a_ping_of_the_server_is_answered_by_one_pong() {
    let mut both = Both::new();
    let mut hand = Hand::up(&mut both, s(0), 0);
    hand.say(&mut both, s(1), Frame::Ping(Progress { received: 0, done: 0, credit: 8 }));
    assert_eq!(hand.said(&mut both, s(1)), [Said::Pong]);
    assert_eq!(hand.said(&mut both, s(1)), []);
    // The board's own one is none.
    assert_eq!(hand.said(&mut both, s(5)), [Said::Ping]);
    // One of both ways is enough.
    hand.say(&mut both, s(10), Frame::Ping(Progress { received: 0, done: 0, credit: 8 }));
    assert_eq!(hand.said(&mut both, s(10)), [Said::Pong]);
    assert_eq!(hand.said(&mut both, s(10)), [Said::Ping]);
}

/// Else they would wait until the server has asked for as many more.
#[test]
fn lines_go_out_behind_the_last_that_was_written_whatever_the_server_says_to_have() {
    for (written, says) in [(0, 0), (0, 1), (0, 9), (3, 3), (3, 4), (3, u64::MAX)] {
        let mut both = Both::new();
        for _ in 0..written {
            both.board.write(s(0), "a line").expect("there is room");
        }
        let mut hand = Hand::up(&mut both, s(0), says);
        assert!(both.board.is_flushed());
        let next = both.board.write(s(1), "the next one").expect("there is room");
        assert_eq!(next, written + 1);
        let said = hand.said(&mut both, s(1));
        assert_eq!(said, [Said::Data(next, 0, TEXT.len())], "{written} {says}");
    }
}

/// It has sent none of its lines before, whatever its program did before it started again.
#[test]
fn the_first_line_of_a_board_that_has_just_started_measures_the_way() {
    for first in [1, 5] {
        let mut both = Both::new();
        let memory = Ram { first, next: first, ..Ram::new(7) };
        both.board = Board::new(OfBoard(Rng(1)), memory);
        let mut hand = Hand::up(&mut both, s(0), first - 1);
        both.board.write(s(1), "a line").expect("there is room");
        assert_eq!(hand.said(&mut both, s(1)), [Said::Data(first, 0, TEXT.len())]);
        assert_eq!(both.board.poll_at(s(1)), Some(s(3)), "nothing was measured");
        hand.say(&mut both, ms(1100), come(first));
        both.board.write(ms(1100), "another").expect("there is room");
        assert_eq!(hand.said(&mut both, ms(1100)), [Said::Data(first + 1, 0, TEXT.len())]);
        assert_eq!(both.board.poll_at(ms(1100)), Some(ms(1600)), "three times 100 ms, or more");
    }
}

#[test]
fn the_rest_of_a_line_that_has_come_meanwhile_is_not_sent() {
    let mut both = Both::new();
    let mut hand = Hand::up(&mut both, s(0), 0);
    both.board.write(s(1), "a line").expect("there is room");
    assert_eq!(hand.said_within(&mut both, s(1), HALF), [Said::Data(1, 0, 3)]);
    assert_eq!(hand.said_within(&mut both, s(1), HALF), [Said::Data(1, 3, 3)]);
    // The word on it is late.
    assert_eq!(hand.said_within(&mut both, s(3), HALF), [Said::Data(1, 0, 3)]);
    hand.say(&mut both, s(3), come(1));
    assert_eq!(hand.said_within(&mut both, s(3), HALF), []);
}

#[test]
fn a_line_whose_beginning_is_sent_goes_on_when_one_before_it_has_come() {
    let mut both = Both::new();
    let mut hand = Hand::up(&mut both, s(0), 0);
    hand.say(&mut both, s(0), come(0));
    both.board.write(s(1), "a line").expect("there is room");
    both.board.write(s(1), "another").expect("there is room");
    assert_eq!(hand.said_within(&mut both, s(1), HALF), [Said::Data(1, 0, 3)]);
    assert_eq!(hand.said_within(&mut both, s(1), HALF), [Said::Data(1, 3, 3)]);
    assert_eq!(hand.said_within(&mut both, s(1), HALF), [Said::Data(2, 0, 3)]);
    hand.say(&mut both, s(1), come(1));
    assert_eq!(hand.said_within(&mut both, s(1), HALF), [Said::Data(2, 3, 3)]);
}

#[test]
fn a_piece_holds_a_part_of_its_line_however_little_room_there_is() {
    let mut up = Both::new();
    let hand = Hand::up(&mut up, s(0), 0);
    up.board.write(s(1), "a line").expect("there is room");
    let (mut least, mut most) = (usize::MAX, 0);
    for characters in 0..=MAX_UP {
        let mut both = Both { board: up.board.clone(), ..Both::new() };
        let mut hand = hand.clone();
        let mut pieces = Vec::new();
        while let [Said::Data(1, at, bytes)] = hand.said_within(&mut both, s(1), characters)[..] {
            assert!(bytes > 0, "in {characters} characters, after {at} bytes");
            assert_eq!(at, pieces.iter().sum::<usize>());
            pieces.push(bytes);
        }
        let sent = pieces.iter().sum::<usize>();
        assert_eq!(both.board.expects_answer(), sent == TEXT.len(), "{pieces:?}");
        if sent == TEXT.len() {
            (least, most) = (least.min(characters), most.max(pieces.len()));
        } else {
            assert_eq!((sent, least), (0, usize::MAX), "in {characters} characters");
        }
    }
    assert_eq!(most, TEXT.len(), "one byte each");
}

/// As many as a server may have under way: what did not fit would come again, and keep the link busy.
#[test]
fn a_window_of_the_longest_lines_waits_for_an_application_that_reads_nothing() {
    let mut both = Both::new();
    let mut hand = Hand::up(&mut both, s(0), 0);
    let text = |seq: u64| char::from(b'a' + seq as u8).to_string().repeat(MAX_TEXT);
    for seq in 1..=MAX_WINDOW as u64 {
        let line = text(seq);
        let mut at = 0;
        for bytes in line.as_bytes().chunks(100) {
            let piece = Piece { offset: at, more: usize::from(at) + bytes.len() < MAX_TEXT };
            hand.say(
                &mut both,
                s(1),
                Frame::Data(Data { seq, prev: seq - 1, piece, age_ms: 0, bytes }),
            );
            at += bytes.len() as u16;
        }
    }
    for seq in 1..=MAX_WINDOW as u64 {
        let read = both.board.read_line(|line| line == text(seq));
        assert_eq!(read, Some(true), "line {seq}");
    }
    assert_eq!(both.board.read_line(|_| ()), None);
}

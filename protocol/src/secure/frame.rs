//! The frames in a sealed packet.
//!
//! A packet holds one frame or several, one behind the other. Each is a kind and its fields: numbers as *varints* (groups of
//! 7 bits, the lowest first, the top bit set in all but the last; at most ten), epochs as 8 bytes.
//!
//! | kind | frame | fields |
//! |---|---|---|
//! | 1 | [`Resume`] | epoch, first, peer's epoch or 0, received, done, fresh (1 byte, 0 or 1) |
//! | 2 | [`Data`] | seq, prev, place, age in ms, length (1 byte), bytes |
//! | 3 | [`Progress`] | received, done, credit (1 byte) |
//! | 4, 5 | ping, pong | as 3 |
//! | 6 | [`Datagram`] | number (1 byte), place, length, bytes |
//! | 7 | [`Event`] | what happened (1 byte), length, bytes |
//! | 8 | close | reason (1 byte) |
//! | 9 | [`NextKey`] | generation (4 bytes), the shared key (32 bytes) |
//! | 10 | [`Keyed`] | generation (4 bytes), outcome (1 byte) |
//! | 11 | settled | generation (4 bytes) |
//!
//! The place of a [`Piece`] is one varint: twice the bytes of its line before it, and 1 if more follow.
//!
//! A frame that cannot be read ends its packet: nothing of it, or behind it, counts. Its sender was authenticated, so this
//! is a fault of a program, or one of a newer version.

use core::fmt;

/// A number of a session's life, drawn at random: a board's for each start, a server's for each start of its process. Never 0.
pub type Epoch = core::num::NonZeroU64;

/// What the two sessions say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frame<'a> {
    /// Where a session stands: the first frame under new keys.
    Resume(Resume),
    /// A line, or a piece of one.
    Data(Data<'a>),
    /// What has come.
    Progress(Progress),
    /// Asks for a sign of life, and says what has come.
    Ping(Progress),
    /// The sign of life.
    Pong(Progress),
    /// A line that may be lost, or a piece of one.
    Datagram(Datagram<'a>),
    /// Something that has happened to a board.
    Event(Event<'a>),
    /// The link is given up for a while. The reason is for people.
    Close(u8),
    /// The server gives the board its next key.
    Key(NextKey<'a>),
    /// The board's word on that.
    Keyed(Keyed),
    /// The server takes no key of this board but that of this generation, which the board has proven to have: for good.
    Settled(u32),
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resume {
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The first line that the sender still has, or the next that it will have.
    pub first: u64,
    /// The receiver's epoch, as the sender knows it.
    pub peer: Option<Epoch>,
    /// The last line of that epoch that has come, in order.
    pub received: u64,
    /// The last one that is kept: see [`Progress::done`].
    pub done: u64,
    /// The sender of lines begins anew: none of those before counts.
    pub fresh: bool,
}

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Data<'a> {
    /// The number of the line.
    pub seq: u64,
    /// The number of the line before it that the sender still has; 0: there is none.
    pub prev: u64,
    /// The place of this piece within its line.
    pub piece: Piece,
    /// Time since the line was written, in ms: the receiver's clock alone says when that was.
    pub age_ms: u64,
    /// The piece. Pieces are cut between bytes: only the whole line is text.
    pub bytes: &'a [u8],
}

/// What has come from the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The last line that has come, in order. What is sent and has come is not repeated.
    pub received: u64,
    /// The last line that is kept: committed by a server, handed over by a board. The other side need not have it any more.
    pub done: u64,
    /// Lines that may be sent beyond [`received`](Self::received).
    pub credit: u8,
}

/// A line that may be lost, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Datagram<'a> {
    /// Tells the pieces of one line from those of the next.
    pub number: u8,
    /// The place of this piece within its line.
    pub piece: Piece,
    /// The piece.
    pub bytes: &'a [u8],
}

/// The place of a piece within its line.
///
/// Its bytes are counted, not its pieces: a line that is sent again may be cut at other places, since other frames share its
/// packets, and a piece of one sending may follow one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Bytes of the line before it, at most [`MAX`](Self::MAX).
    pub offset: u16,
    /// It is not the last one.
    pub more: bool,
}

impl Piece {
    /// The greatest offset.
    pub const MAX: u16 = 0x7fff;
    /// The only piece of a line.
    pub const WHOLE: Self = Self { offset: 0, more: false };
}

/// Something that has happened to a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event<'a> {
    /// Its kind. Unknown ones are passed over.
    pub kind: u8,
    /// Its details, as the kind has them.
    pub bytes: &'a [u8],
}

/// The key that board and server are to share next. Everything else of a board's keys stays.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NextKey<'a> {
    /// Its generation: greater than those before it.
    pub generation: u32,
    /// The key. It is never shown.
    pub shared: &'a [u8; 32],
}

impl fmt::Debug for NextKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextKey").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// A board's word on a key that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Keyed {
    /// The generation of the key.
    pub generation: u32,
    /// The fate of it.
    pub outcome: KeyOutcome,
}

/// The fate of a key that a board was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyOutcome {
    /// It is kept where it outlives a loss of power, and was read back.
    Taken = 0,
    /// The place for keys is full: new ones come by a cable only.
    Full = 1,
    /// It was written, and reads otherwise.
    Failed = 2,
    /// This board takes none over the link.
    Unsupported = 3,
}

impl KeyOutcome {
    const ALL: [Self; 4] = [Self::Taken, Self::Full, Self::Failed, Self::Unsupported];
}

impl fmt::Display for KeyOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "it is in the board's flash",
            Self::Full => "the board's flash for keys is full",
            Self::Failed => "the board's flash for keys cannot be written",
            Self::Unsupported => "the board takes no keys over the link",
        })
    }
}

const RESUME: u8 = 1;
const DATA: u8 = 2;
const PROGRESS: u8 = 3;
const PING: u8 = 4;
const PONG: u8 = 5;
const DATAGRAM: u8 = 6;
const EVENT: u8 = 7;
const CLOSE: u8 = 8;
const KEY: u8 = 9;
const KEYED: u8 = 10;
const SETTLED: u8 = 11;

/// The top bit of a byte of a varint: another one follows.
const MORE: u8 = 0x80;

/// Bytes of the longest varint.
const VARINT: usize = 10;

/// The most bytes around those of a piece: a packet with room for N bytes holds any piece of N - OVERHEAD.
pub const OVERHEAD: usize = 1 + 3 * VARINT + PLACE + 1;

/// Bytes of the longest place.
const PLACE: usize = 3;

impl Frame<'_> {
    /// Writes the frame to the beginning of `out`, and returns its length. `None`: it has no room there, or bytes or offset
    /// are beyond what the wire can say. `out` is undefined then.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let mut to = Writer { out, at: 0 };
        match *self {
            Self::Resume(Resume { epoch, first, peer, received, done, fresh }) => {
                to.byte(RESUME)?;
                to.put(&epoch.get().to_be_bytes())?;
                to.varint(first)?;
                to.put(&peer.map_or(0, Epoch::get).to_be_bytes())?;
                to.varint(received)?;
                to.varint(done)?;
                to.byte(fresh.into())?;
            }
            Self::Data(Data { seq, prev, piece, age_ms, bytes }) => {
                to.byte(DATA)?;
                to.varint(seq)?;
                to.varint(prev)?;
                to.piece(piece)?;
                to.varint(age_ms)?;
                to.counted(bytes)?;
            }
            Self::Progress(progress) => to.progress(PROGRESS, progress)?,
            Self::Ping(progress) => to.progress(PING, progress)?,
            Self::Pong(progress) => to.progress(PONG, progress)?,
            Self::Datagram(Datagram { number, piece, bytes }) => {
                to.put(&[DATAGRAM, number])?;
                to.piece(piece)?;
                to.counted(bytes)?;
            }
            Self::Event(Event { kind, bytes }) => {
                to.put(&[EVENT, kind])?;
                to.counted(bytes)?;
            }
            Self::Close(reason) => to.put(&[CLOSE, reason])?,
            Self::Key(NextKey { generation, shared }) => {
                to.generation(KEY, generation)?;
                to.put(shared)?;
            }
            Self::Keyed(Keyed { generation, outcome }) => {
                to.generation(KEYED, generation)?;
                to.byte(outcome as u8)?;
            }
            Self::Settled(generation) => to.generation(SETTLED, generation)?,
        }
        Some(to.at)
    }
}

/// Reads the frames of a packet, in order. After one that cannot be read there is no other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

/// A frame that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Malformed;

impl<'a> Frames<'a> {
    /// Looks at what was in a packet.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut from = Reader { rest: core::mem::take(&mut self.rest) };
        let frame = from.frame();
        if frame.is_some() {
            self.rest = from.rest;
        }
        Some(frame.ok_or(Malformed))
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        self.put(&[byte])
    }

    fn varint(&mut self, mut number: u64) -> Option<()> {
        while number >= MORE.into() {
            self.byte(number as u8 | MORE)?;
            number >>= 7;
        }
        self.byte(number as u8)
    }

    fn piece(&mut self, Piece { offset, more }: Piece) -> Option<()> {
        (offset <= Piece::MAX).then_some(())?;
        self.varint(u64::from(offset) << 1 | u64::from(more))
    }

    fn counted(&mut self, bytes: &[u8]) -> Option<()> {
        self.byte(u8::try_from(bytes.len()).ok()?)?;
        self.put(bytes)
    }

    fn generation(&mut self, kind: u8, generation: u32) -> Option<()> {
        self.byte(kind)?;
        self.put(&generation.to_be_bytes())
    }

    fn progress(&mut self, kind: u8, progress: Progress) -> Option<()> {
        self.byte(kind)?;
        self.varint(progress.received)?;
        self.varint(progress.done)?;
        self.byte(progress.credit)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn frame(&mut self) -> Option<Frame<'a>> {
        Some(match self.byte()? {
            RESUME => Frame::Resume(Resume {
                epoch: Epoch::new(self.number()?)?,
                first: self.varint()?,
                peer: Epoch::new(self.number()?),
                received: self.varint()?,
                done: self.varint()?,
                fresh: match self.byte()? {
                    0 => false,
                    1 => true,
                    _ => return None,
                },
            }),
            DATA => Frame::Data(Data {
                seq: self.varint()?,
                prev: self.varint()?,
                piece: self.piece()?,
                age_ms: self.varint()?,
                bytes: self.counted()?,
            }),
            PROGRESS => Frame::Progress(self.progress()?),
            PING => Frame::Ping(self.progress()?),
            PONG => Frame::Pong(self.progress()?),
            DATAGRAM => Frame::Datagram(Datagram {
                number: self.byte()?,
                piece: self.piece()?,
                bytes: self.counted()?,
            }),
            EVENT => Frame::Event(Event { kind: self.byte()?, bytes: self.counted()? }),
            CLOSE => Frame::Close(self.byte()?),
            KEY => Frame::Key(NextKey { generation: self.generation()?, shared: self.bytes()? }),
            KEYED => Frame::Keyed(Keyed {
                generation: self.generation()?,
                outcome: *KeyOutcome::ALL.get(usize::from(self.byte()?))?,
            }),
            SETTLED => Frame::Settled(self.generation()?),
            _ => return None,
        })
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn bytes<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.bytes().map(|bytes| u64::from_be_bytes(*bytes))
    }

    fn generation(&mut self) -> Option<u32> {
        self.bytes().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Each number has one form only: the shortest.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for at in 0..VARINT {
            let byte = self.byte()?;
            let bits = u64::from(byte & !MORE);
            let shift = 7 * at as u32;
            // The tenth byte has room for one bit.
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & MORE == 0 {
                return (byte != 0 || at == 0).then_some(number);
            }
        }
        None
    }

    fn piece(&mut self) -> Option<Piece> {
        let place = self.varint()?;
        let offset = u16::try_from(place >> 1).ok().filter(|&offset| offset <= Piece::MAX)?;
        Some(Piece { offset, more: place & 1 != 0 })
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let len = self.byte()?;
        self.take(len.into())
    }

    fn progress(&mut self) -> Option<Progress> {
        Some(Progress { received: self.varint()?, done: self.varint()?, credit: self.byte()? })
    }
}

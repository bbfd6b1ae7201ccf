//! A host program's end of the line: just enough to test the stub.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pblink_flash_stub::protocol::{BLOCK, Error, command};

use super::flash::{LIMIT, Shared};

/// Both ends of the line, and the board.
pub struct Host {
    pub to_stub: Sender<Vec<u8>>,
    pub from_stub: Receiver<Vec<u8>>,
    pub board: Shared,
    input: Vec<u8>,
}

/// An answer: value, data before the status, error.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub value: u32,
    pub data: Vec<u8>,
    pub error: u8,
}

pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xc0];
    for &byte in bytes {
        match byte {
            0xc0 => frame.extend([0xdb, 0xdc]),
            0xdb => frame.extend([0xdb, 0xdd]),
            byte => frame.push(byte),
        }
    }
    frame.push(0xc0);
    frame
}

pub fn request(number: u8, sum: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, number];
    bytes.extend((data.len() as u16).to_le_bytes());
    bytes.extend(sum.to_le_bytes());
    bytes.extend(data);
    frame(&bytes)
}

/// Returns a data command that carries `bytes`.
pub fn block(number: u8, index: u32, bytes: &[u8]) -> Vec<u8> {
    let sum = bytes.iter().fold(0xef, |sum, byte| sum ^ byte);
    let data = [words(&[bytes.len() as u32, index, 0, 0]), bytes.to_vec()].concat();
    request(number, sum.into(), &data)
}

pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

impl Host {
    /// Waits for the stub's greeting.
    pub fn new(to_stub: Sender<Vec<u8>>, from_stub: Receiver<Vec<u8>>, board: Shared) -> Self {
        let mut host = Self { to_stub, from_stub, board, input: Vec::new() };
        assert_eq!(host.receive(), b"OHAI");
        host
    }

    pub fn send(&self, bytes: &[u8]) {
        self.to_stub.send(bytes.to_vec()).expect("the stub runs");
    }

    /// Receives the next frame, unescaped.
    pub fn receive(&mut self) -> Vec<u8> {
        loop {
            let ends: Vec<usize> = self
                .input
                .iter()
                .enumerate()
                .filter(|(_, b)| **b == 0xc0)
                .map(|(n, _)| n)
                .collect();
            if let [first, second, ..] = ends[..] {
                assert_eq!(first, 0, "between frames: {:02x?}", &self.input[..first]);
                let bytes: Vec<u8> = self.input.drain(..=second).collect();
                return unescape(&bytes[1..second]);
            }
            match self.from_stub.recv_timeout(LIMIT) {
                Ok(bytes) => self.input.extend(bytes),
                Err(error) => {
                    panic!("no answer: {error}; {:?}", self.board.with(|board| board.crash.clone()))
                }
            }
        }
    }

    /// Receives the next answer.
    pub fn answer(&mut self, number: u8) -> Answer {
        let frame = self.receive();
        assert!(frame.len() >= 10, "no answer: {frame:02x?}");
        assert_eq!(frame[..2], [1, number], "{frame:02x?}");
        assert_eq!(usize::from(u16::from_le_bytes([frame[2], frame[3]])), frame.len() - 8);
        let (data, status) = frame[8..].split_at(frame.len() - 10);
        assert_eq!(status[1], 0);
        let value = u32::from_le_bytes(frame[4..8].try_into().expect("4 bytes"));
        Answer { value, data: data.to_vec(), error: status[0] }
    }

    pub fn ask(&mut self, number: u8, data: &[u8]) -> Answer {
        self.send(&request(number, 0, data));
        self.answer(number)
    }

    /// Sends a command that must succeed.
    pub fn command(&mut self, number: u8, data: &[u32]) -> Answer {
        let answer = self.ask(number, &words(data));
        assert_eq!(answer.error, 0, "command {number:#x} {data:x?}");
        answer
    }

    /// Sends a command that must be refused.
    pub fn refused(&mut self, number: u8, data: &[u32], error: Error) {
        let answer = self.ask(number, &words(data));
        assert_eq!(answer, Answer { value: 0, data: vec![], error: error as u8 });
    }

    pub fn block(&mut self, number: u8, index: u32, bytes: &[u8]) -> u8 {
        self.send(&block(number, index, bytes));
        self.answer(number).error
    }

    /// Writes, as it is or deflated.
    pub fn write(&mut self, address: u32, bytes: &[u8], is_deflated: bool) {
        let (begin, data, end, sent) = if is_deflated {
            let sent = compress(bytes);
            (command::FLASH_DEFL_BEGIN, command::FLASH_DEFL_DATA, command::FLASH_DEFL_END, sent)
        } else {
            (command::FLASH_BEGIN, command::FLASH_DATA, command::FLASH_END, bytes.to_vec())
        };
        let blocks = sent.len().div_ceil(BLOCK) as u32;
        self.command(begin, &[bytes.len() as u32, blocks, BLOCK as u32, address]);
        for (index, bytes) in sent.chunks(BLOCK).enumerate() {
            assert_eq!(self.block(data, index as u32, bytes), 0, "block {index}");
        }
        self.command(end, &[1]);
    }

    /// Reads with READ_FLASH, and checks its digest.
    pub fn read(&mut self, address: u32, size: u32, packet: u32, in_flight: u32) -> Vec<u8> {
        self.command(command::READ_FLASH, &[address, size, packet, in_flight]);
        let mut bytes = Vec::new();
        while bytes.len() < size as usize {
            let new = self.receive();
            assert_eq!(new.len(), (packet as usize).min(size as usize - bytes.len()));
            bytes.extend(new);
            self.send(&frame(&words(&[bytes.len() as u32])));
        }
        let digest = self.receive();
        assert_eq!(digest, md5(&bytes));
        bytes
    }

    pub fn digest(&mut self, address: u32, size: u32) -> Vec<u8> {
        self.command(command::SPI_FLASH_MD5, &[address, size, 0, 0]).data
    }

    pub fn sync(&mut self) {
        let data = [&[7, 7, 0x12, 0x20][..], &[0x55; 32]].concat();
        self.send(&request(command::SYNC, 0, &data));
        for _ in 0..8 {
            assert_eq!(self.answer(command::SYNC).error, 0);
        }
    }
}

fn unescape(frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = frame.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            0xdb => match rest.next() {
                Some(0xdc) => 0xc0,
                Some(0xdd) => 0xdb,
                other => panic!("escaped {other:?}"),
            },
            byte => byte,
        });
    }
    bytes
}

pub fn md5(bytes: &[u8]) -> Vec<u8> {
    use md5::{Digest, Md5};
    Md5::digest(bytes).to_vec()
}

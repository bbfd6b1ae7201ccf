//! READ_FLASH of a loader in RAM: raw frames, which the other end acknowledges with the number of bytes that it has.

use md5::{Digest, Md5};

/// A part of flash on its way out.
#[derive(Debug)]
pub struct Reading {
    bytes: Vec<u8>,
    frame: usize,
    in_flight: usize,
    sent: usize,
}

impl Reading {
    /// Begins with these bytes, in frames of this length, of which this many may be on the way at a time.
    pub fn new(bytes: Vec<u8>, frame: usize, in_flight: usize) -> Self {
        Self { bytes, frame, in_flight, sent: 0 }
    }

    /// Returns the frames that may be sent when the other end has this many bytes, and whether the last one is the
    /// MD5 with which the reading ends.
    pub fn pump(&mut self, acknowledged: usize) -> (Vec<Vec<u8>>, bool) {
        let end = (acknowledged + self.frame * self.in_flight).min(self.bytes.len());
        let mut frames = Vec::new();
        while self.sent < end {
            let to = (self.sent + self.frame).min(self.bytes.len());
            frames.push(self.bytes[self.sent..to].to_vec());
            self.sent = to;
        }
        let ended = acknowledged >= self.bytes.len();
        if ended {
            frames.push(Md5::digest(&self.bytes).to_vec());
        }
        (frames, ended)
    }
}

//! Commands that a loader in RAM adds. Which program was loaded does not matter: it does not run, and its
//! commands are carried out here.

use md5::{Digest, Md5};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use super::{Chip, Write};
use crate::espressif::Reading;
use crate::espressif::reason::{DEFLATE, FAILED, INVALID, WRITE};

/// The state that it keeps between commands.
#[derive(Debug, Default)]
pub struct Stub {
    stream: Option<Stream>,
    reading: Option<Reading>,
}

/// A compressed stream on its way into flash.
#[derive(Debug)]
struct Stream {
    address: usize,
    size: usize,
    blocks: usize,
    bytes: Vec<u8>,
    forgotten: bool,
}

impl Stub {
    /// Frames are acknowledgements of what is read, and no commands.
    pub fn reading(&self) -> bool {
        self.reading.is_some()
    }
}

impl Chip {
    pub(super) fn stub_command(
        &mut self,
        op: u8,
        numbers: &[u32],
        data: &[u8],
    ) -> Result<Option<(u32, Vec<u8>)>, u8> {
        let done = || Ok(Some((0, Vec::new())));
        let check = |good: bool| if good { done() } else { Err(FAILED) };
        let at = |index: usize| numbers.get(index).map(|&n| n as usize).ok_or(INVALID);
        match op {
            // The parameters and pins of the flash.
            0x0b | 0x0d => done(),
            0x0f => {
                self.core.uart.next_baud = Some(at(0)? as u32);
                done()
            }
            0x10 => {
                let (size, blocks, address) = (at(0)?, at(1)?, at(3)?);
                let stream = Stream { address, size, blocks, bytes: Vec::new(), forgotten: false };
                self.stub.stream = Some(stream);
                self.write = Some(Write { address, block: 0, next: 0 });
                check(size == 0 || self.core.flash.erase(address, size))
            }
            0x11 => self.deflated(data.get(16..).ok_or(INVALID)?),
            0x12 => check(self.stub.stream.as_ref().is_none_or(|s| s.blocks == 0)),
            0x13 => {
                let (address, length) = (at(0)?, at(1)?);
                let bytes = self.core.flash.bytes().get(address..address + length).ok_or(FAILED)?;
                Ok(Some((0, Md5::digest(bytes).to_vec())))
            }
            0xd0 => check(self.core.flash.erase(0, self.core.flash.bytes().len())),
            0xd1 => {
                let (address, length) = (at(0)?, at(1)?);
                check(
                    address % 4096 == 0
                        && length % 4096 == 0
                        && self.core.flash.erase(address, length),
                )
            }
            0xd2 => self.read(at(0)?, at(1)?, at(2)?, at(3)?),
            0xd3 => {
                self.run();
                Ok(None)
            }
            _ => Err(INVALID),
        }
    }

    fn deflated(&mut self, payload: &[u8]) -> Result<Option<(u32, Vec<u8>)>, u8> {
        let forgotten = self.core.forgets();
        let stream = self.stub.stream.as_mut().filter(|s| s.blocks > 0).ok_or(FAILED)?;
        stream.bytes.extend(payload);
        stream.forgotten |= forgotten;
        stream.blocks -= 1;
        if stream.blocks > 0 {
            return Ok(Some((0, Vec::new())));
        }
        let bytes =
            decompress_to_vec_zlib_with_limit(&stream.bytes, stream.size).map_err(|_| DEFLATE)?;
        if bytes.len() != stream.size {
            return Err(DEFLATE);
        }
        if !stream.forgotten && !self.core.flash.program(stream.address, &bytes) {
            return Err(WRITE);
        }
        Ok(Some((0, Vec::new())))
    }

    fn read(
        &mut self,
        address: usize,
        length: usize,
        frame: usize,
        in_flight: usize,
    ) -> Result<Option<(u32, Vec<u8>)>, u8> {
        let bytes = self.core.flash.bytes().get(address..address + length).ok_or(FAILED)?.to_vec();
        self.stub.reading = Some(Reading::new(bytes, frame, in_flight));
        Ok(Some((0, Vec::new())))
    }

    /// Takes the other end's word for how much it has; no frame of its own comes first.
    pub(super) fn acknowledge(&mut self, frame: &[u8]) {
        let Ok(count) = <[u8; 4]>::try_from(frame) else {
            // A command instead: the other end has given up reading.
            if frame.len() >= 8 {
                self.stub.reading = None;
            }
            return;
        };
        self.pump(u32::from_le_bytes(count) as usize);
    }

    /// Sends what may be on the way.
    pub(super) fn pump(&mut self, acknowledged: usize) {
        let Some(mut reading) = self.stub.reading.take() else { return };
        let (frames, ended) = reading.pump(acknowledged);
        frames.iter().for_each(|frame| self.send(frame));
        if !ended {
            self.stub.reading = Some(reading);
        }
    }
}

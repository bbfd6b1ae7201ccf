//! A compressed stream, as it comes: in blocks.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// A zlib stream on its way in.
pub struct Inflater {
    state: Box<InflateState>,
    ended: bool,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inflater").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// The stream is damaged, or goes on behind its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged;

impl Inflater {
    /// Begins.
    pub fn new() -> Self {
        Self { state: InflateState::new_boxed(DataFormat::Zlib), ended: false }
    }

    /// Returns true if the stream has ended, with the right check sum.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes the next block, and returns what came out.
    ///
    /// # Errors
    /// The stream is damaged, or ends before the block does.
    pub fn block(&mut self, mut block: &[u8]) -> Result<Vec<u8>, Damaged> {
        let (mut out, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            if self.ended {
                return if block.is_empty() { Ok(out) } else { Err(Damaged) };
            }
            let result = inflate(&mut self.state, block, &mut buffer, MZFlush::None);
            block = &block[result.bytes_consumed..];
            out.extend(&buffer[..result.bytes_written]);
            match result.status {
                Ok(MZStatus::StreamEnd) => self.ended = true,
                Ok(_) if result.bytes_consumed + result.bytes_written > 0 => {}
                // It waits for the next block.
                Ok(_) | Err(MZError::Buf) if block.is_empty() => return Ok(out),
                _ => return Err(Damaged),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;

    #[test]
    fn a_stream_comes_out_whatever_its_blocks_are() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
        let compressed = compress_to_vec_zlib(&bytes, 6);
        for size in [1, 7, 1024, 0x4000, compressed.len()] {
            let mut stream = Inflater::new();
            let mut out = Vec::new();
            for block in compressed.chunks(size) {
                assert!(!stream.ended());
                out.extend(stream.block(block).unwrap());
            }
            assert!(stream.ended() && out == bytes, "blocks of {size}");
            assert_eq!(stream.block(&[0]), Err(Damaged), "nothing comes behind its end");
        }
        let mut damaged = compressed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(Inflater::new().block(&damaged), Err(Damaged), "a wrong check sum");
    }
}

//! Frames on a serial line: SLIP, RFC 1055, as the loader uses it, with an END on both sides.

/// Begins and ends a frame.
const END: u8 = 0xc0;
const ESCAPE: u8 = 0xdb;
const ESCAPED_END: u8 = 0xdc;
const ESCAPED_ESCAPE: u8 = 0xdd;

/// Longer frames are noise: the longest that a loader sends is a sector of flash.
pub const LONGEST: usize = 8192;

/// Returns a frame with its delimiters.
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() + bytes.len() / 16 + 2);
    frame.push(END);
    for &byte in bytes {
        match byte {
            END => frame.extend([ESCAPE, ESCAPED_END]),
            ESCAPE => frame.extend([ESCAPE, ESCAPED_ESCAPE]),
            byte => frame.push(byte),
        }
    }
    frame.push(END);
    frame
}

/// Finds the frames in what comes in.
///
/// Every END is a delimiter, whether it was meant to begin or to end a frame: so noise costs at most the
/// frame that it hits, and what it leaves is a frame that no reply looks like.
#[derive(Debug, Default)]
pub struct Decoder {
    frame: Vec<u8>,
    escaped: bool,
    broken: bool,
}

impl Decoder {
    /// Takes one byte; returns the frame that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte == END {
            let broken = std::mem::take(&mut self.broken) | std::mem::take(&mut self.escaped);
            let frame = std::mem::take(&mut self.frame);
            return (!broken && !frame.is_empty()).then_some(frame);
        }
        let byte = match (std::mem::take(&mut self.escaped), byte) {
            (true, ESCAPED_END) => END,
            (true, ESCAPED_ESCAPE) => ESCAPE,
            (true, _) => {
                self.broken = true;
                return None;
            }
            (false, ESCAPE) => {
                self.escaped = true;
                return None;
            }
            (false, byte) => byte,
        };
        if self.frame.len() < LONGEST {
            self.frame.push(byte);
        } else {
            self.broken = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|&byte| decoder.push(byte)).collect()
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).chain([0xc0, 0xc0, 0xdb, 0xdb, 0xdc, 0xdd]).collect();
        assert_eq!(decode(&encode(&all)), [all]);
    }

    #[test]
    fn the_delimiters_are_escaped_as_rfc_1055_says() {
        assert_eq!(encode(&[1, 0xc0, 2, 0xdb]), [0xc0, 1, 0xdb, 0xdc, 2, 0xdb, 0xdd, 0xc0]);
    }

    #[test]
    fn noise_costs_no_more_than_the_frame_that_it_hits() {
        let mut line = b"rst cause:2 \xdb\x01".to_vec();
        line.extend(encode(b"first"));
        line.extend([0xdb]);
        line.extend(encode(b"second"));
        line.extend([7, 0xdb, 7]);
        line.extend(encode(b"third"));
        assert_eq!(decode(&line), [b"first".to_vec(), b"second".to_vec(), b"third".to_vec()]);
    }

    #[test]
    fn frames_that_share_a_delimiter_are_two() {
        assert_eq!(decode(b"\xc0ab\xc0cd\xc0"), [b"ab".to_vec(), b"cd".to_vec()]);
    }

    #[test]
    fn endless_noise_takes_no_memory() {
        let mut decoder = Decoder::default();
        for _ in 0..10 * LONGEST {
            assert_eq!(decoder.push(0x55), None);
        }
        assert!(decoder.frame.len() <= LONGEST);
        assert_eq!(decoder.push(END), None, "it was too long");
        let next: Vec<_> = encode(b"next").iter().filter_map(|&b| decoder.push(b)).collect();
        assert_eq!(next, [b"next".to_vec()]);
    }
}

//! Framing: a frame is between two bytes 0xc0, and within it 0xc0 and 0xdb are escaped.

const END: u8 = 0xc0;
const ESCAPE: u8 = 0xdb;
const ESCAPED_END: u8 = 0xdc;
const ESCAPED_ESCAPE: u8 = 0xdd;

/// The bytes of a frame on their way in.
#[derive(Debug, Default)]
pub struct Slip {
    frame: Vec<u8>,
    escaped: bool,
}

impl Slip {
    /// Takes a byte, and returns the frame that ends with it. It is empty between two frames.
    pub fn byte(&mut self, byte: u8) -> Option<Vec<u8>> {
        match (byte, std::mem::take(&mut self.escaped)) {
            (END, _) => return Some(std::mem::take(&mut self.frame)),
            (ESCAPE, false) => self.escaped = true,
            (ESCAPED_END, true) => self.frame.push(END),
            (ESCAPED_ESCAPE, true) => self.frame.push(ESCAPE),
            (byte, _) => self.frame.push(byte),
        }
        None
    }

    /// Forgets the bytes of a frame that has not ended.
    pub fn clear(&mut self) {
        self.frame.clear();
    }
}

/// Returns a frame with these bytes.
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![END];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut slip = Slip::default();
        let frames: Vec<_> = frame(&bytes).into_iter().filter_map(|byte| slip.byte(byte)).collect();
        assert_eq!(frames, [Vec::new(), bytes]);
    }
}

//! The lines that have arrived and that the application has not read yet.

use std::collections::VecDeque;

use crate::buffers::KEEP;

/// Bytes before each line: its length.
const PREFIX: usize = size_of::<u32>();

/// A queue of lines in one ring of bytes: no allocation for each line.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    ring: VecDeque<u8>,
    lines: usize,
}

impl Inbox {
    pub(crate) fn len(&self) -> usize {
        self.lines
    }

    /// Bytes of all texts in it.
    pub(crate) fn bytes(&self) -> usize {
        self.ring.len() - self.lines * PREFIX
    }

    pub(crate) fn push(&mut self, text: &str) {
        // Lines are bounded far below 4 GiB by the builder.
        self.ring.extend((text.len() as u32).to_le_bytes());
        self.ring.extend(text.as_bytes());
        self.lines += 1;
    }

    /// Moves the oldest line into `line`, in place of what it held. False if there is none.
    pub(crate) fn pop_into(&mut self, line: &mut String) -> bool {
        if self.lines == 0 {
            return false;
        }
        let mut prefix = [0; PREFIX];
        for (to, from) in prefix.iter_mut().zip(self.ring.drain(..PREFIX)) {
            *to = from;
        }
        let len = u32::from_le_bytes(prefix) as usize;
        let mut bytes = std::mem::take(line).into_bytes();
        bytes.clear();
        let (front, back) = self.ring.as_slices();
        let head = len.min(front.len());
        bytes.extend_from_slice(&front[..head]);
        bytes.extend_from_slice(&back[..len - head]);
        self.ring.drain(..len);
        self.lines -= 1;
        // It was a `str` when it was put in, so nothing is ever replaced here.
        *line = String::from_utf8(bytes)
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        true
    }

    /// Gives memory back that an idle link does not need.
    pub(crate) fn shrink(&mut self) {
        if self.ring.capacity() > KEEP {
            self.ring.shrink_to(KEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_as_they_went_in_while_the_ring_goes_round() {
        let mut inbox = Inbox::default();
        let mut line = String::new();
        let text = |n: usize| format!("{n} äöü €").repeat(n % 7 + 1);
        let mut read = 0;
        for n in 0..500 {
            inbox.push(&text(n));
            if n % 3 != 0 {
                assert!(inbox.pop_into(&mut line));
                assert_eq!(line, text(read));
                read += 1;
            }
        }
        assert_eq!(inbox.len(), 500 - read);
        assert_eq!(inbox.bytes(), (read..500).map(|n| text(n).len()).sum::<usize>());
        while inbox.pop_into(&mut line) {
            assert_eq!(line, text(read));
            read += 1;
        }
        assert_eq!((read, inbox.len(), inbox.bytes()), (500, 0, 0));
        inbox.shrink();
        assert!(inbox.ring.capacity() <= 2 * KEEP);
    }

    #[test]
    fn an_empty_text_is_a_line_too() {
        let mut inbox = Inbox::default();
        inbox.push("");
        let mut line = "before".to_owned();
        assert!(inbox.pop_into(&mut line));
        assert_eq!(line, "");
        assert!(!inbox.pop_into(&mut line));
    }
}

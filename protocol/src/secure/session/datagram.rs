//! Lines that may be lost: each is sent once, in pieces that are not repeated.

use heapless::Vec;

use super::super::frame::{Datagram, Frame, Piece};
use crate::MAX_TEXT;
use crate::tcp::line::check_text;

/// Sender of one line at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct DatagramSender {
    number: u8,
    text: Vec<u8, MAX_TEXT>,
    /// Bytes of it that are sent.
    sent: usize,
}

impl DatagramSender {
    pub(in super::super) const fn new() -> Self {
        Self { number: 0, text: Vec::new(), sent: 0 }
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts a checked text on its way. False: the one before it is still there, or the text is too long.
    pub(in super::super) fn put(&mut self, text: &str) -> bool {
        let fits = self.text.is_empty() && self.text.extend_from_slice(text.as_bytes()).is_ok();
        if fits {
            self.number = self.number.wrapping_add(1);
            self.sent = 0;
        }
        fits
    }

    /// Notes that the way is gone. A line that has begun is lost; one that has not waits for the next.
    pub(in super::super) fn on_down(&mut self) {
        if self.sent > 0 {
            self.text.clear();
        }
    }

    /// Writes the next frame into `out`, and returns its length. `None`: there is nothing to send, or no room for a piece.
    pub(in super::super) fn frame(&mut self, out: &mut [u8]) -> Option<usize> {
        let rest = self.text.get(self.sent..).filter(|rest| !rest.is_empty())?;
        let offset = u16::try_from(self.sent).ok()?;
        let frame = |bytes, more| {
            Frame::Datagram(Datagram { number: self.number, piece: Piece { offset, more }, bytes })
        };
        let around = frame(&[], true).encode(out)?;
        let n = rest.len().min(out.len() - around).min(u8::MAX.into());
        if n == 0 {
            return None;
        }
        let more = n < rest.len();
        let len = frame(&rest[..n], more).encode(out)?;
        self.sent += n;
        if !more {
            self.text.clear();
        }
        Some(len)
    }
}

/// Receiver of such lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct DatagramReceiver {
    /// The line whose beginning is in `text`.
    number: Option<u8>,
    text: Vec<u8, MAX_TEXT>,
}

impl DatagramReceiver {
    pub(in super::super) const fn new() -> Self {
        Self { number: None, text: Vec::new() }
    }

    /// Takes a piece. Returns the line, if that was its end and none of it was lost.
    pub(in super::super) fn on_piece(&mut self, datagram: &Datagram<'_>) -> Option<&str> {
        let Datagram { number, piece, bytes } = *datagram;
        if piece.offset == 0 {
            self.text.clear();
            self.number = Some(number);
        }
        let follows = self.number == Some(number) && self.text.len() == usize::from(piece.offset);
        if !follows || self.text.extend_from_slice(bytes).is_err() {
            self.number = None;
            return None;
        }
        if piece.more {
            return None;
        }
        self.number = None;
        check_text(core::str::from_utf8(&self.text).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec as List;

    use super::super::super::frame::Frames;
    use super::*;

    /// Returns the frames of a text, each as bytes.
    fn frames(sender: &mut DatagramSender, text: &str) -> List<List<u8>> {
        assert!(sender.put(text));
        let mut out = [0; 60];
        core::iter::from_fn(|| sender.frame(&mut out).map(|len| out[..len].into())).collect()
    }

    fn take(receiver: &mut DatagramReceiver, frame: &[u8]) -> Option<std::string::String> {
        let Some(Ok(Frame::Datagram(datagram))) = Frames::new(frame).next() else { return None };
        receiver.on_piece(&datagram).map(Into::into)
    }

    #[test]
    fn a_line_arrives_whole_or_not_at_all() {
        let (mut sender, mut receiver) = (DatagramSender::new(), DatagramReceiver::new());
        let long = "x".repeat(150);
        let pieces = frames(&mut sender, &long);
        assert_eq!(pieces.len(), 3);
        let taken: List<_> = pieces.iter().map(|piece| take(&mut receiver, piece)).collect();
        assert_eq!(taken, [None, None, Some(long.clone())]);
        for lost in 0..3 {
            let mut pieces = frames(&mut sender, &long);
            pieces.remove(lost);
            assert!(pieces.iter().all(|piece| take(&mut receiver, piece).is_none()));
        }
        // The end of one does not follow the beginning of another.
        let one = frames(&mut sender, &long);
        let two = frames(&mut sender, &"y".repeat(150));
        assert_eq!(take(&mut receiver, &one[0]), None);
        assert_eq!(take(&mut receiver, &two[1]), None);
        assert_eq!(take(&mut receiver, &two[2]), None);
        assert_eq!(take(&mut receiver, &frames(&mut sender, "short")[0]).as_deref(), Some("short"));
    }

    #[test]
    fn one_that_has_begun_is_lost_with_its_way_and_one_that_waits_is_not() {
        let mut sender = DatagramSender::new();
        assert!(sender.put("waits") && !sender.put("no room"));
        sender.on_down();
        let mut out = [0; 7];
        assert!(sender.frame(&mut out).is_some());
        assert!(!sender.put("no room"));
        sender.on_down();
        assert_eq!(sender.frame(&mut out), None);
        assert!(sender.put("the next"));
    }
}

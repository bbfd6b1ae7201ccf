//! The memory of a board.

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Memory, View};
use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::time::Instant;

use crate::rng::Rng;

/// Memory that survives a reset of the chip.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ram {
    epoch: Epoch,
    /// Lines that are not done.
    pub lines: Vec<String>,
    next: u64,
    view: Option<View>,
}

impl Ram {
    /// Makes that of a board that has just got its power. `life` tells it from all others.
    pub fn power_up(life: u64) -> Self {
        let epoch = Epoch::new(Rng(life).next() | 1).unwrap_or(Epoch::MIN);
        Self { epoch, lines: Vec::new(), next: 1, view: None }
    }
}

impl Memory for Ram {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn first(&self) -> u64 {
        self.next - self.lines.len() as u64
    }

    fn next(&self) -> u64 {
        self.next
    }

    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        let at = usize::try_from(seq.checked_sub(self.first())?).ok()?;
        self.lines.get(at).map(|text| (text.as_bytes(), Instant::ZERO))
    }

    fn push(&mut self, _: Instant, text: &str) -> Result<(), WriteError> {
        self.lines.push(text.to_owned());
        self.next += 1;
        Ok(())
    }

    fn free(&mut self, done: u64) {
        while self.first() <= done && !self.lines.is_empty() {
            self.lines.remove(0);
        }
    }

    fn view(&self) -> Option<View> {
        self.view
    }

    fn set_view(&mut self, view: View) {
        self.view = Some(view);
    }
}

//! A board's memory.

use std::collections::VecDeque;

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Memory, View};
use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::time::Instant;

/// A board's memory: it outlives its program, and no loss of power.
#[derive(Debug, Clone)]
pub struct Ram {
    pub epoch: Epoch,
    pub lines: VecDeque<(String, Instant)>,
    pub next: u64,
    /// Lines that it takes.
    room: usize,
    view: Option<View>,
}

impl Ram {
    /// Makes that of a board that has just got its power, and drawn this number.
    pub fn power_up(random: u64, room: usize) -> Self {
        let epoch = Epoch::new(random | 1).expect("not 0");
        Self { epoch, lines: VecDeque::new(), next: 1, room, view: None }
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
        let at = seq.checked_sub(self.first())?;
        self.lines.get(at as usize).map(|(text, at)| (text.as_bytes(), *at))
    }

    fn push(&mut self, now: Instant, text: &str) -> Result<(), WriteError> {
        if self.lines.len() >= self.room {
            return Err(WriteError::Full);
        }
        self.lines.push_back((text.to_owned(), now));
        self.next += 1;
        Ok(())
    }

    fn free(&mut self, done: u64) {
        while self.first() <= done && self.lines.pop_front().is_some() {}
    }

    fn view(&self) -> Option<View> {
        self.view
    }

    fn set_view(&mut self, view: View) {
        self.view = Some(view);
    }
}

//! The memory of an STM32 that survives a restart of its program, and no loss of power.

use std::collections::VecDeque;

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Memory, View};
use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::time::Instant;

/// Bytes of lines that wait: a board has 16 KB for them, and 16 bytes around each.
const ROOM: usize = 16 * 1024;
const AROUND: usize = 16;

/// The memory.
#[derive(Debug)]
pub(crate) struct Ram {
    epoch: Epoch,
    lines: VecDeque<(String, Instant)>,
    used: usize,
    next: u64,
    view: Option<View>,
}

impl Ram {
    /// Makes the memory of a board that has just got its power.
    pub(crate) fn power_up(rng: &mut fastrand::Rng) -> Self {
        let epoch = Epoch::new(rng.u64(1..)).unwrap_or(Epoch::MIN);
        Self { epoch, lines: VecDeque::new(), used: 0, next: 1, view: None }
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
        self.lines.get(at as usize).map(|(text, written)| (text.as_bytes(), *written))
    }

    fn push(&mut self, now: Instant, text: &str) -> Result<(), WriteError> {
        let used = self.used + text.len() + AROUND;
        if used > ROOM {
            return Err(WriteError::Full);
        }
        self.used = used;
        self.lines.push_back((text.to_owned(), now));
        self.next += 1;
        Ok(())
    }

    fn free(&mut self, done: u64) {
        while self.first() <= done
            && let Some((text, _)) = self.lines.pop_front()
        {
            self.used -= text.len() + AROUND;
        }
    }

    fn view(&self) -> Option<View> {
        self.view
    }

    fn set_view(&mut self, view: View) {
        self.view = Some(view);
    }
}

//! Progress of work that is done again, or within other work.

use crate::{Progress, Step};

/// Never goes back: what is done again was shown already.
pub struct Forward<'a> {
    progress: &'a mut dyn Progress,
    most: u64,
}

impl<'a> Forward<'a> {
    pub fn new(progress: &'a mut dyn Progress) -> Self {
        Self { progress, most: 0 }
    }
}

impl Progress for Forward<'_> {
    fn begin(&mut self, _step: Step, _what: &str, _total: u64) {}
    fn advance(&mut self, done: u64) {
        if done > self.most {
            self.most = done;
            self.progress.advance(done);
        }
    }
    fn end(&mut self) {
        self.progress.end();
    }
    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }
    fn cancelled(&self) -> bool {
        self.progress.cancelled()
    }
}

/// Passes on whether to stop, and nothing else: for work within another step.
pub struct Quiet<'a>(pub &'a mut dyn Progress);

impl Progress for Quiet<'_> {
    fn begin(&mut self, _step: Step, _what: &str, _total: u64) {}
    fn advance(&mut self, _done: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, text: &str) {
        self.0.note(text);
    }
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

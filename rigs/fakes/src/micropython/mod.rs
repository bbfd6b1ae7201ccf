//! A Pyboard with MicroPython: its REPL, its files, and faults. Of Python it understands what the agent of
//! `pblink_flash::micropython` asks of it, and a program that runs until it is interrupted.

mod fault;
mod line;
mod python;
mod repl;
mod unix;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crate::pty::Pty;
pub use fault::Fault;
pub use line::Line;
pub use repl::PROGRAM_SAYS;
pub use unix::{Unix, micropython};

use repl::Chip;

/// A board. Copies are the same board.
#[derive(Debug, Clone)]
pub struct Board {
    chip: Arc<Mutex<Chip>>,
}

impl Board {
    /// Makes a board with nothing but `/flash` and these faults.
    pub fn with(faults: impl Into<Vec<Fault>>) -> Self {
        Self { chip: Arc::new(Mutex::new(Chip::new(faults.into()))) }
    }

    fn chip(&self) -> MutexGuard<'_, Chip> {
        self.chip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a port to it within this process, where no time passes.
    pub fn line(&self) -> Line {
        Line::new(self.clone())
    }

    /// Returns a pseudo-terminal to it.
    ///
    /// # Panics
    /// If the system has none.
    pub fn pty(&self) -> Pty {
        let board = self.clone();
        Pty::new(Box::new(move |bytes, _| {
            let mut chip = board.chip();
            bytes.iter().for_each(|byte| chip.feed(*byte));
            (!chip.gone).then(|| std::mem::take(&mut chip.output))
        }))
    }

    /// Returns its files by their paths.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.chip().python.files.clone()
    }

    /// Puts a file onto it.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        self.chip().python.files.insert(path.to_owned(), bytes.to_vec());
    }

    /// Returns true if a person finds the prompt `>>> `.
    pub fn at_prompt(&self) -> bool {
        self.chip().at_prompt()
    }

    /// Takes away all faults, and plugs the cable in again: the board starts anew, its files stay.
    pub fn repair(&self) {
        let mut chip = self.chip();
        let files = std::mem::take(&mut chip.python.files);
        *chip = Chip::new(Vec::new());
        chip.python.files = files;
    }
}

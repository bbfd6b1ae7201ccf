//! The steps of a rotation: the user's, and those of the server's process. The rest of it are lines.

use std::sync::Arc;

use super::keys::Flash;
use super::rules::Rules;
use super::world::World;

impl World {
    /// Returns the keys of the board.
    pub(super) fn flash(&self) -> &Flash {
        &self.board.suite().expect("it has keys").flash
    }

    /// Begins to give the board a new key.
    pub fn rotate(&mut self, rules: Rules) {
        let text = self.life() as u8;
        Arc::make_mut(&mut self.file).rotate(text);
        if rules.forgets_key {
            let newest = self.file.newest();
            Arc::make_mut(&mut self.file).note(newest);
        }
    }

    /// Returns true if no key is on its way to the board.
    pub fn may_rotate(&self) -> bool {
        !self.file.rotates()
    }

    /// Returns true if the file of keys has changed since the process has read it.
    pub fn may_read_keys(&self) -> bool {
        self.process.file() != &*self.file
    }

    /// Lets the process read its keys again.
    pub fn read_keys(&mut self) {
        if self.may_read_keys() {
            Arc::make_mut(&mut self.process).read(&self.file);
            self.talk();
        }
    }

    /// Returns true if the board has proven a key of which the file does not say so yet.
    pub fn may_note(&self) -> bool {
        self.file.rotates() && self.process.proven() == Some(self.file.newest())
    }

    /// Notes it.
    pub fn note(&mut self) {
        if let Some(key) = self.process.proven() {
            Arc::make_mut(&mut self.file).note(key);
        }
    }

    /// Returns true if there is a key that both have where it outlives them.
    pub fn share_a_key(&self) -> bool {
        self.file.takes(self.flash())
    }
}

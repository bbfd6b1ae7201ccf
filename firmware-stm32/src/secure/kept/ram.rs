//! The RAM beneath the kept memory.

/// A piece of RAM that nothing clears at a start. Bytes change in the order in which they are set, as far as a reset lets
/// them.
pub trait Ram {
    /// Returns all bytes.
    fn bytes(&self) -> &[u8];

    /// Sets one byte.
    ///
    /// # Panics
    /// If there is no such byte.
    fn set(&mut self, at: usize, byte: u8);
}

impl Ram for &mut [u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn set(&mut self, at: usize, byte: u8) {
        // SAFETY: the reference is valid. Volatile, so that the compiler keeps each write, and their order: a reset may come
        // between any two.
        #[allow(unsafe_code)]
        unsafe {
            core::ptr::from_mut(&mut self[at]).write_volatile(byte);
        }
    }
}

/// Sets bytes from `at` on, one after the other.
pub(super) fn copy(ram: &mut impl Ram, at: usize, bytes: &[u8]) {
    for (place, &byte) in (at..).zip(bytes) {
        ram.set(place, byte);
    }
}

//! Bytes that more than the task uses.

use core::cell::UnsafeCell;

/// A byte that callbacks and the interrupt use too. The core's atomics are calls of a library that is
/// not there; single bytes are read and written at once anyway.
#[repr(transparent)]
pub(super) struct Shared(UnsafeCell<u8>);

// SAFETY: one core, and every access is a single instruction.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) const fn new(value: u8) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(super) fn get(&self) -> u8 {
        // SAFETY: always valid.
        unsafe { self.0.get().read_volatile() }
    }

    pub(super) fn set(&self, value: u8) {
        // SAFETY: always valid.
        unsafe { self.0.get().write_volatile(value) }
    }
}

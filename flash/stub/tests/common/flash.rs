//! A flash chip, and what else of the chip the tests look at.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Nothing that a test waits for takes this long, unless it never comes.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Size of the flash chip.
pub const SIZE: usize = 0x40_0000;

/// The number of bytes from the host that the chip holds while the program takes none.
pub const FIFO: usize = 128;

/// The end of the stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Reset,
    UserCode,
}

/// A board that the tests inspect. Writing only clears bits, as in a real chip.
#[derive(Debug)]
pub struct Board {
    pub flash: Vec<u8>,
    /// Sectors and blocks that were erased, in order: address and size.
    pub erased: Vec<(u32, u32)>,
    pub is_locked: bool,
    /// It does not let itself be unlocked.
    pub stays_locked: bool,
    /// Writes, reads and erasures fail.
    pub is_broken: bool,
    pub attached: usize,
    pub parameters: [u32; 6],
    pub dividers: Vec<u32>,
    /// Bytes of the host that were lost, since they came while the flash was busy.
    pub lost: usize,
    pub end: Option<End>,
    /// A fault that no chip would have survived.
    pub crash: Option<String>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            // Something old is everywhere.
            flash: (0..SIZE).map(|n| (n * 7 + n / 256) as u8).collect(),
            erased: Vec::new(),
            is_locked: true,
            stays_locked: false,
            is_broken: false,
            attached: 0,
            parameters: [0; 6],
            dividers: Vec::new(),
            lost: 0,
            end: None,
            crash: None,
        }
    }
}

impl Board {
    pub fn unlock(&mut self) -> bool {
        self.is_locked &= self.stays_locked;
        !self.is_locked
    }

    fn at(&mut self, address: u32, len: usize) -> Option<&mut [u8]> {
        assert!(self.attached >= 2, "the pins of the flash are not connected");
        // The ROM refuses what is beyond the size that it was given.
        let end = address as usize + len;
        assert!(end <= self.parameters[1] as usize, "flash was used beyond its end");
        // A smaller chip does not know these address lines.
        (!self.is_broken).then_some(())?;
        self.flash.get_mut(address as usize..end)
    }

    pub fn read(&mut self, address: u32, len: u32) -> Option<Vec<u8>> {
        assert!(address.is_multiple_of(4) && len.is_multiple_of(4), "read {address:#x} {len}");
        self.at(address, len as usize).map(|bytes| bytes.to_vec())
    }

    pub fn write(&mut self, address: u32, bytes: &[u8]) -> bool {
        assert!(address.is_multiple_of(4) && bytes.len().is_multiple_of(4), "write {address:#x}");
        if self.is_locked {
            return false;
        }
        let Some(place) = self.at(address, bytes.len()) else { return false };
        place.iter_mut().zip(bytes).for_each(|(old, new)| *old &= new);
        true
    }

    pub fn erase(&mut self, address: u32, len: u32) -> bool {
        if self.is_locked {
            return false;
        }
        let Some(place) = self.at(address, len as usize) else { return false };
        place.fill(0xff);
        self.erased.push((address, len));
        true
    }

    pub fn erase_chip(&mut self) -> bool {
        if self.is_locked || self.is_broken {
            return false;
        }
        self.flash.fill(0xff);
        self.erased.push((0, SIZE as u32));
        true
    }
}

/// A board that a stub and a test share.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<(Mutex<Board>, Condvar)>);

impl Shared {
    /// Looks at the board, or changes it.
    pub fn with<R>(&self, what: impl FnOnce(&mut Board) -> R) -> R {
        let result = what(&mut self.0.0.lock().expect("no panic"));
        self.0.1.notify_all();
        result
    }

    /// Waits until `wanted` is true of the board.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Board) -> bool) {
        let board = self.0.0.lock().expect("no panic");
        let (board, out) =
            self.0.1.wait_timeout_while(board, LIMIT, |board| !wanted(board)).expect("no panic");
        assert!(!out.timed_out(), "waited for \"{what}\" in vain: {:?}", board.crash);
    }
}

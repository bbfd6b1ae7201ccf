//! The stub's requirements on a chip.

/// The flash chip did not carry a command out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashFault;

/// A chip, as the stub needs it. Flash addresses count from the start of flash.
pub trait Chip {
    /// Waits for the next byte from the host.
    fn receive(&mut self) -> u8;

    /// Sends a byte; it may be on its way when this returns.
    fn send(&mut self, byte: u8);

    /// Waits until all bytes have left.
    fn flush(&mut self);

    /// Returns the length of a bit on the serial line, in periods of the clock that drives it.
    fn divider(&mut self) -> u32;

    /// Sets what [`divider`](Self::divider) returns, 1 to 0xfffff.
    fn set_divider(&mut self, divider: u32);

    /// Connects the pins of the flash chip.
    fn attach(&mut self);

    /// Describes the flash chip: id, size, and sizes of erase block, sector and page in bytes, and the
    /// mask of its status.
    ///
    /// # Errors
    /// If this is refused.
    fn set_parameters(&mut self, parameters: [u32; 6]) -> Result<(), FlashFault>;

    /// Takes the write protection off.
    ///
    /// # Errors
    /// If the flash chip does not.
    fn unlock(&mut self) -> Result<(), FlashFault>;

    /// Reads flash. The address, the length and the place are multiples of 4.
    ///
    /// # Errors
    /// If the flash chip does not.
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashFault>;

    /// Writes flash that is erased. The address, the length and the place are multiples of 4.
    ///
    /// # Errors
    /// If the flash chip does not.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault>;

    /// Erases 4 KB.
    ///
    /// # Errors
    /// If the flash chip does not.
    fn erase_sector(&mut self, number: u32) -> Result<(), FlashFault>;

    /// Erases 64 KB.
    ///
    /// # Errors
    /// If the flash chip does not.
    fn erase_block(&mut self, number: u32) -> Result<(), FlashFault>;

    /// Erases all.
    ///
    /// # Errors
    /// If the flash chip does not.
    fn erase_chip(&mut self) -> Result<(), FlashFault>;

    /// Reads a word of memory or a register; the address is a multiple of 4.
    fn peek(&mut self, address: u32) -> u32;

    /// Writes a word of memory or a register; the address is a multiple of 4.
    fn poke(&mut self, address: u32, value: u32);

    /// Waits this many microseconds.
    fn delay(&mut self, micros: u32);

    /// Restarts the chip.
    fn reset(&mut self);
}

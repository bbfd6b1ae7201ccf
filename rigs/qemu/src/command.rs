//! Commands to the boards of a rig.

/// An action of a test on the boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// The STM32's program may write numbered lines up to this number. It does so as fast as they
    /// are taken.
    Write(u32),
    /// The coprocessor dies in the middle of the next transfer of a payload over I2C. Its pins stay as
    /// they are until it is reset.
    KillInPayload,
    /// The coprocessor hangs, until it is reset.
    Hang,
    /// The access point is switched off, or on again.
    Wifi(bool),
    /// The STM32 loses its power, and gets it back at once.
    PowerCycle,
    /// The same, once it has programmed so many words of the flash of its keys since the last one of these. Nothing that it
    /// did after that counts.
    PowerCycleInFlash(usize),
}

//! An I2C master on two pins. The ESP8266 has no such peripheral. The ESP32-C3 has one, but this is the master that is
//! tested against slaves that stretch clocks and hold the data line, and both chips behave alike with it.

use pblink_protocol::i2c::BusFault;

/// The two pins, open drain: a line is low, or left to its pull-up.
pub trait Lines {
    /// Releases (true) or pulls down the clock.
    fn set_scl(&mut self, level: bool);
    /// Releases (true) or pulls down the data line.
    fn set_sda(&mut self, level: bool);
    /// Returns the level of the clock: low also when the slave holds it.
    fn scl(&mut self) -> bool;
    /// Returns the level of the data line.
    fn sda(&mut self) -> bool;
    /// Waits for half a clock: 5 µs for 100 kHz.
    fn half_clock(&mut self);
    /// Returns the count of microseconds, which wraps.
    fn micros(&mut self) -> u32;
}

/// The total time that a slave may stretch the clocks of one transfer, in µs. Longer than a slave's
/// longest interrupt, and short enough for the WiFi stack to wait.
pub const STRETCH: u32 = 25_000;

/// An I2C master.
#[derive(Debug)]
pub struct Master<L> {
    lines: L,
    /// The rest of [`STRETCH`].
    patience: u32,
}

impl<L: Lines> Master<L> {
    /// Makes a master on a bus that is in any state.
    pub fn new(mut lines: L) -> Self {
        lines.set_scl(true);
        lines.set_sda(true);
        Self { lines, patience: STRETCH }
    }

    /// Returns the lines, to look at.
    pub fn lines(&mut self) -> &mut L {
        &mut self.lines
    }

    /// Reads from the slave at `address`.
    ///
    /// # Errors
    /// [`BusFault::NoAddress`] if no slave is there; [`BusFault::Other`] if the bus is stuck, or its
    /// clock is held for longer than [`STRETCH`].
    pub fn read(&mut self, address: u8, bytes: &mut [u8]) -> Result<(), BusFault> {
        let last = bytes.len().saturating_sub(1);
        self.transfer(address << 1 | 1, |bus| {
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = bus.read_byte(at < last)?;
            }
            Ok(())
        })
    }

    /// Writes to the slave at `address`.
    ///
    /// # Errors
    /// Like [`read`](Self::read); [`BusFault::Other`] also if a byte is not acknowledged.
    pub fn write(&mut self, address: u8, bytes: &[u8]) -> Result<(), BusFault> {
        self.transfer(address << 1, |bus| {
            for &byte in bytes {
                if !bus.write_byte(byte)? {
                    return Err(BusFault::Other);
                }
            }
            Ok(())
        })
    }

    fn transfer(
        &mut self,
        address: u8,
        bytes: impl FnOnce(&mut Self) -> Result<(), BusFault>,
    ) -> Result<(), BusFault> {
        self.patience = STRETCH;
        if !(self.lines.scl() && self.lines.sda()) {
            self.recover()?;
        }
        self.lines.set_sda(false);
        self.lines.half_clock();
        self.lines.set_scl(false);
        let result = match self.write_byte(address) {
            Ok(true) => bytes(self),
            Ok(false) => Err(BusFault::NoAddress),
            Err(fault) => Err(fault),
        };
        match (self.stop(), result) {
            (Ok(()), result) => result,
            // It has nothing to do with the slave's readiness.
            (Err(fault), _) => {
                self.recover()?;
                Err(fault)
            }
        }
    }

    /// Frees the bus. A slave that was interrupted within a byte holds the data line until it has had
    /// its clocks.
    fn recover(&mut self) -> Result<(), BusFault> {
        self.lines.set_sda(true);
        for _ in 0..9 {
            if self.lines.sda() {
                break;
            }
            self.lines.set_scl(false);
            self.lines.half_clock();
            self.rise()?;
        }
        self.lines.set_scl(false);
        self.stop()
    }

    /// Lets data go up while the clock is high. Returns whether the bus is free then.
    fn stop(&mut self) -> Result<(), BusFault> {
        self.lines.set_sda(false);
        self.lines.half_clock();
        let risen = self.rise();
        self.lines.set_sda(true);
        self.lines.half_clock();
        risen?;
        if self.lines.sda() { Ok(()) } else { Err(BusFault::Other) }
    }

    /// Lets the clock go up, and waits for a slave that holds it.
    fn rise(&mut self) -> Result<(), BusFault> {
        self.lines.set_scl(true);
        let since = self.lines.micros();
        loop {
            let up = self.lines.scl();
            let held = self.lines.micros().wrapping_sub(since);
            if up {
                self.patience = self.patience.saturating_sub(held);
                self.lines.half_clock();
                return Ok(());
            }
            if held >= self.patience {
                self.patience = 0;
                return Err(BusFault::Other);
            }
        }
    }

    fn write_bit(&mut self, bit: bool) -> Result<(), BusFault> {
        self.lines.set_sda(bit);
        self.lines.half_clock();
        self.rise()?;
        self.lines.set_scl(false);
        Ok(())
    }

    fn read_bit(&mut self) -> Result<bool, BusFault> {
        self.lines.set_sda(true);
        self.lines.half_clock();
        self.rise()?;
        let bit = self.lines.sda();
        self.lines.set_scl(false);
        Ok(bit)
    }

    /// Writes a byte. Returns whether it was acknowledged.
    fn write_byte(&mut self, byte: u8) -> Result<bool, BusFault> {
        for shift in (0..8).rev() {
            self.write_bit(byte >> shift & 1 != 0)?;
        }
        self.read_bit().map(|bit| !bit)
    }

    fn read_byte(&mut self, acknowledge: bool) -> Result<u8, BusFault> {
        let mut byte = 0;
        for _ in 0..8 {
            byte = byte << 1 | u8::from(self.read_bit()?);
        }
        self.write_bit(!acknowledge)?;
        Ok(byte)
    }
}

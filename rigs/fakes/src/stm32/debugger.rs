//! A chip on a debug probe.

use pblink_flash::stm32::{
    DBGMCU_IDCODE, DebugLink, FLASH_OPTCR, FLASH_OPTKEYR, FLASH_SR, Layout, LinkError, Sector,
};

use super::{Chip, Fault, Faults};

/// A probe that has attached to a chip.
#[derive(Debug, Clone)]
pub struct Debugger {
    chip: Chip,
    layout: Layout,
    id: u32,
    faults: Faults,
    /// The chip was halted by this connection, and nothing has been said of what becomes of it.
    halted: bool,
    /// The keys of the option bytes that were written so far, of two.
    keys: usize,
    /// The chip keeps its option bytes, whatever is written.
    stubborn: bool,
}

impl Drop for Debugger {
    /// Resets the chip, as a probe does that releases it; its program continues.
    fn drop(&mut self) {
        if self.halted && !self.faults.gone {
            self.chip.reset();
        }
    }
}

impl Debugger {
    /// Makes a probe on this chip.
    pub fn of(chip: &Chip) -> Self {
        Self {
            chip: chip.clone(),
            layout: Layout::of_map(chip.map()),
            // Revision 1 of an STM32F405 (RM0090 §38.6.1), and of others.
            id: 0x1001_6000 | chip.map().devices[0],
            faults: Faults::default(),
            halted: false,
            keys: 0,
            stubborn: false,
        }
    }

    /// Lets one transfer go wrong; the first has number 0.
    #[must_use]
    pub fn with_fault(mut self, transfer: usize, fault: Fault) -> Self {
        self.faults.fault = Some((transfer, fault));
        self
    }

    /// Is on a chip with this identification.
    #[must_use]
    pub fn with_id(mut self, id: u32) -> Self {
        self.id = id;
        self
    }

    /// Is on a chip that keeps its option bytes.
    #[must_use]
    pub fn that_keeps_its_options(mut self) -> Self {
        self.stubborn = true;
        self
    }

    /// Is on a chip with these sectors.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Returns the number of transfers so far.
    pub fn transfers(&self) -> usize {
        self.faults.transfers
    }

    /// Does one transfer; the closure's argument says whether it stops halfway.
    fn transfer<T>(
        &mut self,
        action: impl FnOnce(&Chip, bool) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let before = self.faults.gone;
        if self.faults.transfers == 0 {
            self.chip.stop();
            self.halted = true;
        }
        match self.faults.next() {
            Some(Fault::Vanish) => {
                if !before {
                    // How it would have ended is not to be known any more.
                    let _ = action(&self.chip, true);
                }
                Err(LinkError::Gone)
            }
            Some(_) => Err(LinkError::Failed("the chip did not answer".to_owned())),
            None => action(&self.chip, false),
        }
    }
}

fn failed<T>(why: &str) -> Result<T, LinkError> {
    Err(LinkError::Failed(why.to_owned()))
}

impl DebugLink for Debugger {
    fn name(&self) -> String {
        "probe 0483:374b:FAKE (STLink V2-1)".to_owned()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read_word(&mut self, address: u32) -> Result<u32, LinkError> {
        let (id, locked) = (self.id, u32::from(self.keys != 2));
        self.transfer(|chip, _| match address {
            DBGMCU_IDCODE => Ok(id),
            // nWRP, RDP, user bits, lock (RM0090 §3.9.10).
            FLASH_OPTCR => {
                let readout = if chip.readout_protected() { 0x55 } else { 0xaa };
                Ok((u32::from(chip.not_protected()) << 16) | (readout << 8) | 0xec | locked)
            }
            FLASH_SR => Ok(0),
            _ => failed("a bus fault"),
        })
    }

    fn write_word(&mut self, address: u32, value: u32) -> Result<(), LinkError> {
        let (unlocked, stubborn) = (self.keys == 2, self.stubborn);
        let next = [0x0819_2a3b, 0x4c5d_6e7f].get(self.keys).copied();
        let key = self.transfer(|chip, torn| match address {
            FLASH_OPTKEYR => Ok(true),
            // Without the keys nothing happens; nor without the bit that begins it.
            FLASH_OPTCR => {
                if unlocked && !stubborn && !torn && value & 0b11 == 0b10 {
                    chip.set_protection((value >> 8) as u8, (value >> 16) as u16);
                }
                Ok(false)
            }
            _ => failed("a bus fault"),
        })?;
        if key {
            // RM0090 §3.6.2: a wrong one locks it until the next reset.
            self.keys = if next == Some(value) { self.keys + 1 } else { usize::MAX };
        }
        Ok(())
    }

    fn read(&mut self, address: u32, out: &mut [u8]) -> Result<(), LinkError> {
        let garbage =
            matches!(self.faults.fault, Some((at, Fault::Garbage)) if at == self.faults.transfers);
        if garbage {
            self.faults.fault = None;
        }
        self.transfer(|chip, _| {
            if chip.readout_protected() || !chip.is_flash(address, out.len()) {
                return failed("a bus fault");
            }
            out.copy_from_slice(&chip.bytes(address, out.len()));
            if garbage {
                out.iter_mut().for_each(|byte| *byte ^= 0x10);
            }
            Ok(())
        })
    }

    fn erase(&mut self, sector: &Sector) -> Result<(), LinkError> {
        let address = sector.address;
        self.transfer(|chip, torn| match chip.erase(address, torn) {
            true => Ok(()),
            false => Err(LinkError::Refused("the flash algorithm returned 1".to_owned())),
        })
    }

    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), LinkError> {
        if !address.is_multiple_of(4) || !bytes.len().is_multiple_of(4) {
            return failed("not whole words");
        }
        self.transfer(|chip, torn| match chip.program(address, bytes, torn) {
            true => Ok(()),
            false => Err(LinkError::Refused("the flash algorithm returned 1".to_owned())),
        })
    }

    fn hold(&mut self) -> Result<(), LinkError> {
        let held = self.transfer(|chip, _| {
            chip.stop();
            Ok(())
        });
        self.halted &= held.is_err();
        held
    }

    fn run(&mut self) -> Result<(), LinkError> {
        let run = self.transfer(|chip, torn| {
            if !torn && chip.would_start() {
                chip.start();
            }
            Ok(())
        });
        self.halted &= run.is_err();
        run
    }
}

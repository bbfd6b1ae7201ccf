//! An STM32 behind a debug probe.

use super::{Layout, Protection, Sector, Target};
use crate::{Error, Kind, Result};

/// The register that identifies the chip (RM0090 §38.6.1).
pub const DBGMCU_IDCODE: u32 = 0xe004_2000;
/// The register of the flash's option bytes (RM0090 §3.9.10).
pub const FLASH_OPTCR: u32 = 0x4002_3c14;

/// Chips that the name `STM32F405` stands for: 0x413 is the STM32F405/407/415/417; their revision A says
/// 0x411 (errata ES0182, "MCU device ID is incorrect").
const F405_IDS: [u32; 2] = [0x413, 0x411];

/// Why something failed below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkError {
    /// The probe is no longer there.
    Gone,
    /// The chip says that its flash cannot be erased or written there: why.
    Refused(String),
    /// The probe is there, but it or the chip did not do it: why.
    Failed(String),
}

/// The functions of a debug probe with a chip that it has attached to, halted and reset.
pub trait DebugLink {
    /// Returns the name by which the user knows the probe.
    fn name(&self) -> String;

    /// Returns the sectors of the chip that was asked for.
    fn layout(&self) -> &Layout;

    /// Reads a register.
    ///
    /// # Errors
    /// See [`LinkError`].
    fn read_word(&mut self, address: u32) -> Result<u32, LinkError>;

    /// Reads memory.
    ///
    /// # Errors
    /// See [`LinkError`].
    fn read(&mut self, address: u32, out: &mut [u8]) -> Result<(), LinkError>;

    /// Erases one sector.
    ///
    /// # Errors
    /// See [`LinkError`].
    fn erase(&mut self, sector: &Sector) -> Result<(), LinkError>;

    /// Programs flash that was erased before. Bytes beside these may be written as 0xff, which changes
    /// nothing.
    ///
    /// # Errors
    /// See [`LinkError`].
    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), LinkError>;

    /// Resets the chip and keeps it from running its program, also when the probe lets go of it. A chip
    /// that was neither held nor run continues its program then.
    ///
    /// # Errors
    /// See [`LinkError`].
    fn hold(&mut self) -> Result<(), LinkError>;

    /// Resets the chip and lets it run.
    ///
    /// # Errors
    /// See [`LinkError`].
    fn run(&mut self) -> Result<(), LinkError>;
}

/// An STM32 behind a debug probe.
#[derive(Debug)]
pub struct Probe<L> {
    link: L,
}

impl<L: DebugLink> Probe<L> {
    /// Opens the chip behind `link`. `chip` is the name that the user gave: for an STM32F405,
    /// this checks that it is one before anything else happens to it.
    ///
    /// # Errors
    /// [`Kind::WrongChip`]; those of the link.
    pub fn new(link: L, chip: &str) -> Result<Self> {
        let mut this = Self { link };
        if chip.to_ascii_uppercase().starts_with("STM32F405") {
            let doing = "asking the chip which one it is";
            let id = this.link.read_word(DBGMCU_IDCODE).map_err(|e| this.failed(e, doing))? & 0xfff;
            if !F405_IDS.contains(&id) {
                let cause = format!(
                    "{} found another chip: its id is {id:#05x}, not that of an STM32F405",
                    this.link.name()
                );
                let remedy = "connect the probe to the Pyboard, or name your chip with --chip";
                return Err(Error::new(Kind::WrongChip, cause, remedy));
            }
        }
        Ok(this)
    }

    /// Returns the link below.
    pub fn link(&self) -> &L {
        &self.link
    }

    fn failed(&self, error: LinkError, doing: &str) -> Error {
        let name = self.link.name();
        match error {
            LinkError::Gone => Error::new(
                Kind::Vanished,
                format!("the probe {name} vanished while {doing}"),
                "plug it in again and repeat the command: no half-written program starts",
            ),
            LinkError::Refused(why) => Error::new(
                Kind::Refused,
                format!("the chip on {name} refused while {doing}: {why}"),
                "flash it again; if it fails at the same place, the sector is write-protected or worn out",
            ),
            LinkError::Failed(why) => Error::new(
                Kind::NoAnswer,
                format!("{name} failed while {doing}: {why}"),
                "check ground, SWDIO, SWCLK, NRST and the board's supply, and repeat the command: no \
                 half-written program starts",
            ),
        }
    }
}

impl<L: DebugLink> Target for Probe<L> {
    fn name(&self) -> String {
        self.link.name()
    }

    fn layout(&self) -> &Layout {
        self.link.layout()
    }

    fn piece(&self) -> usize {
        // The flash algorithm is loaded anew for each piece.
        16 << 10
    }

    fn protection(&mut self) -> Result<Protection> {
        // Other families have the option bytes elsewhere.
        if self.layout().sectors().len() != Layout::stm32f405().sectors().len() {
            return Ok(Protection::default());
        }
        let doing = "reading the option bytes";
        let options = self.link.read_word(FLASH_OPTCR).map_err(|e| self.failed(e, doing))?;
        // RM0090 §3.9.10: 0xaa is no protection, 0xcc one that no probe gets past, all else level 1.
        let readout = (options >> 8) & 0xff != 0xaa;
        let sectors = (0..12).filter(|sector| options & (1 << (16 + sector)) == 0).collect();
        Ok(Protection { readout, sectors })
    }

    fn read(&mut self, address: u32, out: &mut [u8]) -> Result<()> {
        self.link.read(address, out).map_err(|e| self.failed(e, "reading the flash"))
    }

    fn erase(&mut self, sector: &Sector) -> Result<()> {
        self.link.erase(sector).map_err(|e| self.failed(e, &format!("erasing {sector}")))
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        let written = self.link.program(address, bytes);
        written.map_err(|e| self.failed(e, &format!("writing at {address:#010x}")))
    }

    fn hold(&mut self) -> Result<()> {
        self.link.hold().map_err(|e| self.failed(e, "holding the chip"))
    }

    fn start(&mut self) -> Result<()> {
        self.link.run().map_err(|e| self.failed(e, "starting the program"))
    }
}

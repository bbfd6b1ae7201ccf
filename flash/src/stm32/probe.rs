//! An STM32 behind a debug probe.

use pblink_image::map::{self, Map};

use super::{Layout, Protection, Sector, Target};
use crate::{Error, Kind, Result};

/// The register that identifies the chip (RM0090 §38.6.1).
pub const DBGMCU_IDCODE: u32 = 0xe004_2000;
/// The register of the flash's option bytes (RM0090 §3.9.10).
pub const FLASH_OPTCR: u32 = 0x4002_3c14;

/// The register that takes the keys of the option bytes' lock, and these keys (RM0090 §3.6.2).
pub const FLASH_OPTKEYR: u32 = 0x4002_3c08;
const OPTION_KEYS: [u32; 2] = [0x0819_2a3b, 0x4c5d_6e7f];
/// The register of the flash's status (RM0090 §3.9.5).
pub const FLASH_SR: u32 = 0x4002_3c0c;
/// Its bit while flash is busy.
const BUSY: u32 = 1 << 16;
/// Questions for it until an answer is overdue. Programming option bytes erases them, which takes a second at most.
const PATIENCE: usize = 20_000;

/// Bits of [`FLASH_OPTCR`]: it is locked; begin to program it.
const OPTION_LOCK: u32 = 1;
const OPTION_START: u32 = 1 << 1;
/// Read-out protection in the option bytes: none, and level 1. 0xcc is level 2, which nobody takes off: never write that.
pub(super) const NOT_PROTECTED: u8 = 0xaa;
pub(super) const LEVEL_1: u8 = 0x55;

/// The bit of the option bytes that makes write protection one against reading, too.
const SPRMOD: u32 = 1 << 31;

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

    /// Writes a register.
    ///
    /// # Errors
    /// See [`LinkError`].
    fn write_word(&mut self, address: u32, value: u32) -> Result<(), LinkError>;

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

/// Returns the read-out protection in [`FLASH_OPTCR`].
const fn readout(options: u32) -> u8 {
    (options >> 8) as u8
}

/// Returns the name of a chip without its package: `STM32F405`.
fn family(map: &Map) -> &'static str {
    &map.chip[.."STM32F405".len()]
}

impl<L: DebugLink> Probe<L> {
    /// Opens the chip behind `link`. `chip` is the name that the user gave: for one that we have a map of,
    /// this checks that it is that one before anything else happens to it.
    ///
    /// # Errors
    /// [`Kind::WrongChip`]; those of the link.
    pub fn new(link: L, chip: &str) -> Result<Self> {
        let mut this = Self { link };
        let name = chip.to_ascii_uppercase();
        // The family is enough: packages and sizes of flash have the same number.
        if let Some(map) = map::ALL.into_iter().find(|map| name.starts_with(family(map))) {
            let doing = "asking the chip which one it is";
            let id = this.link.read_word(DBGMCU_IDCODE).map_err(|e| this.failed(e, doing))? & 0xfff;
            if !map.devices.contains(&id) {
                let other = map::ALL.into_iter().find(|map| map.devices.contains(&id));
                let other = other.map_or(String::new(), |map| format!(" of a {}", map.title));
                let cause = format!(
                    "{} found another chip: its id is {id:#05x}{other}, not that of an {}",
                    this.link.name(),
                    family(map)
                );
                let remedy = format!(
                    "connect the probe to the {}, or name your board with --kind, or your chip with --chip",
                    map.title
                );
                return Err(Error::new(Kind::WrongChip, cause, remedy));
            }
        }
        Ok(this)
    }

    /// Returns the link below.
    pub fn link(&self) -> &L {
        &self.link
    }

    /// Programs level 1 of read-out protection into the option bytes, of which the others stay.
    fn program_lock(&mut self) -> Result<bool, LinkError> {
        let options = self.link.read_word(FLASH_OPTCR)?;
        if readout(options) != NOT_PROTECTED {
            return Ok(true);
        }
        if options & OPTION_LOCK != 0 {
            for key in OPTION_KEYS {
                self.link.write_word(FLASH_OPTKEYR, key)?;
            }
        }
        let others = options & !(0xff << 8 | OPTION_LOCK | OPTION_START);
        let wanted = others | u32::from(LEVEL_1) << 8;
        self.link.write_word(FLASH_OPTCR, wanted)?;
        self.link.write_word(FLASH_OPTCR, wanted | OPTION_START)?;
        for _ in 0..PATIENCE {
            if self.link.read_word(FLASH_SR)? & BUSY == 0 {
                return Ok(readout(self.link.read_word(FLASH_OPTCR)?) == LEVEL_1);
            }
        }
        Err(LinkError::Failed("the flash stays busy".to_owned()))
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

pub(super) fn not_locked(name: &str) -> Error {
    Error::new(
        Kind::Verify,
        format!("{name} did not take the option bytes: read-out protection is still off"),
        "try again, or turn it on with STM32CubeProgrammer",
    )
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
        if !map::ALL.into_iter().any(|map| self.layout().is_of(map)) {
            return Ok(Protection::default());
        }
        let count = self.layout().sectors().len();
        let doing = "reading the option bytes";
        let options = self.link.read_word(FLASH_OPTCR).map_err(|e| self.failed(e, doing))?;
        // RM0090 §3.9.10: 0xaa is no protection, 0xcc one that no probe gets past, all else level 1.
        let readout = readout(options) != NOT_PROTECTED;
        // RM0383 and RM0390 §3.8.6: with SPRMOD, which the STM32F405 has not, the bits have the other sense, and keep
        // sectors from being read, too.
        let protected = u32::from(count < 12 && options & SPRMOD != 0);
        let sectors =
            (0..count).filter(|sector| options >> (16 + sector) & 1 == protected).collect();
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

    fn lock(&mut self) -> Result<()> {
        // Other families have the option bytes elsewhere.
        if !map::ALL.into_iter().any(|map| self.layout().is_of(map)) {
            let cause =
                format!("{} is on a chip whose option bytes pblink does not know", self.name());
            return Err(Error::new(Kind::WrongChip, cause, "lock it with STM32CubeProgrammer"));
        }
        let doing = "turning read-out protection on";
        match self.program_lock().map_err(|e| self.failed(e, doing))? {
            true => Ok(()),
            false => Err(not_locked(&self.link.name())),
        }
    }

    fn start(&mut self) -> Result<()> {
        self.link.run().map_err(|e| self.failed(e, "starting the program"))
    }
}

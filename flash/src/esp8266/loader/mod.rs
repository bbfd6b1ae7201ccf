//! Meeting the chip's loader, and meeting it again when the line is bad.

pub mod backend;
pub mod chip;
pub mod rom;
pub mod spi;
pub mod stub;

use std::time::Duration;

use super::serial::connection::{Connection, Fault};
use super::serial::packet;
use crate::job::Before;
use crate::serial::port::Port;
use crate::{Error, Kind, Progress, Result};
use backend::Backend;
use chip::Mac;
use rom::Rom;
use spi::Spi;
use stub::{Running, Stub};

/// Options for reaching the loader.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    /// The way in which the chip gets into its loader.
    pub before: Before,
    /// Bits per second; none: as fast as is safe with this loader.
    pub baud: Option<u32>,
    /// A loader for its RAM; without it, the ROM does the work.
    pub stub: Option<Stub>,
    /// Bytes of flash, if the chip does not report them, or wrongly.
    pub flash_size: Option<u32>,
}

/// The chip at the other end of the cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Name of the chip.
    pub chip: &'static str,
    /// Address of its network interface.
    pub mac: Mac,
    /// JEDEC id of its flash: maker in the lowest byte, type, size.
    pub flash_id: u32,
    /// Bytes of its flash.
    pub flash_size: u32,
}

/// A connection with the loader of an ESP8266.
#[derive(Debug)]
pub struct Loader<P> {
    pub(super) connection: Connection<P>,
    options: Connect,
    /// The wires for resetting work.
    pub(super) wires: bool,
    baud: u32,
    in_stub: bool,
    device: Device,
    /// Failures at this speed.
    faults: u32,
    /// Failures at all speeds.
    pub(super) all_faults: u32,
    /// Addresses of parts during whose writing the line was bad. The loader's checksum has 8 bits: it
    /// lets some of the garbled blocks pass.
    pub(super) doubtful: Vec<u32>,
    /// Something of the flash was erased or written.
    pub(super) touched: bool,
}

/// The advice against another board that resets it meanwhile.
const HOLD: &str = "if an STM32 with a pblink program is wired to it, pull its reset wire or hold the STM32 in its \
                    bootloader (pblink config pull --no-start), since it resets an ESP8266 that does not answer it";

/// The speed that every adapter and board takes.
const SAFE_BAUD: u32 = 115_200;

/// The speed with a stub, unless the user wants another.
const FAST_BAUD: u32 = 460_800;

/// Lower speeds to go back to when the line is bad.
const LOWER: [u32; 6] = [460_800, 230_400, 115_200, 57_600, 38_400, 19_200];

/// The number of failures that are tolerated at one speed.
const TOLERATED: u32 = 4;

impl<P: Port> Loader<P> {
    /// Brings the chip into its loader and asks what it is. Nothing of its flash changes.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`], [`Kind::WrongChip`], [`Kind::Vanished`], [`Kind::Cancelled`].
    pub fn connect(port: P, options: Connect, progress: &mut dyn Progress) -> Result<Self> {
        let nothing = Device { chip: "", mac: Mac([0; 6]), flash_id: 0, flash_size: 0 };
        let mut loader = Self {
            connection: Connection::new(port),
            wires: options.before == Before::DefaultReset,
            baud: 0,
            in_stub: false,
            device: nothing,
            faults: 0,
            all_faults: 0,
            doubtful: Vec::new(),
            touched: false,
            options,
        };
        let wanted = match (loader.options.baud, &loader.options.stub) {
            (Some(baud), _) => baud,
            (None, Some(_)) => FAST_BAUD,
            (None, None) => SAFE_BAUD,
        };
        let failed = match loader.introduce(wanted, progress) {
            Ok(()) => return Ok(loader),
            Err(error) => error,
        };
        // A fast line may be good enough for an answer and too bad for more.
        let line = matches!(failed.kind(), Kind::NoAnswer | Kind::Other | Kind::WrongChip);
        if !line || loader.baud <= SAFE_BAUD || !loader.wires {
            return Err(failed);
        }
        progress.note(&format!("no luck at {} baud: trying {SAFE_BAUD}", loader.baud));
        loader.introduce(SAFE_BAUD, progress)?;
        Ok(loader)
    }

    /// Returns the chip at the other end.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bits per second, now.
    pub fn baud(&self) -> u32 {
        self.baud
    }

    /// Returns true if a loader in RAM does the work, and not the ROM.
    pub fn in_stub(&self) -> bool {
        self.in_stub
    }

    /// Returns the loader that does the work.
    pub(super) fn backend<'a>(&self) -> &'a (dyn Backend<P> + 'a)
    where
        P: 'a,
    {
        if self.in_stub { &Running } else { &Rom }
    }

    fn introduce(&mut self, wanted: u32, progress: &mut dyn Progress) -> Result<()> {
        self.meet(wanted, progress)?;
        let asked = self.ask();
        self.device = asked.map_err(|fault| self.explain(fault))??;
        self.prepare(wanted, progress)
    }

    /// Gets an answer from the loader.
    fn meet(&mut self, wanted: u32, progress: &mut dyn Progress) -> Result<()> {
        // The ROM finds out the speed by itself, and keeps it; a stub can change it later.
        let first = if self.options.stub.is_some() { wanted.min(SAFE_BAUD) } else { wanted };
        for attempt in 0..7 {
            // Fast lines are given up before the others.
            let baud = if attempt < 3 { first } else { first.min(SAFE_BAUD) };
            self.set_baud(baud)?;
            if self.wires {
                // Boards with a large capacitor at the reset pin need the longer time.
                let hold = Duration::from_millis(if attempt % 2 == 0 { 50 } else { 550 });
                if self.reset_into_loader(hold).is_err() {
                    self.wires = false;
                    progress.note(
                        "this port cannot reset the board: hold its FLASH button and tap RESET if \
                         there is no answer",
                    );
                }
            }
            for _ in 0..5 {
                if progress.cancelled() {
                    return Err(self.cancelled());
                }
                match self.connection.sync() {
                    Ok(in_stub) => {
                        self.in_stub = in_stub;
                        return Ok(());
                    }
                    Err(Fault::Gone(error)) => return Err(self.explain(Fault::Gone(error))),
                    Err(_) => {}
                }
            }
        }
        Err(self.explain(Fault::Silent))
    }

    fn set_baud(&mut self, baud: u32) -> Result<()> {
        self.baud = baud;
        self.connection.port.set_baud(baud).map_err(|error| {
            Error::new(
                Kind::Other,
                format!("the port does not do {baud} baud"),
                "try --baud 115200",
            )
            .from_source(error)
        })
    }

    /// Starts the chip's loader: DTR holds GPIO0 low while RTS lets go of the reset.
    fn reset_into_loader(&mut self, hold: Duration) -> std::io::Result<()> {
        let port = &mut self.connection.port;
        port.set_lines(false, true)?;
        port.wait(Duration::from_millis(100));
        port.set_lines(true, false)?;
        port.wait(hold);
        port.set_lines(false, false)
    }

    /// Asks for the chip, its address and the size of its flash.
    fn ask(&mut self) -> std::result::Result<Result<Device>, Fault> {
        let magic = self.connection.read_register_twice(chip::MAGIC_ADDRESS)?;
        if let Err(wrong) = chip::check(magic) {
            return Ok(Err(wrong));
        }
        let (chip, mac) = chip::identity(&mut self.connection)?;
        self.backend().attach(&mut self.connection)?;
        let mut spi = Spi::open(&mut self.connection)?;
        let flash_id = spi.id()?;
        spi.close()?;
        let size = self.options.flash_size.or_else(|| chip::flash_size(flash_id));
        Ok(match size {
            Some(flash_size) => Ok(Device { chip, mac, flash_id, flash_size }),
            None => Err(Error::new(
                Kind::Other,
                format!("the flash of this board does not report its size (id {flash_id:#08x})"),
                "name it, for example with --flash-size 4MB, or check the flash's solder joints",
            )),
        })
    }

    /// Starts the stub, if there is one, and goes to the speed that is wanted.
    fn prepare(&mut self, wanted: u32, progress: &mut dyn Progress) -> Result<()> {
        if let Some(stub) = self.options.stub.clone().filter(|_| !self.in_stub) {
            let mut tries = 0;
            loop {
                tries += 1;
                match stub::start(&mut self.connection, &stub) {
                    Ok(()) => {
                        self.in_stub = true;
                        break;
                    }
                    Err(Fault::Gone(error)) => return Err(self.explain(Fault::Gone(error))),
                    Err(_) => {}
                }
                let back = self.connection.barrier();
                if tries == 3 || back.is_err() {
                    // Without it everything works as well, only slower.
                    progress.note("the stub loader does not start: the ROM loader does the work");
                    self.options.stub = None;
                    if let Err(fault) = back {
                        if !self.wires {
                            return Err(self.explain(fault));
                        }
                        self.meet(wanted.min(SAFE_BAUD), progress)?;
                        return self
                            .backend()
                            .attach(&mut self.connection)
                            .map_err(|fault| self.explain(fault));
                    }
                    return Ok(());
                }
            }
        }
        if self.backend().abilities().changes_baud && self.baud != wanted {
            self.change_baud(wanted, progress)?;
        }
        Ok(())
    }

    /// Changes the speed, with a stub. If that fails the chip may be at either: it is met again.
    fn change_baud(&mut self, wanted: u32, progress: &mut dyn Progress) -> Result<()> {
        match self.backend().change_baud(&mut self.connection, self.baud, wanted) {
            Ok(()) => {
                self.baud = wanted;
                Ok(())
            }
            Err(Fault::Gone(error)) => Err(self.explain(Fault::Gone(error))),
            Err(_) if self.wires && wanted > SAFE_BAUD => self.restart(SAFE_BAUD, progress),
            Err(fault) => Err(self.explain(fault)),
        }
    }

    /// Meets the loader again after a reset.
    fn restart(&mut self, baud: u32, progress: &mut dyn Progress) -> Result<()> {
        self.meet(baud, progress)?;
        let again = self.ask().map_err(|fault| self.explain(fault))??;
        if again.mac != self.device.mac {
            return Err(Error::new(
                Kind::WrongChip,
                format!("another board answers now: {} instead of {}", again.mac, self.device.mac),
                "leave the board plugged in until it is done, and run the command again",
            ));
        }
        self.prepare(baud, progress)
    }

    /// Gets the loader's attention again after a failure; when failures are many, at a lower speed.
    ///
    /// # Errors
    /// Those that do not get better by trying.
    pub(super) fn recover(&mut self, fault: Fault, progress: &mut dyn Progress) -> Result<()> {
        if let Fault::Gone(_) = fault {
            return Err(self.explain(fault));
        }
        self.faults += 1;
        self.all_faults += 1;
        if !self.faults.is_multiple_of(TOLERATED) {
            match self.connection.barrier() {
                Ok(()) => return Ok(()),
                Err(Fault::Gone(error)) => return Err(self.explain(Fault::Gone(error))),
                Err(_) => {}
            }
        }
        let lower = LOWER.into_iter().find(|&lower| lower < self.baud);
        let Some(lower) = lower.filter(|_| self.wires || self.backend().abilities().changes_baud)
        else {
            // The ROM keeps its speed until it is reset.
            return self.connection.barrier().map_err(|fault| self.explain(fault));
        };
        progress.note(&format!("too many errors at {} baud: trying {lower}", self.baud));
        self.faults = 0;
        if self.backend().change_baud(&mut self.connection, self.baud, lower).is_ok() {
            self.baud = lower;
            return Ok(());
        }
        if !self.wires {
            return Err(self.explain(fault));
        }
        self.restart(lower, progress)
    }

    /// Returns the failure in words.
    pub(super) fn explain(&self, fault: Fault) -> Error {
        let unfinished = "until then it has no program that starts";
        match fault {
            Fault::Gone(error) => {
                let remedy = if self.touched {
                    format!("plug it in again and run the same command: {unfinished}")
                } else {
                    "plug it in again and run the same command".to_owned()
                };
                Error::new(Kind::Vanished, "the board's port is gone while it was in use", remedy)
                    .from_source(error)
            }
            Fault::Silent if self.touched => Error::new(
                Kind::NoAnswer,
                format!(
                    "the board no longer answers, or too many errors are on the line at {} baud",
                    self.baud
                ),
                format!(
                    "{HOLD}; else try another cable, bring it into its loader (hold FLASH, tap RESET), \
                     and run the command again with --baud {}: {unfinished}",
                    LOWER.into_iter().find(|&lower| lower < self.baud).unwrap_or(9600)
                ),
            ),
            Fault::Silent => Error::new(
                Kind::NoAnswer,
                "no ESP8266 answers on this port",
                format!(
                    "hold its FLASH button (GPIO0 to ground), tap RESET, and try again; {HOLD}; if that does \
                     not help, try another cable, check TX, RX and power, or name another port with --serial"
                ),
            ),
            Fault::Refused(op, reason) => Error::new(
                Kind::Refused,
                format!("the loader refuses {op:?}: {}", packet::reason(reason)),
                "reset the board and try again; if it happens again its flash may be protected or \
                 worn out",
            ),
        }
    }

    /// Returns the error of a user who has interrupted flashing.
    pub(super) fn cancelled(&self) -> Error {
        let (cause, remedy) = if self.touched {
            (
                "stopped",
                "run the same command again: until then the ESP8266 has no program that starts",
            )
        } else {
            ("stopped before anything was changed", "run the command again when you like")
        };
        Error::new(Kind::Cancelled, cause, remedy)
    }
}

//! Meeting the chip's loader, and starting the program.

use std::borrow::Cow;
use std::time::Duration;

use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::{Flasher, SpiAttachParams};
use espflash::image_format::Segment;
use espflash::target::ProgressCallbacks;
use serialport::{SerialPort, SerialPortType, UsbPortInfo};

use super::errors::{During, is_gone, to_error};
use crate::job::Before;
use crate::pieces::SECTOR;
use crate::serial::port::{Native, Serial};
use crate::start::{Boot, Program, listen};
use crate::{Chip, Error, Kind, Progress, Result, Step};

const CHIP: Chip = Chip::Esp32c3;
const OF_LIBRARY: espflash::target::Chip = espflash::target::Chip::Esp32c3;

/// The speed that every adapter and board takes.
const SAFE_BAUD: u32 = 115_200;

/// The speed with a stub, unless the user wants another.
const FAST_BAUD: u32 = 460_800;

/// Options for reaching the loader.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connect {
    /// The way in which the chip gets into its loader.
    pub before: Before,
    /// Bits per second; none: as fast as is safe with this loader.
    pub baud: Option<u32>,
    /// Only the loader in the chip's ROM: slower, and it erases no more than what is written.
    pub no_stub: bool,
}

/// The chip at the other end of the cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Name of the chip, and its revision if it tells.
    pub chip: String,
    /// Address of its network interface.
    pub mac: String,
    /// Bytes of its flash.
    pub flash_size: u32,
}

/// A connection with the loader of an ESP32-C3.
#[derive(Debug)]
pub struct Loader {
    /// `None` while it is being met anew.
    flasher: Option<Flasher>,
    options: Connect,
    path: String,
    usb: UsbPortInfo,
    device: Device,
    /// Something of the flash was erased or written.
    pub(super) touched: bool,
}

impl Loader {
    /// Brings the chip on a port that was opened by this path into its loader and asks what it is. Nothing of its flash
    /// changes.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`], [`Kind::WrongChip`], [`Kind::Vanished`], [`Kind::Cancelled`], [`Kind::Refused`]: its flash cannot
    /// be reached, or it only takes signed programs.
    pub fn connect(
        (path, port): (&str, Serial),
        options: Connect,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        progress.begin(Step::Wait, &format!("the loader of the {} on {path}", CHIP.name()), 0);
        let (port, path) = (port.port, path.to_owned());
        let usb = usb_of(&path);
        let baud = options.baud.unwrap_or(if options.no_stub { SAFE_BAUD } else { FAST_BAUD });
        let met = meet(port, &usb, options, baud);
        // A cable that is bad at a high speed may be good at a low one; what is no ESP32-C3 will not become one.
        let met = met.or_else(|(error, port)| match port {
            Some(port) if baud > SAFE_BAUD && !is_final(&error, &path) && !progress.cancelled() => {
                meet(port, &usb, options, SAFE_BAUD)
            }
            _ => Err((error, None)),
        });
        let reset = options.before == Before::DefaultReset;
        let met = met.map_err(|(error, _)| to_error(error, &path, During::Connecting { reset }));
        if progress.cancelled() {
            return Err(Error::new(Kind::Cancelled, "stopped by you", "nothing was changed"));
        }
        let mut flasher = met?;
        if flasher.secure_download_mode() {
            return Err(Error::new(
                Kind::Refused,
                "this chip was locked for good: it takes programs of its owner only (secure download mode)",
                "take another board; nothing was changed on this one",
            ));
        }
        let info = flasher
            .device_info()
            .map_err(|error| to_error(error, &path, During::Connecting { reset }))?;
        let revision =
            info.revision.map_or(String::new(), |(major, minor)| format!(" v{major}.{minor}"));
        let device = Device {
            chip: CHIP.name().to_owned() + &revision,
            mac: info.mac_address.unwrap_or_default(),
            flash_size: info.flash_size.size(),
        };
        progress.end();
        Ok(Self { flasher: Some(flasher), options, path, usb, device, touched: false })
    }

    /// Returns the chip at the other end.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns true if the loader in RAM does the work.
    pub fn in_stub(&self) -> bool {
        !self.options.no_stub
    }

    /// Returns the speed of the line, in bits per second.
    ///
    /// # Errors
    /// [`Kind::Vanished`].
    pub fn baud(&mut self) -> Result<u32> {
        self.work(|flasher| flasher.connection().baud())
    }

    /// Does some work with the library.
    pub(super) fn work<T>(
        &mut self,
        work: impl FnOnce(&mut Flasher) -> std::result::Result<T, espflash::Error>,
    ) -> Result<T> {
        let during = During::Working { touched: self.touched };
        match &mut self.flasher {
            Some(flasher) => work(flasher).map_err(|error| to_error(error, &self.path, during)),
            None => Err(self.lost()),
        }
    }

    /// Writes bytes that lie within one block, erases what they lie on, and compares them.
    pub(super) fn write(
        &mut self,
        address: u32,
        bytes: &[u8],
        verify: bool,
        shown: &mut dyn ProgressCallbacks,
    ) -> Result<()> {
        self.touched = true;
        let stub = self.in_stub();
        let mut bytes = Cow::Borrowed(bytes);
        if !stub {
            // The ROM counts whole sectors, and is not done before the last one is full.
            let whole = bytes.len().next_multiple_of(SECTOR as usize);
            bytes.to_mut().resize(whole, 0xff);
        }
        self.work(|flasher| {
            let connection = flasher.connection();
            let mut target =
                OF_LIBRARY.flash_target(SpiAttachParams::default(), stub, verify, false);
            target.begin(connection)?;
            target.write_segment(connection, Segment { addr: address, data: bytes }, shown)?;
            // Not `finish`: it ends the loader. The stub acknowledges a block before it is in flash, and any other command
            // after it is.
            connection.read_reg(MAGIC_REGISTER).map(drop)
        })
    }

    fn lost(&self) -> Error {
        let cause = espflash::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        to_error(cause, &self.path, During::Working { touched: self.touched })
    }

    /// Meets the loader again after a failure, at a safe speed; without wires for a reset, what runs there is only spoken to
    /// more slowly.
    pub(super) fn meet_again(&mut self) -> Result<()> {
        let Some(mut flasher) = self.flasher.take() else { return Err(self.lost()) };
        if self.options.before == Before::NoReset {
            // A stub that has crashed does not hear this, and the next command says so.
            let _ = flasher.change_baud(SAFE_BAUD);
            self.flasher = Some(flasher);
            return Ok(());
        }
        let port = flasher.into_connection().into_serial();
        match meet(port, &self.usb, self.options, SAFE_BAUD) {
            Ok(flasher) => {
                self.flasher = Some(flasher);
                Ok(())
            }
            Err((error, _)) => {
                Err(to_error(error, &self.path, During::Working { touched: self.touched }))
            }
        }
    }

    /// Leaves the loader, starts the program, and listens until pblink's firmware has greeted and not restarted for 1.5 s
    /// or, with another program, nothing more comes. A port that fails meanwhile is not an error: [`Boot::cut`].
    ///
    /// # Errors
    /// [`Kind::Other`]: the board found no program that starts, started its loader again, or runs pblink's firmware without
    /// a greeting, as one does that crashes at once, or restarts it again and again.
    pub fn boot(mut self, program: Program, progress: &mut dyn Progress) -> Result<Boot> {
        let Some(flasher) = self.flasher.take() else { return Err(self.lost()) };
        let boot = match self.start(flasher) {
            Ok(port) => {
                let mut port = Serial { port };
                listen(&mut port, (CHIP, program, true), progress)
            }
            Err(error) => Boot { cut: Some(super::errors::words(&error)), ..Boot::new(CHIP) },
        };
        boot.check(program, true)?;
        if !boot.lines.is_empty() || boot.garbled {
            progress.end();
        }
        Ok(boot)
    }

    /// Starts the program, and returns the port at the speed that its first words have.
    fn start(&self, mut flasher: Flasher) -> std::result::Result<Native, espflash::Error> {
        if self.options.before == Before::DefaultReset {
            let mut port = flasher.into_connection();
            port.set_baud(CHIP.boot_baud())?;
            port.reset()?;
            return Ok(port.into_serial());
        }
        // Without wires: the watchdog of the clock that always runs resets the chip as power would, so that it looks at its
        // pins again. Who has let go of BOOT gets the program. (ESP32-C3 Technical Reference Manual, 9.29 and 12.4, and
        // esptool's `watchdog_reset`.)
        for (register, value) in WATCHDOG_RESET {
            flasher.connection().write_reg(register, value, None)?;
        }
        let mut port = flasher.into_connection();
        port.set_baud(CHIP.boot_baud())?;
        Ok(port.into_serial())
    }
}

/// A word of the ROM that can always be read.
const MAGIC_REGISTER: u32 = 0x4000_1000;

const RTC_CNTL: u32 = 0x6000_8000;
const WDT_CONFIG0: u32 = RTC_CNTL + 0x90;
const WDT_CONFIG1: u32 = RTC_CNTL + 0x94;
const WDT_PROTECT: u32 = RTC_CNTL + 0xa8;

/// What makes the watchdog reset the chip: its key, the time in ticks of the slow clock (136 kHz), on with a first stage
/// that resets all of the chip, and the lock again.
const WATCHDOG_RESET: [(u32, u32); 4] = [
    (WDT_PROTECT, 0x50d8_3aa1),
    (WDT_CONFIG1, 2000),
    (WDT_CONFIG0, 1 << 31 | 5 << 28 | 1 << 8 | 2),
    (WDT_PROTECT, 0),
];

/// Returns true for a failure that another try cannot mend.
fn is_final(error: &espflash::Error, path: &str) -> bool {
    use espflash::Error::{ChipDetectError, ChipMismatch, FlashConnect};
    matches!(error, ChipMismatch(..) | ChipDetectError(_) | FlashConnect) || is_gone(error, path)
}

/// Meets the loader. After a failure the port comes back.
fn meet(
    port: Native,
    usb: &UsbPortInfo,
    options: Connect,
    baud: u32,
) -> std::result::Result<Flasher, (espflash::Error, Option<Native>)> {
    let mut port = port;
    if let Err(error) = port.set_baud_rate(SAFE_BAUD).and_then(|()| port.set_timeout(WAIT)) {
        return Err((error.into(), None));
    }
    let before = match options.before {
        Before::DefaultReset => ResetBeforeOperation::DefaultReset,
        Before::NoReset => ResetBeforeOperation::NoReset,
    };
    // The loader in RAM stays for the next piece; the program is started by us.
    let after = ResetAfterOperation::NoResetNoStub;
    let connection = Connection::new(port, usb.clone(), after, before, SAFE_BAUD);
    let (stub, verify, skip) = (!options.no_stub, false, false);
    // Not the library's own change of speed, which comes with a warning on the user's screen.
    let met = Flasher::try_connect(connection, stub, verify, skip, Some(OF_LIBRARY), None);
    let mut flasher = met.map_err(|failed| {
        let (error, connection) = *failed;
        (error, Some(connection.into_serial()))
    })?;
    match baud == SAFE_BAUD {
        true => Ok(flasher),
        false => match flasher.change_baud(baud) {
            Ok(()) => Ok(flasher),
            Err(error) => Err((error, Some(flasher.into_connection().into_serial()))),
        },
    }
}

/// Longest wait for an answer, unless the library has another for the command.
const WAIT: Duration = Duration::from_secs(3);

/// Returns what USB says of a port. Only the ids of the chip's own USB count, which is reset in another way than an adapter.
fn usb_of(path: &str) -> UsbPortInfo {
    let found = serialport::available_ports().unwrap_or_default().into_iter().find_map(|port| {
        match port.port_type {
            SerialPortType::UsbPort(usb) if port.port_name == path => Some(usb),
            _ => None,
        }
    });
    let (serial_number, manufacturer, product, interface) = (None, None, None, None);
    let none = UsbPortInfo { vid: 0, pid: 0, serial_number, manufacturer, product, interface };
    found.unwrap_or(none)
}

//! The STM32's own USB bootloader: DfuSe, which is DFU 1.1 with addresses.
//!
//! Sources: *USB Device Firmware Upgrade Specification 1.1* (requests, states, status), UM0424 (names of
//! the alternate settings), AN3156 (what the bootloader in the chip's ROM does with each request). In
//! short: block 0 of a download is a command (0x21 sets the address, 0x41 erases a sector), blocks from 2
//! on are data at `address + (block - 2) * length`; a command or a block is carried out when GETSTATUS is
//! asked for; an error lasts until CLRSTATUS.

mod status;

use std::time::Duration;

use super::probe::{LEVEL_1, NOT_PROTECTED, not_locked};
use super::{Layout, Protection, Sector, Target};
use crate::{Error, Kind, Result};
use status::{Status, meaning};

/// Class requests (DFU 1.1, table 3.2).
pub mod request {
    /// A command or data for the device.
    pub const DNLOAD: u8 = 1;
    /// Data from the device.
    pub const UPLOAD: u8 = 2;
    /// Status, state and how long to wait; carries out what was downloaded.
    pub const GETSTATUS: u8 = 3;
    /// Ends the error state.
    pub const CLRSTATUS: u8 = 4;
    /// Back to idle.
    pub const ABORT: u8 = 6;
}

/// States (DFU 1.1, §6.1.2).
pub mod state {
    /// Ready for all.
    pub const IDLE: u8 = 2;
    /// Something was downloaded and waits for GETSTATUS.
    pub const DNLOAD_SYNC: u8 = 3;
    /// It is being carried out.
    pub const DNBUSY: u8 = 4;
    /// Ready for the next block.
    pub const DNLOAD_IDLE: u8 = 5;
    /// Leaves for the program.
    pub const MANIFEST: u8 = 7;
    /// Ready for the next upload.
    pub const UPLOAD_IDLE: u8 = 9;
    /// Something went wrong, until CLRSTATUS.
    pub const ERROR: u8 = 10;
}

/// An alternate setting of the bootloader's interface: one memory of the chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternate {
    /// Its number.
    pub number: u8,
    /// Its name, which describes the memory: see [`Layout::of_alternate`].
    pub name: String,
}

/// Why a transfer failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoError {
    /// The device is no longer there.
    Gone,
    /// It refused the request.
    Stall,
    /// It did not answer in time.
    Timeout,
    /// Something else.
    Other(String),
}

/// Control transfers with one DFU interface.
pub trait DfuIo {
    /// Returns the name by which the user knows the device.
    fn name(&self) -> String;

    /// Returns the memories that it offers.
    fn alternates(&self) -> &[Alternate];

    /// Returns the most bytes of one transfer (`wTransferSize` of the functional descriptor).
    fn transfer_size(&self) -> usize;

    /// Selects a memory.
    ///
    /// # Errors
    /// See [`IoError`].
    fn select(&mut self, alternate: u8) -> Result<(), IoError>;

    /// Sends a class request with data for the device.
    ///
    /// # Errors
    /// See [`IoError`].
    fn control_out(&mut self, request: u8, value: u16, data: &[u8]) -> Result<(), IoError>;

    /// Sends a class request for data, and returns how many bytes came.
    ///
    /// # Errors
    /// See [`IoError`].
    fn control_in(&mut self, request: u8, value: u16, out: &mut [u8]) -> Result<usize, IoError>;

    /// Lets time pass, since the device asked for it.
    fn pause(&mut self, time: Duration);

    /// Returns the time since some moment in the past; it only grows.
    fn now(&self) -> Duration;
}

const SET_ADDRESS: u8 = 0x21;
const ERASE: u8 = 0x41;

/// The first block of data.
const FIRST_BLOCK: u16 = 2;

/// The transfer sizes that AN3156 allows for flash.
const TRANSFER: std::ops::RangeInclusive<usize> = 2..=2048;

/// Time-out for one erase: 128 KB take 4 s at worst (STM32F405 data sheet, 8 bits at a time).
const ERASE_LIMIT: Duration = Duration::from_secs(30);
/// Time-out for anything else.
const LIMIT: Duration = Duration::from_secs(10);
/// At least so long between two questions, if the device names no time.
const MIN_POLL: Duration = Duration::from_millis(1);

/// Option bytes (RM0090, table 15): address, and how many.
const OPTIONS: (u32, usize) = (0x1fff_c000, 16);

/// An STM32 in its USB bootloader.
#[derive(Debug)]
pub struct Dfu<I> {
    io: I,
    layout: Layout,
    flash: u8,
    options: Option<u8>,
}

impl<I: DfuIo> Dfu<I> {
    /// Opens the device behind `io`: selects its flash and ends whatever another program left
    /// behind.
    ///
    /// # Errors
    /// [`Kind::WrongChip`] if it has no flash to write; those of the transfers.
    pub fn new(io: I) -> Result<Self> {
        let mut flash = None;
        let mut options = None;
        for alternate in io.alternates() {
            let Some(layout) = Layout::of_alternate(&alternate.name) else { continue };
            if layout.start() == super::PROGRAM && flash.is_none() {
                flash = Some((alternate.number, layout));
            } else if layout.start() == OPTIONS.0 {
                options = Some(alternate.number);
            }
        }
        let Some((flash, layout)) = flash else {
            let names: Vec<_> = io.alternates().iter().map(|a| a.name.as_str()).collect();
            let cause = format!(
                "{} is no STM32 with flash at {:#010x}: it offers {names:?}",
                io.name(),
                super::PROGRAM
            );
            let remedy =
                "put the STM32 into its bootloader, and name it with --probe VID:PID:SERIAL";
            return Err(Error::new(Kind::WrongChip, cause, remedy));
        };
        let mut this = Self { io, layout, flash, options };
        this.select(flash)?;
        Ok(this)
    }

    /// Returns the device below.
    pub fn io(&self) -> &I {
        &self.io
    }

    fn select(&mut self, alternate: u8) -> Result<()> {
        let doing = "selecting a memory";
        self.io.select(alternate).map_err(|error| self.failed(error, doing))?;
        self.idle(doing)
    }

    fn failed(&self, error: IoError, doing: &str) -> Error {
        let name = self.io.name();
        let again = "put it into its bootloader again and repeat the command: no half-written program \
                     starts";
        match error {
            IoError::Gone => Error::new(
                Kind::Vanished,
                format!("{name} vanished while {doing}"),
                format!("check cable and supply, {again}"),
            ),
            IoError::Timeout => Error::new(
                Kind::NoAnswer,
                format!("{name} stopped answering while {doing}"),
                format!("plug it in again without a hub between, {again}"),
            ),
            IoError::Stall => Error::new(
                Kind::Refused,
                format!("{name} refused a request while {doing}"),
                format!("reset it, {again}"),
            ),
            IoError::Other(why) => Error::new(
                Kind::Other,
                format!("USB failed while {doing}: {why}"),
                format!("plug it in again, {again}"),
            ),
        }
    }

    fn status(&mut self, doing: &str) -> Result<Status> {
        let mut bytes = [0; 6];
        let answer = self.io.control_in(request::GETSTATUS, 0, &mut bytes);
        match answer.map_err(|error| self.failed(error, doing))? {
            6 => Ok(Status::of(bytes)),
            n => Err(Error::new(
                Kind::NoAnswer,
                format!("{} answered with {n} instead of 6 bytes of status", self.io.name()),
                "reset it, put it into its bootloader again and repeat the command",
            )),
        }
    }

    /// Brings the device to idle, whatever state it is in.
    fn idle(&mut self, doing: &str) -> Result<()> {
        // Two requests do it from any state; a busy device needs some more.
        let started = self.io.now();
        loop {
            let status = self.status(doing)?;
            let request = match status.state {
                state::IDLE => return Ok(()),
                state::ERROR => Some(request::CLRSTATUS),
                state::DNBUSY | state::DNLOAD_SYNC => None,
                _ => Some(request::ABORT),
            };
            if let Some(request) = request {
                let answer = self.io.control_out(request, 0, &[]);
                answer.map_err(|error| self.failed(error, doing))?;
            }
            self.pause(status, started, LIMIT, doing)?;
        }
    }

    /// Waits as long as the device asks for, but not longer than what is left of the limit: it may ask for 4.6 h.
    fn pause(
        &mut self,
        status: Status,
        started: Duration,
        limit: Duration,
        doing: &str,
    ) -> Result<()> {
        let left = limit.saturating_sub(self.io.now().saturating_sub(started));
        if left.is_zero() {
            return Err(self.failed(IoError::Timeout, doing));
        }
        self.io.pause(status.poll.max(MIN_POLL).min(left));
        Ok(())
    }

    /// Downloads a block, lets the device carry it out, and waits for it.
    fn download(&mut self, block: u16, data: &[u8], doing: &str, limit: Duration) -> Result<()> {
        let sent = self.io.control_out(request::DNLOAD, block, data);
        if sent == Err(IoError::Stall) {
            return Err(self.refused(doing));
        }
        sent.map_err(|error| self.failed(error, doing))?;
        let started = self.io.now();
        loop {
            let status = self.status(doing)?;
            match status.state {
                state::DNLOAD_IDLE | state::IDLE => return Ok(()),
                state::ERROR => return Err(self.error(status.status, doing)),
                // The chip takes no other request meanwhile (AN3156): asking earlier breaks it off.
                _ => self.pause(status, started, limit, doing)?,
            }
        }
    }

    /// Returns the error of a device that refused a request, from its status.
    fn refused(&mut self, doing: &str) -> Error {
        match self.status(doing) {
            Ok(status) if status.state == state::ERROR => self.error(status.status, doing),
            Ok(_) => self.failed(IoError::Stall, doing),
            Err(error) => error,
        }
    }

    /// Returns the error that a status means. It lasts until [`Self::idle`].
    fn error(&self, status: u8, doing: &str) -> Error {
        if status == status::VENDOR {
            // AN3156: reading, writing and erasing end so while read-out protection is on.
            return super::program::readout_protected();
        }
        let cause = format!(
            "the bootloader of {} failed while {doing}: {}",
            self.io.name(),
            meaning(status)
        );
        let remedy = match status {
            status::TARGET | status::ADDRESS => {
                "check the image's address, and that the chip is the one you think"
            }
            status::WRITE
            | status::ERASE
            | status::CHECK_ERASED
            | status::PROG
            | status::VERIFY => {
                "flash it again; if it fails at the same place, the sector is write-protected or worn out"
            }
            status::POR | status::USBR => {
                "check cable and supply, put the board into its bootloader again and repeat the command"
            }
            _ => "reset the board, put it into its bootloader again and repeat the command",
        };
        Error::new(Kind::Refused, cause, remedy)
    }

    fn command(&mut self, command: u8, address: u32, doing: &str, limit: Duration) -> Result<()> {
        let [a, b, c, d] = address.to_le_bytes();
        self.download(0, &[command, a, b, c, d], doing, limit)
    }

    /// Pieces of equal length share an address, and a shorter one has its own: AN3156 is not clear on
    /// whether the length in its formula is that of the descriptor or of the request, so it must not matter.
    fn pieces(&self, length: usize) -> usize {
        let size = self.io.transfer_size().clamp(*TRANSFER.start(), *TRANSFER.end()) & !3;
        size.max(4).min(length.max(4))
    }

    fn upload(&mut self, address: u32, out: &mut [u8], doing: &str) -> Result<()> {
        let size = self.pieces(out.len());
        let mut whole = false;
        for (i, piece) in out.chunks_mut(size).enumerate() {
            if !(whole && piece.len() == size) {
                self.idle(doing)?;
                self.command(SET_ADDRESS, address + (i * size) as u32, doing, LIMIT)?;
                // An upload may only begin in idle.
                self.idle(doing)?;
            }
            let block = if piece.len() == size { FIRST_BLOCK + i as u16 } else { FIRST_BLOCK };
            whole = true;
            let length = piece.len();
            match self.io.control_in(request::UPLOAD, block, piece) {
                Ok(n) if n == length => {}
                // AN3156: it does not send what it must not, and gives the reason in its status.
                Ok(_) | Err(IoError::Stall) => return Err(self.refused(doing)),
                Err(error) => return Err(self.failed(error, doing)),
            }
        }
        self.idle(doing)
    }
}

impl<I: DfuIo> Target for Dfu<I> {
    fn name(&self) -> String {
        self.io.name()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn piece(&self) -> usize {
        // Some transfers together, so that setting addresses takes little of the time.
        self.pieces(usize::MAX) * 4
    }

    /// Reads the option bytes, which the bootloader offers as a memory of their own.
    fn protection(&mut self) -> Result<Protection> {
        let mut sectors = self.layout.fixed().to_vec();
        let Some(options) = self.options else { return Ok(Protection { readout: false, sectors }) };
        let mut bytes = [0; OPTIONS.1];
        let read = self
            .select(options)
            .and_then(|()| self.upload(OPTIONS.0, &mut bytes, "reading the option bytes"));
        // Refused is no answer: they are not to be read while read-out protection is on, and then reading
        // the flash will show it.
        let refused = match read {
            Err(error) if error.kind() != Kind::Refused => return Err(error),
            read => read.is_err(),
        };
        self.select(self.flash)?;
        // 12 bits of bytes 8 and 9, for the 12 sectors of chips with 1 MB; 0 is protected.
        if !refused && self.layout.sectors().len() == 12 {
            let not_protected = u16::from_le_bytes([bytes[8], bytes[9]]);
            sectors.extend((0..12).filter(|sector| not_protected & (1 << sector) == 0));
        }
        Ok(Protection { readout: false, sectors })
    }

    fn read(&mut self, address: u32, out: &mut [u8]) -> Result<()> {
        self.upload(address, out, "reading its flash")
    }

    fn erase(&mut self, sector: &Sector) -> Result<()> {
        let doing = format!("erasing {sector}");
        self.idle(&doing)?;
        self.command(ERASE, sector.address, &doing, ERASE_LIMIT)
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        let doing = format!("writing at {address:#010x}");
        let size = self.pieces(bytes.len());
        let mut whole = false;
        for (i, piece) in bytes.chunks(size).enumerate() {
            if !(whole && piece.len() == size) {
                self.idle(&doing)?;
                self.command(SET_ADDRESS, address + (i * size) as u32, &doing, LIMIT)?;
            }
            let block = if piece.len() == size { FIRST_BLOCK + i as u16 } else { FIRST_BLOCK };
            whole = true;
            self.download(block, piece, &doing, LIMIT)?;
        }
        Ok(())
    }

    fn hold(&mut self) -> Result<()> {
        // It stays in its bootloader until it gets the request to leave.
        Ok(())
    }

    fn lock(&mut self) -> Result<()> {
        let doing = "turning read-out protection on";
        let Some(options) = self.options else {
            let cause = format!("{} does not offer its option bytes", self.io.name());
            let remedy = "lock it by a debug probe, or with STM32CubeProgrammer";
            return Err(Error::new(Kind::Refused, cause, remedy));
        };
        self.select(options)?;
        let (mut bytes, mut again) = ([0; OPTIONS.1], [0; OPTIONS.1]);
        self.upload(OPTIONS.0, &mut bytes, doing)?;
        self.upload(OPTIONS.0, &mut again, doing)?;
        if bytes != again {
            // They are written back: a wrong one can make a chip useless.
            return Err(self
                .failed(IoError::Other("two readings of the option bytes differ".into()), doing));
        }
        if bytes[1] != NOT_PROTECTED {
            return self.select(self.flash);
        }
        bytes[1] = LEVEL_1;
        self.idle(doing)?;
        self.command(SET_ADDRESS, OPTIONS.0, doing, LIMIT)?;
        let sent = self.io.control_out(request::DNLOAD, FIRST_BLOCK, &bytes);
        sent.map_err(|error| self.failed(error, doing))?;
        let first = self.status(doing)?;
        if first.state == state::ERROR {
            return Err(self.error(first.status, doing));
        }
        // The bootloader resets the chip when it has programmed them (AN3156), and may do so before it has said that it
        // has. One that is still there must show them.
        self.io.pause(first.poll.max(MIN_POLL).min(LIMIT));
        let there = self.idle(doing).and_then(|()| {
            self.command(SET_ADDRESS, OPTIONS.0, doing, LIMIT)?;
            self.idle(doing)?;
            self.upload(OPTIONS.0, &mut bytes, doing)
        });
        match there {
            Ok(()) if bytes[1] == LEVEL_1 => Ok(()),
            Ok(()) => Err(not_locked(&self.io.name())),
            // It is gone, or does not let them be read any more.
            Err(error) if [Kind::Vanished, Kind::Refused].contains(&error.kind()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn start(&mut self) -> Result<()> {
        let doing = "starting the program";
        self.idle(doing)?;
        let address = self.layout.start();
        self.command(SET_ADDRESS, address, doing, LIMIT)?;
        // A download of nothing means: leave.
        let sent = self.io.control_out(request::DNLOAD, FIRST_BLOCK, &[]);
        sent.map_err(|error| self.failed(error, doing))?;
        let mut bytes = [0; 6];
        match self.io.control_in(request::GETSTATUS, 0, &mut bytes) {
            Ok(6) if bytes[4] == state::ERROR => Err(self.error(bytes[0], doing)),
            // Most leave before they have answered.
            _ => Ok(()),
        }
    }
}

//! The flash chip's own commands, through the registers of the SPI controller. The ROM loader has no
//! command that reads flash, but it reads and writes registers, and so any command can be sent.
//!
//! Registers: ESP8266 Technical Reference, appendix "SPI"; the same use of them as in Espressif's tool.

use crate::esp8266::serial::connection::{Connection, Fault};
use crate::serial::port::Port;

const BASE: u32 = 0x6000_0200;
const COMMAND: u32 = BASE;
const ADDRESS: u32 = BASE + 0x04;
const USER: u32 = BASE + 0x1c;
const USER1: u32 = BASE + 0x20;
const USER2: u32 = BASE + 0x24;
/// The first of 16 words of data.
const DATA: u32 = BASE + 0x40;

/// Of `COMMAND`: runs what the user registers say; the controller clears it.
const GO: u32 = 1 << 18;
/// Of `USER`: which phases a command has.
const HAS_COMMAND: u32 = 1 << 31;
const HAS_ADDRESS: u32 = 1 << 30;
const HAS_INPUT: u32 = 1 << 28;

const READ: u8 = 0x03;
const READ_STATUS: u8 = 0x05;
const WRITE_ENABLE: u8 = 0x06;
const ERASE_SECTOR: u8 = 0x20;
const READ_ID: u8 = 0x9f;

/// Of the status of the flash: it is erasing or writing.
const BUSY: u32 = 1;

/// The bytes that one command reads: all that the controller holds.
pub const LINE: u32 = 64;

/// A flash command that is about to be sent.
struct Command {
    code: u8,
    /// 24 bits.
    address: Option<u32>,
    /// Bits that it answers, up to 512.
    input: u32,
}

/// The controller, with the registers that the ROM uses as well; they are put back by [`Spi::close`].
pub struct Spi<'a, P> {
    connection: &'a mut Connection<P>,
    user: u32,
    user2: u32,
}

impl<'a, P: Port> Spi<'a, P> {
    pub fn open(connection: &'a mut Connection<P>) -> Result<Self, Fault> {
        let user = connection.read_register_twice(USER)?;
        let user2 = connection.read_register_twice(USER2)?;
        Ok(Self { connection, user, user2 })
    }

    pub fn close(self) -> Result<(), Fault> {
        self.connection.write_register(USER, self.user)?;
        self.connection.write_register(USER2, self.user2)
    }

    fn prepare(&mut self, command: &Command) -> Result<(), Fault> {
        let mut user = HAS_COMMAND;
        let mut lengths = 0;
        if command.input > 0 {
            user |= HAS_INPUT;
            lengths |= (command.input - 1) << 8;
        }
        if command.address.is_some() {
            user |= HAS_ADDRESS;
            lengths |= 23 << 26;
        }
        self.connection.write_register(USER1, lengths)?;
        self.connection.write_register(USER, user)?;
        self.connection.write_register(USER2, 7 << 28 | u32::from(command.code))
    }

    /// Sends what was prepared. A repeated one does no harm: the flash ignores all but the status
    /// while it works.
    fn go(&mut self, address: Option<u32>) -> Result<(), Fault> {
        if let Some(address) = address {
            self.connection.write_register(ADDRESS, address << 8)?;
        }
        self.connection.write_register(COMMAND, GO)?;
        for _ in 0..10 {
            if self.connection.read_register(COMMAND)? & GO == 0 {
                return Ok(());
            }
        }
        Err(Fault::Silent)
    }

    fn run(&mut self, command: &Command) -> Result<u32, Fault> {
        self.prepare(command)?;
        self.go(command.address)?;
        if command.input == 0 { Ok(0) } else { self.connection.read_register_twice(DATA) }
    }

    /// Returns maker, type and size of the flash, as its JEDEC id: 24 bits, the maker lowest. It is
    /// asked until two answers agree.
    pub fn id(&mut self) -> Result<u32, Fault> {
        let mut last = None;
        for _ in 0..4 {
            let id = self.run(&Command { code: READ_ID, address: None, input: 24 })?;
            if last.replace(id) == Some(id) {
                return Ok(id & 0x00ff_ffff);
            }
        }
        Err(Fault::Silent)
    }

    /// Erases one sector of 4 KB.
    pub fn erase_sector(&mut self, address: u32) -> Result<(), Fault> {
        self.run(&Command { code: WRITE_ENABLE, address: None, input: 0 })?;
        self.prepare(&Command { code: ERASE_SECTOR, address: Some(address), input: 0 })?;
        self.connection.write_register(ADDRESS, address << 8)?;
        // Commands have no checksum, and another sector would be lost for good.
        let code = 7 << 28 | u32::from(ERASE_SECTOR);
        for (register, value) in
            [(ADDRESS, address << 8), (USER, HAS_COMMAND | HAS_ADDRESS), (USER2, code)]
        {
            if self.connection.read_register_twice(register)? != value {
                return Err(Fault::Silent);
            }
        }
        self.go(None)?;
        // Some tenths of a second at worst; each look takes some milliseconds.
        for _ in 0..1000 {
            let status = self.run(&Command { code: READ_STATUS, address: None, input: 8 })?;
            if status & BUSY == 0 {
                return Ok(());
            }
        }
        Err(Fault::Silent)
    }

    /// Gets ready for [`Spi::line`].
    pub fn prepare_reading(&mut self) -> Result<(), Fault> {
        self.prepare(&Command { code: READ, address: Some(0), input: LINE * 8 })
    }

    /// Reads [`LINE`] bytes. It takes 19 commands, about a tenth of a second.
    pub fn line(&mut self, address: u32) -> Result<[u8; LINE as usize], Fault> {
        self.go(Some(address))?;
        let mut line = [0; LINE as usize];
        for (word, register) in line.chunks_exact_mut(4).zip((DATA..).step_by(4)) {
            word.copy_from_slice(&self.connection.read_register(register)?.to_le_bytes());
        }
        Ok(line)
    }
}

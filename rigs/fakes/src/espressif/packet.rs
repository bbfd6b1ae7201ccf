//! Commands on their way to a loader.

use super::board::{Core, Running};
use super::fault::Fault;
use super::reason::FAILED;

/// The command with which a connection begins.
pub const SYNC: u8 = 0x08;

/// Commands that carry data for flash: FLASH_DATA and FLASH_DEFL_DATA.
pub const BLOCKS: [u8; 2] = [0x03, 0x11];

const MEM_DATA: u8 = 0x07;

/// A command that has arrived.
#[derive(Debug)]
pub struct Request {
    pub op: u8,
    /// The check sum of its data, for commands that carry some.
    pub checksum: u8,
    pub data: Vec<u8>,
    /// The length in the header is that of the data.
    pub whole: bool,
}

impl Request {
    /// Returns the data as numbers; bytes behind the last whole one are left out.
    pub fn numbers(&self) -> Vec<u32> {
        numbers(&self.data)
    }

    /// Returns the part behind a header of four words, which the check sum is of.
    pub fn payload(&self) -> Option<&[u8]> {
        self.data.get(16..)
    }

    /// Returns true if the check sum is that of the payload.
    pub fn is_intact(&self) -> bool {
        let payload = self.payload().unwrap_or_default();
        payload.iter().fold(0xef, |sum, byte| sum ^ byte) == self.checksum
    }
}

fn numbers(data: &[u8]) -> Vec<u32> {
    data.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect()
}

/// The fate of a packet on its way.
#[derive(Debug)]
pub enum Arrival {
    /// Nothing of it arrives.
    Lost,
    /// A fault of the board says that it is refused for this reason.
    Refused(Request, u8),
    /// It arrives, though perhaps not as it was sent.
    Command(Request),
}

impl Core {
    /// Passes a packet of at least 8 bytes on to the chip, with the faults that are in its way.
    pub fn arrive(&mut self, mut packet: Vec<u8>) -> Arrival {
        let op = packet[1];
        let faults = &mut self.uart.faults;
        if BLOCKS.contains(&op) {
            faults.blocks += 1;
            let count = faults.blocks;
            if faults.has(&Fault::VanishAtBlock(count)) {
                self.uart.gone = true;
                return Arrival::Lost;
            }
            let stub_lost =
                self.running == Running::Stub && faults.has(&Fault::LoseStubAtBlock(count));
            if stub_lost || faults.has(&Fault::ResetAtBlock(count)) {
                self.running = Running::Nothing;
                return Arrival::Lost;
            }
            if faults.has(&Fault::LoseBlock(count)) {
                return Arrival::Lost;
            }
            if faults.has(&Fault::GarbleBlock(count)) {
                let last = packet.len() - 1;
                packet[last] ^= 0x20;
            }
        }
        let refused = faults.list.iter().find_map(|fault| match fault {
            Fault::Refuse(refused, reason) if *refused == op => Some(*reason),
            Fault::LoseStubAtBlock(count) if op == MEM_DATA && faults.blocks >= *count => {
                Some(FAILED)
            }
            _ => None,
        });
        let length = usize::from(u16::from_le_bytes([packet[2], packet[3]]));
        let checksum = packet[4];
        let data = packet.split_off(8);
        let request = Request { op, checksum, whole: length == data.len(), data };
        match refused {
            Some(reason) => Arrival::Refused(request, reason),
            None => Arrival::Command(request),
        }
    }

    /// Returns true if the block that came last is one that is acknowledged and not written.
    pub fn forgets(&self) -> bool {
        let faults = &self.uart.faults;
        faults.has(&Fault::ForgetBlock(faults.blocks))
    }
}
